"""The hooks of a method that ask models, write contexts and replace rollouts: trained, resumed, and used wrongly."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("trl")

import torch

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.asking import Asked
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.replacing import Replacement, checked_replacements
from agentgym_hindsight.baselines.methods.teacher_prompts import ChatContext, checked_contexts
from agentgym_hindsight.baselines.policies.base import Reply
from agentgym_hindsight.baselines.policies.chat_messages import MessageEncoder
from agentgym_hindsight.baselines.training.analyser_client import AnalyserClient
from agentgym_hindsight.baselines.training.asker import Asker
from agentgym_hindsight.baselines.training.teacher_contexts import Composer
from agentgym_hindsight.baselines.training.trainer import HindsightTrainer
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight import Group, Step, Trajectory, compose
from agentgym_hindsight.hindsight.context import TeacherContext
from tests.baselines.policies.test_vllm import Together
from tests.baselines.training.hooked import METHOD, Hooked
from tests.baselines.training.tiny_runs import (
    CUTTING_PLAN,
    PLAN,
    STAGE,
    encoder,
    logps,
    make_trainer,
    same_weights,
    serl,
    trained,
    weights,
)
from tests.baselines.training.trainer_probes import record_loss_inputs
from tests.hindsight.test_judge import completion, serving

STEPS = tuple(Step(i, "A hall.", "look", "Nothing.", "A hall.", prompt=f"You are in hall {i}.") for i in range(2))
GROUPS = [Group([Trajectory("1f", steps=STEPS, won=True), Trajectory("1f", steps=STEPS[:1], sibling=1)])]


def hooked(**values: Any) -> Hooked:
    return replace(METHOD, **values)


def one_update(tmp_path: Path, method: Method = METHOD, **options: Any) -> tuple[HindsightTrainer, list[Any]]:
    """A trainer and the rows of its first update."""
    trainer = make_trainer(method, tmp_path, **options)
    (rows,) = trainer._play_update(0)
    return trainer, rows


# -- training ----------------------------------------------------------------------------------------------------------


def test_a_method_with_all_hooks_trains(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = []
    trainer = make_trainer(METHOD, tmp_path, on_update=lambda record, _: records.append(record))
    before = weights(trainer.model)
    trainer.train()
    assert not same_weights(before, weights(trainer.model))
    first, second = records
    # Two tasks of four siblings in the first update, and two others in the second.
    assert [record["resampled"] for record in records] == [8, 8]
    assert first["ask_prompts"] == 2 + 4  # a skill for each group, a hint for each lost rollout
    assert 6 <= first["ask_tokens"] <= 2 * 5 + 4 * 6
    assert first["ask_prompt_tokens"] > 6 * 10
    assert first["ask_failures"] == 0
    assert first["seconds_ask"] > 0
    assert first["replaced_success"] == first["resampled_success"] == 0.5
    assert first["resampled_turns"] > 0
    turns = [first["turns"], second["turns"] - first["turns"]]
    assert turns == [record["rows"] + record["resampled_turns"] for record in records]
    assert 0 < first["context_available"] < 1  # the third turn of a lost rollout has no context
    assert first["gap_by_source"].keys() == {"hint", "immediate"}
    logged = [line for line in trainer.state.log_history if "hindsight/ask_prompts" in line]
    assert len(logged) == 2


def test_replaced_rollouts_are_trained_with_the_messages_that_were_played(tmp_path: Path) -> None:
    trainer, rows = one_update(tmp_path)
    assert trainer._measured is not None
    prompts = MessageEncoder(trainer.encoder)
    episodes = {e.trajectory.steps[0].prompt: e for e in trainer._measured.episodes}
    assert len(episodes) == 2
    for row in rows:
        (episode,) = [e for e in trainer._measured.episodes if any(step is row.step for step in e.trajectory.steps)]
        (skill,) = [each.text for each in episode.trajectory.analyses if each.kind == "skill"]
        told = [{"role": "system", "content": f"<skills>{'' if skill == 'none' else skill}</skills>"}]
        assert row.prompt_ids == prompts.encode([*told, {"role": "user", "content": row.step.prompt}]).ids
        assert not row.other_prompt
        torch.testing.assert_close(
            torch.tensor(row.logprobs),
            logps(trainer.model, row.prompt_ids, row.response_ids).float(),
            atol=1e-4,
            rtol=1e-4,
        )
        assert episode.trajectory.extra["resampled"] == {"before": told, "trained_on": "played"}


def test_contexts_of_every_kind_become_the_teachers_prompts(tmp_path: Path) -> None:
    trainer, rows = one_update(tmp_path)
    assert trainer._measured is not None
    seen = set()
    for row in rows:
        (episode,) = [e for e in trainer._measured.episodes if any(step is row.step for step in e.trajectory.steps)]
        hints = [each for each in episode.trajectory.analyses if each.kind == "hint"]
        if not hints:
            assert isinstance(row.context, TeacherContext)
            assert row.context.sources == ("immediate",)
            continue
        (hint,) = hints
        assert (hint.step, hint.analyser) == (0, "policy")
        kind = row.step.index % 3
        seen.add(kind)
        if kind == 2:
            assert (row.context, row.teacher_ids) == (None, ())
            continue
        text = f"Consider: {hint.text}"
        prompt = row.step.prompt
        if kind == 1:
            assert isinstance(row.context, ChatContext)
            expected = trainer.encoder.tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}, {"role": "user", "content": text}],
                tokenize=False, add_generation_prompt=True,
            )  # fmt: skip
            assert row.teacher_ids == tuple(trainer.encoder.tokenizer(expected, add_special_tokens=False)["input_ids"])
        else:
            told = (
                f"{prompt.strip()}\n\nHint for the current step:\n{text.strip()}\n\nCorrectly solve the current task.\n"
            )
            assert row.teacher_ids == trainer.encoder.encode(told)
        assert not row.context_cut
        expected_logps = logps(trainer.model, row.teacher_ids, row.response_ids).float()
        torch.testing.assert_close(row.teacher_logps, expected_logps, atol=1e-4, rtol=1e-4)
    assert seen == {0, 1, 2}


@pytest.mark.slow
def test_a_run_with_hooks_resumes_to_the_same_bits(tmp_path: Path) -> None:
    method = hooked(writer="teacher", who=recipe("serl").who)
    whole = trained(method, tmp_path / "whole", updates=2, save_every=1, keep=9)
    rest = trained(method, tmp_path / "rest", tmp_path / "whole" / "checkpoint-1", updates=2)
    assert same_weights(whole, rest)


def test_without_a_strength_the_contexts_are_not_asked_for(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Never(Method):
        def contexts(self, groups: Any, ask: Any) -> Any:
            raise AssertionError("called with λ = 0")

    method = Never("never", GroupRelative(), kl=0.0)
    assert same_weights(trained(method, tmp_path / "a"), trained(recipe("grpo").changed(kl=0.0), tmp_path / "b"))


def test_plain_prompts_are_trained_with_the_ratio_to_the_prompts_that_were_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(hooked(trained_on="plain"), tmp_path)
    seen = record_loss_inputs(monkeypatch)
    trainer.training_step(trainer.model, None)
    (rows,) = trainer._mini_batches
    assert all(row.other_prompt for row in rows)
    assert all(row.prompt_ids == trainer.encoder.encode(row.step.prompt) for row in rows)
    old = torch.cat([each["old_per_token_logps"][each["completion_mask"].bool()] for each in seen])
    new = torch.cat([each["logps"][each["completion_mask"].bool()] for each in seen])
    sampled = sorted(value for row in rows for value in row.logprobs)
    torch.testing.assert_close(old.sort().values, torch.tensor(sampled), atol=1e-6, rtol=0)
    assert (old - new).abs().max() > 1e-3  # the ratio is not 1


def test_replaying_ends_when_the_turns_of_the_plan_are_spent(tmp_path: Path) -> None:
    trainer, rows = one_update(tmp_path, plan=replace(PLAN, turns=3))
    assert trainer._measured is not None
    assert trainer._measured.record["resampled"] == 0
    assert trainer.turns_played == len(rows)


def test_contexts_that_lose_text_are_counted(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Long(Method):
        def contexts(self, groups: Any, ask: Any) -> Any:
            text = "Go to the desk. " * 400
            return [
                [[ChatContext.after(r, place, text) if place % 2 else text for place in range(len(r))] for r in g]
                for g in groups
            ]

    method = Long("long", GroupRelative(), tokens=METHOD.tokens, when=METHOD.when, kl=0.0)
    trainer, rows = one_update(tmp_path, method)
    assert trainer._measured is not None
    assert trainer._measured.record["context_cut"] == 1.0
    assert all(len(row.teacher_ids) <= PLAN.prompt_tokens for row in rows)
    assert all("left out" in trainer.encoder.decode(row.teacher_ids) for row in rows if row.teacher_ids)
    assert one_update(tmp_path, serl())[0]._measured.record["context_cut"] == 0.0  # type: ignore[union-attr]
    assert one_update(tmp_path, serl(), plan=CUTTING_PLAN)[0]._measured.record["context_cut"] > 0  # type: ignore[union-attr]


# -- who answers -------------------------------------------------------------------------------------------------------


def test_the_teacher_answers_with_its_weights(tmp_path: Path) -> None:
    trainer = make_trainer(hooked(who=recipe("serl").who), tmp_path)
    trainer._make_teacher()
    assert trainer.teacher is not None
    teacher = weights(trainer.model)
    for parameter in trainer.model.parameters():
        parameter.data.mul_(1.5)
    policy = weights(trainer.model)
    trainer.asker.begin(0, {})
    prompts = ["Why?", [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]]
    answers = [
        trainer.asker.ask(prompts, Asked(who, 9, 0.0, None, None, None)) for who in ("policy", "teacher", "policy")
    ]
    assert answers[0] == answers[2] != answers[1]
    assert same_weights(policy, weights(trainer.model))
    trainer.model.load_state_dict(teacher, strict=False)
    assert trainer.asker.ask(prompts, Asked("policy", 9, 0.0, None, None, None)) == answers[1]


def test_answers_depend_on_seed_update_and_key_only(tmp_path: Path) -> None:
    trainer = make_trainer(hooked(), tmp_path)

    def ask(prompts: Sequence[str], update: int = 0, **more: Any) -> list[str]:
        trainer.asker.begin(update, {})
        return trainer.asker.ask(prompts, Asked("policy", 9, 1.0, None, None, more.get("keys")))

    both = ask(["Why?", "How?"])
    assert ask(["How?", "Why?"]) == both[::-1]
    assert ask(["Why?"]) == both[:1]
    assert ask(["Why?"], update=1) != both[:1]
    again = ask(["Why?", "Why?"])
    assert again[0] == both[0] != again[1]
    assert ask(["Why?", "Why?"], keys=["a", "b"]) == ask(["Why?", "Why?"], keys=["b", "a"])[::-1]


def test_an_endpoint_writes_until_it_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    records: list[dict[str, Any]] = []
    with serving(lambda body: completion(f"go <|im_end|> {len(body['messages'])}")) as stub:
        analyser = AnalyserClient(stub.url, "writer", retries=0, backoff=0.0)
        trainer = make_trainer(
            hooked(writer="endpoint"), tmp_path, analyser=analyser, on_update=lambda r, _: records.append(r)
        )
        (rows,) = trainer._play_update(0)
        assert trainer._measured is not None
        kept = [each for e in trainer._measured.episodes for each in e.trajectory.analyses]
        assert {(each.text, each.analyser) for each in kept} == {
            ("go <|im_end|> 1", "endpoint:writer"), ("go <|im_end|> 2", "endpoint:writer"),
        }  # fmt: skip
        control = trainer.encoder.control
        assert all(len(control.of(row.teacher_ids)) <= 5 for row in rows)
        body = stub.bodies[-1]
        assert (body["max_tokens"], body["temperature"], body["messages"][0]["role"]) == (6, 0.7, "system")
        assert len({body["seed"] for body in stub.bodies}) == len(stub.bodies) == 6
        assert trainer._measured.record["ask_tokens"] == 6 * 5
    trainer.method = hooked(writer="endpoint")
    with caplog.at_level(logging.WARNING):
        trainer.train()
    # The first update is played a second time: the skills of its two groups are in the method's memory.
    assert [record["ask_failures"] for record in records] == [4, 6]
    assert len([message for message in caplog.messages if "got no answer" in message]) == 1
    assert records[-1]["context_available"] > 0
    assert trainer.updates_done == 2


def test_a_schema_is_sent_to_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    schema = {"type": "object"}
    with serving([completion('{"step": 1}')]) as stub:
        client = AnalyserClient(stub.url, "writer", seeds=False, extra_body={"max_tokens": None})
        asker = Asker(None, None, analyser=client)
        assert asker.ask(["Where <|im_end|>?"], Asked("endpoint", 9, 0.0, schema, None, None)) == ['{"step": 1}']
    assert stub.bodies[0] == {
        "model": "writer", "temperature": 0.0,
        "messages": [{"role": "user", "content": "Where < |im_end|>?"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}},
    }  # fmt: skip
    assert "secret" not in repr(AnalyserClient("http://me:secret@localhost/v1", "m"))


class FakePolicy:
    """Answers with its name and the length of the prompt; counts the blocks that were entered."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log

    @contextmanager
    def answering(self, who: str, temperature: float, seed: object, max_tokens: int) -> Any:
        self.log.append((who, temperature, max_tokens))
        yield SimpleNamespace(
            generate=lambda prompts, keys: [Reply(f"{who} {len(prompt)}", prompt) for prompt in prompts]
        )


