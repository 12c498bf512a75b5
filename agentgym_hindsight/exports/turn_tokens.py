"""The tokens of a turn where they are recorded: ids, log-probabilities, gaps, weights, and the credit of the turn.

They stand in ``Step.extra["tokens"]``, a mapping with any of the fields of :class:`TurnTokens`. A value of another kind
is left out of the columns of an export, and kept with the rest of ``extra`` in the exact copy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory

__all__ = ["TOKENS", "SampledTokens", "TurnTokens", "with_tokens"]

#: The key in ``Step.extra``.
TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class TurnTokens:
    """The tokens of one turn. A field that was not recorded is empty.

    * ``prompt_ids``, ``response_ids``: the ids that were sampled from and sampled; ``texts``: the response's tokens as
      text.
    * ``logprobs``: of the response's tokens under the sampling distribution; ``teacher_logprobs``: under the teacher.
    * ``gaps``: teacher minus student; ``weights``: the factors of the advantage; ``advantages``: the product.
    * ``mask``: whether the token is weighed.
    * ``credit``: the advantage of the turn before any teacher; ``None`` if none was recorded.

    >>> step = Step(0, "A hall.", "go", "A room.", "A room.", extra={"tokens": {"gaps": [0.5, -0.1], "credit": 1.5}})
    >>> TurnTokens.of(step).gaps, TurnTokens.of(step).credit, TurnTokens.of(step).response_ids
    ((0.5, -0.1), 1.5, ())
    """

    prompt_ids: tuple[int, ...] = ()
    response_ids: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()
    logprobs: tuple[float, ...] = ()
    teacher_logprobs: tuple[float, ...] = ()
    gaps: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    advantages: tuple[float, ...] = ()
    mask: tuple[bool, ...] = ()
    credit: float | None = None

    @classmethod
    def of(cls, step: Step) -> TurnTokens:
        """What the step records. A field with a value of another kind is empty."""
        return cls.from_dict(step.extra.get(TOKENS))

    @classmethod
    def from_dict(cls, recorded: object) -> TurnTokens:
        """The tokens of :meth:`as_dict`. A field with a value of another kind is empty."""
        if not isinstance(recorded, Mapping):
            return cls()
        found = {name: tuple(recorded[name]) for name, holds in _KINDS.items() if _is_list(recorded.get(name), holds)}
        credit = recorded.get("credit")
        return cls(**found, credit=float(credit) if _is_number(credit) else None)  # type: ignore[arg-type]

    def as_dict(self) -> dict[str, Any]:
        """The recorded fields as plain data for ``Step.extra["tokens"]``."""
        plain: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value != ():
                plain[field.name] = list(value) if isinstance(value, tuple) else value
        return plain


class SampledTokens(Protocol):
    """What :class:`~agentgym_hindsight.baselines.policies.base.Reply` has of a turn's tokens."""

    @property
    def prompt_ids(self) -> tuple[int, ...]: ...
    @property
    def response_ids(self) -> tuple[int, ...]: ...
    @property
    def logprobs(self) -> tuple[float, ...]: ...


def with_tokens(trajectory: Trajectory, tokens: Sequence[SampledTokens | TurnTokens]) -> Trajectory:
    """The trajectory with the tokens of its turns, such as ``with_tokens(*episode)`` for an ``Episode`` of ``play``.

    The replies of a continuation begin after its origin, so they belong to the last steps.

    >>> bare = Trajectory("1f", steps=(Step(0, "A hall.", "go", "A room.", "A room."),))
    >>> with_tokens(bare, [TurnTokens(response_ids=(7, 8))]).steps[0].extra
    {'tokens': {'response_ids': [7, 8]}}
    """
    if len(tokens) > len(trajectory.steps):
        raise UsageError(
            f"Expected the tokens of at most {len(trajectory.steps)} turns, got {len(tokens)}; "
            "try those of this trajectory."
        )
    first = len(trajectory.steps) - len(tokens)
    steps = list(trajectory.steps)
    for place, each in enumerate(tokens, start=first):
        turn = (
            each
            if isinstance(each, TurnTokens)
            else TurnTokens(tuple(each.prompt_ids), tuple(each.response_ids), (), tuple(each.logprobs))
        )
        plain = turn.as_dict()
        if plain:
            steps[place] = replace(steps[place], extra={**steps[place].extra, TOKENS: plain})
    return trajectory.replace(steps=tuple(steps))


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the floats
        return False


def _is_list(value: object, holds: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(holds, value))


_KINDS = {
    "prompt_ids": _is_id,
    "response_ids": _is_id,
    "texts": lambda value: isinstance(value, str),
    "logprobs": _is_number,
    "teacher_logprobs": _is_number,
    "gaps": _is_number,
    "weights": _is_number,
    "advantages": _is_number,
    "mask": lambda value: isinstance(value, bool),
}
