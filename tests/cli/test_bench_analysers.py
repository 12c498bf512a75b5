"""``agh bench analysers`` counts what a server writes, free and with the schema."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentgym_hindsight.baselines.analysers.failures import FailedTurns
from agentgym_hindsight.baselines.training.analyser_client import AnalyserClient
from agentgym_hindsight.cli import main
from agentgym_hindsight.cli.bench.analysers import Counts, count, measure
from agentgym_hindsight.errors import BackendError
from agentgym_hindsight.hindsight import Step, Trajectory
from agentgym_hindsight.hindsight.chat_server import Answer
from tests.hindsight.test_judge import completion, serving

STEP = Step(0, "A room.", "eat", "Nothing happens.", "A room.", anchor="s0", next_anchor="s0")
ANSWER = '{"failures": [{"step": 1, "feedback": "Look first."}]}'


def test_answers_are_counted() -> None:
    questions = [FailedTurns(Trajectory("1f", goal="Eat.", steps=(STEP,)))] * 6
    answers = [
        Answer(ANSWER, "stop", 9, 10),
        Answer(f"Sure: {ANSWER}", "stop", 9, 12),
        Answer('{"failures": [{"step": 7, "feedback": "Look."}]}', "stop", 9, 10),  # no such turn
        Answer('{"failures": [{"st', "length", 9, 8),
        Answer("[" * 100_000, "length", 9, 8),
        None,
    ]
    assert count(questions, answers) == Counts(asked=6, answered=5, json=2, found=3, used=2, cut=2, tokens=48)


def test_every_question_is_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(lambda body: completion(ANSWER if "response_format" in body else "Step 1 was wrong.")) as stub:
        rows = dict(measure(AnalyserClient(stub.url, "writer"), 2, 32, 0, lambda _: None))
    asked = int(rows["failed rollouts"].split()[0])
    assert asked > 0
    assert len(stub.bodies) == 3 * 2 * asked
    seeds = [(body["seed"], json.dumps(body["messages"])) for body in stub.bodies]
    assert len(set(seeds)) == 3 * asked, "both ways have the same questions and seeds"
    assert rows["hint (HINT-SD), free: the whole answer is a JSON object"].startswith(f"0 of {asked} [0, ")
    assert rows["hint (HINT-SD), with the schema: content that is used"].startswith(f"{asked} of {asked} [")
    assert rows["diagnosis (HERO), with the schema: content that is used"].startswith(f"0 of {asked} [")


def test_a_server_that_answers_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def refused(body: dict[str, Any]) -> Any:
        return 404, {}, b"{}"

    with serving(refused) as stub, pytest.raises(BackendError, match="Expected answers of AnalyserClient"):
        measure(AnalyserClient(stub.url, "writer", retries=0), 1, 32, 0, lambda _: None)


def test_an_address_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "analysers"]) == 2
    assert "Expected --endpoint URL#MODEL" in capsys.readouterr().err
