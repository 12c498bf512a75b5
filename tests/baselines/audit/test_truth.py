"""The measured truth against a world in which Q and V are known exactly, and its bookkeeping."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import lru_cache, partial
from math import isnan

import numpy as np
import pytest

from agentgym_hindsight.baselines.audit.estimates import Advantage, advantage
from agentgym_hindsight.baselines.audit.moments import PlayedGroup, Turn, play_groups
from agentgym_hindsight.baselines.audit.truth import FIRST_CONTINUATION, Precision, measure
from agentgym_hindsight.baselines.policies import RandomPolicy, TurnView
from agentgym_hindsight.baselines.rollout import Continuation, rollout
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.tasks import seeded_int
from agentgym_hindsight.vector import HindsightVectorEnv
from tests.toy import CorridorBackend, CorridorEnv

LIMIT = 9
PAIRS = 64
EAST = 0.6  # the policy's chance of going east where it can also go west

Found = list[tuple[PlayedGroup, Turn, Advantage]]


class Walker:
    """Goes east with a chance, else west: a stochastic policy whose values follow from a small recursion."""

    name = "walker"

    def act(self, turns: Sequence[TurnView]) -> list[str]:
        return [self._one(turn) for turn in turns]

    def _one(self, turn: TurnView) -> str:
        drawn = seeded_int("walk", turn.task_id, turn.sibling, turn.step) / 2**64
        return "east" if "west" not in turn.info["admissible_actions"] or drawn < EAST else "west"


@lru_cache
def exact(room: int, goal: int, turns: int) -> float:
    """The chance that the walker reaches the goal within some turns, from Bellman's equation."""
    if room == goal:
        return 1.0
    if turns == 0:
        return 0.0
    if room == 0:
        return exact(1, goal, turns - 1)
    return EAST * exact(room + 1, goal, turns - 1) + (1 - EAST) * exact(room - 1, goal, turns - 1)


def rooms(trajectory: Trajectory) -> list[int]:
    room, seen = 0, [0]
    for step in trajectory.steps:
        room += 1 if step.action == "east" else -1
        seen.append(room)
    return seen


def corridor(envs: int = 64) -> HindsightVectorEnv:
    return HindsightVectorEnv(partial(CorridorEnv, max_steps=LIMIT), envs)


def audited(tasks: int, siblings: int, precision: Precision, seed: int = 0) -> Found:
    backend, found = CorridorBackend(), []
    with closing(corridor()) as venv:
        wanted = [backend.task("train", number) for number in range(tasks)]
        for group in play_groups(venv, Walker(), wanted, siblings, seed=seed):
            play = partial(rollout, venv, Walker())
            found += [(group, *each) for each in measure(group, group.turns, play, precision)]
    return found


@pytest.fixture(scope="module")
def found() -> Found:
    return audited(9, 3, Precision(PAIRS, PAIRS))


def truths(found: Found) -> np.ndarray:  # type: ignore[type-arg]
    values = []
    for group, turn, _ in found:
        trajectory = group.episodes[turn.member].trajectory
        goal, seen = int(group.task.category.removeprefix("rooms")), rooms(trajectory)
        left = LIMIT - turn.step
        before, after = exact(seen[turn.step], goal, left), exact(seen[turn.step + 1], goal, left - 1)
        values.append((before, after))
    return np.array(values)


def test_values_and_advantages_are_those_of_bellman_s_equation(found: Found) -> None:
    assert len(found) >= 100
    known = truths(found)
    v, q = (np.array([getattr(each, name) for *_, each in found]) for name in ("v", "q"))
    for measured, right in ((v, known[:, 0]), (q, known[:, 1])):
        error = np.abs(measured - right) / np.sqrt(np.maximum(right * (1 - right), 1e-4) / PAIRS)
        assert error.max() < 4.5
        assert np.mean(error) < 1.1  # of a standard normal: 0.8
    # What is certain is exact: nothing was drawn after the last turn.
    ends = [(turn, each) for _, turn, each in found if turn.outcome is not None]
    assert ends
    assert all(each.q == float(turn.outcome or 0) for turn, each in ends)


