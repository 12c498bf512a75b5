"""NeMo Gym's own command over a real episode: its servers, its agent, and what it writes.

NeMo Gym needs a newer Python than this library's tests. A variable names the interpreter of a virtual environment with
nemo-gym==0.7.0 and this library's dependencies; without it the test skips:

    AGENTGYM_HINDSIGHT_NEMO_PYTHON

``gym env start`` runs the resources server, the agent, the model server and the relay in processes of their own, beside
Ray. The model is a chat server with scripted replies.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.exports.exact import from_exact_text
from agentgym_hindsight.exports.session import Episodes
from agentgym_hindsight.stage import Stage
from tests.exports.scripted_model import scripted_model

NEMO = os.environ.get("AGENTGYM_HINDSIGHT_NEMO_PYTHON", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NEMO, reason="AGENTGYM_HINDSIGHT_NEMO_PYTHON names no interpreter"),
]
STAGE = Stage("ALFWorld-Hindsight-v0", {"data": "embedded", "max_steps": 4}, protocol="plain")
LIMIT = 3  # of turns, of the second agent: below that of the env
CONFIG = """
hindsight:
  resources_servers:
    hindsight: {entrypoint: app.py, domain: agent, stage: STAGE}
policy_model:
  responses_api_models:
    vllm_model:
      {entrypoint: app.py, base_url: "MODEL", api_key: none, model: scripted, return_token_id_information: false,
       uses_reasoning_parser: false}
"""
AGENT = """
NAME:
  responses_api_agents:
    gymnasium_agent:
      entrypoint: app.py
      resources_server: {type: resources_servers, name: hindsight}
      model_server: {type: responses_api_models, name: policy_model}
      max_steps: LIMIT
NAME_environment:
  environment_servers:
    legacy_agent: {entrypoint: app.py, agent_server: {type: responses_api_agents, name: NAME}}
"""
SERVERS = (
    "resources_servers/hindsight",
    "responses_api_agents/gymnasium_agent",
    "responses_api_models/vllm_model",
    "environment_servers/legacy_agent",
)


@contextmanager
def servers(folder: Path, model: str) -> Iterator[None]:
    """``gym env start`` in a folder, with the virtual environment that is there for all of its processes."""
    home = folder / "resources_servers" / "hindsight"
    home.mkdir(parents=True)
    (home / "app.py").write_text("from agentgym_hindsight.exports.nemo_server import run\n\nrun()\n")
    for server in SERVERS:
        (folder / "venvs" / server).mkdir(parents=True)
        (folder / "venvs" / server / ".venv").symlink_to(Path(NEMO).parents[1])
    config = CONFIG.replace("STAGE", json.dumps(STAGE.as_dict())).replace("MODEL", model)
    for name, limit in (("whole", 10), ("stopped", LIMIT)):
        config += AGENT.replace("NAME", name).replace("LIMIT", str(limit))
    (folder / "hindsight.yaml").write_text(config)
    options = [f"+uv_venv_dir={folder / 'venvs'}", "+skip_venv_if_present=true"]
    with (folder / "start.log").open("w") as log:
        process = subprocess.Popen(
            command("env", "start", "--config", "hindsight.yaml", *options),
            cwd=folder, env=environment(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 300
        while "] stopped_environment (environment_servers" not in (folder / "start.log").read_text():
            assert process.poll() is None, (folder / "start.log").read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(1)
        yield
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


def command(*words: str) -> list[str]:
    return [NEMO, "-c", "from nemo_gym.cli.main import main; main()", *words]


def environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    path = f"{Path(NEMO).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PYTHONPATH": str(Path(__file__).parents[2]), "PATH": path, "NO_PROXY": "127.0.0.1"}


def collect(folder: Path, agent: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rollouts that ``gym eval run`` writes."""
    rows = [{"responses_create_params": {"input": []}, **row} for row in rows]
    rows = [{**row, "agent_ref": {"type": "responses_api_agents", "name": agent}} for row in rows]
    (folder / f"{agent}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["eval", "run", "--no-serve", "--config", "hindsight.yaml", "--agent", agent]
    words += ["--input", f"{agent}.jsonl", "--output", f"{agent}-out.jsonl"]
    done = subprocess.run(
        command(*words), cwd=folder, env=environment(), capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in (folder / f"{agent}-out.jsonl").read_text().splitlines()]


def texts_of(task_id: str, reply: str) -> list[str]:
    """What an agent that always says ``reply`` reads."""
    episodes = Episodes(STAGE)
    turns = [episodes.reset(task_id)]
    while not turns[-1].over:
        turns.append(episodes.step(reply))
    episodes.close()
    return [turn.text for turn in turns[:-1]]


def test_rollouts_of_the_command(tmp_path: Path) -> None:
    with scripted_model(["look"]) as model, servers(tmp_path, model.url):
        [played] = collect(tmp_path, "whole", [{"split": "train", "index": 3}])
        asked = list(model.asked)
        [stopped] = collect(tmp_path, "stopped", [{"split": "train", "index": 3}])
    rollout = from_exact_text(played["info"]["trajectory"])
    assert [step.action for step in rollout.steps] == ["look"] * 4
    assert (rollout.truncated, rollout.broken, played["truncated"], played["reward"]) == (True, "", True, 0.0)
    # The prompts are the texts of the turns, so nothing of hindsight is in them.
    for number, messages in enumerate(asked):
        read = [message["content"] for message in messages if message["role"] == "user"]
        assert [text_of(content) for content in read] == texts_of(rollout.task_id, "look")[: number + 1]
    assert len(asked) == 4
    # The agent's own limit is not told to the server: the rollout has no trajectory, as the page says.
    assert (stopped["truncated"], stopped["info"]) == (True, {})


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
