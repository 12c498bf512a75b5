"""A whole trajectory inside a document of another format, so that importing the document loses nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agentgym_hindsight.hindsight.codec import dump_trajectory, load_trajectory
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["OURS", "exact_text", "from_document", "from_exact_text", "is_visible", "to_document", "visible"]

#: The key of our own part in the documents of other formats.
OURS = "agentgym_hindsight"


def to_document(trajectory: Trajectory) -> dict[str, Any]:
    """The trajectory as the JSON object that a line of a rollout file has."""
    document: dict[str, Any] = json.loads(dump_trajectory(trajectory))
    return document


def from_document(document: Mapping[str, Any]) -> Trajectory:
    """The trajectory of :func:`to_document`. Raises :class:`~agentgym_hindsight.errors.SchemaError`."""
    return from_exact_text(json.dumps(document))


def exact_text(trajectory: Trajectory) -> str:
    """The trajectory as JSON in ASCII, which every format can hold.

    A high surrogate directly before a low one, which no decoder of UTF-8 or JSON produces, becomes the character that
    the two stand for.

    >>> from_exact_text(exact_text(Trajectory("1f", goal="caf\\udc80"))).goal == "caf\\udc80"
    True
    """
    return json.dumps(to_document(trajectory), separators=(",", ":"))


def from_exact_text(text: str) -> Trajectory:
    """The trajectory of :func:`exact_text`. Raises :class:`~agentgym_hindsight.errors.SchemaError`."""
    return load_trajectory(text)


def is_visible(text: str) -> bool:
    """Whether the text has no lone surrogate: strict readers of JSON, and Arrow, refuse those."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def visible(value: Any) -> Any:
    """The value with lone surrogates in its texts written as escapes, in keys and values at any depth.

    >>> visible({"goal": ["caf\\udc80"]})
    {'goal': ['caf\\\\udc80']}
    """
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {visible(str(key)): visible(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [visible(item) for item in value]
    return value
