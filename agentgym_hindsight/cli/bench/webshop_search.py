"""``agh bench webshop-search``: building and opening the search index, its memory and its speed.

The index is built in a temporary folder, so that no cached one is used. Building and searching run in separate
processes, so that their memory can be measured separately. Times use the wall clock unless CPU seconds are named.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np

from agentgym_hindsight.cli.bench.figures import Row
from agentgym_hindsight.envs.webshop.analyzer import terms
from agentgym_hindsight.envs.webshop.catalogue import attribute_record, human_record, item_record
from agentgym_hindsight.envs.webshop.index_store import index_folder, open_index
from agentgym_hindsight.envs.webshop.loading import load_products
from agentgym_hindsight.envs.webshop.search import Bm25Engine, document_text
from agentgym_hindsight.errors import WorkerError

__all__ = ["measure"]

_BATCH = 1000
_CHECKED = 50  # queries whose result is compared with that of a search that reads every posting
_TIMEOUT = 4 * 3600.0  # seconds


def measure(
    n_products: int, seed: int = 0, queries: int = 300, workers: int = 4, note: Callable[[str], object] = lambda _: None
) -> list[Row]:
    """All figures with the first ``n_products`` of the embedded catalogue of ``seed``."""
    with tempfile.TemporaryDirectory(prefix="agentgym_hindsight_") as folder:
        note(f"building an index over {n_products:,} products")
        rows = [Row("products", f"{n_products:,}")]
        rows += _in_processes(folder, _measure_building, 1, (n_products, seed))[0]
        note("searching")
        rows += _in_processes(folder, _measure_searching, 1, (n_products, seed, queries))[0]
        note(f"{workers} workers")
        memory = _in_processes(folder, _measure_worker, workers, (n_products, seed, queries))
        if all(share >= 0 for share in memory):
            shares = ", ".join(f"{share:.0f}" for share in memory)
            rows.append(Row(f"memory of {workers} workers together", f"{sum(memory):.0f} MiB ({shares})"))
        else:
            rows.append(Row(f"memory of {workers} workers together", "not measured: this system has no /proc"))
    return rows


def _documents(n_products: int, seed: int) -> Iterator[tuple[str, str]]:
    """(asin, text) of each product. The whole catalogue is never in memory."""
    for first in range(0, n_products, _BATCH):
        items = [item_record(seed, index) for index in range(first, min(first + _BATCH, n_products))]
        for product in load_products(items, seed=seed):
            yield product.asin, document_text(product)


def _open(n_products: int, seed: int) -> Bm25Engine:
    return open_index(_name(n_products, seed), lambda: _documents(n_products, seed), total=n_products)


def _name(n_products: int, seed: int) -> str:
    return f"embedded-{seed}-{n_products}"


def _queries_by_kind(n_products: int, seed: int, count: int) -> dict[str, list[str]]:
    """Queries by kind: short ones, and whole instructions, which some agents copy into the search."""
    indices = range(0, n_products, max(1, n_products // count))
    short = [item_record(seed, index)["query"] for index in indices]
    synthetic = [attribute_record(seed, index).get("instruction") for index in indices]
    human = chain.from_iterable(human_record(seed, index) for index in indices)
    return {
        "short query": short[:count],
        "synthetic instruction": [text for text in synthetic if text][:count],
        "human instruction": [record["instruction"] for record in islice(human, count)],
    }


def _measure_building(n_products: int, seed: int) -> list[Row]:
    cpu_start = time.process_time()
    for _ in _documents(n_products, seed):
        pass
    text_seconds = time.process_time() - cpu_start
    started, cpu_start = time.perf_counter(), time.process_time()
    _open(n_products, seed)
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu_start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = sum(path.stat().st_size for path in index_folder(_name(n_products, seed)).iterdir()) / 2**20
    return [
        Row(
            "building the index",
            f"{wall:.1f} s ({cpu - text_seconds:.1f} CPU s, and {text_seconds:.1f} making the texts)",
        ),
        Row("  peak memory, mapped pages of the index included", f"{peak:.0f} MiB"),
        Row("  index on disk", f"{size:.0f} MiB"),
    ]


def _measure_searching(n_products: int, seed: int, count: int) -> list[Row]:
    started = time.perf_counter()
    engine = _open(n_products, seed)
    rows = [Row("opening the index", f"{1000 * (time.perf_counter() - started):.1f} ms")]
    same = checked = 0
    for kind, queries in _queries_by_kind(n_products, seed, count).items():
        pruned = _times(queries, lambda query: engine.ranker.rank(terms(query), 50))
        unpruned = _times(queries[:_CHECKED], lambda query: engine.ranker.rank(terms(query), 50, prune=False))
        rows.append(
            Row(f"{kind}, p50 / p95 of {len(queries)}", f"{_quantile(pruned, 0.5)} / {_quantile(pruned, 0.95)} ms")
        )
        rows.append(Row("  looking at every posting", f"{_quantile(unpruned, 0.5)} / {_quantile(unpruned, 0.95)} ms"))
        for query in queries[:_CHECKED]:
            pruned_result, full_result = (engine.ranker.rank(terms(query), 50, prune=prune) for prune in (True, False))
            same += [part.tolist() for part in pruned_result] == [part.tolist() for part in full_result]
            checked += 1
    engine.search("query")
    repeated = _times(["query"] * 1000, engine.search)
    rows.append(Row("a query asked before", f"{1000 * float(np.median(repeated)):.2f} µs"))
    rows.append(Row("ranking and scores equal with every posting looked at", f"{same} of {checked} queries"))
    return rows


def _measure_worker(n_products: int, seed: int, count: int, barrier: Barrier | None = None) -> float:
    engine = _open(n_products, seed)
    for queries in _queries_by_kind(n_products, seed, count).values():
        for query in queries:
            engine.search(query)
    if barrier is None:
        return _memory_share()
    barrier.wait()  # a page counts as shared only after the other workers have mapped it too
    share = _memory_share()
    barrier.wait()
    return share


def _memory_share() -> float:
    """The proportional set size of this process in MiB; -1 if the system has no /proc."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    except OSError:
        return -1.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), -1.0)


