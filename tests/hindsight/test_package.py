from __future__ import annotations

import subprocess
import sys

import pytest

import agentgym_hindsight.hindsight as hindsight


def test_every_public_name_exists() -> None:
    assert sorted(hindsight.__all__) == sorted(set(hindsight.__all__))
    assert set(hindsight.__all__) <= set(dir(hindsight))
    for name in hindsight.__all__:
        assert getattr(hindsight, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        hindsight.nonsense  # noqa: B018


def test_import_loads_neither_httpcore_nor_torch() -> None:
    code = (
        "import sys, agentgym_hindsight, agentgym_hindsight.hindsight as h; "
        "print(*({'httpcore', 'torch'} & set(sys.modules))); h.JudgeClient; print('httpcore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]
