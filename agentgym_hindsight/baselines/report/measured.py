"""One evaluation as it stands in ``eval.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentgym_hindsight.baselines.evaluation.results import Evaluation
from agentgym_hindsight.baselines.report.plausible import fault, number
from agentgym_hindsight.printable import printable_line
from agentgym_hindsight.short_repr import quoted, short_repr

__all__ = ["Measured", "measured_of", "update_of"]

#: More updates, games or categories than any run has; a page of more categories would not open.
_MOST_UPDATES, _MOST_GAMES, _MOST_CATEGORIES = 10**12, 10**12, 200


@dataclass(frozen=True, slots=True)
class Measured:
    """One evaluation of the policy after ``update`` updates."""

    update: int
    turns: float
    split: str
    label: str
    panel: str
    seed: str
    evaluation: Evaluation


def measured_of(row: Mapping[str, Any]) -> Measured:
    """The evaluation of a line. Raises ValueError or SchemaError if it is none."""
    document = row["evaluation"]
    if reason := _fault(document):
        raise ValueError(reason)
    evaluation = Evaluation.from_dict(document)
    label = row.get("label") or f"T={short_repr(row.get('temperature', '?'), 20)}"
    at_k = row.get("at_k")
    if isinstance(at_k, Mapping):  # of `agh eval --siblings K`: another evaluation than one without siblings
        label = f"{label}, {short_repr(at_k.get('k', '?'), 20)} siblings"
    return Measured(
        update_of(row),
        number(row, "turns") or 0.0,
        _word(row.get("split") or ""),
        _word(label),
        _word(row.get("panel") or ""),
        _word(row.get("seed", "")),
        evaluation,
    )


def update_of(row: Mapping[str, Any]) -> int:
    """The number of the update. Raises ValueError if it is no whole number."""
    value = row["update"]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_UPDATES:
        raise ValueError(f"'update' is {short_repr(value, 40)}, not a whole number from 0 to {_MOST_UPDATES}")
    return value


def _word(value: object) -> str:
    return printable_line(value if isinstance(value, str) else short_repr(value, 80), 80)


def _fault(document: object) -> str:
    """Why the document is no possible evaluation; "" if it is one, or if Evaluation.from_dict names the fault."""
    if not isinstance(document, Mapping):
        return f"'evaluation' is {short_repr(document, 40)}, not an object"
    rows = document.get("categories")
    rows = [document.get("micro"), *(rows if isinstance(rows, list) else [])]
    if len(rows) > _MOST_CATEGORIES:
        return f"{len(rows) - 1} categories"
    return next((reason for row in rows if isinstance(row, Mapping) and (reason := _row_fault(row))), "")


def _row_fault(row: Mapping[str, Any]) -> str:
    name = quoted(str(row.get("name")))
    for key in ("rollouts", "won", "broken"):
        value = row.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_GAMES:
            return f"the {key} of {name} are {short_repr(value, 40)}, not a number of games"
    if row.get("won", 0) > row.get("rollouts", 0):
        return f"{row['won']} won of {row.get('rollouts', 0)} rollouts is impossible"
    for key in ("score", "turns", "invalid"):
        if reason := fault(row.get(key, 0.0)):
            return f"the {key} of {name} is {reason}"
    return ""
