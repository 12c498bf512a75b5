"""Addresses: which one a page has, and what a session does when somebody comes by an address.

The routes are the original's, where everything about a page stands in its address. Here the server knows it too. An
address that says what the session says changes nothing; any other takes the session there, as a deep link.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from agentgym_hindsight.envs.webshop.pages import DONE, INDEX, ITEM, PER_PAGE, RESULTS, SUB, SUBPAGES, State
from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.envs.webshop.site.option_text import read_options, read_strings, write_options

__all__ = ["LONGEST_QUERY", "NowhereError", "address", "arrive", "item_address"]

#: Characters of a search; human instructions have some 300.
LONGEST_QUERY = 1000

_PAGE = re.compile(r"(.*)/(\d{1,6})", re.DOTALL)
# A search may hold "/1/" itself: options are known by their brace.
_ITEM = re.compile(r"(.*?)/(\d{1,6})(?:/(\{.*)?)?", re.DOTALL)
_SUB = re.compile(r"(.*?)/(\d{1,6})/(\w{1,20})(?:/(\{.*)?)?", re.DOTALL)
_SUBS = {name.lower(): name for name in (*SUBPAGES, "Attributes")}


class NowhereError(Exception):
    """There is no such page; the text says why, for a person."""


class _Place(NamedTuple):
    words: str
    page: int = 1
    sub: str = ""
    options: str = "{}"


def address(name: str, shop: Shop, state: State) -> str:
    """The address of the page a session of that name stands on."""
    if state.kind == INDEX:
        return f"/{name}"
    words = quote(_words(state.query), safe="+", errors="replace")
    if state.kind == RESULTS:
        return f"/search_results/{name}/{words}/{state.page}"
    asin = quote(shop.products[state.product].asin, safe="", errors="replace")
    options = quote(write_options(state.options), safe=":,", errors="replace")
    if state.kind == ITEM:
        return f"/item_page/{name}/{asin}/{words}/{state.page}/{options}"
    if state.kind == SUB:
        return f"/item_sub_page/{name}/{asin}/{words}/{state.page}/{state.sub}/{options}"
    return f"/done/{name}/{asin}/{options}"


def item_address(name: str, shop: Shop, state: State, product: int) -> str:
    """The address of a product among the results."""
    return address(name, shop, state._replace(kind=ITEM, product=product))


def arrive(session: Session, kind: str, asin: str = "", rest: str = "") -> None:
    """Take a session to the page of an address; ``rest`` is what follows the session and the asin in it."""
    if kind == INDEX:
        # From anywhere, as the button does; after a purchase the same wish may be played again.
        if not session.act("click[back to search]").valid:
            session.state = State()
        return
    if kind == RESULTS:
        place = _place(_PAGE, rest, session, "a search and the number of a page")
        _go_results(session, place)
        return
    product = session.shop.position.get(asin)
    if product is None:
        raise NowhereError(f"This shop sells no product {asin[:20]!r}.")
    if kind == DONE:
        _go_done(session, product, _options(session, product, rest))
    elif kind == ITEM:
        place = _place(_ITEM, rest, session, "a search, the number of a page and options")
        _go_item(session, place, product)
    else:
        place = _place(_SUB, rest, session, "a search, the number of a page, a part and options")
        _go_item(session, place, product)


def _go_results(session: Session, place: _Place) -> None:
    query, hits = _search(session, place)
    now = session.state
    if (now.kind, now.query, now.page) != (RESULTS, query, place.page):
        session.state = State(RESULTS, query, place.page, hits, opened=now.opened)


def _go_item(session: Session, place: _Place, product: int) -> None:
    query, hits = _search(session, place)
    options = _options(session, product, place.options)
    if place.sub and place.sub.lower() not in _SUBS:
        raise NowhereError(f"A product has no part {place.sub!r}: only {', '.join(SUBPAGES)}.")
    sub = _SUBS.get(place.sub.lower(), "")
    now = session.state
    if product in now.shown and (now.query, now.page) == (query, place.page) and not options and not sub:
        session.act(f"click[{session.shop.products[product].asin}]")  # the link on the page of results
        now = session.state
    kept = now.product == product and dict(now.options) == dict(options)
    wanted = State(
        SUB if sub else ITEM,
        query,
        place.page,
        hits,
        product,
        sub,
        now.options if kept else options,  # in the order of choice
        now.opened | {product},
    )
    if wanted != now:
        session.state = wanted


def _go_done(session: Session, product: int, options: tuple[tuple[str, str], ...]) -> None:
    now = session.state
    if now.kind == DONE and now.product == product and dict(now.options) == dict(options):
        return
    if now.product != product or dict(now.options) != dict(options):
        now = now._replace(product=product, options=options)
    session.state = now._replace(kind=ITEM, sub="", parts=None)
    session.act("click[buy now]")


def _search(session: Session, place: _Place) -> tuple[str, tuple[int, ...]]:
    now = session.state
    query = now.query if now.query and place.words == _words(now.query) else _query(place.words)
    if not query.strip() or len(query) > LONGEST_QUERY:
        raise NowhereError(f"This address has no search of 1 to {LONGEST_QUERY} characters.")
    hits = now.hits if query == now.query else session.shop.search(query, debug=not session.strict)
    if hits is None:
        raise NowhereError("This kind of search is not understood.")
    if session.strict and place.page != 1 and not 0 < (place.page - 1) * PER_PAGE < len(hits):
        pages = max(1, -(-len(hits) // PER_PAGE))
        raise NowhereError(f"This search has {pages} page{'s' if pages > 1 else ''} of results, not {place.page}.")
    return query, hits


def _place(pattern: re.Pattern[str], rest: str, session: Session, parts: str) -> _Place:
    # A search may hold slashes, which WSGI hands over decoded: the session's own search is known by heart.
    words = _words(session.state.query)
    own = session.state.query and rest.startswith(f"{words}/")
    match = pattern.fullmatch(rest[len(words) :] if own else rest)
    if own and (match is None or match[1]):
        own, match = False, pattern.fullmatch(rest)
    if match is None:
        raise NowhereError(f"The address of this page should go on with {parts}.")
    found, page, *more = match.groups()
    sub = str(more[0]) if pattern is _SUB else ""
    return _Place(words if own else found, int(page), sub, (more[-1] if more else None) or "{}")


def _options(session: Session, product: int, text: str) -> tuple[tuple[str, str], ...]:
    offered = session.shop.products[product].options
    chosen = read_options(text or "{}")
    if chosen is None:
        raise NowhereError('Options should look like {"color": "red"}.')
    for axis, value in chosen.items():
        if value not in offered.get(axis, ()):
            raise NowhereError(f"This product has no option {f'{axis}: {value}'[:80]!r}.")
    return tuple(chosen.items())


def _words(query: str) -> str:
    # Browsers take "." and ".." for steps in a path, even where they are escaped.
    return "" if query in (".", "..") else query.replace(" ", "+")


def _query(words: str) -> str:
    listed = read_strings(words) if words.startswith("[") else None  # the original's site writes a list there
    return " ".join(listed).lower() if listed is not None else words.replace("+", " ").lower()
