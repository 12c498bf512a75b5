"""``agh bench appworld``: speed and memory of the miniature world, a long run of many worlds, and broken programs.

Rates use the wall clock: most of a turn is spent in the worker process, whose CPU time ``process_time`` does not count.
"""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import quantiles
from typing import Any

from agentgym_hindsight.cli.bench.figures import Row, memory_per_env
from agentgym_hindsight.envs.appworld.env import AppWorldEnv
from agentgym_hindsight.envs.appworld.fuzz import programs
from agentgym_hindsight.envs.appworld.miniature.hamlet import APPS
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = ["measure"]

_READ = "print(apis.api_docs.show_app_descriptions())"
_FIVE = "for _ in range(5): apis.supervisor.show_profile()"
_TURNS = 2_000
_RESETS = 1_000
_STEPS = 12  # limit of an episode with random programs


def measure(worlds: int, minutes: float, fuzz: int, seed: int, note: Callable[[str], object]) -> list[Row]:
    """All figures. ``minutes`` of play with ``worlds`` in parallel and ``fuzz`` random programs are optional (0)."""
    rows: list[Row] = []
    with closing(AppWorldEnv()) as env:
        env.reset(seed=seed)
        rows.append(Row("sandbox", _play(env).sandbox_mode))
        note("resets")
        rows += _resets(env, seed)
        note("turns")
        for name, code in (("an ordinary turn, no API", "x = 1\nprint(x)"), ("one API call", _READ), ("five", _FIVE)):
            rows += _turns(env, name, code)
        rows.append(Row("state anchor after 100 writes", f"{_anchor(env):.0f} µs"))
    note("memory")
    rows += _memory(seed)
    if minutes:
        rows += _soak(worlds, minutes, seed, note)
    if fuzz:
        rows += _fuzz(fuzz, seed, note)
    return rows


def _play(env: AppWorldEnv) -> Any:
    return env.backend.play  # type: ignore[union-attr]  # all envs here have the miniature backend


def _resets(env: AppWorldEnv, seed: int) -> list[Row]:
    tasks = [env.backend.task("train", index) for index in range(50)]
    env.reset(options={"task": tasks[0]})
    started = time.perf_counter()
    for index in range(50, 80):
        env.reset(options={"task": env.backend.task("train", index)})
    new_seconds = (time.perf_counter() - started) / 30
    started = time.perf_counter()
    for number in range(_RESETS):
        env.reset(options={"task": tasks[number % 50]})
    known_seconds = (time.perf_counter() - started) / _RESETS
    play = _play(env)
    play.world.call("supervisor", "show_profile", {})
    started = time.perf_counter()
    for _ in range(2_000):
        play.world.reset()
    snapshot_seconds = (time.perf_counter() - started) / 2_000
    return [
        Row("resets, task met before (world and interpreter)", f"{1 / known_seconds:,.0f} /s"),
        Row("  of which back to the snapshot, unchanged", f"{1e6 * snapshot_seconds:.0f} µs"),
        Row("resets, task never met (its world is made)", f"{1 / new_seconds:,.0f} /s"),
    ]


def _turns(env: AppWorldEnv, name: str, code: str) -> list[Row]:
    act = env.backend.act
    act(code)
    seconds = []
    for _ in range(_TURNS):
        started = time.perf_counter()
        act(code)
        seconds.append(time.perf_counter() - started)
    cuts = quantiles(seconds, n=100)
    rate = len(seconds) / sum(seconds)
    return [
        Row(f"turns: {name}", f"{rate:,.0f} /s"),
        Row("  p50, p99", f"{1e3 * cuts[49]:.2f}, {1e3 * cuts[98]:.2f} ms"),
    ]


def _anchor(env: AppWorldEnv) -> float:
    env.reset(seed=1)
    world = _play(env).world
    me = world.supervisor.email
    for number in range(100):
        world.insert("notes_notes", owner=me, title=f"note {number}")
    started = time.perf_counter()
    for _ in range(1_000):
        _play(env).state_key("x:int")
    return (time.perf_counter() - started) * 1e3


def _memory(seed: int) -> list[Row]:
    def open_world(number: int) -> AppWorldEnv:
        env = AppWorldEnv()
        env.reset(seed=seed + number)
        env.step("x = 1")
        return env

    used = memory_per_env([lambda number=number: open_world(number) for number in range(32)])  # type: ignore[misc]
    env = open_world(0)
    rows = [Row("memory of one more world, in this process", f"{used / 1024:.0f} KiB of Python objects")]
    workers = _pss(_children())
    if workers:
        rows.append(Row("  its worker process (proportional set)", f"{workers[-1]:.1f} MiB"))
    env.close()
    return rows


