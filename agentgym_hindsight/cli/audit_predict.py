"""``agh audit predict FILE --runs FOLDER``: does the agreement with the truth predict the gain in training?"""

from __future__ import annotations

import argparse
from math import isfinite

from agentgym_hindsight.baselines.audit.page import interval_text
from agentgym_hindsight.baselines.audit.prediction import Prediction, predict, read_trained
from agentgym_hindsight.baselines.audit.scatter import ScatterPoint, scatter_plot
from agentgym_hindsight.baselines.audit.summary import Figure
from agentgym_hindsight.baselines.audit.turn_table import SAYS, TurnTable
from agentgym_hindsight.cli.audit_files import (
    checked_images,
    checked_markdown,
    truth_file,
    write_images,
    write_markdown,
)
from agentgym_hindsight.cli.output_files import check_folder
from agentgym_hindsight.cli.tables import Grid
from agentgym_hindsight.cli.terminal import output, print_json
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.markup import Html
from agentgym_hindsight.printable import printable_line

__all__ = ["FIGURE", "run"]

FIGURE = "audit-predicts-training"


def run(options: argparse.Namespace) -> int:
    """Print the table; write the figure and the Markdown page where they are wanted."""
    if len(options.score) != 2 or not options.runs:
        raise UsageError(
            "Expected agh audit predict FILE --runs FOLDER, got other words; "
            "try agh audit predict turns.parquet --runs runs/compare."
        )
    file, runs = truth_file(options.score[1]), check_folder(options.runs, "runs", option="--runs")
    if not runs.is_dir():
        raise UsageError(f"Expected a folder of `agh compare`, got {str(runs)!r}; try runs/compare.")
    images, markdown = checked_images(options), checked_markdown(options)
    table = TurnTable.load(file)
    trained, decoding = read_trained(runs, table.names(SAYS), options.decoding or "")
    found = predict(table, trained, decoding)
    title = options.title or "Does the audit predict training?"
    written = write_images(images, {FIGURE: _figure(found, title)}, fresh=options.fresh) if images else []
    grid = _table(found, title)
    if markdown:
        picture = [f"![{title}]({written[0].name})"] if written else []
        command = f"agh audit predict {file.name} --runs {runs.name}"
        left_out = [f"Without a column in the audit: {', '.join(found.left_out)}."] if found.left_out else []
        write_markdown(
            markdown, title, command, [_sentence(found), *picture, "\n".join(grid.markdown()), _NOTE, *left_out]
        )
    if options.json:
        print_json({"file": str(file), "runs": str(runs), **found.as_dict()})
        return 0
    out = output()
    grid.print(out)
    out.print(_sentence(found), soft_wrap=True)
    if found.left_out:
        out.print(f"without a column in the audit: {', '.join(found.left_out)}", soft_wrap=True)
    return 0


_NOTE = (
    "Agreement: Spearman with the measured advantages, 95 % interval from a bootstrap over tasks. Gain: success after "
    "training minus before, paired by seed, with Student's 95 % interval."
)


def _sentence(found: Prediction) -> str:
    count = len(found.points)
    if not isfinite(found.correlation.value):
        return f"{count} methods: too few for a rank correlation."
    return (
        f"Rank correlation of agreement and gain over {count} methods: {interval_text(found.correlation)} "
        "(95 % interval: bootstrap over tasks and seeds)."
    )


def _figure(found: Prediction, title: str) -> Html:
    points = [
        ScatterPoint(each.name, each.agreement, each.gain, number % 14) for number, each in enumerate(found.points)
    ]
    gain = f"gain in training ({found.decoding})" if found.decoding else "gain in training"
    return scatter_plot(f"{title} {_sentence(found)}", points, "Spearman with the true advantage", gain)


def _table(found: Prediction, title: str) -> Grid:
    rows = [
        [
            printable_line(each.name, 80),
            printable_line(each.column, 80),
            str(each.seeds),
            interval_text(each.agreement),
            _points(each.gain),
        ]
        for each in found.points
    ]
    return Grid(title, ["method", "column", "seeds", "agreement", f"gain ({found.decoding})"], rows, text_columns=2)


def _points(gain: Figure) -> str:
    ends = f" [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]" if isfinite(gain.low) else ""
    return f"{100 * gain.value:+.1f} points{ends}"
