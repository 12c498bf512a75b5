"""A tiny model as a policy that remembers its distributions: continuations of one moment ask the same prompts often.

The reply to a prompt is drawn from the same distributions with the same random numbers as by
:class:`~agentgym_hindsight.baselines.policies.transformers.TransformersPolicy`. A distribution is computed once for
every prompt and beginning of a reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentgym_hindsight.baselines.requirements import require_train

require_train("sampling from a model")

import numpy as np  # noqa: E402
import torch  # noqa: E402

from agentgym_hindsight.baselines.methods.rows import Array  # noqa: E402
from agentgym_hindsight.baselines.padding import pad_left  # noqa: E402
from agentgym_hindsight.baselines.policies.base import Reply, TurnView  # noqa: E402
from agentgym_hindsight.baselines.policies.generation import cache_name, uniforms  # noqa: E402

__all__ = ["RememberingPolicy"]

#: Vocabularies up to this size are remembered: a distribution has 8 bytes per token.
LARGEST_VOCABULARY = 8192
_MOST_NUMBERS = 1 << 26  # numbers that are remembered, half a gigabyte; then all are forgotten


class _Node:
    """A prompt and the beginning of a reply: the cumulated probabilities of the next token, and what follows."""

    __slots__ = ("cumulated", "following")

    def __init__(self) -> None:
        self.cumulated: Array | None = None
        self.following: dict[int, _Node] = {}


class _Drawing:
    """A reply that is being drawn."""

    __slots__ = ("node", "numbers", "over", "probabilities", "prompt", "tokens")

    def __init__(self, prompt: tuple[int, ...], node: _Node, numbers: Array) -> None:
        self.prompt, self.node, self.numbers = prompt, node, numbers
        self.tokens: list[int] = []
        self.probabilities: list[float] = []
        self.over = False

    def draw(self, stop: frozenset[int], most: int) -> None:
        """Draw tokens until the reply ends, or until the next distribution is unknown."""
        while not self.over and self.node.cumulated is not None:
            cumulated = self.node.cumulated
            place = np.searchsorted(cumulated, self.numbers[len(self.tokens)] * cumulated[-1], side="right")
            token = int(min(place, len(cumulated) - 1))
            below = cumulated[token - 1] if token else 0.0
            self.probabilities.append(float((cumulated[token] - below) / cumulated[-1]))
            self.tokens.append(token)
            self.over = token in stop or len(self.tokens) == most
            self.node = self.node.following.setdefault(token, _Node())


class RememberingPolicy:
    """Wraps a policy of a local model with a small vocabulary. Conversations and greedy play go to the policy."""

    #: A pass of a tiny model takes about as long for a few replies as for many.
    turns_at_once = 1024

    def __init__(self, policy: Any) -> None:
        self.policy = policy
        self._roots: dict[tuple[int, ...], _Node] = {}
        self._prompts: dict[str, tuple[int, ...]] = {}
        self._texts: dict[tuple[int, ...], str] = {}
        self._remembered = 0

    @classmethod
    def suits(cls, policy: Any) -> bool:
        """Whether the policy's distributions can be remembered."""
        config = getattr(getattr(policy, "model", None), "config", None)
        size = getattr(config, "vocab_size", LARGEST_VOCABULARY + 1)
        return (
            hasattr(policy, "encoder") and not policy.native and policy.temperature > 0 and size <= LARGEST_VOCABULARY
        )

    @property
    def name(self) -> str:
        name: str = self.policy.name
        return name

    def act(self, turns: Sequence[TurnView]) -> list[Reply]:
        """The replies to a batch of turns."""
        if any(turn.past or turn.messages or turn.info.get("conversation") for turn in turns):
            replies: list[Reply] = self.policy.act(turns)
            return replies
        policy, most = self.policy, self.policy.max_new_tokens
        if self._remembered > _MOST_NUMBERS:
            self._roots, self._prompts, self._texts, self._remembered = {}, {}, {}, 0
        drawings = []
        for turn in turns:
            prompt = self._prompts.get(turn.observation)
            if prompt is None:
                prompt = self._prompts[turn.observation] = tuple(policy.encoder.encode(turn.observation))
            numbers = uniforms(most, "reply", policy.seed, turn.task_id, turn.sibling, turn.step)
            drawings.append(_Drawing(prompt, self._roots.setdefault(prompt, _Node()), numbers))
        waiting = self._drawn(drawings)
        while waiting:
            self._compute(waiting)
            waiting = self._drawn(waiting)
        return [
            Reply(
                self._text(tuple(each.tokens[:-1] if each.tokens[-1] in policy.stop else each.tokens)),
                each.prompt,
                tuple(each.tokens),
                tuple(np.log(np.maximum(each.probabilities, 1e-300)).tolist()),
                each.tokens[-1] in policy.stop,
            )
            for each in drawings
        ]

    def _text(self, tokens: tuple[int, ...]) -> str:
        if tokens not in self._texts:
            self._texts[tokens] = self.policy.encoder.decode(tokens)
        return self._texts[tokens]

    def _drawn(self, drawings: Sequence[_Drawing]) -> list[_Drawing]:
        """Draw as far as is known. Returns the replies that need a distribution."""
        stop, most = self.policy.stop, self.policy.max_new_tokens
        for each in drawings:
            each.draw(stop, most)
        return [each for each in drawings if not each.over]

    @torch.no_grad()
    def _compute(self, waiting: Sequence[_Drawing]) -> None:
        """The distributions that the replies need next, in batches of limited size."""
        by_node: dict[_Node, list[_Drawing]] = {}
        for each in waiting:
            by_node.setdefault(each.node, []).append(each)
        nodes = sorted(by_node, key=lambda node: len(by_node[node][0].prompt) + len(by_node[node][0].tokens))
        most, budget = self.policy.max_new_tokens, self.policy.batch_tokens
        while nodes:
            batch: list[_Node] = []
            while nodes and (not batch or (len(batch) + 1) * (len(by_node[nodes[0]][0].prompt) + most) <= budget):
                batch.append(nodes.pop(0))
            self._compute_batch([by_node[node] for node in batch])

    def _compute_batch(self, groups: list[list[_Drawing]]) -> None:
        """Read each beginning once, then follow all replies that go on from it, with one cache."""
        from transformers import DynamicCache

        policy = self.policy
        model, stop, most = policy.model, policy.stop, policy.max_new_tokens
        pad = policy.encoder.tokenizer.pad_token_id
        starts = [[*group[0].prompt, *group[0].tokens] for group in groups]
        ids, mask = (each.to(model.device) for each in pad_left(starts, pad if pad is not None else next(iter(stop))))
        cache, positions = DynamicCache(), (mask.cumsum(-1) - 1).clamp(min=0)
        argument = {cache_name(model): cache}
        training = model.training
        model.eval()
        try:
            while True:
                output = model(
                    input_ids=ids,
                    attention_mask=mask,
                    position_ids=positions,
                    use_cache=True,
                    logits_to_keep=1,
                    **argument,
                )
                scores = torch.log_softmax(output.logits[:, -1].float() / policy.temperature, dim=-1)
                cumulated = scores.double().exp().cumsum(-1).cpu().numpy()
                following: list[list[_Drawing]] = []
                rows, tokens = [], []
                for row, group in enumerate(groups):
                    node = group[0].node
                    node.cumulated = cumulated[row].copy()
                    self._remembered += node.cumulated.size
                    lengths = {id(each): len(each.tokens) for each in group}
                    further: dict[int, list[_Drawing]] = {}
                    for each in group:
                        each.draw(stop, most)
                        # Of those that need one token more than is known, the cache has everything before it.
                        if not each.over and len(each.tokens) == lengths[id(each)] + 1:
                            further.setdefault(each.tokens[-1], []).append(each)
                    for token, drawings in further.items():
                        rows.append(row)
                        tokens.append(token)
                        following.append(drawings)
                if not following:
                    return
                if rows != list(range(len(groups))):
                    chosen = torch.tensor(rows, device=model.device)
                    cache.batch_select_indices(chosen)
                    mask, positions = mask[chosen], positions[chosen]
                mask = torch.cat([mask, mask.new_ones((len(rows), 1))], dim=1)
                positions = positions[:, -1:] + 1
                ids = torch.tensor(tokens, device=model.device)[:, None]
                groups = following
        finally:
            model.train(training)
