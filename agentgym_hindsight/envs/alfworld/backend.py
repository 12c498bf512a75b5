"""The backends for the two engines: ``native`` (our own: exact and fast) and ``textworld`` (the genuine engine)."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from agentgym_hindsight.envs.alfworld import expert
from agentgym_hindsight.envs.alfworld.game_facts import AlfworldExtra
from agentgym_hindsight.envs.alfworld.gamewriter import write_game
from agentgym_hindsight.envs.alfworld.genuine import GenuinePlay
from agentgym_hindsight.envs.alfworld.goals import EpisodeStates
from agentgym_hindsight.envs.alfworld.library import FileLibrary, Library
from agentgym_hindsight.envs.alfworld.native import House, Play
from agentgym_hindsight.envs.alfworld.reasons import explain
from agentgym_hindsight.envs.alfworld.saved_state import Saved, decoded
from agentgym_hindsight.envs.base import Turn
from agentgym_hindsight.envs.libraries import LibraryBackend
from agentgym_hindsight.envs.plain_values import row, texts
from agentgym_hindsight.errors import BackendError, ResetNeededError, SchemaError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.tasks import Task

__all__ = ["NativeBackend", "TextworldBackend"]


class NativeBackend(LibraryBackend):
    """Runs our own engine. Its replies equal those of the genuine engine, and it is about 1,000 times as fast."""

    engine = "native"
    library: Library

    def __init__(self, library: Library) -> None:
        self.library = library
        self.files = FileLibrary()
        self._play: Play | None = None
        self._shared_facts: dict[str, Any] = {}
        self._task: Task | None = None  # of the game in progress
        self._episode_states: EpisodeStates | None = None
        self._refused = ""  # the last command, if the game refused it

    @property
    def name(self) -> str:
        return f"{self.engine}/{self.library.name}"

    def house(self, task: Task) -> House:
        """The compiled house of a task."""
        return self.files.house(task) if task.backend == self.files.name else self.library.house(task)

    def start(self, task: Task) -> Turn:
        house = self.house(task)
        self._play, self._task = Play(house), task
        self._shared_facts = self._facts(task, house)
        self._episode_states = EpisodeStates(house)
        self._refused = ""
        return self._turn(self._play, 0.0)

    def _facts(self, task: Task, house: House) -> dict[str, Any]:
        return {
            "backend": self.name if task.backend != self.files.name else f"{self.engine}/{self.files.name}",
            "game": task.locator,
            "task_type": house.scene.goal.task_type,
            "dialect": house.scene.dialect,
        }

    def act(self, action: str) -> Turn:
        play = self.play
        play.step(action)
        if play.valid:
            self._refused = ""
            return self._turn(play, float(play.won))
        self._refused = action
        # A refused command does not change the state, so the reason can be computed later, when it is read.
        reason = partial(explain, play.copy(), action)
        return self._turn(play, 0.0, reason)

    @property
    def play(self) -> Play:
        """The game in progress."""
        if self._play is None:
            raise ResetNeededError("Expected a game in progress, got none; try start(task) first.")
        return self._play

    def expert_action(self) -> str:
        return expert.next_action(self.play) or ""

    def demonstration(self, task: Task) -> Trajectory | None:
        """The expert's rollout from the start of the task."""
        play = Play(self.house(task))
        steps: list[Step] = []
        while (action := expert.next_action(play)) is not None:
            observation, state_key, admissible = play.observation, play.state_key(), play.admissible
            play.step(action)
            next_state_text = f"{play.observation}\nAdmissible actions: {', '.join(play.admissible)}"
            steps.append(
                Step(
                    len(steps),
                    observation,
                    action,
                    play.observation,
                    next_state_text,
                    admissible,
                    f"s:{state_key}",
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

    # -- snapshots ------------------------------------------------------------------------------------------------

    def snapshot(self, turn: Turn) -> Saved:
        """The state of the game, and the earlier ones of the episode, which ``fulfilled_tasks`` reads."""
        play, episode = self.play, self._episode_states
        assert episode is not None  # start sets it together with _play
        return tuple(episode.states), play.observation, play.valid, play.changed, self._refused

    def restore(self, task: Task, world: Saved, turn: Turn) -> Turn:
        """Set the game to a state that :meth:`snapshot` returned. Earlier infos keep their own states."""
        if self._play is not None and task is self._task:
            house = self._play.house
        else:
            house, self._task = self.house(task), task
            self._shared_facts = self._facts(task, house)
        states, observation, valid, changed, refused = world
        play = Play.__new__(Play)
        play.house = house
        play.restore((states[-1], observation, valid, changed))
        episode = EpisodeStates(house)
        episode.states.extend(states)
        self._play, self._episode_states, self._refused = play, episode, refused
        # The turn is valid after a thought too, which the game never sees.
        reason = None if turn.valid else partial(explain, play.copy(), refused)
        return turn._replace(extra=AlfworldExtra(episode, self._shared_facts, reason))

    def decode(self, task: Task, world: Any) -> Saved:
        """The state of :meth:`snapshot` from JSON. The locator of its task may be a path: it is not believed."""
        if task != self._task and task != self.find(task.id):
            raise SchemaError(
                f"Expected task {task.id} as this env lists it, got {task.locator[:80]!r} in the snapshot; "
                "try an env with the data of the first one."
            )
        return decoded(self.house(task), world)

    def _turn(self, play: Play, reward: float, reason: Any = None) -> Turn:
        won, episode_states = play.won, self._episode_states
        assert episode_states is not None  # start sets it together with _play
        episode_states.states.append(play.state())
        return Turn(
            play.observation,
            play.admissible,
            play.valid,
            won,
            float(won),
            reward,
            won,
            play.state_key(),
            "" if reason is None else (lambda: _reason_text(reason)),
            AlfworldExtra(episode_states, self._shared_facts, reason),
        )


def _reason_text(explain_refusal: Any) -> str:
    explanation = explain_refusal()
    if explanation is None:
        return ""
    text = str(explanation.text)
    return f"{text} Nearest legal command: {explanation.nearest}." if explanation.nearest else text


class TextworldBackend(NativeBackend):
    """Runs the genuine engine (extra ``[alfworld]``): 1–2 s for a reset, 45 ms for a step.

    Observation, admissible commands, won and done come from the genuine engine. Our own engine runs in parallel and
    supplies what the genuine engine does not have: true-state anchor, expert, goal conditions, reasons. If the two
    engines give different replies, a ``BackendError`` ends the rollout.
    """

    engine = "textworld"

    def __init__(self, library: Library) -> None:
        super().__init__(library)
        self._genuine: GenuinePlay | None = None
        self._path: Path | None = None
        self._temporary_folder: tempfile.TemporaryDirectory[str] | None = None
        self._commands: list[str] = []  # of the episode: the genuine engine can only be restored by playing them again

    def start(self, task: Task) -> Turn:
        turn = super().start(task)
        self._commands = []
        return self._genuine_turn("reset", turn, self._restart(task))

    def _restart(self, task: Task) -> str:
        """Start the genuine engine on a task and return its first text."""
        path = self._game_file(task)
        if self._genuine is None or path != self._path:
            if self._genuine is not None:
                self._genuine.close()
            self._genuine, self._path = GenuinePlay(path), path
        return self._genuine.reset()

    def act(self, action: str) -> Turn:
        turn = super().act(action)
        if self._genuine is None:
            raise ResetNeededError("Expected a game in progress, got none; try start(task) first.")
        self._commands.append(action)
        return self._genuine_turn(action, turn, self._genuine.step(action))

    def snapshot(self, turn: Turn) -> Any:
        return super().snapshot(turn), tuple(self._commands)

    def restore(self, task: Task, world: Any, turn: Turn) -> Turn:
        """Play the commands again in the genuine engine, which cannot store a state. This takes seconds."""
        native, commands = world
        self._commands = []
        self._restart(task)
        assert self._genuine is not None  # _restart sets it
        for command in commands:
            self._genuine.step(command)
            self._commands.append(command)
        restored = super().restore(task, native, turn)
        self._check_same(
            f"the {len(commands)} commands of a snapshot",
            {
                "won": (self._genuine.won, turn.won),
                "admissible commands": (self._genuine.admissible, restored.admissible_actions),
            },
        )
        return restored

    def decode(self, task: Task, world: Any) -> Any:
        native, commands = row(world, "world", 2)
        return super().decode(task, native), texts(commands, "world.commands")

    def close(self) -> None:
        super().close()
        if self._genuine is not None:
            self._genuine.close()
            self._genuine = None
        if self._temporary_folder is not None:
            self._temporary_folder.cleanup()
            self._temporary_folder = None

    def _game_file(self, task: Task) -> Path:
        """The game file of a task. A generated house is written to a temporary folder: the engine only reads files."""
        library = self.files if task.backend == self.files.name else self.library
        path = library.path(task)
        if path is not None:
            return path
        if self._temporary_folder is None:
            self._temporary_folder = tempfile.TemporaryDirectory(prefix="agentgym_hindsight_")
        folder = Path(self._temporary_folder.name) / task.id
        game = folder / "game.tw-pddl"
        return game if game.is_file() else write_game(self.house(task).scene, folder)

    def _genuine_turn(self, action: str, native: Turn, observation: str) -> Turn:
        """The genuine engine's turn; raises if the native engine's turn is different."""
        genuine = self._genuine
        assert genuine is not None  # both callers use it before this call
        pairs: dict[str, tuple[object, object]] = {
            "observation": (observation, native.observation),
            "won": (genuine.won, native.won),
            "admissible commands": (genuine.admissible, native.admissible_actions),
        }
        self._check_same(repr(action[:80]), pairs)
        return native._replace(
            observation=observation,
            admissible_actions=genuine.admissible,
            won=genuine.won,
            score=float(genuine.won),
            reward=float(genuine.reward),
            terminated=genuine.won,
        )

    def _check_same(self, after: str, pairs: dict[str, tuple[object, object]]) -> None:
        """Raise if the two engines differ in a field."""
        for field, (genuine_value, native_value) in pairs.items():
            if genuine_value != native_value:
                raise BackendError(
                    f"Expected the same {field} from both engines after {after} in {self._path}, "
                    f"got {str(genuine_value)[:200]!r} (genuine) and {str(native_value)[:200]!r} (native); "
                    "please report the game. The rollout ends here, because later turns would be wrong too."
                )
