"""The parts of ``agh bench gpu``: what each measures, and its time limit. Needs no torch."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["PARTS", "Part"]


class Part(NamedTuple):
    """``cases`` names the function that gives the cases of the part, as ``package.module:NAME``."""

    name: str
    minutes: float
    about: str
    cases: str


_HERE = __package__

#: By name, in the order in which they run. Together at most 25 minutes, each at most 8.
PARTS = {
    part.name: part
    for part in (
        Part("step", 8.0, "updates of SERL and GRPO at the shapes of 0.5B, 1.5B and 7B", f"{_HERE}.step:cases"),
        Part("losses", 2.5, "bfloat16 against float32: log-probabilities, gaps, losses", f"{_HERE}.losses:cases"),
        Part("padding", 2.5, "padding of batches, and updates by token budget", f"{_HERE}.padding:cases"),
        Part("generation", 5.5, "sampling by our loop, model.generate and vLLM", f"{_HERE}.generation:cases"),
        Part("tiny", 6.5, "a tiny policy trained by SERL until it improves no more", f"{_HERE}.tiny:cases"),
    )
}
