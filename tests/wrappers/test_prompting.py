from __future__ import annotations

import gymnasium as gym
import pytest

from agentgym_hindsight.errors import ResetNeededError, UnknownNameError, UsageError
from agentgym_hindsight.hindsight.codec import dump_trajectory, load_trajectory
from agentgym_hindsight.hindsight.messages import prompt_messages
from agentgym_hindsight.hindsight.resolve import resolve_episode
from agentgym_hindsight.wrappers import PROTOCOLS, ActionParser, PromptProtocol
from tests.toy import CorridorEnv
from tests.wrappers.stack import HouseCorridorEnv, ShopCorridorEnv, make, tagged


def test_the_observation_is_the_prompt() -> None:
    env = PromptProtocol(make())
    prompt, info = env.reset(seed=0)
    assert prompt == info["prompt"]
    assert info["raw_observation"] in prompt
    assert info["raw_observation"].startswith("You are in a corridor.")
    prompt, _, _, _, info = env.step("east")
    assert prompt == info["prompt"]
    assert info["raw_observation"] == "You are in room 1."
    assert "[Observation 1: 'You are in a corridor." in prompt
    assert "Action 1: 'east']" in prompt
    assert info["hindsight"].next_observation.text == prompt
    assert info["hindsight"].immediate_feedback.text == "You are in room 1."


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_prompts_are_in_hindsight_and_record(protocol: str) -> None:
    env = PromptProtocol(make(max_steps=5), protocol)
    first, info = env.reset(seed=1)
    prompts, over = [first], False
    while not over:
        prompt, _, terminated, truncated, info = env.step("east" if len(prompts) % 2 else "fly")
        prompts.append(prompt)
        over = terminated or truncated
    episode = info["hindsight"].episode
    assert [each.next_observation.text for each in episode] == prompts[1:]
    assert [each.next_observation.step for each in episode] == list(range(5))
    assert all(each.future_trajectory is not None for each in episode)
    steps = env.unwrapped.trajectory().steps
    assert [step.prompt for step in steps] == prompts[:-1]
    assert [step.next_observation for step in steps] == prompts[1:]
    assert [step.observation for step in steps][1] == "You are in room 1."  # the record has the raw text
    assert [each.next_observation for each in resolve_episode(steps)] == [each.next_observation for each in episode]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_conversation_has_one_message_a_turn(protocol: str) -> None:
    env = ActionParser(PromptProtocol(make(max_steps=4), protocol, history="conversation"))
    first, info = env.reset(seed=1)
    bounded, _ = PromptProtocol(make(max_steps=4), protocol).reset(seed=1)
    assert first == bounded  # the first message is the prompt of a first turn
    assert info["conversation"] is True
    shown, replies = [first], []
    for action in ("east", "fly", "west", "east"):
        replies.append(env.format_response(action))
        message, *_, info = env.step(replies[-1])
        assert info["conversation"] is True
        assert info["raw_observation"] in message
        assert "corridor" not in message or "corridor" in info["raw_observation"]
        assert info["hindsight"].next_observation.text == message
        shown.append(message)
    trajectory = env.unwrapped.trajectory()
    assert [step.prompt for step in trajectory.steps] == shown[:-1]
    chat = prompt_messages(trajectory, 3)
    assert [each["role"] for each in chat] == ["user", "assistant"] * 3 + ["user"]
    assert [each["content"] for each in chat[::2]] == shown[:-1]
    assert [each["content"] for each in chat[1::2]] == replies[:3]
    assert load_trajectory(dump_trajectory(trajectory)) == trajectory


def test_a_bounded_prompt_is_the_only_message() -> None:
    env = ActionParser(PromptProtocol(make(max_steps=4)))
    env.reset(seed=1)
    *_, info = env.step("<think></think><action>east</action>")
    env.step("<think></think><action>east</action>")
    assert "conversation" not in info
    steps = env.unwrapped.trajectory().steps
    assert prompt_messages(env.unwrapped.trajectory(), 1) == [{"role": "user", "content": steps[1].prompt}]


