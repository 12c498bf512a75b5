"""ATIF, the Agent Trajectory Interchange Format of Harbor: one JSON document a rollout.

Written as ATIF-v1.7, whose fields all of 1.7 and 1.8 have; 1.0 to 1.8 are read. The documents were checked with the
models of ``harbor`` 0.26.

* The first step is the world's first message; each turn is a step of the agent, whose ``observation`` is the reply.
* ``metrics`` has the token ids and log-probabilities of a turn; ``metrics.extra`` the gaps, weights, advantages, mask
  and credit.
* ``extra["agentgym_hindsight"]`` of the document and of its steps has all else, so that importing loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agentgym_hindsight import __version__
from agentgym_hindsight.errors import SchemaError
from agentgym_hindsight.exports.chats import message_text, reply_text, trajectory_of_chat, world_text
from agentgym_hindsight.exports.exact import (
    OURS,
    exact_text,
    from_document,
    from_exact_text,
    is_visible,
    to_document,
    visible,
)
from agentgym_hindsight.exports.many_documents import read_documents, write_documents
from agentgym_hindsight.exports.turn_tokens import TurnTokens, with_tokens
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["VERSION", "from_atif", "to_atif"]

#: The version that is written.
VERSION = "ATIF-v1.7"
_READABLE = frozenset(f"ATIF-v1.{minor}" for minor in range(9))
#: Our fields of tokens that ``metrics`` has, with their names there.
_METRICS = {"prompt_ids": "prompt_token_ids", "response_ids": "completion_token_ids", "logprobs": "logprobs"}


def to_atif(trajectory: Trajectory, trajectory_id: str = "") -> dict[str, Any]:
    """The rollout as an ATIF document: plain data for ``json.dumps``.

    >>> from agentgym_hindsight.hindsight import Step
    >>> rollout = Trajectory("1f", steps=(Step(0, "A hall.", "go", "A room.", "A room."),), won=True)
    >>> [(step["source"], step["message"]) for step in to_atif(rollout)["steps"]]
    [('user', 'A hall.'), ('agent', 'go')]
    >>> from_atif(to_atif(rollout)) == rollout
    True
    """
    document = to_document(trajectory)
    own_steps = document.pop("steps")
    ours: dict[str, Any] = {"trajectory": document}
    if not is_visible(json.dumps(document, ensure_ascii=False) + json.dumps(own_steps, ensure_ascii=False)):
        ours["exact"] = exact_text(trajectory)
    turns = [TurnTokens.of(step) for step in trajectory.steps]
    first = world_text(trajectory, 0) if trajectory.steps else trajectory.final_observation or trajectory.goal
    steps: list[dict[str, Any]] = [{"step_id": 1, "source": "user", "message": first}]
    for place, (step, own, tokens) in enumerate(zip(trajectory.steps, own_steps, turns, strict=True)):
        last = place + 1 == len(turns)
        reply = (step.next_observation or step.feedback) if last else world_text(trajectory, place + 1)
        agent: dict[str, Any] = {
            "step_id": place + 2,
            "source": "agent",
            "message": reply_text(step),
            "observation": {"results": [{"content": reply}]},
            "extra": {OURS: own},
        }
        if metrics := _metrics(tokens):
            agent["metrics"] = metrics
        steps.append(agent)
    result = {"won": trajectory.won, "score": trajectory.score, "total_reward": trajectory.total_reward}
    totals = {
        "total_prompt_tokens": sum(len(turn.prompt_ids) for turn in turns) or None,
        "total_completion_tokens": sum(len(turn.response_ids) for turn in turns) or None,
        "total_steps": len(steps),
        "extra": {**result, "outcome": trajectory.outcome},
    }
    plain: dict[str, Any] = visible(
        {
            "schema_version": VERSION,
            "session_id": trajectory.task_id or None,
            "trajectory_id": trajectory_id or f"{trajectory.task_id}-{trajectory.sibling}",
            "agent": {"name": trajectory.policy or "unknown", "version": __version__},
            "steps": steps,
            "final_metrics": {name: value for name, value in totals.items() if value is not None},
            "extra": {OURS: ours},
        }
    )
    return {name: value for name, value in plain.items() if value is not None}


def from_atif(document: Any) -> Trajectory:
    """The rollout of an ATIF document, ours or another program's.

    Of another program's document, messages of the system and the user are observations, those of the agent are
    actions, and the document stands in ``extra["atif"]``. Raises :class:`~agentgym_hindsight.errors.SchemaError`.
    """
    if not isinstance(document, Mapping):
        raise SchemaError(f"Expected an ATIF document, got {type(document).__name__}; try a file of ATIF.")
    version = document.get("schema_version")
    if not isinstance(version, str) or version not in _READABLE:
        raise SchemaError(f"Expected ATIF-v1.0 to v1.8, got {str(version)[:40]!r}; try a matching release.")
    steps = document.get("steps")
    if not isinstance(steps, list) or not all(isinstance(step, Mapping) for step in steps):
        raise SchemaError(f"Expected steps as a list of objects in the document, got {type(steps).__name__}.")
    ours = _ours(document)
    if ours is None:
        return _foreign(document, steps)
    if "exact" in ours:
        return from_exact_text(str(ours["exact"]))
    own = ours.get("trajectory")
    if not isinstance(own, Mapping):
        raise SchemaError(f"Expected extra.{OURS}.trajectory as an object, got {type(own).__name__}.")
    recorded = [_ours(step) for step in steps if step.get("source") == "agent"]
    missing = sum(each is None for each in recorded)
    if missing:
        raise SchemaError(
            f"Expected extra.{OURS} in every step of the agent, got {missing} steps without it; "
            "try removing it from the whole document, which is then read as another program's."
        )
    return from_document({**own, "steps": recorded})


def write(trajectories: Iterator[Trajectory], out: Path) -> int:
    """Write documents: one file, one a line of a ``.jsonl`` file, or a folder of files. Returns their number."""

    def documents() -> Iterator[Any]:
        for number, trajectory in enumerate(trajectories):
            yield to_atif(trajectory, f"{trajectory.task_id}-{trajectory.sibling}-{number}")

    return write_documents(documents(), out, "trajectory")


def read(path: Path) -> Iterator[Any]:
    """The rollouts of a document, of a ``.jsonl`` file or of a folder; a bad one is a ``LineProblem``."""
    return read_documents(path, "ATIF", from_atif)


def _metrics(tokens: TurnTokens) -> dict[str, Any]:
    plain = tokens.as_dict()
    metrics = {theirs: plain.pop(ours) for ours, theirs in _METRICS.items() if ours in plain}
    if tokens.prompt_ids:
        metrics["prompt_tokens"] = len(tokens.prompt_ids)
    if tokens.response_ids:
        metrics["completion_tokens"] = len(tokens.response_ids)
    if plain:
        metrics["extra"] = plain
    return metrics


def _ours(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    extra = record.get("extra")
    ours = extra.get(OURS) if isinstance(extra, Mapping) else None
    return ours if isinstance(ours, Mapping) else None


def _foreign(document: Mapping[str, Any], steps: list[Mapping[str, Any]]) -> Trajectory:
    messages: list[dict[str, Any]] = []
    for number, step in enumerate(steps):
        source = step.get("source")
        role = {"agent": "assistant"}.get(str(source), str(source))
        _, text = message_text({**step, "role": role, "content": step.get("message")}, number)
        messages.append({"role": role, "content": text})
        observation = step.get("observation")
        results = observation.get("results") if isinstance(observation, Mapping) else None
        for result in results if isinstance(results, list) else ():
            if isinstance(result, Mapping):
                content = message_text({"role": "tool", "content": result.get("content")}, number)[1]
                messages.append({"role": "tool", "content": content})
    agent = document.get("agent")
    name = agent.get("name") if isinstance(agent, Mapping) else None
    found = trajectory_of_chat(messages, policy=name if isinstance(name, str) else "")
    turns = [_tokens(step) for step in steps if step.get("source") == "agent"]
    return with_tokens(found.replace(extra={"atif": dict(document)}), turns)


def _tokens(step: Mapping[str, Any]) -> TurnTokens:
    metrics = step.get("metrics")
    if not isinstance(metrics, Mapping):
        return TurnTokens()
    return TurnTokens.from_dict({ours: metrics.get(theirs) for ours, theirs in _METRICS.items()})
