"""The server of ``agh view``: a Flask application over sources. It only reads, and loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection
from http import HTTPStatus

from flask import Flask, Response, jsonify, redirect, request
from werkzeug.exceptions import BadRequest, HTTPException, NotFound

from agentgym_hindsight.envs.webshop.site.hosts import name_of
from agentgym_hindsight.hindsight.anchors import ANCHOR_KINDS
from agentgym_hindsight.markup import Html, tag
from agentgym_hindsight.viewer.browse import Filter, home_html, list_html, list_position
from agentgym_hindsight.viewer.compare import (
    Side,
    compare_html,
    compare_position,
    difference_html,
    difference_position,
)
from agentgym_hindsight.viewer.layout import crumbs, frame, script, style
from agentgym_hindsight.viewer.links import Links
from agentgym_hindsight.viewer.rollout_page import rollout_html, rollout_position
from agentgym_hindsight.viewer.rollouts import Rollout, read_group, read_rollout, read_siblings
from agentgym_hindsight.viewer.sources import Source, Sources
from agentgym_hindsight.viewer.task_page import task_html, task_position
from agentgym_hindsight.viewer.task_view import TaskView
from agentgym_hindsight.viewer.tokens import OVERLAYS

__all__ = ["create_app"]

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: Seconds for which a request reads what was appended; a thread of :func:`serve <..cli.view_command>` reads the rest.
_READING = 0.05
_ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="4" cy="8" r="3" fill="#0f6e63"/><circle cx="12" cy="4" r="3" fill="#c2570c"/><circle cx="12" cy="12" r="3" fill="#4c5fb8"/></svg>'  # noqa: E501


def create_app(sources: Sources, hosts: Collection[str] | None = None) -> Flask:
    """The application. ``hosts`` are the names that requests may use, without ports (default: any)."""
    app = Flask(__name__, static_folder=None)
    pages = _Pages(sources)
    app.add_url_rule("/", view_func=pages.home)
    app.add_url_rule("/s/<slug>", view_func=pages.listed)
    app.add_url_rule("/s/<slug>/task", view_func=pages.task)
    app.add_url_rule("/s/<slug>/task/<path:task>", view_func=pages.task)
    app.add_url_rule("/s/<slug>/rollout/<int:line>", view_func=pages.rollout)
    app.add_url_rule("/compare", view_func=pages.compare)
    app.add_url_rule("/difference", view_func=pages.difference)
    app.add_url_rule("/live.json", view_func=pages.live)
    for address, kind, text in (("/viewer.css", "text/css", style()), ("/viewer.js", "text/javascript", script())):
        app.add_url_rule(address, address, _file(text, kind))
    app.add_url_rule("/icon.svg", "icon", _file(_ICON, "image/svg+xml"))
    if hosts is not None:
        allowed = {name.lower() for name in hosts}

        def check_host() -> None:
            header = request.environ.get("HTTP_HOST")
            if header is not None and name_of(header) not in allowed:
                raise BadRequest("This page does not answer to the name in the request. Use the printed address.")

        app.before_request(check_host)
    app.register_error_handler(HTTPException, _error_page)
    app.after_request(_with_headers)
    return app


def _file(text: str, kind: str) -> Callable[[], Response]:
    return lambda: Response(text, mimetype=kind)


def _with_headers(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _error_page(error: HTTPException) -> Response:
    code = error.code or 500
    title = HTTPStatus(code).phrase if code in {status.value for status in HTTPStatus} else "Not possible"
    reason = "The console of the server shows the details." if code == 500 else error.description or title
    links = Links()
    where = crumbs((links.home(), "runs"), (None, title))
    return Response(frame(title, tag("h1", title), tag("p", reason), links=links, where=where), code)


class _Pages:
    """One method a page."""

    def __init__(self, sources: Sources) -> None:
        self.sources, self.links = sources, Links()

    def home(self) -> str:
        found = self.sources.find()
        for source in found:
            source.refresh(_READING)
        if len(found) == 1 and not request.args.get("all"):
            address = self.links.source(found[0].slug)
            return redirect(address or "/")  # type: ignore[return-value]
        where = crumbs((None, "runs"))
        return frame("agh view", home_html(found, self.links), links=self.links, where=where, live="/live.json")

    def listed(self, slug: str) -> str:
        source = self._source(slug)
        main = list_html(source, Filter.of(request.args), self.links)
        return self._frame(source, source.name, main, list_position(source, self.links), live=True)

    def task(self, slug: str, task: str | None = None) -> str:
        source = self._source(slug)
        task = request.args.get("id", "") if task is None else task
        update = request.args.get("update", -1, type=int)
        rollouts = read_siblings(source, task, update) if abs(update) < 2**53 else []
        if not rollouts:
            raise NotFound("There is no rollout of this task in the file.")
        kind = request.args.get("anchor", "state")
        view = TaskView(rollouts, kind if kind in ANCHOR_KINDS else "state")
        title = view.group[0].goal or task
        return self._frame(source, title, task_html(view, self.links), task_position(view, self.links), live=True)

    def rollout(self, slug: str, line: int) -> str:
        source = self._source(slug)
        rollout = self._rollout(source, line)
        overlay = request.args.get("tokens", "weight")
        turn = request.args.get("turn", 1, type=int)
        group = [] if rollout.problem else read_group(rollout)
        view = TaskView(group if any(each.line == line for each in group) else [rollout])
        main = rollout_html(view, line, turn, self.links, overlay if overlay in OVERLAYS else "weight")
        title = f"turn {turn}: {rollout.trajectory.goal}"
        return self._frame(source, title, main, rollout_position(rollout, self.links))

    def compare(self) -> str:
        first, second = (self._side(request.args.get(name, "")) for name in "ab")
        main = compare_html(first, second, self.links, request.args.get("page", 1, type=int))
        where = compare_position(first, second, self.links)
        return frame("compare", main, links=self.links, where=where)

    def difference(self) -> str:
        first, second = (self._named_rollout(request.args.get(name, "")) for name in "ab")
        main = difference_html(first, second, self.links, whole=bool(request.args.get("whole")))
        where = difference_position(first, second, self.links)
        return frame("two rollouts", main, links=self.links, where=where)

    def live(self) -> Response:
        """What changes when the files do; of one source, or of all."""
        slug = request.args.get("s", "")
        found = self.sources.find() if not slug else [self._source(slug)]
        done = [source.refresh(_READING) for source in found]
        counts = sum(int((source.rows("SELECT count(*) FROM rollout") or [(0,)])[0][0]) for source in found)
        version = "|".join(source.version() for source in found)
        return jsonify(version=f"{version} {counts}", rollouts=counts, done=all(done))

    def _frame(self, source: Source, title: str, main: Html, where: Html, live: bool = False) -> str:
        note = ""
        index = source.index
        if index is None:
            note = "Nothing is recorded yet; this page waits for it."
        else:
            read, size = index.progress
            if size - read > 2**20:
                note = f"Reading the file: {100 * read // max(size, 1)} % of {size / 2**20:,.0f} MiB."
        address = f"/live.json?s={source.slug}" if live else ""
        return frame(title, main, links=self.links, where=where, live=address, note=note)

    def _source(self, slug: str) -> Source:
        source = self.sources.get(slug)
        if source is None:
            self.sources.find()
            source = self.sources.get(slug)
        if source is None:
            raise NotFound("There is no such run or file among the paths of agh view.")
        source.refresh(_READING)
        return source

    @staticmethod
    def _rollout(source: Source, line: int) -> Rollout:
        rollout = read_rollout(source, line) if 0 < line < 2**53 else None
        if rollout is None:
            raise NotFound("There is no rollout on this line, it is not read yet, or the file is no longer there.")
        return rollout

    def _named_rollout(self, name: str) -> Rollout:
        slug, _, line = name.rpartition(":")
        if not (line.isascii() and line.isdigit() and len(line) < 16):
            raise BadRequest("Expected the name of a file and the number of a line, such as a=NAME:3.")
        return self._rollout(self._source(slug), int(line))

    def _side(self, name: str) -> Side:
        slug, _, policy = name.partition("|")
        return Side(self._source(slug), policy)
