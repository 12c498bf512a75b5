"""Checks that the packages of the extra ``[train]`` are installed, so that the error names the pip command."""

from __future__ import annotations

from importlib.util import find_spec

from agentgym_hindsight.errors import MissingExtraError

__all__ = ["require_torch", "require_train"]


def require_train(purpose: str) -> None:
    """Raise :class:`MissingExtraError`, with the pip command, if torch, transformers or TRL is not installed."""
    _require(("torch", "transformers", "trl"), purpose)


def require_torch(purpose: str) -> None:
    """Raise :class:`MissingExtraError`, with the pip command, if torch is not installed."""
    _require(("torch",), purpose)


def _require(packages: tuple[str, ...], purpose: str) -> None:
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(package, "train", purpose[0].upper() + purpose[1:])
