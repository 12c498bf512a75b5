"""Sample rollouts of training with the weight of every token, to inspect what the teacher does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentgym_hindsight.baselines.masks import token_spans
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.training.metrics import Measured, token_weights
from agentgym_hindsight.hindsight.analyses import Analysis

__all__ = ["draw_samples"]


def draw_samples(measured: Measured, method: Method, encoder: PromptEncoder, update: int) -> Iterator[dict[str, Any]]:
    """A won and a lost rollout of the first task that has both; the first rollout if no task has both."""
    rows: dict[int, list[Any]] = {}
    for row in measured.rows:
        rows.setdefault(row.episode, []).append(row)
    complete = [episode for episode in measured.episodes if not episode.trajectory.broken and episode.trajectory.steps]
    # Rows number the episodes group by group, in the order in which tasks first appear.
    tasks = list(dict.fromkeys(episode.trajectory.task_id for episode in complete))
    ordered = [episode for task in tasks for episode in complete if episode.trajectory.task_id == task]
    by_task = {task: [i for i, episode in enumerate(ordered) if episode.trajectory.task_id == task] for task in tasks}
    chosen: list[int] = []
    for members in by_task.values():
        won = [i for i in members if ordered[i].trajectory.won]
        lost = [i for i in members if not ordered[i].trajectory.won]
        if won and lost:
            chosen = [won[0], lost[0]]
            break
    for index in chosen or ([0] if ordered else []):
        trajectory = ordered[index].trajectory
        steps = []
        for row in rows.get(index, ()):
            gaps, factors = token_weights(row)
            text, spans = token_spans(encoder.decode, row.response_ids)
            steps.append(
                {
                    "prompt": row.step.prompt,
                    "action_valid": row.step.action_valid,
                    "feedback": row.step.feedback,
                    "advantage": row.advantage,
                    "tokens": [text[begin:end] for begin, end in spans],
                    "weights": factors.tolist(),
                    "gaps": gaps.tolist(),
                    "context": "" if row.context is None else row.context.text,
                    "analyses": [_analysis(each) for each in trajectory.analyses if each.step == row.step.index],
                }
            )
        yield {
            "update": update,
            "task_id": trajectory.task_id,
            "goal": trajectory.goal,
            "won": trajectory.won,
            "sibling": trajectory.sibling,
            "return": trajectory.total_reward,
            "analyses": [_analysis(each) for each in trajectory.analyses if each.step is None],
            "steps": steps,
        }


def _analysis(analysis: Analysis) -> dict[str, str]:
    return {"kind": analysis.kind, "text": analysis.text, "analyser": analysis.analyser}
