"""The checks of a user turn: the benchmark's own checkers on the states and results of both sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from agentgym_hindsight.envs.bfcl.official.answers import Wanted
from agentgym_hindsight.envs.bfcl.official.calls import ApiObjects
from agentgym_hindsight.envs.bfcl.official.package import Modules
from agentgym_hindsight.envs.bfcl.official.state_text import plain_state
from agentgym_hindsight.envs.bfcl.world import TurnCheck
from agentgym_hindsight.envs.tools.changes import record_changes
from agentgym_hindsight.short_repr import short_repr

__all__ = ["EMPTY", "IRRELEVANT", "RESPONSE", "STATE", "check_turn"]

EMPTY = "multi_turn:empty_turn_model_response"
STATE = "multi_turn:instance_state_mismatch"
RESPONSE = "multi_turn:execution_response_mismatch"
IRRELEVANT = "multi_turn:irrelevance_error:decoder_success"

_MOST_LINES, _MOST_ITEMS = 12, 6


class OfficialCheck(TurnCheck):
    """A check, with what the benchmark's verdict has beside the text: for the comparison with recordings."""

    attributes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    raised: str = ""


def check_turn(
    modules: Modules,
    turn: int,
    answer: Sequence[str],
    called: bool,
    results: list[str],
    agent: ApiObjects,
    wanted: Wanted,
) -> OfficialCheck:
    """Check a turn. ``called``: whether the agent made a call in it; ``results``: all its results so far."""
    calls = f"Wanted calls: {', '.join(answer) if answer else 'none'}."
    if not answer:
        if not called:
            return OfficialCheck(True)
        message = f"Model outputs valid function calls when it should not for turn {turn}."
        return OfficialCheck(False, IRRELEVANT, message, calls)
    if not called:
        return OfficialCheck(False, EMPTY, f"Model response list is empty for turn {turn}", calls)
    try:
        verdict = modules.state_checker(agent.instances, wanted.objects.instances)
        if verdict["valid"]:
            verdict = modules.response_checker(results, wanted.results, turn)
    except Exception as error:  # odd states, such as folders in themselves, can break a checker
        text = f"{type(error).__name__}: {error}"
        made = OfficialCheck(False, "checker_error", f"The checker raised {text}", calls)
        made.raised = text
        return made
    if verdict["valid"]:
        return OfficialCheck(True)
    kind, message = str(verdict["error_type"]), str(verdict["error_message"])
    if kind == STATE:
        differing = tuple(verdict["details"]["differences"])
        pairs = _states(agent, wanted.objects)
        made = OfficialCheck(False, kind, message, partial(_differences, pairs, calls))
        made.attributes = differing
        return made
    missing = tuple(map(str, verdict["details"]["missing_items"]))
    shown = "; ".join(short_repr(item, 400) for item in missing[:_MOST_ITEMS])
    made = OfficialCheck(False, kind, message, f"Missing results: {shown}.\n{calls}")
    made.missing = missing
    return made


def _states(agent: ApiObjects, wanted: ApiObjects) -> Mapping[str, tuple[Any, Any]]:
    """Copies of the states that differ, as plain values."""
    pairs = {}
    for name, instance in agent.instances.items():
        have, want = plain_state(instance), plain_state(wanted.instances[name])
        if have != want:
            pairs[name] = (have, want)
    return pairs


def _differences(pairs: Mapping[str, tuple[Any, Any]], calls: str) -> str:
    lines = []
    for name, (have, want) in pairs.items():
        changed = list(record_changes(have, want, name))
        lines += changed[:_MOST_LINES]
        if len(changed) > _MOST_LINES:
            lines.append(f"and {len(changed) - _MOST_LINES} more in {name}")
    return "\n".join(["Differences (present → wanted):", *lines, calls])
