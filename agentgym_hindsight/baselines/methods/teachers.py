"""Who teaches: the policy itself as it is now, as it was a while ago, as it is on average, or as it was at first.

A teacher is a second set of the policy's *trainable* weights, exchanged with the policy's own for the time of a forward
pass: no second model, only adapters are kept where adapters are trained, and every wrapper around the model stays.
Where weights are spread over processes, each keeps the teacher's part of its own share.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from agentgym_hindsight.baselines.training.sharding import own_share, settle
from agentgym_hindsight.errors import DamagedDataError, UnknownNameError, UsageError

__all__ = ["Teacher", "TeacherSpec"]

_KINDS = ("current", "sync", "ema", "frozen")


@dataclass(frozen=True, slots=True)
class TeacherSpec:
    """``current`` · ``sync:n`` (hard copy every n updates) · ``ema:rate`` (θ_T ← (1−rate)·θ_T + rate·θ) · ``frozen``.

    >>> TeacherSpec.parse("sync:10")
    TeacherSpec(kind='sync', value=10.0)
    >>> str(TeacherSpec.parse("ema:0.05"))
    'ema:0.05'
    """

    kind: Literal["current", "sync", "ema", "frozen"] = "current"
    value: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise UnknownNameError("teacher", self.kind, _KINDS)
        if not isfinite(self.value):
            raise UsageError(f"Expected a finite number, got {self.kind}:{self.value:g}; try sync:10 or ema:0.05.")
        if self.kind in ("current", "frozen") and self.value:
            raise UsageError(f"Expected {self.kind} without a number, got {self.kind}:{self.value:g}; try {self.kind}.")
        if self.kind == "sync" and (self.value < 1 or self.value != int(self.value)):
            raise UsageError(f"Expected sync:n with n ≥ 1 updates, got sync:{self.value:g}; try sync:10.")
        if self.kind == "ema" and not 0 < self.value <= 1:
            raise UsageError(f"Expected ema:rate with 0 < rate ≤ 1, got ema:{self.value:g}; try ema:0.05.")

    @classmethod
    def parse(cls, text: str) -> TeacherSpec:
        """Read ``"current"``, ``"sync:10"``, ``"ema:0.05"`` or ``"frozen"``."""
        kind, _, value = text.partition(":")
        try:
            number = float(value or {"sync": 10, "ema": 0.05}.get(kind, 0))
        except ValueError:
            raise UsageError(f"Expected a number after {kind}:, got {value!r}; try sync:10 or ema:0.05.") from None
        return cls(kind, number)  # type: ignore[arg-type]  # checked above

    def __str__(self) -> str:
        # repr keeps every digit: the text is a faithful copy.
        value = repr(float(self.value)).removesuffix(".0")
        return f"{self.kind}:{value}" if self.kind in ("sync", "ema") else self.kind


class Teacher:
    """The weights of a teacher. Begins as a copy of the policy; ``current`` keeps no copy at all.

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
        """Within, the model speaks with the teacher's weights."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def after_update(self, done: int) -> bool:
        """Told after every policy update how many are done; returns whether the teacher changed."""
        if self.spec.kind == "sync" and done % int(self.spec.value) == 0:
            self._blend(1.0)
            return True
        if self.spec.kind == "ema":
            self._blend(self.spec.value)
            return True
        return False

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint has to hold."""
        return {"spec": str(self.spec), "weights": dict(self._copies)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state_dict`."""
        if state["spec"] != str(self.spec) or state["weights"].keys() != self._copies.keys():
            raise DamagedDataError(
                f"Expected a checkpoint of teacher {self.spec} with {len(self._copies)} weights, got "
                f"{state['spec']} with {len(state['weights'])}; try resuming with the run's own settings."
            )
        for name, value in state["weights"].items():
            self._copies[name].copy_(value)

    def _exchange(self) -> None:
        if not self._copies:
            return
        settle(self._model)
        for name, copy in self._copies.items():
            # In place: a wrapper that spreads or flattens weights has views of its own on the same memory.
            own = own_share(self._parameters[name])
            kept = own.clone()
            own.copy_(copy)
            copy.copy_(kept)

    def _blend(self, rate: float) -> None:
        for name, copy in self._copies.items():
            policy = own_share(self._parameters[name])
            if rate < 1:
                copy.lerp_(policy, rate)
            else:
                copy.copy_(policy)
