"""Our envs behind OpenEnv's own client: what an agent reads has no hindsight, what a trainer reads has all of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from tests.toy import SIZES, CorridorBackend, CorridorEnv

pytest.importorskip("openenv.core.env_server", reason="needs openenv 0.10")
uvicorn: Any = pytest.importorskip("uvicorn", reason="needs openenv 0.10")
generic_client: Any = pytest.importorskip("openenv.core.generic_client", reason="needs openenv 0.10")

from agentgym_hindsight.exports.clients import MissingClientError  # noqa: E402
from agentgym_hindsight.exports.exact import from_document  # noqa: E402

try:
    from agentgym_hindsight.exports.openenv_server import create_openenv_app
except MissingClientError as error:  # another version, such as the one that verifiers brings
    pytest.skip(str(error), allow_module_level=True)
from agentgym_hindsight.hindsight import Group, compose  # noqa: E402
from agentgym_hindsight.stage import Stage  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
CORRIDOR = "Corridor-OpenEnv-v0"
TASKS = [CorridorBackend().task("train", index) for index in range(SIZES["train"])]


@pytest.fixture(autouse=True)
def _corridor() -> Iterator[None]:
    gym.register(CORRIDOR, entry_point=CorridorEnv, order_enforce=False)
    yield
    del gym.registry[CORRIDOR]


@pytest.fixture
def address() -> Iterator[str]:
    yield from served(Stage(CORRIDOR, protocol="plain", settings={"expert": True}))


def served(stage: Stage) -> Iterator[str]:
    app = create_openenv_app(stage, sessions=6)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(400):
        if server.started:
            break
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


async def play(address: str, action: str, **reset: Any) -> tuple[list[Any], dict[str, Any]]:
    """All results of a rollout and its last state."""
    async with generic_client.GenericEnvClient(base_url=address) as client:
        results = [await client.reset(**reset)]
        while not results[-1].done:
            results.append(await client.step({"action": action}))
        return results, await client.state()


def test_nothing_of_hindsight_is_in_an_observation(address: str) -> None:
    results, state = asyncio.run(play(address, "east", task_id=TASKS[0].id))
    for result in results:
        # verifiers writes exactly this into the prompt of the model.
        assert set(result.observation) <= {"text", "metadata", "done", "reward"}
        assert not result.observation.get("metadata")
        shown = json.dumps(result.observation)
        for secret in ("hindsight", "trajectory", "anchor", "expert", "feedback", state["anchor"]):
            assert secret not in shown.lower()
    # The same words are in the state, so the test above can fail.
    kept = json.dumps(state)
    assert all(word in kept for word in ("hindsight", "trajectory", "anchor", "expert_action", "immediate_feedback"))
    assert results[-1].reward == 10.0
    assert (state["won"], state["over"], state["broken"], state["step_count"]) == (True, True, "", 4)


def test_hindsight_comes_from_the_states_of_siblings(address: str) -> None:
    async def both() -> Any:
        return await asyncio.gather(
            play(address, "east", task_id=TASKS[0].id), play(address, "dance", task_id=TASKS[0].id)
        )

    (_, won), (_, lost) = asyncio.run(both())
    group = Group([from_document(won["trajectory"]), from_document(lost["trajectory"])])
    assert [member.won for member in group] == [True, False]
    contexts = compose("success+immediate", group)
    assert contexts[1][0] is not None
    assert "Nothing happens." in contexts[1][0].text


def test_sessions_are_apart_and_tasks_are_found_by_id_and_index(address: str) -> None:
    async def many() -> Any:
        by_id = [play(address, "east", task_id=task.id) for task in TASKS[:3]]
        by_index = [play(address, "east", split="train", index=index) for index in range(3)]
        return await asyncio.gather(*by_id, *by_index)

    played = asyncio.run(many())
    ids = [state["task_id"] for _, state in played]
    assert ids == [task.id for task in TASKS[:3]] * 2
    assert all(state["won"] for _, state in played)


def test_the_tasks_are_listed(address: str) -> None:
    def get(path: str) -> Any:
        with urllib.request.urlopen(f"{address}{path}", timeout=20) as answer:
            return json.load(answer)

    def post(path: str, body: Any) -> Any:
        request = urllib.request.Request(
            f"{address}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    assert get("/list_environments") == [CORRIDOR]
    assert [split["name"] for split in get(f"/{CORRIDOR}/splits")] == list(CorridorEnv.splits)
    assert post(f"/{CORRIDOR}/num_tasks", {"split": "train"}) in (SIZES["train"], {"num_tasks": SIZES["train"]})
    schema = get("/schema")
    assert schema["action"]["required"] == ["action"]


def test_mistakes_and_failures(address: str) -> None:
    async def talk() -> None:
        async with generic_client.GenericEnvClient(base_url=address) as client:
            assert (await client.state())["step_count"] == 0
            for bad, words in (
                ({"task_id": "nothing"}, "task id"),
                ({"split": "nowhere", "index": 0}, "Expected a split of"),
                ({"split": "train", "index": 10**6}, "Expected an index from 0"),
                ({"task_id": "x", "index": 3}, "Expected either task_id, or split and index"),
            ):
                with pytest.raises(Exception, match=words):
                    await client.reset(**bad)
            with pytest.raises(Exception, match=r"reset\(\) first"):
                await client.step({"action": "east"})
            await client.reset(task_id=TASKS[0].id)
            result = await client.step({"action": "crash"})
            assert result.done
            assert result.reward is None
            assert "broke down" in result.observation["text"]
            assert (await client.state())["broken"] == "RuntimeError: the corridor collapsed"
            assert not (await client.reset(task_id=TASKS[0].id)).done

    asyncio.run(talk())


def test_pages_of_other_sites_are_refused(address: str) -> None:
    request = urllib.request.Request(f"{address}/schema", headers={"Origin": "https://evil.example"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=20)
    assert caught.value.code == 403


def test_control_tokens_and_surrogates_in_a_world(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = CorridorBackend._turn
    monkeypatch.setattr(
        CorridorBackend, "_turn", lambda self, text, **more: shown(self, f"{text}<|im_end|>\udc80", **more)
    )
    for address in served(Stage(CORRIDOR, protocol="plain")):
        results, state = asyncio.run(play(address, "east", task_id=TASKS[0].id))
        assert "< |im_end|>\\udc80" in results[0].observation["text"]
        assert "<|" not in results[-1].observation["text"]
        assert state["won"]


def test_the_command_serves_and_ends_cleanly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agentgym_hindsight", "serve", "--openenv", "alfworld", "--port", "0"]
    command += ["--set", "data=embedded", "--set", "max_steps=2", "--sessions", "2"]
    home = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "150"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=home, cwd=tmp_path)
    assert process.stderr is not None
    line = process.stderr.readline()
    try:
        assert line.startswith("http://127.0.0.1:")
        assert "for OpenEnv: 2400 tasks of train, at most 2 sessions" in line
        results, state = asyncio.run(play(line.split()[0], "look", split="train", index=7))
        assert results[0].observation["text"].startswith("Task: ")
        assert (state["step_count"], state["over"], state["won"]) == (2, True, False)
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert "Traceback" not in rest
    assert "Closed." in rest
