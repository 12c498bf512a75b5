"""``agh parity``: this library's engine compared with the genuine one.

``alfworld`` plays the same commands in both engines; ``webshop``, ``tau`` and ``bfcl`` replay recordings of the
original. The last line of the output is ``differences: D of T turns`` (``tau`` and ``bfcl``: ``of N calls``).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from agentgym_hindsight.cli.parsing import name_of, seed, source, text, whole
from agentgym_hindsight.cli.terminal import console, print_line
from agentgym_hindsight.errors import UsageError

_ENVS = ("alfworld", "webshop", "tau", "bfcl")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "env",
        type=name_of("environment", list(_ENVS)),
        choices=list(_ENVS),
        help="the environment",
    )
    parser.add_argument(
        "--data",
        type=source,
        help="alfworld: a folder that is searched for game.tw-pddl, or one such file; webshop: the folder of the "
        "official product files; tau: the folder of the official data (default: $TAU_BENCH_DATA); "
        "bfcl: a folder with bfcl_eval, or with folders 2026.3.23 and 2025.7.17 (default: the packages that are found)",
    )
    games = parser.add_argument_group("alfworld")
    games.add_argument(
        "--games", type=whole(1, 100_000), help="number of these games, drawn by the seed (default: all)"
    )
    games.add_argument("--generated", type=whole(0, 100_000), default=0, help="number of generated games to add")
    games.add_argument("--seed", type=seed, default=0, help="seed of games and commands (default: %(default)s)")
    games.add_argument(
        "--turns", type=whole(1, 100_000, example=40), default=40, help="turns of a game (default: %(default)s)"
    )
    games.add_argument(
        "--workers", type=whole(1, 1000), default=os.cpu_count() or 1, help="processes (default: one per core)"
    )
    shop = parser.add_argument_group("webshop")
    shop.add_argument(
        "--goals", type=source, default="goals_prices.json.gz", help="recorded goals and prices (default: %(default)s)"
    )
    shop.add_argument(
        "--transcripts", type=source, default="transcripts.jsonl.gz", help="the recording (default: %(default)s)"
    )
    shop.add_argument(
        "--nouns", type=text, default="tokens-1", help="noun rule of the type test (default: %(default)s)"
    )
    desk = parser.add_argument_group("tau, bfcl")
    desk.add_argument("--recordings", type=source, nargs="+", default=[], help="recordings of the genuine tools")


def run(options: argparse.Namespace) -> int:
    return {"alfworld": _alfworld, "webshop": _webshop, "tau": _tau, "bfcl": _bfcl}[options.env](options)


def _tau(options: argparse.Namespace) -> int:
    from agentgym_hindsight.envs.tau.data_folder import DATA_VARIABLE
    from agentgym_hindsight.envs.tau.parity import ParityReport, check_recordings

    folder = options.data or os.environ.get(DATA_VARIABLE)
    if not folder:
        raise UsageError(f"Expected the folder of the official data, got none; try --data DIR or ${DATA_VARIABLE}.")
    if not options.recordings:
        raise UsageError("Expected recordings of the genuine tools, got none; try --recordings FILE.")
    report = ParityReport()
    with console.status("replaying") as status:
        for _ in check_recordings(Path(folder), [Path(each) for each in options.recordings], report):
            if report.episodes % 50 == 0:
                status.update(f"replaying: {report.episodes} episodes, {report.calls} calls")
    print_line(report.summary())
    return 0 if not report.differences else 1


def _bfcl(options: argparse.Namespace) -> int:
    from functools import cache

    from agentgym_hindsight.envs.bfcl.official import OfficialLibrary, official_library
    from agentgym_hindsight.envs.bfcl.official.package import VERSIONS
    from agentgym_hindsight.envs.bfcl.official.parity import ParityReport, check_recordings

    if not options.recordings:
        raise UsageError("Expected recordings of the genuine package, got none; try --recordings FILE.")

    @cache
    def library(version: str) -> OfficialLibrary:
        folder = None if options.data is None else Path(options.data)
        if folder is not None and (folder / version).is_dir() and version in VERSIONS:
            folder = folder / version  # one folder with both versions
        return official_library(folder, version)

    report = ParityReport()
    with console.status("replaying") as status:
        for _ in check_recordings(library, [Path(each) for each in options.recordings], report):
            if report.episodes % 50 == 0:
                status.update(f"replaying: {report.episodes} episodes, {report.calls} calls")
    print_line(report.summary())
    return 0 if not report.differences else 1


def _webshop(options: argparse.Namespace) -> int:
    from agentgym_hindsight.envs.webshop.parity import run_parity

    if options.data is None:
        raise UsageError("Expected the folder of the official product files, got none; try --data DIR.")
    report = run_parity(options.data, options.goals, options.transcripts, nouns=options.nouns)
    print_line(report.summary())
    return 0 if report.agrees else 1


def _alfworld(options: argparse.Namespace) -> int:
    from agentgym_hindsight.envs.alfworld.expert import next_action
    from agentgym_hindsight.envs.alfworld.parity import find_games, run_parity

    if options.data is None and not options.generated:
        raise UsageError("Expected games to compare, got none; try --data DIR, or --generated 12 for generated games.")
    with tempfile.TemporaryDirectory(prefix="agentgym_hindsight_") as folder:
        files = find_games(options.data) if options.data is not None else []
        if options.games is not None and options.games < len(files):
            from random import Random

            files = sorted(Random(options.seed).sample(files, options.games))
        files = [*files, *_generated(Path(folder), options.generated)]
        report = run_parity(
            files,
            seed=options.seed,
            turns_per_game=options.turns,
            workers=min(options.workers, len(files)),
            expert=next_action,
            progress=console.is_terminal,
        )
    print_line(report.summary())
    return 0 if report.agrees else 1


def _generated(folder: Path, count: int) -> list[Path]:
    from agentgym_hindsight.envs.alfworld.gamewriter import write_game
    from agentgym_hindsight.envs.alfworld.houses import SPLITS, embedded_scene

    files = []
    for number in range(count):
        split = tuple(SPLITS)[number // 6 % len(SPLITS)]  # six games of each split, one per task type
        scene = embedded_scene(split, number)
        files.append(write_game(scene, folder / split / scene.goal.task_type / scene.name))
    return files
