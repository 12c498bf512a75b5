"""Success rates by category and over seeds."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest

from agentgym_hindsight.baselines.evaluation.results import Evaluation, evaluate, over_seeds, wilson
from agentgym_hindsight.errors import SchemaError, UsageError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory


def _rollout(category: str, won: bool, turns: int = 2, broken: str = "") -> Trajectory:
    steps = tuple(Step(i, "o", "a", "f", "n", action_valid=i > 0) for i in range(turns))
    return Trajectory("1f", category=category, won=won, score=float(won), steps=steps, broken=broken)


def test_micro_counts_rollouts_and_macro_counts_categories() -> None:
    rollouts = [_rollout("a", True), _rollout("a", True), _rollout("a", False, broken="died"), _rollout("b", False, 4)]
    result = evaluate(rollouts)
    assert result.micro.success == 0.5
    assert result.macro == pytest.approx((2 / 3 + 0) / 2)
    assert result.micro.turns == 2.5
    assert result.micro.invalid == pytest.approx(4 / 10)
    assert result.micro.broken == 1
    assert [row.name for row in result.categories] == ["a", "b"]


def test_no_rollouts() -> None:
    result = evaluate([])
    assert (result.macro, result.micro.success, result.micro.interval) == (0.0, 0.0, (0.0, 1.0))


def test_the_interval_is_wilson() -> None:
    assert evaluate([_rollout("a", True), _rollout("a", False)]).micro.interval == wilson(1, 2)


def test_an_evaluation_survives_json() -> None:
    result = evaluate([_rollout("a", True), _rollout("b", False, 3, broken="died"), _rollout("b", True)])
    document = json.loads(json.dumps(result.as_dict()))
    assert Evaluation.from_dict(document) == result
    assert document["macro"] == 0.75
    assert document["micro"] == {
        "name": "all",
        "rollouts": 3,
        "won": 2,
        "score": pytest.approx(2 / 3),
        "turns": pytest.approx(7 / 3),
        "invalid": pytest.approx(3 / 7),
        "broken": 1,
    }
    document["micro"]["of a later release"] = 1
    assert Evaluation.from_dict(document) == result


@pytest.mark.parametrize("damaged", [{}, {"micro": {}, "categories": []}, {"micro": 3, "categories": None}])
def test_a_damaged_evaluation_is_an_error(damaged: dict[str, Any]) -> None:
    with pytest.raises(SchemaError, match="running the evaluation again"):
        Evaluation.from_dict(damaged)


def test_over_seeds() -> None:
    seeds = [
        evaluate([_rollout("a", won > 0), _rollout("a", won > 1), _rollout("b", won > 2, turns=2 + won)])
        for won in (1, 2, 3)
    ]
    result = over_seeds(seeds)
    assert result.seeds == 3
    # 1/3, 2/3, 1: s = 1/3 and t = 4.302653, so the half-width is 4.302653 / (3·√3).
    assert result.micro == pytest.approx((2 / 3, 0.8280459), abs=1e-6)
    assert result.score == result.micro
    # 1/4, 1/2, 1: s = 0.3818813.
    assert result.macro == pytest.approx((7 / 12, 0.9486458), abs=1e-6)
    assert result.turns.mean == pytest.approx((7 + 8 + 9) / 9)
    assert result.invalid.mean == pytest.approx((3 / 7 + 3 / 8 + 3 / 9) / 3)
    assert over_seeds(seeds[:1]).micro == (pytest.approx(1 / 3), inf)
    with pytest.raises(UsageError, match="got none"):
        over_seeds([])
