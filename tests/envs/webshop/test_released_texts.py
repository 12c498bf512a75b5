"""``texts="verl-agent"``: the pages of the released code, as observation, feedback, history and anchor."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import gymnasium as gym
import pytest

from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.anchors import anchor_key
from agentgym_hindsight.wrappers import ActionParser, PromptProtocol
from tests.wrappers.stack import tagged

SETTINGS = {"data": "embedded", "products": 200, "split": "test"}


def quoted(page: str, goal: str) -> str:
    """The rule, written a second time: what comes after the instruction, each part in quotes."""
    parts = page.split(" [SEP] ")
    if goal not in parts:
        return page
    return " [SEP] ".join(f"'{part}'" for part in parts[parts.index(goal) + 1 :])


@pytest.mark.parametrize("rules", ["strict", "official"])
def test_every_text_of_a_rollout_is_quoted_and_without_the_instruction(rules: str) -> None:
    released = gym.make("WebShop-Hindsight-v0", **SETTINGS, rules=rules, texts="verl-agent", expert=True)
    original = gym.make("WebShop-Hindsight-v0", **SETTINGS, rules=rules)
    marked = [_play(released, original, seed) for seed in range(4)]
    assert any(marked) == (rules == "strict")  # the mark of a chosen option is ours


def _play(released: Any, original: Any, seed: int) -> bool:
    """Play the expert in both; whether a page of the other one marked a chosen option."""
    shown, info = released.reset(seed=seed)
    page, _ = original.reset(seed=seed)
    goal = info["goal"]
    assert shown == "'Search'"
    assert info["admissible_actions"] == ("click[search]",)
    chosen = False
    done = False
    while not done:
        assert shown == quoted(page.replace(" (selected)", ""), goal)
        assert goal not in shown
        chosen = chosen or "(selected)" in page
        action = info["expert_action"]
        shown, _, done, _, info = released.step(action)
        page, *_, plain = original.step(action)
    assert shown == page  # the last page stays as it is
    steps = released.unwrapped.trajectory().steps
    for step, following in pairwise(steps):
        assert step.feedback == following.observation
        assert step.next_observation.startswith(following.observation)
    assert info["won"] == plain["won"]
    return chosen


def test_anchors_and_history_have_these_texts() -> None:
    env = gym.make("WebShop-Hindsight-v0", **SETTINGS, texts="verl-agent", anchor="observation", expert=True)
    env = ActionParser(PromptProtocol(env))
    prompt, info = env.reset(seed=1)
    assert prompt.count(info["goal"]) == 1
    assert "'search[<your query>]',\n'click[search]'," in prompt
    prompt, *_ = env.step(tagged(info["expert_action"]))
    assert "Observation 1: ''Search''" in prompt
    (step,) = env.unwrapped.trajectory().steps
    assert step.anchor == anchor_key("observation", "'Search'", "")


def test_the_search_button_does_nothing() -> None:
    env = gym.make("WebShop-Hindsight-v0", **SETTINGS, texts="verl-agent")
    before, _ = env.reset(seed=1)
    after, reward, *_, info = env.step("click[search]")
    assert (after, reward, info["action_valid"]) == (before, 0.0, False)


def test_errors() -> None:
    with pytest.raises(UnknownNameError, match="verl-agent"):
        gym.make("WebShop-Hindsight-v0", **SETTINGS, texts="verl")
    with pytest.raises(UsageError, match="has its own pages"):
        gym.make("WebShop-Hindsight-v0", **SETTINGS, texts="verl-agent", observation_mode="html")
