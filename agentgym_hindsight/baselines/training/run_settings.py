"""The settings of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.settings import MAX_SEED, SettingError, check_range
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.tiny import SIZES, is_tiny
from agentgym_hindsight.baselines.training.warm_start import WarmStart
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.names import known_name
from agentgym_hindsight.redaction import hide_secret_values
from agentgym_hindsight.stage import Stage

__all__ = ["EvaluationSettings", "RunSettings"]


@dataclass(frozen=True)
class EvaluationSettings:
    """When and on which tasks a policy is evaluated: a fixed panel of a split that training never plays.

    * ``split``: ``""`` takes the held-out split of the environment.
    * ``tasks``: the number of tasks (0: the whole split), drawn only by ``seed``, so all runs play the same panel.
    * ``every``: updates between evaluations; 0 evaluates only before the first and after the last update.
    * ``temperatures``: 0 is greedy; the papers evaluate at 0.4.
    * ``envs``: environments played in parallel.
    """

    split: str = ""
    tasks: int = 128
    every: int = 0
    temperatures: tuple[float, ...] = (0.0, 0.4)
    seed: int = 0
    envs: int = 64

    def __post_init__(self) -> None:
        check_range(self, "tasks", "every", least=0)
        check_range(self, "envs", least=1)
        check_range(self, "seed", least=0, most=MAX_SEED)
        given = self.temperatures
        numbers = isinstance(given, (tuple, list)) and all(_is_number(value) for value in given)
        if not given or not numbers or not all(0 <= value < float("inf") for value in given):
            raise SettingError("temperatures", "as numbers ≥ 0", given, "[0, 0.4]")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@dataclass(frozen=True)
class RunSettings:
    """The settings of a run.

    * ``model``: ``tiny:S``, ``tiny:M``, ``tiny:L`` (random weights, then the warm start that ``warm`` describes), a
      folder, or a name that transformers can load. ``template`` contains arguments of its chat template.
    * ``train_tasks``: the number of training tasks that are cycled through (0: all), in an order drawn by the seed.
    * ``samples_every``: updates between recorded sample rollouts.
    * ``samples``: ``pair`` records a won and a lost rollout, ``all`` every rollout of the first process.
    * ``peft``: arguments of a LoraConfig; then only adapters are trained.
    * ``judge``: arguments of :class:`~agentgym_hindsight.hindsight.judge.JudgeClient`, for contexts that need a judge.
    * ``analyser``: arguments of :class:`~.analyser_client.AnalyserClient`, for methods that ask an endpoint.
    """

    method: Method
    stage: Stage
    plan: Plan
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    model: str = "tiny:S"
    template: Mapping[str, Any] = field(default_factory=dict)
    warm: WarmStart = field(default_factory=WarmStart)
    train_tasks: int = 0
    samples_every: int = 10
    samples: Literal["pair", "all"] = "pair"
    peft: Mapping[str, Any] | None = None
    judge: Mapping[str, Any] | None = field(default=None, repr=False)  # its URL may contain a password
    analyser: Mapping[str, Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_range(self, "train_tasks", "samples_every", least=0)
        object.__setattr__(self, "samples", known_name("choice of samples", self.samples, ("pair", "all")))
        self.plan.check_method(self.method)
        if is_tiny(self.model):
            size = known_name("size of a tiny policy", self.model.partition(":")[2], SIZES)
            object.__setattr__(self, "model", f"tiny:{size}")

    def as_dict(self) -> dict[str, Any]:
        """Every setting as plain data, for run.json and configuration files. Passwords are hidden, also those in URLs.

        The seed is omitted. run.json stores it separately, because the report averages runs that differ only in the
        seed.
        """
        plain = asdict(replace(self, method=_PLACEHOLDER))  # asdict would copy the method's schedule and credit
        plain["method"] = dict(self.method.as_dict())
        plain["stage"] = self.stage.as_dict()
        plain["warm"] = self.warm.as_dict()
        plain["plan"] = self.plan.as_dict()
        plain["plan"].pop("seed")
        if self.samples == "pair":  # runs of earlier releases, which have no such setting, can be continued
            plain.pop("samples")
        hidden: dict[str, Any] = hide_secret_values(plain)
        return hidden


def _no_credit(rows: Any) -> Any:
    raise UsageError("Expected a method with a credit, got a placeholder; this is a bug of the library.")


_PLACEHOLDER = Method("", _no_credit)
