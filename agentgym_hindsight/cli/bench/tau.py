"""``agh bench tau``: speed of the desks, against the genuine program where it is given, and fuzzed calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from statistics import quantiles
from typing import Any

from agentgym_hindsight.cli.bench.figures import Row, memory_per_env
from agentgym_hindsight.envs.tau.desk import DOMAINS, Outcome
from agentgym_hindsight.envs.tau.env import TauBenchEnv
from agentgym_hindsight.envs.tau.fuzz import fuzz_calls
from agentgym_hindsight.envs.tau.genuine import measure_genuine
from agentgym_hindsight.tasks import Task

__all__ = ["measure"]

_EPISODES = 300


def measure(data: str | None, genuine: str | None, fuzz: int, seed: int, note: Callable[[str], object]) -> list[Row]:
    """All figures. ``data``: the official data; ``genuine``: a clone with the genuine program; both optional."""
    rows: list[Row] = []
    for domain in DOMAINS:
        note(f"{domain}, embedded")
        rows += _speed(f"{domain}, embedded", {"domain": domain, "backend": "embedded"})
        rows += _anchor(domain)
        if data or genuine:
            settings = {"domain": domain, "backend": "official", "data": data or genuine}
            note(f"{domain}, official data")
            rows += _speed(f"{domain}, official data", settings)
        if genuine:
            rows += _against(domain, genuine, data or genuine, note)
    note("memory")
    used = memory_per_env([_open for _ in range(16)])
    rows.append(Row("memory of one more env", f"{used / 1024:.0f} KiB of Python objects"))
    if fuzz:
        rows += _fuzz(fuzz, seed, note)
    return rows


def _open() -> TauBenchEnv:
    env = TauBenchEnv(backend="embedded")
    env.reset(seed=0)
    return env


def _references(env: TauBenchEnv, count: int) -> list[tuple[Task, list[str]]]:
    """Tasks and the actions of their references."""
    found = []
    for index in range(min(count, env.backend.count("test"))):
        task = env.backend.task("test", index)
        made = env.backend.demonstration(task)
        if made is not None:
            found.append((task, list(made.actions)))
    return found


def _speed(name: str, settings: Mapping[str, Any]) -> list[Row]:
    with closing(TauBenchEnv(split="test", max_steps=100, **settings)) as env:
        played = _play(env, _references(env, _EPISODES))
    return [
        Row(f"{name}: steps (reference actions, verdict included)", f"{played['steps'] / played['play']:,.0f} /s"),
        Row("  resets", f"{played['episodes'] / played['reset']:,.0f} /s"),
        Row("  episodes won", f"{played['won']:.0f} of {played['episodes']:.0f}"),
    ]


def _play(env: TauBenchEnv, references: list[tuple[Task, list[str]]]) -> dict[str, float]:
    reset = play = won = steps = 0.0
    for task, actions in references:
        started = time.perf_counter()
        env.reset(options={"task": task})
        reset += time.perf_counter() - started
        started = time.perf_counter()
        reward = 0.0
        for action in actions:
            _, reward, *_ = env.step(action)
        play += time.perf_counter() - started
        won, steps = won + reward, steps + len(actions)
    return {"episodes": len(references), "steps": steps, "reset": reset, "play": play, "won": won}


def _anchor(domain: str) -> list[Row]:
    """The state key after each call of the references."""
    with closing(TauBenchEnv(split="test", domain=domain, backend="embedded", max_steps=100)) as env:
        seconds = []
        for index in range(_EPISODES):
            env.reset(options={"task": env.backend.task("test", index)})
            session = env.backend.session
            for name, arguments in session.task.actions:
                session.desk.call(session.database, name, arguments)
                started = time.perf_counter()
                _ = session.state_key
                seconds.append(time.perf_counter() - started)
    cuts = quantiles(seconds, n=100)
    return [Row("  state anchor after a call, p50 and p99", f"{1e6 * cuts[49]:.0f}, {1e6 * cuts[98]:.0f} µs")]


def _against(domain: str, genuine: str, data: str, note: Callable[[str], object]) -> list[Row]:
    """Whole episodes (reset, calls, reward) of the same tasks in both programs."""
    note(f"{domain}, genuine program")
    count = 30
    theirs = measure_genuine(Path(genuine), domain, count)
    with closing(TauBenchEnv(split="test", domain=domain, backend="official", data=data, max_steps=100)) as env:
        ours = _play(env, _references(env, count))
    their_seconds = theirs["reset"] + theirs["play"] + theirs["end"]
    our_seconds = ours["reset"] + ours["play"]
    their_rate = (theirs["calls"] + count) / their_seconds
    our_rate = ours["steps"] / our_seconds
    return [
        Row(f"{domain}, genuine: steps, resets and rewards included", f"{their_rate:,.0f} /s"),
        Row("  native, same tasks", f"{our_rate:,.0f} /s"),
        Row("  native / genuine", f"{our_rate / their_rate:.0f} ×"),
        Row(
            "  genuine reset, native reset",
            f"{1e3 * theirs['reset'] / count:.0f} ms, {1e3 * ours['reset'] / ours['episodes']:.2f} ms",
        ),
    ]


def _fuzz(count: int, seed: int, note: Callable[[str], object]) -> list[Row]:
    longest = slowest = failed = 0.0
    done = 0
    last = time.perf_counter()

    def check(name: str, arguments: Mapping[str, Any], outcome: Outcome) -> None:
        nonlocal longest, slowest, failed, done, last
        now = time.perf_counter()
        longest, slowest = max(longest, len(outcome.text)), max(slowest, now - last)
        failed, done, last = failed + outcome.failed, done + 1, now
        if done % 50_000 == 0:
            note(f"fuzzed call {done:,} of {count:,}")

    for domain, share in (("retail", count - count // 2), ("airline", count // 2)):
        with closing(TauBenchEnv(domain=domain, backend="embedded")) as env:
            last = time.perf_counter()
            fuzz_calls(env.backend.library.desk, share, seed, check)
    return [
        Row("fuzzed calls", f"{done:,}"),
        Row("  crashes", "0"),
        Row("  refused", f"{failed / done:.0%}"),
        Row("  longest answer", f"{longest:,.0f} characters"),
        Row("  slowest call, with its making", f"{1e3 * slowest:.0f} ms"),
    ]