@pytest.mark.parametrize("history", ["chat", -1, 1.5, True])
def test_no_other_history(history: object) -> None:
    with pytest.raises(UsageError, match="history"):
        PromptProtocol(make(), history=history)


@pytest.mark.parametrize(
    ("env", "role"),
    [
        (CorridorEnv, "interactive text environment"),
        (HouseCorridorEnv, "ALFRED Embodied Environment"),
        (ShopCorridorEnv, "WebShop e-commerce environment"),
    ],
)
def test_the_env_selects_the_variant(env: type[CorridorEnv], role: str) -> None:
    prompt, _ = PromptProtocol(env()).reset(seed=0)
    assert role in prompt.splitlines()[0]


def test_a_new_episode_starts_without_history() -> None:
    env = PromptProtocol(make())
    first, _ = env.reset(seed=0)
    env.step("east")
    again, _ = env.reset(seed=0)
    assert again == first
    prompt, *_ = env.step("fly")
    assert prompt.count("[Observation") == 1


@pytest.mark.parametrize("order", ["inside", "outside", "alone"])
def test_thoughts_do_not_change_the_world(order: str) -> None:
    env: gym.Env[str, str] = make(max_steps=4)
    if order == "inside":
        env = ActionParser(PromptProtocol(env, "react-2022"))
    elif order == "outside":
        env = PromptProtocol(ActionParser(env, "react-2022"), "react-2022")
    else:
        env = PromptProtocol(env, "react-2022")
    _, start = env.reset(seed=0)
    prompt, reward, _, _, info = env.step("> think: east is the way\n> east")
    assert prompt.endswith("\n> think: east is the way\nOK.\n>")
    assert (reward, info["action_valid"], info["step"], info["anchor"]) == (0.0, True, 1, start["anchor"])
    assert info["raw_observation"] == "OK."
    assert info["admissible_actions"] == start["admissible_actions"]
    prompt, *_ = env.step("> east" if order != "alone" else "east")
    assert prompt.endswith("\n> east\nYou are in room 1.\n>")
    env.step("think: again")
    *_, truncated, info = env.step("think: and again")
    assert truncated  # thoughts count as turns
    assert len(info["hindsight"].episode) == 4
    assert env.unwrapped.trajectory().actions == (
        "think: east is the way",
        "east",
        "think: again",
        "think: and again",
    )


def test_other_protocols_send_thoughts_as_actions() -> None:
    env = PromptProtocol(make(), "plain")
    env.reset(seed=0)
    *_, info = env.step("think: hm")
    assert not info["action_valid"]


def test_history_has_the_parsed_action_inside_and_outside_of_the_parser() -> None:
    prompts = []
    for env in (ActionParser(PromptProtocol(make())), PromptProtocol(ActionParser(make()))):
        env.reset(seed=0)
        prompts.append(env.step(tagged("EAST"))[0])
    assert prompts[0] == prompts[1]
    assert "Action 1: 'east']" in prompts[0]


def test_a_time_limit_also_gives_the_episode() -> None:
    env = PromptProtocol(gym.make("WrappedCorridor-v0", max_episode_steps=3))
    env.reset(seed=0)
    for _ in range(3):
        *_, truncated, info = env.step("fly")
    assert truncated
    assert len(info["hindsight"].episode) == 3
    assert env.unwrapped.trajectory().truncated


def test_bad_arguments() -> None:
    with pytest.raises(UnknownNameError):
        PromptProtocol(make(), "verl")
    with pytest.raises(UsageError, match="history"):
        PromptProtocol(make(), history=-1)
    with pytest.raises(UsageError, match="one PromptProtocol"):
        PromptProtocol(PromptProtocol(make()))
    with pytest.raises(UsageError, match=r"gymnasium\.Env"):
        PromptProtocol("env")  # type: ignore[arg-type]
    with pytest.raises(ResetNeededError):
        PromptProtocol(CorridorEnv()).step("east")
