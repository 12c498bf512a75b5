"""The quantities and hyperparameters of a run that are not part of the method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.settings import MAX_SEED, SettingError, build, check_range
from agentgym_hindsight.baselines.training.context_settings import ContextSettings
from agentgym_hindsight.baselines.training.released_batching import ReleasedBatching

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """The defaults are SERL's on ALFWorld (16 tasks of 8 siblings, 150 updates), except for ``mini_batches``.

    * ``updates``, ``tasks``, ``siblings``: number of policy updates; tasks per update; rollouts per task. A method
      without a critic needs at least two siblings.
    * ``rounds``: above 1, dynamic sampling: an update plays ``tasks`` further tasks, at most ``rounds`` times as many
      in all, until ``tasks`` groups vary in their returns. The other groups are left out; their turns count.
    * ``turns``: stop after the update in which this number of environment turns is reached; 0: no limit. A policy that
      wins early plays fewer turns per update, so methods are compared at equal turns and not at equal updates.
    * ``mini_batches``: optimizer steps per update. 1 is exactly on-policy; the release makes about ten of 256 rows.
    * ``learning_rate``, ``warmup``, ``grad_clip``, ``weight_decay``: for AdamW. The rate is constant after the warm-up.
    * ``temperature``, ``prompt_tokens``, ``response_tokens``: sampling temperature and maximum lengths of a turn.
    * ``context_tokens``: maximum length of the teacher's extra context; 0: as much as the limit of the prompt allows.
    * ``contexts``: further settings of contexts and anchors (:class:`~.context_settings.ContextSettings`).
    * ``released_batching``: copies of rows and another order before contexts and advantages are made, as in the
      release (:class:`~.released_batching.ReleasedBatching`); off without ``multiple``.
    * ``micro_rows``: rows of a micro-batch; the loss is then the mean of the micro-batches' token means, as in the
      release. 0: micro-batches of ``token_budget``, and the mean over the tokens of the whole optimizer step.
    * ``token_budget``, ``play_budget``: tokens per batch, padding included, in training and in rollouts.
    * ``cache_mb``: memory of each process for the KV caches that rollouts keep between the turns of conversations, in
      MiB; 0 keeps none.
    * ``generate``: sample with ``model.generate``, for models whose kind of cache our loop does not support. A reply
      then depends on the other prompts of its batch.
    * ``references``: if no sibling won, the context uses a success of an earlier update (ours).
    * ``envs``: parallel rollouts; 0: all rollouts of an update.
    * ``save_every``, ``keep``: updates between checkpoints (0: only when stopped and at the end); checkpoints to keep
      (0: all).
    * ``vllm``: ``""`` samples with the model itself; ``"colocate"`` and ``"server"`` use vLLM through TRL.
    * ``trl``: further arguments of TRL's GRPOConfig, such as ``{"report_to": "tensorboard"}``.
    """

    updates: int = 150
    tasks: int = 16
    siblings: int = 8
    rounds: int = 1
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
    cache_mb: int = 4096
    generate: bool = False
    references: bool = False
    envs: int = 0
    save_every: int = 0
    keep: int = 2
    vllm: Literal["", "colocate", "server"] = ""
    seed: int = 0
    trl: Mapping[str, Any] = field(default_factory=dict)
    contexts: Mapping[str, Any] = field(default_factory=dict)
    micro_rows: int = 0
    released_batching: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_range(self, "updates", "tasks", "siblings", "rounds", "mini_batches", least=1)
        check_range(self, "prompt_tokens", "response_tokens", "token_budget", "play_budget", least=1)
        check_range(self, "turns", "warmup", "grad_clip", "weight_decay", "context_tokens", "micro_rows", least=0)
        check_range(self, "envs", "save_every", "keep", "cache_mb", least=0)
        check_range(self, "learning_rate", above=0)
        check_range(self, "temperature", above=0, why=", because siblings must differ")
        check_range(self, "seed", least=0, most=MAX_SEED)
        if self.vllm not in ("", "colocate", "server"):
            raise SettingError("vllm", "as '', 'colocate' or 'server'", self.vllm, "colocate")
        self._read("contexts", ContextSettings, "{truncation: middle}", "context_settings")
        self._read("released_batching", ReleasedBatching, "{multiple: 256}", "batching")

    def _read(self, name: str, kind: type, example: str, attribute: str) -> None:
        try:
            object.__setattr__(self, attribute, build(kind, getattr(self, name), name))
        except TypeError as error:
            raise SettingError(name, "as settings by name", getattr(self, name), example) from error

    #: The settings of contexts.
    context_settings: ClassVar[ContextSettings]
    #: The settings of released batching.
    batching: ClassVar[ReleasedBatching]

    def as_dict(self) -> dict[str, Any]:
        """The values as plain data. Settings that runs from before they existed lack are omitted at their defaults."""
        plain = asdict(self)
        for name, default in (("contexts", {}), ("micro_rows", 0), ("rounds", 1), ("released_batching", {})):
            if plain[name] == default:
                del plain[name]
        return plain

    def check_method(self, method: Method) -> None:
        """Raise if a method that compares the rollouts of a task would get only one, or if two would replace rollouts.

        Without a policy gradient the advantages have no effect, so that one rollout is enough.
        """
        if self.rounds > 1 and method.replaces_rollouts:
            raise SettingError(
                "plan.rounds", f"1 with {method.name}, which replays hard groups itself", self.rounds, "1"
            )
        if self.siblings < 2 and method.critic is None and method.policy_weight > 0:
            hint = "8, because one rollout has no group to compare with (a method with a critic needs none)"
            raise SettingError("plan.siblings", "≥ 2", self.siblings, hint)
