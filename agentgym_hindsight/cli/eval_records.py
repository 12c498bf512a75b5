"""The lines of ``eval.jsonl``: one per evaluation, in the format that training runs use."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentgym_hindsight.atomic import write_text
from agentgym_hindsight.baselines.evaluation.results import Evaluation
from agentgym_hindsight.baselines.evaluation.trials import AfterTrial
from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.cli.eval_policies import model_folder
from agentgym_hindsight.cli.output_files import check_file, has_records
from agentgym_hindsight.cli.terminal import console
from agentgym_hindsight.tasks import TaskPanel

__all__ = ["check_record_file", "discard_other_records", "evaluation_line", "training_progress", "write_line"]

#: A new line replaces an older one that has the same values of these keys, and the same number of siblings.
_IDENTITY = ("update", "label", "temperature", "panel", "seed", "policy", "trials")


def evaluation_line(
    policy: str,
    label: str,
    temperature: float,
    panel: TaskPanel,
    seed: int,
    evaluation: Evaluation,
    trials: Sequence[AfterTrial] = (),
) -> dict[str, Any]:
    """The line of one evaluation. ``trials`` are those of Reflexion."""
    update, turns = training_progress(policy)
    return {
        "update": update,
        "turns": turns,
        "label": label,
        "temperature": temperature,
        "panel": panel.fingerprint,
        "split": "+".join(panel.counts("split")),
        "seed": seed,
        "policy": policy,
        "evaluation": evaluation.as_dict(),
        **({"trials": len(trials), "after_trials": [each.as_dict() for each in trials]} if trials else {}),
    }


def training_progress(policy: str) -> tuple[int, int]:
    """Updates and env turns of the training of ``RUN/policy`` or ``RUN/checkpoint-N``; (0, 0) for any other model."""
    folder = model_folder(policy)
    try:
        lines = RunLog(folder.parent, active=False).read("metrics")
        if folder.name.startswith("checkpoint-"):  # numbered by optimizer steps
            settings = json.loads((folder.parent / "run.json").read_text(encoding="utf-8"))["settings"]
            last = int(folder.name.removeprefix("checkpoint-")) // int(settings["plan"]["mini_batches"]) - 1
            lines = [line for line in lines if line["update"] == last]
        elif folder.name != "policy":
            return 0, 0
        return int(lines[-1]["update"]) + 1, int(lines[-1]["turns"])
    except (OSError, ValueError, LookupError, TypeError):
        return 0, 0


_SURROGATE = re.compile("[\ud800-\udfff]")
_is_ours = has_records("update", "label")


def check_record_file(path: Path, *, fresh: bool) -> None:
    """Raise if the file cannot be written, or contains anything but evaluations."""
    check_file(path, "evaluations", _is_ours, fresh=fresh)


def discard_other_records(path: Path) -> None:
    """Delete the file if it contains anything but evaluations, for ``--fresh``. Evaluations are kept."""
    if path.exists() and not _is_ours(path):
        path.unlink()


def write_line(path: Path, line: dict[str, Any]) -> None:
    """Add the line to the file. It replaces an earlier line of the same evaluation. A cut line is removed."""
    lines = []
    # Not splitlines: names may contain other line separators, which JSON does not escape.
    for text in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else ():
        if not text.strip():
            continue
        try:
            earlier = json.loads(text)
            if _identity(earlier) != _identity(line):
                lines.append(text)
        except ValueError:
            console.print(f"{path}: an incomplete line, which cannot be read, was removed.", soft_wrap=True)
    write_text(path, "\n".join([*lines, _json(line)]) + "\n")


def _identity(line: dict[str, Any]) -> list[Any]:
    found = line.get("at_k")
    siblings = found.get("k") if isinstance(found, dict) else 1
    return [*(line.get(key) for key in _IDENTITY), siblings]


def _json(line: dict[str, Any]) -> str:
    text = json.dumps(line, ensure_ascii=False)
    # A category of a world may contain a lone surrogate, which UTF-8 does not have.
    return json.dumps(line) if _SURROGATE.search(text) else text
