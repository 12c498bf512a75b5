"""The documentation of all APIs, available through APIs."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.api import Api, App, Call, Shape, matches
from agentgym_hindsight.envs.appworld.miniature.parameter_types import Line, quoted, suggestion
from agentgym_hindsight.envs.appworld.miniature.schema import Row

__all__ = ["APP", "describe", "publish"]

APP = App("api_docs", "The documentation of every app and every API.")

_APPS: dict[str, App] = {}
_NAMES = {int: "integer", float: "number", str: "string", bool: "boolean", object: "any"}
_BRIEF = {"app_name": str, "name": str, "description": str}
_PARAMETER = {
    "name": str,
    "type": str,
    "required": bool,
    "default": object,
    "description": str,
    "constraints": [str],
}


def publish(apps: dict[str, App]) -> None:
    """Set the apps that are documented. ``hamlet.py``, which lists all apps, calls it once."""
    _APPS.update(apps)


@APP.read([{"name": str, "description": str}], login=False)
def show_app_descriptions(call: Call) -> list[Row]:
    """All apps and what they are for."""
    return [{"name": app.name, "description": app.description} for app in _APPS.values()]


@APP.read([{"name": str, "description": str}], login=False)
def show_api_descriptions(call: Call, app_name: Line) -> list[Row]:
    """All APIs of an app and what they do.

    app_name: such as mail; see show_app_descriptions
    """
    return [{"name": api.name, "description": api.description} for api in _app(app_name).apis.values()]


@APP.read(
    {
        "app_name": str,
        "api_name": str,
        "description": str,
        "changes_data": bool,
        "parameters": [_PARAMETER],
        "response": object,
    },
    login=False,
)
def show_api_doc(call: Call, app_name: Line, api_name: Line) -> Row:
    """All about one API: its parameters, and what it returns.

    app_name: such as mail
    api_name: such as send_email; see show_api_descriptions
    """
    apis = _app(app_name).apis
    if api_name not in apis:
        hint = suggestion(api_name, list(apis))
        raise ApiFailure(
            404, f"{app_name} has no API {quoted(api_name)}.{hint} See show_api_descriptions(app_name='{app_name}')."
        )
    return describe(apis[api_name])


@APP.read([_BRIEF], paged=True, login=False)
def search_api_docs(call: Call, query: Line) -> list[Row]:
    """APIs of any app whose name, description or parameters contain all words of the query.

    query: words, such as: send money
    """
    return [
        {"app_name": app.name, "name": api.name, "description": api.description}
        for app in _APPS.values()
        for api in app.apis.values()
        if matches(query, app.name, api.name.replace("_", " "), api.name, api.description, *api.parameters)
    ]


def describe(api: Api) -> Row:
    """Return the documentation of an API."""
    return {
        "app_name": api.app,
        "api_name": api.name,
        "description": api.description,
        "changes_data": api.writes,
        "parameters": [
            {
                "name": parameter.name,
                "type": parameter.kind.text,
                "required": parameter.required,
                "default": None if parameter.required else parameter.default,
                "description": parameter.description,
                "constraints": list(parameter.kind.constraints),
            }
            for parameter in api.parameters.values()
        ],
        "response": _shape_text(api.returns),
    }


def _shape_text(shape: Shape) -> object:
    if isinstance(shape, dict):
        return {name: _shape_text(part) for name, part in shape.items()}
    if isinstance(shape, list):
        return [_shape_text(part) for part in shape]
    if isinstance(shape, tuple):
        return f"{_shape_text(shape[0])} or null"
    return _NAMES[shape]


def _app(name: str) -> App:
    if name not in _APPS:
        hint = suggestion(name, list(_APPS))
        raise ApiFailure(404, f"There is no app {quoted(name)}.{hint} Apps: {', '.join(_APPS)}.")
    return _APPS[name]
