"""The prompts of conversations: each begins with the tokens of the turn before, exactly as they were read and sampled.

The tokens of a reply are never made again from its text, because a tokenizer may cut the text in other places. The
prompt of a turn is the prompt of the turn before, the sampled reply, and the template's tokens for the end of the reply
and the next user message. So all turns are one sequence: a trainer computes it once, and a sampler keeps its KV cache.

If the next prompt would be longer than the limit, the oldest turns are dropped: the first message stays, and after it
come as many of the newest turns as fit into half of the limit. The half that remains is for turns to come, so that few
turns begin a new sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from agentgym_hindsight.baselines.policies.base import Reply
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.errors import UsageError

__all__ = ["KEEP_REPLIES", "Conversations", "Encoded"]

#: Stand for the texts of a chat where the text of the template around them is needed.
_USER, _REPLY, _NEXT = "agentgymhindsightuser", "agentgymhindsightreply", "agentgymhindsightnext"
#: The setting of the chat template with which replies stay as they were sampled.
KEEP_REPLIES = "keep_replies"

Past = Sequence[tuple[str, Reply]]


class Encoded(NamedTuple):
    """A prompt's tokens, how many of them are earlier turns, and the message after those if turns were dropped."""

    ids: tuple[int, ...]
    past_tokens: int = 0
    message: str = ""


class Conversations:
    """Encodes the turns of conversations with the chat template of an encoder.

    The template must show every message once and keep earlier replies. Some templates remove the thinking of earlier
    replies, for instance Qwen3's: then earlier turns would have other tokens than those that were sampled. They are
    rejected, unless the template's setting ``keep_replies`` is true; replies are then kept as they were sampled.
    """

    def __init__(self, encoder: PromptEncoder) -> None:
        self.encoder = encoder
        self._before, self._after = self._around_message()
        ids = encoder.control.plain([self._before])[0]
        # The token that ends a reply, if the template writes one: a sampled reply usually has it already.
        self._end = ids[:1] if encoder.control.of(ids[:1]) else ()
        self._message = lru_cache(maxsize=4096)(self._message_ids)

    @classmethod
    def of(cls, encoder: PromptEncoder) -> Conversations:
        """The conversations of this encoder; made once."""
        made = getattr(encoder, "conversations", None)
        if made is None:
            made = encoder.conversations = cls(encoder)
        assert isinstance(made, cls)
        return made

    def encode(self, past: Past, prompt: str) -> Encoded:
        """The prompt after the turns ``past``, whose last reply has its tokens."""
        carried = self.carried(past[-1][1])
        message = self.message(prompt)
        if len(carried) + len(message) <= self.encoder.max_tokens:
            return Encoded((*carried, *message), len(carried))
        return self._shorter(past, prompt)

    def carried(self, reply: Reply) -> tuple[int, ...]:
        """The tokens of a turn, its reply and the end of the reply: the first tokens of the next prompt."""
        return (*reply.prompt_ids, *self._ended(reply))

    def message(self, text: str) -> tuple[int, ...]:
        """The tokens of a user message after a reply, up to the start of the next reply."""
        return self._message(text)

    # -- private ------------------------------------------------------------------------------------------------------

    def _ended(self, reply: Reply) -> tuple[int, ...]:
        ids = reply.response_ids
        if not reply.prompt_ids or not ids:
            raise UsageError(
                "Expected the tokens of every reply of a conversation, got only a text; "
                "try one policy for the whole rollout."
            )
        return ids if self.encoder.control.of(ids[-1:]) else (*ids, *self._end)

    def _message_ids(self, text: str) -> tuple[int, ...]:
        content = self.encoder.as_content(text)
        parts = (self._before, content, self._after)
        expected = self.encoder.control.of(self.encoder.control.plain([self._before + self._after])[0])
        ids = self.encoder.control.encode(["".join(parts)], expected, lambda _: parts)[0]
        return ids[len(self._end) :]

    def _shorter(self, past: Past, prompt: str) -> Encoded:
        """The first message, the newest turns that fit into half of the limit, and the prompt."""
        limit = self.encoder.max_tokens
        prompts = [text for text, _ in past] + [prompt]
        tail: tuple[int, ...] = ()  # after the first message
        last = len(past)
        kept = None
        for start in range(len(past), 0, -1):
            message = prompts[0] + f"\n\n({start} earlier turn{'s' if start > 1 else ''} left out)\n\n" + prompts[start]
            if start < last:
                tail = (*self._ended(past[start][1]), *self.message(prompts[start + 1]), *tail)
            head = self.encoder.tokens([message])[0]
            if len(head) + len(tail) > limit // 2 and kept is not None:
                break
            kept = start, message, head, tail
            if len(head) + len(tail) > limit // 2:
                break
        assert kept is not None
        start, message, head, tail = kept
        self.encoder.cut += 1
        if start == last:
            return Encoded(head if len(head) <= limit else self.encoder.encode(message), 0, message)
        return Encoded((*head, *tail), len(head) + len(tail) - len(self.message(prompt)))

    def _around_message(self) -> tuple[str, str]:
        """The template's text between a reply and the next user message, and between that and the next reply."""
        encoder = self.encoder
        opening = encoder.render([("user", _USER)])
        replies = (_REPLY, f"<think>\n{_REPLY}thought\n</think>\n\n{_REPLY}")
        rendered = [encoder.render([("user", _USER), ("assistant", reply), ("user", _NEXT)]) for reply in replies]
        between, found, after = rendered[0].rpartition(_REPLY)[2].partition(_NEXT)
        longer = encoder.render(
            [("user", _USER), ("assistant", _REPLY), ("user", _NEXT), ("assistant", _REPLY), ("user", _USER)]
        )
        # White space around a reply, which some templates add or strip, is no change of the reply.
        is_kept = all(
            _solid(text) == _solid(opening + reply + between + _NEXT + after)
            for text, reply in zip(rendered, replies, strict=True)
        )
        expected = opening + _REPLY + between + _NEXT + after + _REPLY + between + _USER + after
        is_kept = is_kept and _solid(longer) == _solid(expected)
        counts = (rendered[0].count(_USER), rendered[0].count(_REPLY), rendered[0].count(_NEXT))
        if counts != (1, 1, 1) or not found or not between:
            raise UsageError(
                "Expected a chat template that shows every message once, got another; "
                "try the template of the model's publisher, or another history than 'conversation'."
            )
        if not is_kept and not encoder.template.get(KEEP_REPLIES):
            raise UsageError(
                "Expected a chat template that keeps earlier replies for history='conversation', got one that changes "
                f"them, such as one that removes their thinking; try the template's setting {KEEP_REPLIES}=true "
                "(--set template.keep_replies=true), with which replies stay as they were sampled."
            )
        # Some templates write a blank before the token that ends a reply.
        ends = encoder.control.of(encoder.control.plain([between.lstrip()])[0][:1])
        return (between.lstrip() if ends else between), after


def _solid(text: str) -> str:
    """The text without white space."""
    return "".join(text.split())
