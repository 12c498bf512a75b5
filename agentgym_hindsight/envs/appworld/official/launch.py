"""Runs one AppWorld server and ends it with its host. Started as a script, by the package's own interpreter.

    python -I launch.py FD FOLDER COMMAND...

``FD`` is a listening socket for the command, ``FOLDER`` is where it runs and is removed at the end. Standard input is a
pipe from the host: when it closes, because the host says so or because it is dead, the server dies too. A process
between the two is needed for that: agents' code runs inside the server and can keep it from noticing anything.
Standard library only.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1


def main(fd: int, folder: str, command: "list[str]") -> None:
    """Start the server, wait for either end."""
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):  # not Linux: should this very process be killed, its server outlives it
        prctl = None

    def die_with_parent() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # what a world prints is the benchmark's business
        pass_fds=(fd,),
        cwd=folder,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    os.close(fd)  # so that connections break when the server does

    def leave(status: int) -> None:
        with contextlib.suppress(OSError):
            os.killpg(server.pid, signal.SIGKILL)  # whatever agents' code may have started with it
        server.wait()  # or a zombie stays where nobody reaps orphans, as in many containers
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(status)

    threading.Thread(target=lambda: leave(server.wait() & 0xFF), daemon=True).start()
    while os.read(0, 4096):
        pass
    leave(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
