"""Checks of numbers that methods share."""

from __future__ import annotations

from agentgym_hindsight.errors import UsageError

__all__ = ["check_unit"]


def check_unit(name: str, value: float, example: float = 0.5) -> None:
    """Raise if the value is outside of [0, 1]."""
    if not 0 <= value <= 1:
        raise UsageError(f"Expected {name} from 0 to 1, got {name}={value}; try {example}.")
