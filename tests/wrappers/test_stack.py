"""Wrappers in combination: made from a spec, pickled, conformant, in different orders."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec

import agentgym_hindsight.wrappers as wrappers
from agentgym_hindsight.envs.base import INFO_KEYS
from agentgym_hindsight.testing import check_hindsight_env
from agentgym_hindsight.wrappers import (
    PARSERS,
    PROTOCOLS,
    ActionParser,
    InvalidActionPenalty,
    JudgeFeedback,
    PromptProtocol,
    RecordTrajectories,
    RewardProtocol,
)
from agentgym_hindsight.wrappers.protocols import make_protocol
from tests.wrappers.stack import Judge, make

Env = gym.Env[str, str]
Wrap = Callable[[Env], Env]

SINGLE: dict[str, Wrap] = {
    **{f"prompt {name}": lambda env, name=name: PromptProtocol(env, name) for name in PROTOCOLS},
    "prompt history": lambda env: PromptProtocol(env, "plain", history=3, demonstrations=["An example."]),
    **{f"parser {name}": lambda env, name=name: ActionParser(env, name) for name in PARSERS},
    "parser membership": lambda env: ActionParser(env, membership=True),
    "penalty": lambda env: InvalidActionPenalty(env, 0.5),
    "reward native": lambda env: RewardProtocol(env),
    "reward 10-won": lambda env: RewardProtocol(env, "10-won"),
    "record": lambda env: RecordTrajectories(env, policy="me", keep=2),
    "judge": lambda env: JudgeFeedback(env, Judge()),
    "judge by arguments": lambda env: JudgeFeedback(
        env, {"base_url": "http://localhost:9/v1", "model": "none", "retries": 0, "backoff": 0.0, "timeout": 0.5}
    ),
}


def whole(env: Env, protocol: str | None = None) -> Env:
    env = PromptProtocol(env, protocol) if protocol else PromptProtocol(env)
    env = InvalidActionPenalty(RewardProtocol(ActionParser(env), "10-won"))
    return RecordTrajectories(env)


STACKS: dict[str, Wrap] = {
    **SINGLE,
    **{f"stack {name}": lambda env, name=name: whole(env, name) for name in PROTOCOLS},
    "stack turned": lambda env: RecordTrajectories(
        RewardProtocol(InvalidActionPenalty(PromptProtocol(ActionParser(env))), "10-won")
    ),
}

ACTIONS = ["east", "fly", "east", "west", "east", "east", "east", "east", "east", "east"]


def transcript(env: Env, actions: list[str], *, reset: bool = True) -> list[Any]:
    respond = env.get_wrapper_attr("format_response") if env.has_wrapper_attr("format_response") else str
    seen: list[Any] = [env.reset(seed=5)] if reset else []
    for action in actions:
        seen.append(env.step(respond(action)))
        if seen[-1][2] or seen[-1][3]:
            seen.append(seen[-1][4]["hindsight"].episode)
            break
    return seen


@pytest.mark.parametrize("name", STACKS)
def test_every_stack_is_conformant(name: str) -> None:
    check_hindsight_env(STACKS[name](make(max_steps=9)))


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_can_be_made_from_its_spec(name: str) -> None:
    env = STACKS[name](make(max_steps=9))
    assert env.spec is not None
    played = transcript(env, ACTIONS)
    assert transcript(gym.make(env.spec), ACTIONS) == played
    if name != "judge":  # a judge object cannot be written as JSON
        assert transcript(gym.make(EnvSpec.from_json(env.spec.to_json())), ACTIONS) == played


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_can_be_pickled_during_an_episode(name: str) -> None:
    env = STACKS[name](make(max_steps=9))
    transcript(env, ACTIONS[:4])
    other = pickle.loads(pickle.dumps(env))
    assert transcript(other, ACTIONS[4:], reset=False) == transcript(env, ACTIONS[4:], reset=False)


@pytest.mark.parametrize("name", STACKS)
def test_info_keys_and_types_are_constant(name: str) -> None:
    seen = transcript(STACKS[name](make(max_steps=9)), ACTIONS)
    infos = [step[-1] for step in seen if isinstance(step, tuple) and isinstance(step[-1], dict)]
    types = [{key: type(value) for key, value in info.items()} for info in infos]
    assert len(types) > 5
    assert all(each == types[0] for each in types)
    assert {key: types[0][key] for key in INFO_KEYS} == dict(INFO_KEYS)


def test_prompt_and_parser_can_be_exchanged() -> None:
    for protocol in PROTOCOLS:
        parser_outside = transcript(ActionParser(PromptProtocol(make(max_steps=9), protocol)), ACTIONS)
        inside = ActionParser(make(max_steps=9), make_protocol(protocol).parser)
        parser_inside = transcript(PromptProtocol(inside, protocol), ACTIONS)
        assert parser_outside == parser_inside


def test_a_stack_works_in_a_vector_env() -> None:
    envs = gym.vector.SyncVectorEnv([lambda: whole(make(max_steps=9))] * 2)
    prompts, infos = envs.reset(seed=0)
    assert all("interactive text environment" in prompt for prompt in prompts)
    _, rewards, *_, infos = envs.step(["<think></think><action>east</action>", "fly"])
    assert list(rewards) == pytest.approx([0.0, -0.1])
    assert [parsed.text for parsed in infos["parsed_action"]] == ["east", "fly"]
    assert list(infos["action_valid"]) == [True, False]
    envs.close()


def test_public_names() -> None:
    assert sorted(wrappers.__all__) == sorted(set(wrappers.__all__))
    assert all(hasattr(wrappers, name) for name in wrappers.__all__)
