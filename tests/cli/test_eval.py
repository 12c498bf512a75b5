"""``agh eval``: policies, resuming, records and errors."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.baselines.evaluation.results import Evaluation, evaluate
from agentgym_hindsight.baselines.policies import Reply, TurnView
from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.cli import eval_command, eval_policies, main
from agentgym_hindsight.cli.eval_records import training_progress
from agentgym_hindsight.cli.parsing import Parser
from agentgym_hindsight.errors import BackendError, MissingExtraError, UnknownNameError, UsageError
from agentgym_hindsight.hindsight.jsonl import read_jsonl
from agentgym_hindsight.installation import pip_command
from agentgym_hindsight.tasks import TaskPanel
from tests.hindsight.test_judge import completion, serving
from tests.wrappers.stack import tagged

EMBEDDED = ["--set", "data=embedded", "--tasks", "6"]
CORRIDOR = ["--env", "tests.wrappers.stack:WrappedCorridor-v0", "--split", "valid"]


def agh_eval(*words: object) -> int:
    parser = Parser()
    eval_command.arguments(parser)
    return eval_command.run(parser.parse_args([str(word) for word in words]))


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "eval.jsonl").read_text().splitlines()]


class Walker:
    """A fake model: goes east, or west at a temperature above 0.5."""

    name = "walker"

    def __init__(self) -> None:
        self.temperature, self.seed = -1.0, -1
        self.played: list[tuple[float, int]] = []
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True

    def act(self, turns: Sequence[TurnView]) -> list[Reply]:
        self.played.append((self.temperature, self.seed))
        return [Reply(tagged("west" if self.temperature > 0.5 else "east")) for _ in turns]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips the check for the packages of models, for tests that replace the model."""
    monkeypatch.setattr(eval_policies, "require_packages", lambda _: None)


def test_the_training_progress_of_a_policy(tmp_path: Path) -> None:
    """A checkpoint is numbered by optimizer steps; an evaluation records updates and the env turns up to them."""
    log = RunLog(tmp_path)
    log.begin({"settings": {"plan": {"mini_batches": 2}}})
    for update in range(3):
        log.metrics({"update": update, "turns": 10 * (update + 1)})
    progress = {
        name: training_progress(str(tmp_path / name))
        for name in ("policy", "checkpoint-4", "checkpoint-9", "elsewhere")
    }
    assert progress == {"policy": (3, 30), "checkpoint-4": (2, 20), "checkpoint-9": (0, 0), "elsewhere": (0, 0)}


def test_a_scripted_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert agh_eval(*EMBEDDED, "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    assert "100.0%  [61.0%, 100.0%]  n=6" in printed
    assert "mean of categories (macro)" in printed
    assert "score" in printed
    played = read_jsonl(tmp_path / "rollouts-expert-seed0.jsonl").trajectories
    panel = TaskPanel.load(tmp_path / "panel.json")
    assert [trajectory.task_id for trajectory in played] == list(panel.ids)
    assert played[0].steps[0].response.startswith("<think></think><action>")
    (line,) = lines_of(tmp_path)
    assert Evaluation.from_dict(line.pop("evaluation")) == evaluate(played)
    assert line == {
        "update": 0,
        "turns": 0,
        "label": "expert",
        "temperature": 0.0,
        "panel": panel.fingerprint,
        "split": "valid_unseen",
        "seed": 0,
        "policy": "expert",
    }


def test_several_seeds_are_averaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*CORRIDOR, "--policy", "random", "--seeds", "3", "--set", "max_steps=9", "--out", tmp_path]
    assert agh_eval(*words) == 0
    printed = capsys.readouterr().out
    assert "random (3 seeds)" in printed
    assert " ± " in printed
    lines = lines_of(tmp_path)
    assert [line["seed"] for line in lines] == [0, 1, 2]
    assert len({json.dumps(line["evaluation"]) for line in lines}) > 1


def test_an_interrupted_evaluation_continues(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*EMBEDDED, "--policy", "random", "--seeds", "2", "--out", tmp_path]
    assert agh_eval(*words) == 0
    file = tmp_path / "rollouts-random-seed1.jsonl"
    whole, printed = file.read_bytes(), capsys.readouterr().out
    lines = whole.splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:3]) + lines[3][:100])  # as after a crash
    before = (tmp_path / "eval.jsonl").read_bytes()
    assert agh_eval(*words) == 0
    assert file.read_bytes() == whole
    assert capsys.readouterr().out == printed
    assert sorted((tmp_path / "eval.jsonl").read_bytes().splitlines()) == sorted(before.splitlines())
    with pytest.raises(UsageError, match="--fresh"):
        agh_eval(*words, "--protocol", "plain")
    with pytest.raises(UsageError, match="--fresh"):
        agh_eval(*words, "--tasks", "3")
    assert agh_eval(*words, "--tasks", "3", "--fresh") == 0
    assert len(lines_of(tmp_path)) == 4, "the evaluations of another panel are kept"


