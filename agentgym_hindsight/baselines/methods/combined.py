"""A method plus terms of others: ``agh train grpo --plus hint-sd:0.5``.

A term adds the ``extra_loss`` of another method, times a weight and a schedule; its contexts, teacher and rollouts that
are played again come with it. Credit, policy loss and critic are those of the first method. At most one of the methods
has a teacher, because a turn has one context, and at most one plays rollouts again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from typing import TYPE_CHECKING, Any

from agentgym_hindsight.baselines.methods import RECIPES, recipe
from agentgym_hindsight.baselines.methods.asking import Ask
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.evidence import Evidence
from agentgym_hindsight.baselines.methods.replacing import Replacement
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.schedules import Constant, Schedule, parse_schedule
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.trajectory import Group
from agentgym_hindsight.names import import_object, is_import_name

if TYPE_CHECKING:  # methods can be listed without torch
    from torch import Tensor

    from agentgym_hindsight.baselines.methods.batch import Batch, Scores
    from agentgym_hindsight.baselines.methods.teacher_prompts import GivenContext

__all__ = ["Combined", "Term", "combine", "terms_of"]

#: The values that belong to the method that has the teacher.
_OF_THE_TEACHER = ("what", "who", "tokens", "how", "when")
_COMMON = frozenset(each.name for each in fields(Method))


@dataclass(frozen=True)
class Term:
    """Another method's term: ``NAME[:weight[:schedule]]``.

    >>> term = Term.parse("hint-sd:0.5:1->0/50")
    >>> term.method.name, term.weight, term.factor(25)
    ('hint-sd', 0.5, 0.25)
    """

    method: Method
    weight: float = 1.0
    schedule: Schedule = field(default_factory=lambda: Constant(1.0))
    text: str = ""

    @classmethod
    def parse(cls, text: str) -> Term:
        """Read a term. The schedule has the grammar of ``when``, or is ``module:NAME``."""
        name, _, rest = text.strip().partition(":")
        if name.casefold() not in RECIPES and is_import_name(":".join([name, rest.partition(":")[0]])):
            attribute, _, rest = rest.partition(":")
            name = f"{name}:{attribute}"
        weight, _, schedule = rest.partition(":")
        try:
            number = float(weight or 1.0)
        except ValueError:
            number = -1.0
        if not (isfinite(number) and number >= 0):
            raise UsageError(f"Expected NAME:WEIGHT with a weight ≥ 0, got {text!r}; try hint-sd:0.5.")
        when: Any = Constant(1.0)
        if schedule:
            when = import_object("schedule", schedule) if is_import_name(schedule) else parse_schedule(schedule)
        return cls(recipe(name), number, when, text.strip())

    def factor(self, update: int) -> float:
        """The weight times the schedule."""
        return self.weight * self.schedule(update)


def combine(base: Method, *texts: str) -> Method:
    """The method with terms of others; without any, the method itself.

    >>> combined = combine(recipe("grpo"), "hint-sd:0.5")
    >>> combined.name, str(combined.who), combined.policy_weight
    ('grpo plus hint-sd', 'ema:0.001', 1.0)
    """
    terms = tuple(Term.parse(text) for text in texts)
    return _combined(base, terms) if terms else base


def _combined(base: Method, terms: Sequence[Term]) -> Combined:
    parts = [base, *(term.method for term in terms)]
    teaching = [part for part in parts if part.has_teacher]
    replacing = [part for part in parts if part.replaces_rollouts]
    for kind, found in (("a teacher", teaching), ("rollouts that are played again", replacing)):
        if len(found) > 1:
            names = " and ".join(part.name for part in found)
            raise UsageError(f"Expected at most one method with {kind}, got {names}; try one of them.")
    all_names = [part.name for part in parts]
    if len({*all_names}) < len(all_names):
        raise UsageError(f"Expected different methods, got {', '.join(all_names)}; try each of them once.")
    values = {name: getattr(base, name) for name in _COMMON}
    values |= {name: getattr(teaching[0], name) for name in _OF_THE_TEACHER} if teaching else {}
    values["name"] = " plus ".join(all_names)
    values["imported_from"] = "+".join(dict.fromkeys(filter(None, (part.imported_from for part in parts))))
    return Combined(**values, base=base, terms=tuple(terms))


@dataclass(frozen=True)
class Combined(Method):
    """A method and the terms of others; made by :func:`combine`."""

    base: Method | None = None
    terms: tuple[Term, ...] = ()

    @property
    def _parts(self) -> tuple[Method, ...]:
        assert self.base is not None
        return self.base, *(term.method for term in self.terms)

    @property
    def _first(self) -> Method:
        assert self.base is not None
        return self.base

    @property
    def _teaching(self) -> Method | None:
        return next((part for part in self._parts if part.has_teacher), None)

    @property
    def _replacing(self) -> Method | None:
        return next((part for part in self._parts if part.replaces_rollouts), None)

    def _any(self, name: str) -> bool:
        return any(getattr(part, name) for part in self._parts)

    @property
    def writes_contexts(self) -> bool:
        return self._any("writes_contexts")

    @property
    def replaces_rollouts(self) -> bool:
        return self._any("replaces_rollouts")

    @property
    def uses_logits(self) -> bool:
        return self._any("uses_logits")

    @property
    def uses_hidden(self) -> bool:  # type: ignore[override]  # depends on the parts
        return self._any("uses_hidden")

    @property
    def uses_teacher_entropy(self) -> bool:  # type: ignore[override]
        return self._any("uses_teacher_entropy")

    @property
    def compares_teacher(self) -> bool:  # type: ignore[override]
        return self._any("compares_teacher")

    @property
    def scores_zero_advantages(self) -> bool:  # type: ignore[override]
        return self._any("scores_zero_advantages")

    @property
    def whole_batch(self) -> bool:  # type: ignore[override]
        return self._any("whole_batch")

    @property
    def weights_updates(self) -> bool:  # type: ignore[override]
        return self._first.weights_updates

    @property
    def weight_bounds(self) -> tuple[float, float] | None:
        return self._first.weight_bounds if self._first.has_teacher else None

    @property
    def resample_rounds(self) -> int:  # type: ignore[override]
        return 1 if self._replacing is None else self._replacing.resample_rounds

    # -- hooks ---------------------------------------------------------------------------------------------------

    def needs_teacher(self, update: int) -> bool:
        if self._first.has_teacher:
            return self._first.needs_teacher(update)
        teaching = next((term for term in self.terms if term.method.has_teacher), None)
        return teaching is not None and teaching.factor(update) > 0 and teaching.method.needs_teacher(update)

    def resample(self, groups: Sequence[Group], ask: Ask) -> Sequence[Replacement]:
        return () if self._replacing is None else self._replacing.resample(groups, ask)

    def contexts(self, groups: Sequence[Group], ask: Ask) -> Sequence[Sequence[Sequence[GivenContext]]]:
        teaching = self._teaching
        return super().contexts(groups, ask) if teaching is None else teaching.contexts(groups, ask)

    def share_memory(self, memory: MutableMapping[str, Any], gather: Callable[[list[Any]], list[Any]]) -> None:
        for part in self._parts:
            part.share_memory(memory, gather)

    def update_advantages(
        self, rows: Rows, advantages: Array, evidence: Evidence, lam: float, memory: MutableMapping[str, Any]
    ) -> Sequence[Array | None]:
        return self._first.update_advantages(rows, advantages, evidence, lam, memory)

    def update_signals(
        self, rows: Rows, advantages: Array, evidence: Evidence, lam: float, memory: MutableMapping[str, Any]
    ) -> Sequence[Array | None] | None:
        teaching = self._teaching
        return None if teaching is None else teaching.update_signals(rows, advantages, evidence, lam, memory)

    def row_signals(self, rows: Rows) -> Array | None:
        return next((found for part in self._parts if (found := part.row_signals(rows)) is not None), None)

    def token_advantages(self, batch: Batch, student: Scores, teacher: Scores | None) -> Tensor:
        return self._first.token_advantages(batch, student, teacher if self._first.has_teacher else None)

    def reduction_factors(self, batch: Batch) -> Tensor | None:
        return self._first.reduction_factors(batch)

    def extra_loss(self, batch: Batch, student: Scores, teacher: Scores | None) -> Tensor | None:
        first = self._first
        total = first.extra_loss(batch, student, teacher if first.has_teacher else None)
        for term in self.terms:
            factor = term.factor(batch.update)
            own = term.method.extra_loss(batch, student, teacher if term.method.has_teacher else None)
            if own is not None and factor:
                total = factor * own if total is None else total + factor * own
        return total

    # -- values --------------------------------------------------------------------------------------------------

    def changed(self, **values: Any) -> Method:
        """A copy with some values replaced.

        The values of the teacher are those of the method that has one. Values that only a term has may be named alone,
        or as ``NAME.value`` (``hint-sd.targets``); a value that several methods have of their own is changed in all.
        """
        given = terms_of(values.pop("plus", self.as_dict()["plus"]))
        terms = self.terms if given == [term.text for term in self.terms] else tuple(map(Term.parse, given))
        base, changes = self._first, [dict[str, Any]() for _ in terms]
        own: dict[str, Any] = {}
        qualified: list[tuple[int, Mapping[str, Any]]] = []
        place = {term.method.name: number for number, term in enumerate(terms)}
        known = base.as_dict()
        taught = next((number for number, term in enumerate(terms) if term.method.has_teacher), None)
        for key, value in values.items():
            name, dot, rest = key.rpartition(".")
            if dot and name in place:
                qualified.append((place[name], {rest: value}))
            elif key in place and isinstance(value, Mapping):
                qualified.append((place[key], value))
            elif key in (*_OF_THE_TEACHER, "where") and not base.has_teacher and taught is not None:
                changes[taught][key] = value
            else:
                having = [number for number, term in enumerate(terms) if key in _own_values(term.method)]
                for number in having:
                    changes[number][key] = value
                if key in known or not having:
                    own[key] = value
        for number, more in qualified:
            changes[number] |= more
        made = [replace(term, method=term.method.changed(**more)) for term, more in zip(terms, changes, strict=True)]
        base = base.changed(**own)
        return _combined(base, made) if made else base

    def with_credit(self, other: Method) -> Method:
        return _combined(self._first.with_credit(other), self.terms)

    def as_dict(self) -> Mapping[str, Any]:
        """The values of the first method, those of the teacher, ``plus``, and the terms' own ones as ``NAME.value``."""
        plain = dict(self._first.as_dict())
        if self._teaching is not None:
            taught = self._teaching.as_dict()
            plain |= {name: taught[name] for name in _OF_THE_TEACHER}
        plain["plus"] = " ".join(term.text for term in self.terms)
        for term in self.terms:
            values = term.method.as_dict()
            own = [name for name in _own_values(term.method) if name in values]  # a method may omit its defaults
            plain |= {f"{term.method.name}.{name}": values[name] for name in own}
        return plain


def _own_values(method: Method) -> list[str]:
    """The values that a method has beyond those of all methods and its credit."""
    return [each.name for each in fields(method) if each.name not in _COMMON]


def terms_of(plus: Any) -> list[str]:
    """Terms as texts: from a text with spaces between them, or from a list."""
    if isinstance(plus, str):
        return plus.split()
    if not isinstance(plus, (list, tuple)) or not all(isinstance(each, str) for each in plus):
        raise UsageError(f"Expected plus as a text or a list of texts, got {plus!r}; try [hint-sd:0.5].")
    return [each.strip() for each in plus]
