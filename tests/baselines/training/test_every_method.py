"""Every method makes updates of a small policy, and resumes to the same weights, critic and memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("trl")

import torch

from agentgym_hindsight.baselines.methods import RECIPES, recipe
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.training.checkpoints import all_checkpoints, load_state
from agentgym_hindsight.baselines.training.sequences import Sequences
from tests.baselines.methods.imitations import scripted
from tests.baselines.training.tiny_runs import PLAN, make_trainer, model, same_weights, save_start, weights
from tests.baselines.training.trainer_probes import gradients, step

#: Methods whose state outside of the policy must survive a resume.
WITH_STATE = ["antisd", "resd", "factor", "ppo", "turn-ppo", "vetta", "uniopsd"]


def method_of(name: str) -> Method:
    """The method with all response tokens chosen, because random weights write no action that a parser finds."""
    method = scripted(name)  # random weights write no JSON
    if not method.has_teacher:
        return method
    return method.changed(tokens="response", when="0.5")


def one_block(method: Method) -> Method:
    """The critic copies at most one block, because the policy has no more."""
    if method.critic is None:
        return method
    return replace(method, critic=replace(method.critic, layers=min(method.critic.layers, 1)))


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of an untrained policy: the KL penalty loads the initial policy from it."""
    return save_start(tmp_path_factory.mktemp("start") / "policy")


@pytest.mark.parametrize("name", RECIPES)
def test_one_update_moves_every_weight(name: str, tmp_path: Path, start: str) -> None:
    method = method_of(name)
    method = one_block(method)
    trainer = make_trainer(method, tmp_path, model=start)
    critic = None if trainer.critic is None else weights(trainer.critic.model)
    loss = step(trainer)
    assert torch.isfinite(loss)
    assert all(gradient.abs().max() > 0 for gradient in gradients(trainer).values())
    assert gradients(trainer).keys() == weights(trainer.model).keys()
    if trainer.critic is not None:
        after = weights(trainer.critic.model)
        assert all(not torch.equal(critic[key], after[key]) for key in after)
        figures = trainer._values.result()
        assert figures["value_loss"] > 0


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in ("antisd", "ppo"))) for name in WITH_STATE]
)
def test_a_resumed_run_equals_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    method = method_of(name).changed(kl=0.0)
    method = one_block(method)
    plan = replace(PLAN, updates=3, save_every=1, keep=0)
    whole = make_trainer(method, tmp_path / "whole", plan)
    whole.train()
    resumed = make_trainer(method, tmp_path / "resumed", plan)
    resumed.train(resume_from_checkpoint=str(all_checkpoints(tmp_path / "whole")[0]))
    assert same_weights(weights(whole.model), weights(resumed.model))
    assert whole.memory == resumed.memory
    if whole.critic is not None:
        assert same_weights(weights(whole.critic.model), weights(resumed.critic.model))
    if name in ("antisd", "resd", "uniopsd"):
        assert load_state(all_checkpoints(tmp_path / "whole")[-1])["memory"] == whole.memory != {}


def test_the_value_before_a_response_does_not_depend_on_it(tmp_path: Path) -> None:
    trainer = make_trainer(recipe("vetta").changed(critic="1:turn+token", kl=0), tmp_path)
    ids = torch.randint(5, 100, (2, 12))
    other = ids.clone()
    other[:, 8:] = torch.randint(5, 100, (2, 4))

    def predicted(ids: torch.Tensor) -> dict[str, torch.Tensor]:
        inputs = {"prompt_ids": ids[:, :8], "completion_ids": ids[:, 8:]}
        masks = {name.replace("ids", "mask"): torch.ones_like(part) for name, part in inputs.items()}
        return trainer.critic.model(Sequences.of_tensors({**inputs, **masks}))

    first, second = map(predicted, (ids, other))
    assert torch.equal(first["turn"], second["turn"])
    assert torch.equal(first["tokens"][:, 0], second["tokens"][:, 0])
    assert not torch.equal(first["after"], second["after"])
    # The value before token j does not depend on token j or later ones.
    later = ids.clone()
    later[:, -1] += 1
    assert torch.equal(first["tokens"], predicted(later)["tokens"])


def test_a_critic_of_some_blocks_leaves_the_policy_whole(tmp_path: Path) -> None:
    deep = model()
    config = deep.config
    config.num_hidden_layers = 3
    config.layer_types = ["full_attention"] * 3
    deep = type(deep)(config)
    trainer = make_trainer(recipe("vetta").changed(kl=0), tmp_path, model=deep)
    assert len(trainer.critic.model.backbone.layers) == 2
    assert len(deep.model.layers) == 3
    assert trainer.critic.model.backbone.layers[0].mlp.up_proj.weight is not deep.model.layers[0].mlp.up_proj.weight


def test_a_method_is_composed_with_the_credit_of_another(tmp_path: Path) -> None:
    """SERL's weights on CRBC's advantages, and on the token advantages of a critic."""
    for credit in ("crbc", "ppo"):
        other = recipe(credit)
        method = replace(method_of("serl"), credit=other.credit, critic=other.critic)
        trainer = make_trainer(method, tmp_path / credit)
        step(trainer)
        rows = trainer._mini_batches[0]
        used = [row.used[1] for row in rows if row.used is not None]
        assert used
        assert any((factors - 1).abs().max() > 1e-3 for factors in used)
        assert all(((factors >= 0.9 - 1e-4) & (factors <= 1.1 + 1e-4)).all() for factors in used)
