"""Steps, trajectories and groups, as plain immutable data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, overload

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.analyses import Analysis
from agentgym_hindsight.short_repr import short_repr

if TYPE_CHECKING:  # imported at first use: most programs run outside of notebooks
    from agentgym_hindsight.hindsight.notebook import RolloutView, TurnView

__all__ = ["Group", "Origin", "Step", "Trajectory", "group_by_task", "render_steps"]


@dataclass(frozen=True, slots=True, repr=False)
class Step:
    """One turn: the observation, the action, and the environment's reply.

    ``observation``, ``admissible_actions`` and ``anchor`` describe the state *before* the action. ``feedback`` is the
    raw reply, ``detail`` the reason for it, ``next_observation`` the next state in full. ``prompt``, ``response`` and
    ``action_span`` (the characters of the response that are the action) are set by wrappers and policies.
    """

    index: int
    observation: str
    action: str
    feedback: str
    next_observation: str
    admissible_actions: tuple[str, ...] = ()
    anchor: str = ""
    next_anchor: str = ""
    reward: float = 0.0
    score: float = 0.0
    action_valid: bool = True
    detail: str = ""
    prompt: str = ""
    response: str = ""
    action_span: tuple[int, int] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        invalid = "" if self.action_valid else ", invalid"
        reward = f", reward={_number(self.reward)}" if self.reward else ""
        turn = f"{short_repr(self.action, 60)} -> {short_repr(self.feedback, 60)}"
        return f"Step({_number(self.index)}, {turn}{invalid}{reward})"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a rollout begins that continues another one: after the first ``step`` turns of it.

    These turns are the first steps of the new rollout too. ``rollout`` identifies them: rollouts that continue one
    moment have the same value. ``how`` is ``"restore"``, or ``"action"`` if the first own action was prescribed and not
    chosen by the policy; ``action`` is this action.

    >>> Origin("1f", 3).how
    'restore'
    """

    task_id: str
    step: int
    rollout: str = ""
    how: str = "restore"
    action: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Trajectory:
    """One rollout of one task. ``broken`` is empty, or the reason why the rollout could not be finished.

    ``analyses`` are texts that models wrote about the rollout afterwards. ``origin`` is None, or the moment of another
    rollout at which this one begins; ``steps`` also has the turns before.

    >>> steps = (Step(0, "A hall.", "look", "A hall.", "A hall."), Step(1, "A hall.", "go", "A garden.", "A garden."))
    >>> Trajectory("1f", goal="Find the mug.", steps=steps, won=True, score=1.0)
    Trajectory('1f', 'Find the mug.', 2 steps, won, score=1)
    >>> steps[1]
    Step(1, 'go' -> 'A garden.')
    """

    task_id: str
    env_id: str = ""
    backend: str = ""
    goal: str = ""
    category: str = ""
    split: str = ""
    seed: int | None = None
    sibling: int = 0
    steps: tuple[Step, ...] = ()
    won: bool = False
    score: float = 0.0
    truncated: bool = False
    broken: str = ""
    policy: str = ""
    final_observation: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    analyses: tuple[Analysis, ...] = ()
    origin: Origin | None = None

    @property
    def total_reward(self) -> float:
        """The undiscounted sum of rewards."""
        return sum(step.reward for step in self.steps)

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions, in order."""
        return tuple(step.action for step in self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def outcome(self) -> str:
        """``"won"``, ``"lost"``, ``"truncated"`` (not won within the limit) or ``"broken"``."""
        if self.broken:
            return "broken"
        return "won" if self.won else "truncated" if self.truncated else "lost"

    def __repr__(self) -> str:
        parts = [short_repr(self.task_id, 40), *([short_repr(self.goal, 60)] if self.goal else [])]
        parts += [f"{len(self.steps)} step{'' if len(self.steps) == 1 else 's'}", self.outcome]
        parts += [f"score={_number(self.score)}"]
        parts += [f"seed={_number(self.seed)}"] if self.seed is not None else []
        parts += [f"sibling={_number(self.sibling)}"] if self.sibling else []
        return f"Trajectory({', '.join(parts)})"

    def _repr_html_(self) -> str:
        """The rollout as HTML, which notebooks show instead of the repr."""
        from agentgym_hindsight.hindsight.notebook import MOST_TURNS, rollout_html

        return rollout_html(_view(self, MOST_TURNS))

    def replace(self, **changes: Any) -> Trajectory:
        """A copy with some fields replaced."""
        return replace(self, **changes)


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else short_repr(value, 24)


class Group(Sequence[Trajectory]):
    """Rollouts of one task, checked by the task's content id.

    >>> Group([Trajectory("1f", won=True), Trajectory("1f")]).success_rate
    0.5
    """

    __slots__ = ("_trajectories",)

    def __init__(self, trajectories: Iterable[Trajectory]) -> None:
        self._trajectories = tuple(trajectories)
        if not self._trajectories:
            raise UsageError("Expected at least one rollout in a group, got none.")
        ids = sorted({trajectory.task_id for trajectory in self._trajectories})
        if len(ids) != 1:
            raise UsageError(
                f"Expected rollouts of one task in a group, got {len(ids)} tasks ({', '.join(ids[:3])}); "
                "try group_by_task(trajectories)."
            )

    @overload
    def __getitem__(self, key: int) -> Trajectory: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Trajectory, ...]: ...
    def __getitem__(self, key: int | slice) -> Trajectory | tuple[Trajectory, ...]:
        return self._trajectories[key]

    def __len__(self) -> int:
        return len(self._trajectories)

    def __iter__(self) -> Iterator[Trajectory]:
        return iter(self._trajectories)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Group) and self._trajectories == other._trajectories

    def __hash__(self) -> int:
        return hash((self.task_id, len(self)))

    def __repr__(self) -> str:
        return f"Group({short_repr(self.task_id, 40)[1:-1]}, {len(self)} rollouts, {sum(t.won for t in self)} won)"

    def _repr_html_(self) -> str:
        """The group as HTML, which notebooks show instead of the repr."""
        from agentgym_hindsight.hindsight.notebook import MOST_ROLLOUTS, MOST_TURNS, group_html

        shown = self[:MOST_ROLLOUTS]
        views = [_view(trajectory, max(6, 3 * MOST_TURNS // len(shown))) for trajectory in shown]
        facts = (f"{len(self)} rollouts", f"{sum(t.won for t in self)} won", f"task {self.task_id}")
        return group_html(shown[0].goal or f"Task {self.task_id}", facts, views, len(self) - len(shown))

    @property
    def task_id(self) -> str:
        """The task id of all members."""
        return self._trajectories[0].task_id

    @property
    def success_rate(self) -> float:
        """Share of members that won."""
        return sum(trajectory.won for trajectory in self) / len(self)

    def success_for(self, member: int, *, own: bool = False) -> Trajectory | None:
        """The first member that won, other than ``member`` unless ``own`` is set. Broken rollouts never count."""
        for index, trajectory in enumerate(self):
            if trajectory.won and not trajectory.broken and (own or index != member):
                return trajectory
        return None


def _view(trajectory: Trajectory, most: int) -> RolloutView:
    """What a notebook shows of a rollout, with at most ``most`` turns."""
    from agentgym_hindsight.hindsight.notebook import RolloutView

    steps = trajectory.steps
    count = f"{len(steps)} step{'' if len(steps) == 1 else 's'}"
    facts = [count, f"score {_number(trajectory.score)}", f"return {_number(trajectory.total_reward)}"]
    facts += [f"sibling {_number(trajectory.sibling)}", f"seed {_number(trajectory.seed)}"]
    facts += filter(None, (trajectory.policy, trajectory.env_id, trajectory.backend, trajectory.broken))
    return RolloutView(
        trajectory.goal or f"Task {trajectory.task_id}",
        trajectory.outcome,
        (*facts, f"task {trajectory.task_id}"),
        steps[0].observation if steps else trajectory.final_observation,
        *_shown_turns(steps, most),
    )


def _shown_turns(steps: Sequence[Step], most: int) -> tuple[list[TurnView], int, list[TurnView]]:
    """The first turns, the number of omitted ones, and the last turns."""
    if len(steps) <= most:
        return list(map(_turn, steps)), 0, []
    end = len(steps) - most // 3
    start = most - most // 3
    return list(map(_turn, steps[:start])), end - start, list(map(_turn, steps[end:]))


def _turn(step: Step) -> TurnView:
    from agentgym_hindsight.hindsight.notebook import TurnView

    own = ((str(key), value) for key, value in step.extra.items() if isinstance(value, str))
    actions = ", ".join(step.admissible_actions)
    texts = (
        ("why", step.detail),
        ("prompt", step.prompt),
        ("response", step.response),
        ("legal actions", actions),
        *own,
    )
    folded = tuple((name, text) for name, text in texts if text)
    return TurnView(
        _number(step.index + 1), step.action, step.feedback, _number(step.reward), step.action_valid, folded
    )


def group_by_task(trajectories: Iterable[Trajectory]) -> tuple[Group, ...]:
    """Groups in the order in which their tasks first appear. Members keep their order."""
    by_task: dict[str, list[Trajectory]] = {}
    for trajectory in trajectories:
        by_task.setdefault(trajectory.task_id, []).append(trajectory)
    return tuple(Group(members) for members in by_task.values())


def render_steps(
    steps: Sequence[Step],
    style: Literal["observation_action", "response"] = "observation_action",
    *,
    limit: int = 0,
    prompts: bool = False,
) -> str:
    """Steps as text: blocks "Step k / Observation: … / Action: …", or "Step k / Response: …".

    Steps are numbered from 1 by their position in the episode. The reply to the last step is added at the end, because
    it often contains the outcome; then the result of an evaluation, if the last step's ``extra`` has one
    (``evaluation``). ``limit`` > 0 shows only the first steps and the number of omitted steps. ``prompts`` shows the
    recorded prompt, if there is one, instead of the observation.
    """
    shown = steps[:limit] if limit > 0 else steps
    blocks = []
    for step in shown:
        if style == "response":
            blocks.append(f"Step {step.index + 1}\nResponse: {step.response or step.action}")
        else:
            state_text = step.prompt if prompts and step.prompt else step.observation
            blocks.append(f"Step {step.index + 1}\nObservation: {state_text}\nAction: {step.action}")
    if style == "observation_action" and shown and len(shown) == len(steps) and shown[-1].feedback:
        blocks.append(f"Step {shown[-1].index + 2}\nObservation: {shown[-1].feedback}")
        if shown[-1].extra.get("evaluation"):
            blocks.append(f"Evaluation: {shown[-1].extra['evaluation']}")
    if len(shown) < len(steps):
        blocks.append(f"({len(steps) - len(shown)} more steps omitted)")
    return "\n\n".join(blocks)
