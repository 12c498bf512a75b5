"""``agh anchors``: how often equal texts hide different states, counted over recorded rollouts."""

from __future__ import annotations

import argparse

from agentgym_hindsight.cli.parsing import source
from agentgym_hindsight.cli.terminal import console, print_line
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.collisions import collision_report
from agentgym_hindsight.hindsight.jsonl import read_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        type=source,
        nargs="+",
        help="JSONL files written by `agh rollout` with anchor=state, which is the default",
    )


def run(options: argparse.Namespace) -> int:
    trajectories: list[Trajectory] = []
    for name in options.files:
        result = read_jsonl(name)
        trajectories += result.trajectories
        for problem in result.problems:
            console.print(f"{name}, line {problem.line_number}: {problem.cause}; skipped.", soft_wrap=True)
    if not trajectories:
        raise UsageError(
            "Expected at least one rollout, got none; try `agh rollout --policy random --out rollouts.jsonl`."
        )
    print_line(collision_report(trajectories).to_markdown())
    return 0
