"""``agh compare``: train each entry with each seed under equal conditions and print tables with intervals."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Lock

from agentgym_hindsight.atomic import write_text
from agentgym_hindsight.baselines.training.configuration import (
    configure,
    load_configuration,
    shipped_configurations,
)
from agentgym_hindsight.baselines.training.preflight import check_settings, prepare
from agentgym_hindsight.baselines.training.quiet import quiet_libraries
from agentgym_hindsight.baselines.training.run_folder import check_writable
from agentgym_hindsight.baselines.training.start import start_folder
from agentgym_hindsight.cli.bench.figures import machine
from agentgym_hindsight.cli.compare_tables import Entry, after_training, during_training, results
from agentgym_hindsight.cli.output_files import begins_with, check_file, check_folder, is_page_of
from agentgym_hindsight.cli.parsing import path, text, whole
from agentgym_hindsight.cli.progress import progress_display
from agentgym_hindsight.cli.tables import Grid
from agentgym_hindsight.cli.terminal import SafeConsole, console, output, print_json
from agentgym_hindsight.errors import HindsightError
from agentgym_hindsight.printable import printable_line
from agentgym_hindsight.redaction import hide_passwords

#: Set → its entries. An entry is a recipe, or RECIPE:NAME=VALUE,… with values of the method.
SETS: Mapping[str, Sequence[str]] = {
    "rivals": ("grpo", "rloo", "gigpo", "hgpo", "rlsd", "serl"),
    # The others are compared with the first entry.
    "sources": (
        "grpo",
        "serl:what=immediate",
        "serl:what=next",
        "serl:what=current",
        "serl:what=future",
        "serl:what=success",
        "serl:what=success+immediate",
        "serl:what=success+future",
        "serl:what=immediate,where=anchor",
        "serl:what=next,where=anchor",
        "serl:what=future,where=anchor",
        "serl:what=success,where=anchor",
        "serl:what=success+immediate,where=anchor",
        "serl:what=success+future,where=anchor",
    ),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "entries",
        nargs="+",
        type=text,
        help=f"sets of entries ({', '.join(SETS)}) or single ones: grpo, serl:what=success+immediate,where=anchor, "
        "package.module:METHOD",
    )
    parser.add_argument(
        "--seeds",
        type=whole(1, 10_000, example=5),
        default=5,
        help="train with seeds 0 to N - 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--turns", type=whole(1, example=12000), default=12000, help="env turns of each run (default: %(default)s)"
    )
    parser.add_argument(
        "--jobs", type=whole(1, 1000), default=os.cpu_count() or 1, help="parallel runs (default: one per core)"
    )
    parser.add_argument("--out", type=path, default="runs/compare", help="folder of the runs (default: %(default)s)")
    parser.add_argument(
        "--config",
        metavar="NAME",
        help="settings of all entries: a YAML file, or the name of a shipped configuration: "
        f"{', '.join(shipped_configurations())}",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of all entries, as in agh train; repeatable",
    )
    parser.add_argument("--markdown", type=path, help="also write the tables to this file, as Markdown")
    parser.add_argument("--json", action="store_true", help="print the results as JSON instead of tables")
    parser.add_argument("--title", default="Rivals on equal terms", help="title of the tables (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    entry_texts = dict.fromkeys(text for name in options.entries for text in _set(name) or (name,))  # no duplicates
    entries = list(dict.fromkeys(Entry.parse(text) for text in entry_texts))
    out = check_folder(options.out, "runs")
    if options.markdown:
        check_file(options.markdown, "page", is_page_of("compare"), option="--markdown", fresh=None)
    _check(entries, out, options)
    jobs = [(entry, seed) for seed in range(options.seeds) for entry in entries]
    failed: list[str] = []
    # The entries of a seed share one warm start. The lock lets only the first of them make it.
    start_locks = {seed: Lock() for seed in range(options.seeds)}
    with progress_display(console, every_step=["runs"]) as bar:
        line = bar.add_task("runs", total=len(jobs), note="")
        running: dict[tuple[Entry, int], str] = {}

        def work(job: tuple[Entry, int]) -> None:
            entry, seed = job
            running[job] = f"{entry.name} seed {seed}"
            bar.update(line, note=_running(running))
            with start_locks[seed]:
                _make_start(entry, seed, options)
            problem = _train(entry, seed, out, options)
            if problem:
                failed.append(problem)
                bar.console.print(problem, soft_wrap=True, markup=False)
            bar.update(line, advance=1, note=f"{running.pop(job)} {'failed' if problem else 'done'}{_running(running)}")

        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(work, _interleave_seeds(jobs, options.jobs)))
    tables = [after_training(entries, out, options.seeds, options.title), during_training(entries, out, options.seeds)]
    if options.json:
        print_json({"title": options.title, "results": results(entries, out, options.seeds), "failed": failed})
    else:
        _print(tables, options, output())
    if options.markdown:
        _write(tables, options)
    return 1 if failed else 0


def _set(name: str) -> Sequence[str]:
    """The entries of a set, whose name matches without regard to case; none if there is no such set."""
    return SETS.get(name.strip().casefold(), ())


def _check(entries: Sequence[Entry], out: Path, options: argparse.Namespace) -> None:
    """Check the settings of every entry before the first run, which may take hours."""
    configuration = load_configuration(options.config) if options.config else {}
    with quiet_libraries():
        for number, entry in enumerate(entries):
            training = configure(entry.recipe, configuration, _settings(entry, 0, options))
            # All entries have the same tasks.
            (check_settings if number else prepare)(training, out / f"{entry.folder}-seed0")
    check_writable(out)


def _running(running: Mapping[tuple[Entry, int], str]) -> str:
    names = list(running.values())
    return f"; running: {', '.join(names)}" if names else ""


def _interleave_seeds(jobs: list[tuple[Entry, int]], width: int) -> list[tuple[Entry, int]]:
    """The jobs in an order in which neighbours have different seeds, so that few wait for the same warm start."""
    by_seed: dict[int, list[tuple[Entry, int]]] = {}
    for job in jobs:
        by_seed.setdefault(job[1], []).append(job)
    mixed: list[tuple[Entry, int]] = []
    seeds = list(by_seed)
    for start in range(0, len(seeds), width):
        group = [by_seed[seed] for seed in seeds[start : start + width]]
        mixed += [job for row in zip(*group, strict=True) for job in row]
    return mixed


def _settings(entry: Entry, seed: int, options: argparse.Namespace) -> list[str]:
    values = [f"method.{pair}" for pair in entry.values]
    return [f"plan.seed={seed}", f"plan.turns={options.turns}", "plan.updates=100000", *options.set, *values]


def _command(entry: Entry, seed: int, out: Path, options: argparse.Namespace) -> list[str]:
    command = [sys.executable, "-m", "agentgym_hindsight", "train", entry.recipe]
    command += ["--out", str(out / f"{entry.folder}-seed{seed}")]
    if options.config:
        command += ["--config", options.config]
    return command + [word for text in _settings(entry, seed, options) for word in ("--set", text)]


def _make_start(entry: Entry, seed: int, options: argparse.Namespace) -> None:
    """Make the warm start of a seed if it does not exist, so that not every entry of the seed makes it."""
    configuration = load_configuration(options.config) if options.config else {}
    training = configure(entry.recipe, configuration, _settings(entry, seed, options))
    folder = start_folder(training.model, training.stage, training.warm, training.plan)
    if training.model.startswith("tiny:") and not (folder / "config.json").exists():
        command = [sys.executable, "-m", "agentgym_hindsight", "train", entry.recipe, "--start-only"]
        command += ["--config", options.config] if options.config else []
        command += [word for text in _settings(entry, seed, options) for word in ("--set", text)]
        result = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
        if result.returncode:
            last_line = "".join(result.stderr.strip().splitlines()[-1:])
            raise HindsightError(
                f"Expected a warm start of seed {seed}, got exit status {result.returncode} ({last_line}); "
                f"try {shlex.join(['agh', *command[3:]])}."
            )


def _train(entry: Entry, seed: int, out: Path, options: argparse.Namespace) -> str:
    """Start or continue one run and wait for it. Return an error message, or "" after success."""
    command = _command(entry, seed, out, options)
    result = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return ""
    log = _log_file(out / f"{entry.folder}-seed{seed}.log")
    write_text(log, f"{_LOG_HEAD} {shlex.join(['agh', *command[3:]])}\n{result.stdout}{result.stderr}")
    last_line = printable_line("".join(result.stderr.strip().splitlines()[-1:]), 300)
    return f"{entry.name}, seed {seed}: exit status {result.returncode} ({last_line}); see {log}"


#: The beginning of the output of a failed run.
_LOG_HEAD = "$"


def _log_file(wanted: Path) -> Path:
    """The file for the output of a failed run. A file of another program is kept, and the next free name is taken."""
    for number in count():
        path = wanted if number == 0 else wanted.with_suffix(f".{number}.log")
        if not path.exists() or (path.is_file() and begins_with(f"{_LOG_HEAD} agh train")(path)):
            return path
    raise AssertionError  # count() has no end


def _environment() -> dict[str, str]:
    # The runs share the cores, so each gets one thread.
    return {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"), "TOKENIZERS_PARALLELISM": "false"}


def _print(tables: Sequence[Grid], options: argparse.Namespace, printed: SafeConsole) -> None:
    for table in tables:
        table.print(printed)
    printed.print(f"next: agh report {options.out}", soft_wrap=True)


def _write(tables: Sequence[Grid], options: argparse.Namespace) -> None:
    words = [*options.entries, "--seeds", str(options.seeds), "--turns", str(options.turns), "--out", options.out]
    words += ["--config", options.config] if options.config else []
    words += [word for text in options.set for word in ("--set", text)]
    command = hide_passwords(shlex.join(["agh", "compare", *words]))
    lines = [f"# {options.title}", "", f"`{command}` — {machine(memory=False)}.", "", *tables[0].markdown()]
    for table in tables[1:]:
        lines += ["", f"## {table.title}", "", *table.markdown()]
    write_text(options.markdown, "\n".join(lines) + "\n")
    console.print(f"written: {options.markdown}", soft_wrap=True)
