"""The bare shop: easier than the standard one, and never under its name."""

from __future__ import annotations

import gymnasium as gym
import pytest

import agentgym_hindsight  # noqa: F401
from agentgym_hindsight.baselines.policies.webshop_search import short_query
from agentgym_hindsight.envs.webshop.library import open_library
from agentgym_hindsight.envs.webshop.oracle import plan
from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.errors import UnknownNameError, UsageError


def test_the_name_of_the_backend_says_it() -> None:
    with gym.make("WebShop-Hindsight-v0", data="embedded", difficulty="bare") as env:
        assert env.unwrapped.backend.name == "native/embedded-bare/strict"
    with gym.make("WebShop-Hindsight-v0", data="embedded") as env:
        assert env.unwrapped.backend.name == "native/embedded/strict"


def test_every_goal_can_be_bought() -> None:
    library = open_library("embedded", difficulty="bare", products=200)
    assert library.splits == ("train", "eval", "test")
    goals = library.shop.goals
    assert len(goals) > 400
    assert all(plan(Session(library.shop, goal))[1] == 1.0 for goal in goals[:100])


def test_no_product_is_in_two_splits() -> None:
    library = open_library("embedded", difficulty="bare")
    asins = {
        split: {library.goal(library.task(split, index)).asin for index in range(library.count(split))}
        for split in library.splits
    }
    assert not asins["train"] & (asins["eval"] | asins["test"])


def test_a_short_search_finds_the_product_but_not_always_first() -> None:
    library = open_library("embedded", difficulty="bare")
    ranks = []
    for index in range(200):
        goal = library.goal(library.task("train", index))
        ranks.append(library.shop.search(short_query(goal.instruction)).index(library.shop.position[goal.asin]))
    assert sum(rank < 10 for rank in ranks) > 190
    assert 20 < sum(rank > 0 for rank in ranks) < 120, "some goals need a look at options and prices"


def test_official_data_and_human_goals_have_no_difficulty() -> None:
    with pytest.raises(UsageError, match="difficulty"):
        open_library("/nowhere", difficulty="bare")
    with pytest.raises(UsageError, match="synthetic"):
        open_library("embedded", difficulty="bare", goals="human")
    with pytest.raises(UnknownNameError, match="bare"):
        open_library("embedded", difficulty="easy")


@pytest.mark.parametrize(
    ("instruction", "query"),
    [
        ("Find me hat with wool for men with size: small, and price lower than 9.00 dollars", "hat with wool for men"),
        ("Find me soft hat, and price lower than 9.00 dollars", "soft hat"),
        ("i need a hat", "i need a hat"),
        ("a [hat]\nfor me", "a hat for me"),
        ("", ""),
    ],
)  # fmt: skip
def test_short_queries(instruction: str, query: str) -> None:
    assert short_query(instruction) == query
