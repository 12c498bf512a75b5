"""``agh bench forks``: the time and the size of snapshots, and how fast rollouts go on from them.

Times are of CPU seconds of this process (``time.process_time``), except where the interpreter of AppWorld answers: it
is another process, so these are of the wall clock. Each figure is the median over the moments of random play; in
AppWorld and tau-bench, of the expert's.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from statistics import median
from typing import Any

import gymnasium as gym

from agentgym_hindsight.baselines.policies import RandomPolicy
from agentgym_hindsight.baselines.rollout import Continuation, rollout
from agentgym_hindsight.cli.bench.figures import Row
from agentgym_hindsight.envs.extra import example_actions
from agentgym_hindsight.envs.snapshot_value import Snapshot
from agentgym_hindsight.vector import HindsightVectorEnv

__all__ = ["measure"]

_WORLDS: dict[str, tuple[str, dict[str, Any]]] = {
    "ALFWorld": ("ALFWorld-Hindsight-v0", {"data": "embedded"}),
    "WebShop": ("WebShop-Hindsight-v0", {"data": "embedded", "max_steps": 50}),
    "tau-bench": ("TauBench-Hindsight-v0", {"backend": "embedded", "expert": True}),
    "AppWorld": ("AppWorld-Hindsight-v0", {"expert": True}),
}
_REPEATS = 20


def measure(moments: int, continuations: int, seed: int, note: Callable[[str], object]) -> list[Row]:
    """All figures, over ``moments`` random moments of each world."""
    rows: list[Row] = []
    for name, (env_id, arguments) in _WORLDS.items():
        note(f"{name}: {moments} moments")
        with closing(gym.make(env_id, **arguments)) as env, closing(gym.make(env_id, **arguments)) as other:
            if name == "AppWorld":
                rows += _appworld(env.unwrapped, other.unwrapped, moments, seed)
            else:
                rows += _world(name, env.unwrapped, other.unwrapped, moments, seed)
    note(f"{continuations} continuations")
    rate, turns = _continuation_rate(continuations, seed)
    rows.append(Row("ALFWorld: continuations by random play, 64 envs", f"{rate:,.0f} /s"))
    rows.append(Row("  turns of them", f"{turns:,.0f} /s"))
    return rows


def _random_moments(env: Any, moments: int, seed: int) -> Any:
    """Play at random and stop at every moment."""
    rng = random.Random(seed)
    seen, over, info = 0, True, {}
    while seen < moments:
        if over:
            _, info = env.reset(seed=rng.randrange(1000))
        yield seen
        seen += 1
        *_, terminated, truncated, info = env.step(_action(rng, info))
        over = terminated or truncated


def _action(rng: random.Random, info: dict[str, Any]) -> str:
    if info["expert_action"]:
        return str(info["expert_action"])
    legal = [action for action in info["admissible_actions"] if action != "click[buy now]"]
    return str(rng.choice([*legal, *example_actions(info["extra"])]))


def _world(name: str, env: Any, other: Any, moments: int, seed: int) -> list[Row]:
    save, load, fresh, json_load, sizes = [], [], [], [], []
    earlier: Snapshot | None = None
    for _ in _random_moments(env, moments, seed):
        snapshot = env.snapshot()
        save.append(_each(env.snapshot))
        load.append(_each(partial(env.restore, snapshot)))
        if earlier is not None:  # alternating between two moments, so that nothing of the last one can be used again
            fresh.append(_each(partial(_both, other, earlier, snapshot)) / 2)
        earlier = snapshot
        data = snapshot.to_bytes()
        sizes.append(len(data))
        json_load.append(_each(partial(Snapshot.from_bytes, data), repeats=1))
    together = [one + two for one, two in zip(save, load, strict=True)]
    return [
        Row(f"{name}: snapshot", _micro(save)),
        Row("  restore", _micro(load)),
        Row("  both: median", _micro(together)),
        Row("  both: 95 of 100 are below", f"{sorted(together)[len(together) * 95 // 100] * 1e6:.1f} µs"),
        Row("  restore into another env, two moments in turn", _micro(fresh)),
        Row("  size in bytes (to_bytes): median, largest", f"{median(sizes):,.0f}, {max(sizes):,}"),
        Row("  reading these bytes", f"{median(json_load) * 1e3:.2f} ms"),
    ]


def _both(env: Any, one: Snapshot, two: Snapshot) -> None:
    env.restore(one)
    env.restore(two)


def _appworld(env: Any, other: Any, moments: int, seed: int) -> list[Row]:
    save, load, first_turn, turn, sizes = [], [], [], [], []
    for _ in _random_moments(env, moments, seed):
        started = time.perf_counter()
        snapshot = env.snapshot()
        saved = time.perf_counter()
        other.restore(snapshot)
        restored = time.perf_counter()
        other.step("pass")
        first = time.perf_counter()
        other.step("pass")
        turn.append(time.perf_counter() - first)
        save.append(saved - started)
        load.append(restored - saved)
        first_turn.append(first - restored)
        sizes.append(len(snapshot.to_bytes()))
    together = [one + two for one, two in zip(save, load, strict=True)]
    return [
        Row("AppWorld's miniature: snapshot (wall clock)", _milli(save)),
        Row("  restore into another env", _milli(load)),
        Row("  both: median", _milli(together)),
        Row("  both: 95 of 100 are below", f"{sorted(together)[len(together) * 95 // 100] * 1e3:.2f} ms"),
        Row("  first turn after it, which starts the interpreter", _milli(first_turn)),
        Row("  next turn", _milli(turn)),
        Row("  size in bytes (to_bytes): median, largest", f"{median(sizes):,.0f}, {max(sizes):,}"),
    ]


def _continuation_rate(continuations: int, seed: int, envs: int = 64) -> tuple[float, float]:
    """Continuations and turns a second of CPU time, from moments all over an episode."""
    env_id, arguments = _WORLDS["ALFWorld"]
    with closing(HindsightVectorEnv(env_id, envs, **arguments)) as venv:
        rng = random.Random(seed)
        values: list[Snapshot] = []
        _, infos = venv.reset(seed=seed)
        while venv.active.any() and len(values) < continuations:
            values += venv.snapshots()
            legal = infos["admissible_actions"]
            *_, infos = venv.step([rng.choice(actions) if actions else "look" for actions in legal])
        starts = [Continuation(value, number) for number, value in enumerate(values[:continuations])]
        played = 0

        def count(turns: int) -> None:
            nonlocal played
            played += turns

        started = time.process_time()
        ended = sum(1 for _ in rollout(venv, RandomPolicy(seed), starts, on_turns=count))
        seconds = time.process_time() - started
    return ended / seconds, played / seconds


def _each(call: Callable[[], object], repeats: int = _REPEATS) -> float:
    """CPU seconds of one call."""
    started = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - started) / repeats


def _micro(seconds: list[float]) -> str:
    return f"{median(seconds) * 1e6:.1f} µs"


def _milli(seconds: list[float]) -> str:
    return f"{median(seconds) * 1e3:.2f} ms"
