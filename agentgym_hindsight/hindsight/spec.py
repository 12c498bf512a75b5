"""The context language: ``"success+immediate@anchor"`` as a value, and SERL's modes written in it.

``a+b`` needs both sources; if one does not exist, there is no context. ``a|b`` takes the first alternative that exists.
``+`` binds tighter than ``|``. ``@step`` (default) composes a context for every step, ``@anchor`` for every anchor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.anchors import ANCHOR_KINDS

__all__ = ["SERL_MODES", "SOURCES", "WRITTEN", "ContextOptions", "ContextSpec"]

#: Texts that an analyser wrote and that are stored with the rollout: see :mod:`~.analyses`.
WRITTEN: tuple[str, ...] = ("hint", "diagnosis", "reflection", "playbook", "skill")
#: The sources, in the order of their sections in the prompt.
SOURCES: tuple[str, ...] = (
    "success",
    "current",
    "future",
    "immediate",
    "next",
    "judge",
    "judge:success",
    *WRITTEN,
)
_WHERE = ("step", "anchor")
_FORMATS = ("response", "observation_action")


@dataclass(frozen=True, slots=True)
class ContextSpec:
    """The sources of a context, and its granularity.

    ``judge`` is the judge's text on the rollout itself. For ``judge:success`` the judge also sees a successful rollout.
    The two differ in the request to the judge, not in how its answer is shown. ``hint``, ``diagnosis``, ``reflection``,
    ``playbook`` and ``skill`` are read from ``Trajectory.analyses``.

    >>> spec = ContextSpec.parse("immediate+success@anchor")
    >>> str(spec), sorted(spec.sources)
    ('success+immediate@anchor', ['immediate', 'success'])
    """

    alternatives: tuple[tuple[str, ...], ...]
    where: Literal["step", "anchor"] = "step"

    def __post_init__(self) -> None:
        for parts in self.alternatives:
            for name in parts:
                if name not in SOURCES:
                    raise UnknownNameError("context source", name, SOURCES)
        if self.where not in _WHERE:
            raise UnknownNameError("place of a context", self.where, _WHERE)
        if not self.alternatives or not all(self.alternatives):
            raise UsageError('Expected at least one source in every alternative; try "success|immediate".')
        if {"judge", "judge:success"} <= self.sources:
            raise UsageError("Expected one kind of judge in a spec, got judge and judge:success; try one of them.")
        whole = self.sources & {"judge", "judge:success", "current", *WRITTEN}
        if self.where == "anchor" and whole:
            raise UsageError(
                f"Expected sources of one turn at an anchor, got {', '.join(sorted(whole))}, which describe one "
                "rollout; try @step."
            )
        ordered = tuple(tuple(name for name in SOURCES if name in parts) for parts in self.alternatives)
        object.__setattr__(self, "alternatives", ordered)

    @classmethod
    def parse(cls, text: str) -> ContextSpec:
        """Parse a spec such as ``"success|immediate"`` or ``"success+future+next@anchor"``."""
        sources, at, where = text.partition("@")
        alternatives = tuple(tuple(name.strip() for name in part.split("+")) for part in sources.split("|"))
        return cls(alternatives, (where.strip() if at else "step"))  # type: ignore[arg-type]  # checked above

    @property
    def sources(self) -> frozenset[str]:
        """All sources in the spec."""
        return frozenset(name for parts in self.alternatives for name in parts)

    @property
    def needs_judge(self) -> bool:
        """Whether a judge's text is needed before the context can be composed."""
        return bool(self.sources & {"judge", "judge:success"})

    @property
    def judge_sees_success(self) -> bool:
        """Whether the judge sees a successful rollout as reference."""
        return "judge:success" in self.sources

    def __str__(self) -> str:
        joined = "|".join("+".join(parts) for parts in self.alternatives)
        return joined if self.where == "step" else f"{joined}@{self.where}"


@dataclass(frozen=True, slots=True)
class ContextOptions:
    """The format of a context. Defaults are those of SERL's release, except ``anchor`` (the release: "observation").

    * ``trajectory_format``: ``"response"`` shows the responses of a rollout, ``"observation_action"`` also its prompts.
    * ``remove_thinking``: remove ``<think>…</think>`` from demonstrations, futures and actions.
    * ``dont_reprompt_on_self_success``: a winner is no reference for itself.
    * ``max_traj_context_steps``, ``max_future_context_steps``: the number of first steps to show; 0 shows all.
    * ``anchor``, ``anchor_ratio``: which turns share an anchor, as in :func:`~.anchors.cluster`.
    * ``recorded_actions`` (ours): if a reply has no action tag, a candidate action is the part of the reply that was
      recorded as the action. The release takes what is left of the reply without its thinking, or "(empty action)".
    * ``prompts_as_observations`` (ours): at an anchor, the prompt stands for an empty observation. The release puts all
      turns with an empty observation into one anchor.
    * ``details`` (ours): append the reason for a reply (``Step.detail``) to immediate feedback.
    """

    trajectory_format: Literal["response", "observation_action"] = "response"
    remove_thinking: bool = True
    dont_reprompt_on_self_success: bool = True
    max_traj_context_steps: int = 0
    max_future_context_steps: int = 0
    anchor: str = "state"
    anchor_ratio: float = 0.95
    details: bool = False
    recorded_actions: bool = True
    prompts_as_observations: bool = True

    @classmethod
    def released(cls) -> ContextOptions:
        """The options of SERL's release, also for damaged replies and empty observations."""
        return cls(anchor="observation", recorded_actions=False, prompts_as_observations=False)

    def __post_init__(self) -> None:
        if self.trajectory_format not in _FORMATS:
            raise UnknownNameError("trajectory format", self.trajectory_format, _FORMATS)
        if self.anchor not in ANCHOR_KINDS:
            raise UnknownNameError("anchor", self.anchor, ANCHOR_KINDS)
        for name in ("max_traj_context_steps", "max_future_context_steps"):
            if getattr(self, name) < 0:
                raise UsageError(f"Expected {name} ≥ 0, got {getattr(self, name)}; try 0 for no limit.")


_STEP_MODES = {
    "immediate_feedback": "immediate",
    "next_observation": "next",
    "future_trajectory": "future",
    "successful_sample_or_immediate_feedback": "success|immediate",
    "successful_sample_immediate_feedback": "success+immediate",
    "successful_sample_next_observation": "success+next",
    "successful_sample_future_trajectory": "success+future",
    "successful_sample_future_trajectory_immediate_feedback": "success+future+immediate",
    "successful_sample_future_trajectory_next_observation": "success+future+next",
}

#: The twenty modes of SERL's release as specs: nine at a step, the same nine at an anchor, two with a judge.
SERL_MODES: Mapping[str, str] = MappingProxyType(
    _STEP_MODES
    | {f"anchor_{mode}": f"{spec}@anchor" for mode, spec in _STEP_MODES.items()}
    | {"judge_current_traj": "judge", "judge_current_traj_on_successful_sample": "judge:success"}
)
