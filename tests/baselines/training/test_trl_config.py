"""TRL's arguments for a plan and a method."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("trl")

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.training.trl_config import trl_arguments
from agentgym_hindsight.errors import UsageError
from tests.baselines.training.tiny_runs import PLAN


def test_arguments_in_plan_trl_override_the_others(tmp_path: Path) -> None:
    arguments = trl_arguments(replace(PLAN, trl={"learning_rate": 0.5}), recipe("grpo"), tmp_path)
    assert arguments.learning_rate == 0.5


def test_unknown_arguments_and_those_of_our_own_settings_are_refused(tmp_path: Path) -> None:
    method = recipe("grpo")
    with pytest.raises(UsageError, match="learning_speed"):
        trl_arguments(replace(PLAN, trl={"learning_speed": 0.5}), method, tmp_path)
    for name, own in (("temperature", r"plan\.temperature"), ("beta", r"method\.kl"), ("max_steps", r"plan\.updates")):
        with pytest.raises(UsageError, match=f"try {own}"):
            trl_arguments(replace(PLAN, trl={name: 0.5}), method, tmp_path)


def test_tasks_must_be_divisible_by_the_processes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="try 4"):
        trl_arguments(replace(PLAN, tasks=3), recipe("grpo"), tmp_path, processes=2)
