"""Chat messages as plain data: what a model reads when a prompt is more than one text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["ROLES", "Message", "as_messages", "chat_so_far", "prompt_messages"]

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


def prompt_messages(trajectory: Trajectory, place: int) -> list[dict[str, str]]:
    """The messages to which the policy replied at the step at this place, oldest first.

    A step of a conversation (``history="conversation"``) records only its own message, so that a file grows with the
    length of a rollout and not with its square. A step with a bounded prompt has one message. A policy whose context is
    too short for all messages saw fewer.

    >>> from agentgym_hindsight.hindsight.trajectory import Step
    >>> chat = {"conversation": True}
    >>> steps = (
    ...     Step(0, "A hall.", "north", "A room.", "A room.", prompt="Find it.", response="north", extra=chat),
    ...     Step(1, "A room.", "look", "A mug.", "A mug.", prompt="A room.", response="look", extra=chat),
    ... )
    >>> [message["content"] for message in prompt_messages(Trajectory("1f", steps=steps), 1)]
    ['Find it.', 'north', 'A room.']
    """
    step = trajectory.steps[place]
    chat = chat_so_far(trajectory, place) if step.extra.get("conversation") else ()
    return [*map(dict, chat), *as_messages(step.prompt or step.observation)]


def chat_so_far(trajectory: Trajectory, place: int | None = None) -> tuple[Message, ...]:
    """The messages of a conversation and its replies before the step at this place; of all steps by default."""
    chat: list[Message] = []
    for past in trajectory.steps[:place]:
        chat += [{"role": "user", "content": past.prompt}, {"role": "assistant", "content": past.response}]
    return tuple(chat)


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
