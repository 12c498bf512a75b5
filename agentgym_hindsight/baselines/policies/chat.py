"""A turn's prompt as the tokens a model reads: chat template, length limit, and the way back to text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.budget import Budget

__all__ = ["PromptEncoder"]


class PromptEncoder:
    """Turns prompts into token ids with a tokenizer's own chat template, each at most ``max_tokens`` long.

    A prompt that is too long loses the middle of its text, with a marker; the template around it is never cut. (The
    release cuts the right end, and with it the header of the answer.) ``cut`` counts how often that happened.

    ``template`` goes to the chat template, ``{"enable_thinking": False}`` for instance.
    """

    def __init__(self, tokenizer: Any, max_tokens: int = 2048, template: Mapping[str, Any] | None = None) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise UsageError(
                "Expected a tokenizer with a chat template, got one without; try an instruction-tuned model, "
                "or set tokenizer.chat_template."
            )
        self.tokenizer, self.max_tokens, self.template = tokenizer, max_tokens, dict(template or {})
        self.cut = 0
        #: Tokens of the template around an empty prompt.
        self.overhead = len(self._ids([self.text("")])[0])
        if max_tokens <= self.overhead:
            raise UsageError(f"Expected more than {self.overhead} tokens a prompt, got {max_tokens}; try 2048.")
        self._count = lru_cache(maxsize=256)(lambda text: len(self._ids([text])[0]))

    def text(self, prompt: str) -> str:
        """The prompt in its template, up to where the answer begins."""
        chat = [{"role": "user", "content": prompt}]
        rendered: str = self.tokenizer.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=True, **self.template
        )
        return rendered

    def encode(self, prompt: str) -> tuple[int, ...]:
        """One prompt's tokens."""
        return self.encode_all([prompt])[0]

    def encode_all(self, prompts: Sequence[str]) -> list[tuple[int, ...]]:
        """Many prompts' tokens; a batch is far cheaper than one by one."""
        if not prompts:
            return []
        encoded = self._ids([self.text(prompt) for prompt in prompts])
        return [
            ids if len(ids) <= self.max_tokens else self._shortened(prompt)
            for ids, prompt in zip(encoded, prompts, strict=True)
        ]

    def tokens(self, prompts: Sequence[str]) -> list[tuple[int, ...]]:
        """Many prompts' tokens, however many: for callers that know how to shorten a text themselves."""
        return self._ids([self.text(prompt) for prompt in prompts]) if prompts else []

    def count(self, text: str) -> int:
        """How many tokens a piece of text has (for context budgets)."""
        return self._count(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of response tokens; special ones such as the end of the turn have none."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def _ids(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        # The template has written every special token there is to be.
        encoded = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return [tuple(ids) for ids in encoded]

    def _shortened(self, prompt: str) -> tuple[int, ...]:
        self.cut += 1
        room = self.max_tokens - self.overhead
        budget = Budget(room, self.count, "middle")
        while room > 0:
            ids = self._ids([self.text(budget.cut(prompt, room))])[0]
            excess = len(ids) - self.max_tokens
            if excess <= 0:
                return ids
            room -= excess  # pieces and their sum differ by a token or two at the seams
        # Not even the marker has room: as much of the prompt as fits, without one.
        low, high = 0, len(prompt)
        while high - low > 1:
            middle = (low + high) // 2
            fits = len(self._ids([self.text(prompt[:middle])])[0]) <= self.max_tokens
            low, high = (middle, high) if fits else (low, middle)
        return self._ids([self.text(prompt[:low])])[0]
