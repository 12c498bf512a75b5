"""The repr of an info, and its content as JSON."""

from __future__ import annotations

import copy
import json
import math
import pickle
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest

import agentgym_hindsight
from agentgym_hindsight import plain_info
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight import Feedback, Hindsight, Info
from agentgym_hindsight.registration import ENVS
from agentgym_hindsight.wrappers import ActionParser, InvalidActionPenalty, PromptProtocol

IDS = [entry.id for entry in ENVS]


def json_of(info: Any, **options: bool) -> Any:
    """The plain info, checked: JSON holds it without loss."""
    plain = plain_info(info, **options)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    return plain


def played(env: gym.Env[str, str], turns: int = 60) -> list[dict[str, Any]]:
    """The infos of one episode by the expert."""
    _, info = env.reset(seed=0)
    infos = [info]
    for _ in range(turns):
        *_, terminated, truncated, info = env.step(info["expert_action"] or "look")
        infos.append(info)
        if terminated or truncated:
            break
    return infos


@pytest.mark.parametrize("env_id", IDS)
def test_the_info_of_every_env_prints_short_and_is_json(env_id: str) -> None:
    env = gym.make(env_id, expert=True)
    infos = played(env)
    env.close()
    for info in infos:
        assert len(repr(info)) < 1500
        assert len(f"{info}") < 1500
        assert repr(info).isprintable()
        plain = json_of(info)
        assert plain.keys() == info.keys()
        assert plain["admissible_actions"] == list(info["admissible_actions"])
        assert plain["extra"].keys() == dict(info["extra"]).keys()
        assert plain["hindsight"].keys() == set(Hindsight.SOURCES)
    last = json_of(infos[-1], episode=True)
    assert len(last["hindsight"]["episode"]) == infos[-1]["step"]
    feedback = last["hindsight"]["episode"][-1]["future_trajectory"]
    assert feedback == {"text": "", "detail": "", "provenance": "environment", "step": infos[-1]["step"] - 1}


def test_wrappers_keep_the_short_repr() -> None:
    env = InvalidActionPenalty(PromptProtocol(gym.make("ALFWorld-Hindsight-v0", data="embedded", expert=True)))
    for info in played(env, 5):
        assert type(info) is Info
        assert {"prompt", "raw_observation", "raw_reward"} <= info.keys()
        assert len(repr(info)) < 1500
        json_of(info)
    env = ActionParser(gym.make("WebShop-Hindsight-v0", expert=True), "plain")
    _, info = env.reset(seed=0)
    assert json_of(info)["parsed_action"]["valid"] is not None
    assert len(repr(info)) < 1500


@pytest.mark.parametrize("mode", ["vector_entry_point", "sync"])
def test_the_infos_of_vector_envs_are_json(mode: str) -> None:
    venv = gym.make_vec("ALFWorld-Hindsight-v0", num_envs=3, vectorization_mode=mode, data="embedded")
    _, infos = venv.reset(seed=0)
    results = [infos, venv.step(("look", "look", "fly"))[-1]]
    venv.close()
    for infos in results:
        plain = json_of(infos)
        assert plain["task_id"] == list(infos["task_id"])
        assert plain["_won"] == [True, True, True]
        assert all(set(each) == set(Hindsight.SOURCES) for each in plain["hindsight"])
        assert all(type(score) is float for score in plain["score"])
    if mode == "vector_entry_point":
        assert all(len(repr(infos)) < 1500 for infos in results)


class Colour(Enum):
    RED = "red"


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Point:
    x: Any


def test_values_become_plain() -> None:
    info = {
        "numbers": (math.nan, math.inf, np.float32(0.5), np.int64(3), np.bool_(True), -0.0),
        "arrays": np.array([[1, 2], [3, 4]]),
        "objects": np.array([Hindsight(), None], dtype=object),
        "text": np.str_("a\ud800"),
        "sets": {frozenset({"b", "a"})},
        "colour": Colour.RED,
        "pair": Pair(Point({1: Path("a")}), b"".decode()),
        3: None,
        "feedback": Feedback(lambda: "text", step=2),
    }
    plain = json_of(info)
    assert plain["numbers"] == [None, None, 0.5, 3, True, 0.0]
    assert plain["arrays"] == [[1, 2], [3, 4]]
    assert plain["objects"] == [dict.fromkeys(Hindsight.SOURCES), None]
    assert plain["sets"] == [["a", "b"]]
    assert plain["pair"] == {"left": {"x": {"1": "a"}}, "right": ""}
    assert (plain["text"], plain["colour"], plain["3"]) == ("a\ud800", "red", None)
    assert plain["feedback"]["text"] == "text"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), r"at info\['a'\]\['b'\]\[1\], got object; try"),
        (b"x", "got bytes"),
        (1j, "got complex"),
        (1 << 5000, "an integer that JSON can hold"),
    ],
)
def test_other_values_are_refused_with_their_place(value: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plain_info({"a": {"b": [0, value]}})


def test_a_container_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(UsageError, match="at most 50 levels"):
        plain_info({"loop": loop})
    assert len(repr(Info(loop=loop))) < 1500


def test_an_info_is_a_dict() -> None:
    info = Info(a=1, b="x" * 5000)
    assert info == {"a": 1, "b": "x" * 5000}
    assert isinstance(info, dict)
    for other in (info.copy(), copy.deepcopy(info), pickle.loads(pickle.dumps(info)), info | {}, {} | info):
        assert type(other) is Info
        assert other == info
    assert (info | {"a": 2})["a"] == 2
    assert ({"a": 2} | info)["a"] == 1
    assert type(dict(info)) is dict
    assert repr(Info()) == "{}"
    with pytest.raises(TypeError):
        info | 3  # type: ignore[operator]


def test_an_info_of_many_keys_still_prints_short() -> None:
    for count in (1, 20, 200, 20_000):
        text = repr(Info({f"key {n}": f"value {n} " * 50 for n in range(count)}))
        assert len(text) < 1500
        assert text.startswith("{'key 0': 'value 0")
        assert text.endswith("}")


def test_printing_computes_nothing() -> None:
    def fail() -> str:
        raise RuntimeError("computed")

    hindsight = Hindsight(current_trajectory=Feedback(fail)).with_episode(fail)  # type: ignore[arg-type]
    assert repr(hindsight) == "Hindsight(current_trajectory=…, final)"
    assert repr(Hindsight()) == "Hindsight()"
    assert repr(Feedback(fail, step=4)) == "Feedback(<RuntimeError>, environment, step=4)"
    assert agentgym_hindsight.Hindsight is Hindsight


@pytest.mark.parametrize("value", [None, 3, "info", [1]])
def test_what_is_no_info_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="Expected the info of an env"):
        plain_info(value)
