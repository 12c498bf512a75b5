"""``agh report``: write one self-contained HTML page about training runs and print its main table."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.text import Text

from agentgym_hindsight.baselines.report import Report, is_report, write_report
from agentgym_hindsight.baselines.report.result_tables import COLUMNS, cells
from agentgym_hindsight.cli.output_files import check_file
from agentgym_hindsight.cli.parsing import source
from agentgym_hindsight.cli.tables import Grid
from agentgym_hindsight.cli.terminal import console, output
from agentgym_hindsight.printable import printable

#: The columns that fit into a terminal. The page has all of them.
_SHOWN = ("before", "after RL", "change", "invalid %", "games × seeds", "env turns")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=source, metavar="RUN", help="run folders, or folders that contain them")
    parser.add_argument("--out", type=Path, default=Path("report.html"), help="the file (default: %(default)s)")
    parser.add_argument("--fresh", action="store_true", help="replace the file in --out also if it is no report")
    parser.add_argument("--title", default="Training report", help="title of the page (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    check_file(options.out, "report", is_report, fresh=options.fresh)
    report = write_report([Path(run) for run in options.runs], options.out, options.title)
    for problem in report.problems:
        console.print(Text(f"skipped: {printable(str(problem))}"), soft_wrap=True)
    results = output()
    _table(report).print(results)
    for note in report.notes:
        results.print(Text(printable(note)), soft_wrap=True)
    for warning in report.warnings:
        results.print(Text(f"! {printable(str(warning))}"), soft_wrap=True)
    results.print(Text(f"Written to {report.out}"), soft_wrap=True)
    return 0


def _table(report: Report) -> Grid:
    rows = []
    for row in report.rows:
        texts = dict(zip(COLUMNS, cells(row), strict=True))
        first = (row.line.name, " ".join(filter(None, (row.label, row.split))))
        rows.append([printable(text) for text in (*first, *(texts[name] for name in _SHOWN))])
    return Grid("", ("recipe", "evaluation", *_SHOWN), rows, text_columns=2)
