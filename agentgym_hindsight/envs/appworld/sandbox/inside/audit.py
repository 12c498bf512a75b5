"""A plain word where the kernel would only say "Operation not permitted", and the last fence where it says nothing.

Python tells an audit hook of every file, process and socket that code asks for. Code that means it can get round such a
hook (it is a Python object like any other), so this is no wall; it makes refusals read the same in every mode.
"""

from __future__ import annotations

import sys

__all__ = ["refuse_the_outside"]

_NAMES = (
    "os pty socket subprocess shutil ctypes tempfile glob pathlib signal mmap fcntl resource sqlite3 syslog winreg "
    "_winapi msvcrt urllib http ftplib smtplib telnetlib webbrowser posix"
)
_ROOMS = frozenset(_NAMES.split())
_EVENTS = frozenset(("open", "code.__new__", "function.__new__", "sys.addaudithook", "cpython.run_command"))


def refuse_the_outside() -> None:
    rooms, events = _ROOMS, _EVENTS

    def hook(event: str, arguments: object) -> None:
        if event in events or event.partition(".")[0] in rooms:
            raise PermissionError(f"{event} is not available here: no files, processes or network, only apis")

    sys.addaudithook(hook)
