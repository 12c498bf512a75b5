"""ReAct: demonstrations of the task's kind, thoughts that change nothing, on every env."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from agentgym_hindsight.baselines.evaluation.demonstrations import demonstrations_for
from agentgym_hindsight.baselines.evaluation.panels import as_played
from agentgym_hindsight.baselines.policies import ExpertPolicy, Reply, TurnView
from agentgym_hindsight.baselines.policies.react import REACT_PROTOCOLS, ReActPolicy, with_preface
from agentgym_hindsight.baselines.rollout import rollout
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.wrappers.parsing import PARSERS, parse_response

#: The env, its settings, and a split for evaluation.
WORLDS: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "alfworld": ("alfworld", {"data": "embedded"}, "valid_unseen"),
    "webshop": ("webshop", {"data": "embedded"}, "test"),
    "appworld": ("appworld", {}, "dev"),
    "tools": ("TauBench-Hindsight-v0", {"data": "embedded"}, "test"),
}


def stage_of(world: str) -> Stage:
    env, settings, _ = WORLDS[world]
    return Stage(env, settings, REACT_PROTOCOLS.get(world, "react-2022"))


class Thinker:
    """A scripted model: thinks once, then plays the expert's actions; keeps what it was shown."""

    name = "thinker"
    needs_expert = True

    def __init__(self, stage: Stage) -> None:
        self.expert = as_played(ExpertPolicy(), stage)
        self.prompts: list[tuple[str, str]] = []  # task, prompt

    def act(self, turns: Sequence[TurnView]) -> list[Reply]:
        self.prompts += [(turn.task_id, turn.observation) for turn in turns]
        answers = self.expert.act(turns)
        return [
            Reply("<think>\nhidden\n</think>\n\nthink: I have\nto begin." if turn.step == 0 else str(answer))
            for turn, answer in zip(turns, answers, strict=True)
        ]


def play(stage: Stage, policy: Any, world: str, count: int = 2) -> list[Trajectory]:
    panel = stage.panel(WORLDS[world][2], count)
    venv = stage.vector(count, expert=True)
    try:
        return list(rollout(venv, policy, [(task, 0) for task in panel]))
    finally:
        venv.close()


@pytest.mark.parametrize("world", WORLDS)
def test_a_thought_changes_nothing_and_every_prompt_begins_with_demonstrations(world: str) -> None:
    stage = stage_of(world)
    panel = stage.panel(WORLDS[world][2], 2)
    demonstrations, model = demonstrations_for(stage, panel), Thinker(stage)
    played = play(stage, ReActPolicy(model, demonstrations), world)
    for trajectory in played:
        first, second = trajectory.steps[:2]
        assert first.action == ("think: I have\nto begin." if world in REACT_PROTOCOLS else "think: I have")
        assert first.feedback == "OK."
        assert first.action_valid
        assert first.anchor == first.next_anchor == second.anchor
        assert trajectory.won, "the expert's actions after the thought win"
    assert {task for task, _ in model.prompts} == set(panel.ids)
    for task, prompt in model.prompts:
        assert "Here are two examples." in prompt
        assert all(text in prompt for text in demonstrations[task])
        assert prompt.count("Here is the task.\n") == 1


@pytest.mark.parametrize("world", WORLDS)
def test_demonstrations_are_two_of_the_kind_never_the_task_itself_and_always_the_same(world: str) -> None:
    stage = stage_of(world)
    panel = stage.panel("train", 3)
    found, again = demonstrations_for(stage, panel), demonstrations_for(stage, panel)
    assert found == again
    for task in panel:
        texts = found[task.id]
        assert len(set(texts)) == 2
        assert all(len(text) < 8000 for text in texts)
        assert all("think: " in text and "OK." in text for text in texts)
        alone = demonstrations_for(stage, [task])
        assert alone[task.id] == texts, "they do not depend on the other tasks"


def test_demonstrations_are_of_the_task_s_category() -> None:
    stage = stage_of("alfworld")
    panel = stage.panel("valid_unseen", 12)
    words = {"heat": "heat ", "cool": "cool ", "clean": "clean ", "light": "use "}
    shown = demonstrations_for(stage, panel)
    checked = 0
    for task in panel:
        for part, action in words.items():
            if part in task.category:
                assert all(f"\n> {action}" in text for text in shown[task.id]), task.category
                checked += 1
    assert checked >= 4


def test_a_task_is_no_demonstration_for_itself() -> None:
    stage = stage_of("alfworld")
    other = stage.panel("valid_unseen", 1)[0]
    category = stage.panel("train", 32).select(category=other.category)
    first = demonstrations_for(stage, [other])[other.id][0]
    (same,) = [task for task in category if task.goal in first][:1]
    assert first not in demonstrations_for(stage, [same])[same.id]


def test_the_prompt_is_the_published_one() -> None:
    """Instruction, two examples, task: the structure of ReAct's release for ALFWorld."""
    prompt = with_preface("Interact with a household to solve a task.\nHere is the task.\nA room.\n>", ["A", "B"])
    assert prompt == (
        "Interact with a household to solve a task. Here are two examples.\nA\n\nB\n\nHere is the task.\nA room.\n>"
    )
    assert with_preface("Solve it.\nHere is the task.\nA room.\n>", []) == "Solve it.\nHere is the task.\nA room.\n>"


def test_in_a_conversation_the_first_message_has_the_demonstrations() -> None:
    seen: list[TurnView] = []

    class Spy:
        name = "spy"

        def act(self, turns: Sequence[TurnView]) -> list[str]:
            seen.extend(turns)
            return ["look"] * len(turns)

    policy = ReActPolicy(Spy(), {"1f": ["EXAMPLE"]})
    first = TurnView("1f", 0, 0, "Here is the task.\nA hall.\n>", {})
    policy.act([first])
    policy.act([replace(first, step=1, observation="A door.\n>", past=((first.observation, Reply("look")),))])
    assert "EXAMPLE" in seen[0].observation
    assert seen[1].observation == "A door.\n>"
    assert seen[1].past[0][0] == seen[0].observation


def test_a_protocol_without_thoughts_is_refused() -> None:
    stage = Stage("alfworld", {"data": "embedded"}, "brief")
    with pytest.raises(UsageError, match="react-2022"):
        demonstrations_for(stage, stage.panel("valid_unseen", 1))


def test_replies_with_a_thought_and_an_action_act() -> None:
    code = parse_response("think: first\n```python\nprint(1)\n```", "code-react", world="appworld")
    assert (code.text, code.thought, code.valid) == ("print(1)", False, True)
    call = '<tool_call>{"name": "f", "arguments": {}}</tool_call>'
    assert parse_response(f"think: first {call}", "tools-react").text == call
    assert parse_response("THINK: first\nthen", "tools-react")[3:] == ("", True)
    assert parse_response("Good day!", "tools-react").thought is False
    assert parse_response("nothing", "code-react").valid is False
    assert {"code-react", "tools-react"} <= set(PARSERS)
