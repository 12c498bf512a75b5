"""The object ``apis`` of the agent: ``apis.<app>.<api>(name=value)``. Errors propose similar names."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["ApiError", "Apis"]

Send = Callable[[str, str, dict[str, Any]], Any]


class ApiError(Exception):
    """An API refused a call; ``status`` and ``message`` give the reason."""

    def __init__(self, text: str, status: int, message: str) -> None:
        super().__init__(text)
        self.status, self.message = status, message


class Apis:
    """All apps."""

    __slots__ = ("_names", "_send")

    def __init__(self, send: Send, names: Mapping[str, Sequence[str]] | None) -> None:
        self._send, self._names = send, names

    def __getattr__(self, app: str) -> App:
        if app.startswith("__"):  # looked up by copy, pickle and repr; no app has such a name
            raise AttributeError(app)
        if self._names is None:
            return App(self._send, app, None)
        if app not in self._names:
            raise AttributeError(f"There is no app {app!r}; {_suggestion(app, self._names)}")
        return App(self._send, app, self._names[app])

    def __dir__(self) -> list[str]:
        return sorted(self._names or ())

    def __repr__(self) -> str:
        return f"<apis of {', '.join(self._names or ())}>"


class App:
    """The APIs of one app."""

    __slots__ = ("_app", "_names", "_send")

    def __init__(self, send: Send, app: str, names: Sequence[str] | None) -> None:
        self._send, self._app, self._names = send, app, names

    def __getattr__(self, api: str) -> Api:
        if api.startswith("__"):
            raise AttributeError(api)
        if self._names is not None and api not in self._names:
            raise AttributeError(f"The app {self._app!r} has no API {api!r}; {_suggestion(api, self._names)}")
        return Api(self._send, self._app, api)

    def __call__(self, *_: object, **__: object) -> None:
        raise TypeError(f"apis.{self._app} is an app, not a function; try apis.{self._app}.<api>(name=value)")

    def __dir__(self) -> list[str]:
        return sorted(self._names or ())

    def __repr__(self) -> str:
        return f"<app {self._app}: {', '.join(self._names or ())}>"


class Api:
    """One API."""

    __slots__ = ("_api", "_app", "_send")

    def __init__(self, send: Send, app: str, api: str) -> None:
        self._send, self._app, self._api = send, app, api

    def __call__(self, *positional: object, **arguments: Any) -> Any:
        if positional:
            call = f"apis.{self._app}.{self._api}"
            raise TypeError(
                f"Expected keyword arguments only in {call}(…), got {len(positional)} positional; "
                f"try {call}(name=value)"
            )
        return self._send(self._app, self._api, arguments)

    def __repr__(self) -> str:
        return f"<api {self._app}.{self._api}>"


def _suggestion(name: str, known: Mapping[str, Any] | Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    listed = f"there are: {', '.join(sorted(known)[:60])}"
    return f"did you mean {' or '.join(repr(each) for each in near)}? {listed}" if near else listed
