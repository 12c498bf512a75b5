"""``agh compare``: train each entry with each seed under equal conditions and print tables with intervals."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from agentgym_hindsight.baselines.training.configuration import (
    configure,
    load_configuration,
    shipped_configurations,
)
from agentgym_hindsight.baselines.training.start import start_folder
from agentgym_hindsight.cli.bench.figures import machine
from agentgym_hindsight.cli.compare_tables import Entry, Grid, after_training, during_training
from agentgym_hindsight.cli.shared import console, output, progress_bar
from agentgym_hindsight.errors import HindsightError, UsageError
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
        help=f"sets of entries ({', '.join(SETS)}) or single ones: grpo, serl:what=success+immediate,where=anchor",
    )
    parser.add_argument("--seeds", type=int, default=5, help="train with seeds 0 to N - 1 (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=12000, help="env turns of each run (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="parallel runs (default: one per core)")
    parser.add_argument("--out", default="runs/compare", help="folder of the runs (default: %(default)s)")
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
    parser.add_argument("--markdown", help="also write the tables to this file, as Markdown")
    parser.add_argument("--title", default="Rivals on equal terms", help="title of the tables (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    entry_texts = dict.fromkeys(text for name in options.entries for text in SETS.get(name, (name,)))  # no duplicates
    entries = [Entry.parse(text) for text in entry_texts]
    if options.seeds < 1 or options.jobs < 1:
        raise UsageError(f"Expected --seeds ≥ 1 and --jobs ≥ 1, got {options.seeds} and {options.jobs}; try 5 and 2.")
    out = Path(options.out)
    jobs = [(entry, seed) for seed in range(options.seeds) for entry in entries]
    failed: list[str] = []
    # The entries of a seed share one warm start. The lock lets only the first of them make it.
    start_locks = {seed: Lock() for seed in range(options.seeds)}
    with progress_bar() as bar:
        line = bar.add_task("runs", total=len(jobs), note="")

        def work(job: tuple[Entry, int]) -> None:
            entry, seed = job
            bar.update(line, note=f"{entry.name}, seed {seed}")
            with start_locks[seed]:
                _make_start(entry, seed, options)
            problem = _train(entry, seed, out, options)
            if problem:
                failed.append(problem)
                bar.console.print(problem, soft_wrap=True)
            bar.advance(line)

        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(work, _interleave_seeds(jobs, options.jobs)))
    tables = [after_training(entries, out, options.seeds, options.title), during_training(entries, out, options.seeds)]
    for table in tables:
        output().print(table.rich())
    output().print(f"next: agh report {options.out}", soft_wrap=True)
    if options.markdown:
        _write(tables, options)
    return 1 if failed else 0


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
    log = out / f"{entry.folder}-seed{seed}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(result.stdout + result.stderr, encoding="utf-8")
    return f"{entry.name}, seed {seed}: exit status {result.returncode}; see {log}"


def _environment() -> dict[str, str]:
    # The runs share the cores, so each gets one thread.
    return {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"), "TOKENIZERS_PARALLELISM": "false"}


def _write(tables: Sequence[Grid], options: argparse.Namespace) -> None:
    words = [*options.entries, "--seeds", str(options.seeds), "--turns", str(options.turns), "--out", options.out]
    words += ["--config", options.config] if options.config else []
    words += [word for text in options.set for word in ("--set", text)]
    command = hide_passwords(shlex.join(["agh", "compare", *words]))
    lines = [f"# {options.title}", "", f"`{command}` — {machine(memory=False)}.", "", *tables[0].markdown()]
    for table in tables[1:]:
        lines += ["", f"## {table.title}", "", *table.markdown()]
    Path(options.markdown).write_text("\n".join(lines) + "\n", encoding="utf-8")
    console.print(f"written: {options.markdown}", soft_wrap=True)
