"""verifiers' own command over a real episode: is any text of hindsight in the prompts that it builds?

verifiers and openenv>=0.10 want different versions of mcp, so each has a virtual environment of its own. Two variables
name their interpreters; without them the tests of the real clients skip:

    AGENTGYM_HINDSIGHT_VERIFIERS_PYTHON    with verifiers[openenv]==0.4.0, uv, and this library's dependencies
    AGENTGYM_HINDSIGHT_OPENENV_PYTHON      with openenv==0.10.0, and this library's dependencies

Nothing of verifiers is replaced here: its command starts its harness in a process of its own, which asks a chat server
with scripted replies. That harness is a script run by ``uv``, which installs the packages it names.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agentgym_hindsight.exports.exact import OURS, from_document
from agentgym_hindsight.exports.session import Episodes
from agentgym_hindsight.hindsight import Hindsight
from agentgym_hindsight.hindsight.info import plain_info
from agentgym_hindsight.stage import Stage
from tests.exports.scripted_model import scripted_model

VERIFIERS, OPENENV = (os.environ.get(f"AGENTGYM_HINDSIGHT_{name}_PYTHON", "") for name in ("VERIFIERS", "OPENENV"))
needs_verifiers = pytest.mark.skipif(not VERIFIERS, reason="AGENTGYM_HINDSIGHT_VERIFIERS_PYTHON names no interpreter")
needs_both = pytest.mark.skipif(
    not (VERIFIERS and OPENENV), reason="AGENTGYM_HINDSIGHT_{VERIFIERS,OPENENV}_PYTHON name no interpreters"
)
SETTINGS = {"data": "embedded", "max_steps": 5, "expert": True}
PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
INDEX = 3  # of the task in the split


class Played(NamedTuple):
    """A rollout played in this process, which that of the client repeats."""

    task_id: str
    actions: list[str]
    texts: list[str]  # what an agent reads, turn by turn; the last is that of the end
    secrets: list[str]  # texts and lines of all sources of all turns, anchors, the expert's actions


@cache
def played() -> Played:
    stage = Stage("alfworld", SETTINGS, protocol="plain")
    episodes = Episodes(stage)
    source = stage.make("train")
    task = source.unwrapped.backend.task("train", INDEX)
    source.close()
    turns, actions = [episodes.reset(task)], []
    while not turns[-1].over:  # every second action does nothing: the rollout is lost, and the expert's is another one
        actions.append(str(turns[-1].info["expert_action"]) if len(turns) % 2 else "look")
        turns.append(episodes.step(actions[-1]))
    episodes.close()
    last: Hindsight = turns[-1].info["hindsight"]
    assert not turns[-1].won
    assert all(set(each.known) == set(Hindsight.SOURCES) for each in last.episode)
    secrets = [str(turn.info[key]) for turn in turns for key in ("anchor", "expert_action")]
    for hindsight in last.episode:
        for _, feedback in hindsight:
            assert feedback is not None
            secrets += [feedback.text, *feedback.text.splitlines()]
    return Played(
        task.id, actions, [turn.text for turn in turns], sorted({secret for secret in secrets if len(secret) > 3})
    )


def leaks(read: str, allowed: str, secrets: list[str]) -> list[str]:
    """The secrets that are in a text, without those that the agent may read at that turn."""
    return [secret for secret in secrets if secret in read and secret not in allowed]


def strings(value: Any) -> Iterator[str]:
    """All strings of a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def test_the_search_finds_a_leak_in_every_turn() -> None:
    found = played()
    assert len(found.secrets) > 30
    episodes = Episodes(Stage("alfworld", SETTINGS, protocol="plain"))
    turn = episodes.reset(found.task_id)
    for number, action in enumerate(found.actions):
        allowed = "\n".join(found.texts[: number + 1])
        assert not leaks(allowed, allowed, found.secrets)
        turn = episodes.step(action)
        state = plain_info({"hindsight": turn.info["hindsight"]}, episode=turn.over)
        assert len(leaks("\n".join(strings(state)), allowed, found.secrets)) > 3
    episodes.close()


