"""The two engines behind one face: ``native`` (ours, exact and fast) and ``textworld`` (the genuine one)."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from agentgym_hindsight.envs.alfworld import expert
from agentgym_hindsight.envs.alfworld.game_facts import AlfworldExtra
from agentgym_hindsight.envs.alfworld.gamewriter import write_game
from agentgym_hindsight.envs.alfworld.genuine import GenuinePlay
from agentgym_hindsight.envs.alfworld.goals import Past
from agentgym_hindsight.envs.alfworld.library import FileLibrary, Library
from agentgym_hindsight.envs.alfworld.native import House, Play
from agentgym_hindsight.envs.alfworld.reasons import explain
from agentgym_hindsight.envs.base import Turn
from agentgym_hindsight.envs.libraries import LibraryBackend
from agentgym_hindsight.errors import BackendError, ResetNeededError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.tasks import Task

__all__ = ["NativeBackend", "TextworldBackend"]

NOTHING = "Nothing happens."


class NativeBackend(LibraryBackend):
    """Plays with our own engine: word for word the genuine one's answers, some thousand times as fast."""

    engine = "native"
    library: Library

    def __init__(self, library: Library) -> None:
        self.library = library
        self.files = FileLibrary()
        self._play: Play | None = None
        self._shared: dict[str, Any] = {}
        self._past: Past | None = None

    @property
    def name(self) -> str:
        return f"{self.engine}/{self.library.name}"

    def house(self, task: Task) -> House:
        """The compiled house of a task."""
        return self.files.house(task) if task.backend == self.files.name else self.library.house(task)

    def start(self, task: Task) -> Turn:
        house = self.house(task)
        self._play = Play(house)
        self._shared = {
            "backend": self.name if task.backend != self.files.name else f"{self.engine}/{self.files.name}",
            "game": task.locator,
            "task_type": house.scene.goal.task_type,
            "dialect": house.scene.dialect,
        }
        self._past = Past(house)
        return self._turn(self._play, 0.0)

    def act(self, action: str) -> Turn:
        play = self.play
        play.step(action)
        if play.valid:
            return self._turn(play, float(play.won))
        # A command that does nothing leaves the state as it was, so the reason can be found afterwards, when asked for.
        reason = partial(explain, play.copy(), action)
        return self._turn(play, 0.0, reason)

    @property
    def play(self) -> Play:
        """The play that is going on."""
        if self._play is None:
            raise ResetNeededError("Expected a game in play, got none; try start(task) first.")
        return self._play

    def expert_action(self) -> str:
        return expert.next_action(self.play) or ""

    def demonstration(self, task: Task) -> Trajectory | None:
        """The expert's rollout from the start of the task."""
        play = Play(self.house(task))
        steps: list[Step] = []
        while (action := expert.next_action(play)) is not None:
            before, anchor, legal = play.observation, play.state_key(), play.admissible
            play.step(action)
            seen = f"{play.observation}\nAdmissible actions: {', '.join(play.admissible)}"
            steps.append(
                Step(
                    len(steps),
                    before,
                    action,
                    play.observation,
                    seen,
                    legal,
                    f"s:{anchor}",
                    f"s:{play.state_key()}",
                    float(play.won),
                    float(play.won),
                )
            )
        if not play.won:
            return None
        return self.solved(task, steps, play.observation)

    def close(self) -> None:
        self._play = None

    def _turn(self, play: Play, reward: float, reason: Any = None) -> Turn:
        won, past = play.won, self._past
        assert past is not None  # made with the play
        past.states.append(play.state())
        return Turn(
            play.observation,
            play.admissible,
            play.valid,
            won,
            float(won),
            reward,
            won,
            play.state_key(),
            "" if reason is None else (lambda: _text_of(reason)),
            AlfworldExtra(past, self._shared, reason),
        )


def _text_of(reason: Any) -> str:
    found = reason()
    if found is None:
        return ""
    return f"{found.text} Nearest legal command: {found.nearest}." if found.nearest else str(found.text)


class TextworldBackend(NativeBackend):
    """Plays with the genuine engine (extra ``[alfworld]``), 1–2 s a reset and 45 ms a step.

    Observation, admissible commands, won and done are the genuine engine's. Our own plays along, and is asked only
    for what the genuine one cannot tell: true-state anchor, expert, goal conditions, reasons. Where the two ever
    disagreed on a reply, the rollout is broken rather than silently wrong.
    """

    engine = "textworld"

    def __init__(self, library: Library) -> None:
        super().__init__(library)
        self._genuine: GenuinePlay | None = None
        self._path: Path | None = None
        self._written: tempfile.TemporaryDirectory[str] | None = None

    def start(self, task: Task) -> Turn:
        turn = super().start(task)
        path = self._file_of(task)
        if self._genuine is None or path != self._path:
            if self._genuine is not None:
                self._genuine.close()
            self._genuine, self._path = GenuinePlay(path), path
        observation = self._genuine.reset()
        return self._agreed("reset", turn, observation)

    def act(self, action: str) -> Turn:
        turn = super().act(action)
        if self._genuine is None:
            raise ResetNeededError("Expected a game in play, got none; try start(task) first.")
        return self._agreed(action, turn, self._genuine.step(action))

    def close(self) -> None:
        super().close()
        if self._genuine is not None:
            self._genuine.close()
            self._genuine = None
        if self._written is not None:
            self._written.cleanup()
            self._written = None

    def _file_of(self, task: Task) -> Path:
        """The genuine engine reads files only: a generated house is written into a temporary folder for it."""
        library = self.files if task.backend == self.files.name else self.library
        path = library.path(task)
        if path is not None:
            return path
        if self._written is None:
            self._written = tempfile.TemporaryDirectory(prefix="agentgym_hindsight_")
        folder = Path(self._written.name) / task.id
        game = folder / "game.tw-pddl"
        return game if game.is_file() else write_game(self.house(task).scene, folder)

    def _agreed(self, action: str, ours: Turn, observation: str) -> Turn:
        genuine = self._genuine
        assert genuine is not None  # every caller has just played it
        said: dict[str, tuple[object, object]] = {
            "observation": (observation, ours.observation),
            "won": (genuine.won, ours.won),
            "admissible commands": (genuine.admissible, ours.admissible_actions),
        }
        for what, (theirs, own) in said.items():
            if theirs != own:
                raise BackendError(
                    f"The genuine and the native engine disagree in {what} after {action[:80]!r} in {self._path}: "
                    f"{str(theirs)[:200]!r} against {str(own)[:200]!r}; please report the game. "
                    "The rollout cannot be trusted beyond this turn."
                )
        return ours._replace(
            observation=observation,
            admissible_actions=genuine.admissible,
            won=genuine.won,
            score=float(genuine.won),
            reward=float(genuine.reward),
            terminated=genuine.won,
        )
