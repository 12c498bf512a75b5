"""Training on conversations: the turns of a rollout are one sequence, with the numbers of separate rows."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.conversation import Conversations
from agentgym_hindsight.baselines.training import scoring, scoring_trainer, sequences
from agentgym_hindsight.baselines.training.configuration import configure
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.baselines.training.warm_start import Example, WarmStart, expert_play, fine_tune
from agentgym_hindsight.errors import UsageError
from tests.baselines.training.tiny_runs import (
    PLAN,
    STAGE,
    encoder,
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
from tests.baselines.training.trainer_probes import gradients, record_loss_inputs, step

CHAT = replace(STAGE, history="conversation")
#: Long enough for four turns.
LONG = replace(PLAN, prompt_tokens=480)


def trainer_of(method: Any, out: Path, plan: Any = LONG, **options: Any) -> Any:
    return make_trainer(method, out, plan, stage=CHAT, **options)


def episodes_of(rows: list[TrainingRow]) -> list[list[TrainingRow]]:
    found: dict[int, list[TrainingRow]] = {}
    for row in rows:
        found.setdefault(row.episode, []).append(row)
    return list(found.values())


@pytest.mark.parametrize(
    "method",
    [
        recipe("grpo"),
        serl(),
        recipe("antisd").changed(tokens="response", kl=0.0),  # reads the teacher's entropies
        recipe("trial").changed(tokens="response", kl=0.0),  # reads the teacher's logits
    ],
    ids=lambda method: method.name,
)
def test_two_updates(method: Method, tmp_path: Path) -> None:
    records: list[dict[str, Any]] = []
    played: list[list[TrainingRow]] = []

    def on_update(record: dict[str, Any], measured: Any) -> None:
        records.append(record)
        played.append(list(measured.rows))

    trainer = trainer_of(method, tmp_path, on_update=on_update)
    before = weights(trainer.model)
    trainer.train()
    assert len(records) == 2
    after = weights(trainer.model)
    assert all(not torch.equal(before[each], after[each]) for each in before)
    for record, rows in zip(records, played, strict=True):
        assert record["tokens_saved"] > record["prompt_tokens"] // 3
        assert 0.85 <= record["token_efficiency"] <= 1
        for turns in episodes_of(rows):
            for one, next_one in pairwise(turns):
                carried = one.prompt_ids + one.response_ids
                assert next_one.prompt_ids[: len(carried)] == carried


def test_lambda_0_is_grpo(tmp_path: Path) -> None:
    results = []
    for method in (recipe("grpo"), serl(when="0")):
        trainer = trainer_of(method, tmp_path / method.name)
        trainer.train()
        results.append(weights(trainer.model))
    assert same_weights(*results)


def test_chains_change_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loss, gradient, teacher's and old log-probabilities are those of rows that are computed one by one."""
    results = []
    for apart in (False, True):
        if apart:
            alone = lambda rows: [[number] for number in range(len(rows))]  # noqa: E731
            monkeypatch.setattr(sequences, "chains", alone)
            monkeypatch.setattr(scoring, "chains", alone)
            monkeypatch.setattr(scoring_trainer, "CONVERSATION", "")
        trainer = trainer_of(serl(kl=0.1, entropy=0.01), tmp_path / str(apart), model=_saved(tmp_path))
        loss = step(trainer)
        rows = [row for part in trainer._mini_batches for row in part]
        computed = trainer._tokens.result(lambda values: values)
        results.append((loss, gradients(trainer), rows, computed))
    (loss, grads, rows, computed), (loss_apart, grads_apart, rows_apart, computed_apart) = results
    assert computed["tokens_computed"] < 0.6 * computed_apart["tokens_computed"]
    assert computed_apart["tokens_saved"] == 0
    torch.testing.assert_close(loss, loss_apart, atol=1e-5, rtol=1e-5)
    for name, gradient in grads.items():
        torch.testing.assert_close(gradient, grads_apart[name], atol=2e-5, rtol=1e-4)
    scored = 0
    for row, other in zip(rows, rows_apart, strict=True):
        assert (row.prompt_ids, row.response_ids, row.advantage) == (
            other.prompt_ids, other.response_ids, other.advantage
        )  # fmt: skip
        if row.teacher_logps is not None:
            torch.testing.assert_close(row.teacher_logps, other.teacher_logps, atol=1e-5, rtol=1e-5)
            scored += 1
    assert scored > 10


