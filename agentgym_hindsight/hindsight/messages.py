"""Chat messages as plain data: what a model reads when a prompt is more than one text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.trajectory import Step

__all__ = ["ROLES", "Message", "as_messages", "prompt_messages"]

#: ``{"role": "user", "content": "…"}``
Message = Mapping[str, str]
ROLES = ("system", "user", "assistant")


def as_messages(prompt: str | Sequence[Message]) -> list[dict[str, str]]:
    """A prompt as a list of messages: a text is one message of the user. Other types and unknown roles raise.

    >>> as_messages("Why?")
    [{'role': 'user', 'content': 'Why?'}]
    """
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    if not isinstance(prompt, Sequence) or not prompt:
        raise UsageError(
            f'Expected a text or a list of messages, got {_named(prompt)}; try [{{"role": "user", "content": "…"}}].'
        )
    return [_checked(message) for message in prompt]


def prompt_messages(step: Step) -> list[dict[str, str]]:
    """The policy's own prompt at a turn as messages: a base for a teacher's prompt with further messages.

    >>> prompt_messages(Step(0, "A hall.", "look", "A hall.", "A hall.", prompt="You are in a hall."))
    [{'role': 'user', 'content': 'You are in a hall.'}]
    """
    return as_messages(step.prompt or step.observation)


def _checked(message: object) -> dict[str, str]:
    if not isinstance(message, Mapping) or set(message) != {"role", "content"}:
        keys = f"the keys {sorted(map(str, message))}" if isinstance(message, Mapping) else type(message).__name__
        raise UsageError(f'Expected a message with role and content, got {keys}; try {{"role": "user", "content": …}}.')
    role, content = message["role"], message["content"]
    if role not in ROLES:
        raise UsageError(f"Expected a role of {', '.join(ROLES)}, got {role!r}; try user.")
    if not isinstance(content, str):
        raise UsageError(f"Expected the content of a message as text, got {type(content).__name__}; try str(…).")
    return {"role": role, "content": content}


def _named(prompt: object) -> str:
    return "an empty list" if isinstance(prompt, Sequence) else type(prompt).__name__
