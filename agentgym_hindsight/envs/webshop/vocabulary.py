"""The parsed table of ``departments.py``: departments, kinds of products and their properties."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from agentgym_hindsight.envs.webshop.departments import DEPARTMENTS
from agentgym_hindsight.errors import DamagedDataError

__all__ = ["Department", "Kind", "Property", "departments", "words"]

#: Where an instruction puts a property: before the noun, after "with" or after "for".
_RELATIONS = ("is", "with", "for")

#: Last words of properties that do not work as the topic of a sentence.
_NO_TOPICS = frozenset(
    ("rich", "inside", "on", "in", "low", "heat", "lasting", "women", "men", "girls", "virgin", "outdoors")
)


class Property(NamedTuple):
    """One attribute, in the spelling of the files and in the spelling of sentences."""

    relation: str
    attribute: str  # "easy use"
    text: str  # "easy to use"


class Kind(NamedTuple):
    """One kind of product. All its products have the same query."""

    query: str
    leaf: str
    nouns: tuple[str, ...]
    low: float
    high: float


class Department(NamedTuple):
    """Kinds with a common path, properties and option axes."""

    category: str
    profile: str
    path: str
    properties: tuple[Property, ...]
    kinds: tuple[Kind, ...]
    topics: tuple[str, ...]  # last words of the properties, used as topics of product texts


def words(table: str) -> tuple[str, ...]:
    """The entries of a table of words.

    >>> words("red|rose gold")
    ('red', 'rose gold')
    """
    return tuple(table.split("|"))


@lru_cache(maxsize=1)
def departments() -> dict[str, tuple[Department, ...]]:
    """Category -> its departments, in the order of the table."""
    by_category: dict[str, list[Department]] = {}
    for paragraph in DEPARTMENTS.strip().split("\n\n"):
        department = _department(paragraph)
        by_category.setdefault(department.category, []).append(department)
    return {category: tuple(rows) for category, rows in by_category.items()}


def _department(paragraph: str) -> Department:
    header, *lines = paragraph.splitlines()
    try:
        category, profile, path = header.removeprefix("= ").split(" : ")
        kinds = tuple(_kind(line.removeprefix("- ")) for line in lines if line.startswith("- "))
        properties = tuple(found for line in lines if not line.startswith("- ") for found in _properties(line))
    except ValueError as error:
        raise DamagedDataError(
            f"Expected a department as described in departments.py, got {error!r} in the one that starts with "
            f"{header!r}; try comparing it with its neighbours."
        ) from error
    last_words = (p.text.split()[-1] for p in properties if p.relation != "is")
    topics = dict.fromkeys(word for word in last_words if word not in _NO_TOPICS)
    return Department(category, profile, path, properties, kinds, tuple(topics))


def _kind(line: str) -> Kind:
    query, leaf, nouns, prices = line.split(" | ")
    low, high = prices.split("-")
    return Kind(query, leaf, tuple(nouns.split("; ")), float(low), float(high))


def _properties(line: str) -> Iterator[Property]:
    relation, _, words = line.partition(" ")
    if relation not in _RELATIONS:
        raise ValueError(f"unknown relation {relation!r}")
    for word in words.split(", "):
        yield Property(relation, word.replace("(to) ", ""), word.replace("(to)", "to"))
