"""The rule policy of WebShop."""

from __future__ import annotations

from agentgym_hindsight.baselines.policies import TurnView, scripted_policy
from agentgym_hindsight.baselines.policies.webshop_rule import SearchAndBuyFirst
from agentgym_hindsight.envs.webshop.catalogue import embedded_products
from agentgym_hindsight.envs.webshop.env import WebShopEnv
from agentgym_hindsight.envs.webshop.reward import score
from agentgym_hindsight.envs.webshop.search import build_index


def view(*actions: str, goal: str = "a hat") -> TurnView:
    return TurnView("1f", 0, 0, "", {"goal": goal, "admissible_actions": actions})


def test_it_searches_opens_the_first_result_and_buys() -> None:
    policy = scripted_policy("webshop-rule")
    assert isinstance(policy, SearchAndBuyFirst)
    assert policy.name == "search-and-buy-first"
    pages = [
        view(),
        view("click[back to search]", "click[next >]", "click[b01]", "click[b02]"),
        view("click[back to search]", "click[< prev]", "click[description]", "click[buy now]", "click[red]"),
        view("click[back to search]", "click[next >]"),  # nothing found
        view(goal='16" x 16" [pair]\nof cushions'),
    ]
    assert policy.act(pages) == [
        "search[a hat]",
        "click[b01]",
        "click[buy now]",
        "search[a hat]",
        'search[16" x 16"  pair  of cushions]',
    ]


def test_its_reward_is_the_score_of_the_first_result() -> None:
    env = WebShopEnv("test", data="embedded")
    products, policy = embedded_products(), SearchAndBuyFirst()
    index = build_index(products)
    for seed in range(8):
        observation, info = env.reset(seed=seed)
        reward, steps, done = 0.0, 0, False
        while not done:
            action = policy.act([TurnView(info["task_id"], 0, steps, observation, info)])[0]
            observation, reward, done, truncated, info = env.step(action)
            assert not truncated
            steps += 1
        goal = env.backend.session.goal
        assert steps == 3
        assert reward == score(products[index.search(goal.instruction, 1)[0]], {}, goal, "strict").total
    env.close()