@pytest.mark.usefixtures("installed")
def test_a_local_model_is_loaded_once_for_all_temperatures_and_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy

    loaded: list[tuple[str, dict[str, Any]]] = []
    walker = Walker()

    def load(path: str, **options: Any) -> Walker:
        loaded.append((path, options))
        return walker

    monkeypatch.setattr(TransformersPolicy, "load", load)
    run = tmp_path / "run"
    (run / "policy").mkdir(parents=True)
    (run / "metrics.jsonl").write_text('{"update": 0, "turns": 10}\n{"update": 1, "turns": 25}\n')
    words = [*CORRIDOR, "--policy", run / "policy", "--seeds", "2", "--temperature", "0", "0.7", "--out", tmp_path]
    assert agh_eval(*words, "--max-new-tokens", "64") == 0
    assert loaded == [
        (
            str(run / "policy"),
            {
                "temperature": 0.0,
                "seed": 0,
                "max_new_tokens": 64,
                "max_prompt_tokens": 2048,
                "template": {},
                "native": False,
            },
        )
    ]
    assert list(dict.fromkeys(walker.played)) == [(0.0, 0), (0.0, 1), (0.7, 0), (0.7, 1)]
    lines = lines_of(tmp_path)
    assert [(line["label"], line["temperature"], line["seed"]) for line in lines] == [
        ("greedy", 0.0, 0),
        ("greedy", 0.0, 1),
        ("T=0.7", 0.7, 0),
        ("T=0.7", 0.7, 1),
    ]
    assert {(line["update"], line["turns"]) for line in lines} == {(2, 25)}
    assert [Evaluation.from_dict(line["evaluation"]).micro.success for line in lines] == [1.0, 1.0, 0.0, 0.0]
    assert "T=0.7 (2 seeds)" in capsys.readouterr().out
    assert agh_eval(*words, "--max-new-tokens", "64") == 0
    assert len(loaded) == 1, "no model is loaded if all rollouts are there"
    (run / "policy" / "model.safetensors").write_bytes(b"trained on")
    with pytest.raises(UsageError, match="--fresh"):
        agh_eval(*words, "--max-new-tokens", "64")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("prefix", ["", "vllm:"])
def test_options_default_to_those_of_the_training_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    loaded: list[dict[str, Any]] = []

    def load(path: str, **options: Any) -> Walker:
        loaded.append({name: options[name] for name in ("max_prompt_tokens", "template", "native") if name in options})
        return Walker()

    monkeypatch.setattr("agentgym_hindsight.baselines.policies.transformers.TransformersPolicy.load", load)
    monkeypatch.setattr("agentgym_hindsight.baselines.policies.vllm.open_vllm", load)
    run = tmp_path / "run"
    (run / "policy").mkdir(parents=True)
    settings = {"plan": {"prompt_tokens": 300, "generate": True}, "template": {"enable_thinking": False}}
    (run / "run.json").write_text(json.dumps({"settings": settings}))
    words = [*CORRIDOR, "--policy", f"{prefix}{run / 'policy'}", "--temperature", "0", "--out", tmp_path / "out"]
    assert agh_eval(*words) == 0
    native = {} if prefix else {"native": True}
    assert loaded == [{"max_prompt_tokens": 300, "template": {"enable_thinking": False}, **native}]
    with pytest.raises(UsageError, match="--fresh"):  # another prompt length is another evaluation
        agh_eval(*words, "--max-prompt-tokens", "200")


@pytest.mark.usefixtures("installed")
def test_models_are_evaluated_greedily_and_at_0_4_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walker = Walker()
    opened: list[str] = []
    monkeypatch.setattr(
        "agentgym_hindsight.baselines.policies.vllm.open_vllm",
        lambda model, **options: (opened.append(model), walker)[1],
    )
    assert agh_eval(*CORRIDOR, "--policy", "vllm:some/model", "--out", tmp_path) == 0
    assert opened == ["some/model"]
    assert [line["label"] for line in lines_of(tmp_path)] == ["greedy", "T=0.4"]
    assert {line["update"] for line in lines_of(tmp_path)} == {0}
    assert walker.is_closed, "the engine's memory is free for the next policy"


