"""Converts lists of chat messages to token ids, as :class:`~.chat.PromptEncoder` does for texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.conversation import KEEP_REPLIES
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.budget import Budget
from agentgym_hindsight.hindsight.messages import Message, as_messages

__all__ = ["EncodedChat", "MessageEncoder"]

_Messages = list[dict[str, str]]


class EncodedChat(NamedTuple):
    """Token ids up to the start of the answer, and whether a message was shortened for them."""

    ids: tuple[int, ...]
    is_cut: bool


class _Template(NamedTuple):
    """The text of the template around the contents, its control tokens, and the messages that it shows."""

    around: list[str]
    control: tuple[int, ...]
    messages: _Messages


class MessageEncoder:
    """Encodes chats with the template and the tokenizer of a :class:`~.chat.PromptEncoder`.

    * A content is data: no token of it is a control token. The tokens of the template, the roles and their order are
      never cut.
    * A chat that is too long gets the middle of its longest messages cut; shorter messages stay whole. A short hint
      beside a long prompt is therefore read whole.
    * Some templates have no system message, or want users and assistants to alternate. The text of the system message
      then begins the user's message, and neighbours of one role become one message.
    * With the template's setting ``keep_replies``, replies of a conversation are kept as they were sampled, as in
      :class:`~.conversation.Conversations`, where the template would remove their thinking.
    """

    def __init__(self, encoder: PromptEncoder) -> None:
        self.encoder = encoder

    def encode(self, chat: str | Sequence[Message], max_tokens: int | None = None) -> EncodedChat:
        """The tokens of one chat, at most ``max_tokens`` (default: those of the encoder)."""
        limit = max_tokens or self.encoder.max_tokens
        template = self._template(self.encoder.with_system(as_messages(chat)))
        ids = self._encode(template, template.messages)
        if len(ids) <= limit:
            return EncodedChat(ids, False)
        return EncodedChat(self._shortened(template, limit), True)

    def encode_all(self, chats: Sequence[str | Sequence[Message]], max_tokens: int | None = None) -> list[EncodedChat]:
        """The tokens of many chats."""
        return [self.encode(chat, max_tokens) for chat in chats]

    # -- private ------------------------------------------------------------------------------------------------------

    def _template(self, messages: _Messages) -> _Template:
        """The template around the messages: as they are, else in the form that most templates accept."""
        alternating = _alternating(messages)
        for shown in (messages, alternating):
            marked = [{**message, "content": _place(number)} for number, message in enumerate(shown)]
            try:
                rendered = self.encoder.apply(marked)
            except Exception:  # the template refuses these roles; its own exception is of no common type
                continue
            around: list[str] = []
            rest = rendered
            for number in range(len(shown)):
                before, place, rest = rest.partition(_place(number))
                if not place or _place(number) in rest:
                    break
                around.append(before)
            else:
                around = [*around, rest]
                if self.encoder.template.get(KEEP_REPLIES):
                    around = _as_sampled(around, shown)
                    rendered = "".join(f"{text}{_place(number)}" for number, text in enumerate(around))
                control = self.encoder.control.of(self.encoder.control.plain([rendered])[0])
                return _Template(around, control, shown)
        roles = ", ".join(message["role"] for message in messages)
        raise UsageError(
            f"Expected messages that the model's chat template can show, got the roles {roles}; "
            "try one message of the user at the end."
        )

    def _encode(self, template: _Template, messages: _Messages) -> tuple[int, ...]:
        shown = [{**message, "content": self.encoder.as_content(message["content"])} for message in messages]
        contents = [message["content"] for message in shown]
        control = self.encoder.control
        if self.encoder.template.get(KEEP_REPLIES) and any(message["role"] == "assistant" for message in shown):
            return control.encode_parts(template.around, contents, template.control)
        try:
            ids = control.plain([self.encoder.apply(shown)])[0]
        except Exception:  # the template refuses this content
            return control.encode_parts(template.around, contents, template.control)
        return (
            ids
            if control.of(ids) == template.control
            else control.encode_parts(template.around, contents, template.control)
        )

    def _shortened(self, template: _Template, limit: int) -> tuple[int, ...]:
        whole = [message["content"] for message in template.messages]
        budget = Budget(limit, self.encoder.count, "middle")
        available = limit
        contents: Sequence[str] = whole
        while available > 0:
            contents = budget.share(whole, available)
            ids = self._encode(template, _with_contents(template.messages, contents))
            if len(ids) <= limit:
                return ids
            available -= len(ids) - limit
        # There is not even room for the marks of what was cut: messages are emptied, the longest first.
        left = list(contents)
        while any(left):
            left[max(range(len(left)), key=lambda index: len(left[index]))] = ""
            ids = self._encode(template, _with_contents(template.messages, left))
            if len(ids) <= limit:
                return ids
        raise UsageError(
            f"Expected room for the chat template of {len(whole)} messages, got {limit} tokens; try more prompt_tokens."
        )


def _as_sampled(around: list[str], messages: _Messages) -> list[str]:
    """The template around the messages, where each reply begins as the one to come: after a user's message."""
    if messages[-1]["role"] != "user":
        return around
    texts = list(around)
    for place in range(1, len(messages)):
        if (messages[place - 1]["role"], messages[place]["role"]) == ("user", "assistant"):
            texts[place] = around[-1]
    return texts


def _place(number: int) -> str:
    return f"agentgymhindsightmessage{number}here"


def _with_contents(messages: _Messages, contents: Sequence[str]) -> _Messages:
    return [{**message, "content": content} for message, content in zip(messages, contents, strict=True)]


def _alternating(messages: _Messages) -> _Messages:
    """Without system messages and without neighbours of one role."""
    joined: _Messages = []
    for message in messages:
        role = "user" if message["role"] == "system" else message["role"]
        if joined and joined[-1]["role"] == role:
            joined[-1]["content"] += f"\n\n{message['content']}"
        else:
            joined.append({"role": role, "content": message["content"]})
    return joined
