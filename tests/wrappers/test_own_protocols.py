"""Protocols and parsers of one's own, named module:NAME."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import gymnasium as gym
import pytest

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.baselines.evaluation.panels import evaluate_policy
from agentgym_hindsight.baselines.masks import action_tokens
from agentgym_hindsight.baselines.policies import ExpertPolicy
from agentgym_hindsight.errors import HindsightError, UnknownNameError, UsageError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.wrappers import ActionParser, PromptProtocol, format_response, parse_response
from agentgym_hindsight.wrappers.parsing import parser_name
from agentgym_hindsight.wrappers.protocols import make_protocol, protocol_name
from tests.own_code import forgotten

EASY = {"data": "embedded", "difficulty": "easy", "max_steps": 12}

MODULE = """
from functools import partial

from agentgym_hindsight.wrappers import ParsedAction, PromptState, Protocol


class Short(Protocol):
    name = "short"
    parser = "my_protocols:read_reply"

    def render(self, state):
        return f"{self.history} {state.goal} {state.observation} {', '.join(state.admissible_actions)}"


class NoRender(Protocol):
    name, parser = "none", "plain"


class NoParser(Short):
    parser = None


class Twice(Short):
    parser = "BRIEF"


class Other:
    pass


def factory(history=None, demonstrations=()):
    return Twice(history=history)


def wrong_factory(history=None, demonstrations=()):
    return 3


def no_factory():
    return Short()


INSTANCE = Short()
NUMBER = 3


def read_reply(response, world):
    start = response.find("do:") + 3
    if start < 3:
        return ParsedAction(response.strip(), valid=False, reason="no do:")
    return ParsedAction(response[start:].strip(), (start, len(response)))


read_reply.format_response = lambda action: f"do: {action}"


def tags(response, world):
    begin, end = response.find("<action>") + 8, response.find("</action>")
    return ParsedAction(response[begin:end], (begin, end)) if 8 <= begin <= end else ParsedAction("", valid=False)


def no_format(response, world):
    return ParsedAction("wait", valid=False)


def one_argument(response):
    return ParsedAction(response)


def text(response, world):
    return response


def outside(response, world):
    return ParsedAction(response, (0, len(response) + 1))


whole = partial(lambda kind, response, world: kind(response), ParsedAction)
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_protocols.py").write_text(MODULE)
    with forgotten():
        yield


@pytest.mark.parametrize("workers", [0, 2])
def test_the_expert_wins_with_an_own_protocol_and_parser(workers: int) -> None:
    stage = Stage(settings=EASY, protocol="my_protocols:Short", history=3, workers=workers)
    assert stage.parser == "my_protocols:read_reply"
    evaluation, played = evaluate_policy(ExpertPolicy(), stage, stage.panel("train", 2))
    assert evaluation.micro.success == 1.0
    step = played[0].steps[0]
    assert step.prompt.startswith("3 ")
    assert step.response == f"do: {step.action}"
    assert step.action_span == (3, len(step.response))


def test_a_parser_replaces_that_of_the_protocol() -> None:
    stage = Stage(settings=EASY, protocol="brief", parser="my_protocols:tags")
    assert stage.parser == "my_protocols:tags"
    evaluation, played = evaluate_policy(ExpertPolicy(), stage, stage.panel("train", 1))
    assert evaluation.micro.success == 1.0
    # The first format of the library that the parser reads back.
    assert played[0].steps[0].response == f"<think></think><action>{played[0].steps[0].action}</action>"


def test_a_stage_is_plain_data() -> None:
    stage = Stage(settings=EASY, protocol="Brief")
    assert stage.protocol == "brief"
    assert stage == Stage(settings=EASY, protocol="brief") == Stage(settings=EASY, protocol="brief", parser="BRIEF")
    assert "parser" not in stage.as_dict(), "as in runs that were stored before stages had this setting"
    assert replace(stage, protocol="plain").parser == "plain", "the protocol's parser follows the protocol"
    assert Stage(**asdict(stage)) == Stage(**stage.as_dict()) == pickle.loads(pickle.dumps(stage)) == stage
    own = Stage(settings=EASY, protocol="brief", parser="my_protocols:tags")
    assert own.as_dict()["parser"] == "my_protocols:tags"
    assert replace(own, protocol="plain").parser == "my_protocols:tags", "a parser that was given stays"
    assert Stage(**own.as_dict()) == own != stage


