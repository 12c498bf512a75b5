"""Writes and reads Parquet files in batches. pyarrow comes with the extra [train]."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from agentgym_hindsight.atomic import atomic_file
from agentgym_hindsight.errors import DamagedDataError, MissingExtraError
from agentgym_hindsight.files import open_file

__all__ = ["read_rows", "require_arrow", "write_rows"]

_BATCH = 256  # rows that are in memory at once


def require_arrow() -> Any:
    """The module ``pyarrow`` with ``pyarrow.parquet``."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "train", "A Parquet file") from error
    return pyarrow


def write_rows(rows: Iterable[dict[str, Any]], schema: Any, out: Path) -> int:
    """Write the rows with a schema of pyarrow. Returns their number."""
    arrow = require_arrow()
    count = 0
    remaining = iter(rows)
    with atomic_file(out) as temporary, arrow.parquet.ParquetWriter(temporary, schema) as writer:
        while batch := list(islice(remaining, _BATCH)):
            writer.write_table(arrow.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def read_rows(path: Path, what: str) -> Iterator[dict[str, Any]]:
    """The rows of a file. Raises :class:`~agentgym_hindsight.errors.DamagedDataError`."""
    arrow = require_arrow()
    with open_file(path, what, "try another file.") as file:
        try:
            for batch in arrow.parquet.ParquetFile(file).iter_batches(_BATCH):
                yield from batch.to_pylist()
        except (arrow.ArrowException, OSError, ValueError) as error:
            raise DamagedDataError(
                f"Expected {what} at {path}, got {str(error).splitlines()[0][:200]}; try exporting it again."
            ) from None
