"""Find and read the official files in a folder.

The names are the official ones with any tag (``items_shuffle.json``, ``items_shuffle_1000.json``), plain or ``.gz``.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from agentgym_hindsight.envs.webshop import index_store
from agentgym_hindsight.envs.webshop.json_stream import estimated_records, is_gzip
from agentgym_hindsight.envs.webshop.loading import Annotation, load_annotations, load_products
from agentgym_hindsight.envs.webshop.product_import import open_products
from agentgym_hindsight.envs.webshop.shop_types import Product
from agentgym_hindsight.errors import DamagedDataError, MissingDataError, UnknownNameError
from agentgym_hindsight.files import open_file
from agentgym_hindsight.tasks import content_hash

__all__ = ["Catalogue", "CatalogueFiles", "find_catalogue", "read_catalogue", "read_json"]

_ITEMS, _ATTRIBUTES, _HUMAN = "items_shuffle", "items_ins_v2", "items_human_ins"
_NAME = re.compile(rf"({_ITEMS}|{_ATTRIBUTES}|{_HUMAN})(?:_for)?(?:_(\w+))?(?:\.[\w-]+)*?\.json(?:\.gz)?")
_FIX = "try the official data folder (setup.sh of princeton-nlp/WebShop fills it), or data='embedded'."


class CatalogueFiles(NamedTuple):
    """The files of one catalogue. ``human`` is None if there is no such file."""

    tag: str  # "1000", or "" for the full catalogue
    items: Path
    attributes: Path
    human: Path | None

    @property
    def fingerprint(self) -> str:
        """A hash of names, sizes and times of the files. It changes with the files and does not read them."""
        paths = [path for path in self[1:] if isinstance(path, Path)]
        return content_hash(*(f"{path.name}:{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in paths))


class Catalogue(NamedTuple):
    """A folder's products and its human instructions."""

    products: Sequence[Product]
    annotations: Mapping[str, tuple[Annotation, ...]]
    files: CatalogueFiles


def find_catalogue(folder: str | os.PathLike[str], tag: str | None = None) -> CatalogueFiles:
    """The files of one catalogue in a folder.

    Without a ``tag``, the catalogue of 1,000 products is preferred if there are several, as in the original.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise MissingDataError(f"Expected a folder with the official WebShop files at {root}, found none; {_FIX}")
    paths: dict[str, dict[str, Path]] = {_ITEMS: {}, _ATTRIBUTES: {}, _HUMAN: {}}
    for path in sorted(root.iterdir(), reverse=True):  # reversed, so that x.json replaces x.json.gz
        match = _NAME.fullmatch(path.name)
        if match and path.is_file():
            paths[match[1]][match[2] or ""] = path
    items, attributes, human = paths[_ITEMS], paths[_ATTRIBUTES], paths[_HUMAN]
    for name, files in ((_ITEMS, items), (_ATTRIBUTES, attributes)):
        if not files:
            names = ", ".join(sorted(path.name for path in root.iterdir())[:8]) or "nothing"
            raise MissingDataError(f"Expected {name}*.json or .json.gz in {root}, found {names}; {_FIX}")
    if tag is None and len(items) == len(attributes) == 1:
        # Their tags may differ: reading the files checks that they belong together.
        only_tag = next(iter(items))
        human_file = human.get(only_tag) or human.get("") or next(iter(human.values()), None)
        return CatalogueFiles(only_tag, items[only_tag], next(iter(attributes.values())), human_file)
    tags = sorted(set(items) & set(attributes), key=lambda name: (name != "1000", name))
    if tag is not None:
        if tag not in tags:
            raise UnknownNameError(f"catalogue in {root}", tag, tags)
    elif tags:
        tag = tags[0]
    else:
        raise MissingDataError(
            f"Expected {_ITEMS}* and {_ATTRIBUTES}* of one release in {root}, found "
            f"{', '.join(path.name for files in (items, attributes) for path in files.values())}; "
            "try naming both with the same ending, such as _1000."
        )
    return CatalogueFiles(tag, items[tag], attributes[tag], human.get(tag) or human.get(""))


def read_catalogue(
    folder: str | os.PathLike[str],
    *,
    tag: str | None = None,
    prices: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Catalogue:
    """The catalogue of a folder with official files. ``prices`` are recorded prices, by ASIN.

    From about ``index_store.MIN_STORED_PRODUCTS`` products on, the products are kept on disk and read when needed.
    """
    files = find_catalogue(folder, tag)
    products: Sequence[Product]
    if estimated_records(files.items) >= index_store.MIN_STORED_PRODUCTS:
        products = open_products(files.items, files.attributes, prices=prices, seed=seed)
    else:
        products = load_products(
            read_json(files.items),
            read_json(files.attributes),
            prices=prices,
            seed=seed,
            source=str(files.items),
            attributes_source=str(files.attributes),
        )
    annotations = {} if files.human is None else load_annotations(read_json(files.human), str(files.human))
    return Catalogue(products, annotations, files)


def read_json(path: str | os.PathLike[str]) -> Any:
    """The JSON of a file, plain or gzip. Errors name the file and the cause."""
    path = Path(path)
    open_file(path, "official data", _FIX).close()
    fix = "it is cut off or has other content than its name says; try downloading it again."
    try:
        if is_gzip(path):
            with gzip.open(path, "rt", encoding="utf-8") as text:
                return json.load(text)
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DamagedDataError(
            f"Expected JSON in {path}, got an error in line {error.lineno}, column {error.colno} ({error.msg}): {fix}"
        ) from error
    except (EOFError, OSError, zlib.error, ValueError, RecursionError) as error:  # ValueError: also a huge number
        raise DamagedDataError(f"Expected JSON in {path}, got {error!r:.200}: {fix}") from error
