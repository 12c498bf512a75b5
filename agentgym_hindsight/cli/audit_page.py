"""``agh audit page FILE FILE…``: one page with the tables of several audits side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from agentgym_hindsight.atomic import write_text
from agentgym_hindsight.baselines.audit.page import is_audit_page
from agentgym_hindsight.baselines.audit.run_audit import as_json_values
from agentgym_hindsight.baselines.audit.several import NamedAudit, audit_tables, charts_of, render_several
from agentgym_hindsight.baselines.audit.summary import by_group_size, summarise
from agentgym_hindsight.baselines.audit.turn_table import TurnTable
from agentgym_hindsight.cli.audit_files import (
    checked_images,
    checked_markdown,
    truth_file,
    write_images,
    write_markdown,
)
from agentgym_hindsight.cli.output_files import check_file
from agentgym_hindsight.cli.tables import Grid
from agentgym_hindsight.cli.terminal import output, print_json
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.printable import printable_line

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Print the tables; write the page, the charts and the Markdown where they are wanted."""
    files = [_named(word) for word in options.score[1:]]
    if not files:
        raise UsageError("Expected agh audit page FILE, got no file; try agh audit page runs/audit/turns.parquet.")
    if len({name for name, _ in files}) < len(files):
        raise UsageError("Expected a different name for each audit; try agh audit page NAME=FILE NAME=FILE.")
    page = None
    if options.out:
        page = check_file(options.out, "audit", is_audit_page, fresh=options.fresh)
    images, markdown = checked_images(options), checked_markdown(options)
    audits = []
    for name, file in files:
        table = TurnTable.load(file)
        audits.append(NamedAudit(name, summarise(table, options.reference), by_group_size(table)))
    title = options.title or ("Audits" if len(audits) > 1 else f"Audit: {audits[0].name}")
    tables = audit_tables(audits)
    grids = [Grid(each.title, each.head, each.rows, text_columns=1) for each in tables]
    if page:
        write_text(page, render_several(audits, title))
    written = write_images(images, charts_of(audits), fresh=options.fresh) if images else []
    if markdown:
        command = " ".join(["agh audit page", *(f"{name}={file.name}" for name, file in files)])
        parts = [f"![{title}: {file.stem}]({file.name})" for file in written]
        for each, grid in zip(tables, grids, strict=True):
            parts += [f"## {each.title}", "\n".join(grid.markdown()), *([each.note] if each.note else [])]
        write_markdown(markdown, title, command, parts)
    if options.json:
        print_json(
            as_json_values({each.name: {**each.summary.as_dict(), "group_sizes": each.sizes} for each in audits})
        )
        return 0
    for grid in grids:
        grid.print(output())
    return 0


def _named(word: str) -> tuple[str, Path]:
    """``NAME=FILE``, or a file, whose name is that of its folder or its own."""
    name, equals, rest = word.partition("=")
    if equals and not Path(word).exists():
        return printable_line(name, 60), truth_file(rest)
    file = truth_file(word)
    return printable_line(file.resolve().parent.name if file.stem == "turns" else file.stem, 60), file
