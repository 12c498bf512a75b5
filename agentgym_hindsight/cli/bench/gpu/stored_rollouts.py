"""The usual trainer, with rollouts that are given instead of played, and with times that wait for the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.trainer import HindsightTrainer
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.cli.bench.gpu.device import clock

__all__ = ["StoredRollouts", "train"]


class StoredRollouts(HindsightTrainer):
    """Everything but the rollouts is that of the parent: contexts, teacher, losses, optimizer, metrics.

    A GPU works behind the program, so that the phases' times would show where the program waits. Here every phase ends
    when the device has finished.
    """

    def __init__(self, *args: Any, episodes: Sequence[Episode], **options: Any) -> None:
        super().__init__(*args, **options)
        self.episodes = list(episodes)

    def _play(self, update: int, policy: Any) -> list[Episode]:
        return self.episodes

    def _score_teacher(self, rows: list[TrainingRow]) -> None:
        super()._score_teacher(rows)
        clock()

    def _accumulate_gradients(self, model: Any, rows: list[TrainingRow]) -> Any:
        clock()
        loss = super()._accumulate_gradients(model, rows)
        clock()
        return loss

    def after_step(self) -> None:
        clock()
        super().after_step()
        clock()


def train(trainer: HindsightTrainer, records: list[dict[str, Any]]) -> None:
    """Make all updates; ``records`` gets the figures of each, as in metrics.jsonl, with the ``wall`` seconds."""
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    started = clock()

    def keep(record: dict[str, Any], _: Any) -> None:
        nonlocal started
        now = clock()
        records.append({**record, "wall": now - started})
        started = now

    before: Callable[..., object] | None = trainer._on_update
    trainer._on_update = keep
    try:
        trainer.train()
    finally:
        trainer._on_update = before
        trainer.close()
