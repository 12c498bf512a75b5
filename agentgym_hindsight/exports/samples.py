"""``samples.jsonl`` of a training run as trajectories: sample rollouts with the gap and the weight of every token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from agentgym_hindsight.errors import MissingDataError, SchemaError
from agentgym_hindsight.exports.exact import from_document, to_document
from agentgym_hindsight.exports.json_documents import problem, read_lines
from agentgym_hindsight.exports.turn_tokens import TOKENS
from agentgym_hindsight.hindsight.codec import SCHEMA, SCHEMA_VERSION
from agentgym_hindsight.hindsight.jsonl import LineProblem, iter_jsonl
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory

__all__ = ["read_rollouts", "sample_trajectory"]

#: Keys that become fields of the trajectory or of its steps; all others are kept in ``extra``.
_ROLLOUT_KEYS = frozenset(("task_id", "goal", "won", "sibling", "return", "analyses", "steps"))
_STEP_KEYS = frozenset(("prompt", "action_valid", "feedback", "advantage", "tokens", "weights", "gaps", "analyses"))
#: Lists of a turn with one value a token, by their names in ``TurnTokens``.
_TOKEN_KEYS = {
    "prompt_ids": "prompt_ids",
    "response_ids": "response_ids",
    "texts": "tokens",
    "logprobs": "logprobs",
    "teacher_logprobs": "teacher_logprobs",
    "gaps": "gaps",
    "weights": "weights",
    "mask": "chosen",
    "credit": "advantage",
}
_TRAJECTORY_KEYS = frozenset(field.name for field in fields(Trajectory)) | {"schema", "version"}
_RECORDED_KEYS = frozenset(field.name for field in fields(Step)) | {*_TOKEN_KEYS.values(), "analyses"}


def read_rollouts(path: str | Path) -> Iterator[Trajectory | LineProblem]:
    """The rollouts of a file of ``agh rollout`` or ``agh eval``, or of the ``samples.jsonl`` of a training run.

    The folder of a training run stands for its ``samples.jsonl``. A line that cannot be read is a problem.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / "samples.jsonl").is_file():
            raise MissingDataError(
                f"Expected a file of rollouts, or the folder of a training run, got the folder {path} without "
                "samples.jsonl; try one of its files."
            )
        path = path / "samples.jsonl"
    for _, _, first in read_lines(path, "recorded rollouts"):
        if isinstance(first, LineProblem):
            continue
        if _is_sample(first) or _is_recorded(first):
            return _samples(path)
        break
    return iter_jsonl(path)


def sample_trajectory(document: Mapping[str, Any]) -> Trajectory:
    """The trajectory of a line of ``samples.jsonl``. Raises :class:`~agentgym_hindsight.errors.SchemaError`.

    A sample of 0.4 and earlier has the prompt, the tokens and the feedback of each turn, but neither observations nor
    actions: the prompt and the response stand for them. The return stands at the last turn.
    """
    if "schema" in document:
        return _recorded_trajectory(document)
    turns = document.get("steps")
    if not isinstance(turns, list) or not all(isinstance(turn, Mapping) for turn in turns):
        raise SchemaError("Expected the steps of a sample as a list of objects, got something else.")
    steps = [_step(index, turn) for index, turn in enumerate(turns)]
    if steps and "return" in document:
        steps[-1]["reward"] = document["return"]
    of_steps = [{**each, "step": index} for index, turn in enumerate(turns) for each in _objects(turn.get("analyses"))]
    fields = {name: document[name] for name in ("task_id", "goal", "won", "sibling") if name in document}
    rest = {name: value for name, value in document.items() if name not in _ROLLOUT_KEYS}
    return from_document(
        {
            "schema": SCHEMA,
            "version": SCHEMA_VERSION,
            **fields,
            "score": float(document.get("won") is True),
            "steps": steps,
            "analyses": [*_objects(document.get("analyses")), *of_steps],
            "extra": {"sample": rest},
        }
    )


def _samples(path: Path) -> Iterator[Trajectory | LineProblem]:
    for number, data, document in read_lines(path, "the samples of a training run"):
        if isinstance(document, LineProblem):
            yield document
            continue
        try:
            if not (_is_sample(document) or _is_recorded(document)):
                raise SchemaError("Expected a sample of a training run, got another kind of line.")
            yield sample_trajectory(document)
        except SchemaError as error:
            yield problem(number, error, data)


def _is_sample(document: object) -> bool:
    return isinstance(document, Mapping) and "schema" not in document and {"task_id", "steps"} <= document.keys()


def _is_recorded(document: object) -> bool:
    """Whether it is a trajectory with what training knows about its tokens."""
    return isinstance(document, Mapping) and document.get("schema") == SCHEMA and "update" in document


def _recorded_trajectory(document: Mapping[str, Any]) -> Trajectory:
    trajectory = from_document(document)
    recorded: list[Mapping[str, Any]] = document["steps"]
    steps = []
    notes = []
    for step, turn in zip(trajectory.steps, recorded, strict=True):
        tokens = {name: turn[key] for name, key in _TOKEN_KEYS.items() if turn.get(key) is not None}
        if (products := _products(turn)) is not None:
            tokens["advantages"] = products
        if turn.get("mask_reason") and isinstance(tokens.get("mask"), list):
            tokens["mask"] = [False] * len(tokens["mask"])  # the teacher could weigh them, and did not
        rest = {name: value for name, value in turn.items() if name not in _RECORDED_KEYS}
        steps.append(replace(step, extra={**step.extra, **rest, **({TOKENS: tokens} if tokens else {})}))
        notes += [{**each, "step": step.index} for each in _objects(turn.get("analyses"))]
    own = {name: value for name, value in document.items() if name not in _TRAJECTORY_KEYS and name != "return"}
    found = trajectory.replace(steps=tuple(steps), extra={**trajectory.extra, "sample": own})
    if not notes:
        return found
    plain = to_document(found)
    return from_document({**plain, "analyses": [*plain["analyses"], *notes]})


def _products(turn: Mapping[str, Any]) -> list[float] | None:
    """The advantage of each token in the loss: that of the token or of the turn, times the weight."""
    weights = turn.get("weights")
    if not isinstance(weights, list):
        return None
    given = turn.get("token_advantages")
    base = given if isinstance(given, list) else [turn.get("advantage")] * len(weights)
    if len(base) != len(weights) or not all(map(_is_real, [*base, *weights])):
        return None
    return [float(one) * float(other) for one, other in zip(base, weights, strict=True)]


def _is_real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e100


def _step(index: int, turn: Mapping[str, Any]) -> dict[str, Any]:
    texts = turn.get("tokens")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise SchemaError(f"Expected the tokens of turn {index} as a list of texts, got {type(texts).__name__}.")
    response = "".join(texts)
    tokens = {"texts": texts, "weights": turn.get("weights"), "gaps": turn.get("gaps"), "credit": turn.get("advantage")}
    rest = {name: value for name, value in turn.items() if name not in _STEP_KEYS}
    prompt, feedback = turn.get("prompt", ""), turn.get("feedback", "")
    return {
        "index": index,
        "observation": prompt,
        "action": response,
        "feedback": feedback,
        "next_observation": feedback,
        "action_valid": turn.get("action_valid", True),
        "prompt": prompt,
        "response": response,
        "extra": {TOKENS: {name: value for name, value in tokens.items() if value is not None}, **rest},
    }


def _objects(value: object) -> Iterable[dict[str, Any]]:
    return [dict(item) for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
