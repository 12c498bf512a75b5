"""Our envs in TRL's own trainer: the interface it expects, and whole runs with a tiny model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from agentgym_hindsight.baselines.trl_environment import (
    INSTRUCTION,
    TRLEnvironment,
    to_trl_environment,
    trl_dataset,
    trl_reward,
)
from agentgym_hindsight.errors import MissingExtraError, ResetNeededError, UnknownNameError, UsageError
from agentgym_hindsight.hindsight import compose
from agentgym_hindsight.hindsight.trajectory import Group
from agentgym_hindsight.installation import pip_command
from tests.baselines.training.trl_release import needs_trls_scorer
from tests.toy import CorridorBackend, CorridorEnv

CORRIDOR = "Corridor-TRL-v0"


@pytest.fixture(autouse=True)
def _corridor() -> Iterator[None]:
    gym.register(CORRIDOR, entry_point=CorridorEnv, order_enforce=False)
    yield
    del gym.registry[CORRIDOR]


def corridor(**changes: Any) -> TRLEnvironment:
    return to_trl_environment(CORRIDOR, **changes)()


def walk(environment: TRLEnvironment, action: str = "east") -> list[str]:
    replies = []
    while not environment.over:
        replies.append(environment.act(action))
    return replies


def test_control_tokens_in_an_observation_are_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL tokenizes observations with special tokens."""
    shown = CorridorBackend._turn
    monkeypatch.setattr(
        CorridorBackend, "_turn", lambda self, text, **more: shown(self, f"{text}<|im_end|>\n<|im_start|>", **more)
    )
    environment = corridor()
    assert "corridor. Your task is to: Reach room" in (first := environment.reset())
    assert "< |im_end|>\n< |im_start|>" in first
    replies = walk(environment)
    assert all("< |im_end|>\n< |im_start|>" in reply for reply in replies)
    assert not any("<|" in reply for reply in [first, *replies])
    assert "<|im_end|>" in environment.trajectory.steps[0].observation, "the record has the world's text"


def test_an_episode() -> None:
    environment = corridor()
    first = environment.reset(task_id=CorridorBackend().task("train", 0).id, prompt=[{"role": "user", "content": ""}])
    assert first.startswith("Task: Reach room 4.\nObservation: You are in a corridor.")
    replies = walk(environment)
    assert len(replies) == 4
    assert replies[0] == "Task: Reach room 4.\nObservation: You are in room 1.\nAdmissible actions: east, west"
    assert replies[-1].endswith("The episode is over: the task is done.")
    assert environment.get_reward() == 10.0
    assert environment.act("east") == (
        "The episode is over: the task is done. Nothing more can be done: do not call this tool again."
    )
    assert len(environment.trajectory) == 4
    assert environment.trajectory.won
    assert environment.trajectory.steps[0].response == "east"


def test_an_episode_without_success() -> None:
    environment = corridor(settings={"max_steps": 2}, reward="native")
    environment.reset()
    assert environment.act("dance").startswith("Task:")
    assert environment.act("east").endswith("The episode is over: no turns are left.")
    assert environment.get_reward() == 0.0
    assert environment.trajectory.truncated
    assert [step.action_valid for step in environment.trajectory.steps] == [False, True]


def test_without_ids_siblings_play_the_same_tasks() -> None:
    kind = to_trl_environment(CORRIDOR, seed=5)
    one, other = kind(), kind()
    for environment in (one, other):
        environment.reset()
    assert one.trajectory.task_id == other.trajectory.task_id
    seen = {one.trajectory.task_id}
    for _ in range(11):
        one.reset()
        seen.add(one.trajectory.task_id)
    assert len(seen) == 12, "every task is played once before any is repeated"
    different = to_trl_environment(CORRIDOR, seed=6)()
    different.reset()
    assert different.trajectory.task_id != other.trajectory.task_id


def test_a_tagged_protocol_takes_whole_responses() -> None:
    environment = corridor(protocol="verl-agent-2025")
    assert "<action>" in environment.reset()
    environment.act("<think>on</think><action>east</action>")
    assert environment.trajectory.actions == ("east",)
    assert environment.trajectory.steps[0].action_span == (25, 29)


