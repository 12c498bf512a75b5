"""The embedded desks: generated people, goods, flights and tasks, with the benchmark's tools. They need no download."""

from __future__ import annotations

from functools import lru_cache

from agentgym_hindsight.envs.tau.desk import Desk
from agentgym_hindsight.envs.tau.embedded.policies import POLICIES
from agentgym_hindsight.envs.tau.embedded.schemas import embedded_schemas
from agentgym_hindsight.envs.tau.embedded.shop import make_shop
from agentgym_hindsight.envs.tau.embedded.shop_tasks import shop_tasks
from agentgym_hindsight.envs.tau.embedded.travel import AIRPORTS, make_travel
from agentgym_hindsight.envs.tau.embedded.travel_tasks import travel_tasks
from agentgym_hindsight.envs.tau.store import InitialState

__all__ = ["embedded_desk"]


@lru_cache(maxsize=8)
def embedded_desk(domain: str, seed: int) -> Desk:
    """The generated desk of a domain: the same for the same seed, on every machine.

    >>> desk = embedded_desk("retail", 0)
    >>> sorted(desk.tasks)
    ['test', 'train', 'valid']
    """
    tables = make_shop(seed) if domain == "retail" else make_travel(seed)
    initial = InitialState(tables)
    if domain == "airline":
        initial.derived["airports"] = AIRPORTS
    tasks = shop_tasks(tables, seed) if domain == "retail" else travel_tasks(tables, seed)
    source = "embedded" if seed == 0 else f"embedded-{seed}"
    return Desk(domain, initial, POLICIES[domain], embedded_schemas(domain), tasks, source)
