"""PSP: which groups are played again and with what; and the contrast of won and failed rollouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.baselines.analysers.contrasts import Contrast
from agentgym_hindsight.baselines.analysers.skills import TaskSkills
from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.rows import Rows
from agentgym_hindsight.baselines.methods.scripted_ask import ScriptedAsk
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight import Group
from tests.baselines.methods.imitations import failed_and_won, rollout, scripted, turn


def group(won: int, task: str = "1f") -> Group:
    return Group(rollout(turn(0), won=number < won, sibling=number, task=task) for number in range(8))


@pytest.mark.parametrize(("gate", "fires"), [(0.1, {0}), (0.3, {0, 1, 2}), (0.5, {0, 1, 2, 3}), (0.0, set())])
def test_the_gate_is_strict(gate: float, fires: set[int]) -> None:
    method = recipe("psp").changed(gate=gate)
    groups = [group(won, f"task{won}") for won in range(9)]
    replacements = method.resample(groups, ScriptedAsk(method, lambda messages: "- Look first."))
    assert {each.group for each in replacements} == fires
    assert len(replacements) == 8 * len(fires), "whole groups, so that no advantage compares two kinds of prompts"


@pytest.mark.parametrize(
    ("won", "wanted"), [(1, (2.474874, -0.353553)), (2, (1.620185, -0.540062)), (4, (0.935414,) * 1)]
)
def test_the_advantages_of_a_new_group_are_grpos(won: int, wanted: tuple[float, ...]) -> None:
    returns = [1.0] * won + [0.0] * (8 - won)
    rows = Rows([0] * 8, [*range(8)], [0] * 8, returns, returns, [False] * 8, ("s",) * 8)
    advantages = GroupRelative()(rows)
    for got, value in zip((advantages[0], advantages[-1]), wanted, strict=False):
        assert got == pytest.approx(value, abs=1e-4)


def test_skills_stand_in_a_system_message_and_are_kept() -> None:
    method = recipe("psp")
    ask = ScriptedAsk(method, lambda messages: "<think>Hm.</think>- Open doors first.")
    replacements = method.resample([group(0)], ask)
    messages = replacements[3].messages("You are in a hall.")
    assert [dict(each) for each in messages] == [
        {"role": "system", "content": "<skills>\n- Open doors first.\n</skills>"},
        {"role": "user", "content": "You are in a hall."},
    ]
    assert replacements[3].trained_on == "played"
    assert {analysis.kind for _, analysis in ask.kept} == {"skill"}
    assert ask.asked == {"policy"}
    prompt = ask.prompts[0][1]["content"]
    assert prompt.count("Attempt ") == 6, "at most six attempts are shown"


@pytest.mark.parametrize("answer", ["", "  ", "None", "<think>never ends"])
def test_an_analyser_that_writes_nothing_leaves_the_group(answer: str) -> None:
    method = recipe("psp")
    assert method.resample([group(0)], ScriptedAsk(method, lambda messages: answer)) == []


def test_scripted_skills_are_the_experts_actions_or_a_successful_attempt() -> None:
    advised = turn(0, "eat", extra={"expert_action": "go north"})
    skills = TaskSkills(Group([rollout(advised), rollout(advised, sibling=1)]))
    assert skills.scripted() == '- When you read "room 0", do: go north'
    assert TaskSkills(group(0)).scripted() == ""
    assert TaskSkills(group(0), "Step 0: go").scripted() == "- Do as in this successful attempt:\nStep 0: go"


def test_the_teacher_is_no_analyser_of_a_method_without_one() -> None:
    with pytest.raises(UsageError, match="teacher"):
        recipe("psp").changed(analyser="teacher")


def test_hard_groups_are_played_again(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    import torch

    from tests.baselines.training.tiny_runs import STAGE, make_trainer
    from tests.baselines.training.trainer_probes import step

    stage = STAGE.__class__(**{**STAGE.__dict__, "settings": {**STAGE.settings, "expert": True}})
    trainer = make_trainer(scripted("psp").changed(gate=0.6, kl=0.0), tmp_path, stage=stage)
    assert torch.isfinite(step(trainer))
    figures: dict[str, Any] = trainer._measured.record
    rows = trainer._mini_batches[0]
    assert trainer._replaced.rollouts == 8
    assert figures["episodes"] == 8
    decoded = trainer.encoder.tokenizer.decode(rows[0].prompt_ids)
    assert "<skills>" in decoded, "rows are trained on the prompts that were played"


def test_a_contrast_is_read_by_all_rollouts_of_a_mixed_task() -> None:
    method = recipe("sgcd-like")
    ask = ScriptedAsk(method, lambda messages: "They part at the door.")
    mixed, hopeless = method.contexts([failed_and_won(), group(0)], ask)
    assert {context.text for turns in mixed for context in turns} == {
        "Reflection on the attempt:\nThey part at the door."
    }
    assert all(context is None for turns in hopeless for context in turns)
    assert len(ask.prompts) == 1
    nothing = method.contexts([failed_and_won()], ScriptedAsk(method))
    assert all(context is None for turns in nothing[0] for context in turns)


def test_scripted_contrasts() -> None:
    failed, won = failed_and_won()
    said = Contrast(won, failed).scripted()
    assert (
        said == 'The attempts part at step 1: the successful one took the action "go east", the failed one "go north".'
    )
    longer = rollout(turn(0), turn(1, "take mug"), won=True)
    assert Contrast(longer, rollout(turn(0))).scripted() == 'The successful attempt went on with "take mug".'
    assert "ended after 1 steps" in Contrast(rollout(turn(0), won=True), longer).scripted()
