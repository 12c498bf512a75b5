"""Every error this library raises on purpose.

    HindsightError
    ├── UsageError (ValueError)          a caller asked for something that does not make sense
    │   ├── UnknownNameError             a protocol, split, mode, policy … that does not exist; proposes the nearest
    │   └── ResetNeededError             step() before reset(), or after the episode ended
    ├── DataError                        what was read is missing, damaged or of another version
    │   ├── MissingDataError             a file or folder is not there; names it and the cure
    │   ├── DamagedDataError             a file is there but cannot be used; names it, the place and the cure
    │   └── SchemaError                  a stored trajectory has another schema version or shape
    ├── MissingExtraError (ImportError)  an optional dependency is absent; gives the exact pip command
    ├── BackendError                     the genuine engine or a server behind an env failed
    │   └── WorkerError                  a worker process died or hung
    ├── JudgeError                       an LLM judge did not answer usefully
    └── ConformanceError (AssertionError) an env breaks the standard; the message says how to mend it
        └── testing.env_under_test.NotPlayable  it cannot be played at all

Messages have one shape, Gymnasium's: what was expected, what came instead, what to try.
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
    """Root of every error raised on purpose by this library."""


class UsageError(HindsightError, ValueError):
    """A caller asked for something that does not make sense."""


class UnknownNameError(UsageError):
    """A name that does not exist; the message proposes the nearest one that does."""

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        options = sorted(known)
        near = get_close_matches(str(name), options, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        listed = f"Known: {', '.join(options)}." if options else "There is none of that name."
        super().__init__(f"Expected a known {kind}, got {name!r}; {hint}{listed}")
        self.kind, self.name, self.known = kind, name, tuple(options)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.kind, self.name, self.known)


class ResetNeededError(UsageError):
    """``step`` was called before ``reset`` or after the episode had ended."""


class DataError(HindsightError):
    """What was read is missing, damaged or of another version."""


class MissingDataError(DataError, FileNotFoundError):
    """A file or folder is not there."""


class DamagedDataError(DataError):
    """A file is there but cannot be used."""


class SchemaError(DataError):
    """A stored trajectory has another schema version or shape."""


class MissingExtraError(HindsightError, ImportError):
    """An optional dependency is absent."""

    def __init__(self, package: str, extra: str, why: str) -> None:
        super().__init__(
            f"{why} needs the package {package!r}, which is not installed; "
            f"try: pip install 'agentgym-hindsight[{extra}]'"
        )
        self.package, self.extra, self.why = package, extra, why

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.package, self.extra, self.why)


class BackendError(HindsightError):
    """The genuine engine or a server behind an env failed."""


class WorkerError(BackendError):
    """A worker process died or hung."""


class JudgeError(HindsightError):
    """An LLM judge did not answer usefully."""


class ConformanceError(HindsightError, AssertionError):
    """An env breaks the standard."""
