"""Computes the five feedback sources, anchor groups and the teacher's context from finished groups of rollouts.

Imports neither an env nor torch. The names below are the public API of this package. The judge is imported at first
use, because it imports httpcore.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgym_hindsight.hindsight.analyses import ANALYSIS_KINDS, Analysis
from agentgym_hindsight.hindsight.anchors import ANCHOR_KINDS, AnchorGroup, Row, anchor_key, cluster, rows_of, state_key
from agentgym_hindsight.hindsight.budget import Budget, approximate_tokens
from agentgym_hindsight.hindsight.collisions import CollisionReport, collision_report
from agentgym_hindsight.hindsight.context import Section, TeacherContext, compose
from agentgym_hindsight.hindsight.control_text import break_control_text
from agentgym_hindsight.hindsight.info import Info, plain_info
from agentgym_hindsight.hindsight.jsonl import (
    LineProblem,
    ReadResult,
    dump_trajectory,
    iter_jsonl,
    load_trajectory,
    read_jsonl,
    write_jsonl,
)
from agentgym_hindsight.hindsight.reference_store import ReferenceStore
from agentgym_hindsight.hindsight.resolve import ReferenceSource, hindsight_now, resolve, resolve_episode
from agentgym_hindsight.hindsight.sources import Feedback, FeedbackSource, Hindsight, Provenance
from agentgym_hindsight.hindsight.spec import SERL_MODES, ContextOptions, ContextSpec
from agentgym_hindsight.hindsight.tables import to_dataframe, to_rows
from agentgym_hindsight.hindsight.trajectory import Group, Origin, Step, Trajectory, group_by_task, render_steps

if TYPE_CHECKING:
    from agentgym_hindsight.hindsight.judge import JudgeClient, Judgement, JudgeUsage

__all__ = [
    "ANALYSIS_KINDS",
    "ANCHOR_KINDS",
    "SERL_MODES",
    "Analysis",
    "AnchorGroup",
    "Budget",
    "CollisionReport",
    "ContextOptions",
    "ContextSpec",
    "Feedback",
    "FeedbackSource",
    "Group",
    "Hindsight",
    "Info",
    "JudgeClient",
    "JudgeUsage",
    "Judgement",
    "LineProblem",
    "Origin",
    "Provenance",
    "ReadResult",
    "ReferenceSource",
    "ReferenceStore",
    "Row",
    "Section",
    "Step",
    "TeacherContext",
    "Trajectory",
    "anchor_key",
    "approximate_tokens",
    "break_control_text",
    "cluster",
    "collision_report",
    "compose",
    "dump_trajectory",
    "group_by_task",
    "hindsight_now",
    "iter_jsonl",
    "load_trajectory",
    "plain_info",
    "read_jsonl",
    "render_steps",
    "resolve",
    "resolve_episode",
    "rows_of",
    "state_key",
    "to_dataframe",
    "to_rows",
    "write_jsonl",
]

_JUDGE = ("JudgeClient", "JudgeUsage", "Judgement")


def __getattr__(name: str) -> Any:
    if name in _JUDGE:
        from agentgym_hindsight.hindsight import judge

        return getattr(judge, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_JUDGE})
