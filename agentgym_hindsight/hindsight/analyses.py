"""What a model wrote about a finished rollout. It is no sixth source: it is derived from the five, by an analyser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.sources import Provenance
from agentgym_hindsight.names import known_name
from agentgym_hindsight.short_repr import short_repr

__all__ = ["ANALYSIS_KINDS", "Analysed", "Analysis", "analysis_text"]

#: The kinds of analyses. A hint, a diagnosis and a reflection concern one rollout; a playbook and skills, whole tasks.
ANALYSIS_KINDS: tuple[str, ...] = ("hint", "diagnosis", "reflection", "playbook", "skill", "judge")


@dataclass(frozen=True, slots=True, repr=False)
class Analysis:
    """One text about a rollout, or about one of its turns. It is stored in ``Trajectory.analyses``.

    * ``kind``: one of ``ANALYSIS_KINDS``.
    * ``step``: the index of the turn; ``None``: the whole rollout.
    * ``analyser``: who wrote it: ``policy``, ``teacher``, or ``endpoint:NAME``.

    >>> Analysis("hint", "Open the fridge first.", step=2, analyser="teacher")
    Analysis(hint, 'Open the fridge first.', step=2, analyser='teacher')
    """

    kind: str
    text: str
    step: int | None = None
    analyser: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", known_name("kind of analysis", self.kind, ANALYSIS_KINDS))
        if not isinstance(self.text, str):
            raise UsageError(f"Expected the text of an analysis, got {type(self.text).__name__}; try str(…).")
        if self.step is not None and (not isinstance(self.step, int) or isinstance(self.step, bool) or self.step < 0):
            raise UsageError(f"Expected the index of a turn, got {self.step!r}; try step=0, or None for the rollout.")

    @property
    def provenance(self) -> Provenance:
        """``judge`` for a judge's text, else ``analyser``."""
        return Provenance.JUDGE if self.kind == "judge" else Provenance.ANALYSER

    def __repr__(self) -> str:
        place = "" if self.step is None else f", step={self.step}"
        writer = f", analyser={short_repr(self.analyser, 40)}" if self.analyser else ""
        return f"Analysis({self.kind}, {short_repr(self.text, 60)}{place}{writer})"


class Analysed(Protocol):
    """A rollout with analyses."""

    @property
    def analyses(self) -> Sequence[Analysis]: ...


def analysis_text(rollout: Analysed, kind: str, place: int) -> str:
    """What the analyses of a kind say about a turn: those about the turn and those about the whole rollout, in order.

    "" if there is none. Equal texts are shown once.
    """
    found = (each.text.strip() for each in rollout.analyses if each.kind == kind and each.step in (None, place))
    return "\n".join(filter(None, dict.fromkeys(found)))
