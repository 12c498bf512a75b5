"""Measure a large catalogue in official files: ``python -m tests.envs.webshop.large_catalogue 100000 [--folder DIR]``.

The script writes official files of generated products (kept and reused with ``--folder``), with as many human
instructions as the official set. Then it measures, in new processes with a new cache, building, opening, and playing
with one and with four workers. The memory of a worker is its private memory plus its share of the shared one (PSS).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from agentgym_hindsight.envs.webshop.catalogue import human_record, write_official_files

_GOALS = 12_087
_SECONDS = 20.0


def make(folder: Path) -> Any:
    from agentgym_hindsight.envs.webshop.env import WebShopEnv

    return WebShopEnv("train", data=folder, rules="official", goals="human")


def prepared(folder: Path, n: int) -> None:
    if not (folder / "items_ins_v2.json").is_file():
        write_official_files(folder, n)
    human: dict[str, Any] = {}
    count = 0
    for index in range(0, n, max(1, n // (2 * _GOALS))):
        listed = human_record(0, index)
        if listed and count < _GOALS:
            human[listed[0]["asin"]] = listed
            count += len(listed)
    (folder / "items_human_ins.json").write_text(json.dumps(human), encoding="utf-8")


def memory() -> dict[str, float]:
    """Memory of this process in MiB: resident, proportional share, private."""
    found = {}
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]:
        name, size, *_ = line.split()
        found[name.rstrip(":")] = int(size) / 1024
    private = found["Private_Clean"] + found["Private_Dirty"]
    return {"rss": found["Rss"], "pss": found["Pss"], "own": private}


def build(folder: Path, answers: Any) -> None:
    from agentgym_hindsight.envs.webshop.index_store import index_for
    from agentgym_hindsight.envs.webshop.official_files import read_catalogue

    start = time.perf_counter()
    products = read_catalogue(folder).products
    between = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    index_for(products)
    indexed = time.perf_counter()
    make(folder)
    answers.put(
        {
            "products": between - start,
            "products_peak": peak,
            "index": indexed - between,
            "goals": time.perf_counter() - indexed,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
    )


def play(folder: Path, number: int, barrier: Any, answers: Any) -> None:
    import agentgym_hindsight.envs.webshop.env  # noqa: F401  # so that the opening time does not include imports

    start = time.perf_counter()
    env = make(folder)
    opened = time.perf_counter() - start
    env.reset(seed=number)
    first = time.perf_counter() - start
    barrier.wait()
    start, steps, episodes, searching = time.perf_counter(), 0, 0, 0.0
    env.reset(seed=number)
    while time.perf_counter() - start < _SECONDS:
        goal = env.task.goal
        moves = [f"search[{goal}]", "click[next >]", "click[< prev]"]
        for move in [
            *moves,
            "",
            "click[description]",
            "click[< prev]",
            "click[features]",
            "click[< prev]",
            "click[buy now]",
        ]:
            if move.startswith("search"):
                before = time.perf_counter()
                *_, info = env.step(move)
                searching += time.perf_counter() - before
            else:
                *_, info = env.step(move or info["admissible_actions"][2])
            steps += 1
        episodes += 1
        env.reset()
    seconds = time.perf_counter() - start
    barrier.wait()  # so that all workers hold their pages during the measurement
    used = memory()
    barrier.wait()
    rates = {
        "steps": steps / seconds,
        "search": searching / episodes,
        "rest": (seconds - searching) / (steps - episodes),
    }
    answers.put({"opened": opened, "first": first, "episodes": episodes, **rates, **used})


def workers(folder: Path, count: int) -> list[dict[str, float]]:
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(count), context.Queue()
    processes = [context.Process(target=play, args=(folder, number, barrier, answers)) for number in range(count)]
    for worker in processes:
        worker.start()
    found = [answers.get() for _ in processes]
    for worker in processes:
        worker.join()
    return found


def measured(folder: Path, n: int) -> list[tuple[str, str]]:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    builder = context.Process(target=build, args=(folder, answers))
    builder.start()
    built = answers.get()
    builder.join()
    cache = Path(os.environ["AGENTGYM_HINDSIGHT_CACHE"])

    def on_disk(part: str) -> float:
        return sum(path.stat().st_size for path in (cache / part).rglob("*") if path.is_file()) / 2**20

    (alone,) = workers(folder, 1)
    four = workers(folder, 4)
    megabytes = (folder / "items_shuffle.json").stat().st_size / 2**20
    return [
        ("products", f"{n:,}"),
        ("items_shuffle.json", f"{megabytes:,.0f} MiB"),
        ("building the products (once)", f"{built['products']:,.0f} s, peak memory {built['products_peak']:,.0f} MiB"),
        ("building the index (once)", f"{built['index']:,.0f} s"),
        ("goals and the rest of the first start", f"{built['goals']:,.1f} s"),
        ("peak memory of the process that builds", f"{built['peak']:,.0f} MiB"),
        ("products on disk", f"{on_disk('webshop-products'):,.0f} MiB"),
        ("index on disk", f"{on_disk('webshop-index'):,.0f} MiB"),
        ("opening an env, once built (without imports)", f"{alone['opened']:.2f} s"),
        ("  up to the first observation", f"{alone['first']:.2f} s"),
        ("1 worker: memory", f"{alone['rss']:,.0f} MiB resident, {alone['own']:,.0f} MiB of its own"),
        ("1 worker: steps", f"{alone['steps']:,.0f} steps/s"),
        ("  a search for a whole instruction, new each time", f"{alone['search'] * 1e3:.1f} ms"),
        ("  any other step", f"{alone['rest'] * 1e3:.2f} ms"),
        ("4 workers: memory of all (sum of PSS)", f"{sum(one['pss'] for one in four):,.0f} MiB"),
        ("4 workers: of its own, each", f"{max(one['own'] for one in four):,.0f} MiB at most"),
        ("4 workers: opening, all at once", f"{max(one['opened'] for one in four):.2f} s at most"),
        ("4 workers: steps", f"{sum(one['steps'] for one in four):,.0f} steps/s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("products", type=int)
    parser.add_argument("--folder", help="folder of the official files, created if absent (default: a temporary one)")
    parser.add_argument("--out", help="append the figures to this markdown file")
    options = parser.parse_args()
    from agentgym_hindsight.cli.bench.figures import machine

    with tempfile.TemporaryDirectory() as aside:
        os.environ["AGENTGYM_HINDSIGHT_CACHE"] = str(Path(aside, "cache"))
        folder = Path(options.folder or Path(aside, "files"))
        prepared(folder, options.products)
        rows = measured(folder, options.products)
    hardware = machine().partition(", peak")[0]  # without the peak memory of this process, which does nothing
    lines = [f"`python -m tests.envs.webshop.large_catalogue {options.products}` — {hardware}.", ""]
    lines += ["| what | figure |", "| --- | ---: |", *(f"| {what} | {value} |" for what, value in rows), ""]
    print("\n".join(lines))
    if options.out:
        path = Path(options.out)
        before = path.read_text(encoding="utf-8") if path.exists() else "# WebShop: large official catalogues\n"
        path.write_text(before + "\n" + "\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