def test_the_teacher_reads_a_conversation_once(tmp_path: Path) -> None:
    """Its log-probabilities and entropies are those of a plain pass over each whole prompt."""
    trainer = trainer_of(serl(what="immediate"), tmp_path, replace(LONG, token_budget=900))
    (rows,) = trainer._play_update(0)
    later = [row for row in rows if row.past_tokens and row.teacher_ids]
    assert len(later) > 8
    trainer._tokens.result(lambda values: values)
    for entropy in (False, True):
        for row, values in trainer._scores(later, teacher=True, entropy=entropy):
            expected = scores(trainer.model.eval(), row.teacher_ids, row.response_ids)
            sampled = expected.gather(-1, torch.tensor(row.response_ids)[:, None])[:, 0]
            entropies = -(expected.exp() * expected).sum(-1)
            expected = torch.stack([sampled, entropies], -1) if entropy else sampled
            torch.testing.assert_close(values.double(), expected, atol=1e-4, rtol=1e-4)
    counts = trainer._tokens.result(lambda values: values)
    whole = 2 * sum(len(row.teacher_ids) + len(row.response_ids) for row in later)
    assert counts["tokens_computed"] < 0.75 * whole
    assert counts["token_efficiency"] > 0.85


def _saved(folder: Path) -> str:
    """The untrained policy as a folder: the KL penalty loads the initial policy from it."""
    target = folder / "start"
    model().save_pretrained(target)
    tokenizer().save_pretrained(target)
    return str(target)


def test_the_loss_has_the_log_probabilities_of_whole_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_of(recipe("grpo"), tmp_path)
    seen = record_loss_inputs(monkeypatch)
    step(trainer)
    checked = 0
    for batch in seen:
        for row, line in zip(batch["rows"], batch["logps"], strict=True):
            expected = logps(trainer.model.eval(), row.prompt_ids, row.response_ids)
            torch.testing.assert_close(line[: len(expected)].double(), expected, atol=1e-4, rtol=1e-4)
            checked += 1
    assert checked == sum(map(len, trainer._mini_batches))


def test_the_teachers_context_stands_in_the_last_message(tmp_path: Path) -> None:
    trainer = trainer_of(serl(what="immediate"), tmp_path)
    (rows,) = trainer._play_update(0)
    chats, decode = Conversations.of(trainer.encoder), tokenizer().decode
    later = [row for row in rows if row.teacher_ids and row.past_tokens]
    assert len(later) > 5
    for row in later:
        assert row.teacher_ids[: row.past_tokens] == row.prompt_ids[: row.past_tokens]
        assert row.context is not None
        assert row.teacher_ids[row.past_tokens :] == chats.message(row.context.prompt(row.step.prompt))
        assert "Immediate feedback" in decode(list(row.teacher_ids))
        assert row.teacher_logps is not None


def test_a_conversation_is_in_one_mini_batch(tmp_path: Path) -> None:
    trainer = trainer_of(recipe("grpo"), tmp_path, replace(LONG, mini_batches=3, updates=1))
    parts = trainer._play_update(0)
    assert len(parts) == 3
    episodes = [{row.episode for row in part} for part in parts]
    assert sorted(number for part in episodes for number in part) == list(range(8))
    again = trainer._play_update(0)
    assert [[row.prompt_ids for row in part] for part in again] == [[row.prompt_ids for row in part] for part in parts]
    assert episodes != [{0, 3, 6}, {1, 4, 7}, {2, 5}], "the order is drawn"
    trainer.train()


