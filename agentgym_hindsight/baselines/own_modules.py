"""The modules of the user's own that a stage imports, ``module:NAME``, and a hash of the code of each.

Whoever stores something that depends on this code (a warm start, rollouts, a run) stores the hashes with it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from agentgym_hindsight.names import is_import_name
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import content_hash
from agentgym_hindsight.wrappers.protocols import is_template_name, make_protocol

__all__ = ["file_hashes", "is_ours", "stage_hashes", "stage_imports"]

_PACKAGE = __name__.partition(".")[0]


def stage_imports(stage: Stage) -> set[str]:
    """The ``module:NAME`` of the stage's protocol and parser, as far as they are not of this library."""
    parser = make_protocol(stage.protocol, history=stage.history).parser
    return {
        str(name)
        for name in (stage.protocol, stage.parser, parser)
        if is_import_name(name) and not is_template_name(name)
    }


def stage_hashes(stage: Stage) -> dict[str, str]:
    """:func:`file_hashes` of the stage's protocol and parser, and the hash of a protocol's template file."""
    hashes = file_hashes(stage_imports(stage))
    if is_template_name(stage.protocol):
        file = Path(stage.protocol.partition(":")[2])
        hashes[stage.protocol] = content_hash(file.read_bytes().decode("utf-8", "replace"))
    return hashes


def file_hashes(names: Iterable[str]) -> dict[str, str]:
    """Module → hash of its file, for each module or ``module:NAME`` that is not of this library and has a file."""
    hashes = {}
    for name in sorted({name.partition(":")[0] for name in names}):
        path = getattr(sys.modules.get(name), "__file__", None)
        if not is_ours(name) and path and Path(path).is_file():
            hashes[name] = content_hash(Path(path).read_bytes().decode("utf-8", "replace"))
    return hashes


def is_ours(module: str) -> bool:
    """Whether a module is of this library."""
    return module.partition(".")[0] == _PACKAGE
