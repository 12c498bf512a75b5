"""Training rows from episodes: one row per turn, with its sampled tokens, its advantage and the teacher's prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from agentgym_hindsight.baselines.masks import action_tokens
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.recorded import rows_of_rollouts
from agentgym_hindsight.baselines.methods.rows import Rows, Values
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.collectives import Processes
from agentgym_hindsight.baselines.training.row_credit import add_credit
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.context import Budget, ContextOptions, TeacherContext, compose
from agentgym_hindsight.hindsight.resolve import ReferenceSource
from agentgym_hindsight.hindsight.spec import ContextSpec
from agentgym_hindsight.hindsight.trajectory import Group, Step
from agentgym_hindsight.tasks import seeded_int

__all__ = ["columns_of", "group_episodes", "judge_texts", "make_rows", "split_rows"]


class Predict(Protocol):
    """A critic's predictions for rows."""

    def __call__(self, rows: Sequence[TrainingRow]) -> Values: ...


def group_episodes(episodes: Sequence[Episode]) -> list[list[Episode]]:
    """The episodes of each task, in the order in which tasks first appear; without broken and empty episodes."""
    groups: dict[str, list[Episode]] = {}
    for episode in episodes:
        if not episode.trajectory.broken and episode.trajectory.steps:
            groups.setdefault(episode.trajectory.task_id, []).append(episode)
    return list(groups.values())


def make_rows(
    episodes: Sequence[Episode],
    method: Method,
    encoder: PromptEncoder,
    asks_teacher: bool,
    *,
    parser: str,
    references: ReferenceSource | None = None,
    context_tokens: int | None = None,
    judgements: Sequence[Sequence[str | None]] | None = None,
    predict: Predict | None = None,
    processes: Processes | None = None,
) -> list[TrainingRow]:
    """A row with its advantage for every turn of every complete episode.

    With ``asks_teacher``, rows get the teacher's context. A row gets the teacher's prompt only if the teacher can
    change the loss: the row has a context and a chosen token, and its advantage is not 0 or the method has a KL term to
    the teacher.

    ``judgements`` contains the judge's texts: one list per group, one text per member. ``predict`` gives the values of
    the method's critic. ``processes`` are needed if the credit uses the rows of all processes.
    """
    groups = group_episodes(episodes)
    rows: list[TrainingRow] = []
    masks: dict[Any, tuple[bool, ...]] = {}
    number = 0
    for index, members in enumerate(groups):
        for episode in members:
            for step, reply in zip(episode.trajectory.steps, episode.replies, strict=True):
                if not reply.response_ids:
                    raise UsageError(
                        f"Expected the tokens of every reply, got only a text from {episode.trajectory.policy!r}; "
                        "try a policy that returns tokens (transformers or vLLM)."
                    )
                is_weighted = method.tokens.takes(won=episode.trajectory.won, valid=step.action_valid)
                chosen = (False,) * len(reply.response_ids)
                if is_weighted and method.has_teacher:
                    response = reply.response_ids, step.action_span  # siblings often give the same response
                    if response not in masks:
                        masks[response] = _chosen_tokens(encoder, reply.response_ids, step, method, parser)
                    chosen = masks[response]
                rows.append(
                    TrainingRow(number, index, step, reply.prompt_ids, reply.response_ids, reply.logprobs, chosen)
                )
            number += 1
    columns = columns_of(groups, method)
    if predict is not None:
        columns = replace(columns, values=predict(rows))
    add_credit(rows, columns, method, processes)
    if method.what is not None and asks_teacher:
        _add_contexts(rows, groups, method, encoder, references, context_tokens, judgements)
    return rows


def columns_of(groups: Sequence[Sequence[Episode]], method: Method) -> Rows:
    """The rows of the groups as columns, in the order of :func:`make_rows`."""
    return rows_of_rollouts([[episode.trajectory for episode in members] for members in groups], method.anchor)


def judge_texts(episodes: Sequence[Episode], what: ContextSpec | None, judge: Any) -> list[list[str | None]] | None:
    """The judge's texts, one list per group, one text per member; ``None`` if ``what`` needs no judge."""
    if what is None or not what.needs_judge:
        return None
    groups = [Group(episode.trajectory for episode in members) for members in group_episodes(episodes)]
    judged = judge.judge_groups(groups, with_success=what.judge_sees_success)
    return [[judgement.text for judgement in members] for members in judged]


def split_rows(rows: list[TrainingRow], count: int, seed: int, update: int) -> list[list[TrainingRow]]:
    """Mini-batches of nearly equal size in an order drawn from the seed; every row is in exactly one."""
    if count > 1:
        rows = sorted(rows, key=lambda row: seeded_int("mini", seed, update, row.step.index, row.episode, row.group))
    return [rows[i::count] for i in range(count)]


def _chosen_tokens(
    encoder: PromptEncoder, ids: tuple[int, ...], step: Step, method: Method, parser: str
) -> tuple[bool, ...]:
    if method.tokens.part == "response":
        return (True,) * len(ids)
    return tuple(action_tokens(encoder.decode, ids, parser=parser, span=step.action_span))


def _add_contexts(
    rows: list[TrainingRow],
    groups: list[list[Episode]],
    method: Method,
    encoder: PromptEncoder,
    references: ReferenceSource | None,
    context_tokens: int | None,
    judgements: Sequence[Sequence[str | None]] | None,
) -> None:
    assert method.what is not None
    options = ContextOptions(anchor=method.anchor, details=method.details)
    limit = encoder.max_tokens - encoder.overhead
    budget = Budget(context_tokens or limit, encoder.count)
    contexts: list[TeacherContext | None] = []
    for index, members in enumerate(groups):
        composed = compose(
            method.what,
            Group(episode.trajectory for episode in members),
            options=options,
            budget=budget,
            references=references,
            judgements=None if judgements is None else judgements[index],
        )
        contexts += [context for member in composed for context in member]
    scored: list[tuple[TrainingRow, TeacherContext]] = []
    scores_all = method.aux_kl > 0 or method.scores_zero_advantages
    for row, context in zip(rows, contexts, strict=True):
        row.context = context
        # Weights cannot change an advantage of 0, but the paper's KL term uses such rows too.
        counts = row.advantage != 0.0 or row.token_advantages is not None or scores_all
        if context is not None and any(row.chosen) and counts:
            scored.append((row, context))
    # Most prompts fit, so all are tokenized in one call. Cutting a prompt that is too long tokenizes it many times.
    texts = [context.prompt(row.step.prompt) for row, context in scored]
    different = list(dict.fromkeys(texts))  # siblings in the same state have the same prompt and context
    tokens = dict(zip(different, encoder.tokens(different), strict=True))
    for (row, context), text in zip(scored, texts, strict=True):
        fits = len(tokens[text]) <= encoder.max_tokens
        row.teacher_ids = tokens[text] if fits else encoder.encode(context.prompt(row.step.prompt, limit))
