"""Chats for TRL and other trainers of chat models: JSON Lines that ``datasets.load_dataset("json", …)`` reads.

* ``rows="rollout"``: a row is a rollout, and its ``messages`` are one conversation, for ``SFTTrainer``.
* ``rows="turn"``: a row is a turn, with the ``prompt`` exactly as the policy saw it and the ``completion``.

Both have the result, and the token ids, log-probabilities, gaps, weights and credit where they were recorded: empty
lists where not. ``agentgym_hindsight`` is the whole rollout as JSON, for the import; with ``rows="turn"`` only in the
row of the first turn. Checked with ``datasets`` 5.2 and TRL 1.16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from agentgym_hindsight.atomic import atomic_file
from agentgym_hindsight.errors import SchemaError
from agentgym_hindsight.exports.chats import reply_text, rollout_chat, trajectory_of_chat
from agentgym_hindsight.exports.exact import OURS, exact_text, from_exact_text, visible
from agentgym_hindsight.exports.json_documents import dump_line, problem, read_lines
from agentgym_hindsight.exports.turn_tokens import TurnTokens
from agentgym_hindsight.hindsight.jsonl import LineProblem
from agentgym_hindsight.hindsight.messages import prompt_messages
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["from_row", "to_rows"]

_LISTS = ("prompt_ids", "response_ids", "logprobs", "teacher_logprobs", "gaps", "weights", "advantages", "mask")


def to_rows(trajectory: Trajectory, rows: Literal["rollout", "turn"] = "rollout") -> list[dict[str, Any]]:
    """The rows of a rollout. A rollout without turns has one row without messages.

    >>> from agentgym_hindsight.hindsight import Step
    >>> rollout = Trajectory("1f", steps=(Step(0, "A hall.", "go", "A room.", "A room."),), won=True)
    >>> [row] = to_rows(rollout)
    >>> [message["content"] for message in row["messages"]], row["won"], from_row(row) == rollout
    (['A hall.', 'go'], True, True)
    """
    result = {
        "task_id": trajectory.task_id,
        "env_id": trajectory.env_id,
        "split": trajectory.split,
        "goal": trajectory.goal,
        "policy": trajectory.policy,
        "sibling": trajectory.sibling,
        "won": trajectory.won,
        "outcome": trajectory.outcome,
        "score": trajectory.score,
        "total_reward": trajectory.total_reward,
    }
    exact = {OURS: exact_text(trajectory)}
    turns = [TurnTokens.of(step) for step in trajectory.steps]
    if rows == "turn":
        return [
            visible(
                {
                    "prompt": prompt_messages(trajectory, place),
                    "completion": [{"role": "assistant", "content": reply_text(step)}],
                    **result,
                    "turn": step.index,
                    "reward": step.reward,
                    "action_valid": step.action_valid,
                    "credit": tokens.credit,
                    **{name: list(getattr(tokens, name)) for name in _LISTS},
                    **(exact if not place else {OURS: ""}),
                }
            )
            for place, (step, tokens) in enumerate(zip(trajectory.steps, turns, strict=True))
        ] or [
            visible(
                {"prompt": [], "completion": [], **result, "turn": -1, "reward": 0.0, "action_valid": True}
                | {"credit": None, **{name: [] for name in _LISTS}, **exact}
            )
        ]
    of_turns = {
        "rewards": [step.reward for step in trajectory.steps],
        "credits": [tokens.credit for tokens in turns],
        **{name: [list(getattr(tokens, name)) for tokens in turns] for name in _LISTS},
    }
    return [visible({"messages": rollout_chat(trajectory), **result, **of_turns, **exact})]


def from_row(row: Any) -> Trajectory | None:
    """The rollout of a row; of a row with ``messages`` or ``prompt`` and ``completion`` of another program too.

    ``None`` for a row of a later turn, whose rollout is in the row of the first turn.
    """
    if not isinstance(row, Mapping):
        raise SchemaError(f"Expected a row as an object, got {type(row).__name__}; try a file of chats.")
    ours = row.get(OURS)
    if isinstance(ours, str):
        return from_exact_text(ours) if ours else None
    messages = row.get("messages")
    if messages is None and "prompt" in row and "completion" in row:
        messages = [*_as_list(row["prompt"], "user"), *_as_list(row["completion"], "assistant")]
    if not isinstance(messages, list):
        raise SchemaError(
            f"Expected messages, or prompt and completion, got {', '.join(map(str, row))[:100]}; try a file of chats."
        )
    rest = {name: value for name, value in row.items() if name not in ("messages", "prompt", "completion")}
    return trajectory_of_chat(messages, extra={"row": rest} if rest else {})


def write(trajectories: Iterator[Trajectory], out: Path, rows: Literal["rollout", "turn"] = "rollout") -> int:
    """Write the rows of the rollouts. Returns the number of rollouts."""
    count = 0
    with atomic_file(out) as temporary, temporary.open("wb") as file:
        for trajectory in trajectories:
            for row in to_rows(trajectory, rows):
                file.write(dump_line(row))
            count += 1
    return count


def read(path: Path) -> Iterator[Trajectory | LineProblem]:
    """The rollouts of the rows; a row that cannot be read is a problem."""
    for number, data, row in read_lines(path, "chats as JSON Lines"):
        if isinstance(row, LineProblem):
            yield row
            continue
        try:
            trajectory = from_row(row)
        except SchemaError as error:
            yield problem(number, error, data)
        else:
            if trajectory is not None:
                yield trajectory


def _as_list(value: Any, role: str) -> list[Any]:
    return value if isinstance(value, list) else [{"role": role, "content": value}]
