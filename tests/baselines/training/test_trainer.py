"""The trainer as TRL's: all weights move, KL penalty, adapters, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("trl")

import torch
from transformers import Qwen3ForCausalLM

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.errors import UsageError
from tests.baselines.training.tiny_runs import PLAN, logps, make_trainer, model, same_weights, serl, trained, weights
from tests.baselines.training.trainer_probes import WeightRecorder, key, record_forward_shapes


def test_every_parameter_moves(tmp_path: Path) -> None:
    before, after = weights(model()), trained(serl(), tmp_path, updates=1)
    assert [name for name in before if torch.equal(before[name], after[name])] == []


def test_the_kl_penalty_is_to_the_initial_policy(tmp_path: Path) -> None:
    start = tmp_path / "start"
    model().save_pretrained(start)
    policy = Qwen3ForCausalLM.from_pretrained(start, dtype=torch.float32)
    trainer = make_trainer(recipe("grpo").changed(kl=0.1), tmp_path / "run", model=policy)
    trainer.train()
    first, second = (line["kl"] for line in trainer.state.log_history if "kl" in line)
    assert first == pytest.approx(0, abs=1e-6)
    assert second > 1e-3
    rows = trainer._play_update(2)[0]
    inputs = trainer._collate(rows[:1])
    expected = logps(model(), *key(rows[0])).float()
    torch.testing.assert_close(inputs["ref_per_token_logps"][0], expected, atol=1e-4, rtol=1e-4)


def test_without_a_kl_penalty_there_is_no_initial_policy_and_no_pass_of_it(tmp_path: Path) -> None:
    trainer = make_trainer(recipe("grpo"), tmp_path, replace(PLAN, token_budget=2048))
    assert trainer.ref_model is None
    (rows,) = trainer._play_update(0)
    shapes = record_forward_shapes(trainer)
    trainer._accumulate_gradients(trainer.model, rows)
    assert len(shapes) == len(trainer._micro_batches(rows)) > 1


# PEFT 0.21 uses the name of an attribute that transformers 5.24 has deprecated.
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_only_adapters_are_trained_and_copied(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    lora = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    plan = replace(PLAN, updates=2, learning_rate=0.1)
    trainer = make_trainer(serl(who="sync:2", kl=0.01), tmp_path, plan, peft_config=lora)
    recorder = WeightRecorder(trainer)
    trainer.train()
    first, last = recorder.policy[0], recorder.policy[-1]
    adapters = {name for name in first if "lora" in name}
    assert len(adapters) == 4
    assert {name for name in first if not torch.equal(first[name], last[name])} == adapters
    assert trainer.teacher is not None
    assert set(trainer.teacher.state_dict()["weights"]) == adapters
    assert same_weights(recorder.teacher[0], first)
    assert same_weights(recorder.teacher[1], last)
    kl_before, kl_after = (line["kl"] for line in trainer.state.log_history if "kl" in line)
    assert kl_before == pytest.approx(0, abs=1e-6)
    assert kl_after > 1e-6


def test_evaluation_by_trl_is_refused(tmp_path: Path) -> None:
    trainer = make_trainer(serl(), tmp_path)
    trainer.model.eval()
    with pytest.raises(UsageError, match="evaluate_policy"):
        trainer._prepare_inputs(None)


def test_fsdp_1_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trl.distributed import DistributedBackend

    monkeypatch.setattr(DistributedBackend, "fsdp_version", property(lambda _: 1, lambda _, value: None), raising=False)
    with pytest.raises(UsageError, match="try fsdp_version: 2"):
        make_trainer(serl(), tmp_path)
