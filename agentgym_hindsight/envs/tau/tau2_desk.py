"""tau²: the retail desk of the package ``tau2``, whose own Environment class runs every call.

The records are plain data in this library's tables, as at the other desks, so that anchors, rewards, feedback and
snapshots work on the changes alone. Before a call, the package's database gets the changed records as its own objects;
after it, what the call changed is written back. The package's tools, errors and tasks are not changed.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agentgym_hindsight.envs.tau.calculator import calculate, is_refused
from agentgym_hindsight.envs.tau.canonical import canonical_text
from agentgym_hindsight.envs.tau.data_folder import kind_of_actions
from agentgym_hindsight.envs.tau.desk import Desk, DeskTask, Outcome
from agentgym_hindsight.envs.tau.store import Database, InitialState, Record
from agentgym_hindsight.envs.tau.users.facts import facts_of_instruction, first_person
from agentgym_hindsight.errors import BackendError, MissingDataError, UsageError

__all__ = ["TAU2_CURE", "is_installed", "tau2_desk"]

#: How to get the package. ``pip install tau2`` installs another project.
TAU2_CURE = (
    "try, with Python 3.12 or 3.13, git clone https://github.com/sierra-research/tau2-bench and "
    "pip install -e tau2-bench (on the package index, tau2 is another project)"
)
#: What this library can check without a model that judges.
_CHECKED = frozenset({"DB", "COMMUNICATE"})


def tau2_desk(domain: str) -> Desk:
    """The desk of the package. Only the retail domain is played."""
    if domain != "retail":
        raise UsageError(f"Expected domain='retail' with backend='tau2', got {domain!r}; try domain='retail'.")
    return _load()


@lru_cache(maxsize=1)
def _load() -> Desk:
    module = _import("tau2.domains.retail.environment")
    try:
        environment, splits = module.get_environment(), module.get_tasks_split()
        tasks = {str(task.id): task for task in module.get_tasks(None)}
    except OSError as error:
        raise MissingDataError(
            f"Expected the data of tau2, got {error}; try TAU2_DATA_DIR with the folder data of its repository."
        ) from error
    pristine = {name: getattr(environment.tools.db, name) for name in type(environment.tools.db).model_fields}
    tables = {name: {key: _plain(record) for key, record in records.items()} for name, records in pristine.items()}
    return Tau2Desk(
        "retail",
        InitialState(tables),
        environment.get_policy(),
        tuple(tool.openai_schema for tool in environment.get_tools()),
        {
            split: tuple(_desk_task(tasks[number]) for number in splits[split] if _is_checkable(tasks[number]))
            for split in ("train", "test")
        },
        f"tau2-{_version()}",
        engine="tau2",
        keeps_state=True,
        environment=environment,
        call_class=_import("tau2.data_model.message").ToolCall,
    )


def is_installed() -> bool | None:
    """Whether the package is there; None for another project of its name. It is not imported: that takes seconds."""
    spec = find_spec("tau2")
    if spec is None:
        return False
    folders = spec.submodule_search_locations or ()
    return True if any(Path(folder, "domains", "retail").is_dir() for folder in folders) else None


def _import(name: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own dependencies
            module = import_module(name)
    except ImportError as error:
        version = ".".join(map(str, sys.version_info[:2]))
        raise BackendError(
            f"Expected the package tau2 of the benchmark tau², got {error} (Python {version}); {TAU2_CURE}."
        ) from error
    with suppress(ImportError):  # the package logs every result
        import_module("loguru").logger.disable("tau2")
    return module


def _version() -> str:
    try:
        return metadata.version("tau2")
    except metadata.PackageNotFoundError:  # its source is on the path
        return "source"


@dataclass(frozen=True)
class Tau2Desk(Desk):
    """Runs calls in the package's environment, of which all conversations of the process share one."""

    environment: Any = None
    call_class: Any = None

    def call(self, database: Database, name: str, arguments: Mapping[str, Any], rules: str = "official") -> Outcome:
        """Call a tool of the package."""
        expression = arguments.get("expression")
        if name == "calculate" and isinstance(expression, str) and is_refused(answer := calculate(expression)):
            return Outcome(answer, failed=True)  # the package would hang
        tools = self.environment.tools
        shared = tools.db
        views = {table: _View(getattr(shared, table), database, table) for table in database.tables}
        tools.db = type(shared).model_construct(**views)
        try:
            message = self.environment.get_response(
                self.call_class(id="call", name=name, arguments=dict(arguments), requestor="assistant")
            )
        except Exception as error:  # the package raises where a result has no JSON
            return Outcome("", failed=True, raises=type(error).__name__)
        finally:
            tools.db = shared
            for view in views.values():
                view.write_back()
        return Outcome(str(message.content), failed=bool(message.error))


