"""The postings of an index: the documents and frequencies of every term, built in bounded memory.

Documents are processed in blocks. Each block becomes a *run*, sorted by term and then by document. Runs are kept in a
folder if one is given, otherwise in memory, and merged at the end into arrays that may be files as well. With a folder
and files, a million documents need memory only for their vocabulary.

The contribution of a posting to a score depends only on its frequency and the quantised length of its document. A
posting stores a code for this pair: two bytes instead of the four of a float32 factor.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from agentgym_hindsight.envs.webshop.analyzer import chunk_terms, chunks

__all__ = ["LENGTHS", "Allocate", "Postings", "PostingsBuilder", "in_memory"]

_BLOCK = 1 << 22  # words per run: 32 MiB to sort
_CACHE_SIZE = 1 << 18


def _lengths() -> NDArray[np.int64]:
    """The lengths that one byte can represent: exact up to 39, then with four significant bits.

    Lucene's ``SmallFloat``: the codes 0 to 23 are the lengths 0 to 23. The other codes are 24 plus a small float with a
    3-bit mantissa and an implied leading bit.
    """
    exact_count = 24
    values = list(range(exact_count))
    for code in range(256 - exact_count):
        mantissa, shift = code & 7, (code >> 3) - 1
        values.append(exact_count + (mantissa if shift < 0 else (mantissa | 8) << shift))
    return np.array(values, dtype=np.int64)


#: By length byte: the document length. Encoding rounds down to the largest length that is not longer.
LENGTHS = _lengths()


class Postings(NamedTuple):
    """All postings by term. The slice ``starts[t]:starts[t + 1]`` belongs to term ``t`` and is sorted by document."""

    documents: int
    lengths_sum: int  # words in all documents
    filled: int  # documents with at least one word
    starts: NDArray[np.int64]
    docs: NDArray[np.int32]
    codes: NDArray[np.unsignedinteger[Any]]
    pairs: NDArray[np.int64]  # code -> frequency << 8 | length byte


class Allocate(Protocol):
    """Creates an empty array with a name, in memory or as a file."""

    def __call__(self, name: str, size: int, dtype: np.dtype[Any]) -> NDArray[Any]: ...


def in_memory(name: str, size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.empty(size, dtype)


class _Run(NamedTuple):
    terms: NDArray[np.int32]
    docs: NDArray[np.int32]
    pairs: NDArray[np.int64]


class _Numbers(dict[str, int]):
    """Term -> its number, in order of first appearance."""

    def __missing__(self, term: str) -> int:
        number = self[term] = len(self)
        return number


class _Chunks(dict[str, tuple[int, ...]]):
    """Chunk of text -> the numbers of its terms. Cleared when full."""

    def __init__(self, numbers: _Numbers) -> None:
        self._numbers = numbers

    def __missing__(self, chunk: str) -> tuple[int, ...]:
        numbers = tuple(map(self._numbers.__getitem__, chunk_terms(chunk)))
        if len(self) >= _CACHE_SIZE:
            self.clear()
        self[chunk] = numbers
        return numbers


class PostingsBuilder:
    """Takes texts in catalogue order and builds their postings."""

    def __init__(self, folder: Path | None = None, block: int = _BLOCK) -> None:
        self._folder = folder
        self._block = block
        self._numbers = _Numbers()
        self._chunks = _Chunks(self._numbers)
        self._words = array("i")
        self._block_lengths = array("i")
        self._documents = self._lengths_sum = self._filled = 0
        self._runs: list[_Run | Path] = []
        self._pairs: NDArray[np.int64] = np.empty(0, np.int64)

    def add(self, text: str) -> None:
        before = len(self._words)
        self._words.extend(chain.from_iterable(map(self._chunks.__getitem__, chunks(text))))
        self._block_lengths.append(len(self._words) - before)
        if len(self._words) >= self._block:
            self._close_run()

    def extend(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.add(text)

    def _close_run(self) -> None:
        lengths = np.frombuffer(self._block_lengths, dtype=np.int32).astype(np.int64)
        words = np.frombuffer(self._words, dtype=np.int32)
        count = len(lengths)
        if not count:
            return
        # One key for term and document: sorting the keys orders the run, and counting equal keys gives frequencies.
        keys = words.astype(np.int64) * count + np.repeat(np.arange(count), lengths)
        keys.sort()
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        frequencies = np.diff(first, append=len(keys))
        terms, docs = np.divmod(keys[first], count)
        bytes_ = np.searchsorted(LENGTHS, lengths, side="right") - 1
        pairs = frequencies << 8 | bytes_[docs]
        self._store_run(_Run(terms.astype(np.int32), (docs + self._documents).astype(np.int32), pairs))
        self._pairs = np.union1d(self._pairs, pairs)
        self._documents += count
        self._lengths_sum += int(lengths.sum())
        self._filled += int(np.count_nonzero(lengths))
        del words, lengths  # views, which would keep the old arrays alive
        self._words, self._block_lengths = array("i"), array("i")

    def _store_run(self, run: _Run) -> None:
        if self._folder is None:
            self._runs.append(run)
            return
        path_prefix = self._folder / f"run{len(self._runs)}"
        for name, values in run._asdict().items():
            np.save(f"{path_prefix}.{name}.npy", values)
        self._runs.append(path_prefix)

    def _stored_runs(self) -> Iterator[_Run]:
        for run in self._runs:
            yield run if isinstance(run, _Run) else _Run(*(np.load(f"{run}.{name}.npy") for name in _Run._fields))

    def finish(
        self, allocate: Allocate = in_memory, report_share: Callable[[float], object] = lambda share: None
    ) -> tuple[list[str], Postings]:
        """The sorted terms and their postings. ``report_share`` is called with the merged share, up to 1."""
        self._close_run()
        self._chunks.clear()
        # Strings sort like their UTF-8 bytes, in which the vocabulary of a stored index is searched.
        terms = sorted(self._numbers)
        ranks = np.empty(len(terms), np.int64)
        ranks[np.fromiter(map(self._numbers.__getitem__, terms), np.int64, len(terms))] = np.arange(len(terms))
        counts = np.zeros(len(terms), np.int64)
        for run in self._stored_runs():
            counts += np.bincount(ranks[run.terms], minlength=len(terms))
        starts = allocate("starts", len(terms) + 1, np.dtype(np.int64))
        starts[0] = 0
        np.cumsum(counts, out=starts[1:])
        total = int(starts[-1])
        docs = allocate("docs", total, np.dtype(np.int32))
        codes = allocate("codes", total, np.min_scalar_type(max(len(self._pairs) - 1, 0)))
        pairs = allocate("pairs", len(self._pairs), np.dtype(np.int64))
        pairs[:] = self._pairs
        next_free = starts[:-1].copy()  # the index of the next posting of each term
        for number, run in enumerate(self._stored_runs(), 1):
            first = np.flatnonzero(np.diff(run.terms, prepend=-1))
            sizes = np.diff(first, append=len(run.terms))
            present = ranks[run.terms[first]]
            positions = np.repeat(next_free[present] - first, sizes) + np.arange(len(run.terms))
            docs[positions] = run.docs
            codes[positions] = np.searchsorted(self._pairs, run.pairs)
            next_free[present] += sizes
            report_share(number / len(self._runs))
        return terms, Postings(self._documents, self._lengths_sum, self._filled, starts, docs, codes, pairs)
