"""The protocol and the parser ``code``."""

from __future__ import annotations

import time

import pytest

from agentgym_hindsight.envs.appworld.env import AppWorldEnv
from agentgym_hindsight.wrappers import ActionParser, PromptProtocol
from agentgym_hindsight.wrappers.parsing import PARSERS, ParsedAction, format_response, parse_response
from agentgym_hindsight.wrappers.protocols import PromptState, make_protocol

OPENING = "You act for Ada by writing Python.\nYour task: count."
PAST = [(OPENING, "x = 1"), ("Nothing was printed.", "print(x)"), ("1", "1/0")]
TAGGED = "<think>So.</think><action>\nfor Note in NOTES:\n    print(Note)\n</action>"
UNTAGGED = "apis.notes.create_note(title='A Title That Is Longer Than Any Tail')"


def read(response: str) -> ParsedAction:
    return parse_response(response, "code", world="appworld")


@pytest.mark.parametrize(
    ("response", "text", "reason"),
    [
        ("```python\nprint(1)\n```", "print(1)", ""),
        ("I look.\n\n```python\nprint(1)\n```\nThat is all.", "print(1)", ""),
        ("```py\nprint(1)\n```", "print(1)", ""),
        ("```PYTHON\nX = 'Y'\n```", "X = 'Y'", ""),
        ("```\nprint(1)\n```", "print(1)", ""),
        ("```python  \nprint(1)\n```", "print(1)", ""),
        ("```python\nif x:\n    y\n\n    z\n```", "if x:\n    y\n\n    z", ""),
        ("```python\n    x = 1\n```", "    x = 1", ""),  # a wrong indentation is left to the world
        ("  ```python\n  x = 1\n  ```", "  x = 1", ""),
        ("```python\none\n```\nor\n```python\ntwo\n```", "one", ""),
        ("not ``` this ``` but\n```python\nx = 1\n```", "x = 1", ""),
        ("```python\nprint('é ≤ 中文 😀')\n```", "print('é ≤ 中文 😀')", ""),
        ("```python\nprint(1)", "print(1)", "the ```python block does not end"),
        ("```python\n", "", "the ```python block does not end"),
        ("```python\n\n```", "", "no action"),
        ("```python\n   \n```", "   ", "no action"),
        ("```python\n```", "", "no action"),
        ("print(1)", "print(1)", "no ```python block"),
        ("  print(1)\n", "print(1)", "no ```python block"),
        ("~~~python\nprint(1)\n~~~", "~~~python\nprint(1)\n~~~", "no ```python block"),
        ("```bash\nls\n```\nthen\n```python\nx = 1\n```", "x = 1", ""),  # a block of another language is skipped
        ("```python3\nx = 1\n```", "x = 1", ""),
        ("```python\nx = '```'\ny = 2\n```", "x = '```'\ny = 2", ""),  # not a fence, because it is inside a line
        ("```python\nprint(1)```", "print(1)", ""),
        ("Like this: ```python\nx = 1\n```", "x = 1", ""),
        ("```bash\nls", "```bash\nls", "no ```python block"),
        ("```python print(1)```", "```python print(1)```", "no ```python block"),
        ("```json\n{}\n```", "```json\n{}\n```", "no ```python block"),
        ("```", "```", "no ```python block"),
        ("", "", "no action"),
        (" \r\n\t", "", "no action"),
    ],
)
def test_the_action_of_a_response(response: str, text: str, reason: str) -> None:
    parsed = read(response)
    assert (parsed.text, parsed.valid, parsed.reason) == (text, not reason, reason)
    if parsed.span is not None:
        assert response[slice(*parsed.span)] == text, "the span refers to the response, white space included"
    assert not parsed.thought


def test_windows_line_ends_are_accepted() -> None:
    parsed = read("Look:\r\n```python\r\nif x:\r\n    y = 2\r\n```\r\n")
    assert parsed.text == "if x:\r\n    y = 2"
    assert parsed.valid
    scope: dict[str, object] = {"x": True}
    exec(compile(parsed.text, "<response>", "exec"), scope)
    assert scope["y"] == 2


