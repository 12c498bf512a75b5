"""Five tasks of a person in the viewer. Each starts at the list of a source, as ``agh view FILE`` opens it.

``docs/viewer.md`` has a table with these questions and the clicks that they take.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from tests.viewer.clicks import Reader
from tests.viewer.rollout_files import lost, sample, won

__all__ = ["TASKS", "clicks_of_the_page", "make_run"]

GOAL = "Find the mug."
PAGE = Path(__file__).parents[2] / "docs" / "viewer.md"


def make_run(folder: Path) -> Path:
    """A run of training with a winner and a loser; their last turns have the strongest weight and a cut context."""
    (folder / "run.json").write_text(json.dumps({"recipe": "serl", "env": "ALFWorld-Hindsight-v0", "seed": 0}))
    (folder / "metrics.jsonl").write_text(json.dumps({"update": 0, "success": 0.5, "turns": 4}) + "\n")
    samples = [sample(each) for each in (won(), lost())]
    for each in samples:
        each["steps"][0]["context_cut"] = False
        each["steps"][1]["weights"] = [1.0, 1.2, 1.0]
        each["steps"][1]["gaps"] = [0.0, 0.9, 0.0]
    (folder / "samples.jsonl").write_text("".join(json.dumps(each) + "\n" for each in samples))
    return folder


def where_they_part(reader: Reader) -> None:
    reader.click(GOAL)
    assert reader.sees("The first winner and the first other rollout part at turn 2")
    assert reader.sees("the winner did")


def side_by_side(reader: Reader) -> None:
    reader.click(GOAL)
    reader.click("part at turn 2")
    assert reader.sees("They part at turn 2: the actions differ.")


def weighed_most(reader: Reader) -> None:
    reader.click("✓ 0")
    reader.click("weighed most:")
    assert reader.sees("Turn 2 of 2")
    assert reader.sees("Weighed most: 'go' (token 2), weight 1.2")
    assert reader.sees("After reading the hindsight, the teacher finds it more probable: gap 0.9")


def what_the_teacher_saw(reader: Reader) -> None:
    reader.click("✓ 0")
    reader.click("The teacher read")
    assert reader.sees("Marked: what the policy did not see.")
    assert reader.sees("Immediate feedback:")


def where_actions_lead(reader: Reader) -> None:
    reader.click(GOAL)
    assert reader.sees("Situation 1")
    for word in ("action", "tried", "won", "mean return", "credit by gigpo"):
        assert reader.sees(word)


def what_the_context_lost(reader: Reader) -> None:
    reader.click("✓ 0")
    reader.click("the teacher's context was cut in turn 2")
    assert reader.sees("Turn 2 of 2")
    assert reader.sees("characters were cut off (grey, struck through)")


#: Question in ``docs/viewer.md`` → how it is answered.
TASKS: dict[str, Callable[[Reader], None]] = {
    "At which turn do the winner and a loser part?": where_they_part,
    "The same, side by side": side_by_side,
    "Which token was weighed most, and why?": weighed_most,
    "What did the teacher see?": what_the_teacher_saw,
    "Where do a group's actions in one situation lead?": where_actions_lead,
    "What did the teacher's context lose?": what_the_context_lost,
}


def clicks_of_the_page() -> dict[str, int]:
    """The table of ``docs/viewer.md``."""
    rows = re.findall(r"^\| ([^|]+) \| (\d) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {question.strip(): int(clicks) for question, clicks in rows}
