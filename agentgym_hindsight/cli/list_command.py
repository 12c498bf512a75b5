"""``agh list``: the environments, their data and the sizes of their splits."""

from __future__ import annotations

import argparse
from typing import Any

import gymnasium as gym
from rich.table import Table

from agentgym_hindsight.cli.shared import output
from agentgym_hindsight.errors import HindsightError
from agentgym_hindsight.registration import ENVS


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plain", action="store_true", help="print only the ids, one per line")


def run(options: argparse.Namespace) -> int:
    if options.plain:
        print("\n".join(entry.id for entry in ENVS))
        return 0
    table = Table("id", "plays now", "tasks", "what it is")
    for entry in ENVS:
        table.add_row(entry.id, *_state(entry.id), entry.summary)
    output().print(table)
    return 0


def _state(env_id: str) -> tuple[str, str]:
    try:
        env = gym.make(env_id)
        world: Any = env.unwrapped
        counts = []
        for split in world.splits:
            try:
                counts.append(f"{split} {world.backend.count(split)}")
            except HindsightError:
                continue  # this data does not have the split
        name = str(world.backend.name)
        env.close()
    except HindsightError as error:
        return "not usable", str(error)
    return name, "\n".join(counts)
