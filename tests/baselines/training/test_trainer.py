"""The trainer against what is written: GRPO at λ = 0, advantages and losses by hand, and nothing lost on the way."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

pytest.importorskip("trl")

import torch
from transformers import Qwen3ForCausalLM, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.policies.base import Reply
from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.trainer import HindsightTrainer
from agentgym_hindsight.baselines.training.training_rows import TrainingRow
from agentgym_hindsight.baselines.training.trl_config import trl_arguments
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import TaskPanel
from agentgym_hindsight.wrappers import action_parsing
from tests.baselines.training.tiny_runs import (
    PLAN,
    LuckyTrainer,
    Speaker,
    logps,
    make_trainer,
    model,
    panel,
    same_weights,
    scores,
    serl,
    tokenizer,
    weights,
)
from tests.baselines.training.trl_release import needs_trls_scorer
from tests.vector.worlds import StormyEnv

STORMY = "Stormy-Trainer-v0"


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def stormy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    # What makes this env crash is on no list, and must not be taken for the nearest action that is.
    monkeypatch.setattr(action_parsing, "_FORGIVING", ())
    gym.register(STORMY, entry_point=StormyEnv, order_enforce=False)
    yield Stage(STORMY, protocol="brief", settings={"max_steps": 7})
    del gym.registry[STORMY]


def step(trainer: HindsightTrainer) -> torch.Tensor:
    """One training step without the optimizer; gradients stay."""
    trainer.model.zero_grad()
    return trainer.training_step(trainer.model, None)


def gradients(trainer: HindsightTrainer) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}


def losses(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What TRL's own loss is handed from now on, with the log-probabilities of that pass."""
    seen: list[dict[str, Any]] = []
    original = GRPOTrainer._compute_loss

    def spy(self: Any, model: Any, inputs: dict[str, Any]) -> Any:
        logps = None if self._scored is None else self._scored[0].detach().clone()
        seen.append({**inputs, "logps": logps, "step": self.state.global_step})
        return original(self, model, inputs)

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", spy)
    return seen


def forwards(trainer: HindsightTrainer) -> list[tuple[int, ...]]:
    """The shapes of everything the model reads from now on."""
    seen: list[tuple[int, ...]] = []
    trainer.model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    return seen


def key(row: TrainingRow) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return row.prompt_ids, row.response_ids


