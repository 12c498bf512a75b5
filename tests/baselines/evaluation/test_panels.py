"""Evaluation of a policy on a stage over a panel."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agentgym_hindsight.baselines.evaluation.panels import Formatted, evaluate_policy, play_panel
from agentgym_hindsight.baselines.policies import ExpertPolicy, RandomPolicy, ReplayPolicy, Reply, TurnView
from agentgym_hindsight.baselines.policies.webshop_rule import SearchAndBuyFirst
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.wrappers import PROTOCOLS
from tests.wrappers.stack import tagged

CORRIDOR = Stage("tests.wrappers.stack:WrappedCorridor-v0")
PANEL = CORRIDOR.panel("valid")


class Model:
    """Returns complete replies, as a model does."""

    name = "model"

    def __init__(self, action: str = "east") -> None:
        self.action = action

    def act(self, turns: Sequence[TurnView]) -> list[Reply]:
        return [Reply(tagged(self.action)) for _ in turns]


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_the_expert_wins_under_every_protocol(protocol: str) -> None:
    stage = Stage(settings={"data": "embedded"}, protocol=protocol)
    panel = stage.panel("valid_unseen", 6)
    result, played = evaluate_policy(ExpertPolicy(), stage, panel, num_envs=4)
    assert result.micro.success == 1.0
    assert result.micro.invalid == 0.0
    assert [trajectory.task_id for trajectory in played] == list(panel.ids)
    assert {trajectory.split for trajectory in played} == {"valid_unseen"}


def test_the_webshop_rule_and_a_replay_of_it() -> None:
    stage = Stage("WebShop-Hindsight-v0", {"data": "embedded"})
    panel = stage.panel("test", 6)
    result, played = evaluate_policy(SearchAndBuyFirst(), stage, panel)
    assert result.micro.score > 0
    assert result.micro.invalid == 0.0
    again, replayed = evaluate_policy(ReplayPolicy(played), stage, panel)
    assert again == result
    assert [trajectory.actions for trajectory in replayed] == [trajectory.actions for trajectory in played]


def test_a_policy_of_one_world_is_refused_in_another() -> None:
    stage = Stage("AppWorld-Hindsight-v0", protocol="code")
    with pytest.raises(
        UsageError,
        match="Expected the world webshop for the policy search-and-buy-first, got appworld; try expert",
    ):
        evaluate_policy(SearchAndBuyFirst(), stage, stage.panel("dev", 1))


def test_replies_of_models_are_not_formatted() -> None:
    turns = []
    result, played = evaluate_policy(Model(), CORRIDOR, PANEL, siblings=2, progress=turns.append)
    assert result.micro.success == 1.0
    assert [trajectory.sibling for trajectory in played] == [0, 1] * len(PANEL)
    assert played[0].steps[0].response == tagged("east")
    assert sum(turns) == sum(map(len, played))
    assert evaluate_policy(Model("west"), CORRIDOR, PANEL[:1])[0].micro.success == 0.0


def test_rollouts_depend_on_the_seed_and_not_on_the_number_of_envs() -> None:
    wide, narrow = (evaluate_policy(RandomPolicy(1), CORRIDOR, PANEL, num_envs=n)[1] for n in (64, 2))
    assert wide == narrow
    assert wide != evaluate_policy(RandomPolicy(2), CORRIDOR, PANEL)[1]
    assert {trajectory.seed for trajectory in evaluate_policy(Model(), CORRIDOR, PANEL, seed=7)[1]} == {7}


def test_finished_rollouts_are_left_out() -> None:
    done = {(task.id, 0) for task in PANEL[:-1]}
    assert [trajectory.task_id for trajectory in play_panel(Model(), CORRIDOR, PANEL, done=done)] == [PANEL[-1].id]
    assert list(play_panel(Model(), CORRIDOR, PANEL, done=set.union(done, {(PANEL[-1].id, 0)}))) == []


def test_formatted() -> None:
    formatted = Formatted(ExpertPolicy(noise=0.5), "plain")
    assert (formatted.name, formatted.needs_expert) == ("expert:0.5", True)
    assert not Formatted(RandomPolicy(), "plain").needs_expert
    view = TurnView("1f", 0, 0, "", {})
    assert Formatted(Model(), "verl-agent-2025").act([view]) == [tagged(tagged("east"), "")]
    with pytest.raises(UnknownNameError, match="verl-agent-2025"):
        Formatted(RandomPolicy(), "verl-agent")


def test_errors() -> None:
    with pytest.raises(UsageError, match="empty"):
        evaluate_policy(Model(), CORRIDOR, PANEL[:0])
    with pytest.raises(UsageError, match="num_envs"):
        evaluate_policy(Model(), CORRIDOR, PANEL, num_envs=0)
