"""The brief prompt has few tokens, repeats nothing and omits no relevant information."""

from __future__ import annotations

import re

import pytest

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.wrappers import parse_response
from agentgym_hindsight.wrappers.protocols import PromptState, make_protocol

BRIEF = make_protocol("brief")
ROOM, DESK = "You are in a room.", "You arrive at desk 1. On it is a mug 1."


def lines(state: PromptState, history: int | None = None) -> list[str]:
    return make_protocol("brief", history=history).render(state).splitlines()


def test_the_parts_in_order() -> None:
    state = PromptState(
        "put a mug in shelf 1.",
        "You see a desk 1.",
        ("go to desk 1", "look", "help"),
        (("You are in a room.", "look"), ("There are four walls.", "go to door 1")),
    )
    assert lines(state) == [
        "Task: put a mug in shelf 1.",
        "Done: look; go to door 1",
        "Now: You see a desk 1.",
        "Can: go to: desk 1",
        "Again: look",
    ]
    assert lines(state, history=1)[1] == "Done: go to door 1"
    assert lines(state, history=0)[1] == "Now: You see a desk 1."
    assert lines(state, history=0)[-1] == "Again: look", "actions before the window also count as taken"


def test_the_last_six_actions() -> None:
    state = PromptState("g", ROOM, (), tuple((ROOM, f"a{n}") for n in range(9)))
    assert lines(state) == ["Task: g", "Done: a3; a4; a5; a6; a7; a8", f"Now: {ROOM}"]


def test_a_short_reply_is_shown_with_its_action() -> None:
    history = ((ROOM, "eat"), ("Nothing happens.", "look"), (ROOM, "go to desk 1"))
    assert lines(PromptState("g", "On the desk 1, you see nothing.", (), history))[1:] == [
        "Done: eat (Nothing happens.); look; go to desk 1",
        "Now: On the desk 1, you see nothing.",
    ]
    assert lines(PromptState("g", "A lamp shines here.", (), history), history=2)[1] == "Done: look; go to desk 1"
    cut = PromptState("g", ROOM, (), ((ROOM, "a"), ("Nothing happens.", "b"), ("Nothing happens.", "c")))
    assert lines(cut, history=2)[1] == "Done: b (Nothing happens.); c", "each reply belongs to its own action"


def test_after_a_short_reply_the_last_observation_is_repeated() -> None:
    history = ((ROOM, "go to desk 1"), (DESK, "eat"), ("Nothing happens.", "sing"))
    assert lines(PromptState("g", "Nothing happens.", ("look",), history)) == [
        "Task: g",
        "Done: go to desk 1; eat (Nothing happens.); sing (Nothing happens.)",
        f"Before: {DESK}",
        "Now: Nothing happens.",
        "Can: look",
    ]
    first = PromptState("find it.", "Nothing happens.", (), ((f"{ROOM}\n\nYour task is to: find it.", "eat"),))
    assert f"Before: {ROOM}" in lines(first), "without the task, which is already in the prompt"
    assert lines(PromptState("", "Nothing happens.")) == ["Now: Nothing happens."], "there was nothing before"


def test_empty_parts_are_omitted() -> None:
    assert BRIEF.render(PromptState("", "A room.")) == "Now: A room."
    assert BRIEF.render(PromptState("g", "A room.", ("help",))) == "Task: g\nNow: A room."


def test_the_task_is_not_repeated_in_the_first_observation() -> None:
    banner = "-= Welcome to TextWorld, ALFRED! =-"
    first = f"{banner}\n\nYou are in a room. You see a desk 1.\n\nYour task is to: find the mug."
    prompt = BRIEF.render(PromptState("find the mug.", first, ("look",)))
    assert prompt == "Task: find the mug.\nNow: You are in a room. You see a desk 1.\nCan: look"
    assert lines(PromptState("find the mug.", banner))[1] == f"Now: {banner}", (
        "an observation that is only a banner is kept"
    )
    other = "A note says: Your task is to: eat."
    assert lines(PromptState("find the mug.", other))[1] == f"Now: {other}", "another task is part of the observation"


