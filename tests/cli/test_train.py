"""``agh train``: configuration, errors, and a whole run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")
yaml = pytest.importorskip("yaml", reason="needs the extra [train]")

from agentgym_hindsight.baselines.methods import RECOMMENDED  # noqa: E402
from agentgym_hindsight.baselines.training import configuration, preflight  # noqa: E402
from agentgym_hindsight.baselines.training.configuration import configure, load_configuration  # noqa: E402
from agentgym_hindsight.baselines.training.run import RunSettings, Stopped  # noqa: E402
from agentgym_hindsight.cli import compare_command, demo_command, eval_command, report_command, train_command  # noqa: E402
from agentgym_hindsight.cli.parsing import Parser  # noqa: E402
from agentgym_hindsight.errors import (  # noqa: E402
    HindsightError,
    MissingDataError,
    MissingExtraError,
    UnknownNameError,
    UsageError,
)
from agentgym_hindsight.installation import pip_command  # noqa: E402

CONFIGS = Path(configuration.__file__).parents[1] / "configs"


def command(module: Any, *words: object) -> int:
    parser = Parser()
    module.arguments(parser)
    return int(module.run(parser.parse_args([str(word) for word in words])))


def printed(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    assert command(train_command, *words, "--print-config") == 0
    document = yaml.safe_load(capsys.readouterr().out)
    assert isinstance(document, dict)
    return document


def test_the_printed_configuration_can_be_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = printed(capsys, "serl", "--seed", 3, "--set", "plan.tasks=2")
    assert (document["recipe"], document["plan"]["seed"], document["plan"]["tasks"]) == ("serl", 3, 2)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    assert printed(capsys, "--config", path) == document
    assert configure("serl", load_configuration(path)) == configure("serl", settings=["plan.seed=3", "plan.tasks=2"])


def test_without_a_method_the_recommended_one_is_trained_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(train_command, "--print-config") == 0
    captured = capsys.readouterr()
    document = yaml.safe_load(captured.out)
    assert document["recipe"] == RECOMMENDED
    assert f"No method was named: {RECOMMENDED}" in captured.err
    assert printed(capsys, RECOMMENDED) == document
    assert "No method" not in capsys.readouterr().err
    # A file's method and a credit are no recommendation.
    assert printed(capsys, "--config", CONFIGS / "grpo_alfworld_7b.yaml")["recipe"] == "grpo"
    assert printed(capsys, "--credit", "crbc")["recipe"] == "serl+crbc"


def test_options_override_the_configuration_file(capsys: pytest.CaptureFixture[str]) -> None:
    config = ("--config", CONFIGS / "serl_alfworld_7b.yaml")
    plain = printed(capsys, *config)
    assert (plain["model"], plain["plan"]["vllm"]) == ("Qwen/Qwen2.5-7B-Instruct", "colocate")
    changed = printed(
        capsys, "rlsd", *config, "--model", "tiny:M", "--updates", 7, "--vllm", "server", "--when", "0.3",
        "--what", "success|immediate", "--where", "anchor", "--tokens", "action@failed", "--who", "ema:0.1", "--how",
        "reweight:0.1:mean", "--anchor", "similar", "--env", "WebShop-Hindsight-v0", "--set", "plan.updates=8",
        "--set", "stage.settings={}",
    )  # fmt: skip
    assert changed["recipe"] == "rlsd"
    assert changed["model"] == "tiny:M"
    assert (changed["plan"]["updates"], changed["plan"]["vllm"]) == (8, "server")
    assert changed["stage"]["env"] == "WebShop-Hindsight-v0"
    method = changed["method"]
    assert (method["what"], method["tokens"]) == ("success|immediate@anchor", "action@failed")
    assert (method["who"], method["how"], method["when"]) == ("ema:0.1", "reweight:0.1:mean", "0.3")
    assert method["anchor"] == "similar"


def test_an_empty_context_removes_the_teacher(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "serl", "--what", "")["method"]["what"] == ""


def test_where_is_short_for_a_suffix_of_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "serl", "--where", "anchor") == printed(
        capsys, "serl", "--what", f"{configure('serl').method.what}@anchor"
    )


def test_shipped_configurations_are_named_in_the_help_and_found(capsys: pytest.CaptureFixture[str]) -> None:
    for module in (train_command, compare_command):
        parser = Parser()
        module.arguments(parser)
        text = " ".join(parser.format_help().split())
        assert ", ".join(configuration.shipped_configurations()) in text
    for name, path in configuration.shipped_configurations().items():
        assert printed(capsys, "--config", name) == printed(capsys, "--config", path)


@pytest.mark.parametrize(
    ("setting", "extra"), [("plan.vllm=colocate", "vllm"), ("plan.vllm=server", "vllm"), ('peft={"r": 4}', "peft")]
)
def test_a_missing_extra_is_named_before_anything_is_written(
    setting: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(preflight, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=re.escape(pip_command(extra))):
        command(train_command, "serl", "--set", setting)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "kind", "expected"),
    [
        (("sarl",), UnknownNameError, "serl"),
        (("serl", "--config", "nowhere.yaml"), MissingDataError, "nowhere.yaml"),
        (("serl", "--set", "plan.tusks=3"), UnknownNameError, "tasks"),
        (("serl", "--what", "imediate"), UnknownNameError, "immediate"),
        (("serl", "--when", "soon"), UsageError, "0.5->0/50"),
        (("serl", "--env", "ALFWrld"), UnknownNameError, "did you mean 'alfworld'"),
        (("serl", "--updates", "0"), UsageError, "updates"),
    ],
)
def test_errors(
    words: tuple[str, ...],
    kind: type[HindsightError],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=expected):
        command(train_command, *words)


def test_the_folder_of_a_run_and_the_status_of_a_stopped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[tuple[RunSettings, Path, bool]] = []

    def stop(training: RunSettings, out: Path, *, fresh: bool, **_: Any) -> Path:
        calls.append((training, out, fresh))
        raise Stopped("stopped after 3 updates")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train_command, "train", stop)
    assert command(train_command, "grpo", "--seed", 4) == 130
    assert command(train_command, "grpo", "--out", "there", "--fresh") == 130
    assert [(str(out), fresh) for _, out, fresh in calls] == [("runs/grpo-alfworld-seed4", False), ("there", True)]
    assert calls[0][0].method.name == "grpo"
    assert "stopped after 3 updates" in capsys.readouterr().err


def test_the_demo_prints_what_it_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: Any, **__: Any) -> Path:
        raise Stopped("stopped after 3 updates")

    monkeypatch.setattr("agentgym_hindsight.baselines.training.run.train", stop)
    assert command(demo_command, "--out", tmp_path, "--seed", 2, "--tasks", 50) == 130
    printed = capsys.readouterr().err
    text = " ".join(printed.split())
    assert "They are not the benchmark's games." in text
    assert "evaluated on 50 tasks in unseen houses" in text
    for path in (tmp_path / "serl-seed2", tmp_path / "report.html"):
        assert str(path) in "".join(printed.split()), "the terminal may wrap it"
    assert "6 to 8 minutes on two cores" in text
    assert "stopped after 3 updates" in text


TINY = [
    "warm.tasks=2", "warm.epochs=0.5", "warm.batch=8", "plan.tasks=2", "plan.siblings=2", "plan.prompt_tokens=224",
    "plan.response_tokens=6", "plan.context_tokens=48", "stage.settings.max_steps=3", "train_tasks=6",
    "evaluation.tasks=3", "evaluation.temperatures=[0]", "samples_every=1",
]  # fmt: skip


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_run_its_report_and_the_evaluation_of_its_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sets = [word for setting in TINY for word in ("--set", setting)]
    words = ("serl", "--out", "mine", "--updates", 2, *sets)
    assert command(train_command, *words) == 0
    text = capsys.readouterr().out
    assert "before, greedy" in text
    assert "after 2 updates, greedy" in text
    assert "agh report mine" in text
    folder = tmp_path / "mine"
    assert [line["update"] for line in lines(folder, "metrics")] == [0, 1]
    assert [line["update"] for line in lines(folder, "eval")] == [0, 2]
    assert {line["update"] for line in lines(folder, "samples")} == {0, 1}
    assert json.loads((folder / "run.json").read_text())["model"]["name"] == "tiny:S"
    assert (folder / "policy" / "config.json").is_file()

    before = (folder / "metrics.jsonl").read_text()
    assert command(train_command, *words) == 0, "a complete run is not trained again"
    assert (folder / "metrics.jsonl").read_text() == before
    with pytest.raises(UsageError, match="--fresh"):
        command(train_command, *words, "--seed", 1)
    capsys.readouterr()

    assert command(report_command, folder, "--out", "page.html") == 0
    assert "serl" in (tmp_path / "page.html").read_text(encoding="utf-8")
    capsys.readouterr()

    evaluated = command(
        eval_command, "--policy", folder / "policy", "--protocol", "brief", "--temperature", 0, "--tasks", 3, "--split",
        "valid_unseen", "--max-new-tokens", 6, "--out", "eval", "--set", "data=embedded", "--set", "difficulty=easy",
        "--set", "max_steps=3",
    )  # fmt: skip
    assert evaluated == 0
    (line,) = lines(tmp_path / "eval", "eval")
    assert (line["update"], line["turns"]) == (2, lines(folder, "metrics")[-1]["turns"])
    assert line["evaluation"]["micro"]["rollouts"] == 3

    # --fresh replaces it by another run in the same folder.
    assert command(train_command, *words, "--seed", 1, "--fresh") == 0
    assert json.loads((folder / "run.json").read_text())["seed"] == 1