def lines(seen: dict[str, Any]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The rows of a micro-batch, without their padding; those that are all padding are none."""
    columns = (seen["prompt_ids"], seen["prompt_mask"], seen["completion_ids"], seen["completion_mask"])
    return [
        (tuple(p[pm.bool()].tolist()), tuple(c[cm.bool()].tolist()))
        for p, pm, c, cm in zip(*columns, strict=True)
        if cm.any()
    ]


# -- λ = 0 is GRPO --------------------------------------------------------------------------------------------------


def trained(method: Any, out: Path, checkpoint: Path | None = None, **plan: Any) -> dict[str, torch.Tensor]:
    trainer = make_trainer(method, out, replace(PLAN, **plan))
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    return weights(trainer.model)


def test_without_a_teacher_s_word_serl_is_grpo_to_the_bit(tmp_path: Path) -> None:
    grpo = trained(recipe("grpo"), tmp_path / "grpo")
    assert not same_weights(grpo, weights(model()))
    assert same_weights(trained(serl(when="0"), tmp_path / "silent"), grpo)
    assert not same_weights(trained(serl(), tmp_path / "serl"), grpo)


def test_after_its_schedule_serl_is_grpo_to_the_bit(tmp_path: Path) -> None:
    first = trained(serl(when="0.5->0/1"), tmp_path / "serl", updates=1, save_every=1)
    start = tmp_path / "serl" / "checkpoint-1"
    one = trained(serl(when="0.5->0/1"), tmp_path / "serl", start)
    other = trained(recipe("grpo"), tmp_path / "grpo", start)
    assert not same_weights(one, first)
    assert same_weights(one, other)
    assert not same_weights(trained(serl(when="0.5"), tmp_path / "still", start), one)


# -- advantages and losses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reweight:0.2", "reweight:0.1:mean"])
def test_token_advantages_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    plan = replace(PLAN, temperature=0.8)
    trainer = make_trainer(serl(how=how, when="0.5"), tmp_path, plan)
    seen = losses(monkeypatch)
    step(trainer)
    clip, weighed = trainer.method.how.clip, 0
    handed = {line: a for batch in seen for line, a in zip(lines(batch), batch["advantages"], strict=True)}
    rows = trainer._mini[0]
    assert len(rows) == len(handed) == 32
    for row in rows:
        assert row.teacher_logps is not None
        student = logps(trainer.model, *key(row), plan.temperature)
        teacher = logps(trainer.model, row.teacher_ids, row.response_ids, plan.temperature)
        sign = 1 if row.advantage > 0 else -1
        factors = (0.5 + 0.5 * (sign * (teacher - student)).exp().clamp(1 - clip, 1 + clip)).tolist()
        if how.endswith("mean"):
            factors = [factor * len(factors) / sum(factors) for factor in factors]
        expected = torch.tensor([row.advantage * factor for factor in factors])
        torch.testing.assert_close(handed[key(row)][: len(expected)], expected, atol=1e-5, rtol=1e-5)
        weighed += sum(abs(factor - 1) > 1e-3 for factor in factors)
    assert weighed > 50


def test_only_action_tokens_are_weighed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stormy: Stage) -> None:
    trainer = make_trainer(
        recipe("serl"), tmp_path, kind=HindsightTrainer, stage=stormy, tasks=stormy.panel("train", 3), model=model()
    )
    speak(trainer, lambda turn: "east" if turn.sibling else "west")
    seen = losses(monkeypatch)
    step(trainer)
    handed = [pair for batch in seen for pair in zip(batch["advantages"], lines(batch), strict=True)]
    words, weighed = tokenizer(), 0
    for advantages, (_, response) in handed:
        base = advantages[0]  # the opening tag
        for place, token in enumerate(response):
            if advantages[place] != base:
                assert words.decode([token]) in "eastwest"
                weighed += 1
    assert weighed > 10


@needs_trls_scorer
def test_scores_on_a_cpu_are_trls(tmp_path: Path) -> None:
    trainer = make_trainer(recipe("grpo"), tmp_path)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(8, 200, (5, 19), generator=generator)
    mask = torch.ones_like(ids)
    mask[0, :4] = mask[1, -3:] = 0  # a shorter prompt, a shorter response
    found = []
    for score in (trainer._score_on_cpu, partial(GRPOTrainer._get_per_token_logps_and_entropies, trainer)):
        trainer.model.zero_grad()
        logps, entropies, _ = score(trainer.model, ids, mask, 7, compute_entropy=True)
        (logps.sum() + entropies.sum()).backward()
        found.append((logps, entropies, [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]))
    for ours, theirs in zip(found[0][:2], found[1][:2], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    for ours, theirs in zip(found[0][2], found[1][2], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("delta", [3.0, None])
def test_the_loss_is_dual_clip_ppo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delta: float | None) -> None:
    trainer = make_trainer(recipe("grpo").changed(dual_clip=delta, entropy=0), tmp_path)
    generator = torch.Generator().manual_seed(0)
    new = (torch.randn(40, 7, generator=generator) * 1.2).requires_grad_()
    advantages = torch.randn(40, generator=generator)
    mask = (torch.arange(7) < torch.randint(1, 8, (40, 1), generator=generator)).long()
    ids = torch.ones(40, 7, dtype=torch.long)
    monkeypatch.setattr(
        HindsightTrainer, "_score_on_cpu", lambda self, *args, **kwargs: (new, torch.zeros_like(new), None)
    )
    inputs = {
        "prompt_ids": ids[:, :1], "prompt_mask": ids[:, :1], "completion_ids": ids, "completion_mask": mask,
        "advantages": advantages.clone(), "chosen": torch.zeros(40, 7, dtype=torch.bool), "lam": 0.0,
        "old_per_token_logps": torch.zeros(40, 7), "num_items_in_batch": mask.sum().float(),
    }  # fmt: skip
    loss = trainer._compute_loss(trainer.model, inputs)
    loss.backward()  # type: ignore[no-untyped-call]  # torch's own

    free = new.detach().double().clone().requires_grad_()
    ratio, a = free.exp(), advantages.double()[:, None]
    per_token = torch.maximum(-a * ratio, -a * ratio.clamp(0.8, 1.2))
    if delta is not None:
        per_token = torch.where(a < 0, torch.minimum(per_token, -delta * a), per_token)
    expected = (per_token * mask).sum() / mask.sum()
    expected.backward()  # type: ignore[no-untyped-call]
    high = ((ratio > 3) & mask.bool()).sum(-1) > 0
    assert (high & (advantages < 0)).sum() > 5
    assert (high & (advantages > 0)).sum() > 5
    assert new.grad is not None
    assert free.grad is not None
    torch.testing.assert_close(loss.double(), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(new.grad.double(), free.grad, atol=1e-6, rtol=1e-5)


def test_micro_batches_add_up_to_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = serl(entropy=0.05, aux_kl=0.7)
    whole, parts = (make_trainer(method, tmp_path, replace(PLAN, token_budget=n)) for n in (10**6, 500))
    seen = losses(monkeypatch)
    loss = step(whole)
    assert len(seen) == 1
    torch.testing.assert_close(step(parts), loss, atol=1e-6, rtol=1e-5)
    assert len(seen) > 5
    expected = gradients(whole)
    assert sum(g.abs().sum() for g in expected.values()) > 0.1
    for name, gradient in gradients(parts).items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-4)
    # Each of the three is in the sum: without it the loss is another.
    for other in (serl(entropy=0, aux_kl=0.7), serl(entropy=0.05)):
        assert not torch.allclose(step(make_trainer(other, tmp_path)), loss, atol=1e-4)


class ThirteenRows(LuckyTrainer):
    """Rollouts cut to 4, 3, 3 and 3 turns."""

    def _play(self, update: int, policy: Any) -> list[Episode]:
        cut = []
        for episode, turns in zip(super()._play(update, policy)[:4], (4, 3, 3, 3), strict=True):
            steps = episode.trajectory.steps[-turns:]  # the last turn has the reward
            cut.append(Episode(episode.trajectory.replace(steps=steps), episode.replies[-turns:]))
        return cut


@pytest.mark.parametrize("mini_batches", [1, 2, 3])
def test_every_row_is_used_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mini_batches: int) -> None:
    seen = losses(monkeypatch)
    played: list[TrainingRow] = []
    plan = replace(PLAN, updates=1, mini_batches=mini_batches, token_budget=700)
    trainer = make_trainer(
        serl(), tmp_path, plan, ThirteenRows, on_update=lambda record, measured: played.extend(measured.rows)
    )
    trainer.train()
    assert len(played) == 13
    assert Counter(line for batch in seen for line in lines(batch)) == Counter(map(key, played))
    sizes = [sum(len(lines(batch)) for batch in seen if batch["step"] == place) for place in range(mini_batches)]
    assert sizes == {1: [13], 2: [7, 6], 3: [5, 4, 4]}[mini_batches]


def test_mini_batches_are_steps_from_one_old_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = losses(monkeypatch)
    trainer = make_trainer(recipe("grpo"), tmp_path, replace(PLAN, mini_batches=2, updates=2))
    records: list[dict[str, Any]] = []
    trainer._on_update = lambda record, measured: records.append(record)
    trainer.train()
    assert trainer.state.global_step == 4
    assert [record["update"] for record in records] == [0, 1]
    first, before = model(), 0
    for batch in seen:
        mask = batch["completion_mask"].bool()
        away = (batch["logps"] - batch["old_per_token_logps"])[mask].abs().max()
        assert (away < 1e-5) == (batch["step"] % 2 == 0)
        if batch["step"] == 1:
            for (prompt, response), old in zip(lines(batch), batch["old_per_token_logps"], strict=True):
                expected = logps(first, prompt, response).float()
                torch.testing.assert_close(old[: len(response)], expected, atol=1e-4, rtol=1e-4)
                before += 1
    assert before == 16


# -- rollouts -------------------------------------------------------------------------------------------------------


def speak(trainer: HindsightTrainer, says: Any) -> None:
    """Put words into the mouth of a trainer's policy."""

    @contextmanager
    def player(temperature: float, seed: object) -> Iterator[Any]:
        yield Speaker(says)

    trainer.player = player  # type: ignore[method-assign]


def test_rows_are_the_very_tokens_that_were_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, int, int, Any]] = []
    act = TransformersPolicy.act

    def listen(self: Any, turns: Any) -> Any:
        replies = act(self, turns)
        said.extend((t.task_id, t.sibling, t.step, reply) for t, reply in zip(turns, replies, strict=True))
        return replies

    monkeypatch.setattr(TransformersPolicy, "act", listen)
    plan = replace(PLAN, temperature=0.8)
    trainer = make_trainer(serl(), tmp_path, plan)
    (rows,) = trainer._play_update(0)
    assert trainer._measured is not None
    episodes = trainer._measured.episodes
    replies = {(task, sibling, turn): reply for task, sibling, turn, reply in said}
    assert len(replies) == len(said) == len(rows) == 32
    changed = 0
    for row in rows:
        trajectory = episodes[row.episode].trajectory
        reply = replies[trajectory.task_id, trajectory.sibling, row.step.index]
        assert (row.prompt_ids, row.response_ids) == (reply.prompt_ids, reply.response_ids)
        assert row.prompt_ids == trainer.encoder.encode(row.step.prompt)
        assert row.step.response == trainer.encoder.decode(row.response_ids)
        expected = logps(trainer.model, *key(row), plan.temperature).float()
        torch.testing.assert_close(torch.tensor(row.logprobs), expected, atol=1e-4, rtol=1e-4)
        again = tokenizer()(row.step.response, add_special_tokens=False)["input_ids"]
        changed += tuple(again) != row.response_ids
    assert changed, "no response would read differently if tokenized again: the test shows nothing"


