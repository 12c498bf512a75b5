"""The expert's distance to the goal: the number of turns in which the expert wins from a moment.

It is measured by playing the expert on, so it is that of the env's expert, in whatever world. It is not the shortest
way if the expert is not optimal. There is none where the expert does not win within the limit of the episode.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.baselines.audit.moments import PlayedGroup, Turn
from agentgym_hindsight.baselines.audit.truth import FIRST_CONTINUATION
from agentgym_hindsight.baselines.policies.base import Policy
from agentgym_hindsight.baselines.rollout import Continuation, rollout
from agentgym_hindsight.vector import HindsightVectorEnv

__all__ = ["expert_distances"]


def expert_distances(
    venv: HindsightVectorEnv, expert: Policy, group: PlayedGroup, turns: Sequence[Turn]
) -> dict[str, int]:
    """The distance of the moments before and after the turns, by key. A moment at the end of a won rollout has 0."""
    moments = dict.fromkeys(key for turn in turns for key in (turn.before, turn.after) if key in group.snapshots)
    starts = [Continuation(group.snapshots[key], FIRST_CONTINUATION) for key in moments]
    found = {turn.after: 0 for turn in turns if turn.outcome}
    for key, trajectory in zip(moments, rollout(venv, expert, starts), strict=True):
        if trajectory.won and not trajectory.broken:
            found[key] = len(trajectory.steps) - group.snapshots[key].step
    return found
