"""What ``agh`` says when a command fails: one message with the cause and what to try, and the exit status."""

from __future__ import annotations

import errno

from agentgym_hindsight.errors import HindsightError, UsageError

__all__ = ["explain"]

#: What to try, by the number of a system error.
_CURES = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "free some space, or write to another disk",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f), or write to another disk",
    errno.EACCES: "try a file or folder that you may read and write",
    errno.EPERM: "try a file or folder that you may read and write",
    errno.EROFS: "try a folder that can be written",
    errno.EISDIR: "try the path of a file",
    errno.ENOTDIR: "try a path whose folders are folders",
    errno.ENOENT: "try a path that exists",
    errno.ENAMETOOLONG: "try a shorter name",
    errno.ELOOP: "try a path without a circle of links",
    errno.EMFILE: "try fewer --num-envs and --workers, or raise the limit of open files (ulimit -n)",
    errno.ENFILE: "try fewer --num-envs and --workers",
    errno.EAGAIN: "try fewer --workers",
    errno.ENOMEM: "try fewer --num-envs and --workers",
}


def explain(error: BaseException) -> tuple[int, str]:
    """The exit status and the message of an error."""
    if isinstance(error, KeyboardInterrupt):
        return 130, "stopped; finished parts are kept."
    if isinstance(error, UsageError):
        return 2, str(error)
    if isinstance(error, HindsightError):
        return 1, str(error)
    if isinstance(error, OSError):
        where = "" if error.filename is None else f" ({error.filename})"
        cause = error.strerror or str(error) or type(error).__name__
        return 1, f"{cause}{where}; {_CURES.get(error.errno or 0, 'try again, or another path')}."
    if isinstance(error, MemoryError):
        return 1, "The memory is used up; try fewer --num-envs, --workers and --tasks."
    return 1, (
        f"An unexpected error, {type(error).__name__}: {error}. This is a fault of agh; "
        "AGH_TRACEBACK=1 in front of the command shows where it happens."
    )