def _children() -> list[int]:
    """All descendants of this process, the youngest last; none without /proc."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, tail = path.read_text(encoding="utf-8", errors="replace").rpartition(")")
            parents[int(head.split(" ")[0])] = int(tail.split()[1])
        except (OSError, ValueError, IndexError):
            continue
    descendants, growing = {os.getpid()}, True
    while growing:
        children = {child for child, parent in parents.items() if parent in descendants} - descendants
        descendants |= children
        growing = bool(children)
    return sorted(descendants - {os.getpid()})


def _pss(processes: list[int]) -> list[float]:
    shares = []
    for process in processes:
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        shares += [int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")]
    return shares


def _resources() -> tuple[float, int, int]:
    """Memory of this process and its workers in MiB, number of open files, number of child processes."""
    gc.collect()
    children = _children()
    own_memory = _pss([os.getpid()])
    try:
        files = len(os.listdir("/proc/self/fd"))
    except OSError:
        files = 0
    return (own_memory[0] if own_memory else 0.0) + sum(_pss(children)), files, len(children)


def _soak(worlds: int, minutes: float, seed: int, note: Callable[[str], object]) -> list[Row]:
    """Play worlds in parallel for minutes, with expert and broken turns. Memory, files and processes must not grow."""
    draw = random.Random(seed)
    envs = [AppWorldEnv(expert=True, max_steps=_STEPS) for _ in range(worlds)]
    samples: list[tuple[float, int, int]] = []
    turns = episodes = won = 0
    try:
        infos = [env.reset(seed=seed + number)[1] for number, env in enumerate(envs)]
        started = time.monotonic()
        end, due = started + 60 * minutes, started + 6 * minutes  # the first tenth warms up; then one sample per tenth
        while time.monotonic() < end:
            for number, env in enumerate(envs):
                is_broken_turn = draw.random() < 0.1
                code = _random_program(draw) if is_broken_turn else infos[number]["expert_action"]
                *_, terminated, truncated, info = env.step(code)
                turns += 1
                if terminated or truncated:
                    episodes, won = episodes + 1, won + bool(info["won"])
                    info = env.reset()[1]
                infos[number] = info
            if time.monotonic() >= due:
                samples.append(_resources())
                due += 6 * minutes
                passed = (time.monotonic() - started) / 60
                note(f"{worlds} worlds, {samples[-1][0]:.0f} MiB, {passed:.1f} of {minutes:g} min")
        samples.append(_resources())
        seconds = time.monotonic() - started
    finally:
        for env in envs:
            env.close()
    first, last = samples[0], samples[-1]
    return [
        Row(f"{worlds} worlds for {minutes:g} minutes: turns, episodes", f"{turns:,}, {episodes:,}"),
        Row("  turns a second, all together", f"{turns / seconds:,.0f}"),
        Row("  episodes won (nine turns of ten are the expert's)", f"{won / max(1, episodes):.0%}"),
        Row("  memory, with workers, after a tenth of the time", f"{first[0]:.0f} MiB"),
        Row("  at the end", f"{last[0]:.0f} MiB"),
        Row("  open files, processes: then and at the end", f"{first[1]}, {first[2]}; {last[1]}, {last[2]}"),
    ]


def _random_program(draw: random.Random) -> str:
    return programs(draw, World.names(), _arguments())


def _arguments() -> dict[str, tuple[str, ...]]:
    return {f"{app}.{name}": tuple(api.parameters) for app, each in APPS.items() for name, api in each.apis.items()}


def _fuzz(count: int, seed: int, note: Callable[[str], object]) -> list[Row]:
    """Random and broken programs in one world. A second world must not change."""
    draw, played, replaced, bugs = random.Random(seed), 0, 0, 0
    kinds: dict[str, int] = {}
    with closing(AppWorldEnv(max_steps=_STEPS, limits={"seconds": 2.0})) as env, closing(AppWorldEnv()) as other:
        other.reset(seed=seed)
        other.step("x = 1")
        before = _play(other).world.delta_key()
        over = True
        while played < count:
            if over:
                env.reset(seed=seed + played)
            _, _, terminated, truncated, info = env.step(_random_program(draw))
            over = terminated or truncated
            played += 1
            kinds[info["extra"].error or "ran"] = kinds.get(info["extra"].error or "ran", 0) + 1
            replaced += info["extra"].replaced
            bugs += len(_play(env).world.bugs)
            if played % 500 == 0:
                note(f"program {played:,} of {count:,}")
        same = _play(other).world.delta_key() == before and other.step("print(x)")[0] == "1"
    endings = ", ".join(f"{kind} {number:,}" for kind, number in sorted(kinds.items(), key=lambda each: -each[1]))
    return [
        Row("random and broken programs", f"{count:,}"),
        Row("  how they ended", endings),
        Row("  interpreters replaced", f"{replaced:,}"),
        Row("  crashes of the host, errors inside an API", f"0, {bugs}"),
        Row("  a world beside them", "untouched" if same else "TOUCHED"),
    ]
