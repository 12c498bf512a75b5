"""Snapshots of every env: what follows a restored moment is what followed the moment itself."""

from __future__ import annotations

import json
import pickle
import random
from typing import Any

import gymnasium as gym
import pytest

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.envs.snapshot_value import Snapshot
from agentgym_hindsight.errors import ResetNeededError, SchemaError, UsageError
from tests.forks import FixedEnv, any_action, check_walks, in_words, walk

MADE: dict[str, tuple[str, dict[str, Any]]] = {
    "alfworld": ("ALFWorld-Hindsight-v0", {"data": "embedded", "max_steps": 30}),
    "alfworld, expert": ("ALFWorld-Hindsight-v0", {"data": "embedded", "max_steps": 15, "expert": True}),
    "alfworld, augmented": ("ALFWorld-Hindsight-v0", {"data": "embedded", "anchor": "augmented", "max_steps": 15}),
    "webshop": ("WebShop-Hindsight-v0", {"data": "embedded", "max_steps": 25}),
    "webshop, history": (
        "WebShop-Hindsight-v0",
        {"data": "embedded", "num_prev_obs": 1, "num_prev_actions": 2, "expert": True},
    ),
    "webshop, official": (
        "WebShop-Hindsight-v0",
        {"data": "embedded", "rules": "official", "observation_mode": "text_rich"},
    ),
}


def make(name: str) -> gym.Env[Any, Any]:
    env_id, arguments = MADE[name]
    return gym.make(env_id, **arguments)


@pytest.fixture
def env() -> gym.Env[Any, Any]:
    made = make("alfworld").unwrapped
    made.reset(seed=0)
    return made


@pytest.mark.parametrize("name", MADE)
def test_what_follows_a_restored_moment_is_the_same(name: str) -> None:
    assert check_walks(lambda: make(name), 24) == 24


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alfworld", "webshop"])
def test_ten_thousand_random_states_are_restored(name: str) -> None:
    assert check_walks(lambda: make(name), 10_000, seed=1) == 10_000


def test_the_check_of_the_walks_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    from agentgym_hindsight.envs.alfworld.backend import NativeBackend

    restore = NativeBackend.restore

    def forgetful(self: Any, task: Any, world: Any, turn: Any) -> Any:
        states, *rest = world
        at = states[-1]._replace(held=-1, opened=0)
        return restore(self, task, ((*states[:-1], at), *rest), turn)

    monkeypatch.setattr(NativeBackend, "restore", forgetful)
    with pytest.raises(AssertionError):
        check_walks(lambda: make("alfworld"), 60)


def test_a_reset_after_restore_continues_the_order_of_tasks(env: Any) -> None:
    env.reset()
    snapshot = env.snapshot()
    following = [env.reset()[1]["task_id"] for _ in range(3)]
    other = make("alfworld").unwrapped
    other.restore(snapshot)
    assert [other.reset()[1]["task_id"] for _ in range(3)] == following


def test_the_generator_of_an_env_without_a_seed_is_restored() -> None:
    first, second = (make("alfworld").unwrapped for _ in range(2))
    first.reset()
    snapshot = first.snapshot()
    drawn = first.np_random.integers(1 << 40, size=3).tolist()
    second.restore(Snapshot.from_bytes(snapshot.to_bytes()))
    assert second.np_random.integers(1 << 40, size=3).tolist() == drawn
    assert second.np_random_seed == first.np_random_seed


def test_a_snapshot_does_not_change_when_its_env_goes_on(env: Any) -> None:
    snapshot = env.snapshot()
    before = snapshot.to_json()
    env.step("look")
    env.annotate(extra={"note": 1})
    env.restore(snapshot)
    env.step("inventory")
    assert snapshot.to_json() == before


def test_earlier_infos_keep_their_own_past(env: Any) -> None:
    for _ in range(3):
        info = env.step("look")[-1]
    transcript, facts = str(info["hindsight"].current_trajectory.text), dict(info["extra"])
    snapshot = env.snapshot()
    env.step("inventory")
    env.restore(snapshot)
    env.step("xyzzy")
    assert info["hindsight"].current_trajectory.text == transcript
    assert dict(info["extra"]) == facts


