"""The teacher's prompts of training rows: the student's prompt with the context in its last message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.conversation import Conversations
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.hindsight.context import TeacherContext

__all__ = ["add_teacher_prompts"]

#: In a long conversation, the context may make the last message longer by this part of the limit of prompts.
_LEAST_ROOM = 4


def add_teacher_prompts(rows: Sequence[tuple[TrainingRow, TeacherContext]], encoder: PromptEncoder) -> None:
    """Set ``teacher_ids`` and ``context_cut`` of each row from its context.

    Contexts are cut where the prompt would be too long. In a conversation the earlier turns keep their tokens, and the
    context stands in the last message.
    """
    raw = [(row, context) for row, context in rows if _is_raw(context)]
    _add_raw(raw, encoder)
    rows = [(row, context) for row, context in rows if not _is_raw(context)]
    single = [(row, context) for row, context in rows if not row.past_tokens]
    _add_single(single, encoder)
    for row, context in rows:
        if row.past_tokens:
            row.teacher_ids, row.context_cut = _in_conversation(row, context, encoder)


def _is_raw(context: TeacherContext) -> bool:
    return context.budget is not None and context.budget.truncation == "right_raw"


def _add_raw(rows: Sequence[tuple[TrainingRow, TeacherContext]], encoder: PromptEncoder) -> None:
    """Cut the end of each whole prompt, template included, as the release does."""
    texts = [replace(context, budget=None).prompt(_message(row)) for row, context in rows]
    for (row, _), text, ids in zip(rows, texts, encoder.tokens(texts), strict=True):
        if row.past_tokens:
            ids = (*row.prompt_ids[: row.past_tokens], *Conversations.of(encoder).message(text))
        row.teacher_ids, row.context_cut = ids[: encoder.max_tokens], len(ids) > encoder.max_tokens


def _add_single(rows: Sequence[tuple[TrainingRow, TeacherContext]], encoder: PromptEncoder) -> None:
    # Most prompts fit, so all are tokenized in one call. Cutting a prompt that is too long tokenizes it many times.
    texts = [context.prompt(_message(row)) for row, context in rows]
    different = list(dict.fromkeys(texts))  # siblings in the same state have the same prompt and context
    tokens = dict(zip(different, encoder.tokens(different), strict=True))
    for (row, context), text in zip(rows, texts, strict=True):
        fits = len(tokens[text]) <= encoder.max_tokens
        limit = encoder.max_tokens - encoder.overhead
        row.teacher_ids = tokens[text] if fits else encoder.encode(context.prompt(_message(row), limit))
        row.context_cut = context.truncated or not fits


def _in_conversation(row: TrainingRow, context: TeacherContext, encoder: PromptEncoder) -> tuple[tuple[int, ...], bool]:
    chats = Conversations.of(encoder)
    past = row.prompt_ids[: row.past_tokens]
    message = chats.message(context.prompt(_message(row)))
    fits = len(past) + len(message) <= encoder.max_tokens
    if not fits:
        # Earlier turns may leave little room: the teacher's prompt may then be somewhat longer than the student's.
        room = encoder.max_tokens - len(past) - encoder.overhead
        least = encoder.count(_message(row)) + encoder.max_tokens // _LEAST_ROOM
        message = chats.message(context.prompt(_message(row), max(room, least)))
    return (*past, *message), context.truncated or not fits


def _message(row: TrainingRow) -> str:
    return row.message or row.step.prompt
