"""The settings of a run that shape contexts and anchors beyond what the method says: ``plan.contexts``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.settings import SettingError, check_range
from agentgym_hindsight.hindsight.budget import Budget
from agentgym_hindsight.hindsight.spec import ContextOptions

__all__ = ["ContextSettings"]


@dataclass(frozen=True)
class ContextSettings:
    """The defaults are those of :class:`~agentgym_hindsight.hindsight.spec.ContextOptions`.

    * ``released``: anchors and candidate actions as in SERL's release, also for damaged replies and empty observations
      (:meth:`~agentgym_hindsight.hindsight.spec.ContextOptions.released`), and ``similar`` anchors in batch order.
    * ``trajectory_format``, ``remove_thinking``, ``max_traj_context_steps``, ``max_future_context_steps``: how rollouts
      are shown. ``self_success``: a winner without a winning sibling is its own reference.
    * ``anchor_ratio``: the least similarity of ``similar`` anchors.
    * ``truncation``: what a context that is too long loses: its ``tail`` or its ``middle``; ``right_raw`` cuts the end
      of the whole prompt with its template, as the release does: the context, and then the header of the answer.
    """

    released: bool = False
    trajectory_format: Literal["response", "observation_action"] = "response"
    remove_thinking: bool = True
    self_success: bool = False
    max_traj_context_steps: int = 0
    max_future_context_steps: int = 0
    anchor_ratio: float = 0.95
    truncation: Literal["tail", "middle", "right_raw"] = "tail"

    def __post_init__(self) -> None:
        check_range(self, "max_traj_context_steps", "max_future_context_steps", least=0)
        if not 0 < self.anchor_ratio < 1:
            raise SettingError("anchor_ratio", "above 0 and below 1", self.anchor_ratio, "0.95")

    def options(self, method: Method) -> ContextOptions:
        """The options of the contexts of a method."""
        return ContextOptions(
            trajectory_format=self.trajectory_format,
            remove_thinking=self.remove_thinking,
            dont_reprompt_on_self_success=not self.self_success,
            max_traj_context_steps=self.max_traj_context_steps,
            max_future_context_steps=self.max_future_context_steps,
            anchor=method.anchor,
            anchor_ratio=self.anchor_ratio,
            details=method.details,
            recorded_actions=not self.released,
            prompts_as_observations=not self.released,
        )

    def budget(self, tokens: int, count: Callable[[str], int]) -> Budget:
        """The budget of a context."""
        return Budget(tokens, count, self.truncation)
