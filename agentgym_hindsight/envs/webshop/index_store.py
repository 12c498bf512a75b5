"""A search index on disk, built once per data set and memory-mapped by every process.

The folder name is a hash of the fingerprint of the data and the versions of analyzer and layout, so that other data or
rules get another index. All processes of a machine share the mapped pages. See ``cache_folders.py`` for how concurrent
processes build it.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import shutil
import sys
import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from agentgym_hindsight.envs.manifests import cache_folder
from agentgym_hindsight.envs.webshop.analyzer import ANALYZER
from agentgym_hindsight.envs.webshop.bm25 import Bm25, best_factors
from agentgym_hindsight.envs.webshop.cache_folders import UNUSABLE, build_folder, check_files, file_checksums
from agentgym_hindsight.envs.webshop.postings import Postings, PostingsBuilder
from agentgym_hindsight.envs.webshop.search import Bm25Engine, build_index, document_text, id_ranks, index_texts
from agentgym_hindsight.envs.webshop.shop_types import Product
from agentgym_hindsight.errors import DataError

__all__ = ["Documents", "files_fingerprint", "index_folder", "index_for", "open_index"]

_LAYOUT = "postings-1"
_ARRAYS = ("starts", "docs", "codes", "pairs", "best", "ties", "ends")

#: The smallest catalogue whose index is stored. Building a smaller one takes less than two seconds.
MIN_STORED_PRODUCTS = 20_000

#: Returns the (id, text) of every document, in catalogue order. Called only if the index has to be built.
Documents = Callable[[], Iterable[tuple[str, str]]]


def files_fingerprint(*paths: str | os.PathLike[str]) -> str:
    """A hash of the contents of files, independent of their names."""
    digest = blake2b(digest_size=16)
    for path in paths:
        digest.update(Path(path).stat().st_size.to_bytes(8, "little"))
        with open(path, "rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def index_for(products: Sequence[Product], fingerprint: str | None = None, *, progress: bool = True) -> Bm25Engine:
    """The index over a loaded catalogue: in memory if the catalogue is small, otherwise stored and shared.

    Without a ``fingerprint`` the texts are hashed, which takes some seconds for a million products.
    """
    if len(products) < MIN_STORED_PRODUCTS:
        return build_index(products)

    def documents() -> Iterable[tuple[str, str]]:
        return ((product.asin, document_text(product)) for product in products)

    if fingerprint is None:
        fingerprint = getattr(products, "fingerprint", None)  # of a ProductStore
    if fingerprint is None:
        digest = blake2b(digest_size=16)
        for asin, text in documents():
            digest.update(f"{asin}\0{text}\0".encode("utf-8", "surrogatepass"))
        fingerprint = digest.hexdigest()
    return open_index(fingerprint, documents, total=len(products), progress=progress)


def index_folder(fingerprint: str) -> Path:
    """The folder of the index for a fingerprint, which may not exist yet."""
    key = blake2b(f"{fingerprint}\n{ANALYZER}\n{_LAYOUT}".encode(), digest_size=12).hexdigest()
    return cache_folder() / "webshop-index" / key


def open_index(
    fingerprint: str, documents: Documents, *, total: int | None = None, progress: bool = True
) -> Bm25Engine:
    """The index over these documents: mapped if it is stored, otherwise built with a progress bar.

    ``fingerprint`` identifies the documents; ``total`` is their number, for the progress bar. A damaged index is built
    again. If the cache folder cannot be written, the index is built in memory, with a warning.
    """
    folder = index_folder(fingerprint)
    with suppress(*UNUSABLE):  # absent or damaged: build it
        return _open(folder)
    try:
        build_folder(folder, lambda temporary: _write(temporary, documents, total, progress), _open)
        return _open(folder)
    except DataError:
        raise  # from the documents, not the cache; MissingDataError is an OSError as well
    except OSError as error:
        warnings.warn(
            f"Expected to store the search index in {folder}, got {error}. It is built in memory, for this process "
            "only; try freeing space there, or set AGENTGYM_HINDSIGHT_CACHE to a writable folder.",
            RuntimeWarning,
            stacklevel=2,
        )
    ids: list[str] = []
    return index_texts(_with_ids(documents(), ids), ids)


def _with_ids(documents: Iterable[tuple[str, str]], ids: list[str]) -> Iterable[str]:
    for name, text in documents:
        ids.append(name)
        yield text


def _write(folder: Path, documents: Documents, total: int | None, progress: bool) -> None:
    runs = folder / "runs"
    runs.mkdir()

    def allocate(name: str, size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        return _allocate(folder / f"{name}.npy", size, dtype)

    with Progress(console=Console(file=sys.stderr), transient=True, disable=not progress) as bar:
        builder = PostingsBuilder(runs)
        names: list[str] = []
        reading_task = bar.add_task("Building the search index (once): reading", total=total)
        for number, text in enumerate(_with_ids(documents(), names), 1):
            builder.add(text)
            if number % 1000 == 0:
                bar.update(reading_task, completed=number)
        bar.update(reading_task, total=len(names), completed=len(names))
        merging_task = bar.add_task("Building the search index (once): merging", total=1.0)
        terms, postings = builder.finish(allocate, lambda share: bar.update(merging_task, completed=share))
    shutil.rmtree(runs)
    blobs = [term.encode("utf-8", "surrogatepass") for term in terms]
    (folder / "terms.bin").write_bytes(b"".join(blobs))
    np.save(folder / "ends.npy", np.cumsum([len(blob) for blob in blobs], dtype=np.int64))
    np.save(folder / "best.npy", best_factors(postings))
    np.save(folder / "ties.npy", id_ranks(names))
    for values in postings:
        if isinstance(values, np.memmap):
            values.flush()
    header = {
        "documents": postings.documents,
        "lengths_sum": postings.lengths_sum,
        "filled": postings.filled,
        "files": file_checksums(folder),
    }
    (folder / "index.json").write_text(json.dumps(header), encoding="utf-8")


def _allocate(path: Path, size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    if not size:  # an empty file cannot be mapped
        np.save(path, np.empty(0, dtype))
        return np.empty(0, dtype)
    values: NDArray[Any] = open_memmap(path, mode="w+", dtype=dtype, shape=(size,))
    if hasattr(os, "posix_fallocate"):
        # A full disk raises an error here; a write to the mapping would kill the process by a signal.
        try:
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            # Some file systems cannot reserve space; the risk remains there.
    return values


def _open(folder: Path) -> Bm25Engine:
    header = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    check_files(folder, header["files"])
    arrays = {name: _mapped(folder / f"{name}.npy") for name in _ARRAYS}
    postings = Postings(
        documents=int(header["documents"]),
        lengths_sum=int(header["lengths_sum"]),
        filled=int(header["filled"]),
        starts=arrays["starts"],
        docs=arrays["docs"],
        codes=arrays["codes"],
        pairs=arrays["pairs"],
    )
    vocabulary = _Vocabulary(folder / "terms.bin", arrays["ends"])
    return Bm25Engine(Bm25(vocabulary.find, postings, arrays["best"], arrays["ties"]))


def _mapped(path: Path) -> NDArray[Any]:
    try:
        return np.asarray(np.load(path, mmap_mode="r"))  # slicing a plain array is much faster than a memmap
    except ValueError:
        return np.asarray(np.load(path))  # an empty array cannot be mapped; a broken file raises here as well


class _Vocabulary:
    """Sorted terms in one mapped file with binary search, instead of a dict of a million strings per process."""

    def __init__(self, path: Path, ends: NDArray[np.int64]) -> None:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._bytes: mmap.mmap | bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        self._ends = ends

    def _term(self, number: int) -> bytes:
        start = int(self._ends[number - 1]) if number else 0
        return self._bytes[start : int(self._ends[number])]

    def find(self, term: str) -> int:
        encoded = term.encode("utf-8", "surrogatepass")
        number = bisect_left(range(len(self._ends)), encoded, key=self._term)
        return number if number < len(self._ends) and self._term(number) == encoded else -1
