"""Human and synthetic goals in the official order, their price caps, splits and ids.

The price cap of a goal is drawn from the seed and the goal only, never from the global random state, so that it is the
same at every load and on every machine. Recorded goals have the caps of one run of the original.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product as combinations_of
from os import PathLike
from random import Random
from typing import Any, NamedTuple

from agentgym_hindsight.envs.webshop.loading import Annotation
from agentgym_hindsight.envs.webshop.official_files import read_json
from agentgym_hindsight.envs.webshop.shop_types import NO_CAP, Goal, Product
from agentgym_hindsight.errors import DamagedDataError
from agentgym_hindsight.tasks import content_hash, seeded_int

__all__ = [
    "Recording",
    "goal_ids",
    "goal_of",
    "human_goals",
    "official_order",
    "official_split",
    "price_cap",
    "recorded_goals",
    "split_by_product",
    "synthetic_goals",
]

_CAPS = tuple(10.0 * tens for tens in range(1, 100))
_SHUFFLE_SEED = 233  # as in the original
_TEST, _EVAL = 500, 1500  # goals 0–499 are test, 500–1,499 eval, the others train


class Recording(NamedTuple):
    """The goals and product prices that one run of the original drew."""

    goals: tuple[Goal, ...]
    prices: Mapping[str, float]


def price_cap(price: float, *seed: object) -> tuple[float, str]:
    """The highest allowed price of a product, and the text of the instruction about it.

    Two of the next four multiples of ten above the price are drawn, and the larger one is taken. Prices from 980 on
    have no cap.
    """
    candidates = [cap for cap in _CAPS if cap > price][:4]
    if len(candidates) < 2:
        return NO_CAP, ""
    cap = max(Random(seeded_int("cap", *seed)).sample(candidates, 2))
    return cap, f", and price lower than {cap:.2f} dollars"


def human_goals(
    products: Sequence[Product], annotations: Mapping[str, Sequence[Annotation]], seed: int = 0
) -> tuple[Goal, ...]:
    """One goal per annotation that names attributes, in the official order. Their options have values but no axes."""
    goals = []
    for product in products:
        for number, annotation in enumerate(annotations.get(product.asin, ())):
            if not annotation.attributes:
                continue
            cap, text = price_cap(product.price, seed, product.asin, "human", number)
            options = tuple(("", value) for value in annotation.options)
            instruction = annotation.instruction.strip(".") + text
            goals.append(_goal(product, instruction, annotation.attributes, options, cap)._replace(human=True))
    return official_order(goals)


def synthetic_goals(products: Sequence[Product], seed: int = 0) -> tuple[Goal, ...]:
    """One goal per product with an instruction and combination of its options, in the official order, with weights."""
    goals = [goal for product in products for goal in _goals_of(product, seed)]
    counts = Counter(attribute for goal in goals for attribute in goal.attributes)
    weighted = (
        goal._replace(weight=_total(1.0 / counts[name] for name in goal.attributes) / len(goal.attributes))
        for goal in goals
    )
    return official_order(weighted)


def official_order(goals: Iterable[Goal]) -> tuple[Goal, ...]:
    """The goals in the original's shuffled order, from its seed, without a change of the global generator."""
    ordered = list(goals)
    Random(_SHUFFLE_SEED).shuffle(ordered)
    return tuple(ordered)


def official_split(position: int) -> str:
    """The split of a goal by its position in the official order."""
    return "test" if position < _TEST else "eval" if position < _EVAL else "train"


def split_by_product(asin: str) -> str:
    """The split of a product: 10 % test, 20 % eval, 70 % train. It is the same in every catalogue."""
    return ("test", "eval", "eval", *("train",) * 7)[seeded_int("webshop-split", asin) % 10]


def goal_ids(goals: Iterable[Goal]) -> tuple[str, ...]:
    """Content hashes, used as ``task_id``. Equal goals in one list get different ids by their number."""
    seen: Counter[tuple[Any, ...]] = Counter()
    ids = []
    for goal in goals:
        identity = (goal.asin, goal.instruction, goal.attributes, goal.options, goal.price_cap, goal.human)
        number = seen[identity]
        seen[identity] += 1
        ids.append(content_hash("webshop", repr(identity), *([str(number)] if number else [])))
    return tuple(ids)


def recorded_goals(path: str | PathLike[str]) -> Recording:
    """The goals and prices of a recording: ``{"goals": […], "prices": {asin: price}}``, plain or gzip."""
    document = read_json(path)
    fix = "try the goals_prices.json.gz that was recorded with the transcripts."
    try:
        records, prices = document["goals"], {str(asin): float(price) for asin, price in document["prices"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedDataError(f"Expected 'goals' and 'prices' in {path}, got {error!r:.120}; {fix}") from error
    goals = []
    for number, record in enumerate(records):
        try:
            goals.append(goal_of(record))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedDataError(
                f"Expected a goal in record {number} of {path}, got {error!r:.120}; {fix}"
            ) from error
    return Recording(tuple(goals), prices)


def _goals_of(product: Product, seed: int) -> Iterator[Goal]:
    if not product.instruction or not product.instruction_attributes:
        return
    cap, cap_text = price_cap(product.price, seed, product.asin)
    axes = sorted(product.options)
    for values in combinations_of(*(product.options[axis] for axis in axes)):
        options = tuple(zip(axes, values, strict=True))
        option_text = ", and ".join(f"{axis}: {value}" for axis, value in options)
        instruction = f"{product.instruction}{f' with {option_text}' if option_text else ''}{cap_text}"
        yield _goal(product, instruction, product.instruction_attributes, options, cap)


def _goal(
    product: Product,
    instruction: str,
    attributes: tuple[str, ...],
    options: tuple[tuple[str, str], ...],
    cap: float,
) -> Goal:
    return Goal(
        asin=product.asin,
        instruction=instruction,
        attributes=attributes,
        options=options,
        price_cap=cap,
        category=product.category,
        query=product.query,
        title=product.title,
        product_category=product.product_category,
    )


def goal_of(record: Mapping[str, Any]) -> Goal:
    """A goal from the JSON that the original writes, in a recording or in the logs of its site."""
    options = record["goal_options"]
    has_axes = isinstance(options, dict)
    cap = float(record["price_upper"])
    if cap <= 0:  # the original's reward fails on it
        raise ValueError(f"price_upper is {cap}")
    return Goal(
        asin=str(record["asin"]),
        instruction=str(record["instruction_text"]),
        attributes=tuple(map(str, record["attributes"])),
        options=tuple((str(axis), str(value)) for axis, value in options.items())
        if has_axes
        else tuple(("", str(value)) for value in options),
        price_cap=cap,
        category=str(record.get("category", "")),
        query=str(record["query"]),
        title=str(record["name"]),
        product_category=str(record["product_category"]),
        weight=float(record.get("weight", 1.0)),
        human=not has_axes,
    )


def _total(numbers: Iterable[float]) -> float:
    """The sum from left to right. ``sum`` rounds differently since Python 3.12, and results must not depend on that."""
    total = 0.0
    for number in numbers:
        total += number
    return total
