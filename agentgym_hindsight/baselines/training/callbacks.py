"""What happens between two updates: the teacher follows, an evaluation is due, somebody asked to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

if TYPE_CHECKING:
    from agentgym_hindsight.baselines.training.trainer import HindsightTrainer

__all__ = ["AfterStep", "EvaluationCallback", "StopCallback"]


class AfterStep(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Tells the trainer of every optimizer step, before a checkpoint is written; ends training with its budget."""

    def __init__(self, trainer: HindsightTrainer) -> None:
        self.trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.after_step()
        if state.global_step % self.trainer.plan.mini_batches == 0 and self.trainer.budget_is_spent:
            control.should_training_stop = True


class StopCallback(TrainerCallback):  # type: ignore[misc]
    """Ends training with a checkpoint, between two updates, once ``flag.asked`` is true."""

    def __init__(self, trainer: HindsightTrainer, flag: Any) -> None:
        self.trainer, self.flag = trainer, flag

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if state.global_step % self.trainer.plan.mini_batches:
            return control
        # All processes stop at the same update, whichever of them was asked.
        if any(self.trainer.gather([self.flag.asked])):
            self.flag.asked = True
            control.should_training_stop = control.should_save = True
        return control


class EvaluationCallback(TrainerCallback):  # type: ignore[misc]
    """Calls ``examine`` before the first update, after every ``every`` of them, and after the last."""

    def __init__(self, trainer: HindsightTrainer, every: int, examine: Callable[[], object]) -> None:
        self.trainer, self.every, self.examine = trainer, every, examine

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 0:
            self.examine()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        done, rest = divmod(state.global_step, self.trainer.plan.mini_batches)
        if rest == 0 and (self.trainer.budget_is_spent or (self.every and done % self.every == 0)):
            self.examine()
