"""Import the official files of a large catalogue into a product store in the cache folder, once, record by record.

The folder of the store depends on the contents of the two files, not on their names or location.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from rich.console import Console
from rich.progress import Progress

from agentgym_hindsight.envs.manifests import cache_folder, cached_rows
from agentgym_hindsight.envs.webshop.cache_folders import UNUSABLE, build_folder
from agentgym_hindsight.envs.webshop.index_store import files_fingerprint
from agentgym_hindsight.envs.webshop.json_stream import JsonFile
from agentgym_hindsight.envs.webshop.loading import check_products, checked_attributes, iter_products
from agentgym_hindsight.envs.webshop.product_store import LAYOUT, ProductStore, write_products
from agentgym_hindsight.envs.webshop.shop_types import Product
from agentgym_hindsight.errors import DataError

__all__ = ["content_fingerprint", "open_products", "products_folder"]

_ITEMS_FIX = (
    "try the items_shuffle*.json of the official data "
    "(items_ins_v2*.json holds attributes, items_human_ins*.json human instructions)."
)
_ATTRIBUTES_FIX = "try the items_ins_v2*.json of the official data."


def open_products(
    items: Path,
    attributes: Path,
    *,
    prices: Mapping[str, float] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Sequence[Product]:
    """The products of two official files, from their store, which is built if it is absent or damaged.

    If the cache folder cannot be written, the products are kept in memory, with a warning.
    """
    fingerprint = content_fingerprint(items, attributes)
    store_folder = products_folder(fingerprint)
    usable = False
    with suppress(*UNUSABLE):  # absent or damaged: build it
        usable = len(ProductStore(store_folder)) > 0
    try:
        if not usable:
            build_folder(
                store_folder,
                lambda temporary: _write(temporary, fingerprint, items, attributes, progress),
                ProductStore,
            )
        return ProductStore(store_folder, prices=prices, seed=seed)
    except DataError:
        raise  # from the official files, not the cache; MissingDataError is an OSError as well
    except OSError as error:
        warnings.warn(
            f"Expected to store the products in {store_folder}, got {error}. They are held in memory, for this process "
            "only; try freeing space there, or set AGENTGYM_HINDSIGHT_CACHE to a writable folder.",
            RuntimeWarning,
            stacklevel=2,
        )
    with tempfile.TemporaryDirectory() as temporary_folder:
        return tuple(_products(Path(temporary_folder), items, attributes, prices, seed, progress))


def products_folder(fingerprint: str) -> Path:
    """The folder of the store for a fingerprint, which may not exist yet."""
    key = blake2b(f"{fingerprint}\n{LAYOUT}".encode(), digest_size=12).hexdigest()
    return cache_folder() / "webshop-products" / key


def content_fingerprint(*paths: Path) -> str:
    """A hash of the contents of the files. They are read again only if the size or time of one has changed."""
    state = [f"{path.resolve()}:{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in paths]
    name = blake2b("\n".join(str(path.resolve()) for path in paths).encode("utf-8", "surrogateescape"), digest_size=12)
    rows = cached_rows(
        f"webshop-files-{name.hexdigest()}",
        json.dumps(state),
        lambda: [[files_fingerprint(*paths)]],
    )
    return rows[0][0]


def _write(folder: Path, fingerprint: str, items: Path, attributes: Path, progress: bool) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, suffix=".part") as temporary:
        write_products(folder, fingerprint, _products(Path(temporary), items, attributes, None, 0, progress))


def _products(
    folder: Path,
    items: Path,
    attributes: Path,
    prices: Mapping[str, float] | None,
    seed: int,
    progress: bool,
) -> Iterator[Product]:
    console = Console(file=sys.stderr)
    with (
        Progress(console=console, transient=True, disable=not progress) as bar,
        _TemporaryRecords(folder) as attribute_records,
    ):
        with JsonFile(attributes) as file:
            for asin, record in _with_progress(bar, "Reading attributes (once)", file, file.pairs(_ATTRIBUTES_FIX)):
                attribute_records.add(asin, checked_attributes({asin: record}, str(attributes))[asin])
        count = with_attributes = 0
        with JsonFile(items) as file:
            tracked = _with_progress(bar, "Storing the products (once)", file, file.items(_ITEMS_FIX))
            records = _with_keys(file, tracked)
            for product in iter_products(records, attribute_records.get, prices=prices, seed=seed, source=str(items)):
                count += 1
                with_attributes += product.asin in attribute_records
                yield product
        check_products(count, not len(attribute_records) or with_attributes > 0, str(items), str(attributes))


def _with_keys(file: JsonFile, records: Iterable[Any]) -> Iterator[Any]:
    """Set the key of the file to the ASIN of each record, so that an error names the last readable product."""
    for record in records:
        file.key = str(record.get("asin", "")) if isinstance(record, dict) else ""
        yield record


def _with_progress(bar: Progress, what: str, file: JsonFile, records: Iterable[Any]) -> Iterator[Any]:
    task = bar.add_task(what, total=1.0)
    for number, record in enumerate(records):
        yield record
        if number % 1000 == 0:
            bar.update(task, completed=file.share)
    bar.update(task, completed=1.0)


class _TemporaryRecords:
    """Records by ASIN in a temporary file: the attributes are read before the items, in another order."""

    def __init__(self, folder: Path) -> None:
        self._file: BinaryIO = (folder / "attributes").open("w+b")
        self._offsets: dict[str, int] = {}
        self._end = 0

    def __enter__(self) -> _TemporaryRecords:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._offsets)

    def __contains__(self, asin: str) -> bool:
        return asin in self._offsets

    def add(self, asin: str, record: Any) -> None:
        """Add a record. The last of several records of one ASIN counts, as in a parsed file."""
        self._offsets[asin] = self._end
        self._end += self._file.write(json.dumps(record).encode() + b"\n")

    def get(self, asin: str) -> Mapping[str, Any]:
        """The record of an ASIN; {} if there is none."""
        offset = self._offsets.get(asin)
        if offset is None:
            return {}
        self._file.seek(offset)
        record: Mapping[str, Any] = json.loads(self._file.readline())
        return record