def test_an_update_plays_its_own_tasks_in_groups(tmp_path: Path) -> None:
    trainer = make_trainer(serl(), tmp_path, kind=HindsightTrainer)
    walked = []
    for update in range(3):
        (rows,) = trainer._play_update(update)
        assert trainer._measured is not None
        episodes = [episode.trajectory for episode in trainer._measured.episodes]
        asked = [task.id for task in trainer.player.tasks_of(update)]
        assert Counter((t.task_id, t.sibling) for t in episodes) == Counter((i, s) for i in asked for s in range(4))
        for task in asked:
            siblings = [t for t in episodes if t.task_id == task]
            assert len({(t.goal, t.steps[0].observation, t.steps[0].admissible_actions) for t in siblings}) == 1
            assert len({t.steps[0].response for t in siblings}) > 1
        assert {episodes[row.episode].task_id == asked[row.group] for row in rows} == {True}
        # Nobody wins within four turns.
        assert all(t.truncated and len(t) == 4 for t in episodes)
        assert trainer._measured.record["truncated"] == 1.0
        walked += asked
    assert walked == [task.id for task in panel()]
    assert [task.id for task in trainer.player.tasks_of(3)] == walked[:2]


def test_broken_rollouts_are_data(tmp_path: Path, stormy: Stage) -> None:
    records: list[dict[str, Any]] = []
    trainer = make_trainer(
        recipe("serl"),
        tmp_path,
        kind=HindsightTrainer,
        stage=stormy,
        tasks=stormy.panel("train", 6, seed=1),
        on_update=lambda record, measured: records.append({**record, "measured": measured}),
    )

    def says(turn: Any) -> str:
        if turn.sibling == 1:
            return "crash" if turn.step == 2 else "east"
        return {0: "east", 2: "fly", 3: "west"}[turn.sibling]

    speak(trainer, says)
    trainer.train()
    assert len(records) == 2
    for record in records:
        assert (record["episodes"], record["broken"], record["success"]) == (8, 2, pytest.approx(1 / 3))
        assert record["truncated"] == pytest.approx(2 / 3)
        assert record["grad_norm"] > 0.01
        rows, episodes = record["measured"].rows, record["measured"].episodes
        broken = [e.trajectory for e in episodes if e.trajectory.broken]
        assert [t.sibling for t in broken] == [1, 1]
        assert len(rows) == sum(len(e.trajectory) for e in episodes if not e.trajectory.broken)
    assert records[-1]["turns"] == sum(len(e.trajectory) for r in records for e in r["measured"].episodes)


