"""Trainer callbacks that run between two updates: the teacher's update, evaluations, and a requested stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from transformers import TrainerCallback

__all__ = ["AfterStep", "EvaluationCallback", "StopCallback"]


class _Trainer(Protocol):
    """The members of the trainer that the callbacks use."""

    plan: Any
    processes: Any

    @property
    def budget_is_spent(self) -> bool: ...
    def after_step(self) -> None: ...


class AfterStep(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Calls ``trainer.after_step`` after every optimizer step, before a checkpoint.

    At the end of the budget it stops the training with a checkpoint, from which the run can be prolonged.
    """

    def __init__(self, trainer: _Trainer) -> None:
        self.trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.after_step()
        if state.global_step % self.trainer.plan.mini_batches == 0 and self.trainer.budget_is_spent:
            control.should_training_stop = control.should_save = True


class StopCallback(TrainerCallback):  # type: ignore[misc]
    """Ends training with a checkpoint, between two updates, once ``flag.requested`` is true."""

    def __init__(self, trainer: _Trainer, flag: Any) -> None:
        self.trainer, self.flag = trainer, flag

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if state.global_step % self.trainer.plan.mini_batches:
            return control
        # All processes stop at the same update, even if only one of them received the signal.
        if any(self.trainer.processes.gather([self.flag.requested])):
            self.flag.requested = True
            control.should_training_stop = control.should_save = True
        return control


class EvaluationCallback(TrainerCallback):  # type: ignore[misc]
    """Calls ``evaluate`` before the first update, after every ``every`` updates, and after the last one."""

    def __init__(self, trainer: _Trainer, every: int, evaluate: Callable[[], object]) -> None:
        self.trainer, self.every, self.evaluate = trainer, every, evaluate

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 0:
            self.evaluate()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        done, rest = divmod(state.global_step, self.trainer.plan.mini_batches)
        if rest == 0 and (self.trainer.budget_is_spent or (self.every and done % self.every == 0)):
            self.evaluate()
