"""Critics that are fitted to other tasks' rollouts, as columns of an audit."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from agentgym_hindsight.baselines.audit.fitted_critics import FittedCritics, critic_credits
from agentgym_hindsight.hindsight.trajectory import Group, Step, Trajectory

WIDTH = 8


class Encoder:
    """One token per word; the hidden state of a token is a fixed vector, so that values are known."""

    tokenizer = SimpleNamespace(pad_token_id=0)

    def encode_all(self, texts: list[str]) -> list[tuple[int, ...]]:
        return [tuple(int(word) for word in text.split()) for text in texts]

    responses = encode_all


class Model:
    """Its states are those of the token alone."""

    device, training = torch.device("cpu"), False

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.states = torch.randn(64, WIDTH, generator=generator)

    def eval(self) -> None: ...

    def train(self, training: bool) -> None: ...

    def base_model(self, input_ids: Any, attention_mask: Any) -> Any:
        return SimpleNamespace(last_hidden_state=self.states[input_ids])


def groups(count: int, *, seed: int = 0) -> list[Group]:
    """Rollouts of three turns. The state before the last turn decides how probable it is that it is won."""
    rng = np.random.default_rng(seed)
    found = []
    for task in range(count):
        rollouts = []
        for member in range(4):
            states = [int(rng.integers(4)) for _ in range(3)]
            won = bool(rng.random() < (0.1, 0.4, 0.6, 0.9)[states[-1]])
            steps = tuple(
                Step(
                    n, f"o{state}", "a", "f", "n", prompt=f"9 {10 + state if n == 2 else 30 + n}", response="20 21",
                    reward=10.0 * (won and n == 2), anchor=f"{state}", next_anchor="x",
                )
                for n, state in enumerate(states)
            )  # fmt: skip
            rollouts.append(Trajectory(f"t{task}", steps=steps, won=won, sibling=member))
        found.append(Group(rollouts))
    return found


def critics(**options: Any) -> FittedCritics:
    return FittedCritics(SimpleNamespace(model=Model(), encoder=Encoder()), **options)


def last_turns(played: list[Group], numbers: Any) -> dict[tuple[int, bool], list[float]]:
    found: dict[tuple[int, bool], list[float]] = {}
    for group in played:
        for member, rollout in enumerate(group):
            place = int(rollout.steps[2].anchor), rollout.won
            found.setdefault(place, []).append(numbers[group.task_id, member, 2])
    return found


def test_every_method_with_a_critic_has_a_column() -> None:
    assert {"ppo", "turn-ppo", "vetta"} <= set(critic_credits())
    found = critics()(groups(3))
    assert found.keys() == critic_credits().keys()
    assert all(len(numbers) == 3 * 4 * 3 for numbers in found.values())
    assert all(np.isfinite(list(numbers.values())).all() for numbers in found.values())
    assert critics().cost(groups(3)) == 4.0


def test_advantages_are_returns_minus_fitted_values() -> None:
    played = groups(60)
    found = last_turns(played, critics()(played)["turn-ppo"])
    for state, chance in enumerate((0.1, 0.4, 0.6, 0.9)):
        # On the last turn the advantage is the reward minus the value: 10 · chance, as far as it was seen.
        for won in (True, False):
            if found.get((state, won)):
                assert np.mean(found[state, won]) == pytest.approx(10 * (won - chance), abs=2.0), (state, won)
    assert np.mean(found[0, True]) > np.mean(found[3, True]) + 4


def test_a_task_s_own_rollouts_do_not_change_its_critic() -> None:
    played = groups(12)
    first = critics()(played)["turn-ppo"]
    # The first task's rollouts are lost and won the other way round.
    turned = [
        rollout.replace(
            won=not rollout.won,
            steps=(*rollout.steps[:2], replace(rollout.steps[2], reward=0.0 if rollout.won else 10.0)),
        )
        for rollout in played[0]
    ]
    second = critics()([Group(turned), *played[1:]])["turn-ppo"]
    for member, rollout in enumerate(played[0]):
        gained = second["t0", member, 2] - first["t0", member, 2]
        assert gained == pytest.approx(-10.0 if rollout.won else 10.0, abs=1e-4), "the value stayed"
    assert any(abs(second[place] - first[place]) > 1e-3 for place in second if place[0] != "t0")


def test_batches_change_nothing_and_wide_states_are_projected() -> None:
    played = groups(5)
    one, two = critics()(played), critics(token_budget=8)(played)
    for name, numbers in one.items():
        assert two[name] == pytest.approx(numbers, abs=1e-9)
    wide = critics()
    wide.policy.model.states = torch.randn(64, 700, generator=torch.Generator().manual_seed(1))
    assert np.isfinite(list(wide(played)["ppo"].values())).all()


def test_conversations_and_single_tasks_have_none() -> None:
    assert critics()(groups(1)) == {}
    talked = [
        Group([r.replace(steps=tuple(replace(s, extra={"conversation": True}) for s in r.steps)) for r in group])
        for group in groups(2)
    ]
    assert critics()(talked) == {}
