"""Hamlet behind the standard face: code in, output out, and what the host knows besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

from agentgym_hindsight.envs.appworld.miniature.checks import Verdict, judge
from agentgym_hindsight.envs.appworld.miniature.delta import Delta
from agentgym_hindsight.envs.appworld.miniature.hamlet import SCHEMA
from agentgym_hindsight.envs.appworld.miniature.library import MiniatureLibrary
from agentgym_hindsight.envs.appworld.miniature.tasks import Made
from agentgym_hindsight.envs.appworld.miniature.world import World
from agentgym_hindsight.envs.appworld.sandbox import Limits, Outcome, Sandbox
from agentgym_hindsight.envs.base import Extra, Turn
from agentgym_hindsight.envs.libraries import LibraryBackend
from agentgym_hindsight.errors import ResetNeededError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.tasks import Task, content_hash

__all__ = ["MiniatureBackend"]

#: What there is to say of a command where there was none.
_NO_COMMAND = {"error": "", "replaced": False, "calls": 0, "changes": ""}

_DONE = "The program ran; nothing was printed."
_OVER = "The task is completed."


class MiniatureBackend(LibraryBackend):
    """One world and one interpreter at a time, each fresh with every task."""

    library: MiniatureLibrary

    def __init__(self, library: MiniatureLibrary, limits: Limits | None = None) -> None:
        self.library, self.limits = library, limits
        self._play: _Play | None = None
        self._sandbox: Sandbox | None = None

    def start(self, task: Task) -> Turn:
        made = self.library.made(task)
        if self._play is not None:
            self._play.close()
        if self._sandbox is None:
            self._sandbox = Sandbox(self._call, World.names(), self.limits)
        self._play = _Play(made, self._sandbox, self.name)
        self._sandbox.reset(seed=made.number, now=self._play.world.now)  # the world's clock and draws, never the host's
        return self._play.opening()

    def act(self, action: str) -> Turn:
        return self.play.act(action)

    @property
    def play(self) -> _Play:
        """The episode that is going on."""
        if self._play is None:
            raise ResetNeededError("Expected an episode in Hamlet, got none; try start(task) first.")
        return self._play

    def expert_action(self) -> str:
        return self.play.advice()

    def conclude(self) -> str:
        """The checks' verdict in words, at the end and never before."""
        return _told(self.play.verdict())

    def demonstration(self, task: Task) -> Trajectory | None:
        """The reference solution, played in a world and an interpreter of its own."""
        other = MiniatureBackend(self.library, self.limits)
        with closing(other):
            turn = other.start(task)
            steps: list[Step] = []
            for code in other.play.made.job.solution:
                before, turn = turn, other.act(code)
                steps.append(_step(len(steps), before, code, turn))
        if not turn.won:
            return None
        steps[-1].extra["evaluation"] = str(turn.extra["evaluation"])  # type: ignore[index]  # ours alone as yet
        return self.solved(task, steps, turn.observation)

    def close(self) -> None:
        if self._play is not None:
            self._play.close()
            self._play = None
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None

    def _call(self, app: str, api: str, arguments: dict[str, Any]) -> Any:
        return self.play.call(app, api, arguments)


class _Facts(Extra):
    """What is known of a turn."""

    __slots__ = ()

    def after_thought(self) -> _Facts:
        return _Facts(**{**self._facts, **_NO_COMMAND})