@pytest.mark.parametrize("mini_batches", [1, 2])
def test_an_update_without_a_single_row_goes_by(tmp_path: Path, stormy: Stage, mini_batches: int) -> None:
    plan = replace(PLAN, mini_batches=mini_batches)
    tasks = stormy.panel("train", 4, seed=1)
    trainer = make_trainer(recipe("serl"), tmp_path, plan, HindsightTrainer, stage=stormy, tasks=tasks)
    speak(trainer, lambda turn: "crash")
    trainer.train()
    assert trainer.updates_done == 2
    assert same_weights(weights(trainer.model), weights(model()))


def test_fewer_tasks_than_an_update_plays_are_refused(tmp_path: Path) -> None:
    # The same task twice would be the same replies twice.
    with pytest.raises(UsageError, match="at least 2 tasks"):
        make_trainer(serl(), tmp_path, tasks=TaskPanel(list(panel())[:1], name="one"))


# -- the teacher ----------------------------------------------------------------------------------------------------


class Watch(TrainerCallback):  # type: ignore[misc]
    """Policy and teacher after every update."""

    def __init__(self, trainer: HindsightTrainer) -> None:
        self.trainer = trainer
        self.policy: list[dict[str, torch.Tensor]] = [weights(trainer.model)]
        self.teacher: list[dict[str, torch.Tensor]] = []
        trainer.add_callback(self)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.policy.append(weights(self.trainer.model))
        assert self.trainer.teacher is not None
        with self.trainer.teacher.acting():
            self.teacher.append(weights(self.trainer.model))


