from __future__ import annotations

import pytest

from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.wrappers.parsing import PARSERS
from agentgym_hindsight.wrappers.protocols import PROTOCOLS, PromptState, make_protocol

FIRST = PromptState(
    "put a mug in shelf 1.", "A room. Your task is to: put a mug in shelf 1.", ("look", "help"), (), "alfworld"
)
LATER = PromptState(
    "put a mug in shelf 1.",
    "You see a desk 1.",
    ("go to desk 1", "look", "help"),
    (("A room.", "look"), ("Walls.", "go to door 1"), ("A door.", "open door 1")),
    "alfworld",
)


def test_alfworld_first_turn() -> None:
    prompt = make_protocol("verl-agent-2025").render(FIRST)
    assert prompt.startswith("You are an expert agent operating in the ALFRED Embodied Environment.\n")
    assert prompt.count("Your task is to") == 1  # the observation states the task
    assert "['look']" in prompt
    assert "help" not in prompt
    assert "already taken" not in prompt


def test_alfworld_later_turn() -> None:
    prompt = make_protocol("verl-agent-2025").render(LATER)
    assert "Your task is to: put a mug in shelf 1." in prompt
    assert "already taken 3 step(s)" in prompt
    assert "most recent 2 observation(s)" in prompt
    assert (
        "\n[Observation 2: 'Walls.', Action 2: 'go to door 1']\n[Observation 3: 'A door.', Action 3: 'open door 1']\n"
        in prompt
    )
    assert "Observation 1" not in prompt
    assert "now at step 4" in prompt
    assert "['go to desk 1'\n 'look']" in prompt  # "help" is omitted


@pytest.mark.parametrize("state", [FIRST, LATER])
@pytest.mark.parametrize("world", ["alfworld", "webshop", "generic", "somewhere else"])
def test_the_format_instructions_come_last(state: PromptState, world: str) -> None:
    changed = PromptState(state.goal, state.observation, state.admissible_actions, state.history, world)
    last = make_protocol("verl-agent-2025").render(changed).splitlines()[-1]
    assert last.index("<think> </think>") < last.index("<action> </action>")


@pytest.mark.parametrize(("history", "shown"), [(0, 0), (1, 1), (2, 2), (3, 3), (99, 3), (None, 2)])
def test_verl_agent_window(history: int | None, shown: int) -> None:
    prompt = make_protocol("verl-agent-2025", history=history).render(LATER)
    assert prompt.count("[Observation") == shown
    assert "Your task is to: put a mug in shelf 1." in prompt


def shop(observation: str = "A page.", **changes: object) -> PromptState:
    facts: dict[str, object] = {
        "goal": "red shoes",
        "observation": observation,
        "admissible_actions": ("search[a]", "search[b]", "click[back]"),
        "history": (("Start.", "search[shoes]"),),
        "world": "webshop",
    }
    return PromptState(**{**facts, **changes})  # type: ignore[arg-type]


def test_webshop() -> None:
    prompt = make_protocol("verl-agent-2025").render(shop())
    assert prompt.startswith("You are an expert autonomous agent operating in the WebShop e-commerce environment.\n")
    assert "'search[<your query>]',\n'click[back]'," in prompt
    assert "search[a]" not in prompt
    no_bar = make_protocol("verl-agent-2025").render(shop(admissible_actions=("click[back]",)))
    assert "<your query>" not in no_bar
    bar = make_protocol("verl-agent-2025").render(shop(admissible_actions=("click[back]",), search_bar=True))
    assert "<your query>" in bar


def test_webshop_omits_the_history_of_a_long_prompt() -> None:
    protocol = make_protocol("verl-agent-2025")
    room = 13_000 - len(protocol.render(shop("")))
    fits, too_long = protocol.render(shop("x" * room)), protocol.render(shop("x" * (room + 1)))
    assert len(fits) == 13_000
    assert "[Observation 1" in fits
    assert "[Observation 1" not in too_long
    house = PromptState("g", "x" * 20_000, (), (("a", "b"),), "alfworld")
    assert "[Observation 1" in protocol.render(house)


