"""The short prompt of conversations with tool calls, and the names of values in it."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from agentgym_hindsight.envs.tools import ToolCall, format_calls, read_action
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.wrappers import format_response, restore_into, snapshot_of
from agentgym_hindsight.wrappers.protocols.base import PromptState
from agentgym_hindsight.wrappers.protocols.short_conversation import conversation_text, shortened
from agentgym_hindsight.wrappers.value_names import long_call, marked, short_call

DESK = {"data": "embedded", "user": "scripted-all", "max_steps": 9}


def make(**settings: Any) -> Any:
    return Stage("TauBench-Hindsight-v0", {**DESK, **settings}, "short").make("valid", expert=True)


@pytest.mark.parametrize("introduce", [True, False])
@pytest.mark.parametrize("domain", ["retail", "airline"])
def test_the_expert_wins_with_short_names(domain: str, introduce: bool) -> None:
    env = make(domain=domain, introduce=introduce)
    won = named = 0
    for task in list(env.unwrapped.panel("valid"))[::40]:
        prompt, info = env.reset(options={"task": task})
        assert "Policy" not in prompt
        assert len(prompt) < 1000
        over, reward = False, 0.0
        while not over:
            action = short_call(info["expert_action"], prompt)
            named += "=@" in action
            prompt, reward, terminated, truncated, info = env.step(format_response(action, "short"))
            over = terminated or truncated
        won += reward > 0
    assert won == len(list(env.unwrapped.panel("valid"))[::40]) >= 4
    assert named > won, "values are written by their names"


def test_the_prompt_of_a_conversation() -> None:
    history = (
        ("A policy.\n\nUser: Hello, cancel #W1234567.", "Who are you?"),
        (
            "User: I am Ada Lund, ada@post.example.",
            format_calls([ToolCall("find_user", {"email": "ada@post.example"})]),
        ),
    )
    state = PromptState("Serve.", "find_user: ada_lund_12, and " + "x" * 200, history=history, world="tools")
    assert conversation_text(state).splitlines() == [
        "User: Hello, cancel @1 #W1234567. I am @2 Ada @3 Lund, @4 ada@post.example.",
        "Done: said; find_user",
        f"Now: find_user: @5 ada_lund_12, and {'x' * 52}…",
    ]
    assert shortened("respond: User: Yes.") == "Yes."


def test_the_env_gets_the_values() -> None:
    env = make(kinds=["cancel_order"])
    prompt, _ = env.reset(seed=0)
    order = next(word for word in prompt.split() if word.startswith("#W")).rstrip(".")
    number = prompt.split(f" {order}")[0].rpartition("@")[2]
    env.step(f"<action>[get_order_details(order_id=@{number})]</action>")
    step = env.unwrapped.trajectory().steps[-1]
    assert step.action == f'[get_order_details(order_id="{order}")]'
    assert step.action_valid
    assert step.response == f"<action>[get_order_details(order_id=@{number})]</action>"


def test_a_restored_env_knows_the_names() -> None:
    env, other = make(kinds=["cancel_order"]), make(kinds=["cancel_order"])
    env.reset(seed=0)
    env.step("<action>[think(thought=@1)]</action>")
    moment = snapshot_of(env)
    expected = env.step("<action>[think(thought=@2)]</action>")[0]
    other.reset(seed=5)
    restore_into(other, moment)
    assert other.step("<action>[think(thought=@2)]</action>")[0] == expected
    assert other.unwrapped.trajectory().steps[-1].action == env.unwrapped.trajectory().steps[-1].action != ""
    assert "@2" not in env.unwrapped.trajectory().steps[-1].action


def test_names_go_both_ways() -> None:
    prompt = "\n".join(marked(["User: Order #W1234567, my name is Ada Lund, zip 12345, card_9077702, a.b@c.example."]))
    arguments = {"order_id": "#W1234567", "names": ["Ada", "Lund", "x, @1"], "zip": "12345", "n": 3, "who": None}
    call = format_calls([ToolCall("f", arguments), ToolCall("g", {"card": "card_9077702", "email": "a.b@c.example"})])
    short = short_call(call, prompt)
    assert short.count("=@") == 4
    assert short.startswith("[f(order_id=@1, names=[@2, @3, ")
    restored = read_action(long_call(short, prompt)).calls
    assert restored[1] == read_action(call).calls[1]
    assert restored[0].arguments["order_id"] == "#W1234567"
    assert restored[0].arguments["names"][:2] == ["Ada", "Lund"]


@pytest.mark.parametrize("action", ["Your request is complete.", "write to @1", "", "[not a call @1", "[f(a=@99)]"])
def test_what_has_no_value_stays(action: str) -> None:
    prompt = "User: Cancel @1 #W1234567."
    assert long_call(action, prompt) == action
    assert short_call(action, prompt) == action


def test_hostile_texts_take_linear_time() -> None:
    rng = random.Random(0)
    for piece in ("a_", "@1 ", "A", "a.b@", "1", "#W", "@1 a_1", "a-.", " @", "[f(a=@1,"):
        text = piece * (40_000 // len(piece))
        started = time.process_time()
        (prompt,) = marked([text])
        long_call(f"[{text}", prompt)
        short_call(format_calls([ToolCall("f", {"a": text[:1000]})]), prompt)
        assert time.process_time() - started < 2, piece
    for _ in range(300):
        text = "".join(rng.choice(("@1 ", "#W12", "Ada", " ", "_1", "a@b.c", "\n", "é", '"')) for _ in range(30))
        assert long_call("[f(a=1)]", marked([text])[0]) == "[f(a=1)]"


def test_ids_paths_and_days_are_values() -> None:
    said = "User: Move /amber_box/hazel_report.txt to /plum. Then BK7174 on 2027-05-31, and/or 1/2 of A4."
    expected = (
        "User: Move @1 /amber_box/hazel_report.txt to @2 /plum. Then @3 BK7174 on @4 2027-05-31, and/or 1/2 of A4."
    )
    assert marked([said]) == [expected]
    call = format_calls([ToolCall("move_item", {"path": "/amber_box/hazel_report.txt", "folder": "/plum"})])
    short = short_call(call, expected)
    assert short == "[move_item(path=@1, folder=@2)]"
    assert read_action(long_call(short, expected)).calls == read_action(call).calls
