"""A mark for tests that the oldest supported TRL cannot pass."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec

import pytest

_OLD = find_spec("trl") is not None and tuple(int(part) for part in version("trl").split(".")[:2]) < (1, 16)

#: TRL 1.15 can score tokens only with a Triton kernel. Our trainer does not call it on a CPU; TRL's own trainer does.
needs_trls_scorer = pytest.mark.skipif(
    _OLD and find_spec("triton") is None, reason="TRL before 1.16 cannot score without Triton"
)
