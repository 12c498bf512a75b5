"""A desk: the records, tools and policy of one kind of customer service, and the execution of one call."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from agentgym_hindsight.envs.tau.airline_tools import AIRLINE_TOOLS
from agentgym_hindsight.envs.tau.binding import bind
from agentgym_hindsight.envs.tau.common_tools import ToolFunction
from agentgym_hindsight.envs.tau.retail_tools import RETAIL_TOOLS
from agentgym_hindsight.envs.tau.seats import SEAT_TOOLS, update_seats
from agentgym_hindsight.envs.tau.store import Database, InitialState
from agentgym_hindsight.envs.tools.schemas import FunctionSchema

__all__ = ["DOMAINS", "RESPOND", "RULES", "TERMINATING", "Desk", "DeskTask", "Outcome", "parameters"]

DOMAINS: Mapping[str, Mapping[str, ToolFunction]] = {"retail": RETAIL_TOOLS, "airline": AIRLINE_TOOLS}
#: ``official``: with every quirk of the benchmark; ``strict``: with the quirks that reward wrong work mended.
RULES = ("official", "strict")
#: Tools that end the episode.
TERMINATING = frozenset({"transfer_to_human_agents"})
#: The action that speaks to the user.
RESPOND = "respond"

_UNHASHABLE = re.compile(r"cannot use '[^']*' as [a-z ]+\((unhashable type: '[^']*')\)")


class Outcome(NamedTuple):
    """The result of a call: the text, whether the call failed, whether it ends the episode.

    ``raises`` names the exception that the benchmark's own step would raise, where it has no text to return.
    """

    text: str
    failed: bool = False
    ends: bool = False
    raises: str = ""


@dataclass(frozen=True)
class DeskTask:
    """What a user wants: the instruction, which the agent never sees, and the reference calls and outputs.

    ``facts`` are what an embedded user says when asked, by topic. ``kind`` groups tasks of one sort.
    """

    user_id: str
    instruction: str
    actions: tuple[tuple[str, Mapping[str, Any]], ...]
    outputs: tuple[str, ...] = ()
    kind: str = ""
    opening: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Desk:
    """The desk of a domain. ``tasks`` has the tasks of each split, ``source`` names the data in results.

    ``engine`` names the program that runs the calls. With ``keeps_state`` a verdict leaves the records as they are
    under all rules; tau-bench's own environment holds the reference's end state afterwards.
    """

    domain: str
    initial: InitialState
    policy: str
    schemas: Sequence[FunctionSchema]
    tasks: Mapping[str, Sequence[DeskTask]]
    source: str
    engine: str = "native"
    keeps_state: bool = False

    def call(self, database: Database, name: str, arguments: Mapping[str, Any], rules: str = "official") -> Outcome:
        """Call a tool by name. The arguments are copied, because tools keep parts of them as records."""
        tool = DOMAINS[self.domain].get(name)
        if tool is None:
            return Outcome(f"Unknown action {name}", failed=True)
        ends = name in TERMINATING
        try:
            values = bind(name, self.domain, parameters(tool), arguments)
            copies = [copy.deepcopy(value) if isinstance(value, (list, dict)) else value for value in values]
            if rules == "strict" and name in SEAT_TOOLS:
                text = update_seats(database, tool, copies)
            else:
                text = tool(database, *copies)
        except Exception as error:
            return Outcome(f"Error: {_worded(error)}", failed=True, ends=ends)
        if text is None:
            return Outcome("", failed=True, ends=ends, raises="ValidationError")
        return Outcome(text, failed=text.startswith("Error: "), ends=ends)


@cache
def parameters(tool: ToolFunction) -> tuple[str, ...]:
    """The names of a tool's parameters as agents write them.

    >>> parameters(RETAIL_TOOLS["find_user_id_by_name_zip"])
    ('first_name', 'last_name', 'zip')
    """
    names = tuple(inspect.signature(tool).parameters)[1:]
    return tuple("zip" if name == "zip_code" else name for name in names)


def _worded(error: Exception) -> str:
    """The text of an error as Python 3.11 words it: other versions differ in a few texts."""
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], slice):
        return "unhashable type: 'slice'"
    text = str(error)
    if text == "string indices must be integers":
        return "string indices must be integers, not 'str'"
    found = _UNHASHABLE.fullmatch(text)
    return found[1] if found else text