def test_intervals_contain_the_truth(found: Found) -> None:
    known = truths(found)
    right = known[:, 1] - known[:, 0]
    inside = np.array([each.low <= truth <= each.high for (*_, each), truth in zip(found, right, strict=True)])
    assert 0.92 <= inside.mean() <= 1.0
    signs = [
        np.sign(each.value) == np.sign(truth) for (*_, each), truth in zip(found, right, strict=True) if each.has_sign
    ]
    assert len(signs) > 25
    assert np.mean(signs) > 0.97


def test_the_two_halves_have_independent_noise(found: Found) -> None:
    known = truths(found)
    right = known[:, 1] - known[:, 0]
    first, second = (np.array([getattr(each, name) for *_, each in found]) - right for name in ("first", "second"))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.2
    assert np.allclose((first + second) / 2 + right, [each.value for *_, each in found])


def test_common_random_numbers_make_the_difference_more_precise(found: Found) -> None:
    paired = np.var([each.value for *_, each in found] - (truths(found)[:, 1] - truths(found)[:, 0]))
    known = truths(found)
    alone = np.mean((known * (1 - known)).sum(1)) / PAIRS  # of two independent means
    assert paired < 0.8 * alone


def test_undecided_turns_get_more_continuations_and_decided_ones_do_not() -> None:
    found = audited(2, 2, Precision(10, 80, 0.15))
    counts = {each.pairs for *_, each in found}
    assert counts <= {10, 20, 40, 80}
    assert len(counts) > 1
    for *_, each in found:
        assert each.pairs == 80 or each.has_sign or each.half_width <= 0.15


def test_shared_moments_are_continued_once_and_never_with_the_numbers_of_rollouts() -> None:
    asked: list[Continuation] = []
    backend = CorridorBackend()
    with closing(corridor()) as venv:
        (group,) = play_groups(venv, Walker(), [backend.task("train", 0)], 6)

        def play(starts: Sequence[Continuation]) -> Iterator[Trajectory]:
            asked.extend(starts)
            return rollout(venv, Walker(), starts)

        list(measure(group, group.turns, play, Precision(4, 4)))
    assert len({turn.before for turn in group.turns}) < len(group.turns)  # all rollouts begin at one moment
    assert len(asked) == 4 * len(group.snapshots)
    assert {start.sibling for start in asked} == set(range(FIRST_CONTINUATION, FIRST_CONTINUATION + 4))


def test_a_group_leaves_out_broken_rollouts() -> None:
    class Crashing(RandomPolicy):
        def _choose(self, turn: TurnView) -> str:
            return "crash" if (turn.sibling, turn.step) == (1, 2) else super()._choose(turn)

    with closing(corridor()) as venv:
        (group,) = play_groups(venv, Crashing(), [CorridorBackend().task("train", 0)], 3)
        assert [episode.trajectory.sibling for episode in group.episodes] == [0, 2]
        for turn in group.turns:
            assert group.snapshots[turn.before].step == turn.step
            assert group.snapshots[turn.before].steps == group.episodes[turn.member].trajectory.steps[: turn.step]


@pytest.mark.parametrize(
    ("before", "after", "value", "signed"),
    [
        ([False] * 20, [False] * 20, 0.0, False),
        ([False] * 20, [True] * 20, 1.0, True),
        ([True, False] * 10, [False, True] * 10, 0.0, False),
        ([None, True, True], [True, None, False], -1.0, False),
    ],
)
def test_estimates(before: list[bool | None], after: list[bool | None], value: float, signed: bool) -> None:
    estimate = advantage(before, after)
    assert estimate.value == value
    assert estimate.has_sign == signed
    assert estimate.low < estimate.high


def test_an_estimate_of_nothing_is_undecided() -> None:
    estimate = advantage([None], [True])
    assert isnan(estimate.value)
    assert (estimate.pairs, estimate.half_width) == (0, 1.0)
    with pytest.raises(UsageError, match="equally many"):
        advantage([True], [])


def test_errors() -> None:
    with pytest.raises(UsageError, match="least"):
        Precision(40, 20)
    with pytest.raises(UsageError, match="half-width"):
        Precision(half_width=0)
    with closing(corridor(2)) as venv, pytest.raises(UsageError, match="siblings"):
        list(play_groups(venv, Walker(), [CorridorBackend().task("train", 0)], 3))
