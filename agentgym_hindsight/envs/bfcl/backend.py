"""A world of API classes as a backend of the environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from agentgym_hindsight.envs.base import Extra, Turn
from agentgym_hindsight.envs.bfcl.limits import TURN_ACTIONS
from agentgym_hindsight.envs.bfcl.reference import END_OF_TURN, Reference
from agentgym_hindsight.envs.bfcl.verdicts import check_text, verdict_text
from agentgym_hindsight.envs.bfcl.world import ApiEpisode, ApiLibrary, ApiTask, TurnCheck
from agentgym_hindsight.envs.libraries import LibraryBackend
from agentgym_hindsight.envs.plain_values import reject, row, text
from agentgym_hindsight.envs.tools import ToolAction, function_names, named_result, read_action, signatures
from agentgym_hindsight.envs.tools.schemas import FunctionSchema
from agentgym_hindsight.errors import ResetNeededError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.tasks import Task, content_hash

__all__ = ["MOST_TEXT", "ApiBackend", "BfclExtra"]

#: Characters of the results of one action after which its further calls are not run.
MOST_TEXT = 200_000
_NO_COMMAND: Mapping[str, Any] = {"error": "", "changes": "", "calls": 0}
_HOW = (
    'Write a call as <tool_call>{"name": …, "arguments": {…}}</tool_call>; several calls run in their order. '
    "An action without a call ends your turn: do so when the user's request is done, or cannot be done."
)
_END = "The conversation has ended."


class BfclExtra(Extra):
    """Facts about one turn.

    =========================  =========================================================================================
    ``backend``                the data, its version and the limit of the results
    ``kind``                   the category of the task
    ``user_turn``              the number of the present user turn, from 1
    ``user_turns``             the number of user turns of the conversation
    ``turns_passed``           for each user turn that has ended, whether it passed: do not show it to a policy
    ``tools``                  the schemas of the functions that are offered now, as chat templates take them
    ``tools_text``             the part of the first observation that lists the functions
    ``example_actions``        some actions that are legal in every state
    ``error``                  the error of the last action; "" if there is none
    ``changes``                what the last action changed, as text
    ``calls``                  number of calls in the last action
    ``evaluation``             the verdict as text; "" before the end
    =========================  =========================================================================================
    """

    __slots__ = ()

    def after_thought(self) -> BfclExtra:
        return BfclExtra({**self._facts, **_NO_COMMAND})


class ApiBackend(LibraryBackend):
    """One conversation at a time, in the world of a library."""

    library: ApiLibrary

    def __init__(self, library: ApiLibrary, *, limit: str = "turn", introduce: bool = True) -> None:
        self.library, self.limit, self.introduce = library, limit, introduce
        self._episode: ApiEpisode | None = None

    @property
    def name(self) -> str:
        return f"{self.library.name}/limit={self.limit}"

    @property
    def episode(self) -> ApiEpisode:
        """The current conversation."""
        if self._episode is None:
            raise ResetNeededError("Expected a conversation, got none; try start(task) first.")
        return self._episode

    @property
    def api_task(self) -> ApiTask:
        """The current conversation's task."""
        return self.episode.task

    def start(self, task: Task) -> Turn:
        self._episode = episode = self.library.start(task)
        self._checks: list[TurnCheck] = []
        self._played: list[str] = []
        self._actions = 0  # with calls, in this user turn
        self._over = self._forced = False
        self._reference = Reference(episode.task)
        offered = episode.task.functions[0]
        self._names = function_names(offered)
        tools_text = _tools_text(episode.task.functions[0])
        self._facts: dict[str, Any] = {
            "backend": self.name,
            "kind": episode.task.kind,
            "user_turn": 1,
            "user_turns": len(episode.task.messages),
            "turns_passed": (),
            "tools": tuple(offered),
            "tools_text": tools_text,
            "example_actions": (END_OF_TURN,),
            "evaluation": "",
            **_NO_COMMAND,
        }
        opening = f"User: {episode.task.messages[0]}"
        if self.introduce:
            opening = f"{tools_text}\n\n{opening}"
        return Turn(opening, state=self._state(), extra=BfclExtra(self._facts))

    def act(self, action: str) -> Turn:
        episode = self.episode
        self._played.append(action)
        read = read_action(action, self._names)
        if read.error or read.calls:
            observation, error, reasons = self._call(read)
        else:
            observation, error, reasons = self._end_turn(), "", []
        if error or read.calls:
            self._actions += 1
            if self.limit == "turn" and self._actions > TURN_ACTIONS:
                self._over = self._forced = True
        changes = episode.take_changes() if read.calls else ""
        reward = float(self._over and self._won())
        facts = {**self._facts, "error": error, "calls": len(read.calls), "changes": changes}
        if self._over:
            facts["evaluation"] = self._evaluation()
        return Turn(
            observation,
            (),
            not error,
            reward == 1.0,
            reward,
            reward,
            self._over,
            self._state(),
            self._detail(reasons, changes, bool(read.message)),
            BfclExtra(facts),
        )

    def conclude(self) -> str:
        """The verdict as text. Call it only after the episode."""
        return self._evaluation()()

    def expert_action(self) -> str:
        """The next reference call of this user turn that was not made; a message if all were."""
        return "" if self._over else self._reference.next_action()

    def demonstration(self, task: Task) -> Trajectory | None:
        """The reference's conversation; None if it does not pass all checks."""
        separate = ApiBackend(self.library, limit=self.limit, introduce=self.introduce)
        turn = separate.start(task)
        steps: list[Step] = []
        while not turn.terminated and len(steps) < 200:
            before, action = turn, separate.expert_action()
            turn = separate.act(action)
            steps.append(_step(len(steps), before, action, turn))
        return self.solved(task, steps, turn.observation) if turn.won else None

    # -- snapshots: the actions, which are taken again -------------------------------------------------------------

    def snapshot(self, turn: Turn) -> tuple[str, ...]:
        """The actions of the episode."""
        return tuple(self._played)

    def restore(self, task: Task, world: tuple[str, ...], turn: Turn) -> Turn:
        """Take the actions of a snapshot again."""
        made = self.start(task)
        for action in world:
            if self._over:
                reject("no action after the end", action, "world")
            made = self.act(action)
        return turn._replace(extra=made.extra)

    def decode(self, task: Task, world: Any) -> tuple[str, ...]:
        """The actions, from JSON."""
        return tuple(text(action, "world") for action in row(world, "world"))

    def close(self) -> None:
        self._episode = None

    # -- internal -------------------------------------------------------------------------------------------------

    def _call(self, read: ToolAction) -> tuple[str, str, list[str]]:
        """Run the calls: the observation, the first error, and the reasons of errors."""
        if read.error:
            return read.error, read.error, [f"Not read as a call: {read.error}"]
        texts: list[str] = []
        error, reasons, size = "", [], 0
        for number, call in enumerate(read.calls):
            if size > MOST_TEXT:
                stopped = f"The answer is too long: {len(read.calls) - number} more calls were not run."
                texts.append(stopped)
                error = error or stopped
                break
            result = self.episode.call(call)
            self._reference.made(call)
            texts.append(named_result(call.name, result.text))
            size += len(texts[-1])
            if result.error:
                error = error or result.error
                reasons.append(result.reason or result.error)
        return "\n".join(texts), error, reasons

    def _end_turn(self) -> str:
        """Check the user turn and begin the next one: the observation."""
        task = self.api_task
        self._checks.append(self.episode.end_turn())
        number = len(self._checks)
        self._actions = 0
        self._reference.next_turn()
        self._facts = {**self._facts, "turns_passed": tuple(check.passed for check in self._checks)}
        if number == len(task.messages):
            self._over = True
            return _END
        before, offered = task.functions[number - 1], task.functions[number]
        self._names = function_names(offered)
        self._facts |= {"user_turn": number + 1, "tools": tuple(offered)}
        new = _added(before, offered)
        lines = [f"User: {task.messages[number]}"]
        if new:
            lines.append(f"New functions:\n{signatures(new)}")
        return "\n".join(lines)

    def _won(self) -> bool:
        return len(self._checks) == len(self.api_task.messages) and all(check.passed for check in self._checks)

    def _evaluation(self) -> Callable[[], str]:
        return partial(verdict_text, self.api_task, tuple(self._checks), self._forced)

    def _state(self) -> str:
        return content_hash(self.episode.state_key, str(len(self._checks)), str(self._over))

    def _detail(
        self, reasons: list[str], changes: str | Callable[[], str], ended_turn: bool
    ) -> str | Callable[[], str]:
        check = self._checks[-1] if ended_turn else None
        evaluation = self._evaluation() if self._over else None
        if not reasons and not changes and check is None and evaluation is None:
            return ""
        return partial(_detail_text, reasons, changes, check, len(self._checks), evaluation)


