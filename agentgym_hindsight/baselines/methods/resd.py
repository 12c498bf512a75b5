"""Resd (arXiv 2605.12741): imitate a teacher that reads reflections, a playbook, feedback and earlier solutions.

Per update: a reflector reads every failed rollout; a curator adds what was learnt to a playbook; won rollouts enter a
buffer of solutions. The teacher of a turn reads the playbook, the reflection on its rollout, a solution of the task if
there is one, and the feedback on the turn. With S the policy, T the teacher, over the policy's 100 most probable tokens
and one bucket for all others::

    T̃_v = max(T_v, 0.2·S_v)                                   the ratio T/S is bounded; S without gradient here
    ℓ_t = Σ_v S_v (log S_v − log T̃_v)                         α = 1; with α = 0.5 the JSD
    w   = 1−s for turns of won rollouts, s for failed ones, divided by the mean of w    s: share of won turns
    L   = mean over tokens of w·ℓ_t
    θ_T ← θ_T + 0.0001 (θ − θ_T)                              after every update

No group is compared, so one rollout a task is enough (``plan.siblings=1``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from agentgym_hindsight.baselines.analysers.playbook import Playbook
from agentgym_hindsight.baselines.analysers.question import Writer, analyse
from agentgym_hindsight.baselines.analysers.reflections import Additions, Reflected, Reflection
from agentgym_hindsight.baselines.analysers.rollout_text import clipped, steps_text
from agentgym_hindsight.baselines.methods.asking import Ask
from agentgym_hindsight.baselines.methods.base import Tokens
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.evidence import Evidence
from agentgym_hindsight.baselines.methods.imitation import Imitation
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.schedules import Constant
from agentgym_hindsight.baselines.methods.teacher_prompts import GivenContext
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.baselines.settings import SettingError, check_range
from agentgym_hindsight.hindsight.context import Section, TeacherContext, written_context
from agentgym_hindsight.hindsight.spec import ContextSpec
from agentgym_hindsight.hindsight.trajectory import Group, Trajectory

if TYPE_CHECKING:  # methods can be listed without torch
    from torch import Tensor

    from agentgym_hindsight.baselines.methods.batch import Batch, Scores

__all__ = ["METHOD", "Resd"]

_SOURCES = tuple(map(ContextSpec.parse, ("success", "immediate")))
#: What an update teaches the memory, and where it is until all processes know it.
_LEARNT, _NEWS = ("playbook", "playbook_count", "solutions"), "news"
_MOST_SOLUTIONS, _SOLUTION = 1000, 3000  # tasks in the buffer; characters of a solution


@dataclass(frozen=True)
class Resd(Imitation):
    """Imitation with a memory. ``analyser`` is reflector and curator.

    * ``floor``, ``ceiling``: bounds of T/S; ``None``: none.
    * ``success_power``, ``failure_power``: exponents of 1−s and s; 0 weights all turns equally.
    * ``reflection``, ``buffer``: whether they are used. ``playbook_entries``: at most so many rules; 0: no playbook.
      ``playbook_refresh``: updates after which the teacher reads the new state of the playbook.
    """

    analyser: Writer = "policy"
    analyser_tokens: int = 768
    reflection: bool = True
    buffer: bool = True
    playbook_entries: int = 200
    playbook_refresh: int = 4
    floor: float | None = 0.2
    ceiling: float | None = None
    success_power: float = 1.0
    failure_power: float = 1.0

    whole_batch: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "playbook_entries", "success_power", "failure_power", least=0)
        check_range(self, "playbook_refresh", least=1)
        check_range(self, "floor", "ceiling", above=0)
        if self.floor is not None and self.ceiling is not None and self.floor > self.ceiling:
            raise SettingError("floor", f"≤ ceiling={self.ceiling}", self.floor, "0.2")

    def contexts(self, groups: Sequence[Group], ask: Ask) -> list[list[list[GivenContext]]]:
        failed = [rollout for group in groups for rollout in group if not rollout.won]
        playbook = Playbook(ask.memory, self.playbook_entries)
        if self.playbook_entries and ask.update % self.playbook_refresh == 0:
            ask.memory["playbook_shown"] = playbook.text()
        shown = str(ask.memory.get("playbook_shown", ""))
        questions = [Reflected(rollout, shown) for rollout in failed] if self.reflection else []
        reflections = analyse(questions, ask, self.analyser, max_tokens=self.analyser_tokens)
        texts = {}
        for rollout, reflection in zip(failed, reflections, strict=False):
            if reflection.text:
                texts[id(rollout)] = reflection.text
                ask.keep(rollout, "reflection", reflection.text, analyser=self.analyser)
        before = {name: ask.memory[name] for name in _LEARNT if name in ask.memory}
        tags, added = self._learn(reflections, playbook, ask)
        contexts = self._composed(groups, ask, shown, texts)
        solved = self._remember(groups, ask.memory) if self.buffer else {}  # a rollout is no solution for itself
        if tags or added or solved:
            ask.memory[_NEWS] = {"before": before, "tags": tags, "added": added, "solutions": solved}
        return contexts

    def share_memory(self, memory: MutableMapping[str, Any], gather: Callable[[list[Any]], list[Any]]) -> None:
        """Playbook and buffer learn what all processes have learnt, in the order of the processes.

        So they are the same in all of them. In one process nothing changes.
        """
        own = memory.pop(_NEWS, None)
        parts = ("tags", "added", "solutions")
        news = [each for each in gather([own and {part: own[part] for part in parts}]) if each]
        if own:  # all processes start from the memory that they had in common
            for name in _LEARNT:
                memory.pop(name, None)
            memory.update(own["before"])
        playbook = Playbook(memory, self.playbook_entries)
        for each in news:
            for tags in each["tags"]:
                playbook.tag(tags)
        for each in news:
            for texts in each["added"]:
                playbook.add(texts)
        for each in news:
            _add_solutions(memory, each["solutions"])

    def _learn(
        self, reflections: Sequence[Reflection], playbook: Playbook, ask: Ask
    ) -> tuple[list[dict[str, str]], list[list[str]]]:
        """The tags and the rules that the playbook got."""
        if not self.playbook_entries:
            return [], []
        tags = [dict(reflection.tags) for reflection in reflections]
        for each in tags:
            playbook.tag(each)
        insights = [reflection.insight for reflection in reflections if reflection.insight]
        curator = [Additions(insights, playbook.text())] if insights else []
        added = analyse(curator, ask, self.analyser, max_tokens=self.analyser_tokens)
        for texts in added:
            playbook.add(texts)
        return tags, added

    def _composed(
        self, groups: Sequence[Group], ask: Ask, playbook: str, reflections: dict[int, str]
    ) -> list[list[list[GivenContext]]]:
        successes, replies = (ask.compose(source, groups) for source in _SOURCES)
        solutions = ask.memory.get("solutions", {}) if self.buffer else {}
        result: list[list[list[GivenContext]]] = []
        for group, *standard in zip(groups, successes, replies, strict=True):
            buffered = Section("success", solutions.get(group.task_id, ""))
            members: list[list[GivenContext]] = []
            for rollout, success, reply in zip(group, *standard, strict=True):
                written = [Section("playbook", playbook), Section("reflection", reflections.get(id(rollout), ""))]
                members.append(
                    [_joined(written, buffered, solved, told) for solved, told in zip(success, reply, strict=True)]
                )
            result.append(members)
        return result

    def _remember(self, groups: Sequence[Group], memory: MutableMapping[str, Any]) -> dict[str, str]:
        """Put the won rollouts into the buffer, and return them as text, by task."""
        found = {group.task_id: rollout for group in groups for rollout in group if rollout.won}
        solved = {task: _solution(rollout) for task, rollout in found.items()}
        _add_solutions(memory, solved)
        return solved

    def update_signals(
        self, rows: Rows, advantages: Array, evidence: Evidence, lam: float, memory: MutableMapping[str, Any]
    ) -> list[Array | None]:
        """The weight of every turn, on its tokens."""
        assert rows.won is not None
        weights = success_weights(rows.won, self.success_power, self.failure_power)
        gaps = zip(evidence.gaps, weights.tolist(), strict=True)
        return [None if gap is None else np.full(len(gap), weight) for gap, weight in gaps]

    def token_losses(self, batch: Batch, student: Scores, teacher: Scores) -> Tensor:
        from agentgym_hindsight.baselines.methods.divergences import divergence

        losses = divergence(
            teacher.logits,
            student.logits,
            alpha=self.alpha,
            top_k=self.top_k,
            floor=self.floor,
            ceiling=self.ceiling,
        )
        return losses if batch.signals is None else losses * batch.signals


def _add_solutions(memory: MutableMapping[str, Any], solved: Mapping[str, str]) -> None:
    if solved:
        kept = {**memory.get("solutions", {}), **solved}
        memory["solutions"] = dict(list(kept.items())[-_MOST_SOLUTIONS:])


def success_weights(won: Any, success_power: float = 1.0, failure_power: float = 1.0) -> Array:
    """The weights of turns by the outcome of their rollouts, with mean 1.

    >>> success_weights([True, False, False, False]).round(4).tolist()
    [2.0, 0.6667, 0.6667, 0.6667]
    """
    outcomes = np.asarray(won, bool)
    count = max(1, len(outcomes))
    rate = float(np.clip(outcomes.mean() if len(outcomes) else 0.5, 1 / count, 1 - 1 / count))
    weights = np.where(outcomes, (1 - rate) ** success_power, rate**failure_power)
    mean = float(weights.mean()) if len(weights) else 1.0
    return weights / mean if mean > 0 else np.ones_like(weights)


def _joined(
    written: Sequence[Section], buffered: Section, solved: TeacherContext | None, told: TeacherContext | None
) -> TeacherContext | None:
    """One context of all sections, within the budget of the standard ones."""
    budget = next((each.budget for each in (solved, told) if each is not None), None)
    success = (buffered,) if solved is None else solved.uncut
    return written_context([*success, *written, *(() if told is None else told.uncut)], budget)


def _solution(rollout: Trajectory) -> str:
    return clipped(steps_text(rollout.steps, _SOLUTION), _SOLUTION)


PAPER = "arXiv 2605.12741"
EVIDENCE = "code"
METHOD = Resd(
    "resd",
    GroupRelative(),
    who=TeacherSpec("ema", 0.0001),
    tokens=Tokens("response"),
    when=Constant(1.0),
    policy_weight=0.0,
    entropy=0.0,
)
