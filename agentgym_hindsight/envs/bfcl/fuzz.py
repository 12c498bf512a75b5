"""Random calls and actions: odd values, wrong types, unknown names, broken notations. For tests and benchmarks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from agentgym_hindsight.envs.bfcl.world import ApiEpisode, ApiLibrary, CallResult
from agentgym_hindsight.envs.tools import ToolCall
from agentgym_hindsight.envs.tools.schemas import parameters_of
from agentgym_hindsight.tasks import Task

__all__ = [
    "LONGEST_ANSWER",
    "failing_references",
    "fuzz_calls",
    "random_action",
    "random_call",
    "some_tasks",
    "starting_states",
    "values_of",
]

#: Characters of an answer that a fuzzed call may get: the lists of long contexts are long.
LONGEST_ANSWER = 400_000
_FRESH = 100  # calls in one episode
_TURN = 9  # calls in a user turn, on average
_REFERENCE = 0.15  # share of calls of the reference: they reach states that random calls do not

_DEEP: Any = "deep"
for _ in range(30):
    _DEEP = [_DEEP]
_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    2,
    10,
    3.5,
    -273.15,
    1e308,
    1e15,
    10**30,
    10**999,
    -(10**9),
    "",
    " ",
    ".",
    "..",
    "/",
    "x" * 300,
    "\u0000",
    "Zoë 🛒",
    "123",
    "None",
    "2024-13-45",
    [],
    [None],
    ["a", "a"],
    [1, 2, 3],
    {},
    {"a": 1},
    _DEEP,
)
_ODD_NAMES = ("", "exit", "__init__", "_load_scenario", "os.remove", "cd.cd", "calculáte", "eval", "self", "print")


def random_call(draw: Random, episode: ApiEpisode, known: Sequence[Any]) -> ToolCall:
    """A call that is mostly plausible: a function of the world, with values that its reference has, and odd ones."""
    offered = episode.task.functions[-1]
    schema = draw.choice(offered)
    name = schema["function"]["name"] if draw.random() < 0.97 else draw.choice(_ODD_NAMES)
    arguments = {each: _value(draw, known) for each in parameters_of(schema)[0] if draw.random() < 0.95}
    if draw.random() < 0.03:
        arguments[draw.choice(("self", "a b", "kwargs", "path"))] = draw.choice(_VALUES)
    positional = tuple(arguments.values()) if draw.random() < 0.05 else ()
    return ToolCall(str(name), {} if positional else arguments, positional)


def random_action(draw: Random, episode: ApiEpisode, known: Sequence[Any]) -> str:
    """A call as text, sometimes damaged, or a text that is no call."""
    call = random_call(draw, episode, known)
    text = json.dumps({"name": call.name, "arguments": dict(call.arguments)}, ensure_ascii=draw.random() < 0.5)
    kind = draw.randrange(10)
    if kind == 0:
        text = f"<tool_call>{text}</tool_call>" * draw.randrange(1, 4)
    elif kind == 1:
        text = f"[{call.name}({', '.join(f'{name}={value!r}' for name, value in call.arguments.items())})]"
    elif kind == 2:
        text = text[: draw.randrange(len(text))]
    elif kind == 3:
        text = '{"name": "cd", "arguments": {"folder": ' + "[" * draw.choice((5, 500, 20_000))
    elif kind == 4:
        text = '{"name": "power", "arguments": {"base": ' + "9" * draw.choice((50, 5_000, 90_000)) + ', "exponent": 2}}'
    elif kind == 5:
        place = draw.randrange(len(text))
        text = text[:place] + draw.choice(("<tool_call>", "</tool_call>", "\ud800", "\\", '"', "}")) + text[place:]
    elif kind == 6:
        text = "I am done."
    return text


def fuzz_calls(library: ApiLibrary, count: int, seed: int, check: Callable[[ToolCall, CallResult], None]) -> None:
    """Make ``count`` random calls in conversations of a library. ``check`` gets each call and its result.

    The key of the state is computed after each call, and each user turn is checked.
    """
    draw = Random(seed)
    splits = [split for split in library.splits if library.count(split)]
    done = 0
    while done < count:
        split = draw.choice(splits)
        episode = library.start(library.task(split, draw.randrange(library.count(split))))
        known = values_of(episode)
        turns = len(episode.task.messages)
        reference = iter([call for turn in episode.task.reference for call in turn])
        for _ in range(min(_FRESH, count - done)):
            wanted = next(reference, None) if draw.random() < _REFERENCE else None
            call = random_call(draw, episode, known) if wanted is None else _shorter(draw, wanted)
            check(call, episode.call(call))
            _ = episode.state_key
            done += 1
            if turns > 1 and draw.random() < 1 / _TURN:
                turns -= 1
                hidden = episode.end_turn().hidden
                _ = hidden if isinstance(hidden, str) else hidden()
                changes = episode.take_changes()
                _ = changes if isinstance(changes, str) else changes()


def some_tasks(library: ApiLibrary, most: int) -> list[Task]:
    """At most ``most`` tasks of a library, at equal distances in all splits."""
    places = [(split, index) for split in library.splits for index in range(library.count(split))]
    return [library.task(*place) for place in places[:: max(1, -(-len(places) // most))]]


def starting_states(library: ApiLibrary, tasks: Sequence[Task]) -> dict[str, str]:
    """The id of each task → the key of its initial state.

    Calls of other episodes must not change them: before and after :func:`fuzz_calls` they are the same.
    """
    return {task.id: library.start(task).state_key for task in tasks}


def failing_references(library: ApiLibrary, tasks: Sequence[Task]) -> list[str]:
    """The names of the tasks whose reference does not pass: none, whatever was called in earlier episodes."""
    failing = []
    for task in tasks:
        episode = library.start(task)
        passed = True
        for turn in episode.task.reference:
            for call in turn:
                episode.call(call)
            passed &= episode.end_turn().passed
        if not passed:
            failing.append(episode.task.name)
    return failing


def values_of(episode: ApiEpisode) -> list[Any]:
    """The values in the reference of a conversation."""
    calls = (call for turn in episode.task.reference for call in turn)
    return [value for call in calls for value in call.arguments.values()]


def _shorter(draw: Random, call: ToolCall) -> ToolCall:
    """The call, in a third of the cases without its last argument."""
    arguments = dict(call.arguments)
    if arguments and draw.random() < 1 / 3:
        arguments.popitem()
    return ToolCall(call.name, arguments, call.positional)


def _value(draw: Random, known: Sequence[Any]) -> Any:
    return draw.choice(known) if known and draw.random() < 0.6 else draw.choice(_VALUES)
