"""``agh bench bfcl``: speed of the embedded and the official APIs, and fuzzed calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from statistics import quantiles
from typing import Any

from agentgym_hindsight.cli.bench.figures import Row, memory_per_env
from agentgym_hindsight.envs.bfcl.env import BfclEnv
from agentgym_hindsight.envs.bfcl.fuzz import failing_references, fuzz_calls, some_tasks, starting_states
from agentgym_hindsight.envs.bfcl.official import find_package
from agentgym_hindsight.envs.bfcl.official.rows import CATEGORIES
from agentgym_hindsight.envs.bfcl.official.templates import forget_templates
from agentgym_hindsight.envs.bfcl.world import CallResult
from agentgym_hindsight.envs.tools import ToolCall
from agentgym_hindsight.errors import MissingDataError

__all__ = ["measure"]

_EPISODES = 200
#: Tasks that are begun and won again after the fuzzed calls: all of the official ones.
_AGAIN = 800


def measure(data: str | None, fuzz: int, seed: int, note: Callable[[str], object]) -> list[Row]:
    """All figures. The official APIs are measured where their package is found; ``data``: its folder."""
    worlds: dict[str, Mapping[str, Any]] = {"embedded": {"backend": "embedded"}}
    try:
        package = find_package(data)
        for category in CATEGORIES:
            worlds[f"{package.name}, {category}"] = {"backend": "official", "data": data, "category": category}
    except MissingDataError:
        if data is not None:
            raise
    rows: list[Row] = []
    for name, settings in worlds.items():
        note(name)
        rows += _speed(name, settings)
    note("memory")
    last = list(worlds.values())[-1]
    used = memory_per_env([lambda: _open(last) for _ in range(16)])
    rows.append(Row("memory of one more env", f"{used / 1024:.0f} KiB of Python objects"))
    for name in (["embedded", *([f"{package.name}, all"] if len(worlds) > 1 else [])]) if fuzz else ():
        settings = worlds["embedded"] if name == "embedded" else {"backend": "official", "data": data}
        rows += _fuzz(name, settings, fuzz, seed, note)
    return rows


def _open(settings: Mapping[str, Any]) -> BfclEnv:
    env = BfclEnv(**settings)
    env.reset(seed=0)
    return env


def _speed(name: str, settings: Mapping[str, Any]) -> list[Row]:
    """Reference actions of the first tasks of test, checks included, and the state key after each."""
    with closing(BfclEnv(split="test", **settings)) as env:
        tasks = [env.backend.task("test", index) for index in range(min(_EPISODES, env.backend.count("test")))]
        played = [(task, made.actions) for task in tasks if (made := env.backend.demonstration(task)) is not None]
        reset = play = won = steps = 0.0
        keys: list[float] = []
        for task, actions in played:
            started = time.perf_counter()
            env.reset(options={"task": task})
            reset += time.perf_counter() - started
            started = time.perf_counter()
            reward = 0.0
            for action in actions:
                _, reward, *_ = env.step(action)
            play += time.perf_counter() - started
            won, steps = won + reward, steps + len(actions)
        for task, _ in played:
            episode = env.backend.library.start(task)
            for turn in episode.task.reference:
                for call in turn:
                    episode.call(call)
                    started = time.perf_counter()
                    _ = episode.state_key
                    keys.append(time.perf_counter() - started)
    cuts = quantiles(keys, n=100)
    return [
        Row(f"{name}: steps (reference actions, checks included)", f"{steps / play:,.0f} /s"),
        Row("  resets", f"{len(played) / reset:,.0f} /s"),
        Row("  episodes won", f"{won:.0f} of {len(tasks)}"),
        Row("  state anchor after a call, p50 and p99", f"{1e6 * cuts[49]:.0f}, {1e6 * cuts[98]:.0f} µs"),
    ]


def _fuzz(name: str, settings: Mapping[str, Any], count: int, seed: int, note: Callable[[str], object]) -> list[Row]:
    longest = slowest = failed = 0.0
    done = 0
    last = time.perf_counter()

    def check(call: ToolCall, result: CallResult) -> None:
        nonlocal longest, slowest, failed, done, last
        now = time.perf_counter()
        longest, slowest = max(longest, len(result.text)), max(slowest, now - last)
        failed, done, last = failed + bool(result.error), done + 1, now
        if done % 20_000 == 0:
            note(f"{name}: fuzzed call {done:,} of {count:,}")

    with closing(BfclEnv(**settings)) as env:
        library = env.backend.library
        tasks = some_tasks(library, _AGAIN)
        before = starting_states(library, tasks)
        last = time.perf_counter()
        fuzz_calls(library, count, seed, check)
        forget_templates()
        after = starting_states(library, tasks)
        other = sum(after[name] != key for name, key in before.items())
        failing = failing_references(library, tasks)
    return [
        Row(f"{name}: fuzzed calls", f"{done:,}"),
        Row("  crashes", "0"),
        Row("  refused", f"{failed / done:.0%}"),
        Row("  longest answer", f"{longest:,.0f} characters"),
        Row("  slowest call, with its making", f"{1e3 * slowest:.0f} ms"),
        Row("  tasks that begin in another state after the calls", f"{other} of {len(tasks):,}"),
        Row("  references that still pass", f"{len(tasks) - len(failing):,} of {len(tasks):,}"),
    ]
