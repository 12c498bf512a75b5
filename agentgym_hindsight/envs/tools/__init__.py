"""Tool calls in the text of an action: one protocol for all worlds whose actions are calls of functions."""

from agentgym_hindsight.envs.tools.actions import ToolAction, format_calls, named_result, read_action
from agentgym_hindsight.envs.tools.literals import CallError, ToolCall
from agentgym_hindsight.envs.tools.schemas import function_names, signatures

__all__ = [
    "CallError",
    "ToolAction",
    "ToolCall",
    "format_calls",
    "function_names",
    "named_result",
    "read_action",
    "signatures",
]
