"""Hamlet as a backend of the environment: it runs the agent's code and returns the output, checks and changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

from agentgym_hindsight.envs.appworld.example_actions import EXAMPLE_ACTIONS
from agentgym_hindsight.envs.appworld.miniature.checks import Verdict, judge
from agentgym_hindsight.envs.appworld.miniature.database import Entries
from agentgym_hindsight.envs.appworld.miniature.delta import Delta
from agentgym_hindsight.envs.appworld.miniature.hamlet import SCHEMA
from agentgym_hindsight.envs.appworld.miniature.library import MiniatureLibrary
from agentgym_hindsight.envs.appworld.miniature.saved_state import SAVED_FACTS, Saved, decoded
from agentgym_hindsight.envs.appworld.miniature.tasks import Made
from agentgym_hindsight.envs.appworld.miniature.world import World
from agentgym_hindsight.envs.appworld.sandbox import Limits, Outcome, Sandbox
from agentgym_hindsight.envs.appworld.sandbox.interpreter_state import new_interpreter
from agentgym_hindsight.envs.base import Extra, Turn
from agentgym_hindsight.envs.libraries import LibraryBackend
from agentgym_hindsight.errors import ResetNeededError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.tasks import Task, content_hash

__all__ = ["MiniatureBackend"]

#: The facts of a turn in which no code ran.
_NO_COMMAND = {"error": "", "replaced": False, "calls": 0, "changes": ""}

_NO_OUTPUT = "The program ran; nothing was printed."
_COMPLETED = "The task is completed."


class MiniatureBackend(LibraryBackend):
    """One world and one interpreter at a time. Each task gets a new world and new variables."""

    library: MiniatureLibrary

    def __init__(self, library: MiniatureLibrary, limits: Limits | None = None) -> None:
        self.library, self.limits = library, limits
        self._play: _Play | None = None
        self._task: Task | None = None  # of the play
        self._sandbox: Sandbox | None = None

    def start(self, task: Task) -> Turn:
        made = self.library.made(task)
        if self._play is not None:
            self._play.close()
        if self._sandbox is None:
            self._sandbox = Sandbox(self._call, World.names(), self.limits)
        self._play = _Play(made, self._sandbox, self.name)
        self._task = task
        self._sandbox.reset(**_surroundings(self._play))
        return self._play.opening()

    def act(self, action: str) -> Turn:
        return self.play.act(action)

    @property
    def play(self) -> _Play:
        """The current episode."""
        if self._play is None:
            raise ResetNeededError("Expected an episode in Hamlet, got none; try start(task) first.")
        return self._play

    def expert_action(self) -> str:
        return self.play.next_solution_turn()

    def conclude(self) -> str:
        """End the interpreter, and return the verdict as text. Call it only after the episode."""
        if self._sandbox is not None:
            self._sandbox.close()
        return _verdict_text(self.play.verdict())

    def demonstration(self, task: Task) -> Trajectory | None:
        """Run the reference solution in a separate world and interpreter."""
        separate = MiniatureBackend(self.library, self.limits)
        with closing(separate):
            turn = separate.start(task)
            steps: list[Step] = []
            for code in separate.play.made.job.solution:
                before, turn = turn, separate.act(code)
                steps.append(_step(len(steps), before, code, turn))
        if not turn.won:
            return None
        steps[-1].extra["evaluation"] = str(turn.extra["evaluation"])  # type: ignore[index]  # no other reference exists yet
        return self.solved(task, steps, turn.observation)

    def close(self) -> None:
        if self._play is not None:
            self._play.close()
            self._play = None
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None

    # -- snapshots ------------------------------------------------------------------------------------------------

    def snapshot(self, turn: Turn) -> Saved:
        """The changed rows, the interpreter, the rest of the reference solution, and the facts of the turn."""
        play = self.play
        sandbox = self._sandbox
        interpreter = new_interpreter() if sandbox is None else sandbox.save()
        facts = tuple(turn.extra[name] for name in SAVED_FACTS)
        return play.world.db.saved(), interpreter, play.remaining, facts

    def restore(self, task: Task, world: Saved, turn: Turn) -> Turn:
        """Set the world, and start an interpreter with the variables that :meth:`snapshot` could carry over."""
        rows, interpreter, remaining, facts = world
        if self._play is not None and self._task == task:
            play = self._play
        else:
            made = self.library.made(task)
            if self._play is not None:
                self._play.close()
            if self._sandbox is None:
                self._sandbox = Sandbox(self._call, World.names(), self.limits)
            play, self._task = _Play(made, self._sandbox, self.name), task
        self._play = play
        play.load(rows, remaining)
        assert self._sandbox is not None  # start and this method make it with the play
        if turn.terminated:
            self._sandbox.close()
        else:
            self._sandbox.load(interpreter, **_surroundings(play))
        return turn._replace(extra=play.facts(facts))

    def decode(self, task: Task, world: Any) -> Saved:
        """The state of :meth:`snapshot` from JSON."""
        return decoded(self.library.made(task), world)

    @staticmethod
    def lost(world: Saved) -> tuple[str, ...]:
        """The names of the variables that a saved state does not have."""
        return world[1].lost

    def _call(self, app: str, api: str, arguments: dict[str, Any]) -> Any:
        return self.play.call(app, api, arguments)


class _Facts(Extra):
    """The facts of a turn."""

    __slots__ = ()

    def after_thought(self) -> _Facts:
        return _Facts(**{**self._facts, **_NO_COMMAND})


class _Play:
    """One episode."""

    def __init__(self, made: Made, sandbox: Sandbox, backend: str) -> None:
        self.made, self.world, self._sandbox = made, World.load(made.frozen), sandbox
        self._remaining = list(made.job.solution)
        self._first_observation = _opening(self.world)
        self._calls = 0
        self._delta = self.world.delta()
        self._facts: dict[str, Any] = {
            "backend": backend,
            "example_actions": EXAMPLE_ACTIONS,
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
            self._first_observation, state=self.state_key(""), extra=self._extra(Outcome("", "", "", False, ""), 0, "")
        )

    @property
    def first_observation(self) -> str:
        """What the agent is shown at the start."""
        return self._first_observation

    @property
    def remaining(self) -> int:
        """The number of turns of the reference solution that have not run."""
        return len(self._remaining)

    def load(self, rows: Entries, remaining: int) -> None:
        """Set the world and the rest of the solution."""
        self.world.db.load(rows)
        solution = self.made.job.solution
        self._remaining = list(solution[len(solution) - remaining :])
        self._delta = self.world.delta()

    def facts(self, saved: tuple[Any, ...]) -> Extra:
        """The facts of a turn of a snapshot."""
        return _Facts(**self._facts, **dict(zip(SAVED_FACTS, saved, strict=True)))

    def next_solution_turn(self) -> str:
        """Return the first turn of the reference solution that has not run yet.

        Variables persist, so turns of other code between two turns of the solution usually do not break it.
        """
        return self._remaining[0] if self._remaining else ""

    def act(self, code: str) -> Turn:
        self._calls = 0
        outcome = self._sandbox.run(code)
        if self._remaining and code == self._remaining[0] and not outcome.kind:
            del self._remaining[0]
        before, self._delta = self._delta, self.world.delta()
        changes = partial(_changes_text, before, self._delta)
        completed = bool(self.world.completed)
        verdict = self.verdict() if completed else None
        score = verdict.score if verdict else 0.0  # also the reward
        return Turn(
            _observation(outcome, completed),
            (),
            not outcome.kind,
            verdict.won if verdict else False,
            score,
            score,
            completed,
            self.state_key(outcome.shape),
            partial(_detail, outcome, changes),
            self._extra(outcome, self._calls, changes, verdict),
        )

    def verdict(self) -> Verdict:
        """Run the checks on the current state."""
        return judge(self.made.job.goal, self.world.delta(), self.world.completed, self.world.answer)

    def state_key(self, shape: str) -> str:
        """Return a key of the state: the stored data, and the names, types and lengths of the live variables."""
        return content_hash(self.world.delta_key(), shape)

    @property
    def sandbox_mode(self) -> str:
        """The mechanism that confines the code."""
        return self._sandbox.mode

    def _extra(self, outcome: Outcome, calls: int, changes: Any, verdict: Verdict | None = None) -> Extra:
        return _Facts(
            **self._facts,
            error=outcome.kind,
            replaced=outcome.fresh,  # a new interpreter: all variables are lost
            calls=calls,
            changes=changes,
            evaluation="" if verdict is None else _verdict_text(verdict),
        )


def _surroundings(play: _Play) -> dict[str, Any]:
    """The seed and the clock of the code, which are not those of the host.

    Code can find its seed by trial, so the seed is a hash of what the agent is shown: it says nothing about the task's
    number or its world.
    """
    return {"seed": int(content_hash(play.first_observation), 16), "now": play.world.now}


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


def _observation(outcome: Outcome, completed: bool) -> str:
    parts = [outcome.output.rstrip("\n"), outcome.error] if outcome.output.strip() else [outcome.error]
    if completed:
        parts.append(_COMPLETED)
    return "\n".join(part for part in parts if part) or _NO_OUTPUT


def _detail(outcome: Outcome, changes: Callable[[], str]) -> str:
    """The turn's changes in words, for a teacher. They matter most if the code failed half-way."""
    changed = changes()
    if not outcome.kind:
        return changed
    return f"Before it failed: {changed}" if changed else "It failed before anything had changed."


def _changes_text(before: Delta, after: Delta) -> str:
    """The changes of one turn in words, or "" if there are none."""
    if before == after:
        return ""
    return "\n".join(_differences(before, after))


def _differences(before: Delta, after: Delta) -> Iterator[str]:
    entries_before, entries_after = set(before.entries), set(after.entries)
    changed_rows = {entry[:2] for entry in after.entries}
    new_entries = tuple(entry for entry in after.entries if entry not in entries_before)
    removed_entries = tuple(
        entry for entry in before.entries if entry not in entries_after and entry[:2] not in changed_rows
    )
    if new_entries:
        yield f"Changed: {Delta(new_entries, SCHEMA).summary()}"
    if removed_entries:
        yield f"Undone again: {Delta(removed_entries, SCHEMA).summary()}"


def _verdict_text(verdict: Verdict) -> str:
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
