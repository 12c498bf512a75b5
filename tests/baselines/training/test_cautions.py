"""What a run says when its teacher has no effect, and the mode of the teacher's pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.training.cautions import Cautions, share_of_start
from agentgym_hindsight.baselines.training.run import train
from tests.baselines.methods.imitations import scripted
from tests.baselines.training.tiny_runs import make_run, make_trainer, save_start
from tests.baselines.training.trainer_probes import step


def test_an_ema_that_leaves_the_initial_teacher_in_place() -> None:
    assert share_of_start(0.001, 1500) == pytest.approx(0.223, abs=1e-3)
    (said,) = Cautions(recipe("hint-sd"), 150).before()
    assert "86% of the initial policy" in said
    assert Cautions(recipe("hint-sd"), 700).before() == []
    assert Cautions(recipe("sdpo"), 40).before() == []
    assert Cautions(recipe("serl"), 1).before() == []
    assert Cautions(recipe("grpo"), 1).before() == []


def test_each_sign_of_an_update_is_said_once() -> None:
    cautions = Cautions(recipe("hint-sd"), 700)
    good = {"update": 0, "lambda": 1.0, "context_available": 0.2, "context_cut": 0.0}
    assert cautions.about(good) == []
    assert cautions.about({**good, "lambda": 0.0, "context_available": 0.0}) == []
    assert "no context" in cautions.about({**good, "context_available": 0.0})[0]
    assert cautions.about({**good, "context_available": 0.0}) == []
    assert "25%" in cautions.about({**good, "context_cut": 0.25})[0]
    assert cautions.about({**good, "context_cut": 0.25}) == []


def test_a_run_whose_analyser_writes_no_json_says_so(tmp_path: Path) -> None:
    said: list[str] = []

    class Observer:
        def stage(self, *given: Any) -> None: ...
        def advance(self, *given: Any, **more: Any) -> None: ...
        def say(self, text: str) -> None:
            said.append(text)

    method = recipe("hint-sd").changed(analyser_tokens=4)
    settings = make_run(save_start(tmp_path / "start"), method=method, plan={"updates": 2})
    train(settings, tmp_path / "run", observer=Observer())
    assert sum("update 0 had no context" in text for text in said) == 1
    assert not any("update 1 had no context" in text for text in said)
    assert sum("still in the teacher ema:0.001" in text for text in said) == 1


@pytest.mark.parametrize("name", ["hint-sd", "sdpo", "srpo", "resd"])
def test_an_empty_micro_batch_has_the_losss_passes_too(name: str, tmp_path: Path) -> None:
    """Processes with fewer micro-batches get empty ones; a pass that only some processes make is a deadlock."""
    trainer = make_trainer(scripted(name), tmp_path)
    step(trainer)
    passes: list[int] = []
    original = trainer._teacher_pass
    trainer._teacher_pass = lambda *args: passes.append(1) or original(*args)  # type: ignore[method-assign,func-returns-value]
    inputs = trainer._collate([])
    assert inputs["lam"] == 1.0
    inputs["num_items_in_batch"] = torch.tensor(7.0)
    assert trainer._chosen_tokens > 0
    assert trainer.compute_loss(trainer.model, inputs).item() == 0
    assert len(passes) == 1


def test_the_teachers_pass_is_in_evaluation_mode_and_the_policys_is_not(tmp_path: Path) -> None:
    """HINT-SD's release leaves the adapters' dropout on in the teacher."""
    trainer = make_trainer(scripted("hint-sd"), tmp_path)
    modes: list[tuple[bool, bool]] = []
    trainer.model.register_forward_pre_hook(lambda module, args: modes.append((acting[0], module.training)))
    acting = [False]
    original = trainer._teacher_pass

    def watched(*args: Any) -> Any:
        acting[0] = True
        try:
            return original(*args)
        finally:
            acting[0] = False

    trainer._teacher_pass = watched  # type: ignore[method-assign]
    step(trainer)
    assert {training for teacher, training in modes if teacher} == {False}
    assert any(training for teacher, training in modes if not teacher), "the policy's pass is in training mode"
