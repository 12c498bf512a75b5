"""The seed's chance in place of the machine's, so that the same code draws the same numbers in every run."""

from __future__ import annotations

import os
import random
import uuid
from typing import Any

__all__ = ["load_dice"]


def load_dice(seed: int) -> None:
    """From here on ``random``, ``secrets``, ``uuid`` and ``os.urandom`` of this process follow from the seed.

    No secret is kept in a worker; numbers that nobody can foretell would only make one episode unlike another.
    """
    draws, plain = random.Random(seed), random.Random.seed

    def seeded(self: random.Random, a: Any = None, version: int = 2) -> None:
        plain(self, draws.getrandbits(64) if a is None else a, version)

    os.urandom = random._urandom = draws.randbytes  # type: ignore[attr-defined]  # the name under which random holds it
    setattr(random.Random, "seed", seeded)  # noqa: B010  # a plain assignment to a method is no type
    random.seed = random._inst.seed  # bound when the module was loaded
    random.seed(seed)
    for name, value in (("_generate_time_safe", None), ("_UuidCreate", None), ("_node", draws.getrandbits(48))):
        setattr(uuid, name, value)  # else uuid1 asks the C library for the time and the network card for its number
