"""TRL's GRPOConfig for a plan and a method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from trl import GRPOConfig

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.errors import UsageError

__all__ = ["check_save_steps", "length_of_schedule", "trl_arguments", "trl_values"]

#: Arguments of TRL that a setting of ours determines → that setting. ``plan.trl`` must not contain them.
_DETERMINED_BY = {
    "gradient_accumulation_steps": "plan.token_budget",
    "per_device_train_batch_size": "plan.tasks",
    "logging_steps": "plan.updates",
    "max_steps": "plan.updates",
    "num_iterations": "plan.mini_batches",
    "steps_per_generation": "plan.mini_batches",
    "num_generations": "plan.siblings",
    "max_completion_length": "plan.response_tokens",
    "temperature": "plan.temperature",
    "seed": "plan.seed",
    "use_vllm": "plan.vllm",
    "vllm_mode": "plan.vllm",
    "beta": "method.kl",
    "epsilon": "method.clip",
    "delta": "method.dual_clip",
    "entropy_coef": "method.entropy",
    "scale_rewards": "method.scale",
    "loss_type": "method.clip and method.dual_clip",
}


#: Schedules of the learning rate that do not depend on the number of updates.
_SCHEDULES_WITHOUT_END = frozenset({"constant", "constant_with_warmup", "inverse_sqrt"})


def trl_arguments(plan: Plan, method: Method, output_dir: str | Path, processes: int = 1) -> GRPOConfig:
    """The configuration of TRL's trainer; arguments in ``plan.trl`` override the others."""
    values = trl_values(plan, method, output_dir, processes)
    try:
        return GRPOConfig(**values)
    except (TypeError, ValueError, ImportError) as error:
        raise UsageError(
            f"Expected arguments that TRL accepts in plan.trl ({', '.join(plan.trl) or 'empty'}), "
            f"got {type(error).__name__}: {error}; see TRL's documentation of GRPOConfig."
        ) from error


def check_save_steps(arguments: GRPOConfig, plan: Plan) -> None:
    """Raise if a checkpoint would be written between two mini-batches of an update."""
    if arguments.save_strategy == "steps" and arguments.save_steps % plan.mini_batches:
        raise UsageError("Expected checkpoints between updates only; try save_steps as a multiple of mini_batches.")


def length_of_schedule(plan: Plan) -> str:
    """The argument by which the learning rate depends on the number of updates, or ""."""
    given = plan.trl.get("lr_scheduler_type", "constant_with_warmup" if plan.warmup else "constant")
    scheduler = str(getattr(given, "value", given))
    if scheduler not in _SCHEDULES_WITHOUT_END:
        return f"plan.trl.lr_scheduler_type={scheduler}"
    for name in ("warmup_ratio", "warmup_steps"):
        value = plan.trl.get(name)
        if scheduler != "constant" and isinstance(value, float) and 0 < value < 1:  # a share of all steps
            return f"plan.trl.{name}={value}"
    return ""


def trl_values(plan: Plan, method: Method, output_dir: str | Path, processes: int = 1) -> dict[str, Any]:
    """The arguments of :func:`trl_arguments`, with the names in ``plan.trl`` checked."""
    cuda = torch.cuda.is_available()
    if plan.tasks % processes:
        raise UsageError(
            f"Expected a number of tasks that {processes} processes can share evenly, got {plan.tasks}; "
            f"try {plan.tasks + processes - plan.tasks % processes}."
        )
    plan.check_method(method)
    # TRL refuses one rollout per task, because its own advantages compare a group. It computes none here, and it plays
    # none: the numbers only have to agree with each other.
    siblings = max(2, plan.siblings)
    values: dict[str, Any] = {
        "output_dir": str(output_dir),
        "max_steps": plan.updates * plan.mini_batches,
        # One "generation batch" of TRL is one update. TRL counts rollouts as rows; our rows are turns.
        "per_device_train_batch_size": plan.tasks // processes * siblings,
        "num_generations": siblings,
        "steps_per_generation": plan.mini_batches,
        "gradient_accumulation_steps": 1,
        "learning_rate": plan.learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if plan.warmup else "constant",
        "warmup_steps": plan.warmup,
        "max_grad_norm": plan.grad_clip,
        "weight_decay": plan.weight_decay,
        "temperature": plan.temperature,
        "max_completion_length": plan.response_tokens,
        "loss_type": "dapo",
        "epsilon": method.clip,
        "delta": method.dual_clip,
        "beta": method.kl,
        "importance_sampling_level": "sequence" if method.ratio == "turn" else "token",
        # The trainer adds the bonus itself, over the tokens of the whole step instead of a micro-batch.
        "entropy_coef": 0.0,
        "scale_rewards": "none",
        "use_vllm": bool(plan.vllm),
        "seed": plan.seed,
        "data_seed": plan.seed,
        "ignore_data_skip": True,  # the tasks depend only on the number of the update
        "logging_steps": plan.mini_batches,
        "save_strategy": "steps" if plan.save_every else "no",
        "save_steps": max(1, plan.save_every) * plan.mini_batches,
        "save_only_model": False,
        "report_to": "none",
        "disable_tqdm": True,
        # TRL's defaults assume a GPU.
        "use_cpu": not cuda,
        "bf16": cuda and torch.cuda.is_bf16_supported(),
        "dataloader_pin_memory": cuda,
        # Every pass uses every weight, so the search for unused weights is not needed; it would cost a pass.
        "ddp_find_unused_parameters": False,
    }
    if plan.vllm:
        values["vllm_mode"] = plan.vllm
        values["vllm_max_model_length"] = plan.prompt_tokens + plan.response_tokens
    # transformers 5.24 renamed this argument and warns about the old name, which TRL's default still uses.
    is_renamed = "activation_checkpointing" in GRPOConfig.__dataclass_fields__
    if "gradient_checkpointing" not in plan.trl:
        values["activation_checkpointing" if is_renamed else "gradient_checkpointing"] = cuda
    conflicts = sorted(plan.trl.keys() & _DETERMINED_BY)
    if conflicts:
        name = conflicts[0]
        raise UsageError(
            f"Expected {name} not in plan.trl, because another setting determines it, got it; "
            f"try {_DETERMINED_BY[name]}."
        )
    unknown = sorted(plan.trl.keys() - GRPOConfig.__dataclass_fields__.keys())
    if unknown:
        raise UsageError(f"Expected arguments of TRL's GRPOConfig, got {', '.join(unknown)}; see TRL's documentation.")
    return {**values, **plan.trl}
