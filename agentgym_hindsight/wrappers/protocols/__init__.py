"""Prompt protocols: how a turn becomes a prompt, and which parser reads the response. One protocol per file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentgym_hindsight.errors import UnknownNameError
from agentgym_hindsight.wrappers.protocols.base import PromptState, Protocol
from agentgym_hindsight.wrappers.protocols.brief import Brief
from agentgym_hindsight.wrappers.protocols.code import Code
from agentgym_hindsight.wrappers.protocols.plain import Plain
from agentgym_hindsight.wrappers.protocols.react import ReAct
from agentgym_hindsight.wrappers.protocols.verl_agent import VerlAgent

__all__ = ["PROTOCOLS", "Brief", "Code", "Plain", "PromptState", "Protocol", "ReAct", "VerlAgent", "make_protocol"]

#: Protocols by name.
PROTOCOLS: Mapping[str, type[Protocol]] = {kind.name: kind for kind in (VerlAgent, ReAct, Plain, Brief, Code)}


def make_protocol(name: str, *, history: int | None = None, demonstrations: Sequence[str] = ()) -> Protocol:
    """Make the protocol of this name.

    >>> make_protocol("react-2022").parser
    'react-2022'
    """
    if name not in PROTOCOLS:
        raise UnknownNameError("prompt protocol", name, PROTOCOLS)
    return PROTOCOLS[name](history=history, demonstrations=demonstrations)
