"""``AGENTGYM_SANDBOX``: whether a sandbox weaker than the strongest one is refused, and the warning for the weakest."""

from __future__ import annotations

import os
import warnings

from agentgym_hindsight.errors import WorkerError
from agentgym_hindsight.names import known_name

__all__ = ["STRONGEST", "VARIABLE", "WEAKEST", "SandboxWarning", "check_mode", "is_strict"]

VARIABLE = "AGENTGYM_SANDBOX"
#: The mode in which all layers of the kernel are active, and the one in which none is.
STRONGEST, WEAKEST = "namespaces+seccomp", "rlimits"
_STRICT = ("strict", "1", "true", "yes", "on")
_BEST_AVAILABLE = ("auto", "0", "false", "no", "off")

_warned = False


class SandboxWarning(UserWarning):
    """The agent's code runs without any isolation layer of the kernel."""


def is_strict() -> bool:
    """Whether the variable asks for the strongest mode. An unknown value is refused: it may be a misspelt "strict"."""
    value = os.environ.get(VARIABLE, "")
    if not value.strip():
        return False
    return known_name(f"value of {VARIABLE}", value, (*_STRICT, *_BEST_AVAILABLE)) in _STRICT


def check_mode(mode: str, left_out: frozenset[str]) -> None:
    """Raise if the mode of a zygote is too weak; warn once per process if it is the weakest.

    There is no warning if both layers of the kernel were ``left_out`` on purpose.
    """
    global _warned
    if mode != STRONGEST and is_strict():
        raise WorkerError(
            f"Expected a sandbox of {STRONGEST} ({VARIABLE}={os.environ[VARIABLE]}), got {mode}; "
            "try a kernel that allows user namespaces, or unset the variable."
        )
    if mode == WEAKEST and not _warned and not {"namespaces", "seccomp"} <= left_out:
        _warned = True
        warnings.warn(
            f"Expected namespaces or seccomp for the agent's code, got a system without either: it runs in the mode "
            f"{WEAKEST!r}, which contains accidents only; try Linux or WSL, or set {VARIABLE}=strict to refuse this.",
            SandboxWarning,
            stacklevel=2,
        )
