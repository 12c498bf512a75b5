"""Weights spread over processes by FSDP 2 or DeepSpeed's ZeRO-3: a process's share, and the whole for a while.

Both gather a layer's weights for its pass. Two things follow for whoever does more than a pass. What was gathered may
be kept for the next pass: :func:`settle` gives it up. And a pass is a meeting of all processes, to which rollouts of
different lengths never come together: :func:`gathered` has everything at hand before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a method can be named, and its teacher, where no torch is installed
    from torch import Tensor, nn

__all__ = ["gathered", "own_share", "settle", "whole_model"]


def own_share(parameter: Any) -> Tensor:
    """The weights that this process holds, to be read and written in place; all of them where nothing is spread."""
    share = getattr(parameter, "ds_tensor", parameter)  # ZeRO-3: the parameter is empty, its shard stands beside it
    if hasattr(share, "to_local"):  # FSDP 2: a DTensor
        share = share.detach().to_local()
    own: Tensor = share.data  # whoever waits for a backward pass takes no notice of what is exchanged and put back
    return own


def settle(model: nn.Module) -> None:
    """Nothing gathered is left over: the next pass is made with what the shares hold then."""
    for part in _fsdp_parts(model):
        part.reshard()
    left: list[Any] = [
        p for p in model.parameters() if getattr(getattr(p, "ds_status", None), "name", "") == "AVAILABLE"
    ]
    if left:
        left[0].partition(left)


@contextmanager
def gathered(model: nn.Module, reshard: bool) -> Iterator[None]:
    """Within, FSDP 2's weights are whole on every process and no pass waits for another process.

    ``reshard``: whether a training pass gives up a layer's weights after it, which torch does not tell.
    """
    parts = _fsdp_parts(model)
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.reshard()
            part.set_reshard_after_forward(reshard, recurse=False)


@contextmanager
def whole_model(wrapped: Any, accelerator: Any, *, zero3: bool) -> Iterator[Any]:
    """The model without its distributed wrapper, with all weights on this process.

    ``zero3``: whether DeepSpeed's ZeRO-3 gathers the weights as well.
    """
    if getattr(accelerator.state, "deepspeed_plugin", None) is not None:
        from trl.models.utils import unwrap_model_for_generation

        with unwrap_model_for_generation(wrapped, accelerator, gather_deepspeed3_params=zero3) as model:
            yield model
        return
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    with gathered(wrapped, reshard=bool(plugin and plugin.reshard_after_forward)):
        yield accelerator.unwrap_model(wrapped)


def _fsdp_parts(model: nn.Module) -> list[Any]:
    from torch.distributed.fsdp import FSDPModule

    return [module for module in model.modules() if isinstance(module, FSDPModule)]
