"""One run of training with vLLM in the process, on a CPU: ``python -m tests.real_vllm.colocated JSON``.

It is a process of its own because vLLM and TRL set up ``torch.distributed`` once in a process. The argument has the
run's folder, the method, its settings, the ``dtype`` of the engine, and whether it may pack its weights. The run writes
``watched.json``: for every update, how far the sampler's log-probabilities are from those of the current and of the
initial weights.

vLLM's backend for CPUs packs the weights for oneDNN and drops the originals, so that no weights can be loaded later.
The function that does it is replaced here. This is a limit of that backend and no part of the library.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
import trl.generation.vllm_generation as generation
from transformers import AutoModelForCausalLM
from vllm.model_executor.layers import utils

from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training import loss_trainer
from agentgym_hindsight.baselines.training import trainer as trainers
from agentgym_hindsight.baselines.training.configuration import configure
from agentgym_hindsight.baselines.training.run import train
from tests.baselines.training.tiny_runs import HalfWonTrainer, logps

_SEEN: list[dict[str, Any]] = []
_RATIOS: list[dict[str, float]] = []


def main(told: dict[str, Any]) -> None:
    """Train, and write what was seen."""
    if not told["packs"]:
        keep_weights()
    generation.LLM = partial(generation.LLM, enforce_eager=True, dtype=told["dtype"])
    watch_ratios()
    trainers.HindsightTrainer = Watched
    out = Path(told["out"])
    train(configure(told["method"], settings=told["settings"]), out)
    (out / "watched.json").write_text(json.dumps({"updates": _SEEN, "ratios": _RATIOS}))


def keep_weights() -> None:
    """Compute with the weights themselves, so that they can be loaded again."""

    def plain(layer: torch.nn.Module, remove_weight: bool) -> None:
        layer.cpu_linear = lambda x, weight, bias: torch.nn.functional.linear(x, weight, bias)

    utils.dispatch_cpu_unquantized_gemm = plain


def watch_ratios() -> None:
    """Note the importance ratios that the loss gets."""
    correct = loss_trainer.importance_ratio

    def noted(trained: Any, sampled: Any, mask: Any, **bounds: Any) -> Any:
        ratio = correct(trained, sampled, mask, **bounds)
        used = ratio.expand(mask.shape)[mask.bool()]  # one of a token, or one of a whole response
        _RATIOS.append({"low": float(used.min()), "high": float(used.max())})
        return ratio

    loss_trainer.importance_ratio = noted


class Watched(HalfWonTrainer):
    """Compares the sampler's log-probabilities with those of the weights that it should have."""

    _initial: Any = None

    def _play(self, update: int, policy: Any) -> list[Episode]:
        if self._initial is None:
            # Not a deep copy: TRL's wrapper of ``forward`` would still call the trained model.
            self._initial = AutoModelForCausalLM.from_pretrained(self.model.name_or_path, dtype=torch.float32).eval()
            self._base = {name: each.detach().clone() for name, each in self.model.named_parameters()}
        episodes = super()._play(update, policy)
        replies = [reply for episode in episodes for reply in episode.replies]
        own = [(reply, torch.tensor(reply.logprobs, dtype=torch.float64)) for reply in replies]

        def distance(model: Any) -> float:
            temperature = self.plan.temperature
            apart = [
                (said - logps(model, reply.prompt_ids, reply.response_ids, temperature)).abs().max()
                for reply, said in own
            ]
            return float(max(apart))

        was_training = self.model.training
        self.model.eval()
        frozen = [
            (each - self._base[name]).abs().max()
            for name, each in self.model.named_parameters()
            if not each.requires_grad
        ]
        _SEEN.append(
            {
                "update": update,
                "tokens": sum(len(reply.response_ids) for reply in replies),
                "missing": policy.missing_logprobs,
                "current": distance(self.model),
                "initial": distance(self._initial),
                "drift": float(max(frozen)) if frozen else 0.0,
            }
        )
        self.model.train(was_training)
        return episodes


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
