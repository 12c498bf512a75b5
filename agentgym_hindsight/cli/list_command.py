"""``agh list``: the environments, their data and the sizes of their splits."""

from __future__ import annotations

import argparse
from typing import Any

import gymnasium as gym

from agentgym_hindsight.cli.tables import Grid
from agentgym_hindsight.cli.terminal import output, print_json, print_line
from agentgym_hindsight.errors import HindsightError
from agentgym_hindsight.registration import ENVS, EnvEntry
from agentgym_hindsight.stage import short_name


def arguments(parser: argparse.ArgumentParser) -> None:
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--plain", action="store_true", help="print only the ids, one per line")
    form.add_argument("--json", action="store_true", help="print a list of objects as JSON")


def run(options: argparse.Namespace) -> int:
    if options.plain:
        print_line("\n".join(entry.id for entry in ENVS))
        return 0
    found = [_describe(entry) for entry in ENVS]
    if options.json:
        print_json(found)
        return 0
    rows = [
        (
            each["name"],
            each["backend"] or "not usable",
            "\n".join(f"{split} {count}" for split, count in each["splits"].items()) or each["problem"],
            each["summary"],
        )
        for each in found
    ]
    Grid("", ("id", "plays now", "tasks", "what it is"), rows, text_columns=4).print(output())
    return 0


def _describe(entry: EnvEntry) -> dict[str, Any]:
    """The env as an object for JSON. ``problem`` says why it cannot be used."""
    found: dict[str, Any] = {
        "name": entry.id,
        "short_name": short_name(entry.id),
        "summary": entry.summary,
        "backend": "",
        "splits": {},
        "problem": "",
    }
    try:
        env = gym.make(entry.id)
        world: Any = env.unwrapped
        for split in world.splits:
            try:
                found["splits"][split] = int(world.backend.count(split))
            except HindsightError:
                continue  # this data does not have the split
        found["backend"] = str(world.backend.name)
        env.close()
    except HindsightError as error:
        found["problem"] = str(error)
    return found
