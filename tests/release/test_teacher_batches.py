"""The whole batch of the teacher: its prompts in tokens, cut on the right, and the tokens that it weights."""

from __future__ import annotations

import copy
import random
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")

import numpy as np  # noqa: E402

from agentgym_hindsight.baselines.masks import action_tokens  # noqa: E402
from agentgym_hindsight.baselines.methods import recipe  # noqa: E402
from agentgym_hindsight.baselines.rollout import Episode  # noqa: E402
from agentgym_hindsight.baselines.training.context_settings import ContextSettings  # noqa: E402
from agentgym_hindsight.baselines.training.training_row import TrainingRow  # noqa: E402
from agentgym_hindsight.hindsight.context import SERL_MODES  # noqa: E402
from agentgym_hindsight.wrappers.released_spans import released_action_spans  # noqa: E402
from tests.baselines.training.test_training_rows import episode, rows_of, small_tokenizer  # noqa: E402
from tests.release.released_code import needs_release, released  # noqa: E402

pytestmark = [needs_release, pytest.mark.slow]

PLACES = ("a hall", "a room with a desk 1", "a kitchen")
FEEDBACK = ("You are in a room.", "Nothing happens.", "")
PIECES = (
    "<think>East.</think>", "<action>go east</action>", "<action>look</action>", "<action>", "</action>", "action>",
    "[action>", "take mug 1", "search[mug]", "click[buy]", "é日", " ", "\n",
)  # fmt: skip


class Settings(dict[str, Any]):
    """Settings by attribute and by ``get``."""

    __getattr__ = dict.__getitem__


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The release's trainer class, with the functions that it imports from a module of the release."""
    module = released("recipe/serl/serl_ray_trainer.py")
    contexts = released("recipe/serl/privileged_context.py")
    names = ("build_sampling_messages", "normalize_sampling_mode", "should_use_serl_teacher_for_step")
    for name in (*names, "normalize_optional_text"):
        monkeypatch.setattr(module, name, getattr(contexts, name))
    monkeypatch.setattr(module, "compute_position_id_with_mask", lambda mask: mask)
    monkeypatch.setattr(module, "DataProto", SimpleNamespace(from_dict=lambda tensors: tensors))
    return module.RaySERLTrainer


def random_episodes(rng: random.Random) -> list[Episode]:
    """Two to four siblings, the first of which wins."""

    def turns() -> list[tuple[str, str, str]]:
        return [
            (rng.choice(PLACES), "".join(rng.choices(PIECES, k=rng.randint(1, 4))), rng.choice(FEEDBACK))
            for _ in range(rng.randint(1, 4))
        ]

    return [episode(turns(), won=not sibling, sibling=sibling) for sibling in range(rng.randint(2, 4))]


def released_batch(trainer: Any, rows: list[TrainingRow], episodes: list[Episode], mode: str, limit: int) -> Any:
    """The tensors of the teacher's batch."""
    tokenizer = copy.deepcopy(small_tokenizer())
    tokenizer.padding_side, tokenizer.truncation_side = "left", "right"  # as the release's trainer sets them
    serl = Settings(
        sampling_mode=mode, max_reprompt_len=limit, mixing_lambda=0.5, dont_reprompt_on_self_success=True,
        remove_thinking_from_demonstration=True,
    )  # fmt: skip
    actor = Settings(serl=serl, policy_loss=Settings(loss_mode="serl_action_mask"))
    config = Settings(
        actor_rollout_ref=Settings(actor=actor), trainer=Settings(), data=Settings(max_prompt_length=limit)
    )
    width = max(len(row.response_ids) for row in rows)
    responses = torch.full((len(rows), width), tokenizer.pad_token_id)
    mask = torch.zeros_like(responses)
    for number, row in enumerate(rows):
        responses[number, : len(row.response_ids)] = torch.tensor(row.response_ids)
        mask[number, : len(row.response_ids)] = 1
    columns: dict[str, list[Any]] = {}
    for row in rows:
        trajectory, place = episodes[row.episode].trajectory, row.step.index
        following = trajectory.steps[place + 1].prompt if place + 1 < len(trajectory) else row.step.next_observation
        values = {
            "uid": row.group,
            "traj_uid": row.episode,
            "step_id": place,
            "raw_prompt": [{"role": "user", "content": row.step.prompt}],
            "anchor_obs": row.step.observation,
            "immediate_feedback": row.step.feedback,
            "next_observation_text": following or row.step.feedback,
            "episode_rewards": np.float32(trajectory.total_reward),
            "episode_lengths": np.float32(len(trajectory)),
            "rollout_success": trajectory.won,
        }
        for name, value in values.items():
            columns.setdefault(name, []).append(value)
    own = SimpleNamespace(
        config=config, tokenizer=tokenizer, global_steps=1, _maybe_dump_teacher_log=lambda **_: None,
        _normalize_raw_prompt=trainer._normalize_raw_prompt, _remove_thinking_trace=trainer._remove_thinking_trace,
        _find_action_spans=trainer._find_action_spans, _overlaps_action_span=trainer._overlaps_action_span,
    )  # fmt: skip
    own._build_action_token_mask = lambda **given: trainer._build_action_token_mask(own, **given)
    batch = SimpleNamespace(
        batch={"responses": responses, "response_mask": mask, "input_ids": responses}, non_tensor_batch=columns
    )
    tensors, _ = trainer._maybe_build_self_distillation_batch(own, batch, torch.zeros(len(rows), 1))
    return tensors, responses.shape[1]