_TEXTS: dict[int, tuple[Any, str]] = {}


def _tools_text(offered: Sequence[FunctionSchema]) -> str:
    """The list of functions. It is kept for the last tasks, which keep their functions too."""
    known = _TEXTS.get(id(offered))
    if known is not None and known[0] is offered:
        return known[1]
    text = f"You can call these functions:\n{signatures(offered)}\n{_HOW}"
    if len(_TEXTS) >= 1024:
        _TEXTS.clear()
    _TEXTS[id(offered)] = (offered, text)
    return text


def _added(before: Any, offered: Any) -> list[FunctionSchema]:
    known = set(function_names(before))
    return [schema for schema in offered if schema["function"]["name"] not in known]


def _detail_text(
    reasons: list[str],
    changes: str | Callable[[], str],
    check: TurnCheck | None,
    number: int,
    evaluation: Callable[[], str] | None,
) -> str:
    parts = [*reasons, changes if isinstance(changes, str) else changes()]
    if evaluation is not None:
        parts.append(evaluation())
    elif check is not None:
        parts.append(check_text(number, check))
    return "\n".join(part for part in parts if part)


def _step(index: int, before: Turn, action: str, turn: Turn) -> Step:
    detail = turn.detail
    return Step(
        index,
        before.observation,
        action,
        turn.observation,
        turn.observation,
        (),
        f"s:{before.state}",
        f"s:{turn.state}",
        turn.reward,
        turn.score,
        turn.valid,
        detail if isinstance(detail, str) else detail(),
    )
