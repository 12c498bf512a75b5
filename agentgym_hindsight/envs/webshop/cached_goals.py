"""What a large catalogue's goals are and which of them can be reached: worked out once, then read from the cache.

Both look at thousands of products, more than a start has time for. Small catalogues are worked out every time.
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

#: Changes with the rules by which annotations become goals.
_GOALS = "goals-1"


def cached_human_goals(
    products: Sequence[Product], annotations: Mapping[str, Sequence[Annotation]], seed: int = 0
) -> tuple[Goal, ...]:
    """:func:`goals.human_goals`, which looks at the annotated products alone where the catalogue is on disk."""
    if not isinstance(products, ProductStore):
        return human_goals(products, annotations, seed)
    key = content_hash(_GOALS, products.key, str(seed), repr(list(annotations.items())))

    def build() -> list[list[str]]:
        places = sorted(products.position[asin] for asin in annotations if asin in products.position)
        asked = [products[place] for place in places]
        return [[json.dumps(goal)] for goal in human_goals(asked, annotations, seed)]

    return tuple(_goal(json.loads(row[0])) for row in cached_rows(f"webshop-goals-{key}", key, build))


def cached_flags(shop: Shop, what: str, build: Callable[[], Sequence[bool]]) -> Sequence[bool]:
    """One flag a goal. ``what`` names the question and the version of its rules."""
    if not isinstance(shop.products, ProductStore):
        return build()
    key = content_hash(what, shop.products.key, repr(shop.goals))
    rows = cached_rows(f"webshop-{what}-{key}", key, lambda: [["".join("01"[flag] for flag in build())]])
    return [sign == "1" for sign in rows[0][0]]


def _goal(fields: list[object]) -> Goal:
    goal = Goal(*fields)  # type: ignore[arg-type]
    return goal._replace(
        attributes=tuple(goal.attributes), options=tuple((axis, value) for axis, value in goal.options)
    )
