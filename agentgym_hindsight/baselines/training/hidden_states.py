"""The last hidden states of a forward pass, taken where they enter the output layer; no second pass is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

__all__ = ["recorded_hidden_states"]


@contextmanager
def recorded_hidden_states(model: Any, wanted: bool = True) -> Iterator[list[Tensor]]:
    """A list that gets the input (B, T, H) of the model's output layer at every pass inside the block.

    The states have a gradient if the pass has one. The output layer sees only the positions whose logits are kept.
    With ``wanted=False`` the list stays empty.
    """
    states: list[Tensor] = []
    if not wanted:
        yield states
        return
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda module, inputs: states.append(inputs[0]))
    try:
        yield states
    finally:
        hook.remove()
