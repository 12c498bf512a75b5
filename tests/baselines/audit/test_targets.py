"""Target turns of analysers against the truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from agentgym_hindsight.baselines.audit.moments import PlayedGroup
from agentgym_hindsight.baselines.audit.targets import TargetSays, analysed, target_scores
from agentgym_hindsight.baselines.audit.turn_table import SAYS, TurnTable, turn_rows
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.cli.audit_targets import print_targets, target_says
from agentgym_hindsight.cli.terminal import output
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.chat_server import Answer
from agentgym_hindsight.hindsight.trajectory import Group, Step, Trajectory
from agentgym_hindsight.tasks import Task

WRONG = 2
#: The truth of the four turns of a failed rollout.
TRUTH = (0.0, -0.1, -0.6, 0.1)


def steps(wrong: int = WRONG) -> tuple[Step, ...]:
    return tuple(
        Step(
            place,
            "A hall.",
            "wait" if place == wrong else "go",
            "You see a hall.",
            "A hall.",
            anchor=f"s{place}",
            next_anchor=f"s{place + 1}",
            extra={"expert_action": "go"},
        )
        for place in range(4)
    )


def group(*rollouts: Trajectory) -> PlayedGroup:
    return PlayedGroup(Task("1f", "demo", "train", "", "goal"), tuple(Episode(each, ()) for each in rollouts), (), {})


LOST, WON = Trajectory("1f", goal="go", steps=steps()), Trajectory("1f", goal="go", steps=steps(), won=True, sibling=1)


def table(says: dict[str, Sequence[float | None]], tasks: int = 3, truth: Sequence[float] = TRUTH) -> TurnTable:
    rows = []
    for task in range(tasks):
        fixed = turn_rows(Group([Trajectory(f"t{task}", goal="go", steps=steps())]), "")
        for step, value in enumerate(truth):
            extra = {f"{SAYS}{name}": values[step] for name, values in says.items()}
            measured = {"advantage": value, "low": value - 0.05, "high": value + 0.05, "pairs": 20}
            rows.append({**fixed[step], **measured, **extra})
    return TurnTable(tuple(rows))


def test_scripts_name_the_turns_that_the_expert_would_not_have_played() -> None:
    says = TargetSays()(group(LOST, WON))
    assert {member for member, _ in says} == {0}, "failed rollouts only"
    for name in ("hint-sd", "hero"):
        assert [says[0, step][f"{SAYS}targets:{name}"] for step in range(4)] == [0, 0, -1, 0]
    assert [says[0, step][f"{SAYS}targets:last-turn"] for step in range(4)] == [0, 0, 0, -1]
    random = [says[0, step][f"{SAYS}targets:random-turns"] for step in range(4)]
    assert sorted(random) == [-1, -1, -1, 0]
    assert says == TargetSays()(group(LOST, WON))


class Server:
    """Answers like a model that finds turn 3, in the form of either question."""

    def __init__(self, text: str | None = None) -> None:
        self.text = text
        self.chats: list[Any] = []

    def answers(
        self, chats: Sequence[Any], seeds: Sequence[int], *, max_tokens: int, temperature: float
    ) -> list[Answer | None]:
        self.chats += chats
        turn = {"failures": [{"step": 3, "feedback": "Go on."}], "turns": [{"turn": 3, "valid": False}]}
        text = json.dumps(turn) if self.text is None else self.text
        return [Answer(text, "stop", 30, 10)] * len(chats)


def test_a_model_names_turns_too() -> None:
    server = Server()
    says = TargetSays(server)
    numbers = says(group(LOST, WON))
    for name in ("hint-sd:endpoint", "hero:endpoint"):
        assert [numbers[0, step][f"{SAYS}targets:{name}"] for step in range(4)] == [0, 0, -1, 0]
        assert numbers[0, 0][f"tokens:targets:{name}"] == 10
    assert len(server.chats) == 2, "one question of each kind about the failed rollout"
    assert says.unreadable == 0
    silent = TargetSays(Server("I am not sure."))
    assert silent(group(LOST))[0, 2][f"{SAYS}targets:hero:endpoint"] == 0
    assert silent.unreadable == 2


def test_precision_is_that_of_the_most_negative_turns() -> None:
    says = {
        "targets:right": [0, 0, -1, 0],
        "targets:second": [0, -1, 0, 0],
        "targets:both": [0, -1, -1, 0],
        "targets:half": [0, 0, -1, -1],
        "targets:nothing": [0, 0, 0, 0],
        "targets:all": [-1, -1, -1, -1],
        "targets:won-only": [None] * 4,
    }
    scores = {each.name: each for each in target_scores(table(says))}
    precision = {name: each.precision.value for name, each in scores.items()}
    assert precision["right"] == precision["both"] == 1.0
    assert precision["second"] == 0.0
    assert precision["half"] == 0.5
    assert precision["all"] == 0.5, "two of the four turns are mistakes"
    assert np.isnan(precision["nothing"])
    assert np.isnan(precision["won-only"])
    assert scores["right"].chance.value == 0.25
    assert scores["both"].chance.value == scores["all"].chance.value == 0.5
    assert scores["right"].difference.value == 0.75
    assert (scores["right"].found.value, scores["second"].found.value, scores["nothing"].found.value) == (1, 0, 0)
    assert (scores["both"].named, scores["both"].rollouts, scores["nothing"].rollouts) == (2, 3, 0)


def test_rollouts_without_a_certain_mistake_do_not_count() -> None:
    unclear = table({"targets:right": [0, 0, -1, 0]}, truth=(0.0, -0.01, -0.02, 0.3))
    (score,) = target_scores(unclear)
    assert score.rollouts == 0
    assert json.dumps(score.as_dict(), allow_nan=False)


def test_the_table_in_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_targets(output(), target_scores(table({"targets:right": [0, 0, -1, 0], "targets:nothing": [0] * 4})))
    shown = capsys.readouterr().out
    assert "right" in shown
    assert "100%" in shown
    assert "nothing" not in shown
    print_targets(output(), [])
    assert not capsys.readouterr().out


def test_analyses_for_the_gaps() -> None:
    lost, won = analysed(LOST), analysed(WON)
    assert [(each.kind, each.step) for each in lost.analyses] == [("hint", WRONG), ("diagnosis", WRONG)]
    assert [each.kind for each in won.analyses] == ["diagnosis"]
    assert "go" in lost.analyses[0].text
    assert analysed(Trajectory("1f")).analyses == ()


def test_a_server_is_named_by_its_address_and_model() -> None:
    assert target_says(None).client is None
    assert target_says("http://127.0.0.1:1/v1#m").client is not None
    with pytest.raises(UsageError, match="--analyser URL#MODEL") as caught:
        target_says("http://me:s3cret@host/v1")
    assert "s3cret" not in str(caught.value)