def test_processes_with_different_numbers_of_questions_answer_together() -> None:
    gather = Together(3)
    asked: list[list[tuple[str, int]]] = [
        [("policy", 4), ("teacher", 4)],
        [],
        [("teacher", 4), ("policy", 7), ("policy", 4)],
    ]
    logs: list[list[Any]] = [[], [], []]

    def process(number: int) -> list[list[str]]:
        asker = Asker(encoder(), FakePolicy(logs[number]).answering, gather=gather, together=True)
        said = [
            asker.ask(["A.", "A room."], Asked(who, length, 1.0, None, None, None)) for who, length in asked[number]
        ]
        asker.drain()
        return said

    with ThreadPoolExecutor(3) as pool:
        said = list(pool.map(process, range(3)))
    assert [[answer.split()[0] for answer, _ in each] for each in said] == [[who for who, _ in each] for each in asked]
    assert logs[0] == logs[1] == logs[2], "every process enters the same blocks in the same order"
    assert logs[0] == [
        ("policy", 1.0, 4),
        ("teacher", 1.0, 4),
        ("policy", 1.0, 7),
        ("teacher", 1.0, 4),
        ("policy", 1.0, 4),
    ]


def test_vllm_answers_with_its_own_length_and_the_teachers_weights(tmp_path: Path) -> None:
    class Generation:
        logprobs, temperature, max_completion_length = 0, 1.0, PLAN.response_tokens

        def __init__(self) -> None:
            self.events: list[Any] = []

        def sync_weights(self) -> None:
            self.events.append(next(iter(weights(trainer.model).values())).flatten()[0].item())

        def generate(self, prompts: list[list[int]], images: None, num_generations: int) -> Any:
            self.events.append((self.temperature, self.max_completion_length, len(prompts)))
            end = trainer.encoder.tokenizer.eos_token_id
            return prompts, [[5, end]] * len(prompts), [[[-0.1], [-0.2]]] * len(prompts), None

    trainer = make_trainer(hooked(who=recipe("serl").who), tmp_path)
    trainer._make_teacher()
    first = next(iter(trainer.model.parameters()))
    before = first.flatten()[0].item()
    first.data.mul_(2.0)
    trainer.plan, trainer.vllm_generation = replace(PLAN, vllm="colocate"), Generation()
    for who in ("policy", "teacher", "policy"):
        asked = Asked(who, 9, 0.5, None, None, None)  # type: ignore[arg-type]
        (answer,) = trainer.asker.ask(["Why?"], asked)
        assert answer == trainer.encoder.decode([5])
    with trainer.current_policy(1.0, "any"):
        pass
    said = (0.5, 9, 1)
    assert trainer.vllm_generation.events == [2 * before, said, before, said, 2 * before, said]
    assert (trainer.vllm_generation.temperature, trainer.vllm_generation.max_completion_length) == (
        1.0,
        PLAN.response_tokens,
    )