class _Play:
    """One episode."""

    def __init__(self, made: Made, sandbox: Sandbox, backend: str) -> None:
        self.made, self.world, self._sandbox = made, World.load(made.frozen), sandbox
        self._left = list(made.job.solution)
        self._calls = 0
        self._delta = self.world.delta()
        self._facts: dict[str, Any] = {
            "backend": backend,
            "sandbox": sandbox.mode,
            "template": made.template.name,
            "difficulty": made.template.difficulty,
        }

    def close(self) -> None:
        self.world.close()

    def call(self, app: str, api: str, arguments: dict[str, Any]) -> Any:
        self._calls += 1
        return self.world.call(app, api, arguments)

    def opening(self) -> Turn:
        return Turn(
            _opening(self.world), state=self.state_key(""), extra=self._extra(Outcome("", "", "", False, ""), 0, "")
        )

    def advice(self) -> str:
        """The first turn of the reference solution that was not run yet: variables live on, detours do not matter."""
        return self._left[0] if self._left else ""

    def act(self, code: str) -> Turn:
        self._calls = 0
        outcome = self._sandbox.run(code)
        if self._left and code == self._left[0] and not outcome.kind:
            del self._left[0]
        before, self._delta = self._delta, self.world.delta()
        changes = partial(_news, before, self._delta)
        over = bool(self.world.completed)
        verdict = self.verdict() if over else None
        return Turn(
            _shown(outcome, over),
            (),
            not outcome.kind,
            verdict.won if verdict else False,
            verdict.score if verdict else 0.0,
            verdict.reward if verdict else 0.0,
            over,
            self.state_key(outcome.shape),
            partial(_detail, outcome, changes),
            self._extra(outcome, self._calls, changes, verdict),
        )

    def verdict(self) -> Verdict:
        """What the checks say of the state as it is."""
        return judge(self.made.job.goal, self.world.delta(), self.world.completed, self.world.answer)

    def state_key(self, shape: str) -> str:
        """The state's name: everything stored, and the live variables' shape."""
        return content_hash(self.world.delta_key(), shape)

    @property
    def sandbox_mode(self) -> str:
        """What confines the code."""
        return self._sandbox.mode

    def _extra(self, outcome: Outcome, calls: int, changes: Any, verdict: Verdict | None = None) -> Extra:
        told = "" if verdict is None else _told(verdict)
        return _Facts(
            **self._facts,
            error=outcome.kind,
            replaced=outcome.fresh,  # the interpreter, and with it all variables
            calls=calls,
            changes=changes,
            evaluation=told,
        )


def _opening(world: World) -> str:
    me = world.supervisor
    return (
        f"You act for {me.name} ({me.email}, phone {me.phone_number}) by writing Python. "
        "apis.<app>.<api>(name=value, …) calls an API, and what is printed is shown to you; variables are kept.\n"
        "apis.api_docs.show_app_descriptions(), .show_api_descriptions(app_name=…) and .show_api_doc(app_name=…, "
        "api_name=…) tell what there is, apis.supervisor.show_account_passwords() how to log in, and "
        "apis.supervisor.complete_task(answer=…) ends the task (no answer where none is asked for).\n"
        f"Your task: {world.instruction}"
    )


def _shown(outcome: Outcome, over: bool) -> str:
    parts = [outcome.output.rstrip("\n"), outcome.error] if outcome.output.strip() else [outcome.error]
    if over:
        parts.append(_OVER)
    return "\n".join(part for part in parts if part) or _DONE


def _detail(outcome: Outcome, changes: Callable[[], str]) -> str:
    """What a teacher may be told beyond the output: what the turn changed, above all where it failed half-way."""
    told = changes()
    if not outcome.kind:
        return told
    return f"Before it failed: {told}" if told else "It failed before anything had changed."


def _news(before: Delta, after: Delta) -> str:
    """What one turn changed, in words; "" where it changed nothing."""
    if before == after:
        return ""
    return "\n".join(_differences(before, after))


def _differences(before: Delta, after: Delta) -> Iterator[str]:
    known, now = set(before.entries), set(after.entries)
    rows = {entry[:2] for entry in after.entries}
    fresh = tuple(entry for entry in after.entries if entry not in known)
    undone = tuple(entry for entry in before.entries if entry not in now and entry[:2] not in rows)
    if fresh:
        yield f"Changed: {Delta(fresh, SCHEMA).summary()}"
    if undone:
        yield f"Undone again: {Delta(undone, SCHEMA).summary()}"


def _told(verdict: Verdict) -> str:
    lines = [f"passed: {text}" for text in verdict.passes] + [f"FAILED: {text}" for text in verdict.failures]
    return "\n".join([f"{len(verdict.passes)} of {len(lines)} checks passed.", *lines])


def _step(index: int, before: Turn, code: str, turn: Turn) -> Step:
    detail = turn.detail if isinstance(turn.detail, str) else turn.detail()
    anchors = f"s:{before.state}", f"s:{turn.state}"
    return Step(
        index,
        before.observation,
        code,
        turn.observation,
        turn.observation,
        (),
        *anchors,
        turn.reward,
        turn.score,
        turn.valid,
        detail,
    )
