"""Checks before the long work of a run: what would fail after the warm start fails here, with the setting's name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.settings import SettingError, checked_arguments
from agentgym_hindsight.baselines.training.own_code import check_own_code
from agentgym_hindsight.baselines.training.run_settings import RunSettings
from agentgym_hindsight.baselines.training.tiny import TEMPLATE_TOKENS, is_tiny
from agentgym_hindsight.baselines.training.update_player import check_tasks
from agentgym_hindsight.errors import MissingExtraError, UnknownNameError, UsageError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import TaskPanel

__all__ = ["Prepared", "check_settings", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """What a run needs besides its settings: the tasks, the judge, the analyser, the adapters."""

    tasks: TaskPanel
    panel: TaskPanel
    split: str
    backend: str
    judge: Any
    lora: Any
    analyser: Any = None


def prepare(settings: RunSettings, folder: Path, processes: int = 1) -> Prepared:
    """Check all settings and make what can be made quickly. Nothing is written."""
    stage, plan, evaluation = settings.stage, settings.plan, settings.evaluation
    judge, lora = check_settings(settings, folder, processes)
    backend = stage.backend()
    split = evaluation.split or stage.held_out
    panel = _panel(stage, split, evaluation.tasks, evaluation.seed, "evaluation.tasks")
    tasks = _panel(stage, "train", settings.train_tasks or stage.size("train"), plan.seed, "train_tasks")
    check_tasks(tasks, plan)
    return Prepared(tasks, panel, split, backend, judge, lora, _analyser(settings))


def check_settings(settings: RunSettings, folder: Path, processes: int = 1) -> tuple[Any, Any]:
    """The checks without those of the tasks, which take longer. Returns the judge and the adapters."""
    _require_extras(settings)
    judge = _judge(settings)
    _analyser(settings)
    _check_trl(settings, folder, processes)
    lora = _lora(settings)
    _check_prompt(settings)
    settings.plan.batching.check_history(settings.stage.history)
    check_own_code(settings)
    return judge, lora


def _require_extras(settings: RunSettings) -> None:
    """Raise :class:`MissingExtraError` for the extras that only some runs need."""
    if settings.plan.vllm and find_spec("vllm") is None:
        raise MissingExtraError("vllm", "vllm", f"Training with plan.vllm={settings.plan.vllm}")
    if settings.plan.vllm == "server" and not _has_cuda():
        raise UsageError(
            "Expected a GPU for plan.vllm=server, whose weights travel by NCCL, got none; "
            "try --set plan.vllm= to sample without vLLM."
        )
    if settings.peft is not None and find_spec("peft") is None:
        raise MissingExtraError("peft", "peft", "Training adapters")


def _has_cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _judge(settings: RunSettings) -> Any:
    """The judge's client, if the settings describe one. Raises if the method needs a judge and there is none."""
    what = settings.method.what
    if settings.judge is not None:
        from agentgym_hindsight.hindsight import JudgeClient

        return JudgeClient(**checked_arguments(JudgeClient, settings.judge, "judge"))
    if what is not None and what.needs_judge:
        raise UsageError(
            f"Expected a judge for the context {str(what)!r}, got none; "
            "try --set judge.base_url=http://127.0.0.1:8000/v1 --set judge.model=NAME."
        )
    return None


def _analyser(settings: RunSettings) -> Any:
    """The client of the analyser, if the settings describe one."""
    if settings.analyser is None:
        return None
    from agentgym_hindsight.baselines.training.analyser_client import AnalyserClient

    return AnalyserClient(**checked_arguments(AnalyserClient, settings.analyser, "analyser"))


def _check_trl(settings: RunSettings, folder: Path, processes: int) -> None:
    """Raise for arguments in ``plan.trl`` that TRL would refuse, and for trackers that are not installed."""
    from transformers.integrations.integration_utils import (
        INTEGRATION_TO_CALLBACK,
        get_available_reporting_integrations,
    )

    from agentgym_hindsight.baselines.training.trl_config import check_save_steps, trl_arguments, trl_values

    plan, method = settings.plan, settings.method
    if _is_set("ACCELERATE_USE_FSDP") and os.environ.get("FSDP_VERSION", "1") == "1":
        raise UsageError("Expected FSDP 2, got FSDP 1; try fsdp_version: 2 in accelerate's configuration.")
    if _is_set("ACCELERATE_USE_FSDP") or _is_set("ACCELERATE_USE_DEEPSPEED"):
        # Arguments with sharding change how a model is loaded while they exist.
        trl_values(plan, method, folder, processes)
        return
    arguments = trl_arguments(plan, method, folder, processes)
    check_save_steps(arguments, plan)
    for tracker in arguments.report_to:
        if tracker not in INTEGRATION_TO_CALLBACK:
            raise UnknownNameError("tracker in plan.trl.report_to", tracker, INTEGRATION_TO_CALLBACK)
        if tracker not in get_available_reporting_integrations():
            raise SettingError("plan.trl.report_to", "as an installed tracker", tracker, f"pip install {tracker}")


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").lower() in ("1", "true", "yes")


def _lora(settings: RunSettings) -> Any:
    """The LoraConfig, if adapters are trained. For a tiny model, also check that it has the modules."""
    if settings.peft is None:
        return None
    from peft import LoraConfig

    known = LoraConfig.__dataclass_fields__
    for name in settings.peft:
        if name not in known:
            raise UnknownNameError("setting of peft", name, known)
    try:
        config = LoraConfig(**{"task_type": "CAUSAL_LM", **settings.peft})
        if is_tiny(settings.model):
            _try_adapters(settings.model, {**settings.peft, "init_lora_weights": True})
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"Expected settings of a LoraConfig in peft, got {type(error).__name__}: {error}; "
            "try --set peft.r=16 --set peft.target_modules=all-linear."
        ) from error
    return config


def _try_adapters(model: str, arguments: Mapping[str, Any]) -> None:
    """Add the adapters to a model without memory; the real model exists only after the warm start."""
    import torch
    from peft import LoraConfig, get_peft_model

    from agentgym_hindsight.baselines.training.tiny import empty_model

    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        get_peft_model(empty_model(model.removeprefix("tiny:")), LoraConfig(**{"task_type": "CAUSAL_LM", **arguments}))


def _check_prompt(settings: RunSettings) -> None:
    """Raise if a tiny model has no room for a prompt; other models are loaded before any long work."""
    limit = settings.plan.prompt_tokens
    if is_tiny(settings.model) and limit <= TEMPLATE_TOKENS:
        raise SettingError("plan.prompt_tokens", f"above {TEMPLATE_TOKENS}, the tokens of the template", limit, "640")


def _panel(stage: Stage, split: str, count: int, seed: int, name: str) -> TaskPanel:
    """The panel; a number of tasks that the split does not have raises with the setting's name."""
    try:
        return stage.panel(split, count, seed)
    except UsageError as error:
        if isinstance(error, UnknownNameError) or count <= (size := stage.size(split)):
            raise
        raise SettingError(name, f"≤ {size}, the number of tasks of {split}", count, "0 for all of them") from error