def watched(who: str, out: Path, updates: int) -> Watch:
    trainer = make_trainer(serl(who=who), out, replace(PLAN, updates=updates))
    watch = Watch(trainer)
    trainer.train()
    assert not same_weights(watch.policy[0], watch.policy[1])
    return watch


def test_a_synced_teacher_follows_every_second_update(tmp_path: Path) -> None:
    watch = watched("sync:2", tmp_path, 3)
    assert same_weights(watch.teacher[0], watch.policy[0])
    assert same_weights(watch.teacher[1], watch.policy[2])
    assert same_weights(watch.teacher[2], watch.policy[2])


def test_an_averaged_a_frozen_and_the_current_teacher(tmp_path: Path) -> None:
    average = watched("ema:0.25", tmp_path / "ema", 2)
    expected = average.policy[0]
    for policy, teacher in zip(average.policy[1:], average.teacher, strict=True):
        expected = {name: 0.75 * expected[name] + 0.25 * policy[name] for name in policy}
        for name in expected:
            torch.testing.assert_close(teacher[name], expected[name], atol=1e-6, rtol=1e-5)
    frozen = watched("frozen", tmp_path / "frozen", 2)
    assert all(same_weights(teacher, frozen.policy[0]) for teacher in frozen.teacher)
    current = watched("current", tmp_path / "current", 2)
    assert all(map(same_weights, current.teacher, current.policy[1:]))
    assert current.trainer.teacher is not None
    assert not current.trainer.teacher.state_dict()["weights"]


