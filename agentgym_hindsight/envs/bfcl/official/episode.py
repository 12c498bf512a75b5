"""One conversation in the benchmark's world: the agent's API objects, and those on which the answer is carried out."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any

from agentgym_hindsight.envs.bfcl.official.answers import wanted
from agentgym_hindsight.envs.bfcl.official.calls import ApiObjects, failure_text, render_result
from agentgym_hindsight.envs.bfcl.official.checks import OfficialCheck, check_turn
from agentgym_hindsight.envs.bfcl.official.expressions import run_text
from agentgym_hindsight.envs.bfcl.official.package import Modules
from agentgym_hindsight.envs.bfcl.official.rows import Entry
from agentgym_hindsight.envs.bfcl.official.state_text import folder_of, state_text
from agentgym_hindsight.envs.bfcl.official.templates import template
from agentgym_hindsight.envs.bfcl.world import ApiTask, CallResult
from agentgym_hindsight.envs.tools import ToolCall
from agentgym_hindsight.envs.tools.changes import record_changes
from agentgym_hindsight.printable import printable_line
from agentgym_hindsight.tasks import content_hash

__all__ = ["OfficialEpisode"]

_MOST_LINES, _MOST_NAMES = 12, 30


class OfficialEpisode:
    """See :class:`~agentgym_hindsight.envs.bfcl.world.ApiEpisode`."""

    def __init__(self, modules: Modules, entry: Entry, task: ApiTask) -> None:
        self.task, self.entry, self._modules = task, entry, modules
        self.objects = ApiObjects(modules, entry)
        self.turn = 0
        self.results: list[str] = []
        self._called = False
        self._texts = dict(template(modules, entry).texts)  # class → its state, without the calls in _touched
        self._told = dict(self._texts)  # at the last take_changes
        self._touched: set[str] = set()
        self._key = ""

    def call(self, call: ToolCall) -> CallResult:
        """Call a method of the API objects."""
        self._note(call.name)
        try:
            # The objects keep lists of arguments and change them. The call may be the reference's.
            positional, arguments = deepcopy((call.positional, dict(call.arguments)))
            text = render_result(self.objects.call(call.name, positional, arguments))
            error = _error_of(text)
        except Exception as raised:
            error = text = failure_text(raised)
        self.results.append(text)
        return CallResult(text, error, self._reason(call, error) if error else "")

    def run_text(self, text: str) -> str:
        """Carry out a call that is written as Python, as in recordings."""
        self._called = True
        self._touched.update(self.objects.instances)  # the call may have others in its arguments
        self._key = ""
        self.results.append(run_text(self.objects, text))
        return self.results[-1]

    def end_turn(self) -> OfficialCheck:
        """Check the turn against the answer's, whose calls were carried out on objects of their own."""
        answer = self.entry.answer[self.turn]
        want = wanted(self._modules, self.entry, self.turn)
        check = check_turn(self._modules, self.turn, answer, self._called, self.results, self.objects, want)
        self.turn, self._called, self._key = self.turn + 1, False, ""
        return check

    @property
    def state_key(self) -> str:
        """A hash of the public attributes and the current folder."""
        if not self._key:
            self._refresh()
            folders = (folder_of(instance) for instance in self.objects.instances.values())
            self._key = content_hash(*self._texts.values(), *folders)
        return self._key

    def take_changes(self) -> str | Callable[[], str]:
        """The attributes that differ from those at the last call of this method."""
        self._refresh()
        changed = {name: (self._told[name], text) for name, text in self._texts.items() if text is not self._told[name]}
        changed = {name: pair for name, pair in changed.items() if pair[0] != pair[1]}
        if not changed:
            return ""
        self._told = dict(self._texts)
        return partial(_changes, changed)

    def _note(self, name: str) -> None:
        self._called, self._key = True, ""
        owner = self.objects.owners.get(name)
        if owner is not None and not (self.objects.overgrown and owner == "GorillaFileSystem"):
            self._touched.add(owner)

    def _refresh(self) -> None:
        for name in self._touched:
            self._texts[name] = state_text(self.objects.instances[name])
        self._touched.clear()

    def _reason(self, call: ToolCall, error: str) -> str:
        """Why a call failed, with facts that the agent does not see."""
        shown = printable_line(error.removeprefix("Error during execution: "), 200)
        owner = self.objects.owners.get(call.name)
        if owner is None:
            offered = self.task.functions[min(self.turn, len(self.task.functions) - 1)]
            names = ", ".join(str(schema["function"]["name"]) for schema in offered)
            return f"No function is called {printable_line(call.name, 60)!r}; there are {names}."
        parts = [f"{call.name} failed: {shown}."]
        instance = self.objects.instances[owner]
        if "argument" in shown:
            parts.append(f"Its signature is {call.name}{inspect.signature(getattr(instance, call.name))}.")
        folder = getattr(instance, "_current_dir", None)
        if folder is not None:
            names = ", ".join(map(str, list(folder.contents)[:_MOST_NAMES])) or "nothing"
            parts.append(f"The current folder {folder_of(instance)} has {printable_line(names, 400)}.")
        return " ".join(parts)


def _error_of(text: str) -> str:
    """The error in a result, as the API objects report it: ``{"error": …}``."""
    if not text.startswith('{"error"'):
        return ""
    try:
        found = json.loads(text)
    except ValueError:
        return ""
    return str(found["error"]) if isinstance(found, dict) and "error" in found else ""


def _changes(changed: Mapping[str, tuple[str, str]]) -> str:
    lines: list[str] = []
    for name, (before, after) in changed.items():
        fields: list[Any] = list(record_changes(json.loads(before), json.loads(after)))
        shown = fields[:_MOST_LINES]
        if len(fields) > len(shown):
            shown.append(f"and {len(fields) - len(shown)} more")
        lines.append(f"{name} changed: {'; '.join(shown)}.")
    return "\n".join(lines)
