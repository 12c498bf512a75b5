"""What commands that serve have in common: the socket, the lines about the address, the end by Ctrl-C."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress

from rich.markup import escape

from agentgym_hindsight.cli.terminal import console
from agentgym_hindsight.envs.webshop.site.hosts import is_loopback
from agentgym_hindsight.errors import UsageError

__all__ = ["listener_at", "serve_until_stopped", "url_of"]


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


def url_of(listener: socket.socket) -> str:
    """The address of a server, with the numbers of the host and the port."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def serve_until_stopped(
    listener: socket.socket, about: str, noun: str, serve: Callable[[], object], *, path: str = "", limit: str = ""
) -> None:
    """Print the address, and serve until Ctrl-C.

    ``path`` and ``about`` are printed after the address, ``limit`` before the note about Ctrl-C. A signal may come as
    soon as the address is printed, before ``serve`` runs: this is a regular end too.
    """
    with suppress(KeyboardInterrupt):
        console.print(f"[bold]{escape(url_of(listener) + path)}[/bold]  {escape(about)}", soft_wrap=True, markup=True)
        if not is_loopback(listener.getsockname()[0]):
            console.print(f"[dim]The network can reach this {noun}. It has no TLS and no passwords.[/dim]", markup=True)
        console.print(f"[dim]{limit}Ctrl-C closes the {noun}.[/dim]", markup=True)
        serve()
    console.print("Closed.")
