"""Let one of several processes use TRL alone, while the others wait for it.

The trainers of TRL synchronise all processes. One that trains while the others wait at a barrier would wait for them
for ever.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["single_process"]

#: Environment variables by which accelerate and transformers learn that there are several processes, or sharding.
_VARIABLES = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "PMI_SIZE",
    "OMPI_COMM_WORLD_SIZE",
    "MV2_COMM_WORLD_SIZE",
    "ACCELERATE_USE_FSDP",
    "ACCELERATE_USE_DEEPSPEED",
    "ACCELERATE_USE_PARALLELISM_CONFIG",
)


@contextmanager
def single_process() -> Iterator[None]:
    """Inside the block, accelerate sees one process. Afterwards its state and the environment are as before."""
    from accelerate.state import AcceleratorState, GradientState, PartialState

    kinds = (PartialState, AcceleratorState, GradientState)
    states = [dict(kind._shared_state) for kind in kinds]
    variables = {name: os.environ.pop(name) for name in _VARIABLES if name in os.environ}
    for kind in kinds:
        kind._shared_state.clear()
    try:
        yield
    finally:
        for name in _VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(variables)
        for kind, state in zip(kinds, states, strict=True):
            kind._shared_state.clear()
            kind._shared_state.update(state)
