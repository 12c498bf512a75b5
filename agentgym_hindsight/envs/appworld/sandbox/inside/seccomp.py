"""The seccomp filter: a list of the system calls that the worker may make; every other fails with EPERM.

An allow list is used because new kernels add system calls. No allowed call takes a path, opens a descriptor or affects
another process: they compute, read and write descriptors that are already open, and read the clock. Process ids and the
inode numbers of sockets are not readable: they count the episodes that the host has played.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

__all__ = ["ALLOWED", "NOT_EXECUTABLE", "NOT_OF_PROCESSES", "Filter", "program"]

#: name -> number on (x86_64, aarch64). The filter compares from the top at each call, so read and write come first.
ALLOWED: dict[str, tuple[int, int]] = {
    "read": (0, 63),
    "write": (1, 64),
    "munmap": (11, 215),
    "brk": (12, 214),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "setitimer": (38, 103),
    "getitimer": (36, 102),
    "rt_sigreturn": (15, 139),
    "futex": (202, 98),
    "getrandom": (318, 278),
    "gettimeofday": (96, 169),
    "nanosleep": (35, 101),
    # time.sleep of Python 3.10 calls select without descriptors. aarch64 has pselect6 only.
    "select": (23, 72),
    "pselect6": (270, 72),
    "restart_syscall": (219, 128),
    "sched_yield": (24, 124),
    "close": (3, 57),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
#: Allowed unless the memory would be executable, so that code cannot create native code at run time.
NOT_EXECUTABLE: dict[str, tuple[int, int]] = {"mmap": (9, 222), "mprotect": (10, 226)}
#: Allowed unless the clock has a negative number. Those are the processor times of other processes, of which the kernel
#: lets everyone read, so that trying all numbers would list the processes of the machine.
NOT_OF_PROCESSES: dict[str, tuple[int, int]] = {
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
}

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of the tables, AUDIT_ARCH
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_NUMBER, _ARCH, _FIRST_ARGUMENT, _THIRD_ARGUMENT = 0, 4, 16, 32  # in struct seccomp_data; both are little-endian
_PROT_EXEC, _NEGATIVE = 4, 0x80000000
_X32 = 0x40000000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


def program(machine: str) -> bytes:
    """The filter program: BPF instructions of 8 bytes each.

    >>> len(program("x86_64")) // 8, len(program("aarch64")) // 8
    (80, 78)
    """
    column, arch = MACHINES[machine]
    lines = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    if machine == "x86_64":  # x32 calls have the same architecture value but other numbers
        lines += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    for numbers in ALLOWED.values():
        lines += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _ALLOW)]
    conditional = ((NOT_OF_PROCESSES, _FIRST_ARGUMENT, _NEGATIVE), (NOT_EXECUTABLE, _THIRD_ARGUMENT, _PROT_EXEC))
    for calls, argument, refused_bit in conditional:
        for numbers in calls.values():
            lines += [
                (_EQUAL, 0, 4, numbers[column]),
                (_LOAD, 0, 0, argument),
                (_ANY_BIT, 0, 1, refused_bit),
                (_RETURN, 0, 0, _ERRNO | errno.EPERM),
                (_RETURN, 0, 0, _ALLOW),
            ]
    lines += [(_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


class Filter:
    """Created once in the zygote and installed in each worker, where it must not import or read anything."""

    def __init__(self) -> None:
        machine = os.uname().machine if sys.platform == "linux" else ""  # `platform` would store the host's name
        machine = {"arm64": "aarch64"}.get(machine, machine)
        self._ready = sys.platform == "linux" and machine in MACHINES and struct.calcsize("P") == 8
        if self._ready:
            code = program(machine)
            self._code = ctypes.create_string_buffer(code, len(code))
            header = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(self._code))  # struct sock_fprog
            self._header = ctypes.create_string_buffer(header, len(header))
            self._prctl = ctypes.CDLL(None).prctl
            self._prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4

    def install(self) -> bool:
        """Install the filter; this cannot be undone. Return False if the kernel does not support it."""
        if not self._ready:
            return False
        if self._prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            return False
        header = ctypes.addressof(self._header)
        return bool(self._prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0) == 0)
