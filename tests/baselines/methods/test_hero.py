"""HERO: its divergence against hand-worked numbers, its three contexts, and one rollout a task."""

from __future__ import annotations

import json
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from agentgym_hindsight.baselines.methods import recipe  # noqa: E402
from agentgym_hindsight.baselines.methods.batch import Batch, Scores  # noqa: E402
from agentgym_hindsight.baselines.methods.scripted_ask import ScriptedAsk  # noqa: E402
from agentgym_hindsight.baselines.settings import SettingError  # noqa: E402
from tests.baselines.methods.imitations import failed_and_won, scripted  # noqa: E402

ANSWER = json.dumps({"turns": [{"turn": 2, "valid": False, "cause": "No food.", "correction": "open fridge"}]})


@pytest.mark.parametrize(("alpha", "wanted"), [(0.25, 0.019640), (0.5, 0.025362), (0.75, 0.018541)])
def test_the_divergence(alpha: float, wanted: float) -> None:
    policy, teacher = [0.7, 0.2, 0.1], [0.5, 0.4, 0.1]
    mixed = [(1 - alpha) * p + alpha * q for p, q in zip(policy, teacher, strict=True)]
    by_hand = sum(
        (1 - alpha) * p * log(p / m) + alpha * q * log(q / m) for p, q, m in zip(policy, teacher, mixed, strict=True)
    )
    scores = [
        Scores(torch.zeros(1, 1), lambda given=given: torch.tensor([[given]]).double().log())
        for given in (policy, teacher)
    ]
    one = torch.ones(1, 1, dtype=torch.bool)
    loss = recipe("hero").changed(alpha=alpha).extra_loss(Batch(torch.zeros(1), one, chosen=one, lam=1.0), *scores)
    assert loss.item() == pytest.approx(by_hand) == pytest.approx(wanted, abs=1e-6)


def contexts(**changes: Any) -> tuple[Any, ScriptedAsk]:
    method = recipe("hero").changed(**changes)
    ask = ScriptedAsk(method, lambda messages: ANSWER)
    return method.contexts([failed_and_won()], ask)[0], ask


def test_the_teacher_reads_the_next_observation_the_diagnosis_and_the_outcome() -> None:
    (failed, won), ask = contexts()
    assert [context is not None for context in failed] == [False, True, False]
    assert [context is not None for context in won] == [False, True], "won rollouts are diagnosed too"
    assert failed[1].sources == ("next", "diagnosis")
    assert failed[1].text == (
        "next observation after the current step:\nYou are in room 2.\n\n"
        "Diagnosis of the current step:\nThe action was not valid.\nCause of the failure: No food.\n"
        "A better action: open fridge\nThe attempt failed after 3 steps; its score is 0."
    )
    assert "solved the task" in won[1].text
    assert ask.asked == {"policy"}
    assert [(analysis.kind, analysis.step) for _, analysis in ask.kept] == [("diagnosis", 1), ("diagnosis", 1)]


def test_its_ablation() -> None:
    (failed, _), _ = contexts(shown="reflection")
    assert failed[1].sources == ("diagnosis",)
    assert "score" not in failed[1].text
    (failed, won), ask = contexts(shown="environment")
    assert all(context is not None for context in (*failed, *won))
    assert "A better action" not in failed[1].text
    assert ask.prompts == [], "no reflector is asked"


def test_an_answer_without_content_gives_no_context() -> None:
    method = recipe("hero")
    ((failed, won),) = method.contexts([failed_and_won()], ScriptedAsk(method, lambda messages: "Fine."))
    assert failed == [None] * 3
    assert won == [None] * 2


def test_one_rollout_a_task_is_enough(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    from tests.baselines.training.tiny_runs import PLAN, make_trainer
    from tests.baselines.training.trainer_probes import gradients, step

    plan = replace(PLAN, siblings=1)
    with pytest.raises(SettingError, match="siblings"):
        plan.check_method(recipe("grpo"))
    plan.check_method(scripted("hero"))
    trainer = make_trainer(scripted("hero"), tmp_path, plan)
    assert torch.isfinite(step(trainer))
    assert all(gradient.abs().max() > 0 for gradient in gradients(trainer).values())
    rows = trainer._mini_batches[0]
    assert {row.advantage for row in rows} == {0.0}