def _times(queries: Sequence[str], search: Callable[[str], object]) -> list[float]:
    search(queries[0])
    milliseconds = []
    for query in queries:
        started = time.perf_counter()
        search(query)
        milliseconds.append(1000 * (time.perf_counter() - started))
    return milliseconds


def _quantile(values: Sequence[float], share: float) -> str:
    return f"{np.quantile(values, share):.2f}"


def _in_processes(folder: str, work: Callable[..., Any], count: int, arguments: tuple[Any, ...]) -> list[Any]:
    context = multiprocessing.get_context("spawn")
    answers: Any = context.Queue()
    barrier = context.Barrier(count)
    processes = [
        context.Process(
            target=_run, args=(folder, work, arguments, barrier if count > 1 else None, answers), daemon=True
        )
        for _ in range(count)
    ]
    for process in processes:
        process.start()
    results: list[Any] = []
    end = time.monotonic() + _TIMEOUT
    while len(results) < count:
        try:
            results.append(answers.get(timeout=1))
        except queue.Empty:
            dead = [process.exitcode for process in processes if process.exitcode]
            if dead or time.monotonic() > end:
                raise WorkerError(
                    f"Expected {count} processes to finish the benchmark, got "
                    f"{f'one that ended with code {dead[0]}' if dead else f'no result in {_TIMEOUT:.0f} s'} "
                    "(see its message above); try fewer --products."
                ) from None
    for process in processes:
        process.join()
    return results


def _run(
    folder: str, work: Callable[..., Any], arguments: tuple[Any, ...], barrier: Barrier | None, answers: Any
) -> None:
    os.environ["AGENTGYM_HINDSIGHT_CACHE"] = folder
    answers.put(work(*arguments, *([barrier] if barrier is not None else [])))
