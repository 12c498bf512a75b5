"""``agh bench analysers``: how often a served model writes what an analyser's question asks for.

Every question is asked twice, with the same seed: free, and with the JSON schema of the answer, by which a server can
restrict the decoding. The rollouts are those of a random policy in the embedded ALFWorld; nearly all of them fail.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentgym_hindsight.baselines.analysers.answers import answer_object
from agentgym_hindsight.baselines.analysers.diagnoses import Diagnosed
from agentgym_hindsight.baselines.analysers.failures import FailedTurns
from agentgym_hindsight.baselines.analysers.question import Question
from agentgym_hindsight.baselines.analysers.reflections import Reflected
from agentgym_hindsight.baselines.evaluation.intervals import wilson
from agentgym_hindsight.baselines.evaluation.panels import play_panel
from agentgym_hindsight.baselines.policies.scripted import RandomPolicy
from agentgym_hindsight.baselines.training.analyser_client import AnalyserClient
from agentgym_hindsight.cli.bench.figures import Row
from agentgym_hindsight.errors import BackendError
from agentgym_hindsight.hindsight.chat_server import Answer
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import seeded_int

__all__ = ["Counts", "count", "measure"]

_STAGE = Stage("ALFWorld-Hindsight-v0", {"data": "embedded", "max_steps": 6}, protocol="plain")
_QUESTIONS: Mapping[str, Callable[[Trajectory], Question[Any]]] = {
    "hint (HINT-SD)": FailedTurns,
    "diagnosis (HERO)": Diagnosed,
    "reflection (Resd)": Reflected,
}


@dataclass(frozen=True)
class Counts:
    """Of the answers to some questions."""

    asked: int
    answered: int
    json: int  #: the whole answer is a JSON object
    found: int  #: a JSON object is somewhere in it
    used: int  #: the analyser finds content in it
    cut: int  #: by the limit of tokens
    tokens: int


def count(questions: Sequence[Question[Any]], answers: Sequence[Answer | None]) -> Counts:
    """What the answers are."""
    texts = [(question, each) for question, each in zip(questions, answers, strict=True) if each is not None]
    return Counts(
        asked=len(questions),
        answered=len(texts),
        json=sum(_is_json(each.text) for _, each in texts),
        found=sum(answer_object(each.text) is not None for _, each in texts),
        used=sum(question.read(each.text) != question.read("") for question, each in texts),
        cut=sum(each.finish == "length" for _, each in texts),
        tokens=sum(each.completion_tokens for _, each in texts),
    )


def measure(
    client: AnalyserClient, rollouts: int, max_tokens: int, seed: int, note: Callable[[str], object]
) -> list[Row]:
    """The figures over the failed ones of ``rollouts`` random rollouts, each of another task."""
    note("random rollouts")
    played = play_panel(RandomPolicy(seed), _STAGE, _STAGE.panel("train", rollouts, seed), seed=seed)
    failed = [each for each in played if not each.won and not each.broken]
    rows = [Row("model", repr(client)), Row("failed rollouts", f"{len(failed)} of {rollouts}")]
    for name, make in _QUESTIONS.items():
        questions = [make(each) for each in failed]
        chats = [question.messages() for question in questions]
        seeds = [seeded_int("bench analysers", seed, *map(str, question.key)) % 2**31 for question in questions]
        for way in ("free", "with the schema"):
            note(f"{name}, {way}")
            schema = questions[0].schema if way != "free" and questions else None
            started = time.perf_counter()
            answers = client.answers(chats, seeds, max_tokens=max_tokens, temperature=0.6, schema=schema)
            seconds = time.perf_counter() - started
            counts = count(questions, answers)
            if questions and not counts.answered:
                raise BackendError(f"Expected answers of {client!r}, got none; try `curl` on its /v1/models.")
            rows += [Row(f"{name}, {way}: {what}", value) for what, value in _figures(counts, seconds)]
    return rows


def _figures(counts: Counts, seconds: float) -> list[tuple[str, str]]:
    return [
        ("answered", f"{counts.answered} of {counts.asked} in {seconds:.1f} s"),
        ("the whole answer is a JSON object", _share(counts.json, counts.answered)),
        ("a JSON object is in it", _share(counts.found, counts.answered)),
        ("content that is used", _share(counts.used, counts.answered)),
        ("cut by the limit of tokens", _share(counts.cut, counts.answered)),
        ("tokens of an answer, on average", f"{counts.tokens / max(1, counts.answered):.0f}"),
    ]


def _share(part: int, whole: int) -> str:
    low, high = wilson(part, whole) if whole else (0.0, 1.0)
    return f"{part} of {whole} [{100 * low:.0f}, {100 * high:.0f} %]"


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