@contextmanager
def openenv_server(folder: Path) -> Iterator[str]:
    command = [OPENENV, "-m", "agentgym_hindsight", "serve", "--openenv", "alfworld", "--port", "0"]
    command += ["--protocol", "plain", *(part for item in SETTINGS.items() for part in ("--set", setting(*item)))]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=home(), cwd=folder)
    assert process.stderr is not None
    try:
        yield process.stderr.readline().split()[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def setting(name: str, value: Any) -> str:
    return f"{name}={value if isinstance(value, str) else json.dumps(value)}"


def home() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    path = f"{Path(VERIFIERS).parent}{os.pathsep}{kept.get('PATH', '')}"  # uv
    code = f"{PAGE.parents[1]}{os.pathsep}."
    return {**kept, "PYTHONPATH": code, "COLUMNS": "150", "PATH": path, "NO_PROXY": "127.0.0.1"}


def evaluate(folder: Path, model: str, taskset: dict[str, Any], *, player: bool = False) -> dict[str, Any]:
    """The one trace of ``vf-eval``. ``player`` names the harness and the runtime; our plugin has them as defaults."""
    lines = ['model = "scripted"', "push = false", 'rich = "None"', 'output_dir = "out"']
    lines += ["[client]", f'base_url = "{model}"', 'api_key_var = "NO_SUCH_KEY"', "[env.taskset]"]
    lines += [f"{key} = {toml(value)}" for key, value in taskset.items()]
    if player:
        lines += ["[env.player.harness]", 'id = "null"', "[env.player.runtime]", 'type = "subprocess"']
    (folder / "eval.toml").write_text("\n".join(lines) + "\n")
    command = [VERIFIERS, "-c", "from verifiers.v1.cli.eval.main import main; main()", "@", "eval.toml"]
    done = subprocess.run(command, cwd=folder, env=home(), capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    [file] = (folder / "out").glob("*/traces.jsonl")
    [line] = file.read_text().splitlines()
    episode = json.loads(line)
    assert (episode["ok"], episode["errors"]) == (True, [])
    trace: dict[str, Any] = episode["traces"][0]
    return trace


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


@needs_both
@pytest.mark.slow
def test_verifiers_client_of_openenv_writes_no_hindsight_into_prompts(tmp_path: Path) -> None:
    found = played()
    with scripted_model(found.actions) as model, openenv_server(tmp_path) as address:
        resets = [{"split": "train", "index": INDEX}]
        taskset = {"id": "openenv", "base_url": address, "resets": resets}
        trace = evaluate(tmp_path, model.url, taskset, player=True)
    assert len(model.asked) == len(found.actions)
    for number, messages in enumerate(model.asked):
        assert [message["role"] for message in messages] == ["user", *["assistant", "user"] * number]
        read = [json.loads(message["content"]) for message in messages[::2]]
        # Exactly the text of the turn, and the schema of an action. So nothing else can be there.
        for place, payload in enumerate(read):
            assert payload["observation"] == {"text": found.texts[place], "metadata": {}}
            assert set(payload) == {"observation", "action_schema"}
        allowed = "\n".join([*found.texts[: number + 1], *found.actions[:number]])
        assert leaks("\n".join(strings([messages, read])), allowed, found.secrets) == []
    assert trace["rewards"]["openenv_reward"]["score"] == 0.0
    assert leaks("\n".join(strings(trace["nodes"])), "\n".join([*found.texts, *found.actions]), found.secrets) == []


@needs_verifiers
@pytest.mark.slow
def test_the_plugin_under_verifiers_own_command(tmp_path: Path) -> None:
    # verifiers imports a taskset by the name of a top-level module, so a user writes one, as docs/clients.md shows.
    [code] = re.findall(r"```text\n(# hindsight_tasks\.py\n.+?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "hindsight_tasks.py").write_text(code)
    taskset = {"id": "hindsight_tasks", "environment": "ALFWorld-Hindsight-v0", "settings": SETTINGS, "tasks": 1}
    stage = Stage("alfworld", SETTINGS, protocol="plain")
    [task] = stage.panel("train", 1)
    with scripted_model(["look"]) as model:
        trace = evaluate(tmp_path, model.url, taskset)
    rollout = from_document(trace["info"][OURS])
    assert (rollout.task_id, len(rollout), rollout.won, rollout.broken) == (task.id, SETTINGS["max_steps"], False, "")
    assert [step.action for step in rollout.steps] == ["look"] * 5
    assert trace["metrics"]["turns"] == 5
    last = model.asked[-1]
    assert [message["role"] for message in last] == ["user", *["assistant", "user"] * 4]
    assert "hindsight" not in json.dumps(last).lower()
    assert last[0]["content"].startswith("Task: ")
