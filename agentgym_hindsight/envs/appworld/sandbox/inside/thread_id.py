"""Removes the process id from the record that the C library keeps of the thread.

Where seccomp is active, no system call returns the process id. But ``time.pthread_getcpuclockid`` makes no system call:
it computes a number from the thread's id in that record, and the id of the first thread is that of the process.
"""

from __future__ import annotations

import _thread
import ctypes
import os
from contextlib import suppress
from typing import NamedTuple

__all__ = ["ThreadRecord", "erase_thread_id"]

_WORD = 4
_NO_ID = 1  # not 0, which the C library takes for a thread that has ended and for a lock without an owner


class ThreadRecord(NamedTuple):
    """The process id, and the beginning of the record of the only thread."""

    pid: int
    memory: bytes

    @classmethod
    def read(cls) -> ThreadRecord:
        address = _thread.get_ident()  # CPython returns the C library's pthread_t, which is the record's address
        return cls(os.getpid(), ctypes.string_at(address, _searched_bytes()))

    def holds_pid_at(self, offset: int) -> bool:
        return self.memory[offset : offset + _WORD] == self.pid.to_bytes(_WORD, "little")


def erase_thread_id(parent: ThreadRecord) -> None:
    """Overwrite the id in this process, which was forked off the one that ``parent`` was read in.

    The id is where the record of the parent holds the parent's id and the copy of it here holds this process's id.
    """
    here = ThreadRecord.read()
    for offset in range(0, len(here.memory), _WORD):
        if parent.holds_pid_at(offset) and here.holds_pid_at(offset):
            ctypes.memmove(_thread.get_ident() + offset, _NO_ID.to_bytes(_WORD, "little"), _WORD)


def _searched_bytes() -> int:
    """The record of glibc has more than two kilobytes, with the id in the first; musl has a much smaller one."""
    with suppress(AttributeError, ValueError, OSError):
        if (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc"):
            return 1024
    return 128
