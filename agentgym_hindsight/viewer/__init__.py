"""``agh view``: local pages on which people look at rollouts, evaluations and training runs. Needs no extra."""

from __future__ import annotations

__all__: list[str] = []
