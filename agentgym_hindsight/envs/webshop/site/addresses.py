"""The address of a page, and the move of a session to the page of an address.

The routes are those of the original, where the address contains the whole state of a page. Here the server holds the
state too. An address that matches the session changes nothing. Any other address moves the session to its page, so that
deep links work.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from agentgym_hindsight.envs.webshop.pages import DONE, INDEX, ITEM, PER_PAGE, RESULTS, SUB, SUBPAGES, State
from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.envs.webshop.site.option_text import read_options, read_strings, write_options

__all__ = ["LONGEST_QUERY", "PageNotFoundError", "address", "go_to", "item_address"]

#: Maximal number of characters of a search. Human instructions have about 300.
LONGEST_QUERY = 1000

_PAGE = re.compile(r"(.*)/(\d{1,6})", re.DOTALL)
# A search may contain "/1/"; options are recognised by their brace.
_ITEM = re.compile(r"(.*?)/(\d{1,6})(?:/(\{.*)?)?", re.DOTALL)
_SUB = re.compile(r"(.*?)/(\d{1,6})/(\w{1,20})(?:/(\{.*)?)?", re.DOTALL)
_SUBS = {name.lower(): name for name in (*SUBPAGES, "Attributes")}


class PageNotFoundError(Exception):
    """There is no such page. The message is shown to the user."""


class _Target(NamedTuple):
    words: str
    page: int = 1
    sub: str = ""
    options: str = "{}"


def address(name: str, shop: Shop, state: State) -> str:
    """The address of the page that a session with this name and state is on."""
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
    """The address of a product on a results page."""
    return address(name, shop, state._replace(kind=ITEM, product=product))


def go_to(session: Session, kind: str, asin: str = "", rest: str = "") -> None:
    """Move a session to the page of an address. ``rest`` is the part of the address after session name and ASIN."""
    if kind == INDEX:
        # Possible from every page, like the button; after a purchase it starts the goal again.
        if not session.act("click[back to search]").valid:
            session.state = State()
        return
    if kind == RESULTS:
        target = _target(_PAGE, rest, session, "a search and the number of a page")
        _go_results(session, target)
        return
    product = session.shop.position.get(asin)
    if product is None:
        raise PageNotFoundError(f"This shop sells no product {asin[:20]!r}.")
    if kind == DONE:
        _go_done(session, product, _options(session, product, rest))
    elif kind == ITEM:
        target = _target(_ITEM, rest, session, "a search, the number of a page and options")
        _go_item(session, target, product)
    else:
        target = _target(_SUB, rest, session, "a search, the number of a page, a part and options")
        _go_item(session, target, product)


def _go_results(session: Session, target: _Target) -> None:
    query, hits = _search(session, target)
    state = session.state
    if (state.kind, state.query, state.page) != (RESULTS, query, target.page):
        session.state = State(RESULTS, query, target.page, hits, opened=state.opened)


def _go_item(session: Session, target: _Target, product: int) -> None:
    query, hits = _search(session, target)
    options = _options(session, product, target.options)
    if target.sub and target.sub.lower() not in _SUBS:
        raise PageNotFoundError(f"A product has no part {target.sub!r}: only {', '.join(SUBPAGES)}.")
    sub = _SUBS.get(target.sub.lower(), "")
    state = session.state
    if product in state.shown and (state.query, state.page) == (query, target.page) and not options and not sub:
        session.act(f"click[{session.shop.products[product].asin}]")  # the link on the results page
        state = session.state
    same_choice = state.product == product and dict(state.options) == dict(options)
    new_state = State(
        SUB if sub else ITEM,
        query,
        target.page,
        hits,
        product,
        sub,
        state.options if same_choice else options,  # in the order of choice
        state.opened | {product},
    )
    if new_state != state:
        session.state = new_state


def _go_done(session: Session, product: int, options: tuple[tuple[str, str], ...]) -> None:
    state = session.state
    if state.kind == DONE and state.product == product and dict(state.options) == dict(options):
        return
    if state.product != product or dict(state.options) != dict(options):
        state = state._replace(product=product, options=options)
    session.state = state._replace(kind=ITEM, sub="", parts=None)
    session.act("click[buy now]")


def _search(session: Session, target: _Target) -> tuple[str, tuple[int, ...]]:
    state = session.state
    query = state.query if state.query and target.words == _words(state.query) else _query(target.words)
    if not query.strip() or len(query) > LONGEST_QUERY:
        raise PageNotFoundError(f"This address has no search of 1 to {LONGEST_QUERY} characters.")
    hits = state.hits if query == state.query else session.shop.search(query, debug=not session.strict)
    if hits is None:
        raise PageNotFoundError("This hidden search does not work.")
    if session.strict and target.page != 1 and not 0 < (target.page - 1) * PER_PAGE < len(hits):
        pages = max(1, -(-len(hits) // PER_PAGE))
        raise PageNotFoundError(
            f"This search has {pages} page{'s' if pages > 1 else ''} of results, not {target.page}."
        )
    return query, hits


def _target(pattern: re.Pattern[str], rest: str, session: Session, parts: str) -> _Target:
    # A search may contain slashes, which WSGI decodes. If the address has the session's own search, its end is known.
    words = _words(session.state.query)
    is_own_search = session.state.query and rest.startswith(f"{words}/")
    match = pattern.fullmatch(rest[len(words) :] if is_own_search else rest)
    if is_own_search and (match is None or match[1]):
        is_own_search, match = False, pattern.fullmatch(rest)
    if match is None:
        raise PageNotFoundError(f"The address of this page should continue with {parts}.")
    text, page, *more = match.groups()
    sub = str(more[0]) if pattern is _SUB else ""
    return _Target(words if is_own_search else text, int(page), sub, (more[-1] if more else None) or "{}")


def _options(session: Session, product: int, text: str) -> tuple[tuple[str, str], ...]:
    offered = session.shop.products[product].options
    chosen = read_options(text or "{}")
    if chosen is None:
        raise PageNotFoundError('Options should look like {"color": "red"}.')
    for axis, value in chosen.items():
        if value not in offered.get(axis, ()):
            raise PageNotFoundError(f"This product has no option {f'{axis}: {value}'[:80]!r}.")
    return tuple(chosen.items())


def _words(query: str) -> str:
    # Browsers resolve "." and ".." in a path, even if they are escaped.
    return "" if query in (".", "..") else query.replace(" ", "+")


def _query(words: str) -> str:
    parsed = read_strings(words) if words.startswith("[") else None  # the original's site writes a list
    return " ".join(parsed).lower() if parsed is not None else words.replace("+", " ").lower()
