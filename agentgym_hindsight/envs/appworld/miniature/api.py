"""Definition of apps: an API is a typed function, from which its documentation and argument checks are derived.

    notes = App("notes", "Write down and find again.", Table("notes_notes", …))

    @notes.read([NOTE], paged=True)
    def show_notes(call: Call, tag: str | None = None) -> list[Row]:
        '''Your notes, newest first.

        tag: only notes with this tag
        '''

A ``read`` API cannot write. The function of a ``paged`` API returns all results; this module selects the page.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, TypeVar, get_type_hints

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.database import Database
from agentgym_hindsight.envs.appworld.miniature.glossary import meaning
from agentgym_hindsight.envs.appworld.miniature.parameter_types import (
    Kind,
    Rule,
    kind_of,
    quoted,
    suggestion,
    value_text,
)
from agentgym_hindsight.envs.appworld.miniature.schema import Row, Table

__all__ = ["Api", "App", "Call", "Parameter", "Shape", "matches", "newest", "view"]

#: The shape of a result: a type, (type, None), [shape] or {name: shape}.
Shape = Any
F = TypeVar("F", bound=Callable[..., Any])

_REQUIRED = inspect.Parameter.empty
_TOKEN = Annotated[str, Rule("at most 200 characters", lambda value: len(value) <= 200)]
_PAGE_INDEX = Annotated[int, Rule("0 or more", lambda value: value >= 0)]
_PAGE_LIMIT = Annotated[int, Rule("1 to 20", lambda value: 1 <= value <= 20)]


class Call(NamedTuple):
    """The context of an API call: the data, the user ("" if the API needs no login) and the app."""

    db: Database
    user: str
    app: str

    def own_row(self, table: str, noun: str, key: int, owner: str = "owner") -> Row:
        """Return the caller's row with this id. Status 404 if there is none, 403 if it belongs to another person."""
        row = self.db.find(table, id=key)
        if row is None:
            raise ApiFailure(404, f"There is no {noun} with {noun.replace(' ', '_')}_id {key}.")
        if row[owner] != self.user:
            raise ApiFailure(403, f"The {noun} {key} is not yours.")
        return row

    def person(self, email: str) -> Row:
        """Return the person with this email address. Status 404 if there is none."""
        person_row = self.db.find("system_people", email=email)
        if person_row is None:
            raise ApiFailure(404, f"Nobody in Hamlet has the email address {quoted(email)}.")
        return person_row


class Parameter(NamedTuple):
    """A parameter of an API."""

    name: str
    kind: Kind
    default: Any
    description: str

    @property
    def required(self) -> bool:
        return self.default is _REQUIRED


