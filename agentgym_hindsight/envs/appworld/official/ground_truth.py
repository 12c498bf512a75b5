"""Access to the ground truth of AppWorld's tasks.

Only the train and dev splits are open. The benchmark keeps the ground truth of its test splits hidden, so that scores
on them are meaningful. For the test splits this library shows no requirement, reference solution or answer.
"""

from __future__ import annotations

from pathlib import Path

from agentgym_hindsight.errors import MissingDataError, UsageError
from agentgym_hindsight.files import read_text

__all__ = ["OPEN_SPLITS", "is_open", "reference_program"]

#: Splits whose solutions and test results may be shown.
OPEN_SPLITS = ("train", "dev")


def is_open(split: str) -> bool:
    """Whether ground truth of this split may be shown.

    >>> is_open("dev"), is_open("test_normal")
    (True, False)
    """
    return split in OPEN_SPLITS


def reference_program(root: Path, split: str, name: str) -> str:
    """The reference solution of a task, as a program for its world."""
    if not is_open(split):
        raise UsageError(
            f"Expected a task of {' or '.join(OPEN_SPLITS)}, got one of {split}, whose solutions are hidden; "
            "try split='dev'."
        )
    path = root / "data" / "tasks" / name / "ground_truth" / "compiled_solution.py"
    try:
        text = read_text(path)
    except OSError as error:
        raise MissingDataError(
            f"Expected the reference solution of {name} at {path}, found none; try `agh data install appworld`."
        ) from error
    lines = [line for line in text.splitlines() if not line.startswith("# Canary String")]
    return "\n".join((*lines, "", "solution(apis, requester)")).strip() + "\n"
