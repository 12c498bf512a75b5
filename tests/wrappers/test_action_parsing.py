from __future__ import annotations

import pytest

from agentgym_hindsight.envs.thought import Thought
from agentgym_hindsight.errors import ResetNeededError, UnknownNameError, UsageError
from agentgym_hindsight.wrappers import ActionParser, InvalidActionPenalty, ParsedAction, PromptProtocol
from tests.toy import CorridorEnv
from tests.wrappers.stack import ShopCorridorEnv, make, tagged


def test_the_env_gets_the_action_and_the_record_has_the_response() -> None:
    env = ActionParser(make())
    _, info = env.reset(seed=0)
    assert info["parsed_action"] == ParsedAction("")
    assert info["env_action_valid"] is True
    response = tagged("East")
    observation, _, _, _, info = env.step(response)
    assert observation == "You are in room 1."
    step = env.unwrapped.trajectory().steps[-1]
    assert (step.action, step.response, step.action_valid) == ("east", response, True)
    assert step.action_span is not None
    assert response[slice(*step.action_span)] == "East"
    assert info["parsed_action"] == ParsedAction("east", step.action_span)


@pytest.mark.parametrize(
    ("response", "membership", "valid", "accepted"),
    [
        (tagged("east"), None, True, True),
        (tagged("fly"), None, True, False),  # verl-agent checks only the format
        (tagged("fly"), True, False, False),
        ("<action>east</action>", None, False, True),  # no reasoning, but the action is played
        ("<action>east</action>", True, False, True),
        ("go", False, False, False),
    ],
)
def test_validity(response: str, membership: bool | None, valid: bool, accepted: bool) -> None:
    env = ActionParser(make(), membership=membership)
    env.reset(seed=0)
    *_, info = env.step(response)
    assert (info["action_valid"], info["env_action_valid"]) == (valid, accepted)
    assert env.unwrapped.trajectory().steps[-1].action_valid is valid


@pytest.mark.parametrize(("parser", "membership"), [("plain", True), ("react-2022", True), ("verl-agent-2025", False)])
def test_membership_follows_the_parser(parser: str, membership: bool) -> None:
    assert ActionParser(make(), parser).membership is membership


@pytest.mark.parametrize("protocol", ["plain", "react-2022", "verl-agent-2025"])
def test_the_parser_follows_the_prompt_protocol_below(protocol: str) -> None:
    assert ActionParser(PromptProtocol(make(), protocol)).parser == protocol
    assert ActionParser(make()).parser == "verl-agent-2025"


def test_the_length_of_the_tail_depends_on_the_world() -> None:
    env = ActionParser(ShopCorridorEnv())
    env.reset(seed=0)
    env.step("x" * 50)
    assert env.unwrapped.trajectory().actions == ("x" * 20,)


def test_format_response() -> None:
    env = ActionParser(make())
    env.reset(seed=0)
    *_, info = env.step(env.format_response("east"))
    assert (info["action_valid"], info["parsed_action"].text) == (True, "east")


def test_thoughts() -> None:
    env = ActionParser(make(), "react-2022")
    env.reset(seed=0)
    observation, *_, info = env.step("think: hm\nrest")
    assert (observation, info["action_valid"]) == ("OK.", True)
    step = env.unwrapped.trajectory().steps[-1]
    assert (step.action, step.response, step.action_span) == ("think: hm", "think: hm\nrest", None)
    assert type(step.action) is str
    env.step(Thought("think: marked already"))
    assert env.unwrapped.trajectory().steps[-1].feedback == "OK."


def test_an_unlisted_action_is_replaced_by_the_nearest_and_is_invalid() -> None:
    env = ActionParser(make(), nearest=True)
    _, info = env.reset(seed=0)
    assert "east" in info["admissible_actions"]
    response = tagged("eazt")
    observation, *_, info = env.step(response)
    assert observation == "You are in room 1.", "east was played"
    assert (info["action_valid"], info["env_action_valid"]) == (False, True)
    assert info["parsed_action"].reason == "'eazt' is not on the list"
    step = env.unwrapped.trajectory().steps[-1]
    assert (step.action, step.response, step.action_valid) == ("east", response, False)
    *_, info = env.step(tagged("east"))
    assert info["action_valid"], "a listed action is not replaced"
    *_, info = env.step("I would rather go east")
    assert info["env_action_valid"] is False, "a response without an action is not replaced"


def test_of_equally_near_actions_the_first_is_played() -> None:
    env = ActionParser(make(), nearest=True)
    _, info = env.reset(seed=0)
    env.step(tagged(""))
    listed = info["admissible_actions"]
    shortest = min(len(action) for action in listed)
    assert env.unwrapped.trajectory().steps[-1].action == next(each for each in listed if len(each) == shortest)


def test_only_brief_plays_the_nearest_by_default() -> None:
    assert [ActionParser(make(), parser).nearest for parser in ("brief", "plain", "verl-agent-2025", "code")] == [
        True,
        False,
        False,
        False,
    ]
    assert not ActionParser(make(), "brief", nearest=False).nearest


def test_bad_arguments() -> None:
    with pytest.raises(UnknownNameError):
        ActionParser(make(), "verl")
    with pytest.raises(UsageError, match="membership"):
        ActionParser(make(), membership="yes")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="outside of ActionParser"):
        ActionParser(InvalidActionPenalty(make()))
    with pytest.raises(UsageError, match="one ActionParser"):
        ActionParser(ActionParser(make()))
    env = ActionParser(CorridorEnv())
    with pytest.raises(ResetNeededError):
        env.step("east")
    env.reset(seed=0)
    with pytest.raises(UsageError, match="as text, got int"):
        env.step(3)  # type: ignore[arg-type]