# -- the default, and wrong uses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["immediate", "success|immediate@anchor", "success+future"])
def test_the_default_contexts_are_those_of_what(what: str) -> None:
    method = serl(what=what)
    prompts = encoder()
    composer = Composer(method, prompts, None, 48)
    given = method.contexts(GROUPS, Asker.silent().hook(composer.compose, GROUPS))
    expected = compose(what, GROUPS[0], options=composer.options, budget=composer.budget)
    assert [tuple(map(tuple, given[0]))] == [expected]
    assert checked_contexts(given, GROUPS, "serl") == [each for member in expected for each in member]


WRONG_CONTEXTS: list[tuple[Any, str]] = [
    (None, "for 1 groups from contexts of 'mine', got NoneType"),
    ([[]], "for 2 members of group 0 from contexts of 'mine', got 0"),
    ([[["a"], ["b"]]], "for 2 turns of group 0, member 0 from contexts of 'mine', got 1"),
    (["ab"], "for 2 members of group 0 from contexts of 'mine', got str"),
    ([[["a", 3], [None]]], "context of a turn from contexts of 'mine', got int"),
    ([[["a", [{"role": "user"}]], [None]]], "role and content"),
]


@pytest.mark.parametrize(("given", "says"), WRONG_CONTEXTS)
def test_wrong_contexts_are_errors_with_a_cure(given: Any, says: str) -> None:
    with pytest.raises(UsageError, match=f"{says}.*; try "):
        checked_contexts(given, GROUPS, "mine")


