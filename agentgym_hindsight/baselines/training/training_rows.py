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
from agentgym_hindsight.baselines.training.asker import Asker
from agentgym_hindsight.baselines.training.collectives import Processes
from agentgym_hindsight.baselines.training.context_settings import ContextSettings
from agentgym_hindsight.baselines.training.released_batching import BatchOrder
from agentgym_hindsight.baselines.training.row_credit import add_credit
from agentgym_hindsight.baselines.training.teacher_contexts import Composer, add_contexts
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.resolve import ReferenceSource
from agentgym_hindsight.hindsight.spec import ContextSpec
from agentgym_hindsight.hindsight.trajectory import Group, Step
from agentgym_hindsight.tasks import seeded_int
from agentgym_hindsight.wrappers.released_spans import released_action_spans

__all__ = ["columns_of", "group_episodes", "judge_texts", "make_rows", "split_rows"]

_DEFAULT = ContextSettings()


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
    asker: Asker | None = None,
    contexts: ContextSettings = _DEFAULT,
    batch: BatchOrder | None = None,
) -> list[TrainingRow]:
    """A row with its advantage for every turn of every complete episode.

    With ``asks_teacher``, rows get the teacher's context. A row gets the teacher's prompt only if the teacher can
    change the loss: the row has a context and a chosen token, and its advantage is not 0 or the method has a KL term to
    the teacher.

    ``judgements`` contains the judge's texts: one list per group, one text per member. ``predict`` gives the values of
    the method's critic. ``processes`` are needed if the credit uses the rows of all processes, ``asker`` if a model
    writes the contexts of the method. ``batch`` is the order of the rows as in SERL's release; there is still one row
    per turn, and :func:`split_rows` adds the copies.
    """
    groups = group_episodes(episodes)
    rows: list[TrainingRow] = []
    masks: dict[Any, tuple[bool, ...]] = {}
    number = 0
    for index, members in enumerate(groups):
        for episode in members:
            positions = None if batch is None else batch.of(episode.trajectory)
            for place, (step, reply) in enumerate(zip(episode.trajectory.steps, episode.replies, strict=True)):
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
                    TrainingRow(
                        number,
                        index,
                        step,
                        reply.prompt_ids,
                        reply.response_ids,
                        reply.logprobs,
                        chosen,
                        other_prompt=reply.other_prompt,
                        past_tokens=reply.past_tokens,
                        message=reply.message,
                        positions=() if positions is None else positions[place],
                    )
                )
            number += 1
    columns = columns_of(groups, method, contexts, batch)
    if predict is not None:
        columns = replace(columns, values=predict(rows))
    add_credit(rows, columns, method, processes)
    if method.has_teacher and asks_teacher:
        composer = Composer(method, encoder, references, context_tokens, judgements, contexts, batch)
        trajectories = [Group(episode.trajectory for episode in members) for members in groups]
        hook = (asker or Asker.silent()).hook(composer.compose, trajectories)
        add_contexts(rows, trajectories, method, encoder, hook, composer.budget)
    return rows


def columns_of(
    groups: Sequence[Sequence[Episode]],
    method: Method,
    contexts: ContextSettings = _DEFAULT,
    batch: BatchOrder | None = None,
) -> Rows:
    """The rows of the groups as columns, in the order of :func:`make_rows`."""
    trajectories = [[episode.trajectory for episode in members] for members in groups]
    positions = None if batch is None else [turn for group in trajectories for each in group for turn in batch.of(each)]
    return rows_of_rollouts(
        trajectories, method.anchor, contexts.anchor_ratio, released=contexts.released, positions=positions
    )


def judge_texts(episodes: Sequence[Episode], what: ContextSpec | None, judge: Any) -> list[list[str | None]] | None:
    """The judge's texts, one list per group, one text per member; ``None`` if ``what`` needs no judge."""
    if what is None or not what.needs_judge:
        return None
    groups = [Group(episode.trajectory for episode in members) for members in group_episodes(episodes)]
    judged = judge.judge_groups(groups, with_success=what.judge_sees_success)
    return [[judgement.text for judgement in members] for members in judged]


def split_rows(
    rows: list[TrainingRow], count: int, seed: int, update: int, batch: BatchOrder | None = None
) -> list[list[TrainingRow]]:
    """Mini-batches of nearly equal size in an order drawn from the seed; every row is in exactly one.

    All turns of a conversation are in the same one, because they are computed together. With ``batch``, the
    mini-batches are those of SERL's release: parts of each GPU in the order of the batch, with the copies of rows.
    """
    if batch is not None:
        placed = sorted((position, number) for number, row in enumerate(rows) for position in row.positions)
        parts: list[list[TrainingRow]] = [[] for _ in range(count)]
        for position, number in placed:
            row = rows[number]
            is_copy = position != row.positions[0]
            parts[batch.mini_batch(position, count)].append(replace(row) if is_copy else row)
        return parts
    if count > 1 and any(row.past_tokens for row in rows):
        episodes: dict[int, list[TrainingRow]] = {}
        for row in rows:
            episodes.setdefault(row.episode, []).append(row)
        order = sorted(episodes, key=lambda number: seeded_int("mini", seed, update, number))
        return [[row for number in order[i::count] for row in episodes[number]] for i in range(count)]
    if count > 1:
        rows = sorted(rows, key=lambda row: seeded_int("mini", seed, update, row.step.index, row.episode, row.group))
    return [rows[i::count] for i in range(count)]


def _chosen_tokens(
    encoder: PromptEncoder, ids: tuple[int, ...], step: Step, method: Method, parser: str
) -> tuple[bool, ...]:
    if method.tokens.part == "response":
        return (True,) * len(ids)
    if method.tokens.part == "action:released":
        return tuple(action_tokens(encoder.decode, ids, extractor=released_action_spans))
    return tuple(action_tokens(encoder.decode, ids, parser=parser, span=step.action_span))
