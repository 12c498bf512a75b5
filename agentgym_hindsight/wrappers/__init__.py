"""Small wrappers, one per file. A full stack, innermost wrapper first::

    env = PromptProtocol(env)           # the observation becomes the prompt
    env = ActionParser(env)             # the response becomes the action
    env = RewardProtocol(env, "10-won")
    env = InvalidActionPenalty(env)     # outside of ActionParser, which decides which actions are invalid
    env = JudgeFeedback(env, judge)
    env = RecordTrajectories(env)       # outermost: it records the changes of all other wrappers

Each wrapper keeps every standard ``info`` key, adds its own keys on every reset and step, and records its arguments, so
that ``gym.make(env.spec)`` builds the same stack.
"""

from __future__ import annotations

from agentgym_hindsight.envs.snapshot_value import Snapshot
from agentgym_hindsight.wrappers.action_parsing import ActionParser
from agentgym_hindsight.wrappers.invalid_action_penalty import InvalidActionPenalty
from agentgym_hindsight.wrappers.judging import Judge, JudgeFeedback
from agentgym_hindsight.wrappers.parsing import (
    PARSERS,
    ParsedAction,
    action_spans,
    format_response,
    parse_response,
)
from agentgym_hindsight.wrappers.prompting import PromptProtocol
from agentgym_hindsight.wrappers.protocols import PROTOCOLS, PromptState, Protocol
from agentgym_hindsight.wrappers.recording import RecordTrajectories
from agentgym_hindsight.wrappers.reward_protocol import REWARD_PROTOCOLS, RewardProtocol
from agentgym_hindsight.wrappers.snapshots import fork, restore_into, snapshot_of

__all__ = [
    "PARSERS",
    "PROTOCOLS",
    "REWARD_PROTOCOLS",
    "ActionParser",
    "InvalidActionPenalty",
    "Judge",
    "JudgeFeedback",
    "ParsedAction",
    "PromptProtocol",
    "PromptState",
    "Protocol",
    "RecordTrajectories",
    "RewardProtocol",
    "Snapshot",
    "action_spans",
    "fork",
    "format_response",
    "parse_response",
    "restore_into",
    "snapshot_of",
]
