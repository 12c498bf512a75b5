"""The protocol of a world of API classes: what the official data and the embedded world both provide.

A task is a conversation of several user turns. In a turn the agent calls functions until it replies without a call;
then the turn is checked and the next message of the user follows. The messages are fixed: no user is simulated.

The embedded world is ``embedded_library(seed)`` of :mod:`agentgym_hindsight.envs.bfcl.embedded`, with the keyword
``kinds`` (a sequence of names, or None for all). It returns an :class:`ApiLibrary`.

A world has no ``snapshot``: the backend stores the calls of an episode and makes them again. So an episode must be
deterministic: the same calls give the same results, states and checks, in every process and at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from agentgym_hindsight.envs.tools import ToolCall
from agentgym_hindsight.envs.tools.schemas import FunctionSchema
from agentgym_hindsight.tasks import Task

__all__ = ["ApiEpisode", "ApiLibrary", "ApiTask", "CallResult", "TurnCheck"]


class CallResult(NamedTuple):
    """What a call returned.

    ``text`` is what the agent reads, also for a failed call. ``error`` is the error in words, "" if the call succeeded.
    ``reason`` explains the error with facts that the agent does not see; it is only ever hindsight.
    """

    text: str
    error: str = ""
    reason: str = ""


class TurnCheck(NamedTuple):
    """The check of one user turn.

    ``failure`` is the kind of the failure, "" if the turn passed, and ``message`` says it in a sentence. ``hidden`` has
    what was wrong in which place, with the wanted values: it contains the answer. All three are only ever hindsight.
    ``hidden`` may be a function, called when the text is first read; it must hold its own copy of the state.
    """

    passed: bool
    failure: str = ""
    message: str = ""
    hidden: str | Callable[[], str] = ""


@dataclass(frozen=True)
class ApiTask:
    """A conversation.

    ``name``: its name in the data; ``kind``: the category in results; ``messages``: what the user says at the start of
    each turn; ``functions``: the schemas of the functions that are offered in each turn, all of them (a turn in which
    functions are added has the longer list, with the new ones at its end); ``reference``: the wanted calls of each turn
    with arguments by name, () where the right thing is to call nothing; ``facts``: for the world's own use.
    """

    name: str
    kind: str
    messages: tuple[str, ...]
    functions: tuple[Sequence[FunctionSchema], ...]
    reference: tuple[tuple[ToolCall, ...], ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


class ApiEpisode(Protocol):
    """One conversation about a task, with a private world. Episodes share nothing that can change."""

    task: ApiTask

    def call(self, call: ToolCall) -> CallResult:
        """Call a function. Never raises for a call: unknown names, missing arguments and odd values have texts."""
        ...

    def end_turn(self) -> TurnCheck:
        """Check the present user turn, and begin the next one. Called at most once a user turn."""
        ...

    @property
    def state_key(self) -> str:
        """A key of the state of the world: equal states have equal keys, whatever the calls before. Not of the turn,
        which the backend adds. It is computed after every action, in at most 0.1 ms."""
        ...

    def take_changes(self) -> str | Callable[[], str]:
        """What the calls since the last ``take_changes`` changed, as text, one line a field; "" if nothing. It may be
        a function, called when the text is first read; then it must hold its own copy of the states."""
        ...


class ApiLibrary(Protocol):
    """The tasks of a world, and the way to start one.

    The first methods are those of every library of tasks. ``name`` names the data and its version in every result, such
    as ``official/bfcl-eval 2026.3.23, v4 files``. Task ids are hashes of content (``content_hash``); ``Task.env`` is
    ``"bfcl"`` and ``Task.category`` the kind.
    """

    @property
    def name(self) -> str: ...
    @property
    def splits(self) -> tuple[str, ...]: ...
    def count(self, split: str) -> int: ...
    def task(self, split: str, index: int) -> Task: ...
    def find(self, task_id: str) -> Task: ...

    def start(self, task: Task) -> ApiEpisode: ...
