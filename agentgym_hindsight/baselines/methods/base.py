"""The definition of a training method: its credit, and five values that describe how a teacher changes the credit.

========  =======================================  ===========================================================
value     written as                               meaning
========  =======================================  ===========================================================
what      ``"success|immediate@anchor"``, ``""``   the sources in the teacher's prompt, for each turn (the default)
                                                   or once for all turns of an anchor; ``""``: no teacher
who       ``"current"``, ``"sync:10"``, …          the teacher: see :class:`~.teachers.TeacherSpec`
tokens    ``"action"``, ``"response@failed"``, …   which tokens are weighted, and in which turns
how       ``"reweight"``, ``"reweight:0.2:mean"``  how the teacher's log-probability changes a token's advantage
when      ``"0.5->0/50"``                          the coefficient λ over policy updates
========  =======================================  ===========================================================

``credit`` computes the advantage of a turn before the teacher's weights are applied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from agentgym_hindsight.baselines.methods.critic_spec import CriticSpec
from agentgym_hindsight.baselines.methods.critics import CriticCredit
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.schedules import Constant, Schedule, parse_schedule
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.baselines.settings import SettingError, check_range, checked
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.anchors import ANCHOR_KINDS
from agentgym_hindsight.hindsight.spec import ContextSpec
from agentgym_hindsight.names import import_object, is_import_name, known_name

if TYPE_CHECKING:  # methods can be listed without torch
    from torch import Tensor

    from agentgym_hindsight.baselines.methods.asking import Ask
    from agentgym_hindsight.baselines.methods.batch import Batch, Scores
    from agentgym_hindsight.baselines.methods.evidence import Evidence
    from agentgym_hindsight.baselines.methods.replacing import Replacement
    from agentgym_hindsight.baselines.methods.teacher_prompts import GivenContext
    from agentgym_hindsight.hindsight.trajectory import Group

__all__ = ["Credit", "Method", "Reweight", "Tokens"]

_PARTS = ("action", "action:released", "response")
_TURNS = ("all", "failed", "won", "invalid")
_PLACES = ("step", "anchor")


class Credit(Protocol):
    """The advantage of every row before a teacher changes it: (B,), or one array per row with a value per token."""

    def __call__(self, rows: Rows) -> Array | list[Array]: ...


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that the teacher weights: those of the action or of the whole response, and in which turns.

    ``action:released`` finds the action as SERL's release does, also in damaged tags and with every parser
    (:func:`~agentgym_hindsight.wrappers.released_spans.released_action_spans`).

    ``failed`` and ``won``: turns of failed or won rollouts; ``invalid``: turns whose action was refused.

    >>> str(Tokens.parse("action@failed"))
    'action@failed'
    """

    part: Literal["action", "action:released", "response"] = "action"
    turns: Literal["all", "failed", "won", "invalid"] = "all"

    def __post_init__(self) -> None:
        object.__setattr__(self, "part", known_name("part of a response", self.part, _PARTS))
        object.__setattr__(self, "turns", known_name("subset of turns", self.turns, _TURNS))

    @classmethod
    def parse(cls, text: str) -> Tokens:
        """Read ``"action"``, ``"action:released"``, ``"response"`` or ``"action@failed"``."""
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

    ``mean_one`` (ours) divides the weights by their mean over the row, so that the teacher moves credit between the
    tokens of a turn without changing its sum.

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
        known_name("signal", name, ["reweight"])
        try:
            clip = float(rest[0]) if rest else 0.2
        except ValueError:
            raise UsageError(f"Expected reweight:CLIP, got {text!r}; try reweight:0.2.") from None
        if len(rest) > 2 or (len(rest) == 2 and rest[1].strip().casefold() != "mean"):
            raise UsageError(f"Expected reweight:CLIP or reweight:CLIP:mean, got {text!r}; try reweight:0.2:mean.")
        return cls(clip, len(rest) == 2)

    def __str__(self) -> str:
        # repr keeps every digit, so parsing the text gives the same value.
        return f"reweight:{float(self.clip)!r}{':mean' if self.mean_one else ''}"