def test_a_rollout_says_where_it_begins(env: Any) -> None:
    assert env.trajectory().origin is None
    env.step("look")
    snapshot = env.snapshot()
    env.step("inventory")
    assert env.trajectory().origin is None
    env.restore(snapshot)
    env.step("look")
    origin = env.trajectory().origin
    assert (origin.task_id, origin.step, origin.how) == (snapshot.task.id, 1, "restore")
    other = make("alfworld").unwrapped
    other.restore(snapshot)
    assert other.trajectory().origin == origin, "rollouts from one moment have one origin"
    assert [step.action for step in env.trajectory().steps] == ["look", "look"]
    env.reset()
    assert env.trajectory().origin is None


def test_a_snapshot_of_the_end_of_an_episode(env: Any) -> None:
    short = gym.make("ALFWorld-Hindsight-v0", data="embedded", max_steps=2).unwrapped
    short.reset(seed=0)
    short.step("look")
    result = short.step("look")
    restored = short.restore(Snapshot.from_bytes(short.snapshot().to_bytes()))
    assert in_words(restored) == in_words((result[0], result[-1]))
    assert restored[1]["hindsight"].is_final
    with pytest.raises(ResetNeededError):
        short.step("look")


def test_another_task_is_switched_to(env: Any) -> None:
    snapshot = env.snapshot()
    other = make("alfworld").unwrapped
    other.reset(seed=5)
    assert other.task != snapshot.task
    other.restore(snapshot)
    assert other.task == snapshot.task


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"max_steps": 31}, "max_steps=31"),
        ({"expert": True}, "expert=True"),
        ({"anchor": "observation"}, "anchor='observation'"),
        ({"difficulty": "easy"}, "difficulty='easy'"),
        ({"task_types": ["pick_and_place_simple"]}, "task_types"),
    ],
)
def test_other_arguments_are_refused_by_name(env: Any, arguments: dict[str, Any], named: str) -> None:
    other = gym.make("ALFWorld-Hindsight-v0", **{**MADE["alfworld"][1], **arguments}).unwrapped
    with pytest.raises(UsageError, match=named):
        other.restore(env.snapshot())
    with pytest.raises(UsageError, match="WebShopEnv"):
        make("webshop").unwrapped.restore(env.snapshot())


def test_calls_that_cannot_work_say_why(env: Any) -> None:
    with pytest.raises(UsageError, match="Expected a Snapshot, got dict"):
        env.restore({})
    with pytest.raises(ResetNeededError, match="snapshot"):
        make("alfworld").unwrapped.snapshot()
    toy = FixedEnv()
    toy.reset(seed=0)
    assert not toy.can_snapshot
    with pytest.raises(UsageError, match="corridor, which cannot"):
        toy.snapshot()


