"""Our envs behind NeMo Gym's own server class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import pytest

from tests.toy import CorridorBackend, CorridorEnv

pytest.importorskip("nemo_gym.base_resources_server", reason="needs nemo-gym 0.7")
testclient: Any = pytest.importorskip("fastapi.testclient", reason="needs nemo-gym 0.7")

from agentgym_hindsight.exports.exact import from_exact_text  # noqa: E402
from agentgym_hindsight.exports.nemo_server import HindsightServer, HindsightServerConfig  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
CORRIDOR = "Corridor-NeMo-v0"
TASK = CorridorBackend().task("train", 0)


@pytest.fixture
def client() -> Iterator[Any]:
    gym.register(CORRIDOR, entry_point=CorridorEnv, order_enforce=False)
    config = HindsightServerConfig(
        host="127.0.0.1",
        port=0,
        entrypoint="app.py",
        name="hindsight",
        domain="agent",
        stage={"env": CORRIDOR, "protocol": "plain"},
    )
    server = HindsightServer.model_construct(config=config, server_client=None, session_state={})
    with testclient.TestClient(server.setup_webserver()) as made:
        yield made
    del gym.registry[CORRIDOR]


def response(text: str) -> dict[str, Any]:
    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }
    return {
        "id": "r",
        "created_at": 0,
        "model": "stub",
        "object": "response",
        "output": [message],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
    }


def play(client: Any, text: str, **row: Any) -> list[dict[str, Any]]:
    given = {"responses_create_params": {"input": []}, "task_id": TASK.id, **row}
    answers = [client.post("/reset", json=given).json()]
    while not (answers[-1].get("terminated") or answers[-1].get("truncated")):
        answers.append(client.post("/step", json={**given, "response": response(text)}).json())
    return answers


def test_an_episode(client: Any) -> None:
    answers = play(client, "east")
    assert "corridor" in answers[0]["observation"]
    assert [answer["info"] for answer in answers[:-1]] == [{}] * 4
    assert [answer["reward"] for answer in answers[1:]] == [0.0, 0.0, 0.0, 10.0]
    rollout = from_exact_text(answers[-1]["info"]["trajectory"])
    assert (rollout.won, rollout.task_id, answers[-1]["info"]["won"]) == (True, TASK.id, True)


def test_a_broken_rollout(client: Any) -> None:
    answers = play(client, "crash")
    assert (answers[-1]["truncated"], answers[-1]["terminated"]) == (True, False)
    assert answers[-1]["info"]["broken"] == "RuntimeError: the corridor collapsed"
    assert play(client, "east")[-1]["terminated"]


def test_a_row_by_index(client: Any) -> None:
    answers = play(client, "east", task_id=None, split="train", index=0)
    assert from_exact_text(answers[-1]["info"]["trajectory"]).task_id == TASK.id
