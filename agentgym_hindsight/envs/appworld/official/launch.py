"""The launcher: runs one AppWorld server and ends it together with the host.

    python -I launch.py FD FOLDER COMMAND...

It is a script for the interpreter that has the ``appworld`` package, and uses only the standard library. ``FD`` is a
listening socket for the command. ``FOLDER`` is the working directory, which is removed at the end. Standard input is a
pipe from the host. When it closes, because the host closed it or died, the launcher kills the server. The server cannot
do this itself: the agent's code runs in it and could prevent it.
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
    """Start the server; wait until the server or the host ends."""
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):  # not Linux: if this process is killed, the server keeps running
        prctl = None

    def die_with_parent() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(fd,),
        cwd=folder,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    os.close(fd)  # so that connections break when the server ends

    def leave(status: int) -> None:
        with contextlib.suppress(OSError):
            os.killpg(server.pid, signal.SIGKILL)  # also ends processes that the agent's code has started
        server.wait()  # otherwise a zombie stays where no init process reaps orphans, as in many containers
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(status)

    threading.Thread(target=lambda: leave(server.wait() & 0xFF), daemon=True).start()
    while os.read(0, 4096):
        pass
    leave(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
