"""Hindsight weighs the tokens of TRL's own trainer: a run with a tiny model and scripted replies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")

import torch

from agentgym_hindsight.baselines.trl_environment import to_trl_environment, trl_dataset
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.exports.trl_weights import HindsightWeights, Weighting, runs_of_ones
from agentgym_hindsight.hindsight import Group, compose
from tests.baselines.test_trl_environment import CORRIDOR, Script, make_trainer, tiny_model
from tests.baselines.test_trl_environment import tokenizer as tokenizer
from tests.baselines.training.trl_release import needs_trls_scorer
from tests.toy import CorridorEnv

pytestmark = [needs_trls_scorer, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def _corridor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    gym.register(CORRIDOR, entry_point=CorridorEnv, order_enforce=False)
    yield
    del gym.registry[CORRIDOR]


def trained(tokenizer: Any, folder: Path, weighting: Weighting | None, **settings: Any) -> Any:
    """A trainer after a run. ``kept`` has the batches, ``rollouts`` their trajectories; ``plain`` TRL's advantages."""
    import trl

    kept: list[dict[str, Any]] = []
    rollouts: list[list[Any]] = []

    class Plain(trl.GRPOTrainer):  # type: ignore[misc]
        def _generate_and_score_completions(self, inputs: Any) -> Any:
            output = super()._generate_and_score_completions(inputs)
            kept.append({**output, "plain": output["advantages"].clone()})
            rollouts.append([environment.trajectory for environment in self.environments])
            return output

    class Weighed(HindsightWeights, Plain):
        hindsight = weighting or Weighting()

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            output = super()._generate_and_score_completions(inputs)
            kept[-1]["advantages"] = output["advantages"]
            return output

    model = tiny_model(tokenizer)
    model.generate = Script(tokenizer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trl, "GRPOTrainer", Plain if weighting is None else Weighed)
        trainer = make_trainer(
            model,
            tokenizer,
            folder,
            settings={"max_steps": 1, **settings},
            environment_factory=to_trl_environment(CORRIDOR),
            train_dataset=trl_dataset(CORRIDOR, n=4, seed=3),
        )
    trainer.train()
    trainer.kept, trainer.rollouts = kept, rollouts
    return trainer


def parameters(trainer: Any) -> torch.Tensor:
    return torch.cat([value.detach().flatten() for value in trainer.model.parameters()])


def test_tokens_are_weighed(tokenizer: Any, tmp_path: Path) -> None:
    lam = 0.5
    trainer = trained(tokenizer, tmp_path, Weighting("success+immediate", lam=lam))
    [batch], [rollouts] = trainer.kept, trainer.rollouts
    advantages, plain = batch["advantages"], batch["plain"]
    assert advantages.shape == batch["completion_ids"].shape
    factors = advantages / plain[:, None]
    assert factors.min() >= 1 - lam * 0.2 - 1e-6
    assert factors.max() <= 1 + lam * 0.2 + 1e-6
    changed = factors != 1

    # Only the JSON of calls is weighed: no token of the world, and none of the closing sentence.
    own = (batch["completion_mask"] * batch["tool_mask"]).bool()
    assert not changed[~own].any()
    assert changed.any(1).all()
    for row in range(4):
        text = tokenizer.decode(batch["completion_ids"][row][changed[row]])
        assert '"action"' in text.replace("Ġ", " ")
        assert "That was all" not in text

    # The gap of the first turn of a loser, computed another way: from texts and with the model before the update.
    contexts = compose("success+immediate", Group(rollouts))
    row = 1
    begin, end = runs_of_ones(own[row].tolist())[0]
    ids = batch["completion_ids"][row, begin:end]
    prompt = tokenizer.decode(batch["prompt_ids"][row][batch["prompt_mask"][row].bool()])
    generation = "<|im_start|>assistant\n"
    assert prompt.endswith(generation)
    assert contexts[row][0] is not None
    shown = prompt.removesuffix(generation) + (
        f"<|im_start|>user\n{contexts[row][0].prompt('').strip()}<|im_end|>\n{generation}"
    )
    model = tiny_model(tokenizer)  # the same seed: the weights before training

    def logps(text: str) -> torch.Tensor:
        before = torch.tensor(tokenizer(text, add_special_tokens=False)["input_ids"])
        with torch.no_grad():
            logits = model(torch.cat([before, ids])[None]).logits[0, len(before) - 1 : -1].log_softmax(-1)
        return logits.gather(-1, ids[:, None])[:, 0]

    gap = logps(shown) - logps(prompt)
    expected = 1 + lam * ((plain[row].sign() * gap).exp().clamp(0.8, 1.2) - 1)
    weighed = changed[row, begin:end]
    assert weighed.sum() > 5
    torch.testing.assert_close(factors[row, begin:end][weighed], expected[weighed], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_without_lambda_training_is_trls_own(tokenizer: Any, tmp_path: Path) -> None:
    own = trained(tokenizer, tmp_path / "own", None)
    same = trained(tokenizer, tmp_path / "same", Weighting(lam=0.0))
    other = trained(tokenizer, tmp_path / "other", Weighting("success+immediate", lam=lambda step: 1.0))
    assert torch.equal(parameters(own), parameters(same))
    assert not torch.equal(parameters(own), parameters(other))


def test_mistakes() -> None:
    with pytest.raises(UsageError, match="lam"):
        Weighting(lam=2.0)
    with pytest.raises(UsageError, match="clip"):
        Weighting(clip=1.0)
    with pytest.raises(UsageError):
        Weighting(what="nonsense")
    assert runs_of_ones([]) == []
    assert runs_of_ones([0, 1]) == [(1, 2)]
