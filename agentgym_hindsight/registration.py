"""The table of env ids. Importing this package registers them in Gymnasium without importing a backend."""

from __future__ import annotations

from typing import NamedTuple

import gymnasium as gym

__all__ = ["ENVS", "EnvEntry", "register_envs"]


class EnvEntry(NamedTuple):
    """A registered id. Entry points are strings, so a backend is imported only when the env is made."""

    id: str
    entry_point: str
    summary: str


ENVS: tuple[EnvEntry, ...] = (
    EnvEntry(
        "ALFWorld-Hindsight-v0",
        "agentgym_hindsight.envs.alfworld.env:ALFWorldEnv",
        "household tasks in text; embedded houses, or the official games if they are installed",
    ),
    EnvEntry(
        "WebShop-Hindsight-v0",
        "agentgym_hindsight.envs.webshop.env:WebShopEnv",
        "shopping by instruction; an embedded shop, or the official catalogue if its files are found",
    ),
    EnvEntry(
        "AppWorld-Hindsight-v0",
        "agentgym_hindsight.envs.appworld.env:AppWorldEnv",
        "tasks in a world of apps, solved by writing code; a miniature world, or the official benchmark",
    ),
    EnvEntry(
        "TauBench-Hindsight-v0",
        "agentgym_hindsight.envs.tau.env:TauBenchEnv",
        "customer service by policy and tools, for a shop or an airline; embedded desks, or the official data",
    ),
    EnvEntry(
        "BFCL-Hindsight-v0",
        "agentgym_hindsight.envs.bfcl.env:BfclEnv",
        "conversations in which stateful APIs are called; embedded APIs, or the official multi-turn tasks",
    ),
)


def register_envs() -> None:
    """Register every id that is not registered yet."""
    for entry in ENVS:
        if entry.id not in gym.registry:
            # HindsightEnv checks the order of reset and step itself; its error gives the fix.
            gym.register(
                entry.id,
                entry_point=entry.entry_point,
                vector_entry_point=f"agentgym_hindsight.vector:{_vector_name(entry.id)}",
                order_enforce=False,
            )


def _vector_name(env_id: str) -> str:
    """The attribute of ``agentgym_hindsight.vector`` that makes a vector env of this id. A name cannot contain "-"."""
    return "make_" + env_id.replace("-", "_")
