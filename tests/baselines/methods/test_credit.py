"""Credit: values computed by hand, a second implementation in plain Python, and general properties."""

from __future__ import annotations

import random
import statistics as st
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agentgym_hindsight.baselines.methods import credit
from agentgym_hindsight.baselines.methods.anchor_groups import GroupInGroup
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.critics import gae
from agentgym_hindsight.baselines.methods.hgpo import HistoryGroups
from agentgym_hindsight.baselines.methods.rloo import LeaveOneOut
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.errors import UnknownNameError, UsageError

EPS = 1e-6


def grpo(rows: Rows, **options: Any) -> Array:
    return GroupRelative(**options)(rows)


def rloo(rows: Rows, **options: Any) -> Array:
    return LeaveOneOut(**options)(rows)


def gigpo(rows: Rows, **options: Any) -> Array:
    return GroupInGroup(**options)(rows)


def hgpo(rows: Rows, **options: Any) -> Array:
    return HistoryGroups(**options)(rows)


def step_returns(rows: Rows, gamma: float) -> Array:
    return credit.as_float32(credit.step_returns(rows, gamma))


# Every credit with its options, for properties that all of them have.
ESTIMATORS: dict[str, Callable[[Rows], Array]] = {
    "grpo": grpo,
    "grpo/trajectories": lambda rows: grpo(rows, statistics="trajectories"),
    "grpo/none": lambda rows: grpo(rows, scale="none"),
    "rloo": rloo,
    "rloo/trajectories": lambda rows: rloo(rows, statistics="trajectories"),
    "gigpo": gigpo,
    "gigpo/trajectories": lambda rows: gigpo(rows, statistics="trajectories"),
    "gigpo/none": lambda rows: gigpo(rows, scale="none"),
    "hgpo": hgpo,
    "hgpo/paper": lambda rows: hgpo(rows, weight_offset=0),
    "hgpo/base": lambda rows: hgpo(rows, base_group=True),
    "hgpo/none": lambda rows: hgpo(rows, scale="none", alpha=0.0),
}
EVERY = pytest.mark.parametrize("estimate", ESTIMATORS.values(), ids=ESTIMATORS)


def rows_of(
    *trajectories: tuple[int, str, Sequence[float]], invalid: Sequence[tuple[int, int]] = (), dtype: object = None
) -> Rows:
    """(group, anchors as letters, rewards) of each rollout; ``invalid`` holds (rollout, turn)."""
    table = [
        (group, number, place, float(sum(rewards)), float(reward), (number, place) in invalid, anchor)
        for number, (group, anchors, rewards) in enumerate(trajectories)
        for place, (anchor, reward) in enumerate(zip(anchors, rewards, strict=True))
    ]
    column = list(zip(*table, strict=True)) or [()] * 7
    longs = [np.array(values, np.int64) for values in column[:3]]
    floats = [np.array(values, dtype or np.float32) for values in column[3:5]]
    return Rows(*longs, *floats, np.array(column[5], bool), tuple(column[6]))


def toy() -> Rows:
    """Two rollouts: the first wins 10 in three turns, the second fails in five. Both start in s and then reach a."""
    return rows_of((0, "sab", (0, 0, 10)), (0, "sasac", (0, 0, 0, 0, 0)))


def some_rows(seed: int, dtype: object = None) -> Rows:
    """Three groups of up to five rollouts of up to seven turns, with loops, dense rewards and invalid turns."""
    draw = random.Random(seed)

    def number(high: int) -> int:
        return draw.randrange(high)

    trajectories = []
    for group in range(3):
        for _ in range(1 + number(5)):
            turns = 1 + number(7)
            anchors = "".join("sabc"[number(4)] for _ in range(turns))
            trajectories.append((group, anchors, [float(number(3)) for _ in range(turns)]))
    invalid = [(i, place) for i, t in enumerate(trajectories) for place in range(len(t[1])) if number(5) == 0]
    return rows_of(*trajectories, invalid=invalid, dtype=dtype)


def shuffled(rows: Rows, order: Array) -> Rows:
    return Rows(
        rows.group[order],
        rows.trajectory[order],
        rows.place[order],
        rows.returns[order],
        rows.rewards[order],
        rows.invalid[order],
        tuple(rows.anchors[i] for i in np.asarray(order).tolist()),
    )


# ---------------------------------------------------------------- values computed by hand


def test_grpo_over_rows() -> None:
    # mean 3.75, std 5.175492: the long failed rollout weighs more.
    assert grpo(toy()).tolist() == pytest.approx([1.207614] * 3 + [-0.724569] * 5, abs=1e-6)
    assert grpo(toy(), scale="none").tolist() == pytest.approx([6.25] * 3 + [-3.75] * 5)


