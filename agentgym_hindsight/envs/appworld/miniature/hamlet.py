"""Hamlet: the table of all apps, and the schema of their world."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.miniature.accounts import SESSIONS
from agentgym_hindsight.envs.appworld.miniature.api import App
from agentgym_hindsight.envs.appworld.miniature.apps import (
    api_docs,
    calendar,
    files,
    mail,
    music,
    notes,
    orders,
    payments,
    phone,
    playlists,
    requests,
    reviews,
    shop,
    supervisor,
)
from agentgym_hindsight.envs.appworld.miniature.schema import Table

__all__ = ["APPS", "LOGIN_APPS", "NAMES", "SCHEMA", "WORLD_NAME"]

#: The name under which results of this world are reported.
WORLD_NAME = "miniature/hamlet"

# some apps consist of two or three modules, which share one APP
_MODULES = (
    supervisor,
    api_docs,
    mail,
    phone,
    notes,
    payments,
    requests,
    calendar,
    shop,
    orders,
    reviews,
    files,
    music,
    playlists,
)

APPS: dict[str, App] = {module.APP.name: module.APP for module in _MODULES}
api_docs.publish(APPS)

#: Apps that need a login.
LOGIN_APPS: tuple[str, ...] = tuple(name for name, app in APPS.items() if "login" in app.apis)

#: The names of all APIs, by app.
NAMES: dict[str, tuple[str, ...]] = {name: tuple(app.apis) for name, app in APPS.items()}

_SYSTEM = (
    Table("system_world", system=True, id=int, seed=int, now=str, supervisor=str, instruction=(str, "")),
    Table(
        "system_people",
        key=("email",),
        system=True,
        email=str,
        first_name=str,
        last_name=str,
        phone_number=str,
        birthday=str,
        street=str,
        registered_on=str,
        relationships=(list, []),  # to the supervisor
    ),
    SESSIONS,
)

SCHEMA: dict[str, Table] = {
    table.name: table for table in (*_SYSTEM, *(table for app in APPS.values() for table in app.tables))
}
