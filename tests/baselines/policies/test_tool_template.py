"""Functions in the model's own chat template."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("transformers", reason="needs the extra [train]")

from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.tool_template import with_tools
from agentgym_hindsight.baselines.training.tiny import make_tokenizer
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.stage import Stage

SETTINGS = {"backend": "embedded", "domain": "airline"}
NATIVE = Stage("TauBench-Hindsight-v0", SETTINGS, protocol="tools-native")
#: Lists functions as templates of many models do, before the messages.
LISTING = "{% if tools %}Functions:{% for tool in tools %} {{ tool | tojson }}{% endfor %}\n{% endif %}"


@pytest.fixture
def tokenizer() -> Any:
    return make_tokenizer(["get_user_details user_id string", "You are an agent."] * 4, vocabulary=400)


def test_the_template_lists_the_functions_and_the_prompt_does_not(tokenizer: Any) -> None:
    tokenizer.chat_template = LISTING + tokenizer.chat_template
    template = with_tools({}, NATIVE)
    encoder = PromptEncoder(tokenizer, 100_000, template)
    env = NATIVE.make("valid")
    prompt, _ = env.reset(seed=0)
    env.close()
    assert "<tools>" not in prompt
    assert '"name": "update_reservation_flights"' not in prompt
    text = encoder.text(prompt)
    assert text == tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], tools=template["tools"], tokenize=False, add_generation_prompt=True
    )
    assert text.count('"name": "update_reservation_flights"') == 1
    assert encoder.overhead > 100  # the functions are never cut


def test_a_template_without_functions_is_refused(tokenizer: Any) -> None:
    with pytest.raises(UsageError, match="try the protocol 'tools'"):
        PromptEncoder(tokenizer, 100_000, with_tools({}, NATIVE))


def test_other_protocols_and_given_tools_are_left_alone() -> None:
    assert with_tools({"x": 1}, Stage("TauBench-Hindsight-v0", SETTINGS, protocol="tools")) == {"x": 1}
    assert with_tools({"tools": [1]}, NATIVE) == {"tools": [1]}
    assert len(NATIVE.tools) == 14
    assert Stage(settings={"data": "embedded"}).tools == ()


def test_a_world_without_functions_is_refused() -> None:
    with pytest.raises(UsageError, match="a world of functions"):
        with_tools({}, Stage(settings={"data": "embedded"}, protocol="tools-native"))
