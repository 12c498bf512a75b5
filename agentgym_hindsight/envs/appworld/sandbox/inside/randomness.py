"""Random numbers that depend on the seed only, so that the same code draws the same numbers in every run."""

from __future__ import annotations

import os
import random
import uuid
from typing import Any

__all__ = ["seed_all_randomness"]


def seed_all_randomness(seed: int) -> random.Random:
    """Derive ``random``, ``secrets``, ``uuid`` and ``os.urandom`` of this process from the seed.

    A worker holds no secrets, so unpredictable numbers would only make episodes irreproducible. Returns the source of
    ``os.urandom``, whose state is part of the interpreter's.
    """
    draws, plain = random.Random(seed), random.Random.seed

    def seeded(self: random.Random, a: Any = None, version: int = 2) -> None:
        plain(self, draws.getrandbits(64) if a is None else a, version)

    os.urandom = random._urandom = draws.randbytes  # type: ignore[attr-defined]  # the name that random uses for it
    setattr(random.Random, "seed", seeded)  # noqa: B010  # mypy refuses a plain assignment to a method
    random.seed = random._inst.seed  # the module-level name was bound when the module was loaded
    random.seed(seed)
    # Without these, uuid1 takes the time from the C library and the node number from the network card.
    for name, value in (("_generate_time_safe", None), ("_UuidCreate", None), ("_node", draws.getrandbits(48))):
        setattr(uuid, name, value)
    return draws