def test_a_teacher_s_word_is_that_of_its_weights_on_its_prompt(tmp_path: Path) -> None:
    trainer = make_trainer(serl(who="sync:2", what="success+immediate"), tmp_path, replace(PLAN, updates=1))
    trainer.train()
    trainer.model.train()
    after = weights(trainer.model)
    (rows,) = trainer._play_update(1)
    assert same_weights(weights(trainer.model), after)
    first = model()  # the teacher after one update of two
    for row in rows:
        assert row.context is not None
        assert row.teacher_logps is not None
        assert row.teacher_ids != row.prompt_ids
        assert len(row.teacher_ids) <= trainer.encoder.max_tokens
        expected = logps(first, row.teacher_ids, row.response_ids).float()
        torch.testing.assert_close(row.teacher_logps, expected, atol=1e-4, rtol=1e-4)
    told = "\n".join(trainer.encoder.decode(row.teacher_ids) for row in rows)
    assert "Immediate feedback" in told


class Unsung(LuckyTrainer):
    """Rewards as by luck, and yet nobody has won: there is no success to show."""

    def _play(self, update: int, policy: Any) -> list[Episode]:
        return [e._replace(trajectory=e.trajectory.replace(won=False)) for e in super()._play(update, policy)]


class Wordless(LuckyTrainer):
    """Not a reply in which an action was found."""

    def _play(self, update: int, policy: Any) -> list[Episode]:
        ids = tuple(tokenizer()("look", add_special_tokens=False)["input_ids"])  # and no tags around it

        def mute(episode: Episode) -> Episode:
            replies = [Reply("look", reply.prompt_ids, ids, (-1.0,) * len(ids)) for reply in episode.replies]
            return episode._replace(replies=tuple(replies))

        return [mute(episode) for episode in super()._play(update, policy)]


@pytest.mark.parametrize(
    ("method", "kind", "asked"),
    [
        (serl(), LuckyTrainer, True),
        (serl(when="0"), LuckyTrainer, False),
        (serl(what="success"), Unsung, False),
        (serl(), HindsightTrainer, False),
        (recipe("serl"), Wordless, False),
    ],
    ids=["asked", "lambda-is-0", "no-context", "no-advantage", "no-action"],
)
def test_a_teacher_is_asked_only_where_it_matters(tmp_path: Path, method: Any, kind: Any, asked: bool) -> None:
    trainer = make_trainer(method, tmp_path, kind=kind)
    trainer._play(0, Speaker(lambda turn: "look"))  # the envs are made
    trainer._make_teacher()
    rows = trainer._rows(trainer._play(0, _policy(trainer)), method.when(0))
    assert any(row.advantage for row in rows) == (kind is not HindsightTrainer)
    seen = forwards(trainer)
    trainer._ask_teacher([row for row in rows if row.teacher_ids])
    assert bool(seen) is asked
    assert all((row.teacher_logps is not None) is asked for row in rows)


def _policy(trainer: HindsightTrainer) -> Any:
    return TransformersPolicy(trainer.model, trainer.encoder, max_new_tokens=PLAN.response_tokens)


def test_auxiliary_kl_by_hand(tmp_path: Path) -> None:
    plan = replace(PLAN, temperature=0.8, updates=1)
    found = {}
    for coefficient in (0.0, 0.7):
        trainer = make_trainer(serl(aux_kl=coefficient, when="0.4", entropy=0), tmp_path, plan)
        found[coefficient] = (step(trainer), gradients(trainer))
    total, count = 0.0, 0
    for row in trainer._mini[0]:
        teacher = scores(trainer.model, row.teacher_ids, row.response_ids, plan.temperature)
        student = scores(trainer.model, *key(row), plan.temperature)
        total += float((teacher.exp() * (teacher - student)).sum())
        count += len(row.response_ids)
    expected = 0.4 * 0.7 * total / count
    assert expected > 1e-3
    assert float(found[0.7][0] - found[0.0][0]) == pytest.approx(expected, rel=1e-3)
    name = "model.embed_tokens.weight"
    assert not torch.allclose(found[0.7][1][name], found[0.0][1][name], atol=1e-5)


# -- what TRL brings ------------------------------------------------------------------------------------------------


def test_every_parameter_moves(tmp_path: Path) -> None:
    before, after = weights(model()), trained(serl(), tmp_path, updates=1)
    assert [name for name in before if torch.equal(before[name], after[name])] == []


def test_a_penalty_for_leaving_the_first_policy(tmp_path: Path) -> None:
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


