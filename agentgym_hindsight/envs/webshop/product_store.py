"""The products of a large catalogue on disk, read when needed.

Every record is compressed separately (zlib, with a dictionary from the first records) and read from the file, not
mapped: the pages stay in the page cache, which all processes share and which does not count as memory of a process.
Offsets, ASINs and the columns of the hidden searches are mapped. Records have no prices: these are drawn from a seed or
taken from a recording when a product is read, so that one store serves every seed.
"""

from __future__ import annotations

import json
import os
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from agentgym_hindsight.envs.webshop.cache_folders import check_files, file_checksums
from agentgym_hindsight.envs.webshop.loading import drawn_price
from agentgym_hindsight.envs.webshop.shop_types import Product
from agentgym_hindsight.errors import DamagedDataError
from agentgym_hindsight.tasks import content_hash

__all__ = ["LAYOUT", "ProductStore", "write_products"]

#: Version of the format and of the rules that turn records into products.
LAYOUT = "products-1"
_HEADER, _RECORDS, _DICTIONARY, _VALUES = "products.json", "records.bin", "dictionary.bin", "values.json"
_WINDOW = 1 << 15  # bytes of the zlib window
_CACHE_SIZE = 2048  # products
_COLUMNS = ("category", "query")
_UTF8 = ("utf-8", "surrogatepass")  # files may contain lone surrogates as \ud800
_SEEK_LOCK = Lock()


class ProductStore(Sequence[Product]):
    """The products in a folder that :func:`write_products` filled.

    Raises one of ``cache_folders.UNUSABLE`` if the folder is absent or damaged. ``prices`` are recorded prices, by
    ASIN; without them a price is drawn from its range by ``seed``.
    """

    def __init__(self, folder: Path, *, prices: Mapping[str, float] | None = None, seed: int = 0) -> None:
        header = json.loads((folder / _HEADER).read_text(encoding="utf-8"))
        check_files(folder, header["files"])
        self.folder, self.prices, self.seed = folder, prices, seed
        self.fingerprint: str = header["fingerprint"]
        self._starts = _mapped(folder / "starts.npy")
        self._dictionary = (folder / _DICTIONARY).read_bytes()
        # Read with pread, never by seeking: threads and forked workers share the file position.
        self._file = os.open(folder / _RECORDS, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self.position: Mapping[str, int] = _Positions(_mapped(folder / "asins.npy"), _mapped(folder / "order.npy"))
        self._product = lru_cache(_CACHE_SIZE)(self._read)
        if prices is not None:
            missing = next((asin for asin in self.position if asin not in prices), None)
            if missing is not None:
                raise DamagedDataError(
                    f"Expected a recorded price for every product, got none for {missing}; "
                    "try the recording that was made with this catalogue."
                )

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, key: int) -> Product: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Product, ...]: ...
    def __getitem__(self, key: int | slice) -> Product | tuple[Product, ...]:
        positions = range(len(self))[key]  # handles negative positions, slices and IndexError
        return self._product(positions) if isinstance(positions, int) else tuple(map(self._product, positions))

    def __iter__(self) -> Iterator[Product]:
        return map(self._read, range(len(self)))  # without the cache: a full pass would evict the products in use

    def __repr__(self) -> str:
        return f"ProductStore({len(self)} products)"

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_store, (self.folder, self.prices, self.seed)

    def __del__(self) -> None:
        if (file := getattr(self, "_file", None)) is not None:
            with suppress(OSError):
                os.close(file)

    @cached_property
    def key(self) -> str:
        """A hash that identifies the products and their prices."""
        prices = "" if self.prices is None else repr(sorted(self.prices.items()))
        return content_hash(LAYOUT, self.fingerprint, str(self.seed), prices)

    def positions_with(self, column: str, value: str) -> tuple[int, ...]:
        """Positions of the products with this value of ``category`` or ``query``, without reading products."""
        values: list[str] = self._values[column]
        if value not in values:
            return ()
        positions: list[int] = np.flatnonzero(_mapped(self.folder / f"{column}.npy") == values.index(value)).tolist()
        return tuple(positions)

    @cached_property
    def _values(self) -> dict[str, list[str]]:
        values: dict[str, list[str]] = json.loads((self.folder / _VALUES).read_text(encoding="utf-8"))
        return values

    def _read(self, position: int) -> Product:
        start, end = int(self._starts[position]), int(self._starts[position + 1])
        try:
            data = _bytes_at(self._file, start, end - start)
            fields = json.loads(zlib.decompressobj(zdict=self._dictionary).decompress(data).decode(*_UTF8))
        except (zlib.error, ValueError) as error:
            with suppress(OSError):  # without a header, the next start builds the folder again
                (self.folder / _HEADER).unlink()
            raise DamagedDataError(
                f"Expected product {position} of {self.folder} as it was written, got {error!r:.80}; "
                "try starting again: the folder will be rebuilt."
            ) from error
        return self._product_from(fields)

    def _product_from(self, fields: list[Any]) -> Product:
        asin, title, description, bullets, attributes, category, query, path, listed, tag, options, *rest = fields
        prices = tuple(listed)
        return Product(
            asin,
            title,
            description,
            tuple(bullets),
            tuple(attributes),
            category,
            query,
            path,
            prices,
            tag,
            drawn_price(prices, self.seed, asin) if self.prices is None else self.prices[asin],
            {axis: tuple(values) for axis, values in options},
            rest[0],
            rest[1],
            tuple(rest[2]),
        )


