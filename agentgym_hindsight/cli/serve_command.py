"""``agh serve``: the shop as a web site, with the same engine as the environment."""

from __future__ import annotations

import argparse
import errno
import importlib
import importlib.util
import os
import socket
from typing import Any

from flask import Flask
from rich.markup import escape

from agentgym_hindsight.cli.shared import console, env_arguments
from agentgym_hindsight.envs.webshop.site.app import create_app
from agentgym_hindsight.errors import UnknownNameError, UsageError

#: The settings that ``--set`` accepts: data, goals and rules of the shop.
_SETTABLE = ("data", "goals", "nouns", "products", "rules", "shop_seed", "tag")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("world", choices=["webshop"], help="the environment")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s, only this machine)"
    )
    parser.add_argument("--port", type=int, default=3000, help="port; 0 takes a free one (default: %(default)s)")
    parser.add_argument("--split", default="train", help="split of the visitors' goals (default: %(default)s)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"an argument of the env: {', '.join(_SETTABLE)}; repeatable",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed that maps the name of a session to its goal (default: %(default)s)"
    )
    parser.add_argument("--sessions", type=int, default=5000, help="largest number of sessions (default: %(default)s)")
    parser.add_argument("--hide-goal", action="store_true", help="show only the score on the last page")
    parser.add_argument(
        "--threads",
        type=int,
        default=8,
        help="threads of waitress, if it is installed; otherwise one thread per request (default: %(default)s)",
    )
    parser.add_argument("--log", action="store_true", help="print a line for each request (not with waitress)")


def run(options: argparse.Namespace) -> int:
    settings = env_arguments(options)
    for name in set(settings) - {"split", *_SETTABLE}:
        raise UnknownNameError("argument of a shop (--set)", name, _SETTABLE)
    if not 0 <= options.port < 65536:
        raise UsageError(f"Expected a port from 0 to 65535, got {options.port}; try --port 3000.")
    if options.threads < 1:
        raise UsageError(f"Expected at least one thread, got {options.threads}; try --threads 8.")
    # Loading the shop may take long, so the port is opened first: a port in use is then reported at once.
    with _listener(options.host, options.port) as listener:
        app = create_app(seed=options.seed, reveal=not options.hide_goal, max_sessions=options.sessions, **settings)
        host, port = listener.getsockname()[:2]
        url_host = f"[{host}]" if ":" in host else host
        console.print(
            f"[bold]http://{escape(url_host)}:{port}/[/bold]  {escape(app.config['ABOUT'])}",
            soft_wrap=True,
            markup=True,
        )
        if host not in ("127.0.0.1", "::1"):
            console.print("[dim]The network can reach this site. It has no TLS and no passwords.[/dim]", markup=True)
        _serve(app, listener, options)
    console.print("Closed.")
    return 0


def _listener(host: str, port: int) -> socket.socket:
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
            errno.EACCES: ("which needs administrator rights", "--port 3000"),
            errno.EADDRNOTAVAIL: ("which is not an address of this machine", "--host 127.0.0.1"),
        }.get(error.errno or 0, (f"which failed ({error})", "--host 127.0.0.1 --port 0"))
        raise UsageError(f"Expected a free port, got {host}:{port}, {cause}; try {fix}.") from error
    return listener


def _serve(app: Flask, listener: socket.socket, options: argparse.Namespace) -> None:
    if importlib.util.find_spec("waitress") is not None:
        waitress: Any = importlib.import_module("waitress")
        console.print(f"[dim]waitress, {options.threads} threads. Ctrl-C closes the shop.[/dim]", markup=True)
        waitress.serve(app, sockets=[listener], threads=options.threads, ident=None)
        return
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            if options.log:
                super().log_request(code, size)

    console.print("[dim]Werkzeug's server, one thread per request. Ctrl-C closes the shop.[/dim]", markup=True)
    host, port = listener.getsockname()[:2]
    # serve_forever returns on Ctrl-C and closes its copy of the socket.
    make_server(host, port, app, threaded=True, request_handler=Quiet, fd=listener.fileno()).serve_forever()
