"""An ``ask`` with given answers: to try the hooks of a method without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from agentgym_hindsight.baselines.methods.asking import WHO, Prompt, Who
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.analyses import Analysis
from agentgym_hindsight.hindsight.context import ContextOptions, TeacherContext, compose
from agentgym_hindsight.hindsight.messages import Message, as_messages
from agentgym_hindsight.hindsight.spec import ContextSpec
from agentgym_hindsight.hindsight.trajectory import Group, Trajectory
from agentgym_hindsight.names import known_name

__all__ = ["ScriptedAsk"]


class ScriptedAsk:
    """Answers every question by a function of its messages; without one, by an empty text, as a failing server.

    ``prompts`` are the messages of all questions so far, ``asked`` who was to answer, ``kept`` the analyses with their
    rollouts. Contexts are composed without a budget, references or a judge.

    >>> from agentgym_hindsight.baselines.methods import recipe
    >>> ask = ScriptedAsk(recipe("serl"), lambda messages: messages[-1]["content"].upper())
    >>> ask(["why?"], who="teacher")
    ['WHY?']
    """

    def __init__(self, method: Method, answer: Callable[[Sequence[Message]], str] = lambda _: "") -> None:
        self._options = ContextOptions(anchor=method.anchor, details=method.details)
        self._answer = answer
        self.prompts: list[list[dict[str, str]]] = []
        self.asked: set[str] = set()
        self.kept: list[tuple[Trajectory, Analysis]] = []
        self.update = 0
        self.memory: MutableMapping[str, Any] = {}

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
        known_name("model to ask", who, WHO)
        if isinstance(prompts, str):
            raise UsageError("Expected a list of prompts, got str; try ask([prompt]).")
        if keys is not None and len(keys) != len(prompts):
            raise UsageError(f"Expected a key for each of {len(prompts)} prompts, got {len(keys)}; try keys=None.")
        asked = [as_messages(prompt) for prompt in prompts]
        self.prompts += asked
        self.asked.add(who)
        return [self._answer(messages) for messages in asked]

    def compose(self, what: ContextSpec, groups: Sequence[Group]) -> list[list[list[TeacherContext | None]]]:
        """The standard contexts."""
        composed = []
        for group in groups:
            judged = [""] * len(group) if what.needs_judge else None
            contexts = compose(what, self._with_kept(group), options=self._options, judgements=judged)
            composed.append([list(member) for member in contexts])
        return composed

    def _with_kept(self, group: Group) -> Group:
        """The group with the analyses that were kept for its members."""
        return Group(
            rollout.replace(analyses=(*rollout.analyses, *(each for owner, each in self.kept if owner == rollout)))
            for rollout in group
        )

    def keep(
        self, rollout: Trajectory, kind: str, text: str, *, step: int | None = None, analyser: str = "policy"
    ) -> None:
        """Add an analysis to ``kept``."""
        self.kept.append((rollout, Analysis(kind, text, step, analyser)))