def write_products(folder: Path, fingerprint: str, products: Iterable[Product]) -> int:
    """Write products into an empty folder, one after another, and return their number."""
    starts, asins = array("q", [0]), []
    columns = {name: array("i") for name in _COLUMNS}
    values: dict[str, dict[str, int]] = {name: {} for name in _COLUMNS}
    with (folder / _RECORDS).open("wb") as file:
        pack = None
        first_records: list[bytes] = []
        for product in products:
            record = _record(product)
            asins.append(product.asin.encode(*_UTF8))
            for name in _COLUMNS:
                value_numbers = values[name]
                columns[name].append(value_numbers.setdefault(getattr(product, name), len(value_numbers)))
            if pack is None:
                first_records.append(record)
                if sum(map(len, first_records)) < _WINDOW:
                    continue
                pack = _packer(folder, first_records)
                pending, first_records = first_records, []
            else:
                pending = [record]
            for pending_record in pending:
                starts.append(starts[-1] + file.write(pack(pending_record)))
        if pack is None:
            pack = _packer(folder, first_records)
        for pending_record in first_records:
            starts.append(starts[-1] + file.write(pack(pending_record)))
    names = np.array(asins, dtype=bytes)
    order = np.argsort(names, kind="stable").astype(np.int32)
    np.save(folder / "starts.npy", np.frombuffer(starts, dtype=np.int64))
    np.save(folder / "asins.npy", names[order])
    np.save(folder / "order.npy", order)
    for name in _COLUMNS:
        np.save(folder / f"{name}.npy", np.frombuffer(columns[name], dtype=np.int32))
    (folder / _VALUES).write_text(json.dumps({name: list(found) for name, found in values.items()}), encoding="utf-8")
    header = {"layout": LAYOUT, "fingerprint": fingerprint, "files": file_checksums(folder)}
    (folder / _HEADER).write_text(json.dumps(header), encoding="utf-8")
    return len(asins)


class _Positions(Mapping[str, int]):
    """ASIN -> position, by binary search in a mapped, sorted array."""

    def __init__(self, asins: NDArray[np.bytes_], order: NDArray[np.int32]) -> None:
        self._asins, self._order = asins, order

    def __getitem__(self, asin: str) -> int:
        name = asin.encode(*_UTF8)
        # numpy would copy the whole array to compare it with a longer key, and it ignores zero bytes at the end.
        if len(name) <= self._asins.itemsize and not name.endswith(b"\0"):
            rank = int(np.searchsorted(self._asins, np.array(name, dtype=self._asins.dtype)))
            if rank < len(self._asins) and self._asins[rank] == name:
                return int(self._order[rank])
        raise KeyError(asin)

    def __len__(self) -> int:
        return len(self._asins)

    def __iter__(self) -> Iterator[str]:
        return (name.decode(*_UTF8) for name in self._asins)


def _record(product: Product) -> bytes:
    fields = [*product[:10], list(product.options.items()), *product[12:]]  # without the price
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode(*_UTF8)


def _packer(folder: Path, records: list[bytes]) -> Any:
    dictionary = b"".join(records)[:_WINDOW]
    (folder / _DICTIONARY).write_bytes(dictionary)
    template = zlib.compressobj(6, zdict=dictionary)

    def pack(record: bytes) -> bytes:
        compressor = template.copy()  # much faster than setting the dictionary for every record
        return compressor.compress(record) + compressor.flush()

    return pack


def _bytes_at(file: int, start: int, size: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(file, size, start)
    with _SEEK_LOCK:  # Windows, where no process is forked
        os.lseek(file, start, os.SEEK_SET)
        return os.read(file, size)


def _mapped(path: Path) -> NDArray[Any]:
    return np.asarray(np.load(path, mmap_mode="r"))  # indexing a plain array is much faster than a memmap


def _open_store(folder: Path, prices: Mapping[str, float] | None, seed: int) -> ProductStore:
    return ProductStore(folder, prices=prices, seed=seed)
