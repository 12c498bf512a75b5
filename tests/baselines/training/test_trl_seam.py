"""Every name of TRL and transformers that we use beyond their public interface.

If a new release renames one of them, this test fails and names it.
"""

from __future__ import annotations

import inspect
import re

import pytest

pytest.importorskip("trl")

import trl
from transformers import Trainer
from trl import GRPOConfig, GRPOTrainer, SFTTrainer
from trl.distributed import DistributedBackend
from trl.generation.vllm_generation import VLLMGeneration
from trl.models import unwrap_model_for_generation

from agentgym_hindsight.baselines.training.trl_config import trl_values


def test_trl_has_every_name_that_we_use() -> None:
    moved: list[str] = []

    def need(name: str, exists: bool) -> None:
        if not exists:
            moved.append(name)

    signatures = {
        "_compute_loss": ["self", "model", "inputs"],
        "compute_loss": ["self", "model", "inputs"],
        "_get_per_token_logps_and_entropies": ["self", "model", "input_ids", "attention_mask", "logits_to_keep"],
        "training_step": ["self", "model", "inputs", "num_items_in_batch"],
        "_prepare_inputs": ["self"],
        "_save_checkpoint": ["self", "model", "trial"],
        "_load_optimizer_and_scheduler": ["self", "checkpoint"],
        "_save": ["self", "output_dir", "state_dict"],
        "save_model": ["self", "output_dir"],
        "log": ["self", "logs", "start_time"],
    }
    for name, expected in signatures.items():
        method = getattr(GRPOTrainer, name, None)
        need(f"GRPOTrainer.{name}", method is not None)
        if method is not None:
            result = list(inspect.signature(method).parameters)
            need(f"GRPOTrainer.{name}({', '.join(expected)})", result[: len(expected)] == expected)
    scoring = inspect.signature(GRPOTrainer._get_per_token_logps_and_entropies).parameters
    need("_get_per_token_logps_and_entropies(compute_entropy)", "compute_entropy" in scoring)

    made = inspect.getsource(GRPOTrainer.__init__)
    for attribute in ("_step", "_metrics", "_dist", "vllm_generation", "ref_model", "beta", "temperature",
                      "vllm_importance_sampling_correction", "vllm_importance_sampling_mode",
                      "vllm_importance_sampling_clip_min", "vllm_importance_sampling_clip_max"):  # fmt: skip
        need(f"self.{attribute}", f"self.{attribute} = " in made)
    loss = inspect.getsource(GRPOTrainer._compute_loss)
    for text in ('inputs["advantages"]', 'inputs.get("old_per_token_logps")', 'inputs["num_items_in_batch"]',
                 'inputs["ref_per_token_logps"]', 'inputs["importance_sampling_ratio"]', "advantages.dim() == 1",
                 "self.current_gradient_accumulation_steps / self.args.steps_per_generation", "self.args.delta",
                 "self._get_per_token_logps_and_entropies("):  # fmt: skip
        need(f"{text} in _compute_loss", text in loss)
    whole = inspect.getsource(Trainer)
    for text in ("self.current_gradient_accumulation_steps =", "self.training_step(", "self._save_checkpoint(",
                 "self._load_optimizer_and_scheduler("):  # fmt: skip
        need(f"{text} in Trainer", text in whole)
    for name in ("is_zero3", "fsdp_version"):
        need(f"DistributedBackend.{name}", name in inspect.getsource(DistributedBackend))
    for name in ("sync_weights", "generate"):
        need(f"VLLMGeneration.{name}", hasattr(VLLMGeneration, name))
    made = inspect.getsource(VLLMGeneration)
    for attribute in ("temperature", "mode", "tensor_parallel_size", "enable_sleep_mode", "logprobs"):
        need(f"VLLMGeneration.{attribute}", f"self.{attribute} = " in made)
    for name in ("prompts", "images", "num_generations"):
        need(f"VLLMGeneration.generate({name})", name in inspect.signature(VLLMGeneration.generate).parameters)
    opened = inspect.signature(unwrap_model_for_generation).parameters
    need("unwrap_model_for_generation(gather_deepspeed3_params)", "gather_deepspeed3_params" in opened)
    need("GRPOConfig.ds3_gather_for_generation", "ds3_gather_for_generation" in GRPOConfig.__dataclass_fields__)
    need("SFTTrainer.compute_loss", "model" in inspect.signature(SFTTrainer.compute_loss).parameters)
    used = inspect.getsource(trl_values).split("values: dict[str, Any] = {")[1].split("unknown = ")[0]
    fields = {*re.findall(r'"(\w+)":', used), *re.findall(r'values\["(\w+)"\]', used)}
    assert len(fields) > 25
    for name in sorted(fields):
        need(f"GRPOConfig.{name}", name in GRPOConfig.__dataclass_fields__)
    if moved:
        pytest.fail(f"TRL {trl.__version__} moved {'; '.join(moved)}: see baselines/training/trainer.py")
