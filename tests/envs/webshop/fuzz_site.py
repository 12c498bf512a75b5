"""Malformed requests to the site: no status 500, no traceback, and no effect on the session of another visitor.

python -m tests.envs.webshop.fuzz_site 100000
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from flask import Flask
from rich.console import Console
from rich.progress import track
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app

from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.envs.webshop.shop_types import RULES
from agentgym_hindsight.envs.webshop.site.app import create_app
from tests.envs.webshop.tiny_shop import ITEMS, tiny_shop

__all__ = ["Report", "fuzz_site"]

_CALM = "calm-fixed_1"
_NAMES = (
    "ann",
    "bob",
    "fixed_2",
    "fixed_999999999",
    "unknown",
    "",
    "..",
    "a b",
    "<b>",
    "x" * 300,
    "static",
    "fixed",
    "-",
)
_ROUTES = (
    "search_results",
    "item_page",
    "item_sub_page",
    "done",
    "picture",
    "static",
    "Done",
    "",
    "admin",
    "search_results ",
)
_ASINS = (
    *(str(record["asin"]) for record in ITEMS[:6]),
    "NOSUCHASIN",
    "",
    "../../etc/passwd",
    "t000000001",
    "%00",
    "\u2028",
)
_WORDS = (
    "mug",
    "clay+mug",
    "+",
    "",
    "['clay', 'mug']",
    "[",
    "1/2",
    "a//b",
    "..",
    "<script>",
    "<r>",
    "<c>",
    "\ud7ff\U0001f600",
)
_PAGES = ("1", "2", "0", "-1", "99", "9999999999999", "one", "1e3", " 1", "\u0661", "", "1.0")
_OPTIONS = (
    "{}",
    "{'color': 'red'}",
    '{"color": "red", "size": "large"}',
    "{'color': 'caf\\xe9'}",
    "{",
    "}",
    "[]",
    "None",
    "{1: 2}",
    "{'a':" * 200,
    "__import__('os').system('x')",
    "{'color': 'red'" + " " * 5000 + "}",
    "{'color': '\\ud800'}",
    "{}{}",
    "{'color': {'color': 'red'}}",
    '{"features": "red"}',
    "(" * 3000,
    "{'__class__': 'x'}",
)
_SUBS = ("Description", "features", "Reviews", "Attributes", "Secrets", "", "..", "Buy Now")
_ODD_METHODS = ("HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "get", "BREW", "")
_CLICKS = (
    "buy now",
    "next >",
    "< prev",
    "back to search",
    "features",
    "t000000001",
    "red",
    "search",
    "",
    "[",
    "]",
    "\0",
    "click[x]",
    "x" * 9000,
    "\ud83d",
    "{{7*7}}",
    "{% raw %}",
    "../../",
    "red\r\nSet-Cookie: a=b",
)
_TYPES = (
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "application/json",
    "",
    "text/plain; charset=utf-7",
    "application/x-www-form-urlencoded; charset=nonsense",
    "\xff/\xfe",
    "multipart/form-data; boundary=" + "b" * 300,
)


@dataclass
class Report:
    """The result. ``wrong`` lists the requests with a wrong answer."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    sessions: int = 0


def fuzz_site(n: int, seed: int = 0, progress: bool = False) -> Report:
    """Send ``n`` malformed requests, the same for the same seed. Odd seeds use the official rules."""
    draw, report = Random(seed), Report()
    app = create_app(tiny_shop(), rules=RULES[seed % 2], max_sessions=50)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    calm = _calm(app)
    before = calm.state
    numbers: Any = range(n)
    if progress:
        numbers = track(numbers, "requests", total=n, console=Console(stderr=True))
    for number in numbers:
        environ = _environ(draw)
        request = f"{environ['REQUEST_METHOD']!r} {environ['PATH_INFO']!r} {environ.get('CONTENT_TYPE')!r}"[:400]
        start = time.perf_counter()
        try:
            body, status, headers = run_wsgi_app(app, environ, buffered=True)
            text = b"".join(body)
        except Exception as error:  # the server would answer 500
            report.wrong.append(f"{number}: {request}: {error!r}")
            continue
        report.slowest = max(report.slowest, time.perf_counter() - start)
        code = int(status.split()[0])
        report.requests += 1
        report.statuses[code] += 1
        if code >= 500:
            report.wrong.append(f"{number}: {request}: {status}")
        elif code >= 400 and code != 405 and environ["REQUEST_METHOD"] != "HEAD" and b"href=" not in text:
            report.wrong.append(f"{number}: {request}: {status} without a link")
        elif any("\n" in value or "\r" in value for _, value in headers) or "Set-Cookie" in headers:
            report.wrong.append(f"{number}: {request}: a header of the visitor's")
        elif b"<script" in text or b"Traceback" in text:
            report.wrong.append(f"{number}: {request}: markup of the visitor's")
        if number % 40 == 0:  # the access keeps it from being the least recently used
            found = app.extensions["webshop"].find(_CALM)
            if found is None or found.session is not calm or calm.state != before:
                report.wrong.append(f"{number}: {request}: moved another visitor")
                return report
    report.sessions = len(app.extensions["webshop"])
    return report


def _calm(app: Flask) -> Session:
    """The session of a visitor who stays on a results page."""
    client = Client(app)
    client.get(f"/{_CALM}")
    client.post(f"/{_CALM}", data={"search_query": "clay mug"})
    session: Session = app.extensions["webshop"].find(_CALM).session
    assert session.state.shown
    return session