def test_a_model_behind_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(lambda body: (400, {}, b"no") if body["seed"] % 5 == 0 else completion(tagged("east"))) as stub:
        words = [*CORRIDOR, "--policy", f"endpoint:{stub.url}#player", "--temperature", "0.2", "--out", tmp_path]
        assert agh_eval(*words) == 0
    assert {body["model"] for body in stub.bodies} == {"player"}
    assert {body["temperature"] for body in stub.bodies} == {0.2}
    assert {body["max_tokens"] for body in stub.bodies} == {512}
    assert "got no answer" in capsys.readouterr().err
    assert [line["label"] for line in lines_of(tmp_path)] == ["T=0.2"]


def test_the_model_of_a_server_may_be_named_like_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(lambda body: completion(tagged("east"))) as stub:
        policy = f"endpoint:{stub.url}#tiny.Q4_1.gguf"
        assert agh_eval(*CORRIDOR, "--policy", policy, "--temperature", "0", "--out", tmp_path) == 0
    assert {body["model"] for body in stub.bodies} == {"tiny.Q4_1.gguf"}


def test_the_requests_to_a_server_have_the_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(lambda body: completion(tagged("east"))) as stub:
        words = [*CORRIDOR, "--policy", f"endpoint:{stub.url}#player", "--temperature", "0", "--out", tmp_path]
        more = ["--system", "Be brief.", "--template", "enable_thinking=false", "--extra-body", "top_p=0.9"]
        assert agh_eval(*words, *more, "--extra-body", "max_tokens=null") == 0
        with pytest.raises(UsageError, match="--fresh"):  # another system message is another evaluation
            agh_eval(*words)
    (body, *_) = stub.bodies
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert body["top_p"] == 0.9
    assert "max_tokens" not in body
    (file,) = tmp_path.glob("rollouts-*.jsonl")
    run = read_jsonl(file).trajectories[0].extra["run"]
    assert run["template"] == {"enable_thinking": False, "system": "Be brief."}
    assert run["extra_body"] == {"top_p": 0.9, "max_tokens": None}
    assert "max_prompt_tokens" not in run  # the server limits prompts, not this program


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("prefix", ["", "vllm:"])
def test_the_template_and_the_engine_have_the_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    loaded: list[dict[str, Any]] = []

    def load(path: str, **options: Any) -> Walker:
        loaded.append(options)
        return Walker()

    monkeypatch.setattr("agentgym_hindsight.baselines.policies.transformers.TransformersPolicy.load", load)
    monkeypatch.setattr("agentgym_hindsight.baselines.policies.vllm.open_vllm", load)
    run = tmp_path / "run"
    (run / "policy").mkdir(parents=True)
    template = {"enable_thinking": True, "keep_replies": True}
    (run / "run.json").write_text(json.dumps({"settings": {"template": template}}))
    words = [*CORRIDOR, "--policy", f"{prefix}{run / 'policy'}", "--temperature", "0", "--out", tmp_path / "out"]
    words += ["--template", "enable_thinking=false", "--system", "Be brief."]
    engine = ["--engine", "enforce_eager=true", "--engine", "dtype=float32"]
    assert agh_eval(*words, *(engine if prefix else [])) == 0
    assert loaded[0]["template"] == {"enable_thinking": False, "keep_replies": True, "system": "Be brief."}
    if prefix:
        assert (loaded[0]["enforce_eager"], loaded[0]["dtype"]) == (True, "float32")


