"""Shared by tests of training: a policy of one thin layer, its tokenizer, a short stage, and rollouts that win.

A policy with random weights never wins, and groups without variance give no gradient. So replies and turns are played
as usual, and only the outcome is replaced: every other sibling wins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.policies.base import Reply, TurnView
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.run_settings import EvaluationSettings, RunSettings
from agentgym_hindsight.baselines.training.tiny import make_tokenizer
from agentgym_hindsight.baselines.training.trainer import HindsightTrainer
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import TaskPanel
from agentgym_hindsight.wrappers import format_response

STAGE = Stage(protocol="brief", settings={"data": "embedded", "difficulty": "easy", "max_steps": 4})
#: Prompts of this plan are never cut, which would take longer than all passes of the model.
PLAN = Plan(
    updates=2,
    tasks=2,
    siblings=4,
    learning_rate=1e-2,
    prompt_tokens=448,
    response_tokens=6,
    context_tokens=96,
    token_budget=4096,
)
#: With this plan the middle of most prompts is cut, in the teacher's prompts too.
CUTTING_PLAN = replace(PLAN, prompt_tokens=224, context_tokens=48)


@lru_cache(maxsize=1)
def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer trained on observations of the environment."""
    env = STAGE.make("train")
    texts = [env.reset(options={"task": task})[0] for task in panel()] * 4
    env.close()
    return make_tokenizer(texts, vocabulary=420)


@lru_cache(maxsize=1)
def panel() -> TaskPanel:
    """The training tasks."""
    return STAGE.panel("train", 6, seed=0)


def encoder(plan: Plan = PLAN) -> PromptEncoder:
    """An encoder with the plan's prompt limit."""
    return PromptEncoder(tokenizer(), plan.prompt_tokens)


def model(seed: int = 0) -> Qwen3ForCausalLM:
    """Twenty thousand weights, drawn from the seed."""
    words = tokenizer()
    config = Qwen3Config(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        intermediate_size=48,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.2,
        pad_token_id=words.pad_token_id,
        eos_token_id=words.eos_token_id,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = Qwen3ForCausalLM(config)
    made.generation_config.eos_token_id = words.eos_token_id
    made.generation_config.pad_token_id = words.pad_token_id
    return made


def serl(**values: Any) -> Method:
    """SERL on all tokens of a response, because random weights write no action that a parser finds."""
    return recipe("serl").changed(**{"tokens": "response", **values})


def half_won(episode: Episode) -> Episode:
    """The same replies and turns; siblings 0, 2, … win."""
    trajectory = episode.trajectory
    if trajectory.broken or trajectory.sibling % 2:
        return episode
    *rest, last = trajectory.steps
    steps = (*rest, replace(last, reward=10.0, score=1.0))
    return episode._replace(trajectory=trajectory.replace(steps=steps, won=True, score=1.0, truncated=False))


class HalfWonTrainer(HindsightTrainer):
    """A trainer whose groups have variance: every other sibling wins."""

    def _play(self, update: int, policy: Any) -> list[Episode]:
        return [half_won(episode) for episode in super()._play(update, policy)]

    def _play_again(self, update: int, policy: Any) -> list[Episode]:
        return [half_won(episode) for episode in super()._play_again(update, policy)]


class FixedPolicy:
    """A policy that replies with the action ``action_of(turn)``, in tokens."""

    name = "fixed"

    def __init__(self, action_of: Callable[[TurnView], str], parser: str = "brief") -> None:
        self.action_of, self.parser, self.encoder = action_of, parser, encoder()

    def act(self, turns: Sequence[TurnView]) -> list[Reply]:
        words, replies = tokenizer(), []
        for turn in turns:
            text = format_response(self.action_of(turn), self.parser)
            ids = (*words(text, add_special_tokens=False)["input_ids"], words.eos_token_id)
            replies.append(Reply(text, self.encoder.encode(turn.observation), ids, (-1.0,) * len(ids)))
        return replies


def make_trainer(
    method: Method, out: Path, plan: Plan = PLAN, kind: type[HindsightTrainer] = HalfWonTrainer, **options: Any
) -> HindsightTrainer:
    """A trainer that is ready for single steps as well as for ``train``."""
    options = {"model": model(), "stage": STAGE, "tasks": panel(), "encoder": encoder(plan), **options}
    trainer = kind(method=method, plan=plan, output_dir=out, **options)
    trainer.current_gradient_accumulation_steps = 1  # Trainer.train sets this
    trainer.model.train()
    return trainer


def trained(method: Method, out: Path, checkpoint: Path | None = None, **plan: Any) -> dict[str, torch.Tensor]:
    """The weights after training."""
    trainer = make_trainer(method, out, replace(PLAN, **plan))
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    return weights(trainer.model)


def weights(trained: Any) -> dict[str, torch.Tensor]:
    """A copy of a model's parameters."""
    return {name: parameter.detach().clone() for name, parameter in trained.named_parameters()}


def same_weights(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    """Bitwise equality."""
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def scores(scored: Any, prompt: Sequence[int], response: Sequence[int], temperature: float = 1.0) -> torch.Tensor:
    """Log-softmax over the vocabulary at every response token (T, V), by a plain forward pass of ``scored``."""
    with torch.no_grad():
        logits = scored(input_ids=torch.tensor([[*prompt, *response]])).logits[0, len(prompt) - 1 : -1]
    result: torch.Tensor = (logits.double() / temperature).log_softmax(-1)
    return result


def logps(scored: Any, prompt: Sequence[int], response: Sequence[int], temperature: float = 1.0) -> torch.Tensor:
    """Log-probabilities (T) of a response, by a plain forward pass of ``scored``."""
    return scores(scored, prompt, response, temperature).gather(-1, torch.tensor(response)[:, None])[:, 0]


def save_start(folder: Path) -> str:
    """Save the untrained policy and its tokenizer as a folder from which runs can start."""
    model().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


def make_run(start: str, **changes: Any) -> RunSettings:
    """Four updates with a checkpoint after each, and an evaluation on two tasks after every second one."""
    plan = replace(
        PLAN, **{"updates": 4, "save_every": 1, "keep": 9, "warmup": 3, "references": True, **changes.pop("plan", {})}
    )
    values: dict[str, Any] = {
        "method": serl(who="sync:2", what="success|immediate", when="0.5->0/3"),
        "stage": STAGE,
        "evaluation": EvaluationSettings(tasks=2, every=2, temperatures=(0.4,)),
        "train_tasks": 6,
        "samples_every": 1,
    }
    return RunSettings(model=start, plan=plan, **{**values, **changes})
