"""STS, the Session Trace Simple Format that the Hugging Face Hub shows in its trace viewer: one JSONL file a rollout.

The format has no version; this follows its page of November 2026. The first line is the session, every other line one
message. The session ignores keys that it does not know: ours has the result and, under ``agentgym_hindsight``, the
rollout with its tokens, gaps, weights and credit, for the import.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agentgym_hindsight.atomic import atomic_file
from agentgym_hindsight.errors import DataError, SchemaError, UsageError
from agentgym_hindsight.exports.chats import rollout_chat, trajectory_of_chat
from agentgym_hindsight.exports.exact import OURS, exact_text, from_exact_text, visible
from agentgym_hindsight.exports.json_documents import dump_line, problem, read_lines
from agentgym_hindsight.exports.many_documents import files_of, into_folder
from agentgym_hindsight.hindsight.jsonl import LineProblem
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["HARNESS", "from_sts", "to_sts"]

#: The id of the program that wrote the trace.
HARNESS = "agentgym-hindsight"


def to_sts(trajectory: Trajectory, session_id: str = "") -> list[dict[str, Any]]:
    """The lines of a session.

    >>> from agentgym_hindsight.hindsight import Step
    >>> rollout = Trajectory("1f", goal="Find it.", steps=(Step(0, "A hall.", "go", "A room.", "A room."),))
    >>> [line["type"] for line in to_sts(rollout)], from_sts(to_sts(rollout)) == rollout
    (['session', 'message', 'message', 'message'], True)
    """
    header = {
        "type": "session",
        "harness": HARNESS,
        "id": session_id or f"{trajectory.task_id}-{trajectory.sibling}",
        "name": trajectory.goal or f"Task {trajectory.task_id}",
        "outcome": trajectory.outcome,
        "score": trajectory.score,
        "total_reward": trajectory.total_reward,
        OURS: exact_text(trajectory),
    }
    chat: list[dict[str, str]] = rollout_chat(trajectory)
    if trajectory.steps:
        last = trajectory.steps[-1]
        chat.append({"role": "user", "content": last.next_observation or last.feedback})
    model = {"model": trajectory.policy} if trajectory.policy else {}
    lines = [
        {"type": "message", "message": {**message, **(model if message["role"] == "assistant" else {})}}
        for message in chat
    ]
    plain: list[dict[str, Any]] = visible([header, *lines])
    return plain


def from_sts(lines: list[Any]) -> Trajectory:
    """The rollout of a session, ours or another program's. Raises :class:`~agentgym_hindsight.errors.SchemaError`."""
    header = lines[0] if lines else None
    if not isinstance(header, Mapping) or header.get("type") != "session":
        raise SchemaError('Expected a first line {"type": "session", …}, got something else; try a file of STS.')
    ours = header.get(OURS)
    if isinstance(ours, str):
        return from_exact_text(ours)
    messages = [line.get("message") for line in lines if isinstance(line, Mapping) and line.get("type") == "message"]
    name = header.get("name")
    return trajectory_of_chat(messages, goal=name if isinstance(name, str) else "", extra={"session": dict(header)})


def write(trajectories: Iterator[Trajectory], out: Path) -> int:
    """Write a folder with a file for each rollout, or one rollout to a ``.jsonl`` file. Returns their number."""
    contents = (
        b"".join(map(dump_line, to_sts(trajectory, f"{trajectory.task_id}-{trajectory.sibling}-{number}")))
        for number, trajectory in enumerate(trajectories)
    )
    if out.suffix != ".jsonl":
        return into_folder(contents, out, "session", ".jsonl")
    with atomic_file(out) as temporary:
        for count, data in enumerate(contents):
            if count:
                raise UsageError(
                    f"Expected one rollout for the file {out}, got more: STS has one session a file; "
                    f"try the folder --out {out.with_suffix('')}."
                )
            temporary.write_bytes(data)
        return int(temporary.stat().st_size > 0)


def read(path: Path) -> Iterator[Trajectory | LineProblem]:
    """The rollouts of a file or of the files of a folder. Problems are numbered by file from 1."""
    for number, file in enumerate(files_of(path, (".jsonl",)), start=1):
        try:
            lines = [document for _, _, document in read_lines(file, "a session as JSON Lines")]
            damaged = next((line for line in lines if isinstance(line, LineProblem)), None)
            if damaged is not None:
                raise SchemaError(f"line {damaged.line_number}: {damaged.cause}")
            yield from_sts(lines)
        except DataError as error:
            yield problem(number, f"{file}: {error}")
