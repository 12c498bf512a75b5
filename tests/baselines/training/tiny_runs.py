"""What tests of training share: a policy of one thin layer, its tokenizer, a short stage, and luck where none is due.

A policy with random weights never wins, and without variance nothing is learnt. So the replies and the turns are played
as they always are, and the outcome alone is replaced: every other sibling wins.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from agentgym_hindsight.baselines.training.run import EvaluationSettings, RunSettings
from agentgym_hindsight.baselines.training.tiny import make_tokenizer
from agentgym_hindsight.baselines.training.trainer import HindsightTrainer
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import TaskPanel
from agentgym_hindsight.wrappers import format_response

STAGE = Stage(protocol="brief", settings={"data": "embedded", "difficulty": "easy", "max_steps": 4})
PLAN = Plan(
    updates=2,
    tasks=2,
    siblings=4,
    learning_rate=1e-2,
    prompt_tokens=224,
    response_tokens=6,
    context_tokens=48,
    token_budget=4096,
)


@lru_cache(maxsize=1)
def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that knows some words of the env."""
    env = STAGE.make("train")
    texts = [env.reset(options={"task": task})[0] for task in panel()] * 4
    env.close()
    return make_tokenizer(texts, vocabulary=420)


@lru_cache(maxsize=1)
def panel() -> TaskPanel:
    """What is trained on."""
    return STAGE.panel("train", 6, seed=0)


def encoder(plan: Plan = PLAN) -> PromptEncoder:
    """Prompts within the plan's limit."""
    return PromptEncoder(tokenizer(), plan.prompt_tokens)


def model(seed: int = 0) -> Qwen3ForCausalLM:
    """Twenty thousand weights, the same for the same seed."""
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
    """SERL on all tokens of a response: random weights write no action that could be found."""
    return recipe("serl").changed(**{"tokens": "response", **values})


def lucky(episode: Episode) -> Episode:
    """The same replies and turns, won by every other sibling."""
    trajectory = episode.trajectory
    if trajectory.broken or trajectory.sibling % 2:
        return episode
    *rest, last = trajectory.steps
    steps = (*rest, replace(last, reward=10.0, score=1.0))
    return episode._replace(trajectory=trajectory.replace(steps=steps, won=True, score=1.0, truncated=False))


class LuckyTrainer(HindsightTrainer):
    """A trainer whose groups have variance."""

    def _play(self, update: int, policy: Any) -> list[Episode]:
        return [lucky(episode) for episode in super()._play(update, policy)]


class Speaker:
    """A policy that says what it is told to, in tokens: ``says(turn)`` is an action."""

    name = "speaker"

    def __init__(self, says: Any, parser: str = "brief") -> None:
        self.says, self.parser, self.encoder = says, parser, encoder()

    def act(self, turns: Sequence[TurnView]) -> list[Reply]:
        words, replies = tokenizer(), []
        for turn in turns:
            text = format_response(self.says(turn), self.parser)
            ids = (*words(text, add_special_tokens=False)["input_ids"], words.eos_token_id)
            replies.append(Reply(text, self.encoder.encode(turn.observation), ids, (-1.0,) * len(ids)))
        return replies


def make_trainer(
    method: Method, out: Path, plan: Plan = PLAN, kind: type[HindsightTrainer] = LuckyTrainer, **options: Any
) -> HindsightTrainer:
    """A trainer that is ready for single steps as well as for ``train``."""
    options = {"model": model(), "stage": STAGE, "tasks": panel(), "encoder": encoder(plan), **options}
    trainer = kind(method=method, plan=plan, output_dir=out, **options)
    trainer.current_gradient_accumulation_steps = 1  # what Trainer.train sets
    trainer.model.train()
    return trainer


def weights(trained: Any) -> dict[str, torch.Tensor]:
    """A copy of a model's parameters."""
    return {name: parameter.detach().clone() for name, parameter in trained.named_parameters()}


def same_weights(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    """Equality to the bit."""
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def scores(speaking: Any, prompt: Sequence[int], response: Sequence[int], temperature: float = 1.0) -> torch.Tensor:
    """Log-softmax over the vocabulary at every response token (T, V), by a forward pass that knows no tricks."""
    with torch.no_grad():
        logits = speaking(input_ids=torch.tensor([[*prompt, *response]])).logits[0, len(prompt) - 1 : -1]
    scored: torch.Tensor = (logits.double() / temperature).log_softmax(-1)
    return scored


def logps(speaking: Any, prompt: Sequence[int], response: Sequence[int], temperature: float = 1.0) -> torch.Tensor:
    """Log-probabilities (T) of a response, likewise."""
    return scores(speaking, prompt, response, temperature).gather(-1, torch.tensor(response)[:, None])[:, 0]


def save_start(folder: Path) -> str:
    """The untrained policy and its tokenizer as a folder that runs can begin from."""
    model().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


def make_run(start: str, **changes: Any) -> RunSettings:
    """Four updates, a checkpoint after each, two tasks to be examined on."""
    plan = replace(PLAN, updates=4, save_every=1, keep=9, warmup=3, references=True, **changes.pop("plan", {}))
    values: dict[str, Any] = {
        "method": serl(who="sync:2", what="success|immediate", when="0.5->0/3"),
        "stage": STAGE,
        "evaluation": EvaluationSettings(tasks=2, every=2, temperatures=(0.4,)),
        "train_tasks": 6,
        "samples_every": 1,
    }
    return RunSettings(model=start, plan=plan, **{**values, **changes})