WRONG_REPLACEMENTS: list[tuple[Any, str]] = [
    ("a", "got \\['str'\\]"),
    ([(0, 1)], "got \\['tuple'\\]"),
    (3, "got int"),
    ([Replacement(1, 0)], "members of 1 groups .* got group 1, member 0"),
    ([Replacement(0, 2)], "got group 0, member 2"),
    ([Replacement(0, 1), Replacement(0, 1, before="a")], "got two of group 0, member 1"),
]


@pytest.mark.parametrize(("given", "says"), WRONG_REPLACEMENTS)
def test_wrong_replacements_are_errors_with_a_cure(given: Any, says: str) -> None:
    with pytest.raises(UsageError, match=f"{says}.*; try "):
        checked_replacements(given, GROUPS, "mine")


def test_wrong_questions_are_errors_with_a_cure() -> None:
    asker = Asker(encoder(), FakePolicy([]).answering, has_teacher=False, most_tokens=100)
    ask = asker.hook(lambda what, groups: [], GROUPS)
    wrong: list[tuple[Callable[[], Any], str]] = [
        (lambda: ask("Why?"), "a list of prompts, got str"),
        (lambda: ask([3], max_tokens=9), "a text or a list of messages, got int"),  # type: ignore[list-item]
        (lambda: ask(["a"], who="oracle"), "oracle"),  # type: ignore[arg-type]
        (lambda: ask(["a"], who="endpoint"), "a server for who='endpoint'.*analyser.base_url"),
        (lambda: ask(["a"], who="teacher"), "a method with a teacher"),
        (lambda: ask(["a"], max_tokens=0), "max_tokens ≥ 1"),
        (lambda: ask(["a"], max_tokens=100), "below 100, the length of vLLM"),
        (lambda: ask(["a"], keys=[]), "a key for each of 1 prompts, got 0"),
        (lambda: ask.keep(Trajectory("2e"), "hint", "a"), "a rollout of this update"),
        (lambda: ask.keep(GROUPS[0][1], "hint", "a", step=1), "one of its turns or None"),
        (lambda: ask.keep(GROUPS[0][1], "rumour", "a"), "rumour"),
        (lambda: Asker.silent().ask(["a"], Asked("policy", 9, 1.0, None, None, None)), "try ask in a trainer"),
    ]
    for call, says in wrong:
        with pytest.raises(UsageError, match=says):
            call()
    assert ask([], max_tokens=9) == []
    assert json.dumps(asker.figures.prompts) == "0"


def test_rollouts_of_conversations_are_not_played_again_with_messages(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Expected bounded prompts for hooked"):
        one_update(tmp_path, stage=replace(STAGE, history="conversation"))


def test_a_chat_of_a_conversation_has_its_earlier_turns(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Told(Method):
        def contexts(self, groups: Any, ask: Any) -> Any:
            return [[[ChatContext.after(r, place, "Go on.") for place in range(len(r))] for r in g] for g in groups]

    method = Told("told", GroupRelative(), tokens=METHOD.tokens, when=METHOD.when, kl=0.0)
    trainer, rows = one_update(tmp_path, method, stage=replace(STAGE, history="conversation"))
    scored = [row for row in rows if row.teacher_ids]
    assert any(row.past_tokens for row in scored)
    for row in scored:
        text = trainer.encoder.tokenizer.decode(list(row.teacher_ids))
        assert "Go on." in text
        assert row.context_cut or row.step.prompt[:40] in text
        assert row.teacher_logps is not None
        assert torch.isfinite(row.teacher_logps).all()
