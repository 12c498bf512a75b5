"""A critic: which layers of the policy it copies, what it predicts, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass

from agentgym_hindsight.errors import UnknownNameError, UsageError

__all__ = ["CriticSpec"]

_HEADS = ("turn", "token")


@dataclass(frozen=True, slots=True)
class CriticSpec:
    """A copy of the policy's first ``layers`` blocks (0: all of them) with one linear head per kind of value.

    * ``turn``: the value of the state before a response, read at the last token of the prompt.
    * ``token``: the value before each response token.

    ``value_clip`` bounds the change of a prediction in an update (PPO's clipped value loss).

    >>> str(CriticSpec.parse("2:turn+token")), CriticSpec.parse("token").heads
    ('2:turn+token', ('token',))
    """

    layers: int = 0
    heads: tuple[str, ...] = ("token",)
    learning_rate: float = 1e-5
    value_clip: float = 0.5

    def __post_init__(self) -> None:
        for head in self.heads:
            if head not in _HEADS:
                raise UnknownNameError("head of a critic", head, _HEADS)
        if not self.heads or len(set(self.heads)) != len(self.heads):
            raise UsageError(f"Expected different heads of a critic, got {self.heads}; try turn+token.")
        if self.layers < 0:
            raise UsageError(f"Expected layers of a critic ≥ 0, got {self.layers}; try 2, or 0 for all.")
        if not (0 < self.learning_rate < float("inf") and self.value_clip > 0):
            raise UsageError(
                f"Expected learning_rate and value_clip above 0, got {self.learning_rate} and {self.value_clip}; "
                "try 1e-5 and 0.5."
            )

    @classmethod
    def parse(cls, text: str) -> CriticSpec:
        """Read ``"token"``, ``"2:turn+token"`` or ``"2:turn+token:1e-5:0.5"``."""
        parts = text.split(":")
        layers = parts.pop(0) if parts[0].isdigit() else "0"
        try:
            heads, rate, clip, *more = [*parts, *["1e-5", "0.5"][len(parts) - 1 :]]
            if more:
                raise ValueError
            return cls(int(layers), tuple(heads.split("+")), float(rate), float(clip))
        except (ValueError, IndexError):
            raise UsageError(
                f"Expected a critic as LAYERS:HEADS:RATE:CLIP, got {text!r}; try 2:turn+token:1e-5:0.5."
            ) from None

    def __str__(self) -> str:
        text = f"{self.layers}:{'+'.join(self.heads)}" if self.layers else "+".join(self.heads)
        extra = (self.learning_rate, self.value_clip)
        return text if extra == (1e-5, 0.5) else f"{text}:{extra[0]!r}:{extra[1]!r}"
