"""The result of :meth:`Method.contexts`: what the teacher reads at a turn, as a text or as the messages of a chat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.budget import Budget
from agentgym_hindsight.hindsight.context import TITLES, Section, TeacherContext, written_context
from agentgym_hindsight.hindsight.messages import Message, as_messages, prompt_messages
from agentgym_hindsight.hindsight.trajectory import Group, Trajectory
from agentgym_hindsight.names import known_name

__all__ = ["ChatContext", "GivenContext", "checked_contexts"]


@dataclass(frozen=True)
class ChatContext:
    """The whole prompt of the teacher as messages. ``source`` names what is privileged in it, for the figures.

    >>> from agentgym_hindsight.hindsight.trajectory import Step
    >>> step = Step(0, "A hall.", "look", "A hall.", "A hall.", prompt="You are in a hall.")
    >>> context = ChatContext.after(Trajectory("1f", steps=(step,)), 0, "Consider the following feedback: go east.")
    >>> [message["content"] for message in context.messages]
    ['You are in a hall.', 'Consider the following feedback: go east.']
    >>> context.text
    'Consider the following feedback: go east.'
    """

    messages: Sequence[Message]
    source: str = "hint"
    text: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "messages", tuple(as_messages(self.messages)))
        object.__setattr__(self, "source", known_name("section of a context", self.source, TITLES))

    @classmethod
    def after(cls, trajectory: Trajectory, place: int, text: str, source: str = "hint") -> ChatContext:
        """The policy's prompt at the step at this place, then the text as a further message of the user."""
        return cls([*prompt_messages(trajectory, place), {"role": "user", "content": text}], source, text)

    @classmethod
    def before(cls, trajectory: Trajectory, place: int, text: str, source: str = "skill") -> ChatContext:
        """The text as a system message, then the policy's prompt at the step at this place."""
        return cls([{"role": "system", "content": text}, *prompt_messages(trajectory, place)], source, text)

    @property
    def sources(self) -> tuple[str, ...]:
        """The source, as for a :class:`~agentgym_hindsight.hindsight.context.TeacherContext`."""
        return (self.source,)

    @property
    def truncated(self) -> bool:
        """False: a chat is only shortened when it is encoded."""
        return False


#: What a hook may return for a turn: a text is a hint; a list of messages is the whole prompt; ``None``: no teacher.
GivenContext = TeacherContext | ChatContext | str | Sequence[Message] | None


def checked_contexts(
    given: Any, groups: Sequence[Group], method: str, budget: Budget | None = None
) -> list[TeacherContext | ChatContext | None]:
    """The contexts that a hook returned, for the turns of all groups one after the other.

    A wrong number and a wrong type raise. Texts are cut to the budget.
    """
    _check_length(given, len(groups), "groups", method)
    flat: list[TeacherContext | ChatContext | None] = []
    for number, (group, members) in enumerate(zip(groups, given, strict=True)):
        _check_length(members, len(group), f"members of group {number}", method)
        for member, (trajectory, turns) in enumerate(zip(group, members, strict=True)):
            _check_length(turns, len(trajectory), f"turns of group {number}, member {member}", method)
            flat += [_context(each, trajectory, place, method, budget) for place, each in enumerate(turns)]
    return flat


def _check_length(given: Any, count: int, of: str, method: str) -> None:
    if isinstance(given, Sequence) and not isinstance(given, str) and len(given) == count:
        return
    got = len(given) if isinstance(given, Sequence) and not isinstance(given, str) else type(given).__name__
    raise UsageError(
        f"Expected contexts for {count} {of} from contexts of {method!r}, got {got}; "
        "try a list for every group, in it one for every member, in it one context or None for every turn."
    )


def _context(
    given: Any, trajectory: Trajectory, place: int, method: str, budget: Budget | None
) -> TeacherContext | ChatContext | None:
    if given is None or isinstance(given, (TeacherContext, ChatContext)):
        return given
    if isinstance(given, str):
        return written_context([Section("hint", given)], budget)
    if isinstance(given, Sequence):
        messages = as_messages(given)
        own = {message["content"] for message in prompt_messages(trajectory, place)}
        text = "\n\n".join(message["content"] for message in messages if message["content"] not in own)
        return ChatContext(messages, text=text)
    raise UsageError(
        f"Expected a context of a turn from contexts of {method!r}, got {type(given).__name__}; "
        "try a text, a list of messages, a ChatContext, a TeacherContext, or None."
    )
