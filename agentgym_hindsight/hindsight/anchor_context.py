"""The group's experience at one anchor state, as text: every action tried from it and its outcomes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from agentgym_hindsight.hindsight.anchors import Row
from agentgym_hindsight.hindsight.batched_group import BatchedGroup
from agentgym_hindsight.hindsight.render import candidate_action, demonstration, immediate_text, next_text
from agentgym_hindsight.hindsight.spec import ContextOptions
from agentgym_hindsight.hindsight.trajectory import Group

__all__ = ["candidate_block", "feedback_lines"]


def feedback_lines(rows: Sequence[Row], options: ContextOptions) -> str:
    """One line "action <a>, <feedback>" for each distinct feedback of each distinct action."""
    with_text = [(row, text) for row in rows if (text := immediate_text(row.step, options))]
    by_action = _by_action([row for row, _ in with_text], options)
    texts = {row.batch: text for row, text in with_text}
    # A dict keeps the order of the first occurrence and drops duplicates.
    return "\n".join(
        f"action {action}, {text}"
        for action, turns in by_action
        for text in dict.fromkeys(texts[row.batch] for row in turns)
    )


def candidate_block(batched: BatchedGroup, rows: Sequence[Row], show: frozenset[str], options: ContextOptions) -> str:
    """One block per action: how often it was tried, its outcomes, and the sources named by ``show``."""
    return "\n\n".join(
        "\n".join(_candidate_lines(batched, action, turns, show, options))
        for action, turns in _by_action(rows, options)
    )


def _by_action(rows: Sequence[Row], options: ContextOptions) -> list[tuple[str, list[Row]]]:
    """The turns of each distinct action. Actions come in the batch order of their first turn.

    Rows are ordered by (step index, batch index), so the first row of an action may belong to a later sibling than the
    first row of the next action. SERL's release sorts the actions by the batch index, and so does this function.
    """
    turns: dict[str, list[Row]] = {}
    for row in rows:
        turns.setdefault(candidate_action(row.step, options), []).append(row)
    return sorted(turns.items(), key=lambda item: item[1][0].batch)


def _candidate_lines(
    batched: BatchedGroup, action: str, turns: Sequence[Row], show: frozenset[str], options: ContextOptions
) -> list[str]:
    group = batched.group
    returns = [group[row.member].total_reward for row in turns]
    won = [row for row in turns if _succeeded(group, row)]
    lost = [row for row in turns if not _succeeded(group, row)]
    best, worst = _best(group, turns), _worst(group, turns)
    lines = [
        f"- action {action}, tried {len(turns)} times, success count: {len(won)}/{len(turns)}, "
        f"average return: {math.fsum(returns) / len(returns):.4f}",
        f"  best outcome: {_outcome(group, best)}",
        f"  worst outcome: {_outcome(group, worst)}",
    ]
    if "immediate" in show:
        lines += _best_and_worst_text("immediate_feedback", best, worst, lambda row: immediate_text(row.step, options))
    if "next" in show:
        lines += _best_and_worst_text(
            "next_observation", best, worst, lambda row: next_text(group[row.member], row.place)
        )
    if "future" in show:
        if won:
            lines += ["  success future trajectory example:", _future_text(batched, _best(group, won), options)]
        if lost:
            lines += ["  failed future trajectory example:", _future_text(batched, _worst(group, lost), options)]
    return lines


def _best_and_worst_text(name: str, best: Row, worst: Row, text_of: Callable[[Row], str]) -> list[str]:
    """The text of the best outcome, and that of the worst if it differs."""
    good, bad = text_of(best), text_of(worst)
    lines = [f"  best outcome {name}:", good] if good else []
    return [*lines, f"  worst outcome {name}:", bad] if bad and bad != good else lines


def _future_text(batched: BatchedGroup, row: Row, options: ContextOptions) -> str:
    text = demonstration(batched.future(row.member, row.place), options, options.max_future_context_steps)
    return text or "(no future trajectory after this action)"


def _succeeded(group: Group, row: Row) -> bool:
    trajectory = group[row.member]
    return trajectory.won and not trajectory.broken


def _outcome(group: Group, row: Row) -> str:
    label = "success" if _succeeded(group, row) else "failure"
    return f"{label}, reward {group[row.member].total_reward:.4f}"


def _rank(group: Group, row: Row) -> tuple[float, int, int]:
    return group[row.member].total_reward, -row.step.index, -row.batch


def _best(group: Group, rows: Sequence[Row]) -> Row:
    """The highest return. Ties: the earliest step, then the lowest index."""
    return max(rows, key=lambda row: _rank(group, row))


def _worst(group: Group, rows: Sequence[Row]) -> Row:
    """The lowest return. Ties: the latest step, then the highest index."""
    return min(rows, key=lambda row: _rank(group, row))
