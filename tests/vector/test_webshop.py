"""A vector env over the shop: groups of rollouts with the same results in any process."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from agentgym_hindsight import resolve
from agentgym_hindsight.hindsight.trajectory import Group
from agentgym_hindsight.vector import HindsightVectorEnv
from tests.vector.worlds import same

SHOP: dict[str, Any] = {"data": "embedded", "products": 200}


def choose(infos: dict[str, Any], active: Any, turn: int) -> list[str | None]:
    """Different actions for every rollout; one follows the oracle, one writes refused actions."""
    actions: list[str | None] = []
    for slot, legal in enumerate(infos["admissible_actions"]):
        if not active[slot]:
            actions.append(None)
        elif slot % 4 == 0:
            actions.append(infos["expert_action"][slot])
        elif (slot + turn) % 5 == 4:
            actions.append("search[" if slot % 2 else "click[no such thing]")
        else:
            actions.append(legal[(7 * slot + 3 * turn) % len(legal)] if legal else f"search[{infos['goal'][slot]}]")
    return actions


def play(workers: int, **choices: Any) -> list[Any]:
    record: list[Any] = []
    with closing(
        HindsightVectorEnv(
            "WebShop-Hindsight-v0", 8, group_size=4, workers=workers, expert=True, max_steps=9, **SHOP, **choices
        )
    ) as venv:
        for seed in (5, None):
            _, infos = venv.reset(seed=seed)
            record.append((infos["task_id"], infos["goal"]))
            turn = 0
            while venv.active.any():
                *results, infos = venv.step(choose(infos, venv.active, turn))
                # Facts from a worker process are a plain mapping.
                record += [results, {key: value for key, value in infos.items() if key not in ("extra", "_extra")}]
                record.append([dict(extra) for extra in infos["extra"]])
                record.append([hindsight.episode for hindsight in infos["hindsight"]])
                turn += 1
            record.append(venv.trajectories())
    return record


@pytest.mark.parametrize("choices", [{}, {"rules": "official", "split": "test", "observation_mode": "text_rich"}])
def test_results_do_not_depend_on_workers(choices: dict[str, Any]) -> None:
    local, in_workers = play(0, **choices), play(2, **choices)
    assert same(local, in_workers)
    assert same(play(0, **choices), local), "equal seeds must give equal results"
    trajectories = local[-1]
    assert trajectories[0].won
    assert trajectories[4].won
    assert not any(trajectory.broken for trajectory in trajectories)


def test_a_group_has_one_task_and_shares_a_successful_rollout() -> None:
    trajectories = play(0)[-1]
    group = Group(trajectories[:4])
    assert {trajectory.task_id for trajectory in trajectories[:4]} == {group.task_id}
    hindsights = resolve(group)
    assert all(each.successful_trajectory is not None for member in hindsights[1:] for each in member)