def test_hindsight_from_the_trajectories() -> None:
    kind = to_trl_environment(CORRIDOR)
    row = {"task_id": CorridorBackend().task("train", 1).id}
    winner, loser = kind(), kind()
    for environment in (winner, loser):
        environment.reset(**row)
    walk(winner)
    loser.act("dance")
    contexts = compose("success+immediate", Group([winner.trajectory, loser.trajectory]))
    assert contexts[1][0] is not None
    assert "Nothing happens." in contexts[1][0].text


def test_a_broken_rollout_is_data() -> None:
    environment = corridor()
    environment.reset()
    environment.act("east")
    assert environment.act("crash") == "The episode is over: the environment broke down."
    assert environment.act("east").startswith("The episode is over: the environment broke down.")
    assert environment.trajectory.broken == "RuntimeError: the corridor collapsed"
    assert environment.trajectory.actions == ("east",)
    assert environment.get_reward() is None
    assert trl_reward([environment]) == [None]
    environment.reset()
    walk(environment)
    assert environment.get_reward() == 10.0
    assert trl_reward([environment], prompts=[], trainer_state=None) == [1.0]


def test_a_broken_reset_is_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def fall(self: CorridorBackend, task: object) -> None:
        raise RuntimeError("no floor")

    environment = corridor()
    with monkeypatch.context() as patch:
        patch.setattr(CorridorBackend, "start", fall)
        assert environment.reset(task_id=CorridorBackend().task("train", 0).id) == (
            "The episode is over: the environment broke down."
        )
    assert environment.over
    assert environment.trajectory.broken == "RuntimeError: no floor"
    assert environment.reset().startswith("Task:")
    assert not environment.over


def test_errors() -> None:
    environment = corridor()
    with pytest.raises(ResetNeededError, match=r"Expected reset\(\) first, got act\(\) before it; try"):
        environment.act("east")
    with pytest.raises(ResetNeededError, match=r"Expected an episode, got none; try"):
        environment.get_reward()
    with pytest.raises(UnknownNameError, match="Expected a known task id, got 'nobody'"):
        environment.reset(task_id="nobody")
    environment.reset()
    with pytest.raises(UsageError, match="Expected the action as text, got int; try"):
        environment.act(3)  # type: ignore[arg-type]
    assert environment.act("east"), "the episode continues"
    with pytest.raises(UnknownNameError, match="environment id"):
        to_trl_environment("Corridor-TRL-v9")


def test_a_dataset_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentgym_hindsight.baselines.trl_environment.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=re.escape(pip_command("train"))):
        trl_dataset(CORRIDOR)


def test_a_dataset_of_tasks() -> None:
    pytest.importorskip("datasets", reason="needs the extra [train]")
    rows = trl_dataset(CORRIDOR, "valid", 3, seed=1)
    assert rows.column_names == ["prompt", "task_id"]
    assert len(set(rows["task_id"])) == 3
    assert rows[0]["prompt"] == [{"role": "user", "content": INSTRUCTION}]
    assert list(trl_dataset(CORRIDOR, "valid", 3, seed=1)["task_id"]) == list(rows["task_id"])
    assert len(trl_dataset(CORRIDOR, "valid")) == 5


# -- TRL's trainer -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """A byte-level BPE with Qwen3's special tokens and chat template, which TRL replaces by a prefix-preserving one."""
    pytest.importorskip("trl", reason="needs the extra [train]")
    tokenizers, transformers = pytest.importorskip("tokenizers"), pytest.importorskip("transformers")
    from trl.chat_template_utils import qwen3_chat_template

    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator([qwen3_chat_template, INSTRUCTION] * 3, trainer)
    inner.add_tokens(
        [
            tokenizers.AddedToken(tag, special=False, normalized=False)
            for tag in ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
        ]
    )
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<|pad|>", eos_token="<|im_end|>", padding_side="left"
    )
    made.chat_template = qwen3_chat_template
    return made


def tiny_model(tokenizer: Any) -> Any:
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=len(tokenizer),
                hidden_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=16,
                intermediate_size=64,
                max_position_embeddings=4096,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        )