@dataclass(frozen=True)
class Method:
    """A training method. Recipes are methods with the defaults of a paper; ``changed`` replaces single values.

    * ``anchor``: which turns share a state, for step credit and for contexts at ``@anchor``; the release compares
      observations.
    * ``clip``, ``dual_clip``, ``entropy``, ``kl``: parameters of the policy loss (ratio bounds, upper bound for
      negative advantages, entropy bonus, k3 penalty to the initial policy).
    * ``aux_kl``: adds λ·aux_kl·KL(teacher ‖ policy) over the chosen tokens: the paper's Eq. 14, absent from the
      released code and 0 by default.
    * ``critic``: the value function that the credit needs, if any.
    * ``ratio``: the probability ratio of the policy loss is that of a ``token`` or of a whole ``turn`` (the exponential
      of the mean log-ratio). ``reduction``: the loss is the mean over tokens, or the mean over turns of token means.
    * ``policy_weight``: multiplies the policy gradient; 0 turns it off.
    * ``details``: whether feedback includes the reason for a refusal (ours; the genuine environments do not give it).
    * ``imported_from``: the ``module:NAME`` of a method of your own, set when it is found by this name.

    ``credit`` is a dataclass whose fields are its options, or a plain function. ``when`` may be a function of your own,
    as text ``module:NAME``.

    >>> from agentgym_hindsight.baselines.methods import recipe
    >>> serl = recipe("serl")
    >>> str(serl.who), str(serl.tokens), serl.when(0), serl.changed(when="0.3").when(99)
    ('sync:10', 'action', 0.5, 0.3)
    """

    name: str
    credit: Credit
    what: ContextSpec | None = None
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
    critic: CriticSpec | None = None
    ratio: Literal["token", "turn"] = "token"
    reduction: Literal["token", "turn"] = "token"
    policy_weight: float = 1.0
    details: bool = False
    imported_from: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        for name, value in checked(type(self), values, "").items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "anchor", known_name("anchor", self.anchor, ANCHOR_KINDS))
        check_range(self, "entropy", "kl", "aux_kl", "policy_weight", least=0)
        if not 0 < self.clip < 1:
            raise SettingError("clip", "above 0 and below 1", self.clip, "0.2")
        for update in (0, getattr(self.when, "first", 0)):
            self.check_strength(update)
        check_range(self, "dual_clip", above=1 + self.clip, why=", or None for none")
        self._check_critic()

    def _check_critic(self) -> None:
        if (self.critic is not None) != isinstance(self.credit, CriticCredit):
            raise UsageError(
                f"Expected a critic if the credit uses one, and none otherwise, got critic={str(self.critic or '')!r} "
                f"with {type(self.credit).__name__}; try a method of `agh methods` that needs a critic."
            )
        if self.critic is not None and self.weights_updates and "token" in self.critic.heads:
            raise UsageError(
                f"Expected one advantage per turn for {self.name}, which weights whole turns, got a critic of tokens; "
                "try the credit of turn-ppo, or one without a critic."
            )

    def check_strength(self, update: int) -> None:
        """Raise if λ, the strength of the teacher at an update, is not a number between 0 and 1."""
        lam = self.when(update)
        if not isinstance(lam, (int, float)) or not 0 <= lam <= 1:
            raise UsageError(f"Expected λ between 0 and 1, got {lam} at update {update}; try 0.5->0/50.")

    @property
    def has_teacher(self) -> bool:
        """Whether the method uses a teacher."""
        return self.what is not None or self.writes_contexts

    @property
    def writes_contexts(self) -> bool:
        """Whether the method defines :meth:`contexts`."""
        return type(self).contexts is not Method.contexts

    @property
    def replaces_rollouts(self) -> bool:
        """Whether the method defines :meth:`resample`."""
        return type(self).resample is not Method.resample

    @property
    def needs_model(self) -> bool:
        """Whether the advantages need a forward pass of a teacher or a critic."""
        return self.has_teacher or self.critic is not None

    # -- hooks ---------------------------------------------------------------------------------------------------

    def needs_teacher(self, update: int) -> bool:
        """Whether the teacher is asked at an update: contexts, its prompts and its pass. The default is λ > 0.

        A method whose teacher also does something that λ does not scale overrides it.
        """
        return self.has_teacher and self.when(update) > 0

    @property
    def weight_bounds(self) -> tuple[float, float] | None:
        """The bounds to which SERL's weight ``exp(sgn(A)·Δ)`` of a token is clipped, for the metric ``clipped``.

        ``None`` if the method does not clip in this way: then there is no such metric.
        """
        if self.weights_updates or type(self).token_advantages is not Method.token_advantages:
            return None
        return 1 - self.how.clip, 1 + self.how.clip

    #: Whether ``update_advantages`` computes the token advantages, once per update.
    weights_updates: ClassVar[bool] = False
    #: Whether the teacher scores turns with advantage 0 too.
    scores_zero_advantages: ClassVar[bool] = False
    #: Whether ``update_advantages`` compares rows of different groups. It then gets the rows of all processes; so does
    #: a credit with an attribute of this name.
    whole_batch: ClassVar[bool] = False

    #: Whether the teacher's entropies are computed. Whether gaps compare the teacher with itself, without the context.
    uses_teacher_entropy: ClassVar[bool] = False
    compares_teacher: ClassVar[bool] = False

    #: How often ``resample`` is called in an update, at most.
    resample_rounds: ClassVar[int] = 1

    def resample(self, groups: Sequence[Group], ask: Ask) -> Sequence[Replacement]:
        """Rollouts to be played again, with messages that the policy reads while playing; an empty list for none.

        ``groups`` are the complete rollouts of this process. A replaced rollout is discarded; its turns count towards
        the turns of the plan. A rollout that breaks when it is played again keeps the first one in its place.
        """
        return ()

    def contexts(self, groups: Sequence[Group], ask: Ask) -> Sequence[Sequence[Sequence[GivenContext]]]:
        """What the teacher reads at every turn: a list for every group, in it one for every member.

        The entry of a turn is a text (a hint after the policy's prompt), the messages of a chat (the whole prompt), a
        :class:`~.teacher_prompts.ChatContext`, a ``TeacherContext``, or ``None``: no teacher for this turn. Called
        while λ > 0. The default composes the contexts that ``what`` describes.
        """
        if self.what is None:
            return [[[None] * len(trajectory) for trajectory in group] for group in groups]
        return ask.compose(self.what, groups)

    def share_memory(self, memory: MutableMapping[str, Any], gather: Callable[[list[Any]], list[Any]]) -> None:
        """Make the memory equal in all processes, after the contexts of an update; by default each keeps its own.

        ``gather`` returns the values of all processes, in their order. It is a collective call: all processes make it
        equally often.
        """

    def update_advantages(
        self, rows: Rows, advantages: Array, evidence: Evidence, lam: float, memory: MutableMapping[str, Any]
    ) -> Sequence[Array | None]:
        """The advantages of every weighted token of every row, computed once per update.

        A row whose result is ``None`` keeps its advantage. Only for methods with ``weights_updates``.
        """
        raise NotImplementedError(
            f"Expected {type(self).__name__} to define update_advantages, because weights_updates is set; "
            "try defining it, or removing weights_updates."
        )

    def update_signals(
        self, rows: Rows, advantages: Array, evidence: Evidence, lam: float, memory: MutableMapping[str, Any]
    ) -> Sequence[Array | None] | None:
        """Numbers for every weighted token of every row, computed once per update; ``None`` for none.

        The token hooks read them as ``batch.signals``, with 0 where there is none.
        """
        return None

    def row_signals(self, rows: Rows) -> Array | None:
        """A number for every row (B,), which the token hooks read as ``batch.row_signals``; ``None`` for none."""
        return None

    def token_advantages(self, batch: Batch, student: Scores, teacher: Scores | None) -> Tensor:
        """The advantages (B,) or (B, T) of a micro-batch, from the scores of its forward pass; no gradient.

        The default is SERL's weight (``how``) on the chosen tokens.
        """
        from agentgym_hindsight.baselines.methods import signals

        if teacher is None or self.weights_updates:
            return batch.advantages
        return signals.reweight(
            batch.advantages,
            signals.gap(teacher.logps, student.logps),
            batch.chosen,
            batch.lam,
            clip=self.how.clip,
            mean_one=self.how.mean_one,
        )

    def reduction_factors(self, batch: Batch) -> Tensor | None:
        """Factors of the token advantages that turn the loss's mean over tokens into another mean; ``None`` for none.

        They are applied after ``token_advantages``, so the metrics of the weights do not contain them. The default is
        the mean over turns if ``reduction`` is ``turn``.
        """
        return batch.turn_means() if self.reduction == "turn" else None

    #: Whether a token hook reads the last hidden states, ``student.hidden`` or ``teacher.hidden``.
    uses_hidden: ClassVar[bool] = False

    @property
    def uses_logits(self) -> bool:
        """Whether ``extra_loss`` reads logits. The trainer then keeps those of the student's forward pass."""
        return self.aux_kl > 0

    def extra_loss(self, batch: Batch, student: Scores, teacher: Scores | None) -> Tensor | None:
        """A term that is added to the policy loss, or ``None``. The default is λ·aux_kl·KL(teacher ‖ policy)."""
        if not (self.aux_kl and batch.lam) or teacher is None or not batch.all_chosen:
            return None
        from agentgym_hindsight.baselines.methods.divergences import divergence

        loss = divergence(teacher.logits, student.logits, alpha=0.0)
        return batch.lam * self.aux_kl * batch.chosen_mean(loss)

    # -- values --------------------------------------------------------------------------------------------------

    def changed(self, **values: Any) -> Method:
        """A copy with some values replaced. Texts are parsed by the grammar of their value.

        Names that are not values of a method are options of its credit: ``changed(statistics="trajectories")``.
        ``where="anchor"`` is short for the ``@anchor`` of ``what``.
        """
        names = {each.name for each in fields(self)} - _NOT_SETTINGS
        changes = {name: _parsed(name, value) for name, value in values.items() if name in names}
        options = {name: value for name, value in values.items() if name not in names and name != "where"}
        known: set[str] = {each.name for each in fields(self.credit)} if is_dataclass(self.credit) else set()
        for name in sorted(options.keys() - known):
            raise UnknownNameError(f"value of {self.name}", name, names | known | {"where"})
        changes = checked(type(self), changes, "")
        if "where" in values:
            changes["what"] = self._with_place(values["where"], values.get("what"), changes.get("what", self.what))
        if options:
            options = checked(type(self.credit), options, "")
            changes["credit"] = replace(self.credit, **options)  # type: ignore[type-var]
        return replace(self, **changes)

    def with_credit(self, other: Method) -> Method:
        """This method on the credit of another, and its critic if it has one: any weighting on any credit."""
        imported = "+".join(dict.fromkeys(filter(None, (self.imported_from, other.imported_from))))
        name = f"{self.name}+{other.name}"
        return replace(self, name=name, credit=other.credit, critic=other.critic, imported_from=imported)

    def _with_place(self, where: Any, text: Any, what: ContextSpec | None) -> ContextSpec | None:
        """``what`` at the place ``where``. An anchor without a context, or another place in ``text``, raises."""
        if not isinstance(where, str):
            raise UnknownNameError("place of a context", where, _PLACES)
        where = known_name("place of a context", where, _PLACES)
        if what is None:
            if where != "step":
                raise UsageError(f"Expected a context for where={where!r}, got none; try what='immediate@{where}'.")
            return None
        if isinstance(text, str) and "@" in text and what.where != where:
            # One of the two may come from a configuration file; neither is dropped silently.
            raise UsageError(f"Expected one place, got what={text!r} and where={where!r}; try the same place for both.")
        return ContextSpec(what.alternatives, where)

    def as_dict(self) -> Mapping[str, Any]:
        """Every value as text or number, for logs and configuration files; ``changed(**…)`` accepts the result.

        A schedule of your own is written as ``module:NAME`` if it is a function of a module.
        """
        plain: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "credit":
                # A credit that is a function has no options.
                options = fields(value) if is_dataclass(value) else ()
                plain.update({option.name: _plain(getattr(value, option.name)) for option in options})
            elif each.name in ("what", "critic"):
                plain[each.name] = "" if value is None else str(value)
            elif each.name not in _NOT_SETTINGS:
                plain[each.name] = _plain(value)
        return plain


_NOT_SETTINGS = frozenset({"name", "credit", "imported_from"})


def _plain(value: Any) -> Any:
    """The value as text or number. The text contains no address of an object, which differs between processes."""
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if hasattr(value, "__qualname__"):  # a function or a class
        return f"{value.__module__}:{value.__qualname__}"
    return _ADDRESS.sub("", str(value))


def _schedule(text: str) -> Any:
    """A schedule in the grammar of :func:`parse_schedule`, or a function of the user's own."""
    return import_object("schedule", text) if is_import_name(text) else parse_schedule(text)


_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "what": lambda text: ContextSpec.parse(text) if text else None,
    "who": TeacherSpec.parse,
    "tokens": Tokens.parse,
    "how": Reweight.parse,
    "when": _schedule,
    "eta": _schedule,
    "critic": lambda text: CriticSpec.parse(text) if text else None,
}


def _parsed(name: str, value: Any) -> Any:
    """A value of a method, parsed if it is text. A number for ``when`` is a constant schedule."""
    if _PARSERS.get(name) is _schedule and isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    return _PARSERS[name](value) if name in _PARSERS and isinstance(value, str) else value
