"""``agh import``: rollouts in the formats of other programs as a file of rollouts."""

from __future__ import annotations

import argparse
from pathlib import Path

from agentgym_hindsight.cli.output_files import check_file
from agentgym_hindsight.cli.parsing import name_of, path, source
from agentgym_hindsight.cli.terminal import console, output
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.exports.formats import FORMATS, import_rollouts
from agentgym_hindsight.hindsight.jsonl import write_jsonl


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=source, help="a file, or a folder of documents (atif, sts)")
    parser.add_argument(
        "--from",
        dest="source_format",
        type=name_of("format", FORMATS),
        choices=list(FORMATS),
        required=True,
        help="the format; files of `agh export` come back unchanged, chats of other programs as turns",
    )
    parser.add_argument("--out", type=path, required=True, help="the JSONL file of rollouts to write")
    parser.add_argument("--fresh", action="store_true", help="replace the file in --out")


def run(options: argparse.Namespace) -> int:
    out = Path(options.out)
    if out.exists() and out.resolve() == Path(options.file).resolve():
        raise UsageError(f"Expected another place than the file that is read, got --out {out}; try another --out.")
    check_file(out, "rollouts", lambda _: False, fresh=options.fresh)
    result = import_rollouts(options.file, options.source_format)
    for problem in result.problems:
        console.print(f"{options.file}, number {problem.line_number} is left out: {problem.cause}", soft_wrap=True)
    if not result.trajectories:
        raise UsageError(
            f"Expected at least one rollout in {options.file}, got none; try another --from than "
            f"{options.source_format}."
        )
    count = write_jsonl(out, result.trajectories)
    left = f"; {len(result.problems)} could not be read and are left out" if result.problems else ""
    output().print(f"saved: {out} ({count} rollouts{left})", soft_wrap=True)
    return 1 if result.problems else 0
