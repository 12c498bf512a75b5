"""Six small values make a method: what, where, who, which tokens, how, when; and the credit they act on.

========  =======================================  ==========================================================
value     written as                               meaning
========  =======================================  ==========================================================
what      ``"success|immediate"``, ``""``          the sources a teacher is shown; none at all: no teacher
where     ``"step"``, ``"anchor"``                 each turn's own context, or one for all turns of a situation
who       ``"current"``, ``"sync:10"``, …          the teacher: see :class:`~.teachers.TeacherSpec`
tokens    ``"action"``, ``"response@failed"``, …   which tokens are weighted, and in which turns
how       ``"reweight"``, ``"reweight:0.2:mean"``  what the teacher's word does to a token's advantage
when      ``"0.5->0/50"``                          the coefficient λ over policy updates
========  =======================================  ==========================================================

``credit`` is the advantage of a turn before any teacher speaks, in its recipe's words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from agentgym_hindsight.baselines.schedules import Constant, Schedule, parse_schedule
from agentgym_hindsight.baselines.teachers import TeacherSpec
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.anchors import ANCHOR_KINDS
from agentgym_hindsight.hindsight.spec import ContextSpec

if TYPE_CHECKING:
    from torch import Tensor

    from agentgym_hindsight.baselines.advantages import Rows

__all__ = ["Credit", "Method", "Reweight", "Tokens"]

_PARTS = ("action", "response")
_TURNS = ("all", "failed", "won", "invalid")
_WHERE = ("step", "anchor")


class Credit(Protocol):
    """The advantage (B,) of every row before a teacher speaks."""

    def __call__(self, rows: Rows) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Tokens:
    """Which tokens a teacher's word counts for: the action's or the whole response's, in which turns.

    ``failed`` and ``won`` are turns of rollouts that ended so; ``invalid`` are turns whose action was refused.

    >>> str(Tokens.parse("action@failed"))
    'action@failed'
    """

    part: Literal["action", "response"] = "action"
    turns: Literal["all", "failed", "won", "invalid"] = "all"

    def __post_init__(self) -> None:
        if self.part not in _PARTS:
            raise UnknownNameError("part of a response", self.part, _PARTS)
        if self.turns not in _TURNS:
            raise UnknownNameError("subset of turns", self.turns, _TURNS)

    @classmethod
    def parse(cls, text: str) -> Tokens:
        """Read ``"action"``, ``"response"`` or ``"action@failed"``."""
        part, at, turns = text.partition("@")
        return cls(part, turns if at else "all")  # type: ignore[arg-type]  # checked above

    def takes(self, *, won: bool, valid: bool) -> bool:
        """Whether a turn belongs to the subset."""
        return {"all": True, "failed": not won, "won": won, "invalid": not valid}[self.turns]

    def __str__(self) -> str:
        return self.part if self.turns == "all" else f"{self.part}@{self.turns}"


@dataclass(frozen=True, slots=True)
class Reweight:
    """Multiply a token's advantage by (1−λ) + λ·clip(exp(sgn(A)·Δ), 1−clip, 1+clip).

    ``mean_one`` (ours) divides by the row's mean weight: a teacher then moves credit between the tokens of a turn, and
    never adds to the push of the whole.

    >>> str(Reweight.parse("reweight:0.2:mean"))
    'reweight:0.2:mean'
    """

    clip: float = 0.2
    mean_one: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.clip < 1:
            raise UsageError(f"Expected 0 < clip < 1, got {self.clip}; try 0.2.")

    @classmethod
    def parse(cls, text: str) -> Reweight:
        """Read ``"reweight"``, ``"reweight:0.2"`` or ``"reweight:0.2:mean"``."""
        name, *rest = text.split(":")
        if name != "reweight":
            raise UnknownNameError("signal", name, ["reweight"])
        try:
            clip = float(rest[0]) if rest else 0.2
        except ValueError:
            raise UsageError(f"Expected reweight:CLIP, got {text!r}; try reweight:0.2.") from None
        if len(rest) > 2 or (len(rest) == 2 and rest[1] != "mean"):
            raise UsageError(f"Expected reweight:CLIP or reweight:CLIP:mean, got {text!r}; try reweight:0.2:mean.")
        return cls(clip, len(rest) == 2)

    def __str__(self) -> str:
        # repr keeps every digit: the text is a faithful copy.
        return f"reweight:{float(self.clip)!r}{':mean' if self.mean_one else ''}"


@dataclass(frozen=True)
class Method:
    """A way to train, as values. Recipes make them; ``changed`` exchanges single values, given as text.

    * ``anchor``: which turns share a situation, for step credit and ``where="anchor"`` alike; the release compares
      observations.
    * ``clip``, ``dual_clip``, ``entropy``, ``kl``: of the policy loss (ratio bounds, upper bound for negative
      advantages, bonus, k3 penalty to the first policy).
    * ``aux_kl``: λ·aux_kl·KL(teacher ‖ policy) over the chosen tokens is added: the paper's Eq. 14, absent from the
      released code and 0 by default.
    * ``details``: whether feedback carries the reason for a refusal (ours; the genuine envs do not say it).

    >>> from agentgym_hindsight.baselines.recipes import recipe
    >>> serl = recipe("serl")
    >>> str(serl.who), str(serl.tokens), serl.when(0), serl.changed(when="0.3").when(99)
    ('sync:10', 'action', 0.5, 0.3)
    """

    name: str
    credit: Credit
    what: ContextSpec | None = None
    where: Literal["step", "anchor"] = "step"
    who: TeacherSpec = field(default_factory=TeacherSpec)
    tokens: Tokens = field(default_factory=Tokens)
    how: Reweight = field(default_factory=Reweight)
    when: Schedule = field(default_factory=lambda: Constant(0.0))
    anchor: str = "observation"
    clip: float = 0.2
    dual_clip: float | None = 3.0
    entropy: float = 0.001
    kl: float = 0.0
    aux_kl: float = 0.0
    details: bool = False

    def __post_init__(self) -> None:
        self._check_kinds()
        if self.where not in _WHERE:
            raise UnknownNameError("place of a context", self.where, _WHERE)
        if self.anchor not in ANCHOR_KINDS:
            raise UnknownNameError("anchor", self.anchor, ANCHOR_KINDS)
        for name, value in (("entropy", self.entropy), ("kl", self.kl), ("aux_kl", self.aux_kl)):
            if value < 0:
                raise UsageError(f"Expected {name} ≥ 0, got {value}; try 0 for none.")
        if not 0 < self.clip < 1:
            raise UsageError(f"Expected 0 < clip < 1, got {self.clip}; try 0.2.")
        for update in (0, getattr(self.when, "first", 0)):
            if not 0 <= (lam := self.when(update)) <= 1:
                raise UsageError(f"Expected λ between 0 and 1, got {lam} at update {update}; try 0.5->0/50.")
        if self.dual_clip is not None and self.dual_clip <= 1 + self.clip:
            raise UsageError(f"Expected dual_clip above 1 + clip, got {self.dual_clip}; try 3, or None for none.")
        if self.what is not None and self.what.where != self.where:
            # "where" is a value of its own; a spec such as "immediate@anchor" sets it.
            object.__setattr__(self, "what", ContextSpec(self.what.alternatives, self.where))

    def _check_kinds(self) -> None:
        # Configuration files and command lines bring whatever was written in them.
        values: tuple[tuple[str, type, str], ...] = (
            ("who", TeacherSpec, "sync:10"),
            ("tokens", Tokens, "action"),
            ("how", Reweight, "reweight:0.2"),
        )
        for name, kind, example in values:
            if not isinstance(getattr(self, name), kind):
                raise UsageError(f"Expected {name} as text, got {getattr(self, name)!r}; try {example}.")
        if self.what is not None and not isinstance(self.what, ContextSpec):
            raise UsageError(f"Expected what as text, got {self.what!r}; try success|immediate, or nothing for none.")
        if not callable(self.when):
            raise UsageError(f"Expected when as a schedule, got {self.when!r}; try 0.5->0/50.")
        for name in ("clip", "dual_clip", "entropy", "kl", "aux_kl"):
            value = getattr(self, name)
            if not _is_number(value) and not (name == "dual_clip" and value is None):
                raise UsageError(f"Expected {name} as a number, got {value!r}; try the default.")
        if not isinstance(self.details, bool):
            raise UsageError(f"Expected details as true or false, got {self.details!r}; try true.")

    @property
    def has_teacher(self) -> bool:
        """Whether anything is ever asked of a teacher."""
        return self.what is not None

    def changed(self, **values: Any) -> Method:
        """The same method with some values exchanged; texts are read by their value's own grammar.

        A name that is no value of a method is one of its credit's: ``changed(statistics="trajectories")``.
        """
        own = {each.name for each in fields(self)}
        mine = {name: value for name, value in values.items() if name in own}
        credit = {name: value for name, value in values.items() if name not in own}
        if isinstance(mine.get("what"), str):
            text = mine["what"]
            mine["what"] = ContextSpec.parse(text) if text else None
            if "@" in text and mine.setdefault("where", mine["what"].where) != mine["what"].where:
                # One of the two may come from a file: neither is dropped in silence.
                raise UsageError(f"Expected one place, got what={text!r} and where={mine['where']!r}; try both alike.")
        readers = {"who": TeacherSpec.parse, "tokens": Tokens.parse, "how": Reweight.parse, "when": parse_schedule}
        for name, read in readers.items():
            if isinstance(mine.get(name), (str, int, float)):
                mine[name] = read(str(mine[name]))
        if credit:
            known = {each.name: each.default for each in fields(self.credit)}  # type: ignore[arg-type]  # dataclasses
            for name, value in credit.items():
                if name not in known:
                    raise UnknownNameError(f"value of {self.name}", name, own - {"name", "credit"} | known.keys())
                like = known[name]
                kinds = (int, float) if isinstance(like, float) else (type(like),)
                if like is not MISSING and type(value) not in kinds:
                    raise UsageError(f"Expected {name} as {type(like).__name__}, got {value!r}; try {like!r}.")
            mine["credit"] = replace(self.credit, **credit)  # type: ignore[type-var]
        return replace(self, **mine)

    def as_dict(self) -> Mapping[str, Any]:
        """Every value as text or number, for logs and configuration files; ``changed(**…)`` reads it back."""
        plain: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "credit":
                plain.update({option.name: getattr(value, option.name) for option in fields(value)})
            elif each.name == "what":
                plain["what"] = "" if value is None else str(value).partition("@")[0]
            elif each.name != "name":
                plain[each.name] = value if isinstance(value, (bool, int, float, str, type(None))) else str(value)
        return plain


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
