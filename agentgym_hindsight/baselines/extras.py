"""Is the extra ``[train]`` there? Asked before the first heavy import: the answer is a command and no traceback."""

from __future__ import annotations

from importlib.util import find_spec

from agentgym_hindsight.errors import MissingExtraError

__all__ = ["require_train"]

_PACKAGES = ("torch", "transformers", "trl")


def require_train(why: str) -> None:
    """Raise :class:`MissingExtraError`, with the pip command, where torch, transformers or TRL is absent."""
    for package in _PACKAGES:
        if find_spec(package) is None:
            raise MissingExtraError(package, "train", why[0].upper() + why[1:])