class _View(dict[str, Any]):
    """A table of the package for one call. A record that a tool looks up is a copy, which it may change."""

    def __init__(self, shared: Mapping[str, Any], database: Database, table: str) -> None:
        super().__init__(shared)
        self._table = database[table]
        self._before: dict[str, str] = {}
        for key, record in self._table.own.items():
            self[key] = _rebuilt(shared[key], record)
            self._before[key] = canonical_text(_plain(super().__getitem__(key)))

    def __getitem__(self, key: str) -> Any:
        record = super().__getitem__(key)
        if key not in self._before:
            self._before[key] = canonical_text(_plain(record))
            record = record.model_copy(deep=True)
            self[key] = record
        return record

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401  # this is the method itself

    def write_back(self) -> None:
        """Write the records that changed into the database."""
        for key, before in self._before.items():
            record = _plain(super().__getitem__(key))
            if canonical_text(record) != before:
                self._table.insert(key, record)


def _plain(record: Any) -> Record:
    data: Record = record.model_dump(warnings=False)
    return data


def _rebuilt(shared: Any, record: Record) -> Any:
    """The package's object of a plain record. A value that the package would refuse to load is set as it is.

    The package's tools set some fields without a check, so such values occur.
    """
    kind = type(shared)
    try:
        return kind.model_validate(record)
    except ValueError as error:
        wrong = {str(each["loc"][0]) for each in getattr(error, "errors", list)()}
        if not wrong:
            raise
        made = kind.model_validate({**record, **{name: getattr(shared, name) for name in wrong}})
        for name in wrong:
            setattr(made, name, record[name])
        return made


def _is_checkable(task: Any) -> bool:
    """Whether the reward needs no judge."""
    criteria = task.evaluation_criteria
    basis = {getattr(each, "value", str(each)) for each in criteria.reward_basis}
    if criteria.nl_assertions is None or not criteria.nl_assertions:
        basis.discard("NL_ASSERTION")
    return basis <= _CHECKED and task.initial_state is None and criteria.actions is not None


def _desk_task(task: Any) -> DeskTask:
    criteria = task.evaluation_criteria
    basis = {getattr(each, "value", str(each)) for each in criteria.reward_basis}
    told = "COMMUNICATE" in basis
    actions = tuple((action.name, dict(action.arguments)) for action in criteria.actions)
    instruction = " ".join(_instruction(task.user_scenario))
    opening, facts, _ = facts_of_instruction(DeskTask(str(task.id), instruction, ()))
    reason = _part(task.user_scenario.instructions, "reason_for_call")
    return DeskTask(
        str(task.id),
        instruction,
        actions,
        tuple(map(str, criteria.communicate_info or ())) if told else (),
        kind=kind_of_actions([name for name, _ in actions]),
        opening=first_person(reason) if reason else opening,
        facts=facts,
    )


def _instruction(scenario: Any) -> Iterator[str]:
    """The parts of a scenario, in the order in which a user needs them."""
    if isinstance(scenario.instructions, str):
        yield scenario.instructions
    for name in ("known_info", "reason_for_call", "task_instructions", "unknown_info"):
        if part := _part(scenario.instructions, name):
            yield part
    if scenario.persona:
        yield str(scenario.persona)


def _part(instructions: Any, name: str) -> str:
    """A part of the instructions with one full stop at its end; some begin with one."""
    text = str(getattr(instructions, name, None) or "").strip(" .\n")
    return f"{text}." if text else ""
