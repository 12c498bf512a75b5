"""Restrict a process: namespaces and an empty root for all workers, resource limits for each worker."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Callable

if sys.platform != "win32":
    import resource

__all__ = [
    "close_all_but",
    "die_with_parent",
    "drop_privileges",
    "enter_namespaces",
    "forbid_tracing",
    "limit_resources",
    "mapped_memory",
    "memory_probe",
    "own_limits",
]

NOBODY = 65534
_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    0x00020000,
    0x02000000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
_NAMESPACES = _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | _NEWNET | _NEWCGROUP
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
_DETACH = 2
_PDEATHSIG, _DUMPABLE, _NO_NEW_PRIVS = 1, 4, 38
_SIGKILL = 9
_PROT_READ, _PROT_WRITE, _MAP_PRIVATE, _MAP_ANONYMOUS = 1, 2, 2, 32
_MOUNT_POINTS = ("/tmp", "/proc")  # folders that exist everywhere; hidden in this process's namespace only
_HARD_CPU_SECONDS = 2  # after the soft limit, for code that swallows it
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _call(name: str, *arguments: object) -> None:
    """Call a function of the C library that returns 0 on success; raise OSError otherwise."""
    if getattr(_libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def _prctl(option: int, value: int) -> None:
    if _libc is not None:
        _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent ends (Linux only)."""
    _prctl(_PDEATHSIG, _SIGKILL)


def forbid_tracing() -> None:
    """Prevent other processes of this user from reading or tracing this one."""
    _prctl(_DUMPABLE, 0)


def enter_namespaces(keep: int) -> bool:
    """Hide network, files, other processes and the host's name from this process. Return whether all of it succeeded.

    Root does not need a user namespace, which some distributions restrict; other users do. A pid namespace applies to
    children only, so the zygote continues in a child. That child is the namespace's init process: when it dies, the
    kernel kills every worker. The original process only waits for the child; it closes the descriptor ``keep``.
    """
    if _libc is None:
        return False
    try:
        _unshare()
    except OSError:
        return False
    if child := os.fork():
        os.close(keep)
        drop_privileges()
        os.waitpid(child, 0)
        os._exit(0)
    try:
        _call("sethostname", b"sandbox", ctypes.c_size_t(7))
        _empty_root()
    except OSError:
        return False
    return True


def _unshare() -> None:
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        with contextlib.suppress(OSError):
            _call("unshare", _NAMESPACES)
            return
        drop_privileges()  # otherwise the workers would run as root, to which some limits do not apply
        user, group = os.geteuid(), os.getegid()
    _call("unshare", _NAMESPACES | _NEWUSER)
    for file, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{NOBODY} {user} 1"),
        ("gid_map", f"{NOBODY} {group} 1"),
    ):
        with open(f"/proc/self/{file}", "w") as into:
            into.write(text)


def _empty_root() -> None:
    """Replace the root by an empty read-only file system."""
    _call("mount", b"none", b"/", None, ctypes.c_ulong(_REC | _PRIVATE), None)
    place = next(os.fsencode(folder) for folder in _MOUNT_POINTS if os.path.isdir(folder))
    flags = _NOSUID | _NODEV | _NOEXEC
    _call("mount", b"none", place, b"tmpfs", ctypes.c_ulong(flags), b"size=4k,nr_inodes=2,mode=555")
    os.chdir(place)
    # pivot_root(".", ".") stacks the old root on the new one at the same path; umount2 then detaches the old one.
    if _libc is not None and _libc.syscall(ctypes.c_long(_PIVOT_ROOT[os.uname().machine]), b".", b".") != 0:
        raise OSError(ctypes.get_errno(), "pivot_root")
    _call("umount2", b".", _DETACH)
    os.chdir("/")
    _call("mount", None, b"/", None, ctypes.c_ulong(_REMOUNT | _BIND | _RDONLY | flags), None)
    if os.listdir("/"):
        raise OSError("the new root is not empty")


def drop_privileges() -> None:
    """Change from root to the user ``nobody``, and drop all capabilities, also those of a user namespace."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):  # some containers do not allow this; then the other layers remain
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        _prctl(_DUMPABLE, 1)  # the change of user made /proc/self unwritable, and uid_map lies there
    if _libc is not None:
        header = struct.pack("Ii", 0x20080522, 0)
        _libc.capset(header, bytes(24))
        _prctl(_NO_NEW_PRIVS, 1)


def mapped_memory() -> int:
    """Bytes mapped by this process. Call it before ``enter_namespaces``, which hides /proc."""
    if _libc is None:
        return 0
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def memory_probe(size: int) -> Callable[[], bool]:
    """Return a function that tells whether ``size`` more bytes can be mapped. It maps and unmaps them untouched.

    ``bytes(size)`` tells the same, but its header lies in the memory, and the kernel may clear two megabytes for it.
    """
    if _libc is None:
        return lambda: False  # the caller then tries to allocate them
    take, give = _libc.mmap, _libc.munmap
    take.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
    take.restype = ctypes.c_void_p
    give.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    failed = ctypes.c_void_p(-1).value

    def fits() -> bool:
        place = take(None, size, _PROT_READ | _PROT_WRITE, _MAP_PRIVATE | _MAP_ANONYMOUS, -1, 0)
        if place == failed:
            return False
        give(place, size)
        return True

    return fits


def limit_resources(memory: int, cpu_seconds: int) -> None:
    """Set hard limits for the rest of the process. ``memory`` is in bytes and includes everything already mapped.

    Only the limit of processor time has a lower soft limit: there the kernel sends SIGXCPU, at the hard one it kills.
    """
    wanted = {
        "RLIMIT_AS": memory,
        "RLIMIT_DATA": memory,
        "RLIMIT_CPU": cpu_seconds + _HARD_CPU_SECONDS,
        "RLIMIT_STACK": 8 << 20,
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_SIGPENDING": 0,  # no timer that sends SIGCONT, which would resume the worker between turns
        "RLIMIT_NPROC": 0,
        "RLIMIT_NOFILE": 0,  # no new file, socket or pipe; descriptors that are open stay open
    }
    for name, value in wanted.items():
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        with contextlib.suppress(OSError, ValueError):  # macOS refuses some; its mode is reported as weaker
            hard = resource.getrlimit(kind)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            soft = min(cpu_seconds, max(1, value - 1)) if name == "RLIMIT_CPU" else value
            resource.setrlimit(kind, (soft, value))


def own_limits() -> tuple[tuple[int, int], ...]:
    """The limits of open files and processes. Code that can make any system call can lower those of its parent."""
    return resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_NPROC)


def close_all_but(keep: int) -> None:
    limit = max(keep + 1, min(os.sysconf("SC_OPEN_MAX"), 1 << 16))
    os.closerange(0, keep)
    os.closerange(keep + 1, limit)
