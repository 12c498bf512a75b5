"""``agh train``, as a person runs it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")
yaml = pytest.importorskip("yaml", reason="needs the extra [train]")

from agentgym_hindsight.baselines.training import configuration  # noqa: E402
from agentgym_hindsight.baselines.training.configuration import configure, load_configuration  # noqa: E402
from agentgym_hindsight.baselines.training.run import RunSettings, Stopped  # noqa: E402
from agentgym_hindsight.cli import eval_command, report_command, train_command  # noqa: E402
from agentgym_hindsight.errors import HindsightError, MissingDataError, UnknownNameError, UsageError  # noqa: E402

CONFIGS = Path(configuration.__file__).parents[1] / "configs"


def command(module: Any, *words: object) -> int:
    parser = argparse.ArgumentParser()
    module.arguments(parser)
    return int(module.run(parser.parse_args([str(word) for word in words])))


def printed(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    assert command(train_command, *words, "--print-config") == 0
    document = yaml.safe_load(capsys.readouterr().out)
    assert isinstance(document, dict)
    return document


def test_the_printed_configuration_is_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = printed(capsys, "serl", "--seed", 3, "--set", "plan.tasks=2")
    assert (document["recipe"], document["plan"]["seed"], document["plan"]["tasks"]) == ("serl", 3, 2)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    assert printed(capsys, "--config", path) == document
    assert configure("serl", load_configuration(path)) == configure("serl", settings=["plan.seed=3", "plan.tasks=2"])


def test_options_have_the_last_word_over_the_file(capsys: pytest.CaptureFixture[str]) -> None:
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


def test_a_teacher_can_be_taken_away(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "serl", "--what", "")["method"]["what"] == ""


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        ((), UsageError, "agh train serl"),
        (("sarl",), UnknownNameError, "serl"),
        (("serl", "--config", "nowhere.yaml"), MissingDataError, "nowhere.yaml"),
        (("serl", "--set", "plan.tusks=3"), UnknownNameError, "tasks"),
        (("serl", "--what", "imediate"), UnknownNameError, "immediate"),
        (("serl", "--when", "soon"), UsageError, "0.5->0/50"),
        (("serl", "--env", "ALFWorld"), UnknownNameError, "ALFWorld-Hindsight-v0"),
        (("serl", "--updates", "0"), UsageError, "updates"),
    ],
)
def test_errors(
    words: tuple[str, ...],
    kind: type[HindsightError],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=said):
        command(train_command, *words)


def test_where_a_run_is_put_and_how_a_stopped_one_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[RunSettings, Path, bool]] = []

    def stop(training: RunSettings, out: Path, *, fresh: bool, **_: Any) -> Path:
        asked.append((training, out, fresh))
        raise Stopped("stopped after 3 updates")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train_command, "train", stop)
    assert command(train_command, "grpo", "--seed", 4) == 130
    assert command(train_command, "grpo", "--out", "there", "--fresh") == 130
    assert [(str(out), fresh) for _, out, fresh in asked] == [("runs/grpo-seed4", False), ("there", True)]
    assert asked[0][0].method.name == "grpo"
    assert "stopped after 3 updates" in capsys.readouterr().err


TINY = [
    "warm.tasks=2", "warm.epochs=0.5", "warm.batch=8", "plan.tasks=2", "plan.siblings=2", "plan.prompt_tokens=224",
    "plan.response_tokens=6", "plan.context_tokens=48", "stage.settings.max_steps=3", "train_tasks=6",
    "evaluation.tasks=3", "evaluation.temperatures=[0]", "samples_every=1",
]  # fmt: skip


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_run_its_report_and_its_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sets = [word for setting in TINY for word in ("--set", setting)]
    words = ("serl", "--out", "mine", "--updates", 2, *sets)
    assert command(train_command, *words) == 0
    told = capsys.readouterr().out
    assert "before, greedy" in told
    assert "after 2 updates, greedy" in told
    assert "agh report mine" in told
    folder = tmp_path / "mine"
    assert [line["update"] for line in lines(folder, "metrics")] == [0, 1]
    assert [line["update"] for line in lines(folder, "eval")] == [0, 2]
    assert {line["update"] for line in lines(folder, "samples")} == {0, 1}
    assert json.loads((folder / "run.json").read_text())["model"]["name"] == "tiny:S"
    assert (folder / "policy" / "config.json").is_file()

    before = (folder / "metrics.jsonl").read_text()
    assert command(train_command, *words) == 0, "a complete run is complete"
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

    # Begun anew it is another run in the same place.
    assert command(train_command, *words, "--seed", 1, "--fresh") == 0
    assert json.loads((folder / "run.json").read_text())["seed"] == 1
