"""The oracle reaches the goal from any state."""

from __future__ import annotations

from random import Random

import pytest

from agentgym_hindsight.envs.webshop.library import open_library
from agentgym_hindsight.envs.webshop.oracle import best_options, best_query, next_action, plan
from agentgym_hindsight.envs.webshop.session import Session
from tests.envs.webshop.tiny_shop import goal_for, tiny_shop

SHOP = tiny_shop()


@pytest.mark.parametrize("rules", ["strict", "official"])
def test_every_goal_of_the_tiny_shop_is_reached(rules: str) -> None:
    for goal in SHOP.goals:
        session = Session(SHOP, goal, rules)
        actions, reward = plan(session)
        if rules == "strict":
            assert reward == 1.0
        assert session.state.kind == "index"  # planning does not change the session
        for action in actions:
            outcome = session.act(action)
            assert outcome.valid
        assert actions
        assert (outcome.done, outcome.reward) == (True, reward)
        assert next_action(session) == ""


def test_the_oracle_continues_from_any_state() -> None:
    random = Random(0)
    for _ in range(300):
        goal = random.choice(SHOP.goals)
        session = Session(SHOP, goal, "strict")
        for _ in range(random.randrange(8)):
            names = [name for name in session.clickables if name not in ("search", "buy now")]
            searched = f"search[{random.choice(['mug', 'hose', 'clay mug', 'zebra'])}]"
            session.act(searched if not names or random.random() < 0.2 else f"click[{random.choice(names)}]")
        actions, reward = plan(session)
        assert reward == 1.0, (session.state, actions)


def test_every_goal_of_the_embedded_shop_is_reached() -> None:
    library = open_library("embedded", products=120)
    for split in ("train", "eval", "test"):
        for index in range(library.count(split)):
            goal = library.goal(library.task(split, index))
            actions, reward = plan(Session(library.shop, goal, "strict"))
            assert reward == 1.0, goal
            assert len(actions) <= 15


def test_the_literal_value_is_chosen_among_several_that_match() -> None:
    product = SHOP.products[0]
    goal = goal_for(product, options=(("", "large"), ("", "red")), human=True)
    assert best_options(product, goal, "official") == {"color": "red", "size": "large"}
    assert best_options(product, goal, "strict") == {"color": "red", "size": "large"}
    assert best_options(product, goal_for(product, options=(("color", "violet"),)), "strict") == {}


def test_a_query_has_no_characters_of_the_action_grammar() -> None:
    goal = goal_for(SHOP.products[0], instruction="<r> a [tall] clay\nmug")
    query = best_query(SHOP, goal)
    assert not set("[]\n<") & set(query)
    assert Session(SHOP, goal).act(f"search[{query}]").valid


def test_a_product_that_is_not_in_the_shop_has_no_plan() -> None:
    goal = goal_for(SHOP.products[0], asin="T999999999")
    assert plan(Session(SHOP, goal)) == ((), 0.0)
    assert next_action(Session(SHOP, goal)) == ""
    nowhere = goal_for(SHOP.products[0], instruction="zebra", query="zebra", title="zebra")
    assert plan(Session(SHOP, nowhere)) == ((), 0.0)