@pytest.mark.parametrize("code", ["x = 1", "if x:\n    y\nelse:\n    z", "print('''a\n\n  b''')", "# ünï"])
def test_a_formatted_program_is_parsed_back(code: str) -> None:
    assert read(format_response(code, "code")) == ParsedAction(code, (10, 10 + len(code)))


@pytest.mark.parametrize("parser", ["verl-agent-2025", "brief"])
def test_parsers_with_tags_keep_the_case_and_length_of_code(parser: str) -> None:
    assert parse_response(TAGGED, parser, world="appworld").text == "for Note in NOTES:\n    print(Note)"
    assert parse_response(TAGGED, parser).text == "for note in notes:\n    print(note)", "unchanged in other worlds"
    missed = parse_response(UNTAGGED, parser, world="appworld")
    assert (missed.text, missed.valid) == (UNTAGGED, False)
    assert parse_response(UNTAGGED, parser).text == UNTAGGED.lower()[-30:]


@pytest.mark.parametrize(
    "response",
    [
        "`" * 1_000_000,
        "``` " * 250_000,
        "```python\n" * 100_000,
        "```python\n" + "x\n" * 500_000,
        "```python\n" + "``\n" * 330_000,
        "```py" * 200_000,
        "```" + " " * 1_000_000,
        "```python\n" + " " * 1_000_000 + "x",
    ],
    ids=["backticks", "fences", "openers", "no end", "nearly ends", "one line", "blanks after", "blanks inside"],
)
@pytest.mark.parametrize("parser", PARSERS)
def test_a_megabyte_of_backticks_is_parsed_in_linear_time(parser: str, response: str) -> None:
    start = time.process_time()  # CPU time, so that other processes have no effect
    parse_response(response, parser, world="appworld")
    assert time.process_time() - start < 2.0


def test_the_prompt_of_a_first_and_of_a_later_turn() -> None:
    protocol = make_protocol("code")
    first = protocol.render(PromptState("count.", OPENING, world="appworld"))
    assert first == f"{OPENING}\n\nGo on with one ```python block."
    later = protocol.render(PromptState("count.", "ZeroDivisionError", (), PAST, "appworld"))
    assert later == (
        f"{OPENING}\n```python\nx = 1\n```\nOutput:\nNothing was printed.\n```python\nprint(x)\n```\nOutput:\n1\n"
        "```python\n1/0\n```\nOutput:\nZeroDivisionError\n\nGo on with one ```python block."
    )


@pytest.mark.parametrize(("history", "left_out"), [(0, 3), (1, 2), (3, 0), (9, 0), (None, 0)])
def test_the_first_observation_is_always_shown(history: int | None, left_out: int) -> None:
    prompt = make_protocol("code", history=history).render(PromptState("count.", "?", (), PAST, "appworld"))
    assert prompt.startswith(OPENING)
    assert prompt.count("Output:\n") == 3 - left_out
    assert (f"({left_out} earlier programs left out)" in prompt) == bool(left_out)


def test_the_task_is_added_if_the_observation_omits_it() -> None:
    prompt = make_protocol("code").render(PromptState("count.", "Hello.", world="generic"))
    assert prompt.startswith("Task: count.\nHello.\n")
    shown = make_protocol("code", demonstrations=["An example."]).render(PromptState("", "Hello."))
    assert shown.startswith("An example.\n\nHello.\n")


def test_the_wrapped_env_runs_programs() -> None:
    env = ActionParser(PromptProtocol(AppWorldEnv(templates=["set_alarm"]), "code"))
    prompt, _ = env.reset(seed=0)
    assert prompt.endswith("one ```python block.")
    prompt, *_, info = env.step("First the sum.\n```python\nTotal = 20 + 22\nprint(Total)\n```")
    assert "\nOutput:\n42\n" in prompt
    assert info["action_valid"]
    *_, info = env.step("```python\nprint(Totl)\n```")
    assert (info["parsed_action"].valid, info["action_valid"]) == (True, False), "the program failed"
    *_, info = env.step("print(Total)")
    assert (info["action_valid"], info["env_action_valid"]) == (False, True), (
        "the program ran, but the response has no format"
    )
    step = env.unwrapped.trajectory().steps[0]  # type: ignore[attr-defined]
    assert step.response[slice(*step.action_span)] == step.action == "Total = 20 + 22\nprint(Total)"
    env.close()
