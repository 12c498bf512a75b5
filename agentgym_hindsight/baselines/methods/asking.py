"""What the hooks of a method may ask and keep: a model's texts, the standard contexts, analyses, a memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.context import TeacherContext
from agentgym_hindsight.hindsight.messages import Message
from agentgym_hindsight.hindsight.spec import ContextSpec
from agentgym_hindsight.hindsight.trajectory import Group, Trajectory
from agentgym_hindsight.names import known_name

__all__ = ["WHO", "Ask", "Asked", "Prompt", "Who"]

#: A text, which is one message of the user, or the messages of a chat.
Prompt = str | Sequence[Message]
Who = Literal["policy", "teacher", "endpoint"]
WHO: tuple[str, ...] = ("policy", "teacher", "endpoint")


@dataclass(frozen=True, slots=True)
class Asked:
    """How prompts are asked: the keyword arguments of :class:`Ask`."""

    who: Who
    max_tokens: int
    temperature: float
    schema: Mapping[str, Any] | None
    prompt_tokens: int | None
    keys: Sequence[object] | None

    def check(self, prompts: object) -> None:
        """Raise :class:`UsageError` if nobody could answer such a question."""
        if isinstance(prompts, str) or not isinstance(prompts, Sequence):
            raise UsageError(f"Expected a list of prompts, got {type(prompts).__name__}; try ask([prompt]).")
        known_name("model to ask", self.who, WHO)
        if self.keys is not None and len(self.keys) != len(prompts):
            raise UsageError(f"Expected a key for each of {len(prompts)} prompts, got {len(self.keys)}; try keys=None.")


class Ask(ABC):
    """The argument ``ask`` of :meth:`Method.contexts` and :meth:`Method.resample`.

    With several processes, each process has its own groups and its own ``ask``. Processes may ask different numbers of
    questions.
    """

    #: The number of the update, from 0.
    update: int
    #: Numbers, texts, lists and mappings that the method keeps between updates; stored with the checkpoints.
    memory: MutableMapping[str, Any]

    def __call__(
        self,
        prompts: Sequence[Prompt],
        *,
        who: Who = "policy",
        max_tokens: int = 256,
        temperature: float = 1.0,
        schema: Mapping[str, Any] | None = None,
        prompt_tokens: int | None = None,
        keys: Sequence[object] | None = None,
    ) -> list[str]:
        """One text for every prompt, in order.

        * ``who``: ``policy``, the current weights; ``teacher``, the teacher's; ``endpoint``, a server (the settings
          ``analyser``).
        * ``max_tokens``: the length of an answer. ``prompt_tokens``: that of a prompt to a local model (default:
          ``plan.prompt_tokens``); a longer one loses the middle of its longest messages.
        * ``schema``: a JSON schema that the server enforces, if it can. Local models do not get it: the prompt has to
          ask for the form.
        * ``keys``: together with the seed and the update, the key of a prompt determines its answer. By default it is
          the prompt's text, and how often it was asked before in this update.

        A text is ``""`` if the server gave no answer. A text is data: parse it, and expect any text.
        """
        return self.answers(prompts, Asked(who, max_tokens, temperature, schema, prompt_tokens, keys))

    @abstractmethod
    def answers(self, prompts: Sequence[Prompt], asked: Asked) -> list[str]:
        """The answers to a call."""

    @abstractmethod
    def compose(self, what: ContextSpec, groups: Sequence[Group]) -> list[list[list[TeacherContext | None]]]:
        """The standard contexts, for every group, member and turn, with the run's budget, references and judge.

        Analyses that were kept in this update count as stored with their rollouts.
        """

    @abstractmethod
    def keep(
        self, rollout: Trajectory, kind: str, text: str, *, step: int | None = None, analyser: str = "policy"
    ) -> None:
        """Store a text with a rollout of this update, as an :class:`~agentgym_hindsight.hindsight.Analysis`.

        A rollout that is replaced leaves its analyses to the rollout that replaces it.
        """