def make_trainer(model: Any, tokenizer: Any, folder: Path, **changes: Any) -> Any:
    from trl import GRPOConfig, GRPOTrainer

    settings: dict[str, Any] = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "num_generations": 4,
        "max_completion_length": 1500,
        "max_tool_calling_iterations": 8,
        "learning_rate": 0.01,
        "max_steps": 2,
        "logging_steps": 1,
        "save_strategy": "no",
        "bf16": False,
        "gradient_checkpointing": False,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        **changes.pop("settings", {}),
    }
    return GRPOTrainer(model=model, processing_class=tokenizer, args=GRPOConfig(**settings), **changes)


class Script:
    """Replaces ``model.generate``: of four rollouts, the first and third go east to the end, the others dance once."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.prompts: list[str] = []

    def __call__(self, input_ids: Any, **_: Any) -> Any:
        import torch

        seen = self.tokenizer.batch_decode(input_ids)
        if not any('"action": "' in text for text in seen):
            self.prompts += [text.replace("<|pad|>", "") for text in seen]
        answers = [self.answer(text, number) for number, text in enumerate(seen)]
        encoded = self.tokenizer(answers, padding=True, padding_side="right", add_special_tokens=False)["input_ids"]
        return torch.cat([input_ids, torch.tensor(encoded)], dim=1)

    @staticmethod
    def answer(text: str, number: int) -> str:
        walking = '"action": "east"' in text if '"action": "' in text else number % 2 == 0
        if "The episode is over" in text.rpartition("<tool_response>")[2] or (not walking and '"action": "' in text):
            return "That was all.<|im_end|>"
        action = "east" if walking else "dance"
        return f'<tool_call>\n{{"name": "act", "arguments": {{"action": "{action}"}}}}\n</tool_call><|im_end|>'


@needs_trls_scorer
@pytest.mark.filterwarnings("ignore")  # warnings of torch, transformers and TRL
def test_trl_trains_on_it(tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    model = tiny_model(tokenizer)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    model.generate = script = Script(tokenizer)
    seen: list[list[Any]] = []

    def watch(environments: list[TRLEnvironment], task_id: list[str], **more: Any) -> list[float | None]:
        assert [environment.trajectory.task_id for environment in environments] == task_id
        seen.append([environment.trajectory for environment in environments])
        return trl_reward(environments, **more)

    trainer = make_trainer(
        model,
        tokenizer,
        tmp_path,
        settings={"reward_weights": [0.0]},
        reward_funcs=[watch],
        environment_factory=to_trl_environment(CORRIDOR),
        train_dataset=trl_dataset(CORRIDOR, n=4, seed=3),
    )
    trainer.train()

    assert len(seen) == 2
    for rollouts in seen:
        group = Group(rollouts)  # Group checks that all rollouts are of one task
        assert [rollout.won for rollout in group] == [True, False, True, False]
        assert [len(rollout) for rollout in group] == [int(rollouts[0].category[5:]), 1] * 2
    assert seen[0][0].task_id != seen[1][0].task_id
    logged = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert [entry["reward"] for entry in logged] == [5.0, 5.0]
    assert [entry["rewards/Corridor_TRL_v0/mean"] for entry in logged] == [5.0, 5.0]
    assert [entry["rewards/watch/mean"] for entry in logged] == [0.5, 0.5]
    assert all(entry["tools/failure_frequency"] == 0 for entry in logged)
    assert all(
        '"name": "act"' in prompt and "Observation: You are in a corridor." in prompt for prompt in script.prompts
    )
    moved = [name for name, value in model.named_parameters() if not value.equal(before[name])]
    assert len(moved) == len(before)


@needs_trls_scorer
@pytest.mark.filterwarnings("ignore")
def test_trl_trains_without_a_dataset(tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TRL's own sampling: an untrained model calls no tool and gets the reward 0."""
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    trainer = make_trainer(
        tiny_model(tokenizer),
        tokenizer,
        tmp_path,
        settings={"max_steps": 1, "max_completion_length": 8},
        environment_factory=to_trl_environment(CORRIDOR),
    )
    trainer.train()
    assert [entry["rewards/Corridor_TRL_v0/mean"] for entry in trainer.state.log_history if "reward" in entry] == [0.0]
    group = Group(environment.trajectory for environment in trainer.environments)
    assert [len(rollout) for rollout in group] == [0] * 4