def test_names_match_without_regard_to_case() -> None:
    assert (protocol_name("VERL-Agent-2025"), parser_name(" React-2022 ")) == ("verl-agent-2025", "react-2022")
    assert Stage("alfworld-hindsight-v0", reward="Native") == Stage("ALFWorld-Hindsight-v0", reward="native")
    assert parse_response("<ACTION>look</ACTION>", "BRIEF").text == "look"
    assert format_response("look", "Code") == "```python\nlook\n```"


def test_wrappers_take_the_names_too() -> None:
    env = gym.make("ALFWorld-Hindsight-v0", **EASY)
    env = ActionParser(PromptProtocol(env, "my_protocols:Short"))
    assert env.get_wrapper_attr("parser") == "my_protocols:read_reply"
    with closing(env):
        prompt, _ = env.reset(seed=0)
        assert prompt.startswith("None ")
        *_, info = env.step("I look. do: look")
        assert (info["parsed_action"].text, info["action_valid"]) == ("look", True)
        *_, info = env.step("look")
        assert (info["parsed_action"].reason, info["action_valid"]) == ("no do:", False)
    again = gym.make(env.spec)  # type: ignore[arg-type]
    assert again.reset(seed=0)[0] == prompt
    again.close()


def test_a_factory_and_a_callable_object() -> None:
    assert make_protocol("my_protocols:factory", history=4).history == 4
    assert Stage(settings=EASY, protocol="my_protocols:factory").parser == "brief"
    assert parse_response("look", "my_protocols:whole").text == "look"


def test_the_mask_of_the_action_follows_from_the_span() -> None:
    words = ["I ", "do:", " look", ""]
    mask = action_tokens(lambda ids: "".join(words[i] for i in ids), range(4), parser="my_protocols:tags", span=(5, 10))
    assert mask == [False, False, True, False]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "my_protocols:Other",
            r"a subclass of .*Protocol as 'my_protocols:Other', got the class Other",
        ),
        ("my_protocols:NoRender", r"the method render\(state\) in the protocol"),
        ("my_protocols:NoParser", "the name of a parser as the attribute parser"),
        ("my_protocols:INSTANCE", "got Short; try the name of the class"),
        ("my_protocols:NUMBER", "got int"),
        ("my_protocols:wrong_factory", "Expected a prompt protocol from 'my_protocols:wrong_factory', got int"),
        ("my_protocols:no_factory", "from history and demonstrations, got TypeError"),
        ("my_protocols:Shrot", "did you mean 'Short'"),
        ("my_protocol:Short", "no module 'my_protocol'; install it, or start the command in the folder"),
        ("plane", "did you mean 'plain'"),
    ],
)
def test_a_wrong_protocol_is_refused_when_the_stage_is_made(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Stage(settings=EASY, protocol=name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_protocols:Other", r"Expected a function \(response, world\) -> ParsedAction"),
        ("my_protocols:NUMBER", "got int"),
        ("my_protocols:one_argument", "take the response and the name of the world"),
        ("my_protocols:read_replay", "did you mean 'read_reply'"),
        ("nowhere:parse", "no module 'nowhere'"),
    ],
)
def test_a_wrong_parser_is_refused_when_the_stage_is_made(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Stage(settings=EASY, parser=name)
    with pytest.raises(UsageError, match=message):
        ActionParser(gym.make("ALFWorld-Hindsight-v0", **EASY), name)


def test_a_wrong_result_of_a_parser() -> None:
    with pytest.raises(UsageError, match="Expected a ParsedAction from parser 'my_protocols:text', got str"):
        parse_response("look", "my_protocols:text")
    with pytest.raises(UsageError, match=re.escape("a span within the 4 characters of the response")):
        parse_response("look", "my_protocols:outside")
    with pytest.raises(UsageError, match=r"try no_format\.format_response = lambda action"):
        format_response("look", "my_protocols:no_format")
    with pytest.raises(UnknownNameError, match="did you mean 'brief'"):
        format_response("look", "brieff")


def test_a_module_that_fails_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "my_broken.py").write_text("1 / 0")
    with pytest.raises(HindsightError, match=r"'my_broken:Short' to import, got ZeroDivisionError"):
        Stage(protocol="my_broken:Short")


def test_a_parser_that_raises_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_broken_parser.py").write_text("def read(response, world):\n    raise ValueError('boom')\n")
    with pytest.raises(
        UsageError, match=r"parser 'my_broken_parser:read' to read every response, got ValueError: boom"
    ):
        parse_response("look", "my_broken_parser:read")
