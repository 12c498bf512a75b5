"""Weights that FSDP 2 or DeepSpeed's ZeRO-3 shards over processes: the share of a process, and the whole model.

Both gather the weights of a layer for its forward pass. This has two consequences:

* Gathered weights may stay in memory for the next pass, which then does not use changed shares.
  :func:`release_gathered` releases them.
* A pass is a collective call. Processes whose rollouts differ in length would wait for each other for ever, so
  :func:`gathered` gathers all weights before the rollouts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # methods and teachers can be named without torch
    from torch import Tensor, nn

__all__ = ["gathered", "own_share", "release_gathered", "whole_model"]


def own_share(parameter: Any) -> Tensor:
    """The weights of this process, to be read and written in place; all weights if they are not sharded."""
    share = getattr(
        parameter, "ds_tensor", parameter
    )  # ZeRO-3: the parameter is empty and has its shard as an attribute
    if hasattr(share, "to_local"):  # FSDP 2: a DTensor
        share = share.detach().to_local()
    weights: Tensor = share.data  # writing through .data hides the exchange of weights from autograd
    return weights


def release_gathered(model: nn.Module) -> None:
    """Release gathered weights, so that the next pass uses the current values of the shares."""
    for part in _fsdp_parts(model):
        part.reshard()
    gathered_parameters: list[Any] = [
        p for p in model.parameters() if getattr(getattr(p, "ds_status", None), "name", "") == "AVAILABLE"
    ]
    if gathered_parameters:
        gathered_parameters[0].partition(gathered_parameters)


@contextmanager
def gathered(model: nn.Module, reshard: bool) -> Iterator[None]:
    """Inside the block, every process has all of FSDP 2's weights, and a forward pass is not a collective call.

    ``reshard``: whether training passes release a layer's weights after use. This is restored after the block; it is an
    argument because torch cannot read it.
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
