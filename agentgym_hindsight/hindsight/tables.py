"""Rollouts as rows of plain values: for pandas, for Hugging Face's ``datasets``, for a CSV file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Literal

from agentgym_hindsight.errors import MissingExtraError, UnknownNameError, UsageError
from agentgym_hindsight.hindsight.analyses import Analysis
from agentgym_hindsight.hindsight.info import plain_info
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["to_dataframe", "to_rows"]

#: Lone surrogates cannot be encoded, so neither Arrow nor a CSV file can hold them.
_SURROGATES = re.compile("[\ud800-\udfff]")


def to_rows(
    trajectories: Trajectory | Iterable[Trajectory], per: Literal["step", "trajectory"] = "step"
) -> list[dict[str, Any]]:
    """One dict for each step, or for each trajectory with ``per="trajectory"``. All have the same keys, in one order.

    A row of a step has the fields of :class:`Step`, before them ``task_id``, ``sibling``, ``seed`` and ``policy``, and
    at the end ``won`` and ``trajectory_score`` of its rollout. A row of a trajectory has its fields, ``outcome``,
    ``total_reward`` and the number of ``steps``. ``extra``, ``analyses`` and ``origin`` are texts in JSON. A lone
    surrogate is written as an escape.

    ``pandas.DataFrame(rows)`` and ``datasets.Dataset.from_list(rows)`` read the rows.

    >>> from agentgym_hindsight.hindsight import Step
    >>> rollout = Trajectory("1f", steps=(Step(0, "A hall.", "look", "A hall.", "A hall."),), won=True)
    >>> [(row["task_id"], row["index"], row["action"], row["won"]) for row in to_rows(rollout)]
    [('1f', 0, 'look', True)]
    >>> [(row["outcome"], row["steps"]) for row in to_rows([rollout], per="trajectory")]
    [('won', 1)]
    """
    kinds: Mapping[str, Callable[[Trajectory], Iterable[dict[str, Any]]]] = {
        "step": _step_rows,
        "trajectory": _trajectory_rows,
    }
    if per not in kinds:
        raise UnknownNameError("kind of row", per, kinds)
    return [row for trajectory in _checked(trajectories) for row in kinds[per](trajectory)]


def to_dataframe(
    trajectories: Trajectory | Iterable[Trajectory], per: Literal["step", "trajectory"] = "step"
) -> Any:  # pandas.DataFrame; pandas is not a dependency
    """The rows of :func:`to_rows` as a ``pandas.DataFrame``. pandas comes with the extra [train]."""
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("pandas", "train", "A DataFrame of rollouts") from error
    return pandas.DataFrame(to_rows(trajectories, per))


def _checked(trajectories: Trajectory | Iterable[Trajectory]) -> Iterator[Trajectory]:
    for trajectory in [trajectories] if isinstance(trajectories, Trajectory) else trajectories:
        if not isinstance(trajectory, Trajectory):
            raise UsageError(
                f"Expected trajectories, got {type(trajectory).__name__}; try read_jsonl(path), a group, or a list of "
                "env.unwrapped.trajectory()."
            )
        yield trajectory


def _step_rows(trajectory: Trajectory) -> Iterator[dict[str, Any]]:
    rollout = {
        "task_id": _text(trajectory.task_id),
        "sibling": trajectory.sibling,
        "seed": trajectory.seed,
        "policy": _text(trajectory.policy),
    }
    result = {"won": trajectory.won, "trajectory_score": trajectory.score}
    for step in trajectory.steps:
        yield {
            **rollout,
            "index": step.index,
            "observation": _text(step.observation),
            "action": _text(step.action),
            "feedback": _text(step.feedback),
            "next_observation": _text(step.next_observation),
            "admissible_actions": [_text(action) for action in step.admissible_actions],
            "anchor": _text(step.anchor),
            "next_anchor": _text(step.next_anchor),
            "reward": step.reward,
            "score": step.score,
            "action_valid": step.action_valid,
            "detail": _text(step.detail),
            "prompt": _text(step.prompt),
            "response": _text(step.response),
            "action_span": None if step.action_span is None else list(step.action_span),
            "extra": _json(step.extra),
            **result,
        }


def _trajectory_rows(trajectory: Trajectory) -> Iterator[dict[str, Any]]:
    yield {
        "task_id": _text(trajectory.task_id),
        "env_id": _text(trajectory.env_id),
        "backend": _text(trajectory.backend),
        "goal": _text(trajectory.goal),
        "category": _text(trajectory.category),
        "split": _text(trajectory.split),
        "seed": trajectory.seed,
        "sibling": trajectory.sibling,
        "policy": _text(trajectory.policy),
        "steps": len(trajectory.steps),
        "won": trajectory.won,
        "outcome": trajectory.outcome,
        "score": trajectory.score,
        "total_reward": trajectory.total_reward,
        "truncated": trajectory.truncated,
        "broken": _text(trajectory.broken),
        "final_observation": _text(trajectory.final_observation),
        "extra": _json(trajectory.extra),
        "analyses": json.dumps([_analysis(each) for each in trajectory.analyses]),
        "origin": "" if trajectory.origin is None else _json(asdict(trajectory.origin)),
    }


def _analysis(analysis: Analysis) -> dict[str, Any]:
    return {**asdict(analysis), "text": _text(analysis.text), "analyser": _text(analysis.analyser)}


def _text(text: str) -> str:
    return _SURROGATES.sub(lambda match: f"\\u{ord(match[0]):04x}", str(text))


def _json(extra: Mapping[str, Any]) -> str:
    return json.dumps(plain_info(extra), sort_keys=True)
