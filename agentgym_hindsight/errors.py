"""The exceptions of this library.

    HindsightError
    ├── UsageError (ValueError)          an argument or a call is not valid
    │   ├── UnknownNameError             a protocol, split, mode, policy … that does not exist; proposes the nearest
    │   └── ResetNeededError             step() before reset(), or after the end of the episode
    ├── DataError                        data is missing, damaged or of another version
    │   ├── MissingDataError             a file or folder does not exist; names it and the fix
    │   ├── DamagedDataError             a file cannot be used; names it, the position and the fix
    │   └── SchemaError                  a stored trajectory has another schema version or shape
    ├── MissingExtraError (ImportError)  an optional dependency is not installed; gives the exact pip command
    ├── BackendError                     the genuine engine or a server behind an env failed
    │   └── WorkerError                  a worker process died or hung
    ├── JudgeError                       an LLM judge gave no usable answer
    └── ConformanceError (AssertionError) an env breaks the standard; the message gives the fix
        └── testing.env_under_test.NotPlayable  no episode of the env can be played

Messages have Gymnasium's shape: what was expected, what was given, what to try.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "BackendError",
    "ConformanceError",
    "DamagedDataError",
    "DataError",
    "HindsightError",
    "JudgeError",
    "MissingDataError",
    "MissingExtraError",
    "ResetNeededError",
    "SchemaError",
    "UnknownNameError",
    "UsageError",
    "WorkerError",
]


class HindsightError(Exception):
    """Base class of the exceptions of this library."""


class UsageError(HindsightError, ValueError):
    """An argument or a call is not valid."""


class UnknownNameError(UsageError):
    """A name that does not exist. The message proposes the nearest existing name."""

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        options = sorted(known)
        near = _nearest(str(name), options)
        hint = f"did you mean {near!r}? " if near else ""
        listed = f"Known: {', '.join(options)}." if options else f"There is no {kind} here."
        given = repr(name)
        given = given if len(given) <= 200 else f"{given[:200]}…"
        super().__init__(f"Expected a known {kind}, got {given}; {hint}{listed}")
        self.kind, self.name, self.known = kind, name, tuple(options)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.kind, self.name, self.known)


def _nearest(name: str, options: list[str]) -> str | None:
    """The option that the name probably means, without regard to case: a close match, else what begins with it."""
    folded = {option.casefold(): option for option in options}
    wanted = name[:100].strip().casefold()  # matching takes the product of the lengths
    for near in get_close_matches(wanted, folded, n=1):
        return folded[near]
    beginning = [option for key, option in folded.items() if wanted and key.startswith(wanted)]
    return beginning[0] if beginning else None


class ResetNeededError(UsageError):
    """``step`` was called before ``reset``, or after the end of the episode."""


class DataError(HindsightError):
    """Data is missing, damaged or of another version."""


class MissingDataError(DataError, FileNotFoundError):
    """A file or folder does not exist."""


class DamagedDataError(DataError):
    """A file exists but cannot be used."""


class SchemaError(DataError):
    """A stored trajectory has another schema version or shape."""


class MissingExtraError(HindsightError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, why: str) -> None:
        from agentgym_hindsight.installation import pip_command  # reading metadata is slow: only for this message

        super().__init__(f"{why} needs the package {package!r}, which is not installed; try: {pip_command(extra)}")
        self.package, self.extra, self.why = package, extra, why

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.package, self.extra, self.why)


class BackendError(HindsightError):
    """The genuine engine or a server behind an env failed."""


class WorkerError(BackendError):
    """A worker process died or hung."""


class JudgeError(HindsightError):
    """An LLM judge gave no usable answer."""


class ConformanceError(HindsightError, AssertionError):
    """An env does not follow the standard of this library."""