def test_an_error_of_the_world_leaves_an_env_that_needs_a_reset(env: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = env.snapshot()
    monkeypatch.setattr(env.backend, "restore", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        env.restore(snapshot)
    with pytest.raises(ResetNeededError):
        env.step("look")


def test_forms_of_a_snapshot(env: Any) -> None:
    env.step("look")
    snapshot = env.snapshot()
    forms = [Snapshot.from_json(snapshot.to_json()), Snapshot.from_bytes(snapshot.to_bytes())]
    forms += [pickle.loads(pickle.dumps(snapshot))]
    for form in forms:
        assert form.to_json() == snapshot.to_json()
        assert env.restore(form)[0] == snapshot.turn[0]
    assert repr(snapshot) == f"Snapshot({snapshot.task.id}, step 1)"
    assert len(snapshot.to_bytes()) < 10_000


def _damaged(document: dict[str, Any], path: tuple[Any, ...], value: object) -> str:
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "another"),
        (("version",), 2),
        (("version",), True),
        (("task",), None),
        (("task", "goal"), 3),
        (("steps",), "{}"),
        (("turn", 0), None),
        (("turn", 4), "1"),
        (("turn",), [1]),
        (("over",), 0),
        (("draws", 2), -1),
        (("random", 1, "bit_generator"), "MT19937"),
        (("random", 1, "state", "state"), -1),
        (("wrappers",), [["TimeLimit"]]),
        (("settings",), {"env": []}),
        (("world",), None),
        (("world", 0), []),
        (("world", 0, 0, 0), 10_000),
        (("world", 0, 0, 1), 1 << 40),
        (("world", 0, 0, 2, 0), 1 << 900),
        (("world", 0, 0, 2), []),
        (("world", 0, 0, 6), True),
        (("world", 2), "yes"),
    ],
)
def test_a_loaded_value_is_checked(env: Any, path: tuple[Any, ...], value: object) -> None:
    text = _damaged(json.loads(env.snapshot().to_json()), path, value)
    other = make("alfworld").unwrapped
    with pytest.raises(SchemaError, match="Expected"):
        other.restore(Snapshot.from_json(text))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("world", 0, 0), "cellar"),
        (("world", 0, 3), [1000]),
        (("world", 0, 4), -2),
        (("world", 0, 7), [-1]),
        (("world", 0, 6), [["size"]]),
        (("world", 1), [[0, [1]]]),
        (("world", 5), 3),
    ],
)
def test_a_loaded_shop_is_checked(path: tuple[Any, ...], value: object) -> None:
    shop = make("webshop").unwrapped
    shop.reset(seed=0)
    text = _damaged(json.loads(shop.snapshot().to_json()), path, value)
    with pytest.raises(SchemaError, match="Expected"):
        shop.restore(Snapshot.from_json(text))


def test_the_reward_of_a_stored_purchase_is_computed_again() -> None:
    shop = gym.make("WebShop-Hindsight-v0", data="embedded", expert=True).unwrapped
    _, info = shop.reset(seed=0)
    over = False
    while not over:
        *_, over, _, info = shop.step(info["expert_action"])
    document = json.loads(shop.snapshot().to_json())
    assert document["world"][0][8] is not None
    document["world"][0][8] = [9] * len(document["world"][0][8])
    restored = shop.restore(Snapshot.from_json(json.dumps(document)))[1]
    assert restored["extra"].reward_parts == info["extra"].reward_parts


@pytest.mark.parametrize(
    "data", [b"", b"agentgym-hindsight/snapshot\n", b"agentgym-hindsight/snapshot\nxyz", pickle.dumps(3), "text", None]
)
def test_bytes_that_are_no_snapshot(data: Any) -> None:
    with pytest.raises(SchemaError, match="Expected the bytes"):
        Snapshot.from_bytes(data)


def test_a_stored_snapshot_opens_no_file(env: Any, tmp_path: Any) -> None:
    document = json.loads(env.snapshot().to_json())
    document["task"] |= {"backend": "file", "locator": str(tmp_path / "game.tw-pddl")}
    with pytest.raises(SchemaError, match="as this env lists it"):
        env.restore(Snapshot.from_json(json.dumps(document)))


def test_a_single_game_file_is_restored(tmp_path: Any) -> None:
    from agentgym_hindsight.envs.alfworld.gamewriter import write_game
    from agentgym_hindsight.envs.alfworld.houses import embedded_scene

    game = write_game(embedded_scene("train", 3), tmp_path)
    player = make("alfworld").unwrapped
    player.reset(options={"game_file": game})
    player.step("look")
    snapshot = player.snapshot()
    result = player.step("inventory")
    player.restore(Snapshot.from_json(snapshot.to_json()))
    assert in_words(player.step("inventory")) == in_words(result)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # textworld leaves files open
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_genuine_engine_is_restored_by_playing_again() -> None:
    pytest.importorskip("textworld")
    player = gym.make("ALFWorld-Hindsight-v0", backend="textworld", data="embedded", max_steps=9).unwrapped
    moments = walk(player, random.Random(0), any_action)
    other = gym.make("ALFWorld-Hindsight-v0", backend="textworld", data="embedded", max_steps=9).unwrapped
    other.restore(Snapshot.from_bytes(moments[5].snapshot.to_bytes()))
    assert in_words(other.step(moments[5].action)) == moments[5].result
    player.close()
    other.close()
