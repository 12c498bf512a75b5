"""``samples.jsonl`` of a training run as trajectories: sample rollouts with the gap and the weight of every token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from agentgym_hindsight.errors import MissingDataError, SchemaError
from agentgym_hindsight.exports.exact import from_document
from agentgym_hindsight.exports.json_documents import problem, read_lines
from agentgym_hindsight.exports.turn_tokens import TOKENS
from agentgym_hindsight.hindsight.codec import SCHEMA, SCHEMA_VERSION
from agentgym_hindsight.hindsight.jsonl import LineProblem, iter_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["read_rollouts", "sample_trajectory"]

#: Keys that become fields of the trajectory or of its steps; all others are kept in ``extra``.
_ROLLOUT_KEYS = frozenset(("task_id", "goal", "won", "sibling", "return", "analyses", "steps"))
_STEP_KEYS = frozenset(("prompt", "action_valid", "feedback", "advantage", "tokens", "weights", "gaps", "analyses"))


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
        if _is_sample(first):
            return _samples(path)
        break
    return iter_jsonl(path)


def sample_trajectory(document: Mapping[str, Any]) -> Trajectory:
    """The trajectory of a line of ``samples.jsonl``. Raises :class:`~agentgym_hindsight.errors.SchemaError`.

    A sample has the prompt, the tokens and the feedback of each turn, but neither observations nor actions: the prompt
    and the response stand for them. The return stands at the last turn.
    """
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
            if not _is_sample(document):
                raise SchemaError("Expected a sample of a training run, got another kind of line.")
            yield sample_trajectory(document)
        except SchemaError as error:
            yield problem(number, error, data)


def _is_sample(document: object) -> bool:
    return isinstance(document, Mapping) and "schema" not in document and {"task_id", "steps"} <= document.keys()


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
