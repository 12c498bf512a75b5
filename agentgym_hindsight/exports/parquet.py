"""A table of turns in Parquet, for pandas, DuckDB, Polars or ``datasets``: one row a turn, with its tokens.

The columns are the fields of the turn and the result of its rollout; then the token ids, log-probabilities, gaps,
weights, advantages, mask and credit, null where they were not recorded. ``agentgym_hindsight`` is the whole rollout as
JSON in the row of its first turn, for the import. A rollout without turns has one row whose ``index`` is null. Checked
with pyarrow 26 and ``datasets`` 5.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from agentgym_hindsight.errors import SchemaError
from agentgym_hindsight.exports.arrow import read_rows, require_arrow, write_rows
from agentgym_hindsight.exports.exact import OURS, exact_text, from_exact_text, visible
from agentgym_hindsight.exports.json_documents import problem
from agentgym_hindsight.exports.turn_tokens import TurnTokens
from agentgym_hindsight.hindsight.jsonl import LineProblem
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory

__all__ = ["to_rows"]

_TOKEN_LISTS = (
    *("prompt_ids", "response_ids", "texts", "logprobs", "teacher_logprobs"),
    *("gaps", "weights", "advantages", "mask"),
)


def to_rows(trajectory: Trajectory, rollout: int = 0) -> list[dict[str, Any]]:
    """The rows of a rollout. ``rollout`` is its number in the file.

    >>> steps = (Step(0, "A hall.", "go", "A room.", "A room.", extra={"tokens": {"gaps": [0.5]}}),)
    >>> [(row["rollout"], row["index"], row["action"], row["gaps"]) for row in to_rows(Trajectory("1f", steps=steps))]
    [(0, 0, 'go', [0.5])]
    """
    facts = {
        "rollout": rollout,
        "task_id": trajectory.task_id,
        "env_id": trajectory.env_id,
        "backend": trajectory.backend,
        "split": trajectory.split,
        "category": trajectory.category,
        "goal": trajectory.goal,
        "policy": trajectory.policy,
        "seed": trajectory.seed,
        "sibling": trajectory.sibling,
        "won": trajectory.won,
        "outcome": trajectory.outcome,
        "trajectory_score": trajectory.score,
        "total_reward": trajectory.total_reward,
        "turns": len(trajectory.steps),
    }
    rows = [{**facts, **_columns(step)} for step in trajectory.steps] or [dict(facts)]
    rows[0][OURS] = exact_text(trajectory)
    return [_fitting(visible(row)) for row in rows]


def write(trajectories: Iterable[Trajectory], out: Path) -> int:
    """Write the rows of the rollouts. Returns the number of rollouts."""
    count = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal count
        for number, trajectory in enumerate(trajectories):
            yield from to_rows(trajectory, number)
            count += 1

    write_rows(rows(), _schema(), out)
    return count


def read(path: Path) -> Iterator[Trajectory | LineProblem]:
    """The rollouts of a file that :func:`write` wrote; a row that cannot be read is a problem."""
    for number, row in enumerate(read_rows(path, "a table of turns"), start=1):
        if OURS not in row:
            raise SchemaError(
                f"Expected the column {OURS} in {path}, got {', '.join(map(str, row))[:200]}; "
                "try a file of `agh export --to parquet`."
            )
        if row[OURS] is None:
            continue
        try:
            yield from_exact_text(str(row[OURS]))
        except SchemaError as error:
            yield problem(number, error)


def _columns(step: Step) -> dict[str, Any]:
    tokens = TurnTokens.of(step)
    return {
        "index": step.index,
        "observation": step.observation,
        "action": step.action,
        "feedback": step.feedback,
        "next_observation": step.next_observation,
        "admissible_actions": list(step.admissible_actions),
        "anchor": step.anchor,
        "next_anchor": step.next_anchor,
        "reward": step.reward,
        "score": step.score,
        "action_valid": step.action_valid,
        "detail": step.detail,
        "prompt": step.prompt,
        "response": step.response,
        "action_span": None if step.action_span is None else list(step.action_span),
        "credit": tokens.credit,
        **{name: list(getattr(tokens, name)) or None for name in _TOKEN_LISTS},
    }


def _fitting(row: dict[str, Any]) -> dict[str, Any]:
    """The row with integers beyond 64 bits as null. They are kept in the exact copy."""
    return {
        name: None if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63 else value
        for name, value in row.items()
    }


def _schema() -> Any:
    arrow = require_arrow()
    text, whole, number, flag = arrow.string(), arrow.int64(), arrow.float64(), arrow.bool_()
    kinds = {"ids": whole, "texts": text, "mask": flag}
    return arrow.schema(
        {
            "rollout": whole,
            **dict.fromkeys(("task_id", "env_id", "backend", "split", "category", "goal", "policy"), text),
            "seed": whole,
            "sibling": whole,
            "won": flag,
            "outcome": text,
            "trajectory_score": number,
            "total_reward": number,
            "turns": whole,
            "index": whole,
            **dict.fromkeys(("observation", "action", "feedback", "next_observation"), text),
            "admissible_actions": arrow.list_(text),
            "anchor": text,
            "next_anchor": text,
            "reward": number,
            "score": number,
            "action_valid": flag,
            "detail": text,
            "prompt": text,
            "response": text,
            "action_span": arrow.list_(whole),
            "credit": number,
            **{name: arrow.list_(kinds.get(name.rpartition("_")[2], number)) for name in _TOKEN_LISTS},
            OURS: arrow.large_string(),
        }
    )