def expand(listed: str) -> set[str]:
    """The actions in a ``Can:`` or ``Again:`` line."""
    result = set()
    for part in listed.removeprefix("Can: ").removeprefix("Again: ").split("; "):
        head, colon, things = part.partition(": ")
        if not colon:
            result.add(part)
            continue
        name = ""
        for word in things.replace(",", "").split():
            if word.isdigit():
                result.add(f"{head} {name} {word}")
            else:
                name = word
    return result


@pytest.mark.parametrize("index", range(3))
def test_the_lines_list_exactly_the_admissible_actions(index: int) -> None:
    """Along an expert's rollout, the listed actions are exactly the admissible ones."""
    stage = Stage(settings={"data": "embedded", "difficulty": "standard", "max_steps": 20}, protocol="brief")
    env = stage.make("train", expert=True)
    prompt, info = env.reset(options={"task": stage.panel("train", 3, seed=1)[index]})
    over, turns = False, 0
    while not over:
        new, again = (
            {action for line in prompt.splitlines() if line.startswith(title) for action in expand(line)}
            for title in ("Can: ", "Again: ")
        )
        assert not new & again
        assert new | again == {*info["admissible_actions"]} - {"help"}
        assert again <= {step.action for step in env.unwrapped.trajectory().steps}
        prompt, _, terminated, truncated, info = env.step(f"<action>{info['expert_action']}</action>")
        over, turns = terminated or truncated, turns + 1
    env.close()
    assert turns > 2
    assert info["won"]


def test_numbers_are_sorted_and_grouped_by_name() -> None:
    (can,) = lines(
        PromptState("", "o", ("go to desk 10", "go to shelf 1", "go to desk 2", "look", "take mug 1 from desk 2"))
    )[1:]
    assert expand(can) == {"go to desk 10", "go to shelf 1", "go to desk 2", "look", "take mug 1 from desk 2"}
    assert "desk 2 10" in can
    assert can.startswith("Can: look; ")


def test_actions_of_a_shop() -> None:
    bar = PromptState("buy a mug", "WebShop", (), search_bar=True)
    assert lines(bar)[-1] == "Can: search[<your query>]"
    clicks = PromptState("buy a mug", "Results", ("click[back to search]", "click[item 1]", "click[size 10]"))
    assert lines(clicks)[-1] == "Can: click[back to search]; click[item 1]; click[size 10]", (
        "click actions are not grouped"
    )
    both = PromptState("", "o", ("search[red mug]",), search_bar=True)
    assert lines(both)[-1] == "Can: search[red mug]"


def test_demonstrations_come_first() -> None:
    protocol = make_protocol("brief", demonstrations=["Task: a\n<action>look</action>"])
    assert protocol.render(PromptState("b", "o")) == "Task: a\n<action>look</action>\n\nTask: b\nNow: o"


def test_the_parser() -> None:
    assert BRIEF.parser == "brief"
    assert parse_response("<action> Look </action>", "brief").text == "look"
    assert parse_response("<think>Hm.</think><action>look</action>", "brief").valid
    assert not parse_response("look", "brief").valid


def test_the_prompt_is_short() -> None:
    """For the same rollout it has less than half of the tokens of verl-agent's prompt."""
    sizes = {}
    for protocol in ("brief", "verl-agent-2025"):
        env = Stage(settings={"data": "embedded", "difficulty": "easy", "max_steps": 8}, protocol=protocol).make()
        prompt, _ = env.reset(seed=3)
        for _ in range(4):
            prompt, *_ = env.step("<think></think><action>look</action>")
        sizes[protocol] = len(re.findall(r"\w+|\W", prompt))
        env.close()
    assert sizes["brief"] < 0.5 * sizes["verl-agent-2025"], sizes
