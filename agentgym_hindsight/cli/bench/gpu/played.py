"""Rollouts with prompts of a real env and replies of realistic lengths, for models with random weights.

A model with random weights writes noise and no action. So the noisy expert of the embedded ALFWorld plays, with the
prompts of the papers, and each action gets a thought of a drawn length before it. Contexts, credit and rows are then
made from these rollouts by the usual code.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from agentgym_hindsight.baselines.policies.base import Reply, TurnView
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.scripted import ExpertPolicy
from agentgym_hindsight.baselines.rollout import Episode, assignments, play
from agentgym_hindsight.baselines.training.presets import tiny_preset
from agentgym_hindsight.baselines.training.tiny import make_tokenizer
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import TaskPanel, seeded_int
from agentgym_hindsight.wrappers import format_response

__all__ = ["PROMPT_TOKENS", "RESPONSE_TOKENS", "Lengths", "Played", "played"]

#: The limits of the papers.
PROMPT_TOKENS, RESPONSE_TOKENS = 2048, 512
#: Tokens of the tokenizer that is trained on the prompts: about 3.7 letters a token, as large tokenizers have.
_VOCABULARY = 1024
_NOISE = 0.3
_ENV = "ALFWorld-Hindsight-v0"


@dataclass(frozen=True)
class Lengths:
    """The number of rollouts and turns, and the thoughts: the median number of tokens and the spread (of its log).

    With ``tiny``, the world, the prompts and the replies (without thoughts) are those of the preset of tiny policies.
    """

    tasks: int = 2
    siblings: int = 8
    turns: int = 8
    thought: int = 90
    spread: float = 0.5
    tiny: bool = False

    @classmethod
    def of(cls, dry: bool) -> Lengths:
        """The lengths of the real run, or of the dry run."""
        return cls(tasks=1, siblings=4, turns=3, thought=6) if dry else cls()

    @classmethod
    def of_tiny(cls, dry: bool) -> Lengths:
        """Those of an update of a tiny policy, or of the dry run."""
        return cls(tasks=1, siblings=4, turns=3, tiny=True) if dry else cls(tasks=8, siblings=8, turns=10, tiny=True)


@dataclass(frozen=True)
class Played:
    """Rollouts, in order of tasks and siblings, the env they come from, and their tokenizer."""

    stage: Stage
    tasks: TaskPanel
    encoder: PromptEncoder
    episodes: tuple[Episode, ...]

    @property
    def prompts(self) -> list[tuple[int, ...]]:
        """The tokens of all prompts."""
        return [reply.prompt_ids for episode in self.episodes for reply in episode.replies]

    @property
    def texts(self) -> list[str]:
        """The texts of all prompts, in the same order."""
        return [step.prompt for episode in self.episodes for step in episode.trajectory.steps]

    def description(self) -> dict[str, float | int]:
        """The numbers of rollouts and rows, and the mean lengths."""
        replies = [reply for episode in self.episodes for reply in episode.replies]
        return {
            "rollouts": len(self.episodes),
            "rows": len(replies),
            "tokens of a prompt": float(np.mean([len(reply.prompt_ids) for reply in replies])),
            "tokens of the longest prompt": max(len(reply.prompt_ids) for reply in replies),
            "tokens of a reply": float(np.mean([len(reply.response_ids) for reply in replies])),
        }


@cache
def played(lengths: Lengths, seed: int = 0) -> Played:
    """The rollouts of a seed. They do not depend on the machine."""
    settings: dict[str, Any] = {"data": "embedded", "expert": True, "max_steps": lengths.turns}
    protocol = "verl-agent-2025"
    if lengths.tiny:
        preset = tiny_preset(_ENV)["stage"]
        settings, protocol = {**preset["settings"], **settings}, preset["protocol"]
    stage = Stage(_ENV, settings, protocol=protocol)
    tasks = stage.panel("train", max(8, lengths.tasks), seed)
    todo = assignments(list(tasks)[: lengths.tasks], lengths.siblings)
    with closing(stage.vector(len(todo), "train")) as venv:
        seen = list(play(venv, ExpertPolicy(seed, _NOISE), todo, seed=seed))
        texts = [step.prompt for episode in seen for step in episode.trajectory.steps]
        # The same texts several times: the trainer of the tokenizer merges only pairs that occur twice.
        encoder = PromptEncoder(make_tokenizer([*texts, *texts], _VOCABULARY), PROMPT_TOKENS)
        episodes = tuple(play(venv, _Thinking(encoder, lengths, stage.parser, seed), todo, seed=seed))
    return Played(stage, tasks, encoder, episodes)


class _Thinking:
    """The noisy expert with thoughts. The thought is a sequence of drawn tokens of the prompt."""

    name = "expert with thoughts"

    def __init__(self, encoder: PromptEncoder, lengths: Lengths, parser: str, seed: int) -> None:
        self._expert, self._encoder, self._lengths, self._seed = ExpertPolicy(seed, _NOISE), encoder, lengths, seed
        self._parser = parser

    def act(self, turns: Sequence[TurnView]) -> list[Reply]:
        actions = self._expert.act(turns)
        prompts = self._encoder.encode_all([turn.observation for turn in turns])
        return [self._reply(*each) for each in zip(turns, prompts, actions, strict=True)]

    def _reply(self, turn: TurnView, prompt: tuple[int, ...], action: str) -> Reply:
        key = seeded_int("thought", self._seed, turn.task_id, turn.sibling, turn.step)
        draw = np.random.Generator(np.random.Philox(key=key))
        words = self._encoder.tokenizer
        text = format_response(action, self._parser) if self._lengths.tiny else self._thought(draw, prompt, action)
        ids: tuple[int, ...] = (*words(text, add_special_tokens=False)["input_ids"], words.eos_token_id)
        return Reply(text, prompt, ids, _logprobs(draw, len(ids)), True)

    def _thought(self, draw: Any, prompt: tuple[int, ...], action: str) -> str:
        """The response with a thought of a drawn number of tokens."""
        count = round(self._lengths.thought * float(np.exp(self._lengths.spread * draw.standard_normal())))
        count = min(max(count, 1), RESPONSE_TOKENS - 64)
        words = self._encoder.tokenizer
        letters = [token for token in prompt if token not in words.all_special_ids]
        thought = words.decode([letters[i] for i in draw.integers(0, len(letters), count)])
        return f"<think>{thought.replace('<', ' ')}</think><action>{action}</action>"


def _logprobs(draw: Any, count: int) -> tuple[float, ...]:
    """Log-probabilities of a sampler. They are only read where rows were sampled by another model."""
    return tuple(float(value) for value in -draw.exponential(0.5, count))
