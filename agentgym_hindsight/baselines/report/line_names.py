"""Short names for the lines of a report: the recipe, and what tells a line from the others."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agentgym_hindsight.printable import printable_line
from agentgym_hindsight.short_repr import short_repr

__all__ = ["line_names"]

#: A name of more settings, or a longer one, says less than the name of the folder.
_MOST_SETTINGS, _LONGEST = 3, 60
_MOST_PARTS = 5


def line_names(traits: Sequence[Mapping[str, Any]], folders: Sequence[Path], seeds: Sequence[str]) -> list[str]:
    """A name for each line, all different: its recipe with the settings in which it differs from others of the recipe.

    Lines that have little in common would need many settings. They are named by the folder of a run, without its seed.

    >>> runs = [Path("runs/wide-seed0"), Path("runs/narrow-seed0")]
    >>> line_names([{"recipe": "serl", "clip": 0.8}, {"recipe": "serl", "clip": 0.2}], runs, ["0", "0"])
    ['serl · clip=0.8', 'serl · clip=0.2']
    >>> many = [{"recipe": "serl", **{f"setting{n}": n + k for n in range(9)}} for k in range(2)]
    >>> line_names(many, runs, ["0", "0"])
    ['serl · wide', 'serl · narrow']
    """
    differing = _differing_keys(traits)
    lines = list(zip(traits, folders, seeds, strict=True))
    names = [
        _by_settings(line, differing[str(line["recipe"])]) or _by_folder(line, folder, seed)
        for line, folder, seed in lines
    ]
    for parts in range(2, _MOST_PARTS + 1):  # folders of equal names get as much of their paths as tells them apart
        repeated = {name for name, count in Counter(names).items() if count > 1}
        for place, (line, folder, _) in enumerate(lines):
            if names[place] in repeated:
                names[place] = _joined(line, "/".join(folder.resolve().parts[-parts:]))
    seen: Counter[str] = Counter()
    for place, name in enumerate(names):
        seen[name] += 1
        names[place] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return names


def _differing_keys(traits: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """By recipe, the settings that are not equal in all lines of it."""
    values: dict[str, dict[str, Counter[str]]] = {}
    sizes: Counter[str] = Counter(str(line["recipe"]) for line in traits)
    for line in traits:
        for key, value in line.items():
            text = json.dumps(value, default=str)
            values.setdefault(str(line["recipe"]), {}).setdefault(key, Counter())[text] += 1
    return {
        recipe: sorted(key for key, counts in keys.items() if max(counts.values()) < sizes[recipe])
        for recipe, keys in values.items()
    }


def _by_settings(line: Mapping[str, Any], differing: Sequence[str]) -> str:
    """The recipe and the settings that differ; "" if that is long."""
    shown = [f"{key.rpartition('.')[2]}={_value(line[key])}" for key in differing if key in line]
    name = " · ".join([_recipe(line), *shown])
    return name if not shown or (len(shown) <= _MOST_SETTINGS and len(name) <= _LONGEST) else ""


def _by_folder(line: Mapping[str, Any], folder: Path, seed: str) -> str:
    name = folder.resolve().name
    return _joined(line, re.sub(rf"[-_. ]*(seed|s)?[-_]?{re.escape(seed)}$", "", name) or name)


def _joined(line: Mapping[str, Any], folder: str) -> str:
    recipe = _recipe(line)
    # Folders are often named after the recipe: "serl · serl-wide" says it twice.
    return printable_line(folder if folder.startswith(recipe) else f"{recipe} · {folder}", _LONGEST)


def _recipe(line: Mapping[str, Any]) -> str:
    return printable_line(str(line["recipe"]), 40)


def _value(value: object) -> str:
    return printable_line(value if isinstance(value, str) else short_repr(value, 40), 40)
