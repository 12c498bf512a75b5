"""API calls with random hostile arguments, and the costs of a reset and a state key."""

from __future__ import annotations

import json
import math
from random import Random
from typing import Any

import pytest

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature import SCHEMA, World
from tests.envs.appworld.hamlet import EVERY_API, Agent, planted

# -- fuzz ---------------------------------------------------------------------------------------------------------

_ODD: list[Any] = [
    None, True, False, 0, -1, 1, 5, 900, 2**31, 2**63, 2**70, -(2**70), 0.5, -0.0, 1e308, math.nan, math.inf, "", " ",
    "x", "x" * 200, "x" * 20_000, "x" * 100_000, "\x00", "\ud800", "é\u202e🙂", "' OR 1=1; DROP TABLE notes_notes; --",
    '"; SELECT', "%", "_", "\n", "/", "//", "/..", "/box/a.txt", "/box", "/empty", "2020-01-01", "2020-02-30",
    "9999-12-31", "0001-01-01", "2020-01-01T10:00:00", "2020-01-01T25:00:00", "10:00", "٣٤:٠٠", "1234567", "4" * 16,
    "a@b", "@", "inbox", "success", "pending", [], [None], ["x"], ["x"] * 60, [[]], [1, "a"], [math.nan], {}, {"a": {}},
    {"a": [1, {"b": None}]}, b"bytes", (1, 2), object, {1, 2}, 1j,
]  # fmt: skip


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def _fuzz(world: World, rounds: int, seed: int) -> int:
    random = Random(seed)
    agent, answered = Agent(world), 0
    addresses = [person.email for person in world.people]
    odd = [*_ODD, _nested(10_000)]
    for _ in range(rounds):
        app, api = random.choice(EVERY_API)
        arguments: dict[str, Any] = {}
        for name, parameter in api.parameters.items():
            if name == "access_token":
                if world.completed:
                    world.reset()
                    agent.tokens.clear()
                arguments[name] = agent.login(app) if random.random() < 0.95 else random.choice(odd)
            elif parameter.required or random.random() < 0.4:
                likely: list[Any] = [900, 901, 902, 1, *addresses[:3], addresses[:2], *parameter.kind.choices]
                arguments[name] = random.choice(likely if random.random() < 0.6 else odd)
        if random.random() < 0.03:
            arguments[random.choice(["x", "access_token", "", "\ud800", "page_index"])] = random.choice(odd)
        before, refusal, answer = world.delta_key(), None, None
        try:
            answer = world.call(app, api.name, arguments)
        except ApiFailure as failure:
            refusal = failure
        if refusal is None:
            json.dumps(answer, allow_nan=False).encode()
            answered += 1
        else:
            assert refusal.status in (401, 403, 404, 409, 422), (app, api.name, arguments, world.bugs)
            assert len(refusal.message.encode()) < 2000
        if refusal is not None or not api.writes:
            assert world.delta_key() == before
        if api.name == "logout":
            agent.tokens.pop(app, None)
        if world.completed:
            world.reset()
            agent.tokens.clear()
    return answered


def test_hostile_calls_return_results_or_failures(world: World) -> None:
    dump = world.db.dump()
    assert _fuzz(world, 4_000, 1) > 400
    assert world.db.intact()
    assert set(world.delta()) <= set(SCHEMA)
    world.reset()
    assert world.db.dump() == dump


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 8))
def test_many_hostile_calls(world: World, seed: int) -> None:
    assert _fuzz(world, 50_000, seed) > 5_000


# -- costs --------------------------------------------------------------------------------------------------------


def test_a_key_needs_no_statement_and_a_reset_only_a_rollback(world: World, agent: Agent) -> None:
    statements: list[str] = []
    agent("notes.pin_note", note_id=900)
    world.db._connection.set_trace_callback(statements.append)
    world.delta_key()
    assert statements == []
    world.reset()
    assert statements == ["ROLLBACK", "BEGIN"]
    assert planted().size < 150_000  # bytes that World.load copies
