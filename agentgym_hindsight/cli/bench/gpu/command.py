"""``agh bench gpu``: runs the parts, and prints and saves the figures of each as soon as it has ended."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.cli.bench.gpu.parts import PARTS, Part
from agentgym_hindsight.cli.bench.gpu.records import KEYS, Record
from agentgym_hindsight.cli.bench.gpu.session import Session
from agentgym_hindsight.cli.output_files import check_file, has_records
from agentgym_hindsight.cli.parsing import name_of
from agentgym_hindsight.cli.tables import Grid
from agentgym_hindsight.cli.terminal import output, print_json
from agentgym_hindsight.errors import UsageError

__all__ = ["add_arguments", "rows_of", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark only."""
    group = parser.add_argument_group("gpu (needs the extra [train])")
    group.add_argument(
        "--part",
        type=name_of("part", PARTS),
        choices=list(PARTS),
        action="append",
        help="measure this part only; repeatable (default: all). A later call with the same --out measures what is "
        "missing there; --fresh begins anew",
    )
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="tiny shapes, on the CPU where there is no GPU: only to see that all works",
    )


def run(options: argparse.Namespace, title: str, note: Callable[[str], object]) -> int:
    """Status 1 if a case failed. What cannot be measured here, such as without memory or a package, is no failure."""
    require_train("measuring training")
    if not options.dry_run:
        _check_device()
    if options.out:
        check_file(options.out, "figures", has_records(*KEYS), fresh=options.fresh)
    session = Session(seed=options.seed, dry=options.dry_run, out=options.out, fresh=options.fresh, note=note)
    chosen = dict.fromkeys(options.part or PARTS)  # each once
    records: list[Record] = []
    for name in chosen:
        found = session.run(PARTS[name])
        records += found
        if not options.json:
            _print(PARTS[name], found)
    if options.json:
        figures = [{"name": what, "value": value} for what, value in rows_of(records)]
        command = f"agh bench gpu {' '.join(f'--part {name}' for name in chosen)}{' --dry-run' * options.dry_run}"
        machine = _machine(records)
        print_json({"name": "gpu", "title": title, "command": command, "machine": machine, "figures": figures})
    return int(any(record.error for record in records))


def _check_device() -> None:
    import torch

    if not torch.cuda.is_available():
        raise UsageError("Expected a GPU that torch can use, got none; try --dry-run, which measures tiny shapes.")


def rows_of(records: Sequence[Record]) -> list[tuple[str, str]]:
    """What was measured, or why not, and the figure as text."""
    rows: list[tuple[str, str]] = []
    for record in records:
        name = ": ".join(part for part in (record.part, record.case) if part)
        if record.error:
            rows.append((name, f"failed: {record.error}"))
        elif record.skipped:
            rows.append((name, f"not measured: {record.skipped}"))
        else:
            rows += [(f"{name}: {what}", _shown(value)) for what, value in record.figures.items()]
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:.4g}"


def _print(part: Part, records: Sequence[Record]) -> None:
    out = output()
    rows = [(what.removeprefix(f"{part.name}: "), value) for what, value in rows_of(records)]
    Grid(f"{part.name}: {part.about}", ("what", "figure"), rows, text_columns=1, whole_columns=0).print(out)
    out.print(_machine(records), soft_wrap=True)


def _machine(records: Sequence[Record]) -> str:
    found = next((record.machine for record in records if record.machine), {})
    return ", ".join(value if name == "device" else f"{name} {value}" for name, value in found.items())
