"""The teacher's prompts of an update: contexts by the method, encoded within the limit of a prompt."""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.baselines.methods.asking import Ask
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.teacher_prompts import ChatContext, checked_contexts
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.chat_messages import MessageEncoder
from agentgym_hindsight.baselines.training.context_settings import ContextSettings
from agentgym_hindsight.baselines.training.released_batching import BatchOrder
from agentgym_hindsight.baselines.training.teacher_prompts import add_teacher_prompts
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.hindsight.context import Budget, TeacherContext, compose
from agentgym_hindsight.hindsight.resolve import ReferenceSource
from agentgym_hindsight.hindsight.spec import ContextSpec
from agentgym_hindsight.hindsight.trajectory import Group

__all__ = ["Composer", "add_contexts"]


class Composer:
    """Composes the standard contexts with the budget, the references and the judge's texts of a run.

    ``judgements`` are the texts for all groups of the update: one list per group, one text per member. ``batch`` is the
    order of the update's rows as in SERL's release.
    """

    def __init__(
        self,
        method: Method,
        encoder: PromptEncoder,
        references: ReferenceSource | None = None,
        context_tokens: int | None = None,
        judgements: Sequence[Sequence[str | None]] | None = None,
        contexts: ContextSettings | None = None,
        batch: BatchOrder | None = None,
    ) -> None:
        settings = contexts or ContextSettings()
        self.options = settings.options(method)
        self.budget = settings.budget(context_tokens or encoder.max_tokens - encoder.overhead, encoder.count)
        self.references, self.judgements, self.batch = references, judgements, batch

    def compose(self, what: ContextSpec, groups: Sequence[Group]) -> list[list[list[TeacherContext | None]]]:
        """The contexts of every group, member and turn."""
        return [
            [
                list(member)
                for member in compose(
                    what,
                    group,
                    options=self.options,
                    budget=self.budget,
                    references=self.references,
                    judgements=None if self.judgements is None else self.judgements[index],
                    positions=None if self.batch is None else [self.batch.of(member) for member in group],
                )
            ]
            for index, group in enumerate(groups)
        ]


def add_contexts(
    rows: Sequence[TrainingRow],
    groups: Sequence[Group],
    method: Method,
    encoder: PromptEncoder,
    ask: Ask,
    budget: Budget,
) -> None:
    """Set the context of every row, and the teacher's prompt where the teacher can change the loss."""
    contexts = checked_contexts(method.contexts(groups, ask), groups, method.name, budget)
    scored: list[tuple[TrainingRow, TeacherContext]] = []
    chats: list[tuple[TrainingRow, ChatContext]] = []
    scores_all = method.aux_kl > 0 or method.scores_zero_advantages
    for row, context in zip(rows, contexts, strict=True):
        row.context = context
        # Weights cannot change an advantage of 0, but the paper's KL term uses such rows too.
        counts = row.advantage != 0.0 or row.token_advantages is not None or scores_all
        if context is None or not any(row.chosen) or not counts:
            continue
        if isinstance(context, ChatContext):
            chats.append((row, context))
        else:
            scored.append((row, context))
    add_teacher_prompts(scored, encoder)
    messages = MessageEncoder(encoder)
    for row, chat in chats:
        row.teacher_ids, row.context_cut = messages.encode(chat.messages)
