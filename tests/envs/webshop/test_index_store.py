"""The index on disk: stored once, rebuilt when damaged, built by concurrent processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from agentgym_hindsight.envs.webshop import index_store
from agentgym_hindsight.envs.webshop.analyzer import terms
from agentgym_hindsight.envs.webshop.index_store import files_fingerprint, index_folder, index_for, open_index
from agentgym_hindsight.envs.webshop.search import Bm25Engine, index_texts
from agentgym_hindsight.envs.webshop.shop_types import Product
from agentgym_hindsight.errors import MissingDataError

WORDS = [f"{first}{second}{third}" for first in "bcdfg" for second in "aou" for third in ("nt", "rk", "ss", "lé")]


def random_documents(count: int = 150, seed: int = 0) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    return [
        (f"B{rng.randrange(10**6):06d}", " ".join(rng.choices(WORDS, range(len(WORDS), 0, -1), k=rng.randrange(30))))
        for _ in range(count)
    ]


QUERIES = [" ".join(random.Random(number).choices(WORDS, k=1 + number % 5)) for number in range(40)] + [
    "",
    "unknown",
    "the",
]


class Source:
    """Documents with a count of their reads."""

    def __init__(self, documents: list[tuple[str, str]]) -> None:
        self.documents, self.reads = documents, 0

    def __call__(self) -> Iterable[tuple[str, str]]:
        self.reads += 1
        return iter(self.documents)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def opened(fingerprint: str, source: Source) -> Bm25Engine:
    return open_index(fingerprint, source, progress=False)


def answers(engine: Bm25Engine) -> list[tuple[int, ...]]:
    return [engine.search(query, 20) for query in QUERIES]


def in_memory(documents: list[tuple[str, str]]) -> Bm25Engine:
    return index_texts([text for _, text in documents], [name for name, _ in documents])


def test_an_index_is_built_once_and_reopened() -> None:
    source = Source(random_documents())
    first = opened("a", source)
    again = opened("a", source)
    assert source.reads == 1
    assert answers(first) == answers(again) == answers(in_memory(source.documents))
    assert len(again) == 150


def test_scores_are_those_of_the_index_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from agentgym_hindsight.envs.webshop import bm25

    monkeypatch.setattr(bm25, "_MIN_PRUNED_POSTINGS", 0)
    documents = random_documents()
    stored, memory = opened("a", Source(documents)), in_memory(documents)
    for query in QUERIES:
        stored_ranks, memory_ranks = (engine.ranker.rank(terms(query), 20) for engine in (stored, memory))
        assert np.array_equal(stored_ranks[0], memory_ranks[0])
        assert np.array_equal(stored_ranks[1], memory_ranks[1])


def test_other_data_get_another_index(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = Source(random_documents(seed=1)), Source(random_documents(seed=2))
    assert answers(opened("one", one)) != answers(opened("two", two))
    assert index_folder("one") != index_folder("two")
    before = index_folder("one")
    monkeypatch.setattr(index_store, "ANALYZER", "another")
    assert index_folder("one") != before
    opened("one", one)
    assert one.reads == 2


def test_no_documents() -> None:
    source = Source([])
    assert opened("none", source).search("red") == ()
    assert opened("none", source).search("red") == ()
    assert source.reads == 1
    only_empty = Source([("A", ""), ("B", "the")])
    assert opened("empty", only_empty).search("red") == ()
    assert len(opened("empty", only_empty)) == 2


@pytest.mark.parametrize("name", ["docs.npy", "codes.npy", "terms.bin", "ends.npy", "index.json", "best.npy"])
@pytest.mark.parametrize("harm", ["cut", "changed", "emptied", "removed"])
def test_a_damaged_index_is_rebuilt(name: str, harm: str) -> None:
    source = Source(random_documents())
    expected = answers(opened("a", source))
    path = index_folder("a") / name
    content = path.read_bytes()
    if harm == "removed":
        path.unlink()
    elif harm == "changed":
        path.write_bytes(content[:-9] + bytes(byte ^ 255 for byte in content[-9:]))
    else:
        path.write_bytes(content[: len(content) // 2] if harm == "cut" else b"")
    assert answers(opened("a", source)) == expected
    assert source.reads == 2
    assert answers(opened("a", source)) == expected
    assert source.reads == 2


def test_an_index_with_a_wrong_header_is_rebuilt() -> None:
    source = Source(random_documents())
    opened("a", source)
    for header in ("[]", "{}", '{"files": 3}', "null"):
        (index_folder("a") / "index.json").write_text(header)
        opened("a", source)
    assert source.reads == 5


def test_a_failed_build_leaves_nothing(cache: Path) -> None:
    class Boom(Exception):
        pass

    def breaking() -> Iterable[tuple[str, str]]:
        yield "A", "red shoe"
        raise Boom

    with pytest.raises(Boom):
        open_index("a", breaking, progress=False)
    assert list((cache / "webshop-index").iterdir()) == []


def test_missing_data_raise_an_error_and_no_warning() -> None:
    def gone() -> Iterable[tuple[str, str]]:
        raise MissingDataError("items_shuffle.json")

    with pytest.raises(MissingDataError):
        open_index("a", gone, progress=False)


def test_abandoned_builds_are_deleted(cache: Path) -> None:
    old, new = cache / "webshop-index" / "x.old.part", cache / "webshop-index" / "x.new.part"
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (time.time() - 10**6,) * 2)
    opened("a", Source(random_documents()))
    assert not old.exists()
    assert new.exists()  # another process may be using it


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_CACHE", str(blocked))
    source = Source(random_documents())
    with pytest.warns(RuntimeWarning, match="AGENTGYM_HINDSIGHT_CACHE"):
        engine = opened("a", source)
    assert answers(engine) == answers(in_memory(source.documents))


def _build(cache: str, barrier: object, queue: object) -> None:
    os.environ["AGENTGYM_HINDSIGHT_CACHE"] = cache
    barrier.wait()  # type: ignore[attr-defined]
    queue.put(answers(opened("a", Source(random_documents()))))  # type: ignore[attr-defined]


@pytest.mark.slow
def test_two_processes_build_at_the_same_time(cache: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(2), context.Queue()
    both = [context.Process(target=_build, args=(str(cache), barrier, queue)) for _ in range(2)]
    for process in both:
        process.start()
    found = [queue.get(timeout=120) for _ in both]
    for process in both:
        process.join(timeout=60)
        assert process.exitcode == 0
    assert found[0] == found[1] == answers(in_memory(random_documents()))
    assert [path.name for path in (cache / "webshop-index").iterdir()] == [index_folder("a").name]


def test_the_index_of_a_faster_process_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process finishes while this one builds."""
    source = Source(random_documents())
    expected = answers(opened("a", source))
    stored = index_folder("a")
    moved = stored.with_name("kept-aside")
    stored.rename(moved)
    real = index_store._write

    def slower(*arguments: object) -> None:
        real(*arguments)  # type: ignore[arg-type]
        shutil.copytree(moved, stored)

    monkeypatch.setattr(index_store, "_write", slower)
    before = json.loads((moved / "index.json").read_text())
    assert answers(opened("a", source)) == expected
    assert json.loads((stored / "index.json").read_text()) == before


def test_index_for_a_loaded_catalogue(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    products = [
        Product(asin, text, "", ("",), (), "", "", "", (1.0,), "$1.0", 1.0, {})
        for asin, text in random_documents()
        if text
    ]
    small = index_for(products, progress=False)
    assert not cache.exists()
    monkeypatch.setattr(index_store, "MIN_STORED_PRODUCTS", 10)
    stored = index_for(products, progress=False)
    assert len(list((cache / "webshop-index").iterdir())) == 1
    assert answers(stored) == answers(small) == answers(index_for(products, progress=False))
    index_for(products[1:], progress=False)
    assert len(list((cache / "webshop-index").iterdir())) == 2
    index_for(products, "given", progress=False)
    assert index_folder("given").exists()


def test_files_fingerprint(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"abc")
    two.write_bytes(b"abc")
    assert files_fingerprint(one) == files_fingerprint(two)
    assert files_fingerprint(one, two) != files_fingerprint(one)
    two.write_bytes(b"abd")
    assert files_fingerprint(one) != files_fingerprint(two)
