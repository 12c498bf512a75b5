"""What a checkpoint of the trainer contains beyond TRL's, and how the trained policy is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trl import GRPOTrainer

from agentgym_hindsight.baselines.training.checkpoints import delete_old_checkpoints, load_state, save_state
from agentgym_hindsight.baselines.training.collectives import Processes
from agentgym_hindsight.baselines.training.critic import Critic
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.teacher_weights import Teacher
from agentgym_hindsight.hindsight.reference_store import ReferenceStore

__all__ = ["SavingTrainer"]


class SavingTrainer(GRPOTrainer):  # type: ignore[misc]  # TRL is untyped
    """The part of :class:`~.trainer.HindsightTrainer` that saves and loads. It is not used alone.

    It overrides ``_save_checkpoint`` and ``_load_optimizer_and_scheduler``, which add teacher, critic, counters, the
    method's memory and the reference store to a checkpoint.
    """

    plan: Plan
    processes: Processes
    teacher: Teacher | None
    critic: Critic | None
    store: ReferenceStore
    memory: dict[str, Any]
    turns_played: int
    seconds_played: float
    _teacher_state: dict[str, Any] | None

    @property
    def _shares(self) -> int:
        """The number of processes that share the weights."""
        return self.processes.count if self.is_fsdp_enabled or self._dist.is_zero3 else 1

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
        state = {
            "teacher": None if self.teacher is None else self.teacher.state_dict(),
            "memory": self.memory,
            # Each process may keep something else: what its groups told the method.
            "memories": self.processes.gather([self.memory]),
            "critic": None if self.critic is None else self.critic.state_dict(),
            "turns": self.turns_played,
            "seconds": self.seconds_played,
            "shares": self._shares,
        }
        if self._shares > 1:
            if not self.accelerator.is_main_process:
                save_state(state, folder, share=self.accelerator.process_index)
            self.accelerator.wait_for_everyone()
        if not self.args.should_save:
            return
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
        self.store.save(folder / "references.jsonl")
        save_state(state, folder)
        # TRL's save_total_limit is not used: it deletes old checkpoints before the new one is complete.
        if self.plan.keep:
            delete_old_checkpoints(folder.parent, self.plan.keep)

    def _load_optimizer_and_scheduler(self, checkpoint: Any) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        share = self.accelerator.process_index if self._shares > 1 else 0
        state = load_state(Path(checkpoint), share=share, shares=self._shares)
        self._teacher_state = state["teacher"]
        self.teacher = None
        memories = state.get("memories", [])
        is_whole = len(memories) == self.processes.count
        self.memory = dict(memories[self.accelerator.process_index] if is_whole else state.get("memory", {}))
        if self.critic is not None:
            self.critic.load_state_dict(state["critic"])
        self.turns_played, self.seconds_played = int(state["turns"]), float(state["seconds"])
        references = Path(checkpoint) / "references.jsonl"
        if references.exists():
            self.store = ReferenceStore.load(references)

    def save_policy(self, folder: str | Path) -> None:
        """Write the whole policy in transformers' format; under FSDP, ``save_model`` may write shards."""
        if not self.is_fsdp_enabled:
            self.save_model(str(folder))
            return
        state_dict = self.accelerator.get_state_dict(self.model)
        if self.args.should_save:
            self._save(str(folder), state_dict=state_dict)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write nothing: TRL's card does not name the base model. :mod:`.model_card` writes the policy's card."""
