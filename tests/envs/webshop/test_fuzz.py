"""Arbitrary actions: no crash, no hang, linear time, no leak of the hidden goal, and the shop still works.

The suite plays a few thousand; ``python -m tests.envs.webshop.test_fuzz 1000000`` plays a million and prints figures.
"""

from __future__ import annotations

import itertools
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import pytest

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.envs.webshop.feedback import REASON_KINDS, explain
from agentgym_hindsight.envs.webshop.observe import MODES, observe
from agentgym_hindsight.envs.webshop.session import parse_action
from agentgym_hindsight.envs.webshop.shop_types import RULES, Goal
from tests.growth import LINEAR, growth

#: Longer than any page of the embedded shop. Only addresses repeat the text of an action.
LONGEST_PAGE = 20_000

_ODD = (
    *(
        "",
        " ",
        "\n",
        "\x00",
        "\x1b[2J",
        "\u202esearch[shoes]",
        "ｓｅａｒｃｈ[shoes]",
        "Search[shoes]",
        "CLICK[buy now]",
    ),
    *(
        " search[shoes]",
        "search [shoes]",
        "search[shoes",
        "search]shoes[",
        "search[]",
        "search[ ]",
        "click[]",
        "click[ ]",
    ),
    *("search[[]]", "search[[[[shoes]]]]", "search[a][b]", "click[a[b]c]", "click[[buy now]]", "search[a\nb]", "[x]"),
    *(
        "search[👩‍👩‍👧‍👦]",
        "search[\ud800]",
        "search[\udfff\ud800 shoes]",
        "click[\ud800]",
        "\ud800[\ud800]",
        "search[\x00]",
    ),
    *(
        "search[\u0130]",
        "click[\u0130]",
        "search[ß ﬁ Å ñ]",
        "search[日本語 靴]",
        "search[\u200b\u200d\ufeff]",
        "search[٣ ３]",
    ),
    *("search[<r>]", "search[<r> 1]", "search[<a> x]", "search[<c>]", "search[<c> garden]", "search[<q> ]", "search[<"),
    *(
        "search[<r> \ud800]",
        "search[<c> \ud800]",
        "search[<q> \ud800]",
        "search[<c>  ]",
        "search[<a>]",
        "search[<x> y]",
    ),
    *("search[search_results]", "search[item_page]", "search[item_sub_page/done]", "search[../../etc/passwd]"),
    *("click[next >]", "click[< prev]", "click[buy now]", "click[Buy Now]", "click[search]", "click[back to search]"),
    *(
        "click[attributes]",
        "click[Features]",
        "click[size]",
        "click[b000000000]",
        "click[-1]",
        "click[0]",
        "click[None]",
    ),
    *(
        "search['; DROP TABLE products; --]",
        "search[{{7*7}}]",
        "search[%s%s%n]",
        "search[{o.name}]",
        "search[<script>]",
    ),
    *(
        "click[<b>]",
        "click[&lt; prev]",
        "click[__class__]",
        "think: I should buy it",
        "<action>click[buy now]</action>",
    ),
    *("search[the and of]", "search[!!! ???]", "search[" + "shoes " * 300 + "]", "search[a:b's c.d 1,000.5 x_y]"),
)
#: Actions of about ``n`` characters.
_HUGE: tuple[Callable[[int], str], ...] = (
    lambda n: "a" * n,
    lambda n: "search[" + "x" * n + "]",
    lambda n: "search[" + "red shoes " * (n // 10) + "]",
    lambda n: "search[" + " ".join(map(str, range(n // 6))) + "]",
    lambda n: "click[" + "y" * n + "]",
    lambda n: "[" * n,
    lambda n: "[]" * (n // 2),
    lambda n: "search[" * (n // 7) + "]" * (n // 7),
    lambda n: "]" * n,
    lambda n: "search[" + "\u0130" * n + "]",
    lambda n: "search[" + "\ud800" * (n // 2) + "]",
    lambda n: "click[" + " " * n + "]",
    lambda n: "search[" + "'s" * (n // 2) + "]",
    lambda n: "search[" + "a." * (n // 2) + "]",
    lambda n: "\n" * n,
)
_HUGE_SIZE = 100_000


class Figures(NamedTuple):
    actions: int
    valid: int
    episodes: int
    slowest_ms: float
    p999_ms: float
    seconds: float


def actions_of(rng: random.Random, legal: tuple[str, ...], goal: str) -> Iterator[str]:
    """An endless stream of legal, damaged and arbitrary actions."""
    letters = [chr(rng.randrange(0x20, 0x2FFF)) for _ in range(62)] + ["\ud800", "\U0001f45f"]
    words = goal.translate(str.maketrans("[]\n", "   ")).split()
    while True:
        draw = rng.random()
        if draw < 0.35 and legal:
            yield rng.choice(legal)
        elif draw < 0.50:
            yield f"search[{' '.join(rng.choices(words, k=rng.randrange(1, 12)))}]"
        elif draw < 0.65 and legal:  # damaged
            text = list(rng.choice(legal))
            for _ in range(rng.randrange(1, 4)):
                place = rng.randrange(len(text) + 1)
                text[place : place + rng.randrange(2)] = rng.choice((rng.choice(letters), " ", "", "[", "]"))
            yield "".join(text)
        elif draw < 0.70:  # from another page
            yield f"click[{rng.choice((rng.choice(words), rng.choice(letters), 'large', 'red', 'b0' + 'x' * 8))}]"
        elif draw < 0.90:
            yield rng.choice(_ODD)
        elif draw < 0.999:
            inside = "".join(rng.choices(letters, k=rng.randrange(1, 200)))
            yield rng.choice((inside, f"search[{inside}]", f"click[{inside}]"))
        else:
            yield rng.choice(_HUGE)(_HUGE_SIZE)


def fuzz(count: int, seed: int = 0, **choices: Any) -> Figures:
    """Play ``count`` actions and raise an error at the first violation."""
    env = gym.make("WebShop-Hindsight-v0", data="embedded", **choices)
    backend: Any = env.unwrapped.backend  # type: ignore[attr-defined]
    rng = random.Random(seed)
    times: list[float] = []
    valid = episodes = 0
    observation, info = env.reset(seed=seed)
    goal = backend.session.goal
    stream = actions_of(rng, info["admissible_actions"], info["goal"])
    started = time.perf_counter()
    for _ in range(count):
        action = next(stream)
        page, anchor, listed = observation, info["anchor"], info["admissible_actions"]
        before = time.process_time()
        observation, reward, terminated, truncated, info = env.step(action)
        times.append(time.process_time() - before)
        valid += info["action_valid"]
        over = terminated or truncated
        feedback, extra = info["hindsight"].immediate_feedback, info["extra"]
        assert feedback.text == observation
        assert 0.0 <= reward <= 1.0
        assert terminated == (extra.page == "done")
        if info["action_valid"]:
            assert extra.reason is None
            assert feedback.detail
            assert action.partition("[")[0] in ("search", "click")
        else:
            assert (observation, info["anchor"], info["admissible_actions"]) == (page, anchor, listed)
            assert action not in listed
            assert extra.reason.kind in REASON_KINDS
            assert extra.reason.text in feedback.detail
            assert len(feedback.detail) < 1000, "a reason must not repeat a huge action"
        if not over:
            assert extra.reward_parts is None
            assert extra.review is None
            detail = feedback.detail + (extra.reason.nearest if extra.reason else "")
            assert not reveals(goal, observation, info, detail, action), (action, observation)
        if backend.mode != "url":
            assert len(observation) < LONGEST_PAGE, "a page must not repeat a huge action"
        if over:
            episodes += 1
            observation, info = env.reset()
            goal = backend.session.goal
        if info["step"] % 3 == 0:
            stream = actions_of(rng, info["admissible_actions"], info["goal"])
    seconds = time.perf_counter() - started
    # The shop still works: the oracle wins a new task.
    _, info = env.reset()
    over = False
    while not over:
        _, _, terminated, truncated, info = env.step(backend.expert_action())
        over = terminated or truncated
    assert info["won"]
    times.sort()
    return Figures(count, valid, episodes, times[-1] * 1e3, times[int(len(times) * 0.999)] * 1e3, seconds)


def reveals(goal: Goal, observation: str, info: dict[str, Any], detail: str, action: str) -> bool:
    """Whether a page or a reason names the wanted product although the action does not.

    Its title and ASIN may appear only on pages that show products.
    """
    if info["extra"].page in ("results", "item", "sub"):
        return False
    secrets = [secret for secret in (goal.asin.lower(), goal.title.lower()) if secret not in action.lower()]
    return any(secret in text.lower() for secret in secrets for text in (observation, detail))


@pytest.mark.slow
def test_several_thousand_actions() -> None:
    figures = fuzz(6_000)
    assert 0.3 < figures.valid / figures.actions < 0.8, "the stream should have legal and illegal actions"


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_under_both_rule_sets(mode: str, rules: str) -> None:
    assert fuzz(600, seed=2, rules=rules, observation_mode=mode).actions == 600


@pytest.mark.parametrize("number", range(len(_HUGE)))
def test_the_time_of_a_step_is_linear_in_the_length_of_the_action(number: int) -> None:
    env = gym.make("WebShop-Hindsight-v0", data="embedded", products=120, max_steps=100)
    env.reset(seed=0)

    def step(size: int) -> None:
        *_, info = env.step(_HUGE[number](size))
        _ = info["hindsight"].immediate_feedback.detail, info["extra"].url, info["anchor"]

    assert growth(step, 10_000) < LINEAR


def test_parse_action_equals_the_originals_regular_expression() -> None:
    """The expression itself takes minutes for 100,000 opening brackets."""
    original = re.compile(r"(.+)\[(.+)\]")
    for length in range(8):
        for letters in itertools.product("[]A\n", repeat=length):
            action = "".join(letters)
            match = original.match(action)
            assert parse_action(action) == ((match[1], match[2].lower()) if match else (action, None)), action


def test_the_hidden_goal_changes_nothing_on_a_page() -> None:
    """Pages and reasons of two goals with the same instruction are equal."""
    env = gym.make("WebShop-Hindsight-v0", data="embedded")
    backend: Any = env.unwrapped.backend  # type: ignore[attr-defined]
    rng = random.Random(3)
    for episode in range(25):
        _, info = env.reset(seed=episode)
        session = backend.session
        copied = session.copy()
        other = rng.choice(session.shop.goals)
        copied.goal = other._replace(instruction=session.goal.instruction)
        stream = actions_of(rng, info["admissible_actions"], info["goal"])
        for turn in range(14):
            action = next(stream)
            _, _, terminated, _, info = env.step(action)
            copied.act(action)
            if terminated:
                break
            for mode in MODES:
                assert observe(copied, mode) == observe(session, mode)
            assert explain(copied, "click[nothing]") == explain(session, "click[nothing]")
            assert copied.clickables == session.clickables
            if turn % 2:
                stream = actions_of(rng, info["admissible_actions"], info["goal"])


if __name__ == "__main__":
    print(fuzz(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, seed=1))
