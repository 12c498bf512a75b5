"""``agh export``: recorded rollouts in the formats of other programs."""

from __future__ import annotations

import argparse
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from agentgym_hindsight.cli.output_files import check_file, check_folder
from agentgym_hindsight.cli.parsing import name_of, path, source
from agentgym_hindsight.cli.terminal import console, output
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.exports.formats import FORMATS, export_rollouts
from agentgym_hindsight.exports.samples import read_rollouts
from agentgym_hindsight.hindsight.jsonl import LineProblem
from agentgym_hindsight.hindsight.trajectory import Trajectory

_LISTED = "; ".join(f"{name}: {about}" for name, about in FORMATS.items())
#: Formats of a document a rollout: several rollouts need a folder.
_FOLDERS = {"atif": (".json", ".jsonl"), "sts": (".jsonl",)}
#: The files that an export to a folder writes. Rollouts of the user, which may be in the folder too, have other names.
_DOCUMENT = re.compile(r"(trajectory-\d{5,}\.json|session-\d{5,}\.jsonl)")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        type=source,
        help="rollouts of `agh rollout` or `agh eval`, or the samples.jsonl or the folder of a training run, "
        "which has gaps and weights",
    )
    parser.add_argument(
        "--to", type=name_of("format", FORMATS), choices=list(FORMATS), required=True, help=f"the format: {_LISTED}"
    )
    parser.add_argument(
        "--out", type=path, required=True, help="the file to write, or the folder for atif (without .json) and sts"
    )
    parser.add_argument(
        "--rows",
        type=name_of("kind of row", ("rollout", "turn")),
        choices=["rollout", "turn"],
        help="of messages: rollout, one conversation (default), or turn, the prompt as the policy saw it",
    )
    parser.add_argument("--fresh", action="store_true", help="replace what is in --out")


def run(options: argparse.Namespace) -> int:
    out = Path(options.out)
    if options.rows and options.to != "messages":
        raise UsageError(f"Expected --rows with --to messages, got it with --to {options.to}; try leaving it out.")
    items = read_rollouts(options.file)
    check_output(out, options.to, fresh=options.fresh, given=Path(options.file))
    problems: list[LineProblem] = []

    def trajectories() -> Iterator[Trajectory]:
        found = 0
        for item in items:
            if isinstance(item, LineProblem):
                problems.append(item)
                console.print(f"{options.file}, line {item.line_number} is left out: {item.cause}", soft_wrap=True)
            else:
                found += 1
                yield item
        if not found:
            raise UsageError(
                f"Expected at least one rollout in {options.file}, got none; try `agh rollout --out FILE`."
            )

    more = {"rows": options.rows} if options.rows else {}
    if options.fresh and out.is_dir():
        count = _replaced(trajectories(), options.to, out.resolve())
    else:
        count = export_rollouts(trajectories(), options.to, out, **more)
    left = f"; {len(problems)} lines could not be read and are left out" if problems else ""
    output().print(f"saved: {out} ({count} rollouts as {options.to}{left})", soft_wrap=True)
    return 1 if problems else 0


def _replaced(trajectories: Iterator[Trajectory], to: str, out: Path) -> int:
    """Write a folder in place of an older one, which is deleted only when the new one is complete."""
    new = out.with_name(f".agh-{uuid.uuid4().hex}")
    count = export_rollouts(trajectories, to, new)
    shutil.rmtree(out)
    new.rename(out)
    return count


def check_output(out: Path, to: str, *, fresh: bool, given: Path) -> None:
    """Raise if the place cannot be written, or has other content and ``fresh`` is not set."""
    if out.exists() and given.exists() and out.resolve() == given.resolve():
        raise UsageError(f"Expected another place than the file that is read, got --out {out}; try another --out.")
    if to in _FOLDERS and out.suffix not in _FOLDERS[to]:
        out, given = out.resolve(), given.resolve()
        if out.is_dir() and any(out.iterdir()):
            known = all(_DOCUMENT.fullmatch(file.name) and file != given for file in out.iterdir())
            if not fresh or not known:  # never delete a folder with other files
                raise UsageError(
                    f"Expected a new or empty folder for the documents, got {out}, which has files; "
                    f"try another --out{', or --fresh to replace it' if known else ''}."
                )
        check_folder(out, "documents")
        return
    check_file(out, "export", lambda _: False, fresh=fresh)
