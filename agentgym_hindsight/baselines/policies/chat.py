"""Converts prompts to token ids with a chat template and a length limit, and token ids to text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from agentgym_hindsight.baselines.policies.control_tokens import ControlTokens
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.budget import Budget
from agentgym_hindsight.hindsight.control_text import break_control_text, control_texts
from agentgym_hindsight.printable import printable_line
from agentgym_hindsight.wrappers.protocols.tool_block import split_tools

__all__ = ["SYSTEM", "TOOLS_OF_PROMPTS", "PromptEncoder"]

#: The setting of the chat template that is the text of a system message.
SYSTEM = "system"
#: As the template's ``tools``: each prompt begins with the schemas of its functions.
TOOLS_OF_PROMPTS = "of each prompt"
#: A function, to see whether a template lists functions.
_PROBE = '{"type": "function", "function": {"name": "agentgymhindsightfunction", "description": "", "parameters": '
_PROBE += '{"type": "object", "properties": {}}}}'
#: Encoders of lists of functions that are kept.
_MOST_LISTS = 256
#: Stands for the prompt where the text of the template around it is needed.
_CONTENT = "agentgymhindsightprompt"


class PromptEncoder:
    """Encodes prompts with the tokenizer's chat template, each to at most ``max_tokens`` tokens.

    The middle of a prompt that is too long is replaced by a marker; the template around it is never cut. (The released
    code cuts the right end, which includes the header of the answer.) ``cut`` counts the shortened prompts.

    A prompt is data: whatever a world printed, no token of it is a control token
    (:mod:`~agentgym_hindsight.baselines.policies.control_tokens`). A prompt without the text of a control token gets
    exactly the tokens of ``apply_chat_template``.

    ``template`` contains arguments of the chat template, for instance ``{"enable_thinking": False}``, or ``tools`` with
    the schemas of functions. Its setting ``system`` is no argument of the template: it is the text of a system message
    before every chat that does not begin with one. With ``tools`` = :data:`TOOLS_OF_PROMPTS` the schemas of a prompt
    are those at its start (:mod:`~agentgym_hindsight.wrappers.protocols.tool_block`), and are taken out of the text.
    """

    def __init__(self, tokenizer: Any, max_tokens: int = 2048, template: Mapping[str, Any] | None = None) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise UsageError(
                "Expected a tokenizer with a chat template, got one without; try an instruction-tuned model, "
                "or set tokenizer.chat_template."
            )
        self.tokenizer, self.max_tokens, self.template = tokenizer, max_tokens, dict(template or {})
        system = self.template.get(SYSTEM)
        self._arguments = {name: value for name, value in self.template.items() if name != SYSTEM}
        self._takes_tools = self.template.get("tools") == TOOLS_OF_PROMPTS
        if self._takes_tools:
            del self._arguments["tools"]
        if system is not None and not isinstance(system, str):
            raise UsageError(f"Expected a text in the template's setting {SYSTEM}, got {system!r}; try a sentence.")
        #: The system message before every chat; "" for none.
        self.system: str = system or ""
        self.cut = 0
        #: The encoding of conversations, made when it is first needed.
        self.conversations: object = None
        rendered = self._first_rendering()
        if rendered.count(_CONTENT) != 1:
            raise UsageError(
                f"Expected a chat template that shows the user's message once, got {rendered.count(_CONTENT)} times; "
                "try the template of the model's publisher."
            )
        for tool in self._arguments.get("tools", ()):
            if str(tool["function"]["name"]) not in rendered:
                raise UsageError(
                    "Expected a chat template that lists functions, got one that does not; "
                    "try the protocol 'tools', which lists them in the prompt."
                )
        #: The tokenizer's control tokens, and the encoding of texts that must not contain any.
        self.control = ControlTokens(tokenizer, rendered)
        #: The control tokens of the template around a prompt.
        self._around = self.control.of(self.control.plain([rendered])[0])
        self._end: str = getattr(tokenizer, "eos_token", None) or ""
        # In some templates the roles are ordinary text ("[INST]" of Llama 2): only another spelling keeps them apart.
        self._text_markers = _text_markers(f"{tokenizer.chat_template}\n{rendered}", self.control)
        #: Number of tokens of the template with an empty prompt.
        self.overhead = len(self._encode([""])[0])
        if max_tokens <= self.overhead:
            raise UsageError(f"Expected more than {self.overhead} tokens per prompt, got {max_tokens}; try 2048.")
        self._count = lru_cache(maxsize=256)(lambda text: len(self.control.encode_text(self.as_content(text))))
        self._of_tools = lru_cache(maxsize=_MOST_LISTS)(self._with_tools)
        if self._takes_tools:
            PromptEncoder(tokenizer, 10**9, self.template | {"tools": [json.loads(_PROBE)]})  # refuses such a template

    def text(self, prompt: str) -> str:
        """The prompt in the chat template, up to the start of the answer.

        The text shows what the model reads. To tokenize it would make control tokens of a prompt's text:
        :meth:`encode` does not.
        """
        encoder, rest = self._split(prompt)
        return encoder._text(rest)

    def encode(self, prompt: str) -> tuple[int, ...]:
        """The tokens of one prompt."""
        return self.encode_all([prompt])[0]

    def encode_all(self, prompts: Sequence[str]) -> list[tuple[int, ...]]:
        """The tokens of many prompts, in one call of the tokenizer, which is much faster than one by one."""
        return [
            ids if len(ids) <= self.max_tokens else self._shortened(prompt)
            for ids, prompt in zip(self.tokens(prompts), prompts, strict=True)
        ]

    def tokens(self, prompts: Sequence[str]) -> list[tuple[int, ...]]:
        """The tokens of many prompts without the length limit, for callers that shorten texts themselves."""
        return self._encode(prompts) if prompts else []

    def responses(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """The tokens of replies that no model sampled (an expert's), each with the token that ends a reply."""
        contents = [self.as_content(text) for text in texts]
        end = self.control.of(self.control.plain([self._end])[0])
        return self.control.encode(
            [content + self._end for content in contents], end, lambda index: ("", contents[index], self._end)
        )

    def count(self, text: str) -> int:
        """The number of tokens of a piece of text (for context budgets)."""
        return self._count(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of response tokens, without special tokens such as the end of the turn."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    # -- private ------------------------------------------------------------------------------------------------------

    def _text(self, prompt: str) -> str:
        content = self.as_content(prompt)
        try:
            return self._render(content)
        except Exception:  # the template refuses this content, such as one in the tags of a tool's result
            head, tail = self._template_around()
            return head + content + tail

    def _with_tools(self, lines: str) -> PromptEncoder:
        """The encoder of prompts with these functions."""
        tools = [json.loads(line) for line in lines.split("\n")]
        return PromptEncoder(self.tokenizer, self.max_tokens, self.template | {"tools": tools})

    def _split(self, prompt: str) -> tuple[PromptEncoder, str]:
        """The encoder of a prompt, and the prompt without the functions at its start."""
        if not self._takes_tools:
            return self, prompt
        lines, rest = split_tools(prompt)
        return (self._of_tools(lines) if lines else self), rest

    def _encode_split(self, prompts: Sequence[str]) -> list[tuple[int, ...]]:
        places: dict[PromptEncoder, list[tuple[int, str]]] = {}
        for index, prompt in enumerate(prompts):
            inner, rest = self._split(prompt)
            places.setdefault(inner, []).append((index, rest))
        encoded: list[tuple[int, ...]] = [()] * len(prompts)
        for inner, found in places.items():
            for (index, _), ids in zip(found, inner._encode_plain([rest for _, rest in found]), strict=True):
                encoded[index] = ids
        return encoded

    def _encode(self, prompts: Sequence[str]) -> list[tuple[int, ...]]:
        return self._encode_split(prompts) if self._takes_tools else self._encode_plain(prompts)

    def _encode_plain(self, prompts: Sequence[str]) -> list[tuple[int, ...]]:
        texts = [self._text(prompt) for prompt in prompts]
        return self.control.encode(texts, self._around, lambda index: self._parts(texts[index], prompts[index]))

    def _parts(self, rendered: str, prompt: str) -> tuple[str, str, str]:
        """The rendered text as the template before the prompt, the prompt, and the template after it."""
        head, tail = self._template_around()
        if len(rendered) < len(head) + len(tail) or not (rendered.startswith(head) and rendered.endswith(tail)):
            return head, self.as_content(prompt), tail  # the prompt changed the template around it
        return head, rendered[len(head) : len(rendered) - len(tail)], tail  # some templates strip the prompt

    def _template_around(self) -> tuple[str, str]:
        head, _, tail = self._render(_CONTENT).partition(_CONTENT)  # not cached: a template may contain the date
        return head, tail

    def _first_rendering(self) -> str:
        """The template around a prompt. Raises if it does not show the system message."""
        try:
            rendered = self._render(_CONTENT)
        except Exception as error:  # the template refuses the role; its own exception is of no common type
            if not self.system:
                raise
            cause = printable_line(f"{type(error).__name__}: {error}", 200)
        else:
            if self.system.strip() in rendered:
                return rendered
            cause = "it leaves the message out"
        raise UsageError(
            f"Expected a chat template that shows a system message, got one that does not ({cause}); "
            "try without a system message, or a protocol whose prompts contain this text."
        )

    def _render(self, content: str) -> str:
        return self.render([("user", content)])

    def render(self, chat: Sequence[tuple[str, str]]) -> str:
        """The template with these messages, each a role and a text, up to the start of the next reply."""
        return self.apply(self.with_system([{"role": role, "content": content} for role, content in chat]))

    def apply(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The template with exactly these messages."""
        rendered: str = self.tokenizer.apply_chat_template(
            [dict(message) for message in messages], tokenize=False, add_generation_prompt=True, **self._arguments
        )
        return rendered

    def with_system(self, messages: Sequence[dict[str, str]]) -> list[dict[str, str]]:
        """The messages after the system message, unless there is none or the chat has its own."""
        if not self.system or (messages and messages[0]["role"] == "system"):
            return list(messages)
        return [{"role": "system", "content": self.system}, *messages]

    def as_content(self, text: str) -> str:
        """The text as the content of a message: where roles are ordinary text in the template, it contains none."""
        if any(marker in text for marker in self._text_markers):
            return break_control_text(text)
        return text

    def _shortened(self, prompt: str) -> tuple[int, ...]:
        self.cut += 1
        encoder, rest = self._split(prompt)
        return encoder._shortest(rest)

    def _shortest(self, prompt: str) -> tuple[int, ...]:
        """The tokens of a prompt without functions, its middle left out."""
        limit = self.max_tokens - self.overhead
        budget = Budget(limit, self.count, "middle")
        while limit > 0:
            ids = self._encode_plain([budget.cut(prompt, limit)])[0]
            excess = len(ids) - self.max_tokens
            if excess <= 0:
                return ids
            limit -= excess  # token counts of pieces do not add up exactly where pieces join
        # There is no room for the marker: keep the longest beginning of the prompt that fits, without a marker.
        low, high = 0, len(prompt)
        while high - low > 1:
            middle = (low + high) // 2
            fits = len(self._encode_plain([prompt[:middle]])[0]) <= self.max_tokens
            low, high = (middle, high) if fits else (low, middle)
        return self._encode_plain([prompt[:low]])[0]


def _text_markers(template: str, control: ControlTokens) -> tuple[str, ...]:
    """The spellings of control tokens in the template that the tokenizer reads as ordinary text."""
    return tuple(text for text in control_texts(template) if not control.of(control.plain([text])[0]))
