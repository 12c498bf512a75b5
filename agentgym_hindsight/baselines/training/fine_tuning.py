"""The parts of a warm start that any model needs: its own forward pass, bfloat16, and adapters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from agentgym_hindsight.errors import MissingExtraError, UsageError

__all__ = ["adapted", "any_model_loss", "has_bf16"]

_IGNORED = -100  # the label of a token without loss


class _Settings(Protocol):
    """The settings of a warm start that are read here."""

    @property
    def bf16(self) -> bool | None: ...
    @property
    def prompt_loss(self) -> float: ...
    @property
    def peft(self) -> Mapping[str, Any] | None: ...


def has_bf16(device: str) -> bool:
    """Whether a processor computes faster in bfloat16: a GPU that supports it, or a CPU with AVX512-BF16 or AMX."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    flags = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in flags)


def any_model_loss(model: Any, inputs: Any, warm: _Settings, items: Any = None) -> Any:
    """The mean loss of the replies' tokens, by the model's own forward pass; with ``prompt_loss`` also of the prompts.

    Autocast is around this pass only. One autocast around the whole training would keep the first bfloat16 copies of
    the weights for all steps: the loss falls, and the policy is garbage.

    ``items`` is the number of tokens with a loss in all passes of an optimizer step, if there are several.
    """
    import torch

    ids, mask, labels = inputs["input_ids"], inputs["attention_mask"], inputs["labels"]
    device = ids.device.type
    bf16 = has_bf16(device) if warm.bf16 is None else warm.bf16
    targets = labels[:, 1:]
    first = 0 if warm.prompt_loss else int((targets != _IGNORED).any(0).float().argmax())
    with torch.autocast(device, torch.bfloat16, enabled=bf16):
        logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=ids.shape[1] - first).logits
    logits = logits[:, -(ids.shape[1] - first) :][:, :-1]  # a model may ignore logits_to_keep
    in_loss = targets[:, first:] != _IGNORED
    count = in_loss.sum() if items is None else items
    summed = torch.nn.functional.cross_entropy(logits[in_loss].float(), targets[:, first:][in_loss], reduction="sum")
    loss = summed / count
    if not warm.prompt_loss:
        return loss
    in_prompt = mask[:, 1:].bool() & ~in_loss
    read = torch.nn.functional.cross_entropy(logits[in_prompt].float(), ids[:, 1:][in_prompt], reduction="sum")
    share = 1.0 if items is None else float(in_loss.sum()) / float(items)
    return loss + warm.prompt_loss * share * read / in_prompt.sum()


@contextmanager
def adapted(model: Any, warm: _Settings) -> Iterator[Any]:
    """The model to train: with ``warm.peft`` one with adapters, which are merged into the weights at the end."""
    if warm.peft is None:
        yield model
        return
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise MissingExtraError("peft", "peft", "A warm start with adapters") from error
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        wrapped = get_peft_model(model, LoraConfig(**{"task_type": "CAUSAL_LM", **warm.peft}))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"Expected arguments of a LoraConfig in warm.peft, got {type(error).__name__}: {error}; "
            "try warm.peft.r=16 and warm.peft.target_modules=all-linear."
        ) from error
    try:
        yield wrapped
    finally:
        wrapped.merge_and_unload()
        for parameter in trainable:
            parameter.requires_grad_(True)