@pytest.mark.parametrize("limit", [4096, 300], ids=["whole prompts", "prompts cut on the right"])
def test_the_batch_of_the_teacher(trainer: Any, limit: int, capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(0)
    compared = cut = asked = 0
    different: list[str] = []
    settings = ContextSettings(released=True, truncation="right_raw")
    for _ in range(40):
        episodes = random_episodes(rng)
        for mode, spec in SERL_MODES.items():
            if "judge" in spec:
                continue
            method = recipe("serl").changed(what=spec, tokens="action:released")
            rows = rows_of(episodes, method, limit=limit, contexts=settings)
            theirs, width = released_batch(trainer, rows, episodes, mode, limit)
            for number, row in enumerate(rows):
                compared += 1
                kept = theirs["teacher_attention_mask"][number].bool()
                prompt = theirs["teacher_input_ids"][number, :-width][kept[:-width]].tolist()
                marked = theirs["serl_action_mask"][number, : len(row.response_ids)].bool().tolist()
                same = bool(theirs["serl_mask"][number]) == (row.context is not None) and list(row.chosen) == marked
                if row.teacher_ids:  # a row that its teacher cannot change has none
                    asked += 1
                    cut += row.context_cut
                    same = same and list(row.teacher_ids) == prompt
                if not same:
                    different.append(f"{mode}: {row}\n{prompt}\n{marked}")
    with capsys.disabled():
        print(
            f"\nthe teacher's batch, at most {limit} tokens: {compared} rows compared, {asked} with a prompt, "
            f"{cut} of them cut, {len(different)} differ"
        )
    assert asked > 1_000
    assert (cut > 500) == (limit == 300)
    assert not different, different[0]


def test_control_tokens_in_texts(trainer: Any) -> None:
    """A world that writes the text of a control token: the release's tokenizer reads it as the token, ours as text."""
    end = small_tokenizer().eos_token_id
    turns = [(f"a hall {small_tokenizer().eos_token}", "<action>look</action>", "A wall.")]
    episodes = [episode(turns, won=True), episode(turns, sibling=1)]
    method = recipe("serl").changed(tokens="action:released")
    plain = rows_of([episode([("a hall", *turns[0][1:])], won=not k, sibling=k) for k in range(2)], method)
    rows = rows_of(episodes, method, contexts=ContextSettings(released=True))
    theirs, width = released_batch(trainer, rows, episodes, "immediate_feedback", 4096)
    ends = plain[0].teacher_ids.count(end)  # those of the template
    for number, row in enumerate(rows):
        assert row.teacher_ids.count(end) == ends
        assert theirs["teacher_input_ids"][number, :-width].tolist().count(end) == ends + 1


def test_masks_of_other_tokens_than_the_canonical_ones(trainer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A policy can sample a text in other tokens than its tokenizer writes it in.

    The release takes the places of the canonical tokens; the library takes those of the sampled ones. Where both have
    the same tokens, the masks are equal.
    """
    tokenizer = small_tokenizer()
    own = SimpleNamespace(
        tokenizer=tokenizer,
        _find_action_spans=trainer._find_action_spans,
        _overlaps_action_span=trainer._overlaps_action_span,
    )
    rng = random.Random(0)
    counts = {True: [0, 0], False: [0, 0]}  # canonical or not -> compared, different
    for number in range(4_000):
        text = "".join(rng.choices(PIECES, k=rng.randint(1, 5)))
        places = sorted(rng.sample(range(len(text) + 1), k=min(2, len(text)))) if number % 2 else []
        parts = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
        ids = [token for part in parts for token in tokenizer(part, add_special_tokens=False)["input_ids"]]
        if not ids:
            continue
        shown = tokenizer.decode(ids, skip_special_tokens=True)
        mine = action_tokens(
            lambda some: tokenizer.decode(some, skip_special_tokens=True), ids, extractor=released_action_spans
        )
        given = torch.tensor([ids])
        theirs = trainer._build_action_token_mask(own, given, [shown], torch.ones_like(given))[0].bool().tolist()
        canonical = tokenizer(shown, add_special_tokens=False)["input_ids"] == ids
        counts[canonical][0] += 1
        counts[canonical][1] += mine != theirs
    with capsys.disabled():
        print(f"\nmasks of action tokens: canonical {counts[True]}, other tokens {counts[False]} (compared, different)")
    assert counts[True][0] > 1_000
    assert counts[True][1] == 0
    assert counts[False][1] > 0  # if not, docs/benchmarks/serl-release.md is wrong