def _environ(draw: Random) -> dict[str, Any]:
    """One request as a WSGI server passes it on, decoded to Latin-1."""
    path = _path(draw)
    query = draw.choice(("", "", "color=red", "%zz=%", "a" * 3000, "search_query=mug", "\xff=\x00"))
    kind, body = _body(draw)
    builder = EnvironBuilder(path="/", method="GET", input_stream=io.BytesIO(body))
    environ = dict(builder.get_environ())
    environ["REQUEST_METHOD"] = draw.choice(("GET", "POST") if draw.random() < 0.85 else _ODD_METHODS)
    environ["PATH_INFO"] = path.encode("utf-8", "surrogatepass").decode("latin-1")
    environ["QUERY_STRING"] = query
    environ["CONTENT_TYPE"] = kind
    environ["CONTENT_LENGTH"] = draw.choice((str(len(body)),) * 8 + ("", "-1", "x", "99999999999", "1"))
    if draw.random() < 0.3:
        name = draw.choice(
            ("COOKIE", "HOST", "REFERER", "ACCEPT", "RANGE", "IF_NONE_MATCH", "TRANSFER_ENCODING", "EXPECT")
        )
        environ[f"HTTP_{name}"] = draw.choice(
            (
                "session=" + _CALM,
                "\xff\xfe",
                "a" * 5000,
                "",
                "=;=;\x00",
                "chunked",
                "evil.example:99999",
                "[::1",
                "bytes=9-1",
            )
        )
    return environ


def _path(draw: Random) -> str:
    style = draw.random()
    if style < 0.15:
        path = "/" + draw.choice(_NAMES)
    elif style < 0.25:
        path = "/" + "".join(
            chr(draw.choice((draw.randrange(1, 256), draw.randrange(256, 0xD800)))) for _ in range(draw.randrange(40))
        )
    else:
        name = draw.choice(_NAMES[:4]) if draw.random() < 0.8 else draw.choice(_NAMES)

        def some(listed: tuple[str, ...]) -> str:  # valid parts are more frequent, so that requests reach the pages
            return listed[0] if draw.random() < 0.5 else draw.choice(listed)

        parts = {
            "search_results": lambda: (name, some(_WORDS), some(_PAGES)),
            "item_page": lambda: (
                name,
                some(_ASINS),
                some(_WORDS),
                some(_PAGES),
                some(_OPTIONS),
            ),
            "item_sub_page": lambda: (
                name,
                some(_ASINS),
                some(_WORDS),
                some(_PAGES),
                some(_SUBS),
                some(_OPTIONS),
            ),
            "done": lambda: (name, some(_ASINS), some(_OPTIONS)),
            "picture": lambda: (some(_ASINS) + draw.choice((".svg", "", ".png")),),
        }
        route = draw.choice(_ROUTES[:5]) if draw.random() < 0.9 else draw.choice(_ROUTES)
        path = "/".join(("", route, *parts.get(route, lambda: (name,))()))
    if draw.random() < 0.2 and path:  # truncated, doubled or with an insertion
        place = draw.randrange(len(path))
        path = draw.choice(
            (
                path[:place],
                path[:place] + draw.choice("/%\0\n\\?#{}<") + path[place:],
                path + "/",
                path.replace("/", "//"),
                path[:place] + "A" * 3000 + path[place:],
                path[1:],
            )
        )
    return path


def _body(draw: Random) -> tuple[str, bytes]:
    kind = draw.choice(_TYPES[:1] * 5 + _TYPES)
    style = draw.random()
    if style < 0.45:
        fields = [("clickable", draw.choice(_CLICKS))]
    elif style < 0.65:
        fields = [("search_query", draw.choice((*_CLICKS, *_WORDS, "m" * 1001)))]
    elif style < 0.8:
        fields = [
            ("color", draw.choice(("red", "caf\u00e9", "plaid", ""))),
            ("size", "large"),
            ("clickable", draw.choice(_CLICKS)),
        ]
    elif style < 0.9:
        return kind, draw.randbytes(draw.choice((0, 10, 1000, 40_000)))
    else:
        fields = [(f"f{number}", "x") for number in range(draw.choice((1, 150, 5000)))]
    raw = "&".join(f"{name}={value}" for name, value in fields).encode("utf-8", "surrogatepass")
    if kind.startswith("multipart") and draw.random() < 0.7:
        parts = [f'--x\r\nContent-Disposition: form-data; name="{a}"\r\n\r\n{b}\r\n' for a, b in fields]
        raw = ("".join(parts) + draw.choice(("--x--\r\n", "", "--x"))).encode("utf-8", "surrogatepass")
    return kind, raw


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("requests", type=int, nargs="?", default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    report = fuzz_site(options.requests, options.seed, progress=True)
    for line in report.wrong[:20]:
        print("wrong:", line)
    statuses = ", ".join(f"{code}: {count}" for code, count in sorted(report.statuses.items()))
    print(f"{report.requests} requests in {time.perf_counter() - start:.0f} s · {statuses}")
    print(f"slowest {1000 * report.slowest:.0f} ms · {report.sessions} sessions kept · wrong: {len(report.wrong)}")
    return bool(report.wrong)


if __name__ == "__main__":
    sys.exit(main())