# PEFT 0.21 asks for the attribute by the name that transformers 5.24 has deprecated.
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_adapters_alone(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    lora = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    plan = replace(PLAN, updates=2, learning_rate=0.1)
    trainer = make_trainer(serl(who="sync:2", kl=0.01), tmp_path, plan, peft_config=lora)
    watch = Watch(trainer)
    trainer.train()
    begun, ended = watch.policy[0], watch.policy[-1]
    adapters = {name for name in begun if "lora" in name}
    assert len(adapters) == 4
    assert {name for name in begun if not torch.equal(begun[name], ended[name])} == adapters
    assert trainer.teacher is not None
    assert set(trainer.teacher.state_dict()["weights"]) == adapters
    assert same_weights(watch.teacher[0], begun)
    assert same_weights(watch.teacher[1], ended)
    first, second = (line["kl"] for line in trainer.state.log_history if "kl" in line)
    assert first == pytest.approx(0, abs=1e-6)
    assert second > 1e-6


def test_trl_arguments_have_the_last_word_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    method = recipe("grpo")
    assert trl_arguments(replace(PLAN, trl={"learning_rate": 0.5}), method, tmp_path).learning_rate == 0.5
    with pytest.raises(UsageError, match="learning_speed"):
        trl_arguments(replace(PLAN, trl={"learning_speed": 0.5}), method, tmp_path)
    for name, own in (("temperature", r"plan\.temperature"), ("beta", r"method\.kl"), ("max_steps", r"plan\.updates")):
        with pytest.raises(UsageError, match=f"try {own}"):
            trl_arguments(replace(PLAN, trl={name: 0.5}), method, tmp_path)
    with pytest.raises(UsageError, match="try 4"):
        trl_arguments(replace(PLAN, tasks=3), method, tmp_path, processes=2)


def test_the_seam() -> None:
    """Everything the trainer takes for granted in TRL, so that a release that moves it is known at once."""
    import trl
    from transformers import Trainer
    from trl import SFTTrainer
    from trl.generation.vllm_generation import VLLMGeneration

    moved: list[str] = []

    def need(name: str, there: bool) -> None:
        if not there:
            moved.append(name)

    signatures = {
        "_compute_loss": ["self", "model", "inputs"],
        "compute_loss": ["self", "model", "inputs"],
        "_get_per_token_logps_and_entropies": ["self", "model", "input_ids", "attention_mask", "logits_to_keep"],
        "training_step": ["self", "model", "inputs", "num_items_in_batch"],
        "_prepare_inputs": ["self"],
        "_save_checkpoint": ["self", "model", "trial"],
        "_load_optimizer_and_scheduler": ["self", "checkpoint"],
        "_save": ["self", "output_dir", "state_dict"],
        "save_model": ["self", "output_dir"],
        "log": ["self", "logs", "start_time"],
    }
    for name, expected in signatures.items():
        method = getattr(GRPOTrainer, name, None)
        need(f"GRPOTrainer.{name}", method is not None)
        if method is not None:
            found = list(inspect.signature(method).parameters)
            need(f"GRPOTrainer.{name}({', '.join(expected)})", found[: len(expected)] == expected)
    scoring = inspect.signature(GRPOTrainer._get_per_token_logps_and_entropies).parameters
    need("_get_per_token_logps_and_entropies(compute_entropy)", "compute_entropy" in scoring)

    made = inspect.getsource(GRPOTrainer.__init__)
    for attribute in ("_step", "_metrics", "_dist", "vllm_generation", "ref_model", "beta", "temperature",
                      "vllm_importance_sampling_correction", "vllm_importance_sampling_mode",
                      "vllm_importance_sampling_clip_min", "vllm_importance_sampling_clip_max"):  # fmt: skip
        need(f"self.{attribute}", f"self.{attribute} = " in made)
    loss = inspect.getsource(GRPOTrainer._compute_loss)
    for text in ('inputs["advantages"]', 'inputs.get("old_per_token_logps")', 'inputs["num_items_in_batch"]',
                 'inputs["ref_per_token_logps"]', 'inputs["importance_sampling_ratio"]', "advantages.dim() == 1",
                 "self.current_gradient_accumulation_steps / self.args.steps_per_generation", "self.args.delta",
                 "self._get_per_token_logps_and_entropies("):  # fmt: skip
        need(f"{text} in _compute_loss", text in loss)
    whole = inspect.getsource(Trainer)
    for text in ("self.current_gradient_accumulation_steps =", "self.training_step(", "self._save_checkpoint(",
                 "self._load_optimizer_and_scheduler("):  # fmt: skip
        need(f"{text} in Trainer", text in whole)
    from trl.distributed import DistributedBackend

    for name in ("is_zero3", "fsdp_version"):
        need(f"DistributedBackend.{name}", name in inspect.getsource(DistributedBackend))
    for name in ("sync_weights", "generate"):
        need(f"VLLMGeneration.{name}", hasattr(VLLMGeneration, name))
    made = inspect.getsource(VLLMGeneration)
    for attribute in ("temperature", "mode", "tensor_parallel_size", "enable_sleep_mode", "logprobs"):
        need(f"VLLMGeneration.{attribute}", f"self.{attribute} = " in made)
    for name in ("prompts", "images", "num_generations"):
        need(f"VLLMGeneration.generate({name})", name in inspect.signature(VLLMGeneration.generate).parameters)
    from trl.models import unwrap_model_for_generation

    opened = inspect.signature(unwrap_model_for_generation).parameters
    need("unwrap_model_for_generation(gather_deepspeed3_params)", "gather_deepspeed3_params" in opened)
    need("GRPOConfig.ds3_gather_for_generation", "ds3_gather_for_generation" in GRPOConfig.__dataclass_fields__)
    need("SFTTrainer.compute_loss", "model" in inspect.signature(SFTTrainer.compute_loss).parameters)
    used = inspect.getsource(trl_arguments).split("values: dict[str, Any] = {")[1].split("unknown = ")[0]
    fields = {*re.findall(r'"(\w+)":', used), *re.findall(r'values\["(\w+)"\]', used)}
    assert len(fields) > 25
    for name in sorted(fields):
        need(f"GRPOConfig.{name}", name in GRPOConfig.__dataclass_fields__)
    if moved:
        pytest.fail(f"TRL {trl.__version__} moved {'; '.join(moved)}: see baselines/trainer.py")


def test_what_is_compared_is_no_draw_of_a_dropout(tmp_path: Path) -> None:
    forgetful = model()
    for layer in forgetful.model.layers:
        layer.self_attn.attention_dropout = 0.5
    trainer = make_trainer(serl(), tmp_path, model=forgetful)
    (rows,) = trainer._play_update(0)
    scored, again = (list(trainer._scores(rows)) for _ in range(2))
    assert all(torch.equal(one, other) for (_, one), (_, other) in zip(scored, again, strict=True))
    row, found = scored[0]
    expected = logps(forgetful.eval(), row.prompt_ids, row.response_ids)
    assert torch.allclose(found.double(), expected, atol=1e-5)
    trainer.model.train()
    trainer._ask_teacher(rows[:1])
    assert trainer.model.training


def test_models_with_a_cache_of_their_own_play_by_generate(tmp_path: Path) -> None:
    trainer = make_trainer(serl(), tmp_path, replace(PLAN, generate=True))
    with trainer.current_policy(1.0, seed="any") as policy:
        assert policy.native
    assert trainer._play_update(0)[0]


def test_evaluating_by_trl_is_refused(tmp_path: Path) -> None:
    trainer = make_trainer(serl(), tmp_path)
    trainer.model.eval()
    with pytest.raises(UsageError, match="evaluate_policy"):
        trainer._prepare_inputs(None)


def test_fsdp_1_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trl.distributed import DistributedBackend

    monkeypatch.setattr(DistributedBackend, "fsdp_version", property(lambda _: 1, lambda _, value: None), raising=False)
    with pytest.raises(UsageError, match="try fsdp_version: 2"):
        make_trainer(serl(), tmp_path)