def test_grpo_over_trajectories() -> None:
    assert grpo(toy(), statistics="trajectories").tolist() == pytest.approx([0.707107] * 3 + [-0.707107] * 5, abs=1e-6)


def test_rloo() -> None:
    assert rloo(toy()).tolist() == pytest.approx([7.142857] * 3 + [-4.285714] * 5, abs=1e-6)
    assert rloo(toy(), statistics="trajectories").tolist() == pytest.approx([10.0] * 3 + [-10.0] * 5)


def test_step_returns() -> None:
    assert step_returns(toy(), 0.95).tolist() == pytest.approx([9.025, 9.5, 10, 0, 0, 0, 0, 0])
    dense = rows_of((0, "abc", (1, 2, 4)))
    assert step_returns(dense, 0.5).tolist() == [3.0, 4.0, 4.0]
    assert step_returns(dense, 0.0).tolist() == [1.0, 2.0, 4.0]
    assert step_returns(dense, 1.0).tolist() == [7.0, 6.0, 4.0]


def test_step_returns_count_turns_without_a_row() -> None:
    rows = rows_of((0, "abc", (1, 2, 4)))
    gap = shuffled(rows, np.array([0, 2]))
    assert step_returns(gap, 0.5).tolist() == [1 + 0.25 * 4, 4.0]


def test_gigpo() -> None:
    expected = [2.3623, 2.3623, 1.2076] + [-1.3019] * 4 + [-0.7246]
    assert gigpo(toy()).tolist() == pytest.approx(expected, abs=5e-5)
    steps = (gigpo(toy()) - grpo(toy())).tolist()
    assert steps == pytest.approx([1.154700, 1.154700, 0] + [-0.577350] * 4 + [0], abs=1e-6)


def test_gigpo_without_std() -> None:
    steps = (gigpo(toy(), scale="none") - grpo(toy(), scale="none")).tolist()
    s, a = (6.016667, -3.008333), (6.333333, -3.166667)
    assert steps == pytest.approx([s[0], a[0], 0, s[1], a[1], s[1], a[1], 0], abs=1e-5)


def test_gigpo_omega_scales_the_step_term() -> None:
    assert np.array_equal(gigpo(toy(), omega=0.0), grpo(toy()))
    once, twice = gigpo(toy()) - grpo(toy()), gigpo(toy(), omega=2.0) - grpo(toy())
    assert twice.tolist() == pytest.approx((2 * once).tolist(), abs=1e-6)


def test_hgpo() -> None:
    expected = [1.4142, 1.4142, 0] + [-0.7071] * 4 + [0]
    assert hgpo(toy(), history=1).tolist() == pytest.approx(expected, abs=5e-5)


def test_hgpo_gives_longer_histories_more_weight() -> None:
    # Three rollouts; place 1 of the first two shares (s, a), all three share a. Returns at a: 4, 0, 8.
    rows = rows_of((0, "sa", (0, 4)), (0, "sa", (0, 0)), (0, "ta", (0, 8)))
    # k=1: the mean is 4, so the first advantage is 0 and dropped; k=2: the mean of {4, 0} is 2.
    none = hgpo(rows, history=1, scale="none", gamma=1.0)
    assert none[1].item() == pytest.approx(2.0, abs=1e-5)  # only k=2 counts: zeros are dropped before normalisation
    assert none[3].item() == pytest.approx((2 * -4 + 3 * -2) / 5, abs=1e-5)  # the code's weights: 2, 3
    paper = hgpo(rows, history=1, scale="none", gamma=1.0, weight_offset=0)
    assert paper[3].item() == pytest.approx((1 * -4 + 2 * -2) / 3, abs=1e-5)  # the paper's: 1, 2
    flat = hgpo(rows, history=1, scale="none", gamma=1.0, alpha=0.0)
    assert flat[3].item() == pytest.approx(-3.0, abs=1e-5)
    assert none[5].item() == pytest.approx(4.0, abs=1e-5)  # no other rollout has t, so only k=1 counts


def test_hgpo_base_group_adds_grpo_with_weight_one() -> None:
    rows = rows_of((0, "sa", (0, 4)), (0, "sa", (0, 0)), (0, "ta", (0, 8)))
    base = grpo(rows, scale="none")[3].item()
    result = hgpo(rows, history=1, scale="none", gamma=1.0, base_group=True)[3].item()
    assert result == pytest.approx((1 * base + 2 * -4 + 3 * -2) / 6, abs=1e-5)


