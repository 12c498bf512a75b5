"""The goals of a large catalogue and their reachability: computed once, then read from the cache.

Computing them reads thousands of products, which is too slow for every start. For small catalogues nothing is cached.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from agentgym_hindsight.envs.manifests import cached_rows
from agentgym_hindsight.envs.webshop.goals import human_goals
from agentgym_hindsight.envs.webshop.loading import Annotation
from agentgym_hindsight.envs.webshop.product_store import ProductStore
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.envs.webshop.shop_types import Goal, Product
from agentgym_hindsight.tasks import content_hash

__all__ = ["cached_flags", "cached_human_goals"]

#: Version of the rules that turn annotations into goals.
_GOAL_RULES = "goals-1"


def cached_human_goals(
    products: Sequence[Product], annotations: Mapping[str, Sequence[Annotation]], seed: int = 0
) -> tuple[Goal, ...]:
    """The result of :func:`goals.human_goals`; for a catalogue on disk, only the annotated products are read."""
    if not isinstance(products, ProductStore):
        return human_goals(products, annotations, seed)
    key = content_hash(_GOAL_RULES, products.key, str(seed), repr(list(annotations.items())))

    def build() -> list[list[str]]:
        positions = sorted(products.position[asin] for asin in annotations if asin in products.position)
        annotated = [products[position] for position in positions]
        return [[json.dumps(goal)] for goal in human_goals(annotated, annotations, seed)]

    return tuple(_goal(json.loads(row[0])) for row in cached_rows(f"webshop-goals-{key}", key, build))


def cached_flags(shop: Shop, flag_name: str, build: Callable[[], Sequence[bool]]) -> Sequence[bool]:
    """One flag per goal. ``flag_name`` includes the version of its rules."""
    if not isinstance(shop.products, ProductStore):
        return build()
    key = content_hash(flag_name, shop.products.key, repr(shop.goals))
    rows = cached_rows(f"webshop-{flag_name}-{key}", key, lambda: [["".join("01"[flag] for flag in build())]])
    return [digit == "1" for digit in rows[0][0]]


def _goal(fields: list[object]) -> Goal:
    goal = Goal(*fields)  # type: ignore[arg-type]
    return goal._replace(
        attributes=tuple(goal.attributes), options=tuple((axis, value) for axis, value in goal.options)
    )
