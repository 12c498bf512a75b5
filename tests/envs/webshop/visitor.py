"""A visitor of the site that reads HTML, presses buttons and sends forms, like a browser without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import urljoin

from flask import Flask

from agentgym_hindsight.envs.webshop.page_contents import nodes_of
from agentgym_hindsight.envs.webshop.pages import BUTTON, DONE, ITEM, LINK, OPTION
from agentgym_hindsight.envs.webshop.session import Session, parse_action

__all__ = ["Answer", "Fetch", "Form", "Page", "Visitor", "same_page", "session_of", "visitor_of"]

_PRICE = re.compile(r"(Price: )?\$\d[\d.e+]*( to \$\d[\d.e+]*)?")


class Answer(NamedTuple):
    status: int
    location: str
    text: str


#: (method, path, form) -> answer, without following redirects.
Fetch = Callable[[str, str, "dict[str, str] | None"], Answer]


class Form:
    """A form: its address, its radio buttons by axis, its buttons by text."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.fields: list[str] = []
        self.radios: dict[str, list[str]] = {}
        self.checked: dict[str, str] = {}
        self.buttons: dict[str, tuple[str, str]] = {}


class Page(HTMLParser):
    """The forms, links and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}  # text -> address
        self.products: list[str] = []  # texts of a.product-link
        self.texts: list[str] = []
        self.by_id: dict[str, str] = {}
        self._open: list[tuple[str, str | None]] = []
        self._button: tuple[str, str] | None = None
        self._link: tuple[str, bool] | None = None
        self.feed(text)
        self.close()

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag not in ("input", "meta", "link", "img", "br", "path", "rect", "circle", "ellipse"):
            self._open.append((tag, found.get("id")))
        if "id" in found:
            self.by_id.setdefault(found["id"], "")
        if tag == "form":
            self.forms.append(Form(found["action"]))
        elif tag == "input" and found.get("type") == "radio":
            form = self.forms[-1]
            form.radios.setdefault(found["name"], []).append(found["value"])
            if "checked" in found:
                form.checked[found["name"]] = found["value"]
        elif tag == "input":
            self.forms[-1].fields.append(found["name"])
        elif tag == "button":
            self._button = (found.get("name", ""), found.get("value", ""))
        elif tag == "a":
            self._link = (found["href"], "product-link" in found.get("class", ""))

    def handle_endtag(self, tag: str) -> None:
        if any(tag == name for name, _ in self._open):
            while self._open.pop()[0] != tag:
                pass
        if tag in ("button", "a"):
            self._button = self._link = None

    def handle_data(self, data: str) -> None:
        if not data.strip() or any(tag in ("style", "script", "title") for tag, _ in self._open):
            return
        self.texts.append(data)
        for _, name in self._open:
            if name:
                self.by_id[name] += data
        if self._button is not None:
            self.forms[-1].buttons[data.strip()] = self._button
        if self._link is not None:
            address, product = self._link
            self.links[data.strip()] = address
            if product:
                self.products.append(data.strip())


class Visitor:
    """One visitor. ``requests`` counts the sent requests."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self.address, self.status, self.requests = "/", 0, 0
        self.html = ""
        self.page = Page("")
        self.marked: dict[str, str] = {}

    def go(self, address: str, form: dict[str, str] | None = None, method: str = "") -> None:
        """Open an address and follow redirects."""
        answer = self._fetch(method or ("GET" if form is None else "POST"), address, form)
        self.requests += 1
        self.address = address
        for _ in range(5):
            if not answer.location:
                break
            self.address = urljoin(self.address, answer.location)
            answer = self._fetch("GET", self.address, None)
            self.requests += 1
        self.status, self.html = answer.status, answer.text
        self.page = Page(answer.text)
        self.marked = {}

    def search(self, query: str) -> None:
        form = next(form for form in self.page.forms if "search_query" in form.fields)
        self.go(form.action, {"search_query": query})

    def press(self, text: str) -> None:
        """Press a button by its text. The marked radio buttons of its form are sent too."""
        form = next(form for form in self.page.forms if text in form.buttons)
        name, value = form.buttons[text]
        self.go(form.action, {**form.checked, **self.marked, **({name: value} if name else {})})

    def mark(self, axis: str, value: str) -> None:
        """Mark a radio button."""
        assert any(value in form.radios.get(axis, ()) for form in self.page.forms), (axis, value)
        self.marked[axis] = value

    def follow(self, text: str) -> None:
        """Follow a link by its text."""
        self.go(self.page.links[text])

    def do(self, action: str, choice: tuple[str, str] | None = None) -> None:
        """Execute an action of the env with the controls of the page. ``choice``: axis and value of an option."""
        name, argument = parse_action(action)
        assert argument is not None
        if name == "search":
            self.search(argument)
        elif choice is not None:
            self.mark(*choice)
            self.press("Keep my choice")
        else:
            links = {text.lower(): text for text in self.page.products}
            buttons = {text.lower(): text for form in self.page.forms for text in form.buttons}
            if argument in links:
                self.follow(links[argument])
            else:
                self.press(buttons[argument])


def visitor_of(app: Flask) -> Visitor:
    client = app.test_client()

    def fetch(method: str, path: str, form: dict[str, str] | None) -> Answer:
        answer = client.open(path, method=method, data=form)
        return Answer(answer.status_code, answer.headers.get("Location", ""), answer.get_data(as_text=True))

    return Visitor(fetch)


def session_of(app: Flask, name: str) -> Session:
    customer = app.extensions["webshop"].find(name)
    assert customer is not None
    return customer.session  # type: ignore[no-any-return]


def _as_on_the_site(text: str) -> str:
    """The text of a node of the env, whose prices are "$25.0" as in the original and "$25.00" on the site."""
    if not _PRICE.fullmatch(text):
        return text
    return re.sub(r"\$(\d[\d.e+]*)", lambda match: f"${float(match[1]):.2f}", text)


def same_page(visitor: Visitor, reference: Session) -> None:
    """Assert that the page shows the contents of the env's session."""
    page, state = visitor.page, reference.state
    assert visitor.status == 200, visitor.html
    if state.kind == DONE:
        assert state.parts is not None
        assert page.by_id["reward"].split()[-1] == str(state.parts.total)
        assert page.by_id["asin"] == reference.shop.products[state.product].asin
        return
    nodes = nodes_of(reference)
    assert page.products == [node.text for node in nodes if node.role == LINK]
    buttons = [text for form in page.forms for text in form.buttons if text != "Keep my choice"]
    assert sorted(buttons) == sorted(node.text for node in nodes if node.role == BUTTON)
    radios = [(axis, v) for form in page.forms for axis, vs in form.radios.items() for v in vs]
    assert radios == list(dict.fromkeys((node.axis, node.value) for node in nodes if node.role == OPTION))
    for node in nodes:
        if node.role not in (OPTION, BUTTON):
            assert " ".join(_as_on_the_site(node.text).split()) in page.text
    if state.kind == ITEM:
        checked = {axis: value for form in page.forms for axis, value in form.checked.items()}
        assert checked == dict(state.options)
