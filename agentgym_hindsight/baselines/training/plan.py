"""How much is played and how it is learnt from: every number of a run that is no part of the method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agentgym_hindsight.errors import UsageError

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """Defaults are SERL's on ALFWorld: 16 tasks of 8 siblings an update, 150 updates; the optimizer steps are not.

    * ``updates``, ``tasks``, ``siblings``: policy updates; tasks an update; rollouts of each task.
    * ``turns``: stop once so many env turns were played, whatever the updates; 0: no such bound. For rivals on equal
      terms: a policy that wins early plays fewer turns an update.
    * ``mini_batches``: optimizer steps an update. 1 is exactly on-policy; the release makes about ten of 256 rows.
    * ``learning_rate``, ``warmup``, ``grad_clip``, ``weight_decay``: of AdamW, constant after the warm-up.
    * ``temperature``, ``prompt_tokens``, ``response_tokens``: of a turn.
    * ``context_tokens``: at most so many for the teacher's extra context; 0: what fits beside the prompt.
    * ``token_budget``: tokens computed at once in training (padding included); ``play_budget`` in playing.
    * ``generate``: play by ``model.generate``, for models whose cache our own loop does not know; a reply then depends
      on its neighbours in the batch.
    * ``references``: successes of earlier updates stand in where no sibling won (ours).
    * ``envs``: rollouts side by side; 0: all of an update.
    * ``save_every``, ``keep``: updates between checkpoints (0: only when stopped), and how many are kept (0: all).
    * ``vllm``: ``""`` plays with the model itself, ``"colocate"`` and ``"server"`` with vLLM, through TRL.
    * ``trl``: any further arguments of TRL's GRPOConfig, such as ``{"report_to": "tensorboard"}``.
    """

    updates: int = 150
    tasks: int = 16
    siblings: int = 8
    turns: int = 0
    mini_batches: int = 1
    learning_rate: float = 1e-6
    warmup: int = 0
    grad_clip: float = 1.0
    weight_decay: float = 0.0
    temperature: float = 1.0
    prompt_tokens: int = 2048
    response_tokens: int = 512
    context_tokens: int = 0
    token_budget: int = 16384
    play_budget: int = 32768
    generate: bool = False
    references: bool = False
    envs: int = 0
    save_every: int = 0
    keep: int = 2
    vllm: Literal["", "colocate", "server"] = ""
    seed: int = 0
    trl: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("updates", "tasks", "mini_batches", "prompt_tokens", "response_tokens", "token_budget"):
            if getattr(self, name) < 1:
                raise UsageError(f"Expected {name} ≥ 1, got {getattr(self, name)}; try the default.")
        for name in ("turns", "warmup", "grad_clip", "weight_decay", "context_tokens", "envs", "save_every", "keep"):
            if getattr(self, name) < 0:
                raise UsageError(f"Expected {name} ≥ 0, got {getattr(self, name)}; try the default.")
        if not 0 < self.learning_rate < float("inf"):
            raise UsageError(f"Expected a learning rate above 0, got {self.learning_rate}; try 1e-6.")
        if self.play_budget < 1:
            raise UsageError(f"Expected play_budget ≥ 1, got {self.play_budget}; try the default.")
        if self.siblings < 2:
            raise UsageError(
                f"Expected at least two siblings, got {self.siblings}; a lone rollout has no group: try 8."
            )
        if self.vllm not in ("", "colocate", "server"):
            raise UsageError(f"Expected vllm as '', 'colocate' or 'server', got {self.vllm!r}.")
        if self.temperature <= 0:
            raise UsageError(f"Expected a temperature above 0, got {self.temperature}; siblings have to differ: try 1.")
