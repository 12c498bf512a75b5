"""An audit hook that refuses files, processes and sockets with a clear message.

Python calls the hook for every file, process and socket that code requests. It is no security boundary: the hook is a
Python object, and code can get around it. It gives refusals the same text in every mode, and where the kernel refuses
nothing it is the last protection against accidents.
"""

from __future__ import annotations

import sys

__all__ = ["install_audit_hook"]

_NAMES = (
    "os pty socket subprocess shutil ctypes tempfile glob pathlib signal mmap fcntl resource sqlite3 syslog winreg "
    "_winapi msvcrt urllib http ftplib smtplib telnetlib webbrowser posix"
)
_MODULES = frozenset(_NAMES.split())
_EVENTS = frozenset(("open", "code.__new__", "function.__new__", "sys.addaudithook", "cpython.run_command"))


def install_audit_hook() -> None:
    modules, events = _MODULES, _EVENTS

    def hook(event: str, arguments: object) -> None:
        if event in events or event.partition(".")[0] in modules:
            raise PermissionError(f"{event} is not available here: no files, processes or network, only apis")

    sys.addaudithook(hook)