def test_rounding_errors_give_no_advantage() -> None:
    # 0.1 + 0.2 and 0.3 differ in the last bit. If such an A_k counted as non-zero, its weight would dilute the others.
    # The group {0.3, 0.1 + 0.2} of k=1 has no variance; first turns have no group of k=2.
    rows = rows_of((0, "ab", (0.1, 0.2)), (0, "ac", (0.3, 0.0)), dtype=np.float64)
    assert hgpo(rows, gamma=1.0).tolist() == [0.0] * 4
    assert np.abs(gigpo(rows, gamma=1.0)).max() < 1e-6


def test_a_penalty_changes_only_its_own_row() -> None:
    rows = rows_of((0, "ab", (0, 1)), (0, "ac", (0, 0)), invalid=[(1, 0)])
    scores = [1.0, 1.0, -0.1, 0.0]
    mean = sum(scores) / 4
    assert grpo(rows, scale="none").tolist() == pytest.approx([score - mean for score in scores])
    # One score per rollout: that of its first row, penalised, for all its rows.
    assert grpo(rows, scale="none", statistics="trajectories").tolist() == pytest.approx([0.55, 0.55, -0.55, -0.55])
    later = replace(rows, invalid=[False, False, False, True])
    assert grpo(later, scale="none", statistics="trajectories").tolist() == pytest.approx([0.5, 0.5, -0.5, -0.5])
    # The step return is penalised after discounting: 0.9·1 and 0 − 0.1.
    steps = gigpo(rows, scale="none", gamma=0.9) - grpo(rows, scale="none")
    assert steps.tolist() == pytest.approx([0.5, 0, -0.5, 0], abs=1e-6)
    assert hgpo(rows, scale="none", gamma=0.9).tolist() == pytest.approx([0.5, 0, -0.5, 0], abs=1e-5)
    assert step_returns(rows, 0.9).tolist() == pytest.approx([0.9, 1, 0, 0])


def test_gae() -> None:
    rewards, values = np.array([[1.0, 0.0, 2.0]]), np.array([[0.5, 1.0, 1.5]])
    never = np.zeros((1, 3), bool)
    # δ = (1 + .9·1 − .5, 0 + .9·1.5 − 1, 2 − 1.5) = (1.4, .35, .5); A₁ = .35 + .45·.5, A₀ = 1.4 + .45·A₁
    advantages, returns = gae(rewards, values, never, gamma=0.9, lam=0.5)
    assert advantages.tolist()[0] == pytest.approx([1.65875, 0.575, 0.5])
    assert returns.tolist()[0] == pytest.approx([2.15875, 1.575, 2.0])
    # Monte Carlo at λ = 1, one step at λ = 0.
    assert gae(rewards, values, never, gamma=1.0, lam=1.0)[1].tolist() == [[3.0, 2.0, 2.0]]
    assert gae(rewards, values, never, gamma=1.0, lam=0.0)[0].tolist() == [[1.5, 0.5, 0.5]]


def test_gae_stops_at_the_end_of_an_episode() -> None:
    rewards, values = np.array([[1.0, 5.0, 7.0]]), np.array([[0.0, 3.0, 4.0]])
    over = np.array([[True, False, True]])
    assert gae(rewards, values, over, gamma=1.0, lam=1.0)[1].tolist() == [[1.0, 12.0, 7.0]]
    padded = gae(rewards, values, np.array([[False, True, True]]), gamma=1.0, lam=1.0)
    changed = gae(rewards * np.array([1.0, 1.0, 99.0]), values, np.array([[False, True, True]]), gamma=1, lam=1)
    assert np.array_equal(padded[0][:, :2], changed[0][:, :2])


# ---------------------------------------------------------------- a second implementation, in plain Python


def plain_normal(values: list[float], *, scale: str, population: bool = False, alone: str = "score") -> list[float]:
    if len(values) == 1:
        return [values[0] / (1 + EPS) if scale == "std" else values[0]] if alone == "score" else [0.0]
    mean = sum(values) / len(values)
    spread = (st.pstdev if population else st.stdev)(values) + EPS if scale == "std" else 1.0
    return [(value - mean) / spread for value in values]


def plain_by(keys: Sequence[object], values: Sequence[float], **options: object) -> list[float]:
    members = defaultdict(list)
    for place, key in enumerate(keys):
        members[key].append(place)
    result = [0.0] * len(keys)
    for places in members.values():
        for place, value in zip(places, plain_normal([values[i] for i in places], **options), strict=True):  # type: ignore[arg-type]
            result[place] = value
    return result


