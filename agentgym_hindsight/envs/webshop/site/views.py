"""The handlers of the routes: bring the session to the page of the address, execute the action, show the page.

A form is sent to the address of its own page, with ``search_query`` or ``clickable``. The engine executes it as
``search[…]`` or ``click[…]``, exactly like an agent's action, and the browser is redirected to the next page.

The form is read before the session is looked up: a client that sends it slowly must not hold the lock of a session, and
a form that cannot be read must not create one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, redirect, render_template, request
from werkzeug.exceptions import NotFound, ServiceUnavailable

from agentgym_hindsight.envs.webshop.feedback import explain
from agentgym_hindsight.envs.webshop.pages import DONE, INDEX, ITEM, OPTION, RESULTS, SUB, SUBPAGES, sub_nodes
from agentgym_hindsight.envs.webshop.session import Session, has_next
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.envs.webshop.shop_types import Product
from agentgym_hindsight.envs.webshop.site.addresses import (
    LONGEST_QUERY,
    PageNotFoundError,
    address,
    go_to,
    item_address,
)
from agentgym_hindsight.envs.webshop.site.hosts import client_of
from agentgym_hindsight.envs.webshop.site.pictures import paint_of, picture
from agentgym_hindsight.envs.webshop.site.sessions import Sessions, ShopFullError, is_name, new_name

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
#: Characters that would end the query of an action.
_NO_QUERY = str.maketrans("[]\n\r", "    ")


class Views:
    """The pages of one shop."""

    def __init__(self, shop: Shop, sessions: Sessions, about: str, reveal: bool) -> None:
        self.shop, self.sessions, self.about, self.reveal = shop, sessions, about, reveal

    def register(self, app: Flask) -> None:
        """Add the routes of the original and those of the pictures."""
        app.add_url_rule("/", "home", self.home, methods=_METHODS)
        for route in ("/picture/<asin>.svg", "/picture/<asin>/<color>.svg"):
            app.add_url_rule(route, "product_picture", self.product_picture)
        for kind, route in _ROUTES.items():
            app.add_url_rule(route, kind, self.page, defaults={"kind": kind}, methods=_METHODS)
        app.jinja_env.globals.update(about=self.about, picture=picture, longest_query=LONGEST_QUERY, prices=prices)

    def home(self) -> Any:
        """Redirect to a new session with a random name."""
        return redirect(f"/{new_name()}", 303)

    def product_picture(self, asin: str, color: str = "") -> Response:
        """The drawing of a product, in a colour if one is given."""
        position = self.shop.position.get(asin)
        if position is None or color != paint_of(color):
            raise NotFound
        drawing = picture(self.shop.products[position], color)
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 120">{drawing}</svg>'
        return Response(svg, mimetype="image/svg+xml", headers={"Cache-Control": "public, max-age=86400"})

    def page(self, name: str, kind: str, asin: str = "", rest: str = "") -> Any:
        """Any page of a session."""
        form = request.form if request.method == "POST" else None
        try:
            if not is_name(name):
                raise PageNotFoundError("There is no such page.")
            if request.method == "HEAD":
                return self._head(name, kind, asin, rest)
            # Only the start page creates a session, so that an old address does not create one.
            if kind == INDEX:
                locked = self.sessions.find_or_create(name, client_of(request.remote_addr or ""))
            elif (found := self.sessions.find(name)) is not None:
                locked = found
            else:
                return _no_session(name)
        except PageNotFoundError as error:
            return _not_found(str(error), None)
        except ShopFullError:
            raise ServiceUnavailable(
                "All sessions of this shop are in use. Try again in some minutes.", retry_after=60
            ) from None
        with locked.lock:
            try:
                return self._respond(locked.session, name, kind, asin, rest, form)
            finally:
                self.sessions.put_back(name, locked)

    def _head(self, name: str, kind: str, asin: str, rest: str) -> Any:
        """The answer to HEAD has the headers of GET, but neither changes nor creates a session."""
        locked = self.sessions.find(name)
        if locked is not None:
            with locked.lock:
                session = locked.session.copy()
        elif kind == INDEX:
            session = self.sessions.unsaved(name)
        else:
            return _no_session(name)
        return self._respond(session, name, kind, asin, rest, None)

    def _respond(
        self, session: Session, name: str, kind: str, asin: str, rest: str, form: Mapping[str, str] | None
    ) -> Any:
        purchase = session.state if session.done and session.strict and kind != INDEX else None
        try:
            go_to(session, kind, asin, rest)
        except PageNotFoundError as error:
            return _not_found(str(error), address(name, self.shop, session.state))
        session.seen.clear()  # only hindsight needs it, and it would grow with the session
        if purchase is not None and session.state != purchase:
            session.state = purchase  # the purchase is final
            return redirect(address(name, self.shop, purchase), 303)
        notice = ""
        if form is not None:
            notice = _execute_form(session, form)
            if not notice:
                return redirect(address(name, self.shop, session.state), 303)
        return self._render(session, name, notice)

    def _render(self, session: Session, name: str, notice: str) -> Response:
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
        # Official texts may contain lone surrogates, which cannot be encoded.
        return Response(html.encode("utf-8", "replace"), 400 if notice else 200, mimetype="text/html")


def prices(product: Product) -> str:
    """The listed prices with two decimals. The pages of the env have them as the original: ``$25.0``."""
    return " to ".join(f"${price:.2f}" for price in product.prices)


def _no_session(name: str) -> Response:
    return _not_found(f"There is no session named {name}. Sessions end after some time without a click.", None)


def _image(asin: str, color: str) -> str:
    return f"/picture/{quote(asin, safe='', errors='replace')}{f'/{color}' if color else ''}.svg"


def _axes(session: Session, name: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each axis with its values, and the address of the page after each choice."""
    state, shop = session.state, session.shop
    axes = []
    for axis, values in shop.products[state.product].options.items():
        chosen = [(value, {**dict(state.options), axis: value}) for value in dict.fromkeys(values) if value.strip()]
        axes.append((axis, [(v, address(name, shop, state._replace(options=tuple(o.items())))) for v, o in chosen]))
    return axes


def _execute_form(session: Session, form: Mapping[str, str]) -> str:
    """Execute the form's action; return the error message for the user, or ""."""
    if "search_query" in form:
        query = form["search_query"].translate(_NO_QUERY).strip()
        if not query:
            return "Please type what you are looking for."
        if len(query) > LONGEST_QUERY:
            return f"Please search with at most {LONGEST_QUERY} characters; these were {len(query)}."
        return _execute(session, f"search[{query}]")
    if session.state.kind == ITEM:
        # Every button of the form also sends the marked options.
        for axis, values in session.shop.products[session.state.product].options.items():
            value = form.get(axis, "")
            if value in values and dict(session.state.options).get(axis) != value:
                notice = _execute(session, f"click[{_clickable(session, axis, value)}]")
                if notice or session.state.kind != ITEM:  # under official rules an option can have a button's name
                    return notice
    name = form.get("clickable", "")
    return _execute(session, f"click[{name}]") if name else ""


def _clickable(session: Session, axis: str, value: str) -> str:
    """The engine's name of an option."""
    for name, target in session.targets.items():
        if (target.role, target.axis, target.value) == (OPTION, axis, value):
            return name
    return value


def _execute(session: Session, action: str) -> str:
    if session.act(action).valid:
        return ""
    reason = explain(session, action)
    return reason.text if reason is not None else "That cannot be done here."


def _not_found(reason: str, back: str | None) -> Response:
    return Response(render_template("error.html", title="Not found", reason=reason, back=back, name=None), 404)
