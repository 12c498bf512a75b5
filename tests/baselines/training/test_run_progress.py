"""What a run reports while it lasts: the turns of an update, every update, every evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("trl")

from agentgym_hindsight.baselines.training.run import train
from agentgym_hindsight.cli.train_command import TrainingProgress
from tests.baselines.training.tiny_runs import make_run, save_start


class Recorder:
    def __init__(self) -> None:
        self.calls: list[tuple[str, float, str]] = []

    def stage(self, name: str, total: int) -> None:
        self.calls.append(("stage", total, name))

    def advance(self, note: str = "", steps: int = 1) -> None:
        self.calls.append(("advance", steps, note))

    def say(self, text: str) -> None:
        self.calls.append(("say", 0, text))

    def texts(self, kind: str) -> list[str]:
        return [text for own, _, text in self.calls if own == kind]


def test_an_observer_sees_the_turns_of_an_update_and_every_evaluation(tmp_path: Path) -> None:
    recorder = Recorder()
    train(make_run(save_start(tmp_path / "policy"), plan={"updates": 2}), tmp_path / "run", observer=recorder)
    assert ("stage", 1, "loading policy") in recorder.calls
    assert ("stage", 2, "serl") in recorder.calls
    assert [text.split(": success")[0] for text in recorder.texts("say")] == [
        "before training, T=0.4",
        "after 2 updates, T=0.4",
    ]
    assert recorder.texts("say")[0].endswith("of 2 tasks, 4.0 turns")
    updates = [(steps, text) for kind, steps, text in recorder.calls if kind == "advance" and "success" in text]
    assert [steps for steps, _ in updates] == [1, 1]
    played = [text for text in recorder.texts("advance") if text.startswith("update ")]
    # Two tasks of four siblings, four turns each; the count starts again with every update.
    assert played == [f"update {update}, {turns} turns played" for update in (1, 2) for turns in (8, 16, 24, 32)]
    assert any("evaluation, T=0.4, on valid_unseen[2]@0: 8 turns" in text for text in recorder.texts("advance"))


def test_only_the_first_process_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(save_start(tmp_path / "policy"))
    for rank, written in (("0", True), ("1", False)):
        monkeypatch.setenv("RANK", rank)
        with TrainingProgress(run) as progress:
            progress.stage("serl", 2)
            progress.advance("success 50%")
            progress.say("after 1 updates: success 50%")
        text = capsys.readouterr().err
        assert ("serl: 1 of 2, success 50%\n" in text) is written
        assert bool(text) is written
        assert "\x1b" not in text
