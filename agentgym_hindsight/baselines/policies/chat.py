"""Converts prompts to token ids with a chat template and a length limit, and token ids to text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.budget import Budget

__all__ = ["PromptEncoder"]


class PromptEncoder:
    """Encodes prompts with the tokenizer's chat template, each to at most ``max_tokens`` tokens.

    The middle of a prompt that is too long is replaced by a marker; the template around it is never cut. (The released
    code cuts the right end, which includes the header of the answer.) ``cut`` counts the shortened prompts.

    ``template`` contains arguments of the chat template, for instance ``{"enable_thinking": False}``.
    """

    def __init__(self, tokenizer: Any, max_tokens: int = 2048, template: Mapping[str, Any] | None = None) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise UsageError(
                "Expected a tokenizer with a chat template, got one without; try an instruction-tuned model, "
                "or set tokenizer.chat_template."
            )
        self.tokenizer, self.max_tokens, self.template = tokenizer, max_tokens, dict(template or {})
        self.cut = 0
        #: Number of tokens of the template with an empty prompt.
        self.overhead = len(self._ids([self.text("")])[0])
        if max_tokens <= self.overhead:
            raise UsageError(f"Expected more than {self.overhead} tokens per prompt, got {max_tokens}; try 2048.")
        self._count = lru_cache(maxsize=256)(lambda text: len(self._ids([text])[0]))

    def text(self, prompt: str) -> str:
        """The prompt in the chat template, up to the start of the answer."""
        chat = [{"role": "user", "content": prompt}]
        rendered: str = self.tokenizer.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=True, **self.template
        )
        return rendered

    def encode(self, prompt: str) -> tuple[int, ...]:
        """The tokens of one prompt."""
        return self.encode_all([prompt])[0]

    def encode_all(self, prompts: Sequence[str]) -> list[tuple[int, ...]]:
        """The tokens of many prompts, in one call of the tokenizer, which is much faster than one by one."""
        if not prompts:
            return []
        encoded = self._ids([self.text(prompt) for prompt in prompts])
        return [
            ids if len(ids) <= self.max_tokens else self._shortened(prompt)
            for ids, prompt in zip(encoded, prompts, strict=True)
        ]

    def tokens(self, prompts: Sequence[str]) -> list[tuple[int, ...]]:
        """The tokens of many prompts without the length limit, for callers that shorten texts themselves."""
        return self._ids([self.text(prompt) for prompt in prompts]) if prompts else []

    def count(self, text: str) -> int:
        """The number of tokens of a piece of text (for context budgets)."""
        return self._count(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of response tokens, without special tokens such as the end of the turn."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def _ids(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        # The chat template already contains all special tokens.
        encoded = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return [tuple(ids) for ids in encoded]

    def _shortened(self, prompt: str) -> tuple[int, ...]:
        self.cut += 1
        limit = self.max_tokens - self.overhead
        budget = Budget(limit, self.count, "middle")
        while limit > 0:
            ids = self._ids([self.text(budget.cut(prompt, limit))])[0]
            excess = len(ids) - self.max_tokens
            if excess <= 0:
                return ids
            limit -= excess  # token counts of pieces do not add up exactly where pieces join
        # There is no room for the marker: keep the longest beginning of the prompt that fits, without a marker.
        low, high = 0, len(prompt)
        while high - low > 1:
            middle = (low + high) // 2
            fits = len(self._ids([self.text(prompt[:middle])])[0]) <= self.max_tokens
            low, high = (middle, high) if fits else (low, middle)
        return self._ids([self.text(prompt[:low])])[0]