def plain_steps(rows: Rows, gamma: float, penalty: float) -> list[float]:
    result = []
    for i in range(len(rows)):
        later = [
            gamma ** (int(rows.place[j]) - int(rows.place[i])) * float(rows.rewards[j])
            for j in range(len(rows))
            if rows.trajectory[j] == rows.trajectory[i] and rows.place[j] >= rows.place[i]
        ]
        result.append(sum(later) - penalty * float(rows.invalid[i]))
    return result


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("scale", ["std", "none"])
def test_gigpo_equals_a_second_implementation(seed: int, scale: str) -> None:
    rows = some_rows(seed)
    scores = (rows.returns - 0.1 * rows.invalid).tolist()
    episode = plain_by(rows.group.tolist(), scores, scale=scale)
    keys = list(zip(rows.group.tolist(), rows.anchors, strict=True))
    steps = plain_by(keys, plain_steps(rows, 0.95, 0.1), scale=scale, alone="zero")
    assert grpo(rows, scale=scale).tolist() == pytest.approx(episode, abs=1e-5)  # type: ignore[arg-type]
    expected = [e + 0.7 * s for e, s in zip(episode, steps, strict=True)]
    assert gigpo(rows, omega=0.7, scale=scale).tolist() == pytest.approx(expected, abs=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("offset", [0, 1])
def test_hgpo_equals_a_second_implementation(seed: int, offset: int) -> None:
    rows, alpha = some_rows(seed), 1.5
    returns = plain_steps(rows, 0.95, 0.1)
    history = {}  # (rollout, place) -> anchors so far
    for i in sorted(range(len(rows)), key=lambda i: (int(rows.trajectory[i]), int(rows.place[i]))):
        before = history.get((int(rows.trajectory[i]), int(rows.place[i]) - 1), ())
        history[int(rows.trajectory[i]), int(rows.place[i])] = (*before, rows.anchors[i])
    expected = [[0.0, 0.0] for _ in range(len(rows))]
    for k in (1, 2, 3):
        members = defaultdict(list)
        for i in range(len(rows)):
            past = history[int(rows.trajectory[i]), int(rows.place[i])]
            if len(past) >= k:
                members[int(rows.group[i]), past[-k:]].append(i)
        for places in members.values():
            if len(places) > 1:
                values = plain_normal([returns[i] for i in places], scale="std", population=True)
                for i, value in zip(places, values, strict=True):
                    if abs(value) > 1e-5:
                        expected[i][0] += (k + offset) ** alpha * value
                        expected[i][1] += (k + offset) ** alpha
    result = hgpo(rows, history=2, alpha=alpha, weight_offset=offset)
    assert result.tolist() == pytest.approx([total / (weight + EPS) for total, weight in expected], abs=1e-4)


# ---------------------------------------------------------------- properties


@EVERY
@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_rows_does_not_matter(estimate: Callable[[Rows], Array], seed: int) -> None:
    rows = some_rows(seed)
    order = np.random.default_rng(seed).permutation(len(rows))
    assert np.allclose(estimate(shuffled(rows, order)), estimate(rows)[order], atol=1e-6)


@EVERY
def test_groups_are_independent(estimate: Callable[[Rows], Array]) -> None:
    rows = some_rows(5)
    whole = estimate(rows)
    for group in range(3):
        own = np.flatnonzero(rows.group == group)
        assert np.allclose(estimate(shuffled(rows, own)), whole[own], atol=1e-6)


@EVERY
def test_numbers_of_groups_and_rollouts_do_not_matter(estimate: Callable[[Rows], Array]) -> None:
    rows = some_rows(6)
    renamed = replace(rows, group=rows.group * -17 + 10**12, trajectory=rows.trajectory * 31 - 5)
    assert np.allclose(estimate(renamed), estimate(rows), atol=1e-6)


@EVERY
def test_equal_siblings_have_advantage_zero(estimate: Callable[[Rows], Array]) -> None:
    # The mean of thirds is rounded; subtracting it would leave advantages of about 1e-10.
    rows = rows_of(*[(0, "aaa", (0.0, 0.0, 0.0))] * 3, dtype=np.float64)
    third = replace(rows, returns=np.full(9, 10 / 3))
    assert estimate(third).tolist() == [0.0] * 9


@EVERY
def test_an_empty_batch_gives_an_empty_result(estimate: Callable[[Rows], Array]) -> None:
    result = estimate(rows_of())
    assert (result.shape, result.dtype) == ((0,), np.float32)
    assert step_returns(rows_of(), 0.9).shape == (0,)


@pytest.mark.parametrize("statistics", ["rows", "trajectories"])
def test_a_row_alone_in_its_group_has_no_baseline(statistics: str) -> None:
    alone = rows_of((0, "a", (10,)), (1, "a", (10,)), (1, "a", (0,)))
    for scale, expected in (("std", 10 / (1 + EPS)), ("none", 10.0)):
        assert grpo(alone, statistics=statistics, scale=scale)[0].item() == pytest.approx(expected)  # type: ignore[arg-type]
    assert rloo(alone, statistics=statistics)[0].item() == 10.0  # type: ignore[arg-type]
    assert gigpo(alone, statistics=statistics)[0].item() == pytest.approx(10.0, abs=1e-4)  # type: ignore[arg-type]
    assert hgpo(alone)[0].item() == 0.0


@EVERY
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_results_are_float32_and_computed_in_float64(estimate: Callable[[Rows], Array], dtype: object) -> None:
    rows = some_rows(3, dtype)  # whole numbers: exact in all three
    result = estimate(rows)
    assert result.dtype == np.float32
    assert np.array_equal(result, estimate(some_rows(3, np.float64)))


@EVERY
def test_large_returns_keep_their_differences(estimate: Callable[[Rows], Array]) -> None:
    rows = some_rows(0, np.float64)
    rollouts = set(zip(rows.group.tolist(), rows.trajectory.tolist(), strict=True))
    assert min(Counter(group for group, _ in rollouts).values()) > 1  # without siblings the advantage would be 1e6
    far = replace(rows, returns=rows.returns + 1e6)
    assert np.allclose(estimate(far), estimate(rows), atol=1e-4)


# ---------------------------------------------------------------- errors


def test_columns_must_have_the_same_length() -> None:
    rows = toy()
    with pytest.raises(UsageError, match=r"8 rows.*rewards.*\(7,\).*try"):
        replace(rows, rewards=rows.rewards[:-1])
    with pytest.raises(UsageError, match=r"8 rows.*7 anchors.*try"):
        replace(rows, anchors=rows.anchors[:-1])
    with pytest.raises(UsageError, match=r"group.*\(8, 1\)"):
        replace(rows, group=rows.group[:, None])


def test_columns_must_have_their_types() -> None:
    rows = toy()
    with pytest.raises(UsageError, match=r"trajectory.*float64.*\.long\(\)"):
        replace(rows, trajectory=rows.trajectory.astype(float))
    with pytest.raises(UsageError, match=r"invalid.*int64.*\.bool\(\)"):
        replace(rows, invalid=rows.invalid.astype(int))


def test_returns_and_rewards_must_be_finite() -> None:
    rows = toy()
    with pytest.raises(UsageError, match=r"finite returns.*try"):
        replace(rows, returns=[float("nan")] * 8)
    with pytest.raises(UsageError, match=r"finite rewards.*try"):
        replace(rows, rewards=[float("inf")] * 8)


def test_a_rollout_has_one_group_and_each_turn_once() -> None:
    rows = toy()
    with pytest.raises(UsageError, match=r"one group.*trajectory 1"):
        replace(rows, group=[0] * 7 + [1])
    with pytest.raises(UsageError, match=r"once.*turn 1 of trajectory 0"):
        replace(rows, place=[0, 1, 1, 0, 1, 2, 3, 4])


def test_options_are_checked() -> None:
    rows = toy()
    with pytest.raises(UnknownNameError, match="did you mean 'rows'"):
        grpo(rows, statistics="row")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="scale"):
        hgpo(rows, scale="sd")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"gamma.*1\.5"):
        step_returns(rows, 1.5)
    with pytest.raises(UsageError, match=r"history.*-1"):
        hgpo(rows, history=-1)
    with pytest.raises(UsageError, match=r"weight_offset.*-1"):
        hgpo(rows, weight_offset=-1)
    with pytest.raises(UsageError, match=r"penalty.*-0\.1"):
        rloo(rows, penalty=-0.1)
    with pytest.raises(UsageError, match=r"\(1, 3\).*\(1, 2\)"):
        gae(np.zeros((1, 3)), np.zeros((1, 2)), np.zeros((1, 3), bool), gamma=1, lam=1)
    with pytest.raises(UsageError, match=r"lam.*2"):
        gae(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros((1, 3), bool), gamma=1, lam=2)


def test_the_length_of_rows_is_the_number_of_turns() -> None:
    assert len(toy()) == 8
    assert len(rows_of()) == 0
