"""The shop as a web site for people and for browser agents. It uses the engine of the env.

    from agentgym_hindsight.envs.webshop.site.app import create_app
    app = create_app(data="embedded")  # a WSGI application

``agh serve webshop`` serves it with the limits of ``server.py``. Another server must have its own limits on time and
connections.

Pages have no scripts and load nothing from other servers; the headers forbid both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from http import HTTPStatus

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.routing import BaseConverter

from agentgym_hindsight.envs.webshop.library import Library, open_library
from agentgym_hindsight.envs.webshop.nouns import DEFAULT_NOUNS, NOUN_RULES
from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.envs.webshop.shop_types import RULES, Goal
from agentgym_hindsight.envs.webshop.site.addresses import PageNotFoundError
from agentgym_hindsight.envs.webshop.site.hosts import name_of
from agentgym_hindsight.envs.webshop.site.sessions import Sessions
from agentgym_hindsight.envs.webshop.site.views import Views
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.tasks import seeded_int

__all__ = ["create_app"]

_FIXED = re.compile(r"fixed\w*_(\d{1,9})")
#: Bytes. The largest forms are a search of at most 1,000 characters and a product's form with its few options.
_LARGEST_FORM = 32 * 1024
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class _Rest(BaseConverter):
    """The rest of an address with any content: a search may contain slashes and line breaks, or be empty."""

    regex = r"[\s\S]*?"
    part_isolating = False
    weight = 300


def create_app(
    shop: Shop | Library | None = None,
    *,
    data: str | os.PathLike[str] = "auto",
    rules: str = "strict",
    goals: str | os.PathLike[str] = "auto",
    products: int = 1000,
    tag: str | None = None,
    shop_seed: int = 0,
    split: str = "train",
    nouns: str = DEFAULT_NOUNS,
    seed: int = 0,
    reveal: bool = True,
    max_sessions: int = 5000,
    max_age: float = 4 * 3600.0,
    hosts: Collection[str] | None = None,
) -> Flask:
    """A site for a shop; if none is given, for the shop of the arguments ``data`` to ``shop_seed``, as in the env.

    The goal of a session depends only on its name, ``seed`` and ``split`` (a plain :class:`Shop` has no splits; all its
    goals are used). The name ``fixed_12`` plays goal 12 of the shop. ``reveal=False`` hides the goal and the parts of
    the reward on the last page, for browser agents whose later prompts contain the pages that they have seen.
    ``hosts`` are the names that requests may use for the site, without ports (default: any). A site that only this
    machine should reach needs them: see ``hosts.py``.
    """
    if shop is None:
        shop = open_library(data, rules=rules, goals=goals, products=products, seed=shop_seed, tag=tag)
    library, plain_shop = (shop, shop.shop) if isinstance(shop, Library) else (None, shop)
    title = plain_shop.name
    if library is not None:
        rules, title = library.rules, f"{plain_shop.name} ({split})"
        library.count(split)  # raises for a split without goals now, not at the first request
    if rules not in RULES:
        raise UnknownNameError("rule set", rules, RULES)
    if nouns not in NOUN_RULES:
        raise UnknownNameError("noun rule", nouns, NOUN_RULES)
    if isinstance(hosts, str):
        raise UsageError(f"Expected a list of host names, got {hosts!r}; try hosts=[{hosts!r}].")
    if not plain_shop.goals:
        raise UsageError(f"Expected goals in the shop {plain_shop.name!r}, got none; try goals='synthetic'.")
    about = f"{len(plain_shop.products):,} products · {title} · {rules} rules"
    app = Flask(__name__)
    app.config.update(MAX_CONTENT_LENGTH=_LARGEST_FORM, MAX_FORM_PARTS=200, ABOUT=about)
    app.url_map.merge_slashes = False  # "a//b" is a possible search
    app.url_map.strict_slashes = False
    app.url_map.converters["rest"] = _Rest
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    new_session = _session_factory(plain_shop, library, rules, split, nouns, seed)
    sessions = app.extensions["webshop"] = Sessions(new_session, limit=max_sessions, max_age=max_age)
    Views(plain_shop, sessions, about, reveal).register(app)
    if hosts is not None:
        app.before_request(_host_check(hosts))
    app.register_error_handler(HTTPException, _error_page)
    app.after_request(_with_headers)
    return app


def _session_factory(
    shop: Shop, library: Library | None, rules: str, split: str, nouns: str, seed: int
) -> Callable[[str], Session]:
    def goal_of(name: str) -> Goal:
        match = _FIXED.search(name)
        if match:
            number = int(match[1])
            if number >= len(shop.goals):
                raise PageNotFoundError(f"This shop has goals 0 to {len(shop.goals) - 1}, no goal {number}.")
            return shop.goals[number]
        random_number = seeded_int("webshop-site", seed, name)
        if library is None:
            return shop.goals[random_number % len(shop.goals)]
        return library.goal(library.task(split, random_number % library.count(split)))

    return lambda name: Session(shop, goal_of(name), rules, nouns=nouns, session_id=name)


def _host_check(hosts: Collection[str]) -> Callable[[], None]:
    """A check of the Host header. HTTP/1.0 has none; browsers always send one."""
    allowed = {name.lower() for name in hosts}

    def check() -> None:
        header = request.environ.get("HTTP_HOST")
        if header is not None and name_of(header) not in allowed:
            raise BadRequest("This site does not answer to the name in the request. Use the address that it printed.")

    return check


def _error_page(error: HTTPException) -> Response:
    """An error page with the reason and a link to the shop."""
    code = error.code or 500
    title = HTTPStatus(code).phrase if code in {status.value for status in HTTPStatus} else "Not possible"
    reason = {
        404: "There is no such page.",
        405: f"This page does not support {request.method[:20]}.",
        413: "This form is larger than any form of this shop.",
        500: "An internal error occurred. The console of the server shows the details.",
    }.get(code, error.description or title)
    answer = Response(render_template("error.html", title=title, reason=reason, name=None), code)
    for header, value in error.get_headers():
        if header in ("Allow", "Retry-After"):
            answer.headers[header] = value
    return answer


def _with_headers(response: Response) -> Response:
    for header, value in _HEADERS.items():
        response.headers.setdefault(header, value)
    # Pages change with the session, so the browser must load them again when the user goes back.
    response.headers.setdefault("Cache-Control", "no-store")
    return response
