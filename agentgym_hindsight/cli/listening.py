"""The socket of commands that serve pages: a port in use is an error with a cure."""

from __future__ import annotations

import errno
import os
import socket

from agentgym_hindsight.errors import UsageError

__all__ = ["listener_at"]


def listener_at(host: str, port: int, *, default: int) -> socket.socket:
    """A socket that listens at an address of this machine. Errors propose the next port, or the ``default``."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"Expected an address of this machine, got {host!r} ({error}); try --host 127.0.0.1."
        ) from error
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # the port can be used again at once; on Windows it would let two servers share it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        cause, fix = {
            errno.EADDRINUSE: ("which another program uses", f"--port {port + 1 if port < 65535 else 0}"),
            errno.EACCES: ("which needs administrator rights", f"--port {default}"),
            errno.EADDRNOTAVAIL: ("which is not an address of this machine", "--host 127.0.0.1"),
        }.get(error.errno or 0, (f"which failed ({error})", "--host 127.0.0.1 --port 0"))
        raise UsageError(f"Expected a free port, got {host}:{port}, {cause}; try {fix}.") from error
    return listener
