"""Compare our ranking with bm25s on the official products and real queries, to show why the shop has its own.

    pip install bm25s
    python -m tests.envs.webshop.against_bm25s FOLDER

``FOLDER`` holds the official files and ``goal_query_map.json.gz``. bm25s uses our analyzer, so that only the scores and
the order of ties differ.
"""

from __future__ import annotations

import gzip
import importlib
import json
import statistics
import sys
import time
from pathlib import Path

from agentgym_hindsight.envs.webshop.analyzer import terms
from agentgym_hindsight.envs.webshop.official_files import read_catalogue
from agentgym_hindsight.envs.webshop.search import build_index, document_text

_K = 50


def main(folder: Path) -> None:
    bm25s = importlib.import_module("bm25s")
    products = read_catalogue(folder).products
    with gzip.open(folder / "goal_query_map.json.gz", "rt", encoding="utf-8") as file:
        queries = list(dict.fromkeys(query for known in json.load(file).values() for query in known))
    ours = build_index(products)
    bm25s_index = bm25s.BM25(method="lucene", k1=0.9, b=0.4)
    bm25s_index.index([terms(document_text(product)) for product in products], show_progress=False)
    same = shared = 0
    times: dict[str, list[float]] = {"ours": [], "bm25s": []}
    compared = 0
    for query in queries:
        words = terms(query)
        if not words:
            continue
        started = time.perf_counter()
        our_hits = ours.search(query, _K)
        times["ours"].append(time.perf_counter() - started)
        started = time.perf_counter()
        found, scores = bm25s_index.retrieve([terms(query)], k=_K, show_progress=False)
        times["bm25s"].append(time.perf_counter() - started)
        their_hits = [int(place) for place, value in zip(found[0], scores[0], strict=True) if value > 0]
        if not our_hits:
            continue
        compared += 1
        same += list(our_hits[:10]) == their_hits[:10]
        shared += len(set(our_hits) & set(their_hits)) / len(our_hits)
    print(f"{compared} queries over {len(products)} products")
    print(
        f"bm25s against ours: the same first ten in {same / compared:.1%}, of our {_K} it finds {shared / compared:.1%}"
    )
    for name, values in times.items():
        print(f"{name}: p50 {statistics.median(values) * 1e3:.3f} ms")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
