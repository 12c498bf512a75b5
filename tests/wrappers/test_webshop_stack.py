"""The wrappers over the shop: the prompts, and the conformance of the whole stack."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.testing import check_hindsight_env
from agentgym_hindsight.wrappers import (
    PROTOCOLS,
    ActionParser,
    InvalidActionPenalty,
    PromptProtocol,
    RecordTrajectories,
    RewardProtocol,
)
from agentgym_hindsight.wrappers.protocols import make_protocol

Env = gym.Env[str, str]
#: The maximal length of a prompt of one turn in this env, in characters.
LIMIT = 13_000


def shop(**choices: Any) -> Env:
    return gym.make("WebShop-Hindsight-v0", **{"data": "embedded", "products": 300, "expert": True, **choices})


def whole(env: Env, protocol: str) -> Env:
    env = ActionParser(PromptProtocol(env, protocol), make_protocol(protocol).parser)
    return RecordTrajectories(InvalidActionPenalty(RewardProtocol(env, "10-won")))


def test_the_start_page_lists_only_a_search() -> None:
    env = PromptProtocol(shop())
    prompt, info = env.reset(seed=0)
    assert prompt.splitlines()[0].endswith("WebShop e-commerce environment.")
    assert "Your admissible actions now are:\n[\n'search[<your query>]',\n]." in prompt
    assert prompt.count(f"Your task is to: {info['goal']}") == 1
    assert f"Your current observation is: {info['raw_observation']}" in prompt
    assert "already taken" not in prompt


def test_other_pages_list_every_click() -> None:
    env = PromptProtocol(shop())
    prompt, info = env.reset(seed=0)
    pages = set()
    over = False
    while not over:
        prompt, _, terminated, truncated, info = env.step(info["expert_action"])
        over = terminated or truncated
        pages.add(info["extra"].page)
        if over:
            break
        assert "search[<your query>]" not in prompt  # as in the baselines: only the start page has a search bar
        assert all(f"\n'{action}'," in prompt for action in info["admissible_actions"])
        assert info["hindsight"].next_observation.text == prompt
    assert pages >= {"results", "item", "done"}
    assert info["won"]
    assert prompt.endswith("inside <action> </action> tags.")


def test_a_long_prompt_drops_its_history() -> None:
    env = PromptProtocol(shop(max_steps=40))
    _, info = env.reset(seed=0)
    env.step(f"search[{info['goal']}]")
    prompt, *_ = env.step("click[next >]")
    assert "[Observation 1: " in prompt
    assert len(prompt) <= LIMIT
    # A very long query: the window of two turns no longer fits.
    prompt, *_ = env.step(f"search[{'red shoes ' * 1500}]")
    assert "[Observation" not in prompt
    assert len(prompt) <= LIMIT
    env.step("click[back to search]")
    env.step(f"search[{info['goal']}]")
    prompt, *_ = env.step("click[next >]")
    assert "[Observation" in prompt
    assert len(prompt) <= LIMIT


@pytest.mark.parametrize("rules", ["strict", "official"])
def test_no_page_exceeds_the_limit_without_history(rules: str) -> None:
    env = PromptProtocol(shop(products=1000, rules=rules, split="test"), history=0)
    longest = 0
    for seed in range(40):
        _, info = env.reset(seed=seed)
        over = False
        while not over:
            prompt, _, terminated, truncated, info = env.step(info["expert_action"])
            longest = max(longest, len(prompt))
            over = terminated or truncated
    assert 1_000 < longest <= LIMIT


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_whole_stack_conforms(protocol: str) -> None:
    check_hindsight_env(whole(shop(max_steps=9), protocol))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_oracle_wins_through_the_whole_stack(protocol: str) -> None:
    env = whole(shop(), protocol)
    respond = env.get_wrapper_attr("format_response")
    _, info = env.reset(seed=4)
    over, total = False, 0.0
    while not over:
        _, reward, terminated, truncated, info = env.step(respond(info["expert_action"]))
        total += float(reward)
        over = terminated or truncated
        assert info["action_valid"]
    assert total == 10.0
    assert info["won"]


def test_a_response_without_action_is_refused_and_penalised() -> None:
    env = whole(shop(), "verl-agent-2025")
    env.reset(seed=1)
    _, reward, *_, info = env.step("I would rather not.")
    assert not info["action_valid"]
    assert reward < 0
    assert info["extra"].page == "index"
    _, reward, *_, info = env.step("<think>Look for it.</think><action>search[red shoes]</action>")
    assert info["action_valid"]
    assert reward == 0
    assert info["extra"].query == "red shoes"
