"""The base class that implements Gymnasium's API: every env of this library is a :class:`HindsightEnv` over a backend.

A :class:`Backend` implements one world: it starts a task and returns a :class:`Turn` for every action. The env adds
what all worlds share: the choice of tasks by seed, the turn limit, the standard ``info``, the five feedback sources,
anchors and rendering.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Protocol

from gymnasium.envs.registration import EnvSpec

from agentgym_hindsight.envs.extra import Extra, example_actions
from agentgym_hindsight.envs.snapshots import RestorableEnv, Snapshot
from agentgym_hindsight.envs.thought import Thought
from agentgym_hindsight.envs.time_limit import chosen_limit
from agentgym_hindsight.envs.turn import Turn
from agentgym_hindsight.errors import ResetNeededError, UnknownNameError, UsageError
from agentgym_hindsight.hindsight.anchors import ANCHOR_KINDS, anchor_key
from agentgym_hindsight.hindsight.info import Info
from agentgym_hindsight.hindsight.resolve import hindsight_now, resolve_episode
from agentgym_hindsight.hindsight.sources import Hindsight, Provenance
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.printable import printable
from agentgym_hindsight.spaces import UnicodeText
from agentgym_hindsight.tasks import SeededOrder, Task, TaskPanel

__all__ = ["INFO_KEYS", "Backend", "Extra", "HindsightEnv", "Snapshot", "Turn"]

#: Keys and types of the standard ``info``: the same on every reset and every step of every env.
INFO_KEYS: Mapping[str, type] = {
    "task_id": str,
    "goal": str,
    "admissible_actions": tuple,
    "action_valid": bool,
    "won": bool,
    "score": float,
    "anchor": str,
    "hindsight": Hindsight,
    "expert_action": str,
    "step": int,
}

_NO_HINDSIGHT = Hindsight()
_ANNOTATIONS = ("prompt", "response", "action_span", "next_observation", "reward", "action_valid", "extra")


class Backend(Protocol):
    """A world. One instance runs one episode at a time."""

    @property
    def name(self) -> str: ...  # "embedded", "official", …: part of every result

    def count(self, split: str) -> int: ...  # the number of tasks in the split
    def task(self, split: str, index: int) -> Task: ...
    def find(self, task_id: str) -> Task: ...  # by content id, in all splits
    def start(self, task: Task) -> Turn: ...
    def act(self, action: str) -> Turn: ...
    def expert_action(self) -> str: ...
    def demonstration(self, task: Task) -> Trajectory | None: ...  # a successful rollout by the expert, or None
    def close(self) -> None: ...


class Situation(Protocol):
    """What the agent knows about itself from the replies so far, as a line of text: part of augmented anchors."""

    @property
    def text(self) -> str: ...
    def follow(self, command: str, reply: str) -> None: ...


class HindsightEnv(RestorableEnv):
    """A Gymnasium env whose ``info`` carries the five feedback sources and the anchor state.

    Parameters shared by every env:

    * ``split``: the tasks that ``reset`` draws from.
    * ``max_steps``: the number of turns after which the episode is truncated. ``gymnasium.make(id,
      max_episode_steps=k)`` replaces the default; if both are given, the smaller number counts. An env in a
      ``TimeLimit`` of your own cannot see that this wrapper has ended the episode (see :meth:`cut`).
    * ``anchor``: ``"state"`` (canonical true state), ``"observation"`` (equal raw text), ``"augmented"`` or
      ``"similar"``.
    * ``expert``: fill ``info["expert_action"]``, and use the expert's rollout as the successful trajectory if there is
      no other.
    * ``render_mode``: ``"ansi"`` (``render()`` returns text) or ``"human"`` (prints each turn).

    ``reset(seed=s)`` starts an order over the split's tasks that depends on ``s`` alone; later ``reset()`` calls
    continue in this order. ``reset(options={"task_id": id})`` or ``{"task": task}`` starts that task.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "human"], "render_fps": 4}  # noqa: RUF012  # Gymnasium's own attribute
    #: The splits that can be played. An env may replace them by those that its data have.
    splits: ClassVar[tuple[str, ...]] = ("train",)
    #: The variant of a prompt protocol that is written for this world ("alfworld", "webshop", …).
    prompt_world: ClassVar[str] = "generic"
    backend: Backend
    _spec: EnvSpec | None = None

    def __init__(
        self,
        backend: Backend,
        *,
        split: str = "train",
        max_steps: int = 50,
        anchor: str = "state",
        expert: bool = False,
        render_mode: str | None = None,
    ) -> None:
        if split not in self.splits:
            raise UnknownNameError("split", split, self.splits)
        if anchor not in ANCHOR_KINDS:
            raise UnknownNameError("anchor", anchor, ANCHOR_KINDS)
        if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1:
            raise UsageError(f"Expected max_steps as a whole number ≥ 1, got {max_steps!r}; try max_steps=50.")
        if not isinstance(expert, bool):
            raise UsageError(f"Expected expert as True or False, got {expert!r}; try expert=True.")
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise UnknownNameError("render mode", render_mode, self.metadata["render_modes"])
        self.backend = backend
        self.split, self.max_steps, self.anchor, self.expert = split, max_steps, anchor, expert
        self.render_mode = render_mode
        self.observation_space = UnicodeText()
        self.action_space = UnicodeText(max_length=100_000)
        self.task: Task | None = None
        self._order: SeededOrder | None = None
        self._position = 0
        self._steps: list[Step] = []
        self._turn: Turn | None = None
        self._anchor = ""
        self._situation: Situation | None = None
        self._advice = ""  # the expert's action in the current state, if it was asked for
        self._seed: int | None = None  # the seed that the caller gave
        self._order_seed = 0  # the same, or a random one if the caller never gave a seed
        self._over = True

    # -- Gymnasium ----------------------------------------------------------------------------------------------

    @property
    def spec(self) -> EnvSpec | None:
        """The spec that ``gymnasium.make`` has set, or None."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = spec
        self.max_steps = chosen_limit(sys._getframe(1), spec, self.max_steps)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        task = self._choose(seed, options or {})
        turn = self.backend.start(task)
        self.task, self._turn = task, turn
        self._steps, self._over, self._forked_at = [], False, None
        self._anchor = anchor_key(self.anchor, turn.observation, turn.state)
        self._situation = self._new_situation()
        if self.render_mode == "human":
            print(printable(turn.observation))
        return turn.observation, self._info(turn, _NO_HINDSIGHT)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        previous, task = self._turn, self.task
        if previous is None or task is None or self._over:
            when = "before reset" if previous is None else "after the episode had ended"
            raise ResetNeededError(f"Expected reset() first, got step() {when}; try env.reset().")
        if not isinstance(action, str):
            raise UsageError(f"Expected the action as text, got {type(action).__name__}; try a str.")
        if isinstance(action, Thought):  # no move: the backend is not called
            turn = previous._replace(
                observation=action.reply, valid=True, reward=0.0, detail="", extra=previous.extra.after_thought()
            )
            anchor = self._anchor
        else:
            turn = self.backend.act(action)
            anchor = anchor_key(self.anchor, turn.observation, turn.state)
        self._turn = turn
        index = len(self._steps)
        step = Step(
            index,
            previous.observation,
            str(action),
            turn.observation,
            self.state_text(turn),
            previous.admissible_actions,
            self._anchor,
            anchor,
            float(turn.reward),
            float(turn.score),
            turn.valid,
            turn.detail if isinstance(turn.detail, str) else turn.detail(),
            extra=self._step_extra(),
        )
        if self._situation is not None:
            self._situation.follow(str(action), turn.observation)
        self._anchor = anchor
        self._steps.append(step)
        truncated = not turn.terminated and index + 1 >= self.max_steps
        hindsight = hindsight_now(step, self._steps)
        if turn.terminated or truncated:
            self._over = True
            hindsight = self._final(hindsight, task)
        if self.render_mode == "human":
            print(printable(f"> {action}\n{turn.observation}"))
        return turn.observation, step.reward, turn.terminated, truncated, self._info(turn, hindsight)

    def render(self) -> Any:
        if self.render_mode != "ansi":
            return None
        if self._turn is None or self.task is None:
            return ""
        head = f"[{self.task.id} · {self.backend.name} · turn {len(self._steps)}/{self.max_steps}] {self.task.goal}"
        last = f"\n> {self._steps[-1].action}" if self._steps else ""
        return f"{head}{last}\n{self._turn.observation}"

    def close(self) -> None:
        self.backend.close()

    # -- tasks and actions ----------------------------------------------------------------------------------------

    def panel(self, split: str | None = None, n: int | None = None, seed: int = 0) -> TaskPanel:
        """Tasks of a split (default: that of the env), as an ordered panel with a fingerprint.

        ``n`` tasks are drawn in an order that depends on ``seed`` alone, and only these are made. Without ``n``: the
        whole split, in its own order. A task of a panel is played by ``reset(options={"task": task})``.
        """
        name = self.split if split is None else split
        if name not in self.splits:
            raise UnknownNameError("split", name, self.splits)
        panel = TaskPanel.of_split(self.backend, name, 0 if n is None else n, seed)
        panel.name = f"{self.backend.name}/{panel.name}"
        return panel

    def example_action(self) -> str:
        """A legal action in the present state: the first admissible one or, if the set of actions is open, an example.

        "" if the world names no example. ``info["extra"].example_actions`` has all examples.
        """
        if self._turn is None:
            raise ResetNeededError("Expected an episode to act in, got none; try env.reset().")
        actions = self._turn.admissible_actions or example_actions(self._turn.extra)
        return actions[0] if actions else ""

    # -- for wrappers and vector envs -----------------------------------------------------------------------------

    def state_text(self, turn: Turn) -> str:
        """The whole next state in the form the agent sees it: the second feedback source."""
        if not turn.admissible_actions:
            return turn.observation
        return f"{turn.observation}\nAdmissible actions: {', '.join(turn.admissible_actions)}"

    def annotate(self, **facts: Any) -> None:
        """Add data of a wrapper or policy to the record of the last step.

        The names are ``prompt``, ``response`` and ``action_span``; ``next_observation``, ``reward`` and
        ``action_valid``, if a wrapper changed them; and ``extra``, which is merged with the ``extra`` of the step.
        """
        for name in facts:
            if name not in _ANNOTATIONS:
                raise UnknownNameError("annotation", name, _ANNOTATIONS)
        if not self._steps:
            raise ResetNeededError("Expected a step to annotate, got none; try env.step() first.")
        last = self._steps[-1]
        if "extra" in facts:
            facts["extra"] = {**last.extra, **facts["extra"]}
        self._steps[-1] = replace(last, **facts)

    def cut(self) -> Hindsight:
        """End the episode from outside, as a ``TimeLimit`` wrapper does, and return the last step's final hindsight."""
        if self.task is None or not self._steps:
            raise ResetNeededError("Expected a step to end the episode after, got none; try env.step() first.")
        self._over = True
        return self._final(hindsight_now(self._steps[-1], self._steps), self.task)

    def trajectory(self, **changes: Any) -> Trajectory:
        """The episode so far, as a :class:`Trajectory` that can be stored."""
        if self.task is None or self._turn is None:
            raise ResetNeededError("Expected an episode to record, got none; try env.reset().")
        trajectory = Trajectory(
            task_id=self.task.id,
            env_id=self.spec.id if self.spec is not None else type(self).__name__,
            backend=self.backend.name,
            goal=self.task.goal,
            category=self.task.category,
            split=self.task.split,
            seed=self._seed,
            steps=tuple(self._steps),
            won=self._turn.won,
            score=self._turn.score,
            truncated=self._over and not self._turn.terminated,
            final_observation=self._turn.observation,
            extra={} if self._situation is None else {"situation": self._situation.text},
            origin=self._origin(),
        )
        return trajectory.replace(**changes) if changes else trajectory

    # -- internal -------------------------------------------------------------------------------------------------

    def _choose(self, seed: int | None, options: Mapping[str, Any]) -> Task:
        known = {"task", "task_id", *self._own_options()}
        for name in options:
            if name not in known:
                raise UnknownNameError("reset option", name, known)
        given = [name for name in ("task", "task_id", *self._own_options()) if name in options]
        if len(given) > 1:
            raise UsageError(f"Expected one way to choose the task, got {' and '.join(given)}; try only one of them.")
        if seed is not None:
            self._seed = self._order_seed = seed
            self._position = 0
        task = self._from_options(options)
        if task is not None:
            return task
        if "task" in options:
            if not isinstance(options["task"], Task):
                raise UsageError(f"Expected a Task, got {options['task']!r}; try options={{'task_id': …}} for an id.")
            return options["task"]
        if "task_id" in options:
            return self.backend.find(options["task_id"])
        if self._order is None and self._seed is None:
            self._order_seed = int(self.np_random.integers(2**31))
        if self._order is None or self._position == 0:
            self._order = SeededOrder(self.backend.count(self.split), self._order_seed)
        index = self._order[self._position]
        self._position += 1
        return self.backend.task(self.split, index)

    def _new_situation(self) -> Situation | None:
        """What follows the situation of the agent in an episode, or None if the env has no such line."""
        return None

    def _own_options(self) -> Sequence[str]:
        """The names of the reset options that a subclass adds."""
        return ()

    def _from_options(self, options: Mapping[str, Any]) -> Task | None:
        """The task that a subclass's own reset options select, or None."""
        return None

    def _final(self, hindsight: Hindsight, task: Task) -> Hindsight:
        steps = tuple(self._steps)

        def episode() -> tuple[Hindsight, ...]:
            success = self.backend.demonstration(task) if self.expert else None
            return resolve_episode(steps, success, Provenance.EXPERT)

        return hindsight.with_episode(episode)

    def _step_extra(self) -> dict[str, Any]:
        """Facts about the state before the action, for the step's ``extra``."""
        extra = {} if self._situation is None else {"situation": self._situation.text}
        return {**extra, "expert_action": self._advice} if self._advice else extra

    def _info(self, turn: Turn, hindsight: Hindsight) -> dict[str, Any]:
        assert self.task is not None  # reset sets it before any caller
        self._advice = self.backend.expert_action() if self.expert and not self._over else ""
        info = {
            "task_id": self.task.id,
            "goal": self.task.goal,
            "admissible_actions": turn.admissible_actions,
            "action_valid": turn.valid,
            "won": turn.won,
            "score": float(turn.score),
            "anchor": self._anchor,
            "hindsight": hindsight,
            "expert_action": self._advice,
            "step": len(self._steps),
            "extra": turn.extra,
        }
        return Info(info)
