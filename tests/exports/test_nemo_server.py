"""Our envs behind NeMo Gym's own server class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import pytest

from agentgym_hindsight.errors import UnknownNameError, UsageError
from tests.toy import CorridorBackend, CorridorEnv

server_utils: Any = pytest.importorskip("nemo_gym.server_utils", reason="needs nemo-gym 0.7")
testclient: Any = pytest.importorskip("fastapi.testclient", reason="needs nemo-gym 0.7")

from agentgym_hindsight.exports.exact import from_exact_text  # noqa: E402
from agentgym_hindsight.exports.nemo_server import HindsightServer, HindsightServerConfig  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
CORRIDOR = "Corridor-NeMo-v0"
TASK = CorridorBackend().task("train", 0)


@pytest.fixture
def server() -> Iterator[Any]:
    gym.register(CORRIDOR, entry_point=CorridorEnv, order_enforce=False)
    config = HindsightServerConfig(
        host="127.0.0.1",
        port=0,
        entrypoint="app.py",
        name="hindsight",
        domain="agent",
        stage={"env": CORRIDOR, "protocol": "plain"},
    )
    made = HindsightServer.model_construct(config=config, server_client=None, session_state={})
    made.model_post_init(None)
    yield made
    del gym.registry[CORRIDOR]


@pytest.fixture
def client(server: Any) -> Iterator[Any]:
    with testclient.TestClient(server.setup_webserver()) as made:
        yield made


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
    assert answers[0]["info"] == {"supports_explicit_close": True, "supports_step_idempotency": True}
    assert [answer["info"] for answer in answers[1:-1]] == [{}] * 3
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


def test_a_row_by_index_lists_no_split(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    task = CorridorBackend.task
    monkeypatch.setattr(
        CorridorBackend, "task", lambda self, split, index: asked.append(index) or task(self, split, index)
    )
    for index in (2, 5):
        play(client, "crash", task_id=None, split="train", index=index)
    assert asked == [2, 5]


def given(**row: Any) -> dict[str, Any]:
    return {"responses_create_params": {"input": []}, "task_id": TASK.id, **row}


def test_a_step_that_is_sent_again_is_done_once(client: Any, server: Any) -> None:
    """NeMo Gym repeats a request whose connection was lost, with the same id."""
    client.post("/reset", json=given())
    answers = []
    for number in range(4):
        body = given(response=response("east"), _ng_step_request_id=f"step {number}")
        answers.append(client.post("/step", json=body).json())
        assert client.post("/step", json=body).json() == answers[-1]
    rollout = from_exact_text(answers[-1]["info"]["trajectory"])
    assert (len(rollout), rollout.won, answers[-1]["terminated"]) == (4, True, True)
    assert len(server.session_state) == 1  # the last answer may be asked for again
    assert client.post("/close", json={}).json() == {"closed": True}
    assert server.session_state == {}


def test_a_rollout_that_the_agent_stops_is_closed(client: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Any] = []
    monkeypatch.setattr(CorridorEnv, "close", lambda self: closed.append(self))
    client.post("/reset", json=given())
    client.post("/step", json=given(response=response("east"), _ng_step_request_id="1"))
    assert not closed
    assert client.post("/close", json={}).status_code == 200
    assert len(closed) == 1
    assert server.session_state == {}
    assert client.post("/close", json={}).status_code == 200  # of a session that is closed already


def test_the_session_of_a_client_that_is_gone_is_closed_after_a_while(
    client: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Any] = []
    monkeypatch.setattr(CorridorEnv, "close", lambda self: closed.append(self))
    clock = [0.0]
    monkeypatch.setattr("agentgym_hindsight.exports.nemo_server.monotonic", lambda: clock[0])
    with testclient.TestClient(server.setup_webserver()) as other:
        client.post("/reset", json=given())
        clock[0] = 3000
        client.post("/step", json=given(response=response("east"), _ng_step_request_id="1"))
        clock[0] = 6500  # 3,500 seconds after the step: less than idle_s
        other.post("/reset", json=given())
        assert (len(server.session_state), len(closed)) == (2, 0)
        clock[0] = 6601
        other.post("/reset", json=given())
        assert len(server.session_state) == 1
        assert len(closed) == 2  # the idle one, and the one that was reset
        with pytest.raises(UsageError, match="idle_s = 3600 s"):
            client.post("/step", json=given(response=response("east")))


def test_a_row_that_names_no_task_leaves_no_session(client: Any, server: Any) -> None:
    with pytest.raises(IndexError, match="Expected an index from 0 to 11"):
        client.post("/reset", json=given(task_id=None, index=12))
    with pytest.raises(UnknownNameError, match="task id"):
        client.post("/reset", json=given(task_id="unknown"))
    assert server.session_state == {}


def test_the_server_starts_no_ray() -> None:
    assert server_utils._server_uses_ray(HindsightServer) is False
