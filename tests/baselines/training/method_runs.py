"""The preset of ``make methods``: runs of every method that take seconds. As a script: runs in several processes.

The policy has one layer and twenty thousand weights. An update plays two tasks with four siblings of at most four
turns, 32 rows in all; every other sibling wins. Critics copy the policy's only block.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.schedules import Constant, LinearDecay, Window
from agentgym_hindsight.baselines.training.trainer import HindsightTrainer
from tests.baselines.methods.imitations import scripted
from tests.baselines.training.launching import assume_gpus, leave_processes
from tests.baselines.training.tiny_runs import PLAN, make_trainer, weights

UPDATES = 10
#: One and two processes sum in different orders. The small rate keeps the difference of their weights so small that
#: both sample the same tokens.
PRESET = replace(PLAN, updates=UPDATES, learning_rate=1e-4, save_every=UPDATES // 2, keep=0)


def small(name: str) -> Method:
    """The method of this name for a policy of one layer with random weights, in a run of ten updates."""
    method = scripted(name)  # random weights write no JSON
    changes: dict[str, Any] = {}
    if method.has_teacher:
        # Random weights write no action that a parser finds. Schedules that begin later would have no effect.
        changes = {each.name: "0.5" for each in fields(method) if _is_schedule(getattr(method, each.name))}
        changes["tokens"] = replace(method.tokens, part="response")
    if hasattr(method, "playbook_entries"):  # every process has its own memory of rollouts
        changes |= {"playbook_entries": 0, "buffer": False}
    if method.critic is not None:
        changes["critic"] = replace(method.critic, layers=min(method.critic.layers, 1))
    return method.changed(**changes)


def kind_of(method: Method) -> str:
    """``critic``, ``weight`` (of a teacher), ``graph`` (step graph), or ``group``."""
    if method.critic is not None:
        return "critic"
    if method.has_teacher:
        return "weight"
    source = Path(sys.modules[type(method.credit).__module__].__file__ or "").read_text(encoding="utf-8")
    return "graph" if "StepGraph(" in source else "group"


def train_method(
    name: str, out: Path, start: str, checkpoint: Path | None = None
) -> tuple[HindsightTrainer, list[dict[str, Any]]]:
    """Train a method with the preset; returns the trainer and the figures of its updates."""
    records: list[dict[str, Any]] = []
    trainer = make_trainer(
        small(name), out, PRESET, model=start, on_update=lambda record, measured: records.append(record)
    )
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    return trainer, records


def state_of(trainer: HindsightTrainer) -> dict[str, Any]:
    """The weights of policy and critic, and the method's memory."""
    return {
        "weights": weights(trainer.model),
        "critic": {} if trainer.critic is None else weights(trainer.critic.model),
        "memory": trainer.memory,
    }


def _is_schedule(value: object) -> bool:
    return isinstance(value, (Constant, LinearDecay, Window))


def _main(out: Path, start: str, sharding: str, names: Sequence[str]) -> None:
    """Train each method in its turn and write its figures and weights, in all processes of a group."""
    if sharding == "fsdp2":
        assume_gpus()
    trainer = None
    for name in names:
        print(f"training {name}", flush=True)
        trainer, records = train_method(name, out / name / "run", start)
        assert trainer.accelerator.num_processes == 2
        assert trainer.is_fsdp_enabled == (sharding == "fsdp2")
        whole = trainer.accelerator.get_state_dict(trainer.model_wrapped)
        if trainer.accelerator.is_main_process:
            (out / name / "records.json").write_text(json.dumps(records), encoding="utf-8")
            torch.save({**state_of(trainer), "weights": whole}, out / name / "state.pt")
        trainer.accelerator.wait_for_everyone()
        trainer.close()
    if trainer is not None:
        leave_processes(trainer.accelerator)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])
