"""The share of padding in batches of real rows, and what the token budget changes on the device.

The counts need no device: they are those of the trainer's own packing. For comparison, the same rows in batches of a
fixed number of rows, in the order in which they were played.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, replace

from agentgym_hindsight.baselines.training.quiet import quiet_libraries
from agentgym_hindsight.baselines.training.scoring import pack_rows
from agentgym_hindsight.baselines.training.sequences import Sequences, tokens_of
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.cli.bench.gpu.cases import Case, Figures, Run
from agentgym_hindsight.cli.bench.gpu.device import peak_gib
from agentgym_hindsight.cli.bench.gpu.models import DRY, shape_of
from agentgym_hindsight.cli.bench.gpu.played import Lengths, Played, played
from agentgym_hindsight.cli.bench.gpu.step import METHODS, Setup, make_trainer, measured_updates, method_of

__all__ = ["cases", "packing", "rows_of"]

_BUDGETS = (4096, 16384, 65536)
#: Rows of a micro-batch in the release.
_FIXED = 8


def cases(run: Run) -> Iterator[Case]:
    """The counts, then updates of SERL with each budget."""
    lengths = Lengths.of(run.dry)
    given = {"seed": run.seed, "lengths": asdict(lengths)}
    for name, counted in (("rows", lengths), ("rows of the tiny preset", Lengths.of_tiny(run.dry))):

        def counts(counted: Lengths = counted) -> Figures:
            rollouts = played(counted, run.seed)
            return {**rollouts.description(), **packing(rows_of(rollouts), _BUDGETS, _FIXED)}

        settings = {"seed": run.seed, "lengths": asdict(counted), "budgets": list(_BUDGETS), "fixed": _FIXED}
        yield Case(name, settings, counts)
    size = DRY if run.dry else "0.5B"
    for budget in _BUDGETS[:1] if run.dry else _BUDGETS:
        setup = Setup(size, budget=budget, rollouts=4 if run.dry else 16, updates=2 if run.dry else 3)

        def updates(setup: Setup = setup) -> Figures:
            found = measured_updates(setup, METHODS[1], played(lengths, run.seed))
            names = ("padding", "tokens of the rows a second", "seconds of an update without rollouts")
            return {**{name: found[name] for name in names}, **peak_gib()}

        settings = {**given, "shape": shape_of(size), **asdict(setup)}
        del settings["least_seconds"]
        yield Case(f"{size}, updates with token_budget={budget}", settings, updates, 15.0)


def rows_of(rollouts: Played) -> list[TrainingRow]:
    """The rows of an update of SERL, with the teacher's prompts; the model is the smallest one, for it is not run."""
    setup = replace(Setup(DRY), rollouts=len(rollouts.episodes))
    with quiet_libraries(), tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(setup, method_of(METHODS[1]), rollouts, folder)
        with closing(trainer):
            return trainer._rows(list(rollouts.episodes), asks_teacher=True)


def packing(rows: Sequence[TrainingRow], budgets: Sequence[int], fixed: int) -> dict[str, float]:
    """The share of padding and the number of batches, for the student's and the teacher's sequences."""
    figures: dict[str, float] = {}
    for side, teacher in (("student", False), ("teacher", True)):
        own = [row for row in rows if row.teacher_ids] if teacher else list(rows)
        if not own:
            continue
        ways = {f"token_budget={budget}": pack_rows(own, budget, teacher=teacher) for budget in budgets}
        ways[f"{fixed} rows as played"] = [own[start : start + fixed] for start in range(0, len(own), fixed)]
        for way, batches in ways.items():
            sequences = [Sequences.of_rows(tokens_of(batch, teacher), 0) for batch in batches]
            useful, computed = (sum(getattr(each, name) for each in sequences) for name in ("useful", "computed"))
            figures[f"{side}, {way}: batches"] = len(batches)
            figures[f"{side}, {way}: tokens"] = useful
            figures[f"{side}, {way}: padding"] = 1 - useful / computed
    return figures