def test_the_prompt_says_that_actions_are_not_listed() -> None:
    assert "not listed" in make_protocol("verl-agent-2025").render(PromptState("g", "o"))


def test_react_transcript() -> None:
    state = PromptState(
        "mug",
        "You arrive at loc 8. On the desk 1, you see nothing.",
        (),
        (("A room. mug", "think: go"), ("OK.", "go to desk 1")),
        "alfworld",
    )
    assert make_protocol("react-2022").render(state) == (
        "Interact with a household to solve a task.\nHere is the task.\nA room. mug\n> think: go\nOK.\n"
        "> go to desk 1\nOn the desk 1, you see nothing.\n>"
    )


def test_react_omits_the_welcome_line() -> None:
    welcome = "-= Welcome to TextWorld, ALFRED! =-"
    prompt = make_protocol("react-2022").render(PromptState("", f"{welcome}\n\nA room.\n\nYour task is to: rest."))
    assert prompt.endswith("Here is the task.\nA room.\nYour task is to: rest.\n>")
    assert make_protocol("react-2022").render(PromptState("", welcome)).endswith(f"{welcome}\n>")


def test_react_demonstrations() -> None:
    head = make_protocol("react-2022", demonstrations=["one\n> look\n", "two"]).render(PromptState("g", "o"))
    assert head.startswith("Interact with an environment to solve a task. Here are 2 examples.\none\n> look\n\ntwo\n\n")
    assert head.endswith("Here is the task.\nYour task is to: g\no\n>")
    assert "Here is one example." in make_protocol("react-2022", demonstrations=["one"]).render(PromptState("g", "o"))


@pytest.mark.parametrize(("history", "actions"), [(0, []), (1, ["c"]), (2, ["b", "c"]), (None, ["a", "b", "c"])])
def test_react_window(history: int | None, actions: list[str]) -> None:
    state = PromptState("g", "3", (), (("0 g", "a"), ("1", "b"), ("2", "c")))
    lines = make_protocol("react-2022", history=history).render(state).splitlines()
    assert [line[2:] for line in lines if line.startswith("> ")] == actions
    assert lines[2] == "0 g"
    assert lines[-2:] == ["3", ">"]


def test_react_keeps_the_end_of_a_long_shop_transcript() -> None:
    state = PromptState("shoes", "last page", (), (("x" * 9_000, "click[a]"),), "webshop")
    prompt = make_protocol("react-2022").render(state)
    assert prompt.endswith("> click[a]\nlast page\n>")
    assert len(prompt) < 6_500


def test_plain() -> None:
    plain = make_protocol("plain", history=1, demonstrations=["An example."])
    assert plain.render(LATER) == (
        "An example.\n\nTask: put a mug in shelf 1.\nObservation: A door.\nAction: open door 1\n"
        "Observation: You see a desk 1.\nAdmissible actions: go to desk 1, look, help"
    )
    assert make_protocol("plain").render(PromptState("", "o")) == "Observation: o"


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol(name: str) -> None:
    protocol = make_protocol(name, demonstrations=["DEMO"])
    assert protocol.name == name
    assert protocol.parser in PARSERS
    assert protocol.render(LATER).count("DEMO") == 1
    braces = PromptState("{goal}", "{0} %s {observation}", ("{a}",), (("{b}", "{c}"),))
    assert "{0} %s {observation}" in protocol.render(braces)


def test_bad_arguments() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'react-2022'"):
        make_protocol("react")
    for history in (-1, 1.5, True, "2"):
        with pytest.raises(UsageError, match="history ≥ 0"):
            make_protocol("plain", history=history)  # type: ignore[arg-type]
    for demonstrations in ("one text", [1]):
        with pytest.raises(UsageError, match="sequence of texts"):
            make_protocol("plain", demonstrations=demonstrations)  # type: ignore[arg-type]


def test_appworld_asks_for_a_program() -> None:
    prompt = make_protocol("verl-agent-2025").render(PromptState("count", "7 notes.", world="appworld"))
    assert "Python program inside <action> </action> tags" in prompt
    assert "admissible" not in prompt
