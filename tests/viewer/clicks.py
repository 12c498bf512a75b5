"""Two readers of pages that follow links by their text and count clicks: over HTML, and in a real browser."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any, Protocol

from werkzeug.test import Client

__all__ = ["BrowserReader", "HtmlReader", "Reader"]


class Reader(Protocol):
    """A person at the viewer."""

    clicks: int

    def click(self, text: str) -> None:
        """Click the first link, or the first closed fold, whose text has these words."""

    def sees(self, text: str) -> bool:
        """Whether these words are on the page, outside of closed folds."""


class _Page(HTMLParser):
    """The texts of a page that are visible without a click, and its links in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.visible: list[str] = []
        self.links: list[tuple[str, str]] = []
        self._folds: list[bool] = []  # open?
        self._summary = self._raw = 0
        self._address: str | None = None
        self._words: list[str] = []
        self.feed(html)
        self.text = " ".join("".join(self.visible).split())

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if name == "details":
            self._folds.append("open" in given)
        self._summary += name == "summary"
        self._raw += name in ("script", "style", "dialog")
        if name == "a" and given.get("href"):
            self._address, self._words = given["href"], []
        if name in ("p", "td", "th", "li", "h1", "h2", "h3", "div"):
            self.visible.append(" ")

    def handle_endtag(self, name: str) -> None:
        if name == "details":
            self._folds.pop()
        self._summary -= name == "summary"
        self._raw -= name in ("script", "style", "dialog")
        if name == "a" and self._address is not None:
            self.links.append((" ".join("".join(self._words).split()), self._address))
            self._address = None

    def handle_data(self, data: str) -> None:
        if self._raw or not all(self._folds[: -1 if self._summary else None]):
            return
        self.visible.append(data)
        self._words.append(data)


class HtmlReader:
    """Follows links with a test client."""

    def __init__(self, client: Client, address: str) -> None:
        self.clicks, self._client = 0, client
        self._open(address)

    def click(self, text: str) -> None:
        self.clicks += 1
        address = next((address for words, address in self._page.links if text in words), None)
        assert address is not None, f"no link {text!r} among {[words for words, _ in self._page.links]}"
        if address.startswith("#"):
            assert f'id="{address[1:]}"' in self._html
        else:
            self._open(address)

    def sees(self, text: str) -> bool:
        return text in self._page.text

    def _open(self, address: str) -> None:
        answer = self._client.get(address.partition("#")[0], follow_redirects=True)
        assert answer.status_code == 200
        self._html = answer.get_data(as_text=True)
        assert "#" not in address or f'id="{address.partition("#")[2]}"' in self._html
        self._page = _Page(self._html)


class BrowserReader:
    """Clicks in a page of Playwright."""

    def __init__(self, page: Any, address: str) -> None:
        self.clicks, self._page = 0, page
        page.goto(address)

    def click(self, text: str) -> None:
        self.clicks += 1
        self._page.locator("a[href]:visible").filter(has_text=text).first.click()
        self._page.wait_for_load_state()

    def sees(self, text: str) -> bool:
        return bool(self._page.get_by_text(text).filter(visible=True).count())
