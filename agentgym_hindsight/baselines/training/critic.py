"""The critic: a copy of the policy's first blocks with linear heads, and its training beside the policy.

Every process has the whole critic and trains it on its own rows; gradients are summed over processes. It is outside of
the wrappers that shard or replicate the policy, so it works with all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agentgym_hindsight.baselines.methods.critic_spec import CriticSpec
from agentgym_hindsight.baselines.methods.rows import Values
from agentgym_hindsight.baselines.padding import pad_right
from agentgym_hindsight.baselines.training.scoring import pack_rows
from agentgym_hindsight.baselines.training.sequences import Sequences, tokens_of
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.errors import DamagedDataError, UsageError

__all__ = ["Critic", "CriticModel", "value_loss"]


class CriticModel(nn.Module):
    """The backbone of a causal language model, cut after some blocks, with one linear head per kind of value.

    All weights are trained, in float32. The heads are drawn from ``seed``.
    """

    def __init__(self, spec: CriticSpec, policy: Any, seed: int) -> None:
        super().__init__()
        self.backbone = _first_blocks(policy, spec.layers)
        width = int(self.backbone.config.get_text_config().hidden_size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.heads = nn.ModuleDict({name: nn.Linear(width, 1) for name in spec.heads})
        for parameter in self.parameters():
            parameter.requires_grad_(True)

    def forward(self, sequences: Sequences) -> dict[str, Tensor]:
        """``turn`` (B,); ``tokens`` (B, T), before each response token; ``after`` (B,), after the last one."""
        states = self.backbone(input_ids=sequences.ids, attention_mask=sequences.mask, use_cache=False)
        # Under autocast the heads would return 16-bit values, which are too coarse for returns near 10.
        with torch.autocast(sequences.ids.device.type, enabled=False):
            return self._values(states.last_hidden_state.float(), sequences)

    def _values(self, states: Tensor, sequences: Sequences) -> dict[str, Tensor]:
        result = {}
        if "turn" in self.heads:
            # Read before the response: the backbone is causal, so no token of the response changes it.
            result["turn"] = sequences.before(self.heads["turn"](states).squeeze(-1))[:, 0]
        if "token" in self.heads:
            values = self.heads["token"](states).squeeze(-1)
            result["tokens"], result["after"] = sequences.before(values), sequences.after(values)
        return result


class Critic:
    """A :class:`CriticModel` with its optimizer.

    ``sum_gradients`` adds the gradients of all processes in place.
    """

    def __init__(
        self,
        spec: CriticSpec,
        policy: Any,
        *,
        seed: int,
        device: Any,
        budget: int,
        pad: int,
        clip: float,
        processes: int = 1,
        autocast: Any = nullcontext,
    ) -> None:
        self.spec = spec
        self.model = CriticModel(spec, policy, seed).to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=spec.learning_rate, weight_decay=0.0)
        self._device, self._budget, self._pad, self._clip = device, budget, pad, clip
        self._processes = processes
        self._autocast: Any = autocast

    def predict(self, rows: Sequence[TrainingRow]) -> Values:
        """The values of all rows before the update. They are also stored in the rows, for the clipped loss."""
        self.model.eval()
        with torch.no_grad():
            for batch in pack_rows(rows, self._budget):
                output = {name: value.float().cpu() for name, value in self._forward(batch).items()}
                for index, row in enumerate(batch):
                    row.values = {
                        name: value[index, : len(row.response_ids)] if name == "tokens" else value[index]
                        for name, value in output.items()
                    }
        heads = self.spec.heads

        def column(name: str) -> Any:
            return np.array([float(row.values[name]) for row in rows], np.float64)

        return Values(
            column("turn") if "turn" in heads else None,
            tuple(row.values["tokens"].double().numpy() for row in rows) if "token" in heads else None,
            column("after") if "token" in heads else None,
        )

    def step(self, rows: Sequence[TrainingRow], turns: float, tokens: float) -> dict[str, float]:
        """One optimizer step on the rows of an optimizer step of the policy.

        ``turns`` and ``tokens`` count the rows and response tokens of all processes: the loss is the mean over them.
        """
        self.model.train()
        self.optimizer.zero_grad(set_to_none=False)
        for parameter in self.model.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        total = torch.zeros((), device=self._device)
        for batch in pack_rows(rows, self._budget):
            loss = self._loss(batch, self._forward(batch), turns, tokens)
            loss.backward()  # type: ignore[no-untyped-call]  # untyped in some releases of torch
            total += loss.detach()
        if self._processes > 1:
            for summed in (total, *(parameter.grad for parameter in self.model.parameters())):
                torch.distributed.all_reduce(summed)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self._clip or float("inf"))
        self.optimizer.step()
        return {"value_loss": float(total), "value_grad_norm": float(norm)}

    def _forward(self, batch: Sequence[TrainingRow]) -> dict[str, Tensor]:
        sequences = Sequences.of_rows(tokens_of(batch), self._pad).to(self._device)
        scope: AbstractContextManager[Any] = self._autocast()
        with scope:
            output: dict[str, Tensor] = self.model(sequences)
        return output

    def _loss(self, batch: Sequence[TrainingRow], output: dict[str, Tensor], turns: float, tokens: float) -> Tensor:
        """The mean over turns plus the mean over tokens of the clipped value loss."""
        loss = torch.zeros((), device=self._device)
        for name, target, mean in (
            ("turn", "turn_targets", turns),
            ("tokens", "token_targets", tokens),
            ("after", "after_targets", tokens),
        ):
            if name not in output or target not in batch[0].targets:
                continue
            if name == "tokens":
                old, wanted = (
                    pad_right(values, 0.0, torch.float32).to(self._device)
                    for values in ([row.values[name] for row in batch], [row.targets[target] for row in batch])
                )
                mask = pad_right([[1.0] * len(row.response_ids) for row in batch], 0.0, torch.float32).to(self._device)
            else:
                old = torch.stack([row.values[name] for row in batch]).to(self._device)
                wanted = torch.tensor([float(row.targets[target][0]) for row in batch], device=self._device)
                mask = torch.ones_like(old)
            each = value_loss(output[name], old, wanted, self.spec.value_clip)
            loss = loss + (each * mask).sum() / max(1.0, mean)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Weights and optimizer, for a checkpoint."""
        return {"spec": str(self.spec), "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        if state["spec"] != str(self.spec):
            raise DamagedDataError(
                f"Expected a checkpoint of critic {self.spec}, got {state['spec']}; try the settings of the run."
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


def value_loss(values: Tensor, old: Tensor, targets: Tensor, clip: float) -> Tensor:
    """``max((V − Ĝ)², (clip(V, V_old ± ε) − Ĝ)²)`` of every element.

    >>> loss = value_loss(torch.tensor([4.0, 4.0]), torch.tensor([3.0, 5.0]), torch.tensor([9.1625, 10.0]), 0.5)
    >>> [round(value, 4) for value in loss.tolist()]
    [32.0639, 36.0]
    """
    bounded = torch.minimum(torch.maximum(values, old - clip), old + clip)
    return torch.maximum((values - targets).square(), (bounded - targets).square())


def _first_blocks(policy: Any, count: int) -> Any:
    """A float32 copy of the policy's backbone with its first ``count`` blocks, or all of them for 0."""
    if hasattr(policy, "get_base_model"):  # adapters: the critic copies the model with them
        policy = policy.get_base_model()
    backbone = policy.base_model
    names = [name for name, child in backbone.named_children() if isinstance(child, nn.ModuleList) and len(child)]
    if len(names) != 1:
        raise UsageError(
            f"Expected a model with one list of blocks for a critic, got {type(policy).__name__} with {len(names)}; "
            "try a method without a critic."
        )
    name = names[0]
    available = len(getattr(backbone, name))
    if count > available:
        raise UsageError(f"Expected at most {available} layers of the critic, got {count}; try critic={available}:….")
    blocks = getattr(backbone, name)
    if count:  # the other blocks are not copied
        setattr(backbone, name, nn.ModuleList(list(blocks)[:count]))
    try:
        copy = deepcopy(backbone)
    finally:
        setattr(backbone, name, blocks)
    if count:
        config = copy.config.get_text_config()
        config.num_hidden_layers = count
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[:count]
    return copy.float()
