"""``agh bench alfworld``: the native engine and the genuine one, measured in the same run.

Rates are per CPU second of one core (``time.process_time``), which other programs on the machine hardly change.
Only the comparison of worker processes uses the wall clock. Both engines play the same games with the same commands.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym

from agentgym_hindsight.cli.bench.figures import Row, memory_per_env
from agentgym_hindsight.envs.alfworld.gamefile import read_game
from agentgym_hindsight.envs.alfworld.gamewriter import write_game
from agentgym_hindsight.envs.alfworld.genuine import GenuinePlay
from agentgym_hindsight.envs.alfworld.houses import embedded_scene
from agentgym_hindsight.envs.alfworld.native import House, Play
from agentgym_hindsight.errors import MissingExtraError
from agentgym_hindsight.vector import HindsightVectorEnv

__all__ = ["measure"]

_ENV = "ALFWorld-Hindsight-v0"


def measure(games: int, turns: int, seed: int, note: Callable[[str], object]) -> list[Row]:
    """All figures. The genuine engine plays ``games`` × ``turns`` commands, which takes most of the time."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="agentgym_hindsight_") as name:
        files = _games(Path(name), games, seed)
        note("native engine")
        native = _native(files, turns, seed)
        try:
            note("genuine engine (some seconds a game)")
            genuine = _genuine(files, turns, seed)
        except MissingExtraError as missing:
            rows.append(Row("genuine engine", f"not measured: {missing}"))
            genuine = None
        rows += _comparison_rows(native, genuine)
    note("the Gymnasium env")
    single = _env_rate(seed)
    rows.append(Row("env.step with full info, one env", f"{single:,.0f} steps/s"))
    if genuine is not None:
        rows.append(Row("  against genuine engine", f"{single / genuine.steps:,.0f}×"))
    note("a vector of 64")
    vector = _vector_rate(seed)
    rows.append(Row("vector of 64 in one process, full info", f"{vector:,.0f} steps/s"))
    rows.append(Row("  share of the single-env rate", f"{vector / single:.0%}"))
    note("memory")
    rows.append(Row("memory of one more env, game shared", f"{_memory(same_game=True) / 1024:.1f} KiB"))
    rows.append(Row("memory of one more env, game of its own", f"{_memory(same_game=False) / 1024:.0f} KiB"))
    if genuine is not None:
        note("genuine engine in worker processes (a minute)")
        rows += _workers(seed)
    return rows


class _Rates(NamedTuple):
    steps: float
    resets: float
    cold_resets: float


def _games(folder: Path, count: int, seed: int) -> list[Path]:
    scenes = [embedded_scene("train", seed * 997 + number) for number in range(count)]
    return [write_game(scene, folder / str(number)) for number, scene in enumerate(scenes)]


def _random_commands(house: House, turns: int, seed: int) -> list[str]:
    """Random legal commands, for both engines."""
    play, rng, commands = Play(house), random.Random(seed), []
    for _ in range(turns):
        commands.append(rng.choice(play.admissible))
        play.step(commands[-1])
    return commands


def _native(files: list[Path], turns: int, seed: int) -> _Rates:
    houses = [House(read_game(path)) for path in files]
    command_lists = [_random_commands(house, turns, seed) for house in houses]
    rounds = 20  # a single pass is too short to be timed
    # Each round makes new houses, because a house caches its texts.
    seconds = 0.0
    for _ in range(rounds):
        new_houses = [House(house.scene) for house in houses]
        plays = [Play(house) for house in new_houses]
        started = time.process_time()
        for play, commands in zip(plays, command_lists, strict=True):
            for command in commands:
                play.step(command)
                _ = play.admissible, play.won
        seconds += time.process_time() - started
    steps = rounds * len(files) * turns / seconds
    started = time.process_time()
    for _ in range(2000):
        Play(houses[0]).reset()
    resets = 2000 / (time.process_time() - started)
    started = time.process_time()
    for path in files * 5:
        Play(House(read_game(path))).reset()
    cold = 5 * len(files) / (time.process_time() - started)
    return _Rates(steps, resets, cold)


def _genuine(files: list[Path], turns: int, seed: int) -> _Rates:
    stepping = resetting = loading = 0.0
    for path in files:
        commands = _random_commands(House(read_game(path)), turns, seed)
        with GenuinePlay(path) as play:
            started = time.process_time()
            play.reset()
            loading += time.process_time() - started
            started = time.process_time()
            for command in commands:
                play.step(command)
            stepping += time.process_time() - started
            started = time.process_time()
            play.reset()
            resetting += time.process_time() - started
    count = len(files)
    return _Rates(count * turns / stepping, count / resetting, count / loading)


