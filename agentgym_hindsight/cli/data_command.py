"""``agh data``: list tasks, write panels, export and check games, convert recordings, install AppWorld or BFCL."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from agentgym_hindsight.cli import data_install
from agentgym_hindsight.cli.output_files import begins_with, check_file, check_folder, has_rollouts, is_panel
from agentgym_hindsight.cli.parsing import path, seed, source, whole
from agentgym_hindsight.cli.progress import progress_display
from agentgym_hindsight.cli.shared import add_env_arguments, make_env, panel_of, task_line
from agentgym_hindsight.cli.terminal import console, print_line
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.tasks import TaskPanel


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True)
    listing = verbs.add_parser("list", help="print the tasks of a split, one per line")
    panel = verbs.add_parser("panel", help="write a panel: a file with tasks that are the same on every machine")
    panel.add_argument("--out", type=path, required=True, help="the file to write")
    export = verbs.add_parser("export", help="write embedded ALFWorld games as files for the genuine engine")
    export.add_argument(
        "--out", type=path, required=True, help="folder for the files json_2.1.1/<split>/<task>/<trial>/game.tw-pddl"
    )
    for verb, default in ((listing, 0), (panel, 0), (export, 60)):
        add_env_arguments(verb)
        verb.add_argument(
            "--tasks", type=whole(), default=default, help="number of tasks (0: all; default: %(default)s)"
        )
        verb.add_argument("--seed", type=seed, default=0, help="seed of the choice of tasks (default: %(default)s)")
    references = verbs.add_parser(
        "references", help="convert recordings of the original WebShop (transcripts, site logs) into trajectories"
    )
    references.add_argument("file", type=source, help="a file (plain or .gz), or a folder of logs")
    references.add_argument("--out", type=path, required=True, help="the JSONL file to write, one trajectory per line")
    add_env_arguments(references)
    for verb in (panel, export, references):
        verb.add_argument("--fresh", action="store_true", help="replace files of other programs in --out")
    check = verbs.add_parser("check", help="read all official ALFWorld games and name those that cannot be used")
    check.add_argument(
        "folder", type=source, nargs="?", help="folder of the games (default: $ALFWORLD_DATA or ~/.cache/alfworld)"
    )
    data_install.arguments(
        verbs.add_parser("install", help="install the genuine AppWorld or BFCL in a folder of its own")
    )


def run(options: argparse.Namespace) -> int:
    if options.verb == "install":
        return data_install.run(options)
    if options.verb == "check":
        return _check(options.folder)
    env = make_env(options)
    if options.verb == "references":
        return _references(env, options)
    if options.verb == "panel":
        check_file(options.out, "panel", is_panel, fresh=options.fresh)
    panel = panel_of(env, options, options.seed)
    if options.verb == "list":
        for task in panel:
            print_line(task_line(task))
        console.print(f"{len(panel)} tasks, panel {panel.fingerprint}")
        return 0
    if options.verb == "panel":
        panel.save(options.out)
        print_line(f"{options.out}: {len(panel)} tasks, panel {panel.fingerprint}")
        return 0
    return _export(env, panel, Path(options.out), fresh=options.fresh)


def _check(folder: str | None) -> int:
    from agentgym_hindsight.envs.alfworld.official import OFFICIAL_COUNTS, damaged_games, game_files, official_root

    root = official_root(folder)
    total = sum(len(game_files(root, split)) for split in OFFICIAL_COUNTS if (root / split).is_dir())
    damaged = damaged_games(root)
    for error in damaged:
        print_line(str(error))
    print_line(f"{root}: {total} games, {len(damaged)} cannot be used")
    return 1 if damaged else 0


def _references(env: Any, options: argparse.Namespace) -> int:
    from agentgym_hindsight.envs.webshop.env import WebShopEnv
    from agentgym_hindsight.envs.webshop.references import read_references
    from agentgym_hindsight.hindsight.jsonl import write_jsonl

    world = env.unwrapped
    if not isinstance(world, WebShopEnv):
        raise UsageError(
            f"Expected a shop to replay the recordings in, got {env.spec.id}; try --env WebShop-Hindsight-v0."
        )
    out = check_file(options.out, "trajectories", has_rollouts, fresh=options.fresh)
    recordings = read_references(options.file, world.backend.library)
    for problem in recordings.problems:
        console.print(f"line {problem.line_number}: {problem.cause}", soft_wrap=True)
    count = write_jsonl(out, recordings.trajectories)
    won = sum(trajectory.won and not trajectory.broken for trajectory in recordings.trajectories)
    print_line(f"{out}: {count} trajectories, {won} of them references; {len(recordings.problems)} problems")
    return 0 if count else 1


def _export(env: Any, panel: TaskPanel, out: Path, *, fresh: bool) -> int:
    from agentgym_hindsight.envs.alfworld.gamewriter import write_game

    backend = env.unwrapped.backend
    if backend.name != "native/embedded":
        raise UsageError(
            f"Expected embedded houses of ALFWorld to export, got the tasks of {env.spec.id} ({backend.name}); "
            "try --env ALFWorld-Hindsight-v0 --set data=embedded (official games are files already)."
        )
    check_folder(out, "games")
    scenes = [(task, backend.house(task).scene) for task in panel]
    folders = [
        out / "json_2.1.1" / task.split / f"{task.category}-{scene.name}" / f"trial_{task.id}" for task, scene in scenes
    ]
    for folder in folders:  # all of them before any is written
        if folder.exists():
            check_file(folder / "game.tw-pddl", "game", begins_with('{"pddl_domain"', within=20), fresh=fresh)
            check_file(folder / "traj_data.json", "description of the game", begins_with('{"task_id"'), fresh=fresh)
    with progress_display(console) as bar:
        line = bar.add_task("writing", total=len(panel), note="")
        for (_, scene), folder in zip(scenes, folders, strict=True):
            write_game(scene, folder)
            bar.advance(line)
    print_line(
        f"{out}: {len(panel)} games; play them with ALFWORLD_DATA={out}, in this library or the genuine ALFWorld"
    )
    return 0
