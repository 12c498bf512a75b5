"""The base class of prompt protocols, and their input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from agentgym_hindsight.errors import UsageError

__all__ = ["CONVERSATION", "History", "PromptState", "Protocol", "check_history"]

#: The value of ``history`` with which earlier turns are chat messages.
CONVERSATION: Literal["conversation"] = "conversation"
#: The number of earlier turns in a prompt, ``"conversation"``, or ``None`` for a protocol's default.
History = int | Literal["conversation"] | None


def check_history(history: object) -> None:
    """Raise :class:`UsageError` unless ``history`` is a :data:`History`."""
    if history is None or history == CONVERSATION:
        return
    if not isinstance(history, int) or isinstance(history, bool) or history < 0:
        raise UsageError(
            f"Expected history ≥ 0 turns, {CONVERSATION!r} or None, got {history!r}; "
            "try None for the protocol's default."
        )


@dataclass(frozen=True, slots=True)
class PromptState:
    """The input of a prompt. ``history`` has the earlier turns: the observation before each action, and the action."""

    goal: str
    observation: str
    admissible_actions: tuple[str, ...] = ()
    history: Sequence[tuple[str, str]] = ()
    world: str = "generic"
    search_bar: bool = False  # the agent can also search for any text
    tools: Sequence[Mapping[str, Any]] = ()  # the schemas of the functions that can be called
    tools_text: str = ""  # the part of the first observation that lists them
    tools_vary: bool = False  # the functions depend on the task and the turn


class Protocol(ABC):
    """Renders a situation as the complete user message of one turn.

    ``history`` is the number of earlier turns shown (``None``: the protocol's default). ``demonstrations`` are complete
    examples, shown first, in order.

    With ``history="conversation"`` the earlier turns are chat messages: :meth:`render` makes the first message, and
    :meth:`follow_up` the message after each reply.
    """

    name: ClassVar[str]
    parser: ClassVar[str]  # the parser of the response: see wrappers.parsing
    default_history: ClassVar[int | None] = None  # None: all turns

    def __init__(self, *, history: History = None, demonstrations: Sequence[str] = ()) -> None:
        check_history(history)
        if isinstance(demonstrations, str) or not all(isinstance(text, str) for text in demonstrations):
            raise UsageError(f"Expected demonstrations as a sequence of texts, got {demonstrations!r}; try a list.")
        #: Whether earlier turns are chat messages of their own.
        self.conversation = history == CONVERSATION
        self.history = self.default_history if history is None or history == CONVERSATION else history
        self.demonstrations = tuple(demonstrations)

    @abstractmethod
    def render(self, state: PromptState) -> str:
        """The prompt of this situation."""

    def follow_up(self, state: PromptState) -> str:
        """The next user message of a conversation: what the last action led to.

        >>> from agentgym_hindsight.wrappers.protocols import Plain
        >>> print(Plain(history="conversation").follow_up(PromptState("find", "A hall.", ("look", "wait"))))
        Observation: A hall.
        Admissible actions: look, wait
        """
        lines = [f"Observation: {state.observation}"]
        if state.admissible_actions:
            lines.append(f"Admissible actions: {', '.join(state.admissible_actions)}")
        return "\n".join(lines)

    def recent(self, state: PromptState) -> tuple[int, Sequence[tuple[str, str]]]:
        """The number of turns before the window, and the turns in the window."""
        first = 0 if self.history is None else max(0, len(state.history) - self.history)
        return first, state.history[first:]

    def examples(self) -> str:
        """The demonstrations as a block that ends in a blank line; empty if there are none."""
        return "".join(f"{text.strip()}\n\n" for text in self.demonstrations)
