"""The functions of a world as an argument of the model's chat template, for the prompt protocol ``tools-native``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentgym_hindsight.baselines.policies.chat import TOOLS_OF_PROMPTS
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.stage import Stage

__all__ = ["with_tools"]

_PROTOCOL = "tools-native"


def with_tools(template: Mapping[str, Any], stage: Stage) -> dict[str, Any]:
    """The arguments of the chat template, with the stage's functions if its protocol leaves them to the template.

    Functions that depend on the task are those at the start of each prompt (``TOOLS_OF_PROMPTS``).

    >>> with_tools({"enable_thinking": False}, Stage())
    {'enable_thinking': False}
    """
    if stage.protocol != _PROTOCOL or "tools" in template:
        return dict(template)
    tools = [dict(schema) for schema in stage.tools]
    if not tools and stage.tools_vary:
        return {"tools": TOOLS_OF_PROMPTS, **template}
    if not tools:
        raise UsageError(
            f"Expected a world of functions for the protocol {_PROTOCOL!r}, got {stage.env}, which has none; "
            "try another protocol."
        )
    return {"tools": tools, **template}
