"""What differs between two values of plain data, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentgym_hindsight.short_repr import short_repr

__all__ = ["record_changes"]


def record_changes(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """The fields that differ between two values, one line each.

    >>> list(record_changes({"status": "pending", "n": 1}, {"status": "cancelled", "n": 1}))
    ["status: 'pending' → 'cancelled'"]
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*before, *(name for name in after if name not in before)]:
            inner = f"{path}.{name}" if path else str(name)
            if name not in after:
                yield f"{inner}: removed"
            elif name not in before:
                yield f"{inner}: new, {short_repr(after[name], 160)}"
            else:
                yield from record_changes(before[name], after[name], inner)
    elif isinstance(before, list) and isinstance(after, list) and before == after[: len(before)] != after:
        for item in after[len(before) :]:
            yield f"{path}: added {short_repr(item, 160)}"
    elif before != after or type(before) is not type(after):
        yield f"{path or 'value'}: {short_repr(before, 80)} → {short_repr(after, 80)}"
