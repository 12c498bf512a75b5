"""``agh data install``: the genuine programs that have an installation of their own."""

from __future__ import annotations

import argparse
import sys

from agentgym_hindsight.cli import data_appworld, data_bfcl
from agentgym_hindsight.cli.parsing import name_of, path
from agentgym_hindsight.errors import UsageError

__all__ = ["arguments", "run"]

_BENCHMARKS = ("appworld", "bfcl")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", type=name_of("benchmark", _BENCHMARKS), choices=list(_BENCHMARKS), help="the benchmark to install"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the steps and stop")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    parser.add_argument(
        "--python",
        type=path,
        default=sys.executable,
        help="appworld: Python 3.11 or newer, for AppWorld's virtual environment; bfcl: the Python that has pip",
    )
    parser.add_argument(  # --version of agh itself has the same name in the namespace
        "--version",
        dest="package_version",
        metavar="VERSION",
        help="bfcl: 2026.3.23 (default; v4 files) or 2025.7.17 (v3 files)",
    )


def run(options: argparse.Namespace) -> int:
    if options.what == "bfcl":
        return data_bfcl.run(options)
    if options.package_version is not None:
        raise UsageError(
            f"Expected --version only with bfcl, got {options.package_version}; try agh data install appworld."
        )
    return data_appworld.run(options)
