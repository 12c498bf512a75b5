"""Updates of SERL and GRPO at the true shapes: times, tokens, memory, and what the teacher costs.

All methods train on the same stored rollouts, with the usual trainer: contexts, teacher, losses, optimizer.
"""

# ruff: noqa: E402  # the check of the extra comes before torch is imported

from __future__ import annotations

from agentgym_hindsight.baselines.requirements import require_train

require_train("measuring training")

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from statistics import mean
from typing import Any

import torch

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.quiet import quiet_libraries
from agentgym_hindsight.cli.bench.gpu.cases import Case, Figures, Run, Skipped
from agentgym_hindsight.cli.bench.gpu.device import device_name, free_memory, peak_gib
from agentgym_hindsight.cli.bench.gpu.models import DRY, LORA, make_model, shape_of
from agentgym_hindsight.cli.bench.gpu.played import PROMPT_TOKENS, RESPONSE_TOKENS, Lengths, Played, played
from agentgym_hindsight.cli.bench.gpu.stored_rollouts import StoredRollouts, train
from agentgym_hindsight.cli.bench.training.step_times import EveryTurn, worst

__all__ = ["METHODS", "Setup", "cases", "measured_updates"]

#: The methods of each setup. Every credit is that of :class:`EveryTurn`, so that no row is left out.
METHODS = ("grpo", "serl", "serl, teacher on every token")


@dataclass(frozen=True)
class Setup:
    """A size, what is trained, the type of its weights, and the number of rollouts of an update.

    With ``lora`` the weights are not trained. ``updates``: the first one warms up and is not counted.
    """

    size: str
    lora: bool = False
    dtype: str = "float32"
    rollouts: int = 16
    updates: int = 3
    budget: int = 16384
    least_seconds: float = 20.0

    @property
    def name(self) -> str:
        """Such as ``7B, LoRA``."""
        kind = "LoRA" if self.lora else "full" if self.dtype == "float32" else f"full, {self.dtype} weights"
        return f"{self.size}, {kind}"


#: What the trainer does by itself: trained weights are float32, frozen ones bfloat16, and passes compute in bfloat16.
#: All weights of 7B with the optimizer and SERL's copy need 152 GB in float32, so bfloat16 weights are measured too:
#: for times and memory only, because small steps do not change them.
_SETUPS = (
    Setup("0.5B"),
    Setup("0.5B", lora=True, dtype="bfloat16"),
    Setup("1.5B", rollouts=8),
    Setup("1.5B", lora=True, dtype="bfloat16", rollouts=8),
    Setup("7B", lora=True, dtype="bfloat16", rollouts=4, least_seconds=40),
    Setup("7B", dtype="bfloat16", rollouts=4, least_seconds=40),
    Setup("7B", rollouts=4, least_seconds=40),
)
_DRY_SETUPS = (Setup(DRY, rollouts=4, updates=2), Setup(DRY, lora=True, dtype="bfloat16", rollouts=4, updates=2))


def cases(run: Run) -> Iterator[Case]:
    """A case for each setup and method. SERL's figures name their ratio to GRPO's, measured just before."""
    lengths = Lengths.of(run.dry)
    for setup in _DRY_SETUPS if run.dry else _SETUPS:
        base: dict[str, float] = {}
        for method in METHODS:
            settings = {
                "seed": run.seed,
                "method": method,
                "lengths": asdict(lengths),
                "shape": shape_of(setup.size),
                **asdict(setup),
            }
            del settings["least_seconds"]

            def measure(setup: Setup = setup, method: str = method, base: dict[str, float] = base) -> Figures:
                if setup.lora and find_spec("peft") is None:
                    raise Skipped("peft is not installed")
                return _with_ratios(measured_updates(setup, method, played(lengths, run.seed)), method, base)

            yield Case(f"{setup.name}: {method}", settings, measure, setup.least_seconds)


def _with_ratios(figures: dict[str, float], method: str, base: dict[str, float]) -> Figures:
    """The figures with the ratios to those of GRPO, which are kept in ``base``."""
    if method == METHODS[0]:
        base.update(figures)
        return figures
    if not base:  # GRPO's were measured by an earlier call, or failed
        return figures
    whole = "seconds of an update without rollouts"
    return {**figures, "update, relative to grpo": figures[whole] / base[whole]}


def method_of(name: str) -> Method:
    """A method whose credit is never 0."""
    return worst() if name == METHODS[2] else replace(recipe(name), credit=EveryTurn())


def measured_updates(setup: Setup, name: str, rollouts: Played, seed: int = 0) -> dict[str, float]:
    """The mean figures of the updates after the first one."""
    records: list[dict[str, Any]] = []
    with quiet_libraries(), tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(setup, method_of(name), rollouts, folder, seed)
        weights = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
        free_memory()
        train(trainer, records)
    return {**figures_of(records[1:]), "trained weights": weights, **peak_gib()}


def make_trainer(
    setup: Setup,
    method: Method,
    rollouts: Played,
    folder: str,
    seed: int = 0,
    *,
    trl: Mapping[str, Any] | None = None,
    **plan: Any,
) -> StoredRollouts:
    """The trainer of a setup with a new model; ``trl`` and ``plan`` are further values of the plan."""
    values: dict[str, Any] = {
        "updates": setup.updates,
        "tasks": len(rollouts.tasks),
        "siblings": 8,
        "prompt_tokens": PROMPT_TOKENS,
        "response_tokens": RESPONSE_TOKENS,
        "token_budget": setup.budget,
        "learning_rate": 1e-6,
        "seed": seed,
        "trl": dict(trl or {}),
    }
    dtype = getattr(torch, setup.dtype)
    model = make_model(setup.size, rollouts.encoder.tokenizer, dtype=dtype, device=device_name(), seed=seed)
    lora = None
    if setup.lora:
        from peft import LoraConfig

        lora = LoraConfig(**LORA)
    return StoredRollouts(
        model,
        method,
        rollouts.stage,
        Plan(**{**values, **plan}),
        encoder=rollouts.encoder,
        tasks=rollouts.tasks,
        output_dir=folder,
        peft_config=lora,
        episodes=rollouts.episodes[: setup.rollouts],
    )


def figures_of(records: list[dict[str, Any]]) -> dict[str, float]:
    """Means over updates of what metrics.jsonl records."""

    def of(key: str) -> float:
        return mean(float(record.get(key, 0.0)) for record in records)

    teacher, update = of("seconds_teacher"), of("seconds_update")
    tokens = of("prompt_tokens") + of("response_tokens")
    return {
        "rows of an update": of("rows"),
        "tokens of the rows": tokens,
        "tokens of the teacher's rows": of("teacher_tokens"),
        "tokens of all passes, with padding": of("tokens_computed"),
        "padding": 1 - of("token_efficiency"),
        "seconds of contexts and teacher": teacher,
        "seconds of losses and optimizer": update,
        "seconds of an update without rollouts": teacher + update,
        "seconds of an update by the wall clock": of("wall"),
        "tokens of the rows a second": tokens / max(teacher + update, 1e-9),
        "loss": of("loss"),
        "gradient norm": of("grad_norm"),
    }
