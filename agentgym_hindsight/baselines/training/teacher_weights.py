"""The teacher's weights: a second copy of the policy's trainable weights, swapped in for a forward pass.

There is no second model, and the wrappers around the model do not change. With adapters, only the adapters are copied.
With sharded weights, each process stores the part of the teacher that corresponds to its shard of the policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.baselines.training.sharding import own_share, release_gathered
from agentgym_hindsight.errors import DamagedDataError

__all__ = ["Teacher"]


class Teacher:
    """A teacher's weights. They start as a copy of the policy's; ``current`` keeps no copy.

    >>> import torch
    >>> policy = torch.nn.Linear(1, 1, bias=False)
    >>> teacher = Teacher(TeacherSpec.parse("sync:2"), policy)
    >>> before = policy.weight.item()
    >>> _ = policy.weight.data.add_(1.0)
    >>> with teacher.acting():
    ...     policy.weight.item() == before
    True
    >>> teacher.after_update(1), teacher.after_update(2)
    (False, True)
    """

    def __init__(self, spec: TeacherSpec, model: Any) -> None:
        self.spec = spec
        self._model = model
        self._parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._copies = (
            {} if spec.kind == "current" else {name: own_share(p).clone() for name, p in self._parameters.items()}
        )

    @contextmanager
    def acting(self) -> Iterator[None]:
        """A context in which the model has the teacher's weights."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def after_update(self, done: int) -> bool:
        """Update the teacher; call it after every policy update with the number of updates done.

        Returns whether the teacher changed.
        """
        if self.spec.kind == "sync" and done % int(self.spec.value) == 0:
            self._blend(1.0)
            return True
        if self.spec.kind == "ema":
            self._blend(self.spec.value)
            return True
        return False

    def state_dict(self) -> dict[str, Any]:
        """The spec and the weights, for a checkpoint."""
        return {"spec": str(self.spec), "weights": dict(self._copies)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the weights that :meth:`state_dict` returned."""
        if state["spec"] != str(self.spec) or state["weights"].keys() != self._copies.keys():
            raise DamagedDataError(
                f"Expected a checkpoint of teacher {self.spec} with {len(self._copies)} weights, got "
                f"{state['spec']} with {len(state['weights'])}; try resuming with the settings of the run."
            )
        for name, value in state["weights"].items():
            self._copies[name].copy_(value)

    def _exchange(self) -> None:
        if not self._copies:
            return
        release_gathered(self._model)
        for name, copy in self._copies.items():
            # In place, because a wrapper that shards or flattens the weights has its own views of this memory.
            policy = own_share(self._parameters[name])
            policy_copy = policy.clone()
            policy.copy_(copy)
            copy.copy_(policy_copy)

    def _blend(self, rate: float) -> None:
        for name, copy in self._copies.items():
            policy = own_share(self._parameters[name])
            if rate < 1:
                copy.lerp_(policy, rate)
            else:
                copy.copy_(policy)
