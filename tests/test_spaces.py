from __future__ import annotations

import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector.utils import batch_space, create_shared_memory

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.spaces import UnicodeText


@pytest.mark.parametrize("text", ["", "look", "naïve ☕", "\ud800", "a\nb\x00", "👩‍🚀" * 10])
def test_contains_any_text(text: str) -> None:
    assert text in UnicodeText()


@pytest.mark.parametrize("value", [3, None, b"look", ["look"], np.str_("ok").encode()])
def test_contains_only_text(value: object) -> None:
    assert value not in UnicodeText()


def test_length() -> None:
    space = UnicodeText(max_length=3)
    assert "abc" in space
    assert "☕☕☕" in space  # characters, not bytes
    assert "abcd" not in space
    assert all(len(space.sample()) <= 3 for _ in range(5))
    with pytest.raises(UsageError, match="max_length ≥ 1"):
        UnicodeText(0)


def test_sampling_is_seeded() -> None:
    one, other = UnicodeText(seed=4), UnicodeText(seed=4)
    drawn = [one.sample() for _ in range(5)]
    assert drawn == [other.sample() for _ in range(5)]
    assert len(set(drawn)) == 5
    assert all(text in one for text in drawn)
    assert {UnicodeText(samples=("a", "b"), seed=seed).sample() for seed in range(20)} == {"a", "b"}


def test_masks_are_refused() -> None:
    with pytest.raises(UsageError, match="without mask"):
        UnicodeText().sample(mask=(1, 0))
    with pytest.raises(UsageError, match="without mask"):
        UnicodeText().sample(probability=np.ones(2))


def test_equality_hash_repr_pickle() -> None:
    space = UnicodeText(10, samples=("a",), seed=1)
    assert space == UnicodeText(10, samples=["a"])
    assert hash(space) == hash(UnicodeText(10, samples=("a",)))
    assert space != UnicodeText(11, samples=("a",))
    assert space != UnicodeText(10)
    assert space != gym.spaces.Text(10)
    assert repr(space) == "UnicodeText(max_length=10)"
    again = pickle.loads(pickle.dumps(space))
    assert again == space
    assert [again.sample() for _ in range(3)] == [space.sample() for _ in range(3)]


def test_json() -> None:
    space = UnicodeText()
    assert space.from_jsonable(space.to_jsonable(("é", "b"))) == ["é", "b"]
    assert not space.is_np_flattenable


def test_shared_memory_is_refused_with_an_alternative() -> None:
    with pytest.raises(UsageError, match="HindsightVectorEnv"):
        create_shared_memory(UnicodeText(), 2)


def test_batching() -> None:
    batched = batch_space(UnicodeText(), 2)
    assert ("a", "b") in batched
    assert ("a", 3) not in batched