def test_a_resumed_run_has_the_same_weights(tmp_path: Path) -> None:
    plan = replace(LONG, save_every=1, keep=9)
    method = serl(who="sync:2")
    whole = trainer_of(method, tmp_path / "whole", plan)
    whole.train()
    rest = trainer_of(method, tmp_path / "rest", plan)
    rest.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-1"))
    assert same_weights(weights(whole.model), weights(rest.model))


def test_a_limit_that_drops_turns_begins_new_sequences(tmp_path: Path) -> None:
    short = replace(LONG, prompt_tokens=250, context_tokens=60)
    trainer = trainer_of(serl(), tmp_path, short, encoder=encoder(short))
    (rows,) = trainer._play_update(0)
    assert all(len(row.prompt_ids) <= 250 for row in rows)
    dropped = [row for row in rows if row.message or (row.step.index and row.past_tokens == 0)]
    texts = [tokenizer().decode(list(row.prompt_ids)) for row in rows]
    assert any("left out" in text for text in texts)
    assert torch.isfinite(step(trainer))
    for row in dropped:
        assert row.teacher_ids == () or row.past_tokens or "Task" in tokenizer().decode(list(row.teacher_ids))


def test_a_warm_start_imitates_conversations() -> None:
    warm = WarmStart(tasks=2, siblings=1, noise=0.0, hindsight=1.0, batch=4)
    examples = [each for wave in expert_play(CHAT, list(panel())[:2], warm) for each in wave]
    later = [example for example in examples if example.past]
    assert later
    longest = max(later, key=lambda example: len(example.past))
    first = next(example for example in examples if not example.past and example.prompt == longest.past[0][0])
    assert longest.past[0] == (first.prompt, first.response)
    assert isinstance(fine_tune(model(), PromptEncoder(tokenizer(), 480), examples, warm), float)
    assert Example("a", "b").past == ()


def test_a_template_that_changes_replies_is_refused_before_the_first_rollout(tmp_path: Path) -> None:
    words = copy(tokenizer())
    words.chat_template = words.chat_template.replace("message.content", "message.content.split('</think>')[-1]")
    with pytest.raises(UsageError, match="keeps earlier replies"):
        trainer_of(recipe("grpo"), tmp_path, encoder=PromptEncoder(words, 480))
    trainer_of(recipe("grpo"), tmp_path, encoder=PromptEncoder(words, 480, {"keep_replies": True}))


def test_whole_logits_of_the_teacher_are_read_within_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its prompts do not extend one another: together they are several times as long as their conversation."""
    budget = 1000
    trainer = trainer_of(serl(aux_kl=1.0), tmp_path, replace(LONG, token_budget=budget))
    passes: list[tuple[int, int]] = []
    logits = trainer._scorer.logits

    def recorded(model: Any, sequences: Any) -> Any:
        passes.append((sequences.computed, sequences.useful))
        return logits(model, sequences)

    monkeypatch.setattr(trainer._scorer, "logits", recorded)
    rows = trainer._play_update(0)[0][:8]
    batch = trainer._collate(rows)
    read, hidden = trainer._teacher_pass(trainer.model, batch)
    assert hidden is None
    assert sum(useful for _, useful in passes) > 2 * budget
    assert max(computed for computed, _ in passes) <= budget
    for row, line in zip(rows, read, strict=True):
        prompt = row.teacher_ids or row.prompt_ids
        expected = scores(trainer.model.eval(), prompt, row.response_ids)
        found = line[: len(row.response_ids)].double().log_softmax(-1)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_settings() -> None:
    run = configure("serl", settings=["stage.history=conversation"])
    assert run.stage.history == "conversation"
    assert configure("serl", {"stage": {"history": "conversation"}}).stage.as_dict()["history"] == "conversation"
