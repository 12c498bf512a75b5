"""``vllm serve`` as a policy, a judge and an analyser, and what happens when it is killed. The last test ends it."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="needs vLLM")

from agentgym_hindsight.baselines.analysers.failures import FailedTurns
from agentgym_hindsight.baselines.evaluation.panels import play_panel
from agentgym_hindsight.baselines.policies.endpoint import EndpointPolicy
from agentgym_hindsight.baselines.policies.scripted import RandomPolicy
from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy
from agentgym_hindsight.baselines.training.analyser_client import AnalyserClient
from agentgym_hindsight.cli import main
from agentgym_hindsight.hindsight import JudgeClient
from agentgym_hindsight.hindsight.jsonl import read_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.stage import Stage
from tests.real_vllm.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.real, pytest.mark.filterwarnings("default")]

STAGE = Stage("ALFWorld-Hindsight-v0", {"data": "embedded", "max_steps": 3}, protocol="brief")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def failed() -> list[Trajectory]:
    """Two rollouts that end without success."""
    played = play_panel(RandomPolicy(0), STAGE, list(STAGE.panel("train", 2, seed=0)), seed=0)
    return [each for each in played if not each.won]


def agh_eval(server: Server, out: Path, *words: object) -> int:
    policy = f"endpoint:{server.url}#{server.model}"
    usual = ["--set", "data=embedded", "--protocol", "brief", "--max-new-tokens", "16", "--out", out]
    return main([*map(str, ("eval", "--policy", policy, *usual, *words))])


def test_an_endpoint_plays_and_repeats_itself(server: Server, tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        words = ("--set", "max_steps=3", "--tasks", 3, "--temperature", 0, 0.7)
        assert agh_eval(server, tmp_path / name, *words) == 0
        files = sorted((tmp_path / name).glob("rollouts-*.jsonl"))
        assert len(files) == 2
        played = [each for file in files for each in read_jsonl(file).trajectories]
        assert not any(each.broken for each in played)
        texts.append([step.response for each in played for step in each.steps])
    assert texts[0] == texts[1], "requests have seeds"
    assert any(texts[0])


def test_greedy_replies_are_those_of_the_model(server: Server, smollm2: Path) -> None:
    from agentgym_hindsight.baselines.policies.base import TurnView

    turns = [TurnView(word, 0, 0, f"Name one {word}. <|im_end|> is no token here.", {}) for word in ("fruit", "city")]
    ours = TransformersPolicy.load(smollm2, temperature=0.0, max_new_tokens=12, device="cpu").act(turns)
    with EndpointPolicy(server.url, server.model, max_tokens=12) as policy:
        found = policy.act(turns)
    assert [reply.finished for reply in found] == [reply.finished for reply in ours]
    # The server's prompt has other tokens where the text looks like a control token, so the replies may differ there.
    assert all(reply.text for reply in found)
    plain = [TurnView("fruit", 0, 0, "Name one fruit.", {})]
    ours = TransformersPolicy.load(smollm2, temperature=0.0, max_new_tokens=12, device="cpu").act(plain)
    with EndpointPolicy(server.url, server.model, max_tokens=12) as policy:
        assert [reply.text for reply in policy.act(plain)] == [reply.text for reply in ours]


def test_the_judge(server: Server, failed: list[Trajectory]) -> None:
    judge = JudgeClient(server.url, server.model, max_tokens=32, retry_max_tokens=48, timeout=240)
    first = judge.judge_trajectory(failed[0])
    assert not first.error
    assert judge.usage.failures == 0
    assert judge.usage.prompt_tokens > 100
    calls = judge.usage.calls
    again = judge.judge_trajectory(failed[0])
    assert (again.text, again.cached, judge.usage.calls) == (first.text, True, calls)


def test_the_analyser_with_a_schema(server: Server, failed: list[Trajectory]) -> None:
    client = AnalyserClient(server.url, server.model, timeout=240)
    questions = [FailedTurns(each) for each in failed]
    chats = [question.messages() for question in questions]
    answers = client.answers(chats, [1, 2], max_tokens=96, temperature=0.6, schema=questions[0].schema)
    assert all(answer is not None and answer.completion_tokens > 0 for answer in answers)
    for answer in answers:
        assert answer is not None
        assert answer.text.lstrip().startswith("{"), "the schema restricts the decoding"
        if answer.finish != "length":
            json.loads(answer.text)
    again = client.answers(chats, [1, 2], max_tokens=96, temperature=0.6, schema=questions[0].schema)
    assert [each and each.text for each in again] == [each and each.text for each in answers], "seeds are honoured"


def test_a_prompt_that_is_too_long_is_one_empty_reply(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    from agentgym_hindsight.baselines.policies.base import TurnView

    turns = [TurnView("a", 0, 0, "Name one fruit.", {}), TurnView("b", 0, 0, "word " * 4000, {})]
    with EndpointPolicy(server.url, server.model, max_tokens=8) as policy:
        short, long = policy.act(turns)
        assert (policy.failures, long.text) == (1, "")
    assert short.text
    assert "status 400" in caplog.text


def test_a_killed_server_ends_the_evaluation_and_what_was_finished_is_kept(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed when the first wave is finished, in the middle of a request of a later one."""
    words = ("--set", "max_steps=2", "--tasks", 40, "--temperature", 0, "--num-envs", 2)
    out, stop = tmp_path / "out", threading.Event()
    (file,) = [out / "rollouts-greedy-seed0.jsonl"]

    def kill() -> None:
        while not stop.is_set():
            if file.exists() and len(file.read_text().splitlines()) >= 2 and running(server) > 0:
                server.kill()
                return
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    started = time.monotonic()
    try:
        status = agh_eval(server, out, *words)
    finally:
        stop.set()
        killer.join()
    assert status == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "checking that the server runs" in told
    assert "are finished and kept in" in told
    assert time.monotonic() - started < 300, "nothing hangs"
    played = read_jsonl(file).trajectories
    finished, broken = [each for each in played if not each.broken], [each for each in played if each.broken]
    assert len(finished) >= 2
    assert len(broken) == 2, "the wave that was being played"
    assert all(step.response for each in finished for step in each.steps), "no empty reply counts as one of the model"
    assert all(server.model in each.broken for each in broken)


def running(server: Server) -> float:
    """The number of requests that the server works on."""
    try:
        with urllib.request.urlopen(f"{server.root}/metrics", timeout=5) as reply:
            lines = reply.read().decode().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("vllm:num_requests_running"))
