"""Snapshots of the desks: the records, the agent's actions, the users' states and the verdict."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import gymnasium as gym
import pytest

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.envs.snapshot_value import Snapshot
from agentgym_hindsight.envs.tau.fuzz import random_action
from agentgym_hindsight.envs.tau.session import Session
from agentgym_hindsight.envs.tau.users import STOP
from agentgym_hindsight.envs.tools import ToolCall, format_calls
from agentgym_hindsight.errors import SchemaError, UsageError
from agentgym_hindsight.vector import HindsightVectorEnv
from tests.forks import any_action, check_restored, check_walks, in_words, walk

ID = "TauBench-Hindsight-v0"
MADE: dict[str, dict[str, Any]] = {
    "retail": {"domain": "retail", "expert": True},
    "airline": {"domain": "airline", "expert": True},
    "retail, strict": {"domain": "retail", "rules": "strict", "user": "scripted-all"},
    "airline, strict": {"domain": "airline", "rules": "strict", "expert": True, "introduce": False},
}
_WORDS = (
    "What is your name, and your order?",
    "Shall I proceed?",
    "Anything else?",
    "Which reservation, and what is your email?",
    "Your request is complete.",
)


def make(name: str, **changes: Any) -> gym.Env[Any, Any]:
    return gym.make(ID, **{"backend": "embedded", "split": "valid", "max_steps": 12, **MADE[name], **changes})


def chooser(name: str) -> Any:
    desk = make(name).unwrapped.backend.library.desk  # type: ignore[attr-defined]

    def choose(rng: random.Random, info: dict[str, Any]) -> str:
        draw = rng.random()
        if draw < 0.45 and info["expert_action"]:
            return str(info["expert_action"])
        if draw < 0.65:
            return random_action(rng, desk)
        return rng.choice(_WORDS) if draw < 0.85 else any_action(rng, info)

    return choose


def task_of(env: Any, kind: str) -> Any:
    return next(task for task in env.unwrapped.panel() if task.category == kind)


def call(name: str, **arguments: Any) -> str:
    return format_calls([ToolCall(name, arguments)])


@pytest.mark.parametrize("name", MADE)
def test_what_follows_a_restored_moment_is_the_same(name: str) -> None:
    assert check_walks(lambda: make(name), 60, choose=chooser(name)) == 60


@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_ten_thousand_random_states_are_restored(name: str) -> None:
    states = int(os.environ.get("AGENTGYM_HINDSIGHT_STATES", "10000"))
    assert check_walks(lambda: make(name), states, seed=1, choose=chooser(name)) == states


@pytest.mark.parametrize("part", [0, 2])
def test_the_check_of_the_walks_can_fail(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    save = Session.save

    def forgetful(self: Any) -> Any:
        saved = list(save(self))
        saved[part] = ((), (), ((), 0))[part]
        return tuple(saved)

    monkeypatch.setattr(Session, "save", forgetful)
    with pytest.raises(AssertionError):
        check_walks(lambda: make("retail"), 400, choose=chooser("retail"))


def test_a_fork_shares_no_record_with_the_first_rollout() -> None:
    env, other = make("retail").unwrapped, make("retail").unwrapped
    env.reset(options={"task": task_of(env, "cancel_order")})
    session = env.backend.session  # type: ignore[attr-defined]
    cancel = call(*session.task.actions[-1][:1], **session.task.actions[-1][1])
    env.step(cancel)
    moment = env.snapshot()  # type: ignore[attr-defined]
    user_id = session.task.user_id
    other.restore(moment)  # type: ignore[attr-defined]
    address = {"address1": "x", "address2": "", "city": "y", "state": "z", "country": "w", "zip": "1"}
    other.step(call("modify_user_address", user_id=user_id, **address))
    assert other.backend.session.database["users"][user_id]["address"]["city"] == "y"  # type: ignore[attr-defined]
    assert session.database["users"][user_id]["address"]["city"] != "y"
    assert env.step("Your request is complete.")[1] == 1.0
    assert other.step("Your request is complete.")[1] == 0.0


def test_what_was_said_before_counts_after_a_restore() -> None:
    env: Any = make("retail").unwrapped
    desk = env.backend.library.desk
    task = next(task for task in env.panel() if desk.tasks[task.split][int(task.locator.rpartition("/")[2])].outputs)
    env.reset(options={"task": task})
    *calls, told = env.backend._remaining
    for action in calls:
        env.step(action)
    observation = env.step(f"Shall I proceed? {told}")[0]
    assert observation == "User: Yes, please go ahead."
    other: Any = make("retail").unwrapped
    other.restore(Snapshot.from_bytes(env.snapshot().to_bytes()))
    assert other.step("All is done.")[1] == env.step("All is done.")[1] == 1.0


@pytest.mark.parametrize("rules", ["official", "strict"])
@pytest.mark.parametrize("ends", ["by itself", "truncated"])
def test_the_end_of_an_episode_is_restored_with_its_verdict(rules: str, ends: str) -> None:
    env = make("retail", rules=rules, max_steps=12 if ends == "by itself" else 2)
    observation, info = env.reset(seed=1)
    over = False
    while not over:
        observation, _, terminated, truncated, info = env.step(info["expert_action"])
        over = terminated or truncated
    assert truncated == (ends == "truncated")
    world: Any = env.unwrapped
    moment = Snapshot.from_bytes(world.snapshot().to_bytes())
    other: Any = make("retail", rules=rules, max_steps=world.max_steps).unwrapped
    assert in_words(other.restore(moment)) == in_words((observation, info))
    assert other.backend.session.database.hash() == world.backend.session.database.hash()
    assert other.backend.session.actions == world.backend.session.actions
    assert other.backend.conclude() == world.backend.conclude()
    assert other.backend.session.save() == world.backend.session.save()


def speak(messages: list[dict[str, str]]) -> str:
    heard = len(messages), messages[-1]["content"][:40]
    return f"{heard} {STOP}" if len(messages) > 12 else f"{heard}"


def test_a_model_as_user_is_restored_with_its_messages() -> None:
    env, other = (make("retail", user=speak) for _ in range(2))
    moments = walk(env, random.Random(3), chooser("retail"))
    for number in range(len(moments)):
        check_restored((env, other)[number % 2], moments, number, 3, stored=number % 3 == 0)
    assert check_walks(lambda: make("airline", user=speak), 30, choose=chooser("airline")) == 30


def test_a_model_is_not_asked_again_by_a_restore() -> None:
    asked = []

    def counted(messages: list[dict[str, str]]) -> str:
        asked.append(len(messages))
        return "Hm."

    env = make("retail", user=counted).unwrapped
    env.reset(seed=0)
    env.step("What?")
    moment = env.snapshot()  # type: ignore[attr-defined]
    env.step("And?")
    asked.clear()
    env.restore(moment)  # type: ignore[attr-defined]
    assert asked == []
    env.step("And?")
    assert asked == [6]


def test_a_person_cannot_be_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: "Hello.")
    env: Any = make("retail", user="person").unwrapped
    env.reset(seed=0)
    assert not env.can_snapshot
    with pytest.raises(UsageError, match="a person plays the customer, who cannot go back"):
        env.snapshot()


def test_other_arguments_are_refused_by_name() -> None:
    env: Any = make("retail").unwrapped
    env.reset(seed=0)
    moment = env.snapshot()
    for changes, named in (
        ({"rules": "strict"}, "backend="),
        ({"user": "scripted-all"}, "backend="),
        ({"introduce": False}, "introduce=False"),
        ({"kinds": ["cancel_order"]}, "kinds='cancel_order'"),
    ):
        with pytest.raises(UsageError, match=named):
            make("retail", **changes).unwrapped.restore(moment)  # type: ignore[attr-defined]


def test_vector_envs_fork_conversations() -> None:
    for workers in (0, 1):
        settings: dict[str, Any] = {"backend": "embedded", "split": "valid", "expert": True, "workers": workers}
        envs = HindsightVectorEnv(ID, 3, **settings)
        _, infos = envs.reset(seed=0)
        _, _, _, _, infos = envs.step(list(infos["expert_action"]))
        envs.step(["What is your name?", *list(infos["expert_action"])[1:]])
        observations, _ = envs.fork(0, into=[1])
        assert observations[0] == observations[1]
        again, rewards, *_ = envs.step(["Shall I proceed?"] * 3)
        assert again[0] == again[1]
        assert rewards[0] == rewards[1]
        envs.close()


_NESTED: Any = {}
for _ in range(200):
    _NESTED = {"a": _NESTED}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("world",), None),
        (("world", 0), []),
        (("world", 0, 0), [["no_table", "#W1", "{}"]]),
        (("world", 0, 0), [["orders", "#W1", "{"]]),
        (("world", 0, 0), [["orders", "#W1", "[1]"]]),
        (("world", 0, 0), [["orders", 3, "{}"]]),
        (("world", 0, 0), [["orders", "#W1", json.dumps(_NESTED)]]),
        (("world", 0, 0), [["orders", "#W1", '{"a":' * 100_000]]),
        (("world", 0, 1), [["think", 3]]),
        (("world", 0, 1), [["think", _NESTED]]),
        (("world", 0, 2), [["I am the queen."], 0]),
        (("world", 0, 2), [[], -1]),
        (("world", 0, 3), 0),
        (("world", 0, 4), "yes"),
        (("world", 1), 99),
        (("world", 2, 1), -1),
        (("task", "goal"), "Another goal."),
        (("task", "id"), "0" * 16),
    ],
)
def test_a_loaded_value_is_checked(path: tuple[Any, ...], value: object) -> None:
    env: Any = make("retail").unwrapped
    env.reset(seed=0)
    document = json.loads(env.snapshot().to_json())
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    other: Any = make("retail").unwrapped
    with pytest.raises(SchemaError, match="Expected"):
        other.restore(Snapshot.from_json(json.dumps(document)))


def test_a_loaded_conversation_of_a_model_is_checked() -> None:
    env: Any = make("retail", user=speak).unwrapped
    env.reset(seed=0)
    document = json.loads(env.snapshot().to_json())
    for messages in ([], ["Hi!"], ["Hi!", 3]):
        document["world"][0][2] = messages
        with pytest.raises(SchemaError, match="Expected"):
            env.restore(Snapshot.from_json(json.dumps(document)))
