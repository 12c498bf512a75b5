from __future__ import annotations

import pickle
from typing import Any

import gymnasium as gym
import pytest

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.envs.extra import Extra
from agentgym_hindsight.envs.thought import Thought


def test_lazy_facts_are_computed_once() -> None:
    calls: list[int] = []
    extra = Extra(size=lambda: calls.append(1) or 3, name="demo")
    assert not calls
    assert (extra.size, extra["size"], extra.name) == (3, 3, "demo")
    assert len(calls) == 1
    assert (len(extra), sorted(extra)) == (2, ["name", "size"])
    assert repr(extra) == "Extra(size=3, name='demo')"


def test_the_repr_is_short_and_computes_nothing() -> None:
    calls: list[int] = []
    extra = Extra({"facts": frozenset(map(str, range(999))), "page": "text\n" * 5000}, {"state": calls.append}, 4)
    assert repr(extra).startswith("Extra(facts=frozenset({'0', '1', '10', '100', '101', '102', ")
    assert len(repr(extra)) < 250
    assert repr(extra).endswith("state=…)")
    assert not calls


def test_table_functions_get_the_argument_and_run_once() -> None:
    calls: list[int] = []
    shared = {"backend": "demo"}
    extra = Extra(shared, {"twice": lambda number: calls.append(number) or 2 * number}, 4, turn=1)
    assert "twice" in extra
    assert not calls
    assert (extra.twice, extra.twice, dict(extra)) == (8, 8, {"backend": "demo", "turn": 1, "twice": 8})
    other = extra.at(5)
    assert (other.twice, extra.twice, other.turn) == (10, 8, 1)
    assert calls == [4, 5]
    assert shared == {"backend": "demo"}


def test_a_key_error_inside_a_function_is_not_hidden() -> None:
    extra = Extra(size=lambda: {}["missing"])
    with pytest.raises(KeyError, match="missing"):
        _ = extra.size


def test_equality_and_pickling() -> None:
    extra = Extra({"one": 1}, {"twice": lambda number: 2 * number}, 4, size=lambda: 3)
    again = pickle.loads(pickle.dumps(extra))
    assert again == extra == {"one": 1, "twice": 8, "size": 3}
    assert extra != Extra(size=4)


def test_read_only_and_helpful() -> None:
    with pytest.raises(AttributeError, match="read-only"):
        Extra(a=1).a = 2
    with pytest.raises(AttributeError, match="Expected one of a"):
        _ = Extra(a=1).b
    with pytest.raises(KeyError):
        Extra(a=1)["b"]


@pytest.mark.parametrize(
    ("env_id", "refused"), [("ALFWorld-Hindsight-v0", "open the door"), ("WebShop-Hindsight-v0", "click[nothing]")]
)
def test_a_thought_clears_the_reason_of_the_last_action(env_id: str, refused: str) -> None:
    env: Any = gym.make(env_id, data="embedded")
    env.reset(seed=0)
    *_, before = env.step(refused)
    *_, after = env.step(Thought("think: hm"))
    assert before["extra"].reason.kind
    assert after["extra"].reason is None
    assert dict(before["extra"], reason=None) == dict(after["extra"])
    env.close()
