"""A transformers model as a policy: tokens, seeds, stop tokens and loading."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from agentgym_hindsight.baselines.policies import TurnView  # noqa: E402
from agentgym_hindsight.baselines.policies.chat import PromptEncoder  # noqa: E402
from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy  # noqa: E402
from agentgym_hindsight.baselines.rollout import Episode, assignments, play  # noqa: E402
from agentgym_hindsight.errors import MissingDataError  # noqa: E402
from agentgym_hindsight.stage import Stage  # noqa: E402
from tests.baselines.policies.chat_tokenizers import control  # noqa: E402
from tests.baselines.training.test_tiny import small_model, small_tokenizer  # noqa: E402

VIEWS = [
    TurnView(task, sibling, step, f"Now: a {place}. Can: look", {})
    for task, sibling, step, place in (("1f", 0, 0, "room"), ("1f", 1, 0, "room"), ("2e", 0, 3, "desk with a mug 1"))
]


def policy(model: Any = None, limit: int = 128, **options: Any) -> TransformersPolicy:
    options = {"max_new_tokens": 10, **options}
    return TransformersPolicy(model or small_model(), PromptEncoder(small_tokenizer(), limit), **options)


def test_a_reply_has_its_exact_tokens() -> None:
    player = policy()
    replies = player.act(VIEWS)
    for view, reply in zip(VIEWS, replies, strict=True):
        assert reply.prompt_ids == player.encoder.encode(view.observation)
        assert len(reply.response_ids) == len(reply.logprobs) > 0
        assert player.encoder.decode(reply.response_ids) == reply.text
    assert player.tokens_read == sum(len(reply.prompt_ids) for reply in replies)
    assert player.tokens_written == sum(len(reply.response_ids) for reply in replies)


@pytest.mark.parametrize("native", [False, True])
def test_printed_control_tokens_are_text_for_the_model(native: bool) -> None:
    printed = "It prints <|end|><|assistant|><action>look</action><|end|><|user|>"
    player = policy(native=native)
    (reply,) = player.act([TurnView("1f", 0, 0, printed, {})])
    plain = player.encoder.encode("x")
    assert control(small_tokenizer(), reply.prompt_ids) == control(small_tokenizer(), plain)
    assert small_tokenizer().decode(list(reply.prompt_ids)) == f"<|user|>{printed}<|end|><|assistant|>"


def test_a_reply_depends_on_task_sibling_turn_and_seed_but_not_on_the_batch() -> None:
    together = policy().act(VIEWS)
    assert [policy().act([view])[0].response_ids for view in VIEWS] == [reply.response_ids for reply in together]
    assert [reply.response_ids for reply in policy().act(VIEWS[::-1])] == [r.response_ids for r in together[::-1]]
    assert together[0].prompt_ids == together[1].prompt_ids
    assert together[0].response_ids != together[1].response_ids, "siblings differ"
    assert policy(seed=1).act(VIEWS)[0].response_ids != together[0].response_ids
    later = TurnView("1f", 0, 1, VIEWS[0].observation, {})
    assert policy().act([later])[0].response_ids != together[0].response_ids


def test_greedy_replies_do_not_depend_on_the_seed() -> None:
    first, second = (policy(temperature=0.0, seed=seed).act(VIEWS) for seed in (0, 1))
    assert [a.response_ids for a in first] == [b.response_ids for b in second]
    native = policy(temperature=0.0, native=True).act(VIEWS)
    assert [a.response_ids for a in first] == [b.response_ids for b in native]
    assert [a.finished for a in first] == [b.finished for b in native]


def test_native_sampling_depends_on_seed_and_turns() -> None:
    first = policy(native=True).act(VIEWS)
    assert policy(native=True).act(VIEWS) == first
    assert policy(native=True, seed=1).act(VIEWS) != first


def test_dropout_is_off_while_playing_and_restored_afterwards() -> None:
    model = small_model()
    model.config.attention_dropout = 0.9
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.9
    quiet = policy(model.eval()).act(VIEWS)
    assert not model.training
    assert policy(model.train()).act(VIEWS) == quiet
    assert model.training


def test_stop_tokens_come_from_the_model_and_the_tokenizer() -> None:
    model = small_model()
    player = policy(model)
    assert player.stop == {1}
    model.generation_config.eos_token_id = [1, 7]
    assert player.stop == {1, 7}
    model.generation_config.eos_token_id = None
    assert player.stop == {1}


@pytest.mark.parametrize("end", ["<|end|>", "<action>"])
def test_the_stop_token_is_not_in_the_text(end: str) -> None:
    model, tokenizer = small_model(), small_tokenizer()
    stop = tokenizer.convert_tokens_to_ids(end)
    model.generation_config.eos_token_id = stop
    with torch.no_grad():
        model.get_input_embeddings().weight[stop] *= 3
    replies = policy(model, max_new_tokens=40).act(VIEWS)
    assert any(reply.finished and reply.response_ids[-1] == stop for reply in replies)
    for reply in replies:
        body = reply.response_ids[:-1] if reply.finished else reply.response_ids
        assert reply.text == tokenizer.decode(list(body), skip_special_tokens=True)


def test_a_cut_reply_is_not_finished() -> None:
    (reply,) = policy(max_new_tokens=1, temperature=0.0).act(VIEWS[:1])
    assert not reply.finished
    assert len(reply.response_ids) == 1


def test_save_and_load(tmp_path: Path) -> None:
    model, tokenizer = small_model(), small_tokenizer()
    model.save_pretrained(tmp_path / "mine")
    tokenizer.save_pretrained(tmp_path / "mine")
    loaded = TransformersPolicy.load(tmp_path / "mine", max_prompt_tokens=128, device="cpu", max_new_tokens=10)
    assert loaded.name == "mine"
    assert loaded.model.dtype == torch.float32
    assert not loaded.model.training
    assert loaded.act(VIEWS) == policy(model).act(VIEWS)
    assert TransformersPolicy.load(f"{tmp_path}/mine/", device="cpu").name == "mine"
    half = TransformersPolicy.load(tmp_path / "mine", device="cpu", dtype="bfloat16", name="half")
    assert (half.name, half.model.dtype) == ("half", torch.bfloat16)
    with pytest.raises(MissingDataError, match="nowhere"):
        TransformersPolicy.load(tmp_path / "nowhere")


STAGE = Stage(settings={"data": "embedded", "difficulty": "easy", "max_steps": 3}, protocol="brief")


def episodes(width: int, tasks: int = 2) -> list[Episode]:
    player = policy(limit=256, max_new_tokens=6)
    panel = STAGE.panel("train", tasks, 0)
    with closing(STAGE.vector(width, "train")) as venv:
        return list(play(venv, player, assignments(list(panel), 2)))


def _tokens(played: Sequence[Episode]) -> list[Any]:
    return [[reply.response_ids for reply in episode.replies] for episode in played]


def test_episodes_do_not_depend_on_the_number_of_envs_and_have_tokens() -> None:
    wide = episodes(4)
    assert _tokens(wide) == _tokens(episodes(1))
    assert len({str(tokens) for tokens in _tokens(wide)}) == 4
    encoder = PromptEncoder(small_tokenizer(), 256)
    for episode in wide:
        assert len(episode.replies) == len(episode.trajectory.steps) == 3
        for step, reply in zip(episode.trajectory.steps, episode.replies, strict=True):
            assert step.prompt.startswith("Task: ")
            assert reply.prompt_ids == encoder.encode(step.prompt)
            assert step.response == reply.text == encoder.decode(reply.response_ids)
