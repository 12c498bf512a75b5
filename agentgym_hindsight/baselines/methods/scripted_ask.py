"""An ``ask`` with given answers: to try the hooks of a method without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentgym_hindsight.baselines.methods.asking import Ask, Asked, Prompt
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.hindsight.analyses import Analysis
from agentgym_hindsight.hindsight.context import ContextOptions, TeacherContext, compose
from agentgym_hindsight.hindsight.messages import Message, as_messages
from agentgym_hindsight.hindsight.spec import ContextSpec
from agentgym_hindsight.hindsight.trajectory import Group, Trajectory

__all__ = ["ScriptedAsk"]


class ScriptedAsk(Ask):
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
        self.memory = {}

    def answers(self, prompts: Sequence[Prompt], asked: Asked) -> list[str]:
        """The answers of the function."""
        asked.check(prompts)
        chats = [as_messages(prompt) for prompt in prompts]
        self.prompts += chats
        self.asked.add(asked.who)
        return [self._answer(messages) for messages in chats]

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
