"""The desks as a backend of the environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from agentgym_hindsight.envs.base import Extra, Turn
from agentgym_hindsight.envs.libraries import LibraryBackend
from agentgym_hindsight.envs.plain_values import reject, row, text, whole
from agentgym_hindsight.envs.tau.changes import describe_changes
from agentgym_hindsight.envs.tau.desk import RESPOND, TERMINATING
from agentgym_hindsight.envs.tau.library import DeskLibrary
from agentgym_hindsight.envs.tau.rewards import Evaluation
from agentgym_hindsight.envs.tau.saved_session import SavedSession, decoded_session
from agentgym_hindsight.envs.tau.session import Reply, Session
from agentgym_hindsight.envs.tau.users import ScriptedUser, User
from agentgym_hindsight.envs.tau.verdicts import verdict_text
from agentgym_hindsight.envs.tools import (
    ToolAction,
    ToolCall,
    format_calls,
    function_names,
    read_action,
    signatures,
)
from agentgym_hindsight.errors import ResetNeededError, SchemaError, UnknownNameError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.short_repr import short_repr
from agentgym_hindsight.tasks import Task

__all__ = ["DeskBackend", "TauExtra"]

#: The conversation; how many actions of the reference are left; the error, the number of calls and the changes of the
#: last action.
Saved = tuple[SavedSession, int, tuple[str, int, str]]

_NO_COMMAND: Mapping[str, Any] = {"error": "", "changes": "", "calls": 0}
_HOW = (
    'Write a call as <tool_call>{"name": …, "arguments": {…}}</tool_call>. '
    "An action without a call is a message to the user."
)
_EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "retail": (
        format_calls([ToolCall("list_all_product_types")]),
        format_calls([ToolCall("calculate", {"expression": "2 * 3"})]),
        "Could you please tell me your email address, or your name and zip code?",
    ),
    "airline": (
        format_calls([ToolCall("list_all_airports")]),
        format_calls([ToolCall("calculate", {"expression": "2 * 3"})]),
        "Could you please tell me your user id?",
    ),
}


class TauExtra(Extra):
    """Facts about one turn.

    ===================  ======================================================================================
    ``backend``          the data, the rules and the user of the results
    ``domain``, ``rules``, ``user``  as in the arguments
    ``policy``           the rules of the desk
    ``tools``            the schemas of the functions, as ``apply_chat_template(tools=…)`` takes them
    ``tools_text``       the part of the first observation that lists them
    ``example_actions``  some actions that are legal in every state
    ``error``            the error of the last action; "" if there is none
    ``changes``          what the last action changed in which record, as text
    ``calls``            number of calls in the last action
    ``evaluation``       the verdict as text; "" before the end
    ===================  ======================================================================================
    """

    __slots__ = ()

    def after_thought(self) -> TauExtra:
        return TauExtra({**self._facts, **_NO_COMMAND})


class DeskBackend(LibraryBackend):
    """One conversation at a time, at the desk of a library."""

    library: DeskLibrary

    def __init__(self, library: DeskLibrary, user: User, *, introduce: bool = True) -> None:
        self.library, self.user, self.introduce = library, user, introduce
        desk = library.desk
        self._names = function_names(desk.schemas)
        self.tools_text = f"You can call these functions:\n{signatures(desk.schemas)}\n{_HOW}"
        self._facts: dict[str, Any] = {
            "backend": library.name,
            "domain": desk.domain,
            "rules": library.rules,
            "user": user.name,
            "policy": desk.policy,
            "tools": tuple(desk.schemas),
            "tools_text": self.tools_text,
            "example_actions": _EXAMPLES[desk.domain],
            "evaluation": "",
            **_NO_COMMAND,
        }
        self._session: Session | None = None
        self._remaining: list[str] = []
        self._evaluation: Evaluation | None = None

    @property
    def session(self) -> Session:
        """The current conversation."""
        if self._session is None:
            raise ResetNeededError("Expected a conversation, got none; try start(task) first.")
        return self._session

    def start(self, task: Task) -> Turn:
        desk = self.library.desk
        wanted = self.library.desk_task(task)
        self._evaluation = None
        self._session = session = Session(desk, wanted, self.user, self.library.rules, task.id)
        self._remaining = _reference(session)
        opening = f"User: {session.opening}"
        if self.introduce:
            opening = f"{desk.policy.strip()}\n\n{self.tools_text}\n\n{opening}"
        return Turn(opening, state=session.state_key, extra=TauExtra(self._facts))

    def act(self, action: str) -> Turn:
        session = self.session
        read = read_action(action, self._names)
        reply = session.act(read)
        if self._remaining and _is_same(action, read, self._remaining[0]):
            del self._remaining[0]
        state = session.state_key
        evaluation = self._evaluate() if reply.done else None
        reward = evaluation.reward if evaluation else 0.0
        extra = {**self._facts, "error": reply.error, "calls": len(read.calls)}
        extra["changes"] = partial(describe_changes, reply.changes)
        if evaluation:
            extra["evaluation"] = partial(verdict_text, evaluation)
        return Turn(
            reply.text,
            (),
            reply.valid,
            reward == 1.0,
            reward,
            reward,
            reply.done,
            state,
            partial(_detail, reply, evaluation),
            TauExtra(extra),
        )

    def _evaluate(self) -> Evaluation:
        if self._evaluation is None:
            self._evaluation = self.session.evaluate()
        return self._evaluation

    def conclude(self) -> str:
        """The verdict as text. Call it only after the episode."""
        return verdict_text(self._evaluate())

    def expert_action(self) -> str:
        """The next action of the reference that was not taken; when all are, a message that reports the end."""
        if self._remaining:
            return self._remaining[0]
        return "" if self.session.done else "Your request is complete."

    def demonstration(self, task: Task) -> Trajectory | None:
        """The reference's conversation with the scripted user; None if it does not earn the reward."""
        separate = DeskBackend(self.library, ScriptedUser(), introduce=self.introduce)
        turn = separate.start(task)
        steps: list[Step] = []
        while not turn.terminated and len(steps) < 100:
            before, action = turn, separate.expert_action()
            turn = separate.act(action)
            steps.append(_step(len(steps), before, action, turn))
        if not turn.won:
            return None
        return self.solved(task, steps, turn.observation)

    def close(self) -> None:
        self._session = None
        self.user.close()

    # -- snapshots ------------------------------------------------------------------------------------------------

    @property
    def not_restorable(self) -> str:
        """Why the user of this backend cannot be restored; "" if it can."""
        return self.user.not_restorable

    def snapshot(self, turn: Turn) -> Saved:
        """The conversation, the number of reference actions that are left, and the facts about the last turn."""
        extra = turn.extra
        return self.session.save(), len(self._remaining), (extra["error"], extra["calls"], extra["changes"])

    def restore(self, task: Task, world: Saved, turn: Turn) -> Turn:
        """Continue from a state that :meth:`snapshot` returned."""
        saved, remaining, (error, calls, changes) = world
        library = self.library
        self._evaluation = None
        session = Session(library.desk, library.desk_task(task), self.user, library.rules, task.id, saved)
        self._session = session
        judged = saved[-1]
        evaluation = self._evaluate() if judged else None
        reference = _reference(session)
        self._remaining = reference[max(0, len(reference) - remaining) :]
        facts = {**self._facts, "error": error, "calls": calls, "changes": changes}
        if evaluation and turn.terminated:
            facts["evaluation"] = partial(verdict_text, evaluation)
        return turn._replace(extra=TauExtra(facts))

    def decode(self, task: Task, world: Any) -> Saved:
        """The state of :meth:`snapshot` from JSON."""
        library = self.library
        try:
            known = library.find(task.id)
        except UnknownNameError as error:
            raise SchemaError(f"Expected a task of {library.name}, got {short_repr(task.id, 60)}.") from error
        if known != task:
            reject("the task as this env lists it", task.to_dict(), "task")
        session, remaining, turn = row(world, "world", 3)
        wanted = library.desk_task(task)
        records, actions, user, done, judged = decoded_session(library.desk.initial, session)
        refused, calls, changes = row(turn, "world.turn", 3)
        return (
            (records, actions, self.user.decode(wanted, user), done, judged),
            whole(remaining, "world.remaining", 0, len(wanted.actions) + 2),
            (text(refused, "world.turn"), whole(calls, "world.turn", 0, 1 << 20), text(changes, "world.turn")),
        )


def _is_same(action: str, read: ToolAction, wanted: str) -> bool:
    """Whether an action is the wanted one, in any notation."""
    return action == wanted or (bool(read.calls) and read.calls == read_action(wanted).calls)


def _reference(session: Session) -> list[str]:
    """The reference as actions: its calls, each alone, then what the user has to be told."""
    actions = []
    for name, arguments in session.task.actions:
        if name == RESPOND:
            continue
        actions.append(format_calls([ToolCall(name, arguments)]))
        if name in TERMINATING:
            return [*_told(session), *actions] if session.task.outputs else actions
    return [*actions, *(_told(session) or ["Your request is complete."])]


def _told(session: Session) -> list[str]:
    outputs = session.task.outputs
    return [f"Your request is complete. The answer: {'; '.join(outputs)}."] if outputs else []


def _detail(reply: Reply, evaluation: Evaluation | None) -> str:
    parts = [*reply.reasons, describe_changes(reply.changes)]
    if evaluation is not None:
        parts.append(verdict_text(evaluation))
    return "\n".join(part for part in parts if part)


def _step(index: int, before: Turn, action: str, turn: Turn) -> Step:
    detail: str | Callable[[], str] = turn.detail
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
