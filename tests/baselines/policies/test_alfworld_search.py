"""An expert that uses only objects that it has seen."""

from __future__ import annotations

import pytest

from agentgym_hindsight.baselines.evaluation.panels import evaluate_policy
from agentgym_hindsight.baselines.policies.alfworld_search import Seeker, SeekingExpert
from agentgym_hindsight.baselines.policies.base import TurnView
from agentgym_hindsight.baselines.policies.scripted import ExpertPolicy
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.stage import Stage

ROOM = ("go to desk 1", "go to drawer 1", "go to drawer 10", "go to drawer 2", "look")


def test_the_first_unvisited_receptacle_of_the_type_is_next() -> None:
    seeker = Seeker("put a mug in desk.")
    assert seeker.advise("go to drawer 10", ROOM) == "go to drawer 1"
    seeker.record_visit("go to drawer 1")
    assert seeker.advise("go to drawer 10", ROOM) == "go to drawer 2", "the order is by number, not alphabetical"
    seeker.record_visit("go to drawer 2")
    assert seeker.advise("go to drawer 10", ROOM) == "go to drawer 10"
    seeker.record_visit("go to drawer 10")
    assert seeker.advise("go to drawer 10", ROOM) == "go to drawer 10", "the contents of a visited receptacle are known"


def test_a_closed_receptacle_is_opened_before_leaving() -> None:
    seeker = Seeker("put a mug in desk.")
    seeker.record_visit("go to drawer 1")
    assert seeker.advise("go to desk 1", (*ROOM, "open drawer 1")) == "open drawer 1"


def test_with_an_object_in_hand_the_goal_receptacle_is_known() -> None:
    seeker = Seeker("put a mug in desk.")
    carrying = (*ROOM, "move mug 1 to drawer 1", "open drawer 1")
    assert seeker.advise("go to drawer 10", carrying) == "go to drawer 10"
    lamp = Seeker("examine the mug with the desklamp.")
    assert lamp.advise("go to drawer 10", carrying) == "go to drawer 1", "but the place of the lamp is unknown"


@pytest.mark.parametrize("advice", ["take mug 1 from desk 1", "open drawer 1", "look", ""])
def test_other_advice_is_kept(advice: str) -> None:
    assert Seeker("put a mug in desk.").advise(advice, ROOM) == advice


def test_it_wins_in_more_turns_than_the_expert_that_reads_the_true_state() -> None:
    stage = Stage(settings={"data": "embedded", "difficulty": "easy", "max_steps": 60})
    panel = stage.panel("valid_unseen", 24)
    seeking, rollouts = evaluate_policy(SeekingExpert(), stage, panel)
    seeing, _ = evaluate_policy(ExpertPolicy(), stage, panel)
    assert seeking.micro.success == seeing.micro.success == 1.0
    assert seeking.micro.turns > seeing.micro.turns
    again, same = evaluate_policy(SeekingExpert(), stage, panel, num_envs=3)
    assert again == seeking
    assert {t.task_id: t.actions for t in same} == {t.task_id: t.actions for t in rollouts}


def test_without_an_expert_it_raises() -> None:
    with pytest.raises(UsageError, match="expert=True"):
        SeekingExpert().act([TurnView("1f", 0, 0, "", {"goal": "g", "admissible_actions": ("look",)})])
