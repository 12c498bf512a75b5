"""The rules of the house that a machine can check."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import agentgym_hindsight

PACKAGE = Path(agentgym_hindsight.__file__).parent

#: From the ground up. A room may import rooms below it and modules of its own room.
FLOORS = [
    {"errors", "atomic"},
    {"spaces", "tasks"},
    {"hindsight"},
    {"envs"},
    {"wrappers"},
    {"vector"},
    {"stage"},
    {"baselines"},
    {"cli", "viewer"},
]
#: Outside the order: the table of ids (names only), the public face, the conformance kit (a tool over everything).
DOORS = {"registration": 0, "testing": 5, "__init__": 8, "__main__": 9}
#: What `pip install agentgym-hindsight` does not bring.
HEAVY = {"torch", "transformers", "trl", "vllm", "ray", "alfworld", "textworld", "appworld", "spacy", "pandas"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor_of(room: str) -> int:
    if room in DOORS:
        return DOORS[room]
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; the house uses full names"
            assert node.module is not None
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def is_room(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downward(path: Path) -> None:
    room, floor = room_of(path), floor_of(room_of(path))
    for name, line in imports_of(path):
        parts = name.split(".")
        if parts[0] != "agentgym_hindsight" or not is_room(parts[1]):
            continue
        other = parts[1]
        if other == room:
            if room == "envs" and len(parts) > 2:
                own, theirs = path.relative_to(PACKAGE / "envs").parts[0], parts[2]
                worlds = {child.name for child in (PACKAGE / "envs").iterdir() if child.is_dir()}
                assert theirs not in worlds or theirs == own, f"{path}:{line}: an env imports another env, {name}"
            continue
        if other == "registration":  # a table of names, free for all
            continue
        assert floor_of(other) < floor, f"{path}:{line}: {room} may not import {name} (downward only)"


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p) == "hindsight"], ids=lambda path: path.name)
def test_hindsight_needs_neither_torch_nor_gymnasium(path: Path) -> None:
    assert not {name.split(".")[0] for name, _ in imports_of(path)} & (HEAVY | {"gymnasium", "numpy"})


def test_importing_the_package_brings_nothing_heavy() -> None:
    # rich, httpx and flask are there, but an env that is only played needs none of them.
    code = "import sys, agentgym_hindsight; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & (HEAVY | {"httpx", "rich", "flask"})


def test_importing_and_the_first_observation_are_quick() -> None:
    code = (
        "import time, os; start = time.perf_counter(); import agentgym_hindsight; middle = time.perf_counter()\n"
        "import gymnasium as gym; env = gym.make('ALFWorld-Hindsight-v0', data='embedded'); env.reset(seed=0)\n"
        "print(middle - start, time.perf_counter() - middle)"
    )
    runs = [
        tuple(map(float, subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()))
        for _ in range(5)
    ]
    # The best of five: on a busy machine the others measure the neighbours. Promised: 0.2 s and 1 s.
    slack = 2.0 if os.environ.get("CI") else 1.5
    assert min(run[0] for run in runs) < 0.2 * slack
    assert min(run[1] for run in runs) < 1.0


def test_modules_declare_what_is_public() -> None:
    for name in agentgym_hindsight.__all__:
        assert hasattr(agentgym_hindsight, name), name