def _comparison_rows(native: _Rates, genuine: _Rates | None) -> list[Row]:
    names = ("steps with admissible commands", "resets, game loaded before", "resets, game read from its file")
    rows = []
    for number, name in enumerate(names):
        rows.append(Row(f"native: {name}", f"{native[number]:,.0f} /s"))
        if genuine is not None:
            rows.append(Row(f"genuine: {name}", f"{genuine[number]:,.2f} /s"))
            rows.append(Row("  native against genuine", f"{native[number] / genuine[number]:,.0f}×"))
    return rows


def _random_action(rng: random.Random, info: dict[str, Any]) -> str:
    actions = info["admissible_actions"]
    return str(actions[int(rng.random() * len(actions))])


def _env_rate(seed: int, episodes: int = 64, rounds: int = 3) -> float:
    """Steps per second, without the resets. Houses are cached, as in :func:`_vector_rate`."""
    best = 0.0
    env: Any = gym.make(_ENV, data="embedded")
    tasks = [env.unwrapped.backend.task("train", index) for index in range(episodes)]
    for number in range(rounds):
        rng, steps, seconds = random.Random(seed + number), 0, 0.0
        for task in tasks:
            _, info = env.reset(options={"task": task})
            over = False
            started = time.process_time()
            while not over:
                _, _, terminated, truncated, info = env.step(_random_action(rng, info))
                steps += 1
                over = terminated or truncated
            seconds += time.process_time() - started
        best = max(best, steps / seconds)
    env.close()
    return best


def _vector_rate(seed: int, width: int = 64, rounds: int = 3) -> float:
    best = 0.0
    with closing(HindsightVectorEnv(_ENV, width, data="embedded")) as venv:
        env: Any = gym.make(_ENV, data="embedded")
        tasks = [env.unwrapped.backend.task("train", index) for index in range(width)]
        env.close()
        for number in range(rounds):
            rng, steps = random.Random(seed + number), 0
            _, infos = venv.reset(tasks=tasks)
            started = time.process_time()
            while (active := venv.active).any():
                legal = infos["admissible_actions"]
                actions = [
                    legal[slot][int(rng.random() * len(legal[slot]))] if active[slot] else None for slot in range(width)
                ]
                steps += int(active.sum())
                _, _, _, _, infos = venv.step(actions)
            best = max(best, steps / (time.process_time() - started))
    return best


def _memory(*, same_game: bool, count: int = 100) -> float:
    """Bytes of one more env after some turns."""
    first: Any = gym.make(_ENV, data="embedded")
    tasks = [first.unwrapped.backend.task("train", 0 if same_game else index) for index in range(count)]
    _turns(first, tasks[0])

    def make_played(task: Any) -> Any:
        env = gym.make(_ENV, data="embedded")
        if not same_game:
            _clear_house_cache()  # so that the memory of the house of each env is counted
        _turns(env, task)
        return env

    return memory_per_env([partial(make_played, task) for task in tasks])


def _clear_house_cache() -> None:
    from agentgym_hindsight.envs.alfworld import embedded

    embedded._generated.cache_clear()
    embedded._compiled.cache_clear()


def _turns(env: Any, task: Any, turns: int = 20) -> None:
    rng = random.Random(0)
    _, info = env.reset(options={"task": task})
    for _ in range(turns):
        _, _, terminated, truncated, info = env.step(_random_action(rng, info))
        if terminated or truncated:
            return


def _workers(seed: int, width: int = 4, turns: int = 60) -> list[Row]:
    rates = {}
    for workers in (0, 2):
        with closing(
            HindsightVectorEnv(_ENV, width, workers=workers, backend="textworld", data="embedded", max_steps=turns)
        ) as venv:
            rng = random.Random(seed)
            _, infos = venv.reset(seed=seed)
            steps, started = 0, time.perf_counter()
            for _ in range(turns):
                legal = infos["admissible_actions"]
                active = venv.active
                if not active.any():
                    break
                steps += int(active.sum())
                _, _, _, _, infos = venv.step([rng.choice(legal[slot]) for slot in range(width)])
            rates[workers] = steps / (time.perf_counter() - started)
    return [
        Row("genuine engine, 4 envs in this process", f"{rates[0]:.1f} steps/s (wall clock)"),
        Row("genuine engine, 4 envs in 2 worker processes", f"{rates[2]:.1f} steps/s (wall clock)"),
        Row("  two processes against one", f"{rates[2] / rates[0]:.2f}×"),
    ]
