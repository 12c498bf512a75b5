"""Plays a task of the embedded world with given calls, and makes wrong variants of its reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from agentgym_hindsight.envs.bfcl.embedded.apis import FUNCTIONS
from agentgym_hindsight.envs.bfcl.embedded.episode import EmbeddedEpisode
from agentgym_hindsight.envs.bfcl.embedded.tasks import MadeTask
from agentgym_hindsight.envs.tools import ToolCall

Turns = list[list[ToolCall]]
#: What an extra call would break, by a function that the task offers.
DAMAGE = {
    "add_card": {"title": "Nobody asked for this"},
    "add_event": {"title": "Nobody asked for this", "day": "2029-01-01", "start": "09:00"},
    "make_folder": {"path": "/nobody_asked_for_this"},
    "add_person": {"name": "Nobody Asked", "phone": "1"},
    "top_up": {"amount": 1},
}
#: Arguments whose change does not always change the result.
LOOSE = {("free_times", "minutes")}


def reference(made: MadeTask) -> Turns:
    return [list(calls) for calls in made.task.reference]


def failures(made: MadeTask, turns: Turns) -> list[str]:
    """The kinds of failures of the turns that do not pass."""
    episode = EmbeddedEpisode(made)
    found = []
    for calls in turns:
        for call in calls:
            episode.call(call)
        check = episode.end_turn()
        if not check.passed:
            found.append(check.failure)
    return found


def effects(made: MadeTask) -> Iterator[tuple[int, int, bool, bool]]:
    """Turn, place, whether the call writes, and whether the user asked for its result, of each reference call."""
    episode = EmbeddedEpisode(made)
    for turn, calls in enumerate(made.task.reference):
        for place, call in enumerate(calls):
            before = episode.state_key
            result = episode.call(call)
            assert not result.error, (made.task.name, call, result)
            yield turn, place, episode.state_key != before, result.text in made.wanted[turn].needed
        assert episode.end_turn().passed, made.task.name


def wrong_variants(made: MadeTask) -> Iterator[tuple[str, Turns]]:
    turns = reference(made)
    loose = len(turns) > 1 and "top_up" in made.offered[0]  # the answer to one question may answer another
    yield "no calls", [[] for _ in turns]
    for turn, calls in enumerate(turns):
        if not calls:
            yield "calls in the empty turn", with_turn(turns, turn, turns[turn + 1])
            yield (
                "the empty turn's calls early and not again",
                with_turn(with_turn(turns, turn, turns[turn + 1]), turn + 1, []),
            )
        elif len(turns) > 1:
            yield "a silent turn", with_turn(turns, turn, [])
    for turn, place, writes, asked in effects(made):
        call = turns[turn][place]
        if not (writes or asked):
            continue
        yield f"without {call.name}", with_turn(turns, turn, without(turns[turn], place))
        for name in made.offered[turn]:
            if name != call.name and list(FUNCTIONS[name].kinds) == list(FUNCTIONS[call.name].kinds) and not loose:
                calls = [*turns[turn][:place], ToolCall(name, call.arguments), *turns[turn][place + 1 :]]
                yield f"{name} in place of {call.name}", with_turn(turns, turn, calls)
                break
        for name, value in call.arguments.items():
            if (call.name, name) in LOOSE:
                continue
            changed = ToolCall(call.name, {**call.arguments, name: other(value)})
            calls = list(turns[turn])
            calls[place] = changed
            yield f"{call.name} with another {name}", with_turn(turns, turn, calls)
        if writes and turn + 1 < len(turns):
            late = with_turn(turns, turn, without(turns[turn], place))
            yield f"{call.name} a turn late", with_turn(late, turn + 1, [call, *late[turn + 1]])
    if len(turns) == 1 and "list_cards" in made.offered[0]:
        yield "only another look", [[ToolCall("list_cards", {"column": "done"})]]
    for name, arguments in DAMAGE.items():
        if name in made.offered[-1]:
            yield "damage", [*turns[:-1], [*turns[-1], ToolCall(name, arguments)]]
            return


def with_turn(turns: Turns, turn: int, calls: Sequence[ToolCall]) -> Turns:
    return [list(calls) if number == turn else each for number, each in enumerate(turns)]


def without(calls: list[ToolCall], place: int) -> list[ToolCall]:
    return calls[:place] + calls[place + 1 :]


def other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, list):
        return [each + 1 for each in value]
    return f"{value}x"
