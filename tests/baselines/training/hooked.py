"""A method of one's own that uses every hook: hints written by a model, contexts of all kinds, replaced rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from agentgym_hindsight.baselines.methods.asking import Ask, Who
from agentgym_hindsight.baselines.methods.base import Method, Tokens
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.replacing import Replacement
from agentgym_hindsight.baselines.methods.schedules import Constant
from agentgym_hindsight.baselines.methods.teacher_prompts import ChatContext, GivenContext
from agentgym_hindsight.hindsight.spec import ContextSpec
from agentgym_hindsight.hindsight.trajectory import Group

#: The contexts of the turns of a lost rollout, by the index of the turn.
KINDS = ("text", "messages", "none")


@dataclass(frozen=True)
class Hooked(Method):
    """``writer`` writes the hints of lost rollouts; the first group of each process is played again with a skill."""

    writer: Who = "policy"
    trained_on: str = "played"
    resample_rounds: ClassVar[int] = 3

    def resample(self, groups: Sequence[Group], ask: Ask) -> Sequence[Replacement]:
        asked = [number for number, group in enumerate(groups) if group.task_id not in ask.memory.get("done", [])]
        skills = ask(
            [f"Write a skill. Task: {groups[number][0].goal}" for number in asked],
            who=self.writer,
            max_tokens=5,
            keys=[groups[number].task_id for number in asked],
        )
        result = []
        for number, skill in zip(asked, skills, strict=True):
            ask.memory["done"] = [*ask.memory.get("done", []), groups[number].task_id]
            for member, rollout in enumerate(groups[number]):
                ask.keep(rollout, "skill", skill or "none", analyser=self.writer)
                message = {"role": "system", "content": f"<skills>{skill}</skills>"}
                result.append(Replacement(number, member, before=[message], trained_on=self.trained_on))  # type: ignore[arg-type]
        return result

    def contexts(self, groups: Sequence[Group], ask: Ask) -> Sequence[Sequence[Sequence[GivenContext]]]:
        lost = [rollout for group in groups for rollout in group if not rollout.won]
        asked = [
            [
                {"role": "system", "content": "You give hints."},
                {"role": "user", "content": f"It did: {lost_one.actions}"},
            ]
            for lost_one in lost
        ]
        keys = [(lost_one.task_id, lost_one.sibling) for lost_one in lost]
        answers = ask(asked, who=self.writer, max_tokens=6, temperature=0.7, keys=keys)
        hints = dict(zip(keys, answers, strict=True))
        composed = ask.compose(ContextSpec.parse("immediate"), groups)
        result: list[list[list[GivenContext]]] = []
        for group, members in zip(groups, composed, strict=True):
            contexts: list[list[GivenContext]] = []
            for rollout, standard in zip(group, members, strict=True):
                hint = hints.get((rollout.task_id, rollout.sibling))
                if hint is None:
                    contexts.append(list(standard))
                    continue
                ask.keep(rollout, "hint", hint, step=0, analyser=self.writer)
                turns: list[GivenContext] = []
                for place in range(len(rollout)):
                    kind = KINDS[place % 3]
                    text = f"Consider: {hint}"
                    chat: Any = ChatContext.after(rollout, place, text)
                    turns.append({"text": text, "messages": chat, "none": None}[kind])
                contexts.append(turns)
            result.append(contexts)
        return result


METHOD = Hooked("hooked", GroupRelative(), tokens=Tokens("response"), when=Constant(0.5), kl=0.0, writer="policy")
