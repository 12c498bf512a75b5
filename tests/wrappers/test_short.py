"""The protocol of short names: what the policy reads, what it may answer, and what the env gets."""

from __future__ import annotations

import pytest

import agentgym_hindsight  # noqa: F401
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.wrappers import format_response, parse_response
from agentgym_hindsight.wrappers.protocols import PromptState, Short
from agentgym_hindsight.wrappers.short_names import named_action, short_names

SHOP = {"data": "embedded", "difficulty": "bare", "products": 60}


def test_the_expert_wins_with_short_names() -> None:
    env = Stage(env="webshop", settings=SHOP, protocol="short").make("train", expert=True)
    _, info = env.reset(seed=0)
    over = False
    replies = []
    while not over:
        replies.append(format_response(info["expert_action"], "short", info["admissible_actions"]))
        _, reward, terminated, truncated, info = env.step(replies[-1])
        assert info["action_valid"]
        over = terminated or truncated
    assert reward == 10.0
    assert replies[0].startswith("<action> search[")
    assert "click[" not in "".join(replies)
    assert any(parse_response(reply, "short").text.isdecimal() for reply in replies), (
        "a product is called by its number"
    )
    assert replies[-1] == "<action> buy now</action>"


@pytest.mark.parametrize("mode", ["text", "quoted"])
def test_a_page_says_every_admissible_action_once(mode: str) -> None:
    env = Stage(env="webshop", settings={**SHOP, "observation_mode": mode}, protocol="short").make("train", expert=True)
    prompt, info = env.reset(seed=1)
    assert prompt.splitlines()[1:] == ["Now: search", "Can: search[words]"]
    while "click[buy now]" not in info["admissible_actions"]:
        prompt, *_, info = env.step(format_response(info["expert_action"], "short", info["admissible_actions"]))
        now = next(line for line in prompt.splitlines() if line.startswith("Now: "))
        assert info["goal"].lower() not in now.lower()
        for action, name in short_names(info["admissible_actions"]).items():
            assert (f"[{name}]" if name.isdecimal() else name) in now, action
        assert "Can: " not in prompt


def test_both_texts_give_the_same_prompts() -> None:
    prompts = []
    for mode in ("text", "quoted"):
        env = Stage(env="webshop", settings={**SHOP, "observation_mode": mode}, protocol="short").make(
            "train", expert=True
        )
        shown, info = env.reset(seed=2)
        seen, over = [shown], False
        while not over:
            shown, _, terminated, truncated, info = env.step(
                format_response(info["expert_action"], "short", info["admissible_actions"])
            )
            over = terminated or truncated
            seen.append(shown)
        prompts.append(seen)
    assert prompts[0] == prompts[1]


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("1", "click[b0is281c3b]"),
        ("2", "click[b07v3l9yqs]"),
        ("3", "3"),
        ("0", "0"),
        ("\u0662", "\u0662"),  # an Arabic two
        ("9" * 5000, "9" * 5000),
        ("next >", "click[next >]"),
        ("click[next >]", "click[next >]"),
        ("search[red]", "search[red]"),
    ],
)
def test_named_actions(text: str, action: str) -> None:
    assert named_action(text, ("click[next >]", "click[b0is281c3b]", "click[b07v3l9yqs]")) == action


def test_an_option_that_is_a_number_comes_before_a_product() -> None:
    assert named_action("1", ("click[1]", "click[b0is281c3b]")) == "click[1]"


def test_a_misspelt_name_becomes_the_nearest_and_counts_as_invalid() -> None:
    env = Stage(env="webshop", settings=SHOP, protocol="short").make("train", expert=True)
    _, info = env.reset(seed=0)
    _, *_, info = env.step(format_response(info["expert_action"], "short", info["admissible_actions"]))
    *_, info = env.step("<action> bck to serch</action>")
    assert info["extra"]["page"] == "index"
    assert not info["action_valid"]


def test_other_worlds_list_their_actions() -> None:
    prompt = Short().render(PromptState("find the mug", "A room.", ("look", "go to desk 1"), [("Dark.", "look")]))
    assert prompt == "Task: find the mug\nDone: look\nNow: A room.\nCan: look; go to desk 1"