class Api:
    """An API: a function, its parameters and their descriptions."""

    def __init__(
        self, app: str, function: Callable[..., Any], returns: Shape, *, writes: bool, paged: bool, login: bool
    ) -> None:
        self.app, self.name, self.function, self.returns = app, function.__name__, function, returns
        self.writes, self.paged, self.login = writes, paged, login
        self.description, described = _read_doc(inspect.getdoc(function) or "")
        hints = get_type_hints(function, include_extras=True)
        parameters: list[Parameter] = []
        if login:
            parameters.append(Parameter("access_token", kind_of(_TOKEN), _REQUIRED, f"what apis.{app}.login returned"))
        for name, parameter in list(inspect.signature(function).parameters.items())[1:]:
            description = described.pop(name, "") or meaning(name)
            parameters.append(Parameter(name, kind_of(hints[name]), parameter.default, description))
        if paged:
            parameters.append(Parameter("page_index", kind_of(_PAGE_INDEX), 0, "which page, counted from 0"))
            parameters.append(Parameter("page_limit", kind_of(_PAGE_LIMIT), 5, "how many results a page has"))
        if described:
            unknown = ", ".join(described)
            raise TypeError(
                f"Expected descriptions of parameters of {app}.{self.name}, got {unknown}; try to remove it."
            )
        self.parameters = {parameter.name: parameter for parameter in parameters}

    def check_names(self, arguments: object) -> dict[str, Any]:
        """Return the arguments. An unknown name is a failure with the nearest known name."""
        if type(arguments) is not dict or not all(type(name) is str for name in arguments):
            raise ApiFailure(422, f"Expected named arguments, got {value_text(arguments)}.")
        for name in arguments:
            if name not in self.parameters:
                parameter_names = ", ".join(self.parameters) or "no parameters"
                hint = suggestion(name, list(self.parameters))
                raise ApiFailure(
                    422, f"{self.app}.{self.name} has no parameter {quoted(name)}.{hint} It takes: {parameter_names}."
                )
        return arguments

    def token(self, arguments: Mapping[str, Any]) -> str:
        """Return the access token among the arguments."""
        if "access_token" not in arguments or arguments["access_token"] is None:
            raise ApiFailure(401, f"No access_token was given; get one from apis.{self.app}.login(username, password).")
        token = self.parameters["access_token"].kind.check("access_token", arguments["access_token"])
        return str(token)

    def check_values(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Check each argument and fill in defaults. The access token is left out."""
        missing = [p.name for p in self.parameters.values() if p.required and p.name not in arguments]
        if missing:
            raise ApiFailure(422, f"{self.app}.{self.name} needs {' and '.join(missing)}, which was not given.")
        return {
            name: parameter.kind.check(name, arguments[name]) if name in arguments else parameter.default
            for name, parameter in self.parameters.items()
            if name != "access_token"
        }

    def run(self, call: Call, checked: dict[str, Any]) -> Any:
        """Call the function and select the requested page."""
        if not self.paged:
            return self.function(call, **checked)
        index, limit = checked.pop("page_index"), checked.pop("page_limit")
        return self.function(call, **checked)[index * limit : (index + 1) * limit]


class App:
    """An app: its tables and its APIs by name."""

    def __init__(self, name: str, description: str, *tables: Table) -> None:
        self.name, self.description, self.tables = name, description, tables
        self.apis: dict[str, Api] = {}

    def read(self, returns: Shape, *, paged: bool = False, login: bool = True) -> Callable[[F], F]:
        """Register a function as an API that changes nothing."""
        return self._register(returns, writes=False, paged=paged, login=login)

    def write(self, returns: Shape, *, login: bool = True) -> Callable[[F], F]:
        """Register a function as an API that changes data."""
        return self._register(returns, writes=True, paged=False, login=login)

    def _register(self, returns: Shape, *, writes: bool, paged: bool, login: bool) -> Callable[[F], F]:
        def register(function: F) -> F:
            api = Api(self.name, function, returns, writes=writes, paged=paged, login=login)
            self.apis[api.name] = api
            return function

        return register


def _read_doc(doc: str) -> tuple[str, dict[str, str]]:
    """Return the description and the parameter descriptions: lines "name: text" after the first blank line."""
    description, _, rest = doc.partition("\n\n")
    described: dict[str, str] = {}
    for line in rest.splitlines():
        match = re.fullmatch(r"(\w+): (.+)", line)
        if match:
            described[match[1]] = match[2]
        elif line.strip():
            described[next(reversed(described))] += " " + line.strip()
    return " ".join(description.split()), described


def view(row: Row, shape: Mapping[str, Shape], **more: Any) -> Row:
    """Select the shape's fields from a row. ``more`` gives fields that the row stores under another name.

    >>> view({"id": 3, "title": "Tea", "owner": "ann"}, {"note_id": int, "title": str}, note_id=3)
    {'note_id': 3, 'title': 'Tea'}
    """
    return {name: more[name] if name in more else row[name] for name in shape}


def matches(query: str, *texts: str) -> bool:
    """Return whether every word of the query occurs in one of the texts, ignoring case.

    >>> matches("dinner ana", "Dinner on Friday", "with Ana"), matches("lunch", "Dinner")
    (True, False)
    """
    return finds(query.casefold().split(), searched_text(*texts))


def searched_text(*texts: str) -> str:
    """Return the texts as :func:`finds` searches them: a caller with many queries makes it once."""
    return "\n".join(texts).casefold()


def finds(words: Sequence[str], text: str) -> bool:
    """Return whether every word (in lower case) occurs in a :func:`searched_text`."""
    return all(word in text for word in words)


def newest(rows: Sequence[Row], by: str) -> list[Row]:
    """Sort rows by a time column, latest first."""
    return sorted(rows, key=lambda row: (row[by], row["id"]), reverse=True)
