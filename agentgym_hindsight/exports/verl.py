"""verl's Parquet of prompts: one row a task, for ``RLHFDataset`` of verl 0.9, with :mod:`verl_agent_loop` as its agent.

* ``prompt``, ``data_source``, ``ability``, ``reward_model`` and ``agent_name`` are what verl reads. The first recorded
  prompt of the task is its prompt; the agent loop makes its own from the environment.
* ``extra_info`` names the task: ``env_id``, ``task_id``, ``split``, and the number of recorded rollouts and wins.
* ``agentgym_hindsight`` has the recorded rollouts of the task as JSON, with their tokens, gaps, weights and credit. The
  import reads them, and the agent loop may use the successful ones as references.

Rows are made when all rollouts of the file are read, so the file must fit in memory. Checked with pyarrow 26,
``datasets`` 5.2 and verl 0.9.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from agentgym_hindsight.errors import SchemaError
from agentgym_hindsight.exports.arrow import read_rows, require_arrow, write_rows
from agentgym_hindsight.exports.chats import trajectory_of_chat
from agentgym_hindsight.exports.exact import OURS, exact_text, from_exact_text, visible
from agentgym_hindsight.exports.json_documents import problem
from agentgym_hindsight.hindsight.jsonl import LineProblem
from agentgym_hindsight.hindsight.messages import prompt_messages
from agentgym_hindsight.hindsight.trajectory import Group, Trajectory, group_by_task
from agentgym_hindsight.tasks import Task

__all__ = ["AGENT_NAME", "from_row", "task_row", "to_row"]

#: The name under which :mod:`verl_agent_loop` registers its agent.
AGENT_NAME = "agentgym_hindsight"


def to_row(group: Group, index: int = 0) -> dict[str, Any]:
    """The row of a task with its recorded rollouts.

    >>> from agentgym_hindsight.hindsight import Step
    >>> steps = (Step(0, "A hall.", "go", "A room.", "A room."),)
    >>> row = to_row(Group([Trajectory("1f", env_id="ALFWorld-Hindsight-v0", split="train", steps=steps)]))
    >>> row["data_source"], row["prompt"], row["extra_info"]["task_id"]
    ('agentgym_hindsight/ALFWorld-Hindsight-v0', [{'role': 'user', 'content': 'A hall.'}], '1f')
    """
    first = next((each for each in group if each.steps), group[0])
    prompt = prompt_messages(first, 0) if first.steps else [{"role": "user", "content": first.goal}]
    return _row(
        prompt,
        env_id=first.env_id,
        category=first.category,
        task_id=first.task_id,
        split=first.split,
        goal=first.goal,
        index=index,
        rollouts=list(group),
    )


def task_row(env_id: str, task: Task, index: int = 0) -> dict[str, Any]:
    """The row of a task without recorded rollouts: its goal is the prompt."""
    return _row(
        [{"role": "user", "content": task.goal}],
        env_id=env_id,
        category=task.category,
        task_id=task.id,
        split=task.split,
        goal=task.goal,
        index=index,
        rollouts=[],
    )


def from_row(row: Mapping[str, Any]) -> list[Trajectory]:
    """The rollouts of a row. A row of another program gives its prompt as a rollout without turns."""
    ours = row.get(OURS)
    if isinstance(ours, list):
        if not all(isinstance(text, str) for text in ours):
            raise SchemaError(f"Expected rollouts as JSON in the column {OURS}, got another type.")
        return [from_exact_text(text) for text in ours]
    prompt = row.get("prompt")
    if not isinstance(prompt, list):
        raise SchemaError(f"Expected a prompt as a list of messages, got {type(prompt).__name__}; try a file of verl.")
    rest = {name: _plain(value) for name, value in row.items() if name != "prompt"}
    return [trajectory_of_chat([_plain(message) for message in prompt], extra={"row": rest})]


def write(trajectories: Iterable[Trajectory], out: Path) -> int:
    """Write a row for each task. Returns the number of rollouts."""
    groups = group_by_task(trajectories)
    write_tasks((to_row(group, index) for index, group in enumerate(groups)), out)
    return sum(map(len, groups))


def write_tasks(rows: Iterable[dict[str, Any]], out: Path) -> int:
    """Write rows of :func:`to_row` or :func:`task_row`. Returns their number."""
    return write_rows(rows, _schema(), out)


def read(path: Path) -> Iterator[Trajectory | LineProblem]:
    """The rollouts of the rows; a row that cannot be read is a problem."""
    for number, row in enumerate(read_rows(path, "prompts of verl"), start=1):
        try:
            yield from from_row(row)
        except SchemaError as error:
            yield problem(number, error)


def _row(
    prompt: list[dict[str, str]], *, env_id: str, category: str, rollouts: list[Trajectory], **facts: Any
) -> dict[str, Any]:
    row: dict[str, Any] = visible(
        {
            "data_source": f"{OURS}/{env_id}",
            "prompt": prompt,
            "ability": category or "agent",
            "reward_model": {"style": "rule", "ground_truth": facts["task_id"]},
            "agent_name": AGENT_NAME,
            "extra_info": {
                "env_id": env_id,
                **facts,
                "rollouts": len(rollouts),
                "won": sum(each.won for each in rollouts),
            },
            OURS: [exact_text(each) for each in rollouts],
        }
    )
    return row


def _schema() -> Any:
    arrow = require_arrow()
    text, whole = arrow.string(), arrow.int64()
    facts = {"env_id": text, "task_id": text, "split": text, "goal": text, "index": whole}
    return arrow.schema(
        {
            "data_source": text,
            "prompt": arrow.list_(arrow.struct({"role": text, "content": text})),
            "ability": text,
            "reward_model": arrow.struct({"style": text, "ground_truth": text}),
            "agent_name": text,
            "extra_info": arrow.struct({**facts, "rollouts": whole, "won": whole}),
            OURS: arrow.list_(arrow.large_string()),
        }
    )


def _plain(value: Any) -> Any:
    """A value of Arrow as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