def test_loading_a_model_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Loading can take minutes, and nothing was printed to a log before the first rollout."""
    before: list[str] = []

    def load(*_: Any, **__: Any) -> Walker:
        before.append(capsys.readouterr().err)
        return Walker()

    monkeypatch.setattr(eval_policies, "require_packages", lambda _: None)
    monkeypatch.setattr("agentgym_hindsight.baselines.policies.vllm.open_vllm", load)
    assert agh_eval(*CORRIDOR, "--policy", "vllm:some/model", "--temperature", "0", "--out", tmp_path) == 0
    assert "loading for greedy" in before[0]


def test_a_password_of_a_server_is_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    with serving(lambda body: completion(tagged("east"))) as stub:
        url = stub.url.replace("://", "://me:s3cret@")
        assert agh_eval(*CORRIDOR, "--policy", f"endpoint:{url}#player", "--temperature", "0.2") == 0
    (folder,) = (tmp_path / "runs").iterdir()
    stored = [path.read_text() for path in folder.iterdir()]
    assert any("://***@127.0.0.1" in text for text in stored)
    for text in (str(folder), *stored, *capsys.readouterr()):
        assert "s3cret" not in text


def test_a_password_of_a_server_is_in_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    for policy in ("endpoint:http://me:s3cret@host/v1", "endpoint:me:s3cret@host#m", "expertt:http://me:s3cret@host"):
        assert main(["eval", *EMBEDDED, "--policy", policy]) == 2
    assert "s3cret" not in capsys.readouterr().err


def test_a_panel_from_a_file(tmp_path: Path) -> None:
    assert agh_eval(*EMBEDDED, "--out", tmp_path / "a") == 0
    manifest = tmp_path / "a" / "panel.json"
    assert agh_eval("--set", "data=embedded", "--panel", manifest, "--out", tmp_path / "b") == 0
    assert lines_of(tmp_path / "a") == lines_of(tmp_path / "b")
    manifest.write_text(manifest.read_text().replace('"backend": "embedded"', '"backend": "official"'))
    with pytest.raises(UsageError, match="one of official"):
        agh_eval("--set", "data=embedded", "--panel", manifest, "--out", tmp_path / "c")


def test_a_damaged_line_is_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "eval.jsonl").write_text('{"update": 3, "label": "greedy"}\n{"upda\n')
    assert agh_eval(*EMBEDDED, "--out", tmp_path) == 0
    assert "cannot be read" in capsys.readouterr().err
    assert [line["update"] for line in lines_of(tmp_path)] == [3, 0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--policy", "exprt:0.2"], "did you mean 'expert"),
        (["--policy", "endpoint:http://localhost/v1"], "endpoint:URL#MODEL"),
        (["--policy", "expert", "--temperature", "0.4"], "with a scripted policy"),
        (["--policy", "vllm:x", "--temperature", "-1"], "number of 0 or more"),
        (["--policy", "endpoint:http://h/v1#m", "--max-prompt-tokens", "99"], "setting of the server"),
        (["--policy", "endpoint:http://h/v1#m", "--engine", "dtype=float32"], "vllm:MODEL"),
        (["--policy", "vllm:x", "--extra-body", "top_p=1"], "endpoint:URL#MODEL"),
        (["--policy", "vllm:x", "--engine", "dtype"], "--engine NAME=VALUE"),
        (["--policy", "vllm:x", "--template", "tools=[1"], "Expected JSON in --template tools"),
        (["--policy", "expert", "--system", "Be brief."], "with a model"),
        (["--seeds", "0"], "--seeds"),
        (["--num-envs", "0"], "--num-envs"),
        (["--tasks", "9999"], "1 to 1200"),
    ],
)
@pytest.mark.usefixtures("installed")
def test_errors_say_what_to_try(words: list[str], expected: str, tmp_path: Path) -> None:
    with pytest.raises((UsageError, UnknownNameError), match=expected):
        agh_eval(*EMBEDDED, *words, "--out", tmp_path / "out")


@pytest.mark.parametrize(("policy", "extra"), [("some/model", "train"), ("vllm:some/model", "vllm")])
def test_a_missing_extra_is_named_before_anything_is_written(
    policy: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("agentgym_hindsight.baselines.requirements.find_spec", lambda _: None)
    monkeypatch.setattr(eval_policies, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=re.escape(pip_command(extra))):
        agh_eval(*EMBEDDED, "--policy", policy, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert capsys.readouterr() == ("", "")


def test_a_server_that_dies_leaves_what_was_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*CORRIDOR, "--temperature", "0", "--max-new-tokens", "8", "--num-envs", "5", "--out", str(tmp_path)]
    dead: list[bool] = []

    class Gone:
        """The corridor's policy, which is gone at its fifth turn as long as ``dead`` is empty."""

        name, temperature, seed = "gone", 0.0, 0

        def act(self, turns: Sequence[TurnView]) -> list[Reply]:
            if turns[0].step == 4 and not dead:
                dead.append(True)
                raise BackendError("Expected answers from 'm', got none; try checking that the server runs.")
            return [Reply(tagged("east")) for _ in turns]

        def close(self) -> None:
            pass

    def run() -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(eval_policies, "require_packages", lambda _: None)
            patch.setattr("agentgym_hindsight.baselines.policies.vllm.open_vllm", lambda *_, **__: Gone())
            return main(["eval", "--policy", "vllm:m", *map(str, words)])

    assert run() == 1
    told = capsys.readouterr().err
    assert "2 of 5 rollouts are finished and kept" in told
    assert "checking that the server runs" in told
    (file,) = tmp_path.glob("rollouts-*.jsonl")
    assert [(each.won, bool(each.broken)) for each in read_jsonl(file).trajectories].count((True, False)) == 2
    assert sum(bool(each.broken) for each in read_jsonl(file).trajectories) == 3
    assert run() == 0, "the same command plays the others"
    assert [(each.won, each.broken) for each in read_jsonl(file).trajectories] == [(True, "")] * 5
