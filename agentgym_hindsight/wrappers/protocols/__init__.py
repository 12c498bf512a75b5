"""Prompt protocols: how a turn becomes a prompt, and which parser reads the response. One protocol per file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import isabstract

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.names import import_object, is_import_name, known_name
from agentgym_hindsight.wrappers.protocols.base import CONVERSATION, History, PromptState, Protocol, check_history
from agentgym_hindsight.wrappers.protocols.brief import Brief
from agentgym_hindsight.wrappers.protocols.code import Code
from agentgym_hindsight.wrappers.protocols.plain import Plain
from agentgym_hindsight.wrappers.protocols.react import ReAct
from agentgym_hindsight.wrappers.protocols.short import Short
from agentgym_hindsight.wrappers.protocols.template import is_template_name, template_protocol
from agentgym_hindsight.wrappers.protocols.thinking import ReActCode, ReActTools
from agentgym_hindsight.wrappers.protocols.tools import Tools, ToolsNative
from agentgym_hindsight.wrappers.protocols.verl_agent import VerlAgent

__all__ = [
    "CONVERSATION",
    "PROTOCOLS",
    "Brief",
    "Code",
    "History",
    "Plain",
    "PromptState",
    "Protocol",
    "ReAct",
    "ReActCode",
    "ReActTools",
    "Short",
    "Tools",
    "ToolsNative",
    "VerlAgent",
    "check_history",
    "is_template_name",
    "make_protocol",
    "protocol_name",
]

#: Protocols by name.
PROTOCOLS: Mapping[str, type[Protocol]] = {
    kind.name: kind for kind in (VerlAgent, ReAct, Plain, Brief, Short, Code, Tools, ToolsNative, ReActCode, ReActTools)
}


def make_protocol(name: str, *, history: History = None, demonstrations: Sequence[str] = ()) -> Protocol:
    """Make the protocol of this name. ``package.module:NAME`` is a subclass of :class:`Protocol`, or a function that
    makes one from ``history`` and ``demonstrations``. ``file:PATH`` is a template file (:mod:`~.template`).

    >>> make_protocol("react-2022").parser
    'react-2022'
    """
    name = protocol_name(name)
    if name in PROTOCOLS:
        return PROTOCOLS[name](history=history, demonstrations=demonstrations)
    try:
        made = _own(name)(history=history, demonstrations=demonstrations)
    except TypeError as error:
        raise UsageError(
            f"Expected {name!r} to make a protocol from history and demonstrations, got TypeError: {error}; "
            "try a subclass of agentgym_hindsight.wrappers.Protocol without its own __init__."
        ) from error
    if not isinstance(made, Protocol):
        raise UsageError(
            f"Expected a prompt protocol from {name!r}, got {type(made).__name__}; "
            "try a subclass of agentgym_hindsight.wrappers.Protocol."
        )
    if not isinstance(getattr(made, "parser", None), str):
        raise UsageError(
            f"Expected the name of a parser as the attribute parser of {name!r}, "
            f"got {getattr(made, 'parser', None)!r}; try parser = 'verl-agent-2025'."
        )
    return made


def protocol_name(name: str) -> str:
    """The name of a protocol as the library writes it; an own one (``module:NAME``, ``file:PATH``) is checked.

    >>> protocol_name("Brief")
    'brief'
    """
    if is_template_name(name) or (isinstance(name, str) and is_import_name(name)):
        _own(name)
        return name
    return known_name("prompt protocol", name, PROTOCOLS)


def _own(name: str) -> Callable[..., object]:
    if is_template_name(name):
        return template_protocol(name)
    found = import_object("prompt protocol", name)
    if isinstance(found, type):
        if not issubclass(found, Protocol):
            raise UsageError(
                f"Expected a subclass of agentgym_hindsight.wrappers.Protocol as {name!r}, got the class "
                f"{found.__name__}; try class {found.__name__}(Protocol)."
            )
        if isabstract(found):
            raise UsageError(
                f"Expected the method render(state) in the protocol {name!r}, got a class without it; "
                "try def render(self, state: PromptState) -> str."
            )
    elif not callable(found) or isinstance(found, Protocol):
        raise UsageError(
            f"Expected a subclass of agentgym_hindsight.wrappers.Protocol, or a function that makes a protocol, as "
            f"{name!r}, got {type(found).__name__}; try the name of the class."
        )
    make: Callable[..., object] = found
    return make
