"""What answers each route: brings the session to the page of the address, lets the engine act, shows the page.

A form is sent to the address of the page it stands on, with ``search_query`` or ``clickable``; the engine gets it as
``search[…]`` or ``click[…]``, exactly as an agent's action, and the browser is sent on to the page that follows.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import Flask, Response, redirect, render_template, request
from werkzeug.exceptions import NotFound

from agentgym_hindsight.envs.webshop.feedback import explain
from agentgym_hindsight.envs.webshop.pages import DONE, INDEX, ITEM, OPTION, RESULTS, SUB, SUBPAGES, sub_nodes
from agentgym_hindsight.envs.webshop.session import Session, has_next
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.envs.webshop.site.addresses import LONGEST_QUERY, NowhereError, address, arrive, item_address
from agentgym_hindsight.envs.webshop.site.pictures import paint_of, picture
from agentgym_hindsight.envs.webshop.site.sessions import Sessions, is_name, new_name

__all__ = ["Views"]

_TEMPLATES = {kind: f"{kind}.html" for kind in (INDEX, RESULTS, ITEM, SUB, DONE)}
_ROUTES = {
    INDEX: "/<name>",
    RESULTS: "/search_results/<name>/<rest:rest>",
    ITEM: "/item_page/<name>/<asin>/<rest:rest>",
    SUB: "/item_sub_page/<name>/<asin>/<rest:rest>",
    DONE: "/done/<name>/<asin>/<rest:rest>",
}
_METHODS = ["GET", "POST"]
#: What would end the words of an action.
_NO_QUERY = str.maketrans("[]\n\r", "    ")


class Views:
    """The pages of one shop."""

    def __init__(self, shop: Shop, sessions: Sessions, about: str, reveal: bool) -> None:
        self.shop, self.sessions, self.about, self.reveal = shop, sessions, about, reveal

    def register(self, app: Flask) -> None:
        """Add the routes: the original's, and the pictures."""
        app.add_url_rule("/", "home", self.home, methods=_METHODS)
        for route in ("/picture/<asin>.svg", "/picture/<asin>/<color>.svg"):
            app.add_url_rule(route, "product_picture", self.product_picture)
        for kind, route in _ROUTES.items():
            app.add_url_rule(route, kind, self.page, defaults={"kind": kind}, methods=_METHODS)
        app.jinja_env.globals.update(about=self.about, picture=picture, longest_query=LONGEST_QUERY)

    def home(self) -> Any:
        """A new session under a name of its own."""
        return redirect(f"/{new_name()}", 303)

    def product_picture(self, asin: str, color: str = "") -> Response:
        """A drawing of a product, in a colour if one is named."""
        position = self.shop.position.get(asin)
        if position is None or color != paint_of(color):
            raise NotFound
        inside = picture(self.shop.products[position], color)
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 120">{inside}</svg>'
        return Response(svg, mimetype="image/svg+xml", headers={"Cache-Control": "public, max-age=86400"})

    def page(self, name: str, kind: str, asin: str = "", rest: str = "") -> Any:
        """Any page of a session."""
        try:
            if not is_name(name):
                raise NowhereError("There is no such page.")
            # Only the start page begins a session: its address is all that anybody can know beforehand.
            customer = self.sessions.enter(name) if kind == INDEX else self.sessions.find(name)
        except NowhereError as error:
            return _nowhere(str(error), None)
        if customer is None:
            return _nowhere(f"Nobody called {name} is in the shop. Visits end after a while without a click.", None)
        with customer.lock:
            # HEAD asks what GET would answer; it must not buy anything.
            session = customer.session.copy() if request.method == "HEAD" else customer.session
            return self._answer(session, name, kind, asin, rest)

    def _answer(self, session: Session, name: str, kind: str, asin: str, rest: str) -> Any:
        bought = session.state if session.done and session.strict and kind != INDEX else None
        try:
            arrive(session, kind, asin, rest)
        except NowhereError as error:
            return _nowhere(str(error), address(name, self.shop, session.state))
        session.seen.clear()  # hindsight needs it, the site does not: it would grow with the session
        if bought is not None and session.state != bought:
            session.state = bought  # the purchase is final
            return redirect(address(name, self.shop, bought), 303)
        notice = ""
        if request.method == "POST":
            notice = _act(session)
            if not notice:
                return redirect(address(name, self.shop, session.state), 303)
        return self._shown(session, name, notice)

    def _shown(self, session: Session, name: str, notice: str) -> Response:
        state, shop = session.state, self.shop
        product = shop.products[state.product] if state.product >= 0 else None
        options = dict(state.options)
        html = render_template(
            _TEMPLATES[state.kind],
            name=name,
            session=session,
            state=state,
            here=address(name, shop, state),
            notice=notice,
            product=product,
            chosen=options,
            color=options.get("color", ""),
            image=_image(product.asin, paint_of(options.get("color", ""))) if product else "",
            results=[(shop.products[n], item_address(name, shop, state, n)) for n in state.shown],
            more=not session.strict or has_next(state),
            axes=_axes(session, name) if state.kind == ITEM else [],
            subpages=SUBPAGES,
            lines=[node.text for node in sub_nodes(product, state.sub)[1:]] if product and state.kind == SUB else [],
            reveal=self.reveal,
        )
        # Official texts may hold half a character, which nothing can be encoded from.
        return Response(html.encode("utf-8", "replace"), 400 if notice else 200, mimetype="text/html")


def _image(asin: str, color: str) -> str:
    return f"/picture/{quote(asin, safe='', errors='replace')}{f'/{color}' if color else ''}.svg"


def _axes(session: Session, name: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each axis with its values, and the address that choosing one leads to."""
    state, shop = session.state, session.shop
    axes = []
    for axis, values in shop.products[state.product].options.items():
        chosen = [(value, {**dict(state.options), axis: value}) for value in dict.fromkeys(values) if value.strip()]
        axes.append((axis, [(v, address(name, shop, state._replace(options=tuple(o.items())))) for v, o in chosen]))
    return axes


def _act(session: Session) -> str:
    """Do what the form says; what was wrong with it, or nothing."""
    form = request.form
    if "search_query" in form:
        query = form["search_query"].translate(_NO_QUERY).strip()
        if not query:
            return "Please type what you are looking for."
        if len(query) > LONGEST_QUERY:
            return f"Please search with at most {LONGEST_QUERY} characters; these were {len(query)}."
        return _do(session, f"search[{query}]")
    if session.state.kind == ITEM:
        # The choice travels with whichever button is pressed.
        for axis, values in session.shop.products[session.state.product].options.items():
            value = form.get(axis, "")
            if value in values and dict(session.state.options).get(axis) != value:
                notice = _do(session, f"click[{_clickable(session, axis, value)}]")
                if notice or session.state.kind != ITEM:  # under official rules an option may be named like a button
                    return notice
    name = form.get("clickable", "")
    return _do(session, f"click[{name}]") if name else ""


def _clickable(session: Session, axis: str, value: str) -> str:
    """What the engine calls an option."""
    for name, target in session.targets.items():
        if (target.role, target.axis, target.value) == (OPTION, axis, value):
            return name
    return value


def _do(session: Session, action: str) -> str:
    if session.act(action).valid:
        return ""
    reason = explain(session, action)
    return reason.text if reason is not None else "That cannot be done here."


def _nowhere(reason: str, back: str | None) -> Response:
    return Response(render_template("nowhere.html", title="Not found", reason=reason, back=back, name=None), 404)
