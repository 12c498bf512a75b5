"""Properties of the weights of a teacher: per token (SERL, FACTOR), and once per update, on drawn batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the extra [train] is not installed")

from agentgym_hindsight.baselines.methods import recipe  # noqa: E402
from agentgym_hindsight.baselines.methods.agentopsd import belief_changes  # noqa: E402
from agentgym_hindsight.baselines.methods.credit import group_advantages  # noqa: E402
from agentgym_hindsight.baselines.methods.divergences import divergence  # noqa: E402
from agentgym_hindsight.baselines.methods.evidence import Evidence  # noqa: E402
from agentgym_hindsight.baselines.methods.factor import factor_weights  # noqa: E402
from agentgym_hindsight.baselines.methods.grsd import turn_factors  # noqa: E402
from agentgym_hindsight.baselines.methods.rows import Array, Rows  # noqa: E402
from agentgym_hindsight.baselines.methods.signals import reweight  # noqa: E402
from agentgym_hindsight.baselines.methods.trial import trial_weights  # noqa: E402
from agentgym_hindsight.baselines.methods.uniopsd import fuse, prior_weight  # noqa: E402
from tests.baselines.methods.strategies import batches_with_gaps, numbers, property_test  # noqa: E402

Scored = tuple[Rows, list[Array | None]]
LAMBDAS = st.sampled_from([0.0, 0.01, 0.5, 1.0])


@st.composite
def tensors(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Advantages (B,) of both signs and 0, gaps (B, T) from tiny to huge, and a mask (B, T)."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    rows, width = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    advantages = torch.randn(rows, generator=generator) * draw(st.sampled_from([1e-3, 1.0, 50.0]))
    advantages[torch.rand(rows, generator=generator) < 0.2] = 0.0
    gaps = torch.randn(rows, width, generator=generator) * draw(st.sampled_from([1e-3, 0.3, 1e3]))
    return advantages, gaps, torch.rand(rows, width, generator=generator) < 0.7


# ---------------------------------------------------------------- SERL, FACTOR, TRIAL


@property_test
@given(drawn=tensors(), lam=LAMBDAS, clip=st.sampled_from([0.05, 0.2, 0.9]))
def test_serl_keeps_signs_and_bounds_and_amplifies_what_the_teacher_confirms(
    drawn: Any, lam: float, clip: float
) -> None:
    advantages, gaps, mask = drawn
    before = advantages[:, None].expand_as(gaps)
    result = reweight(advantages, gaps, mask, lam, clip=clip)
    assert torch.equal(result.sign(), before.sign())
    assert torch.equal(result[~mask], before[~mask])
    assert (result.abs() >= before.abs() * (1 - lam * clip - 1e-6)).all()
    assert (result.abs() <= before.abs() * (1 + lam * clip + 1e-6)).all()
    # Δ > 0: the teacher agrees with the token; a good one gets more credit, and a bad one less blame.
    agrees = mask & (gaps > 0)
    assert (result[agrees] >= before[agrees]).all()
    if lam == 0:
        assert torch.equal(result, before)


@property_test
@given(drawn=tensors(), lam=LAMBDAS)
def test_weights_of_mean_one_keep_the_sum_and_the_sign(drawn: Any, lam: float) -> None:
    advantages, gaps, mask = drawn
    result = reweight(advantages, gaps, mask, lam, mean_one=True)
    torch.testing.assert_close(result.sum(-1), advantages * gaps.shape[1], rtol=1e-4, atol=1e-4)
    assert torch.equal(result.sign(), advantages[:, None].expand_as(result).sign())
    assert torch.equal(result[~mask], advantages[:, None].expand_as(result)[~mask])


@property_test
@given(drawn=tensors(), eta=numbers(0, 1))
def test_factors_weights_have_mean_one_over_an_action(drawn: Any, eta: float) -> None:
    signs, gaps, mask = drawn
    result = factor_weights(signs, gaps, eta, mask=mask)
    assert result.min() >= 0
    assert torch.equal(result[~mask], torch.ones_like(result[~mask]))
    for row, kept in zip(result, mask, strict=True):
        if kept.any():
            assert row[kept].mean().item() == pytest.approx(1, abs=1e-5)


@property_test
@given(turns=st.lists(st.tuples(numbers(0, 5), st.integers(1, 30)), min_size=1, max_size=8))
def test_trials_weights_have_mean_one_over_the_tokens_of_a_rollout(turns: list[tuple[float, int]]) -> None:
    scores, counts = (np.array(column, float) for column in zip(*turns, strict=True))
    weights = trial_weights(scores, counts)
    assert (weights >= 0).all()
    assert weights @ counts == pytest.approx(counts.sum())


@property_test
@given(
    seed=st.integers(0, 2**32 - 1), alpha=st.sampled_from([0.0, 0.3, 1.0]), top_k=st.integers(1, 12),
    size=st.sampled_from([1e-3, 1.0, 3.0]),
)  # fmt: skip
def test_merging_tokens_lowers_a_divergence(seed: int, alpha: float, top_k: int, size: float) -> None:
    teacher, student = torch.randn(2, 3, 9, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * size
    merged, whole = divergence(teacher, student, alpha=alpha, top_k=top_k), divergence(teacher, student, alpha=alpha)
    assert (merged >= -1e-7).all()
    assert (merged <= whole + 1e-7).all()
    if top_k >= 9:
        assert torch.equal(merged, whole)
    assert divergence(student, student, alpha=alpha, top_k=top_k).abs().max() < 1e-7


# ---------------------------------------------------------------- AgentOPSD


@property_test
@given(evidence=st.lists(numbers(-5, 5), min_size=1, max_size=8), prior=numbers(0, 1), decay=numbers(0, 1))
def test_the_changes_of_belief_sum_to_the_last_belief(evidence: list[float], prior: float, decay: float) -> None:
    changes = belief_changes(evidence, prior, decay)
    prior, total = min(max(prior, 1e-6), 1 - 1e-6), 0.0
    for value in evidence:
        total = decay * total + value
    last = 1 / (1 + np.exp(-(np.log(prior / (1 - prior)) + total)))
    assert changes.sum() == pytest.approx(last - prior, abs=1e-9)


@property_test
@given(drawn=batches_with_gaps(), lam=LAMBDAS)
def test_agentopsd_keeps_signs_and_bounds(drawn: Scored, lam: float) -> None:
    rows, gaps = drawn
    method = recipe("agentopsd")
    advantages = np.asarray(method.credit(rows), np.float64)
    result = method.update_advantages(rows, advantages, Evidence(gaps), lam, {})
    for row, values in enumerate(result):
        if int((rows.trajectory == rows.trajectory[row]).sum()) == 1:
            assert values is None, "a rollout of one turn keeps its advantage"
        if values is not None:
            assert (np.sign(values) == np.sign(advantages[row])).all()
            assert (np.abs(values - advantages[row]) <= lam * 0.2 * np.abs(advantages[row]) + 1e-9).all()


# ---------------------------------------------------------------- GRSD


@property_test
@given(drawn=batches_with_gaps(), lam=LAMBDAS)
def test_grsd_changes_only_mixed_groups_within_its_bound(drawn: Scored, lam: float) -> None:
    rows, gaps = drawn
    method = recipe("grsd")
    advantages = np.asarray(method.credit(rows), np.float64)
    for row, values in enumerate(method.update_advantages(rows, advantages, Evidence(gaps), lam, {})):
        members = rows.won[rows.group == rows.group[row]]  # type: ignore[index]
        if values is not None:
            assert 0 < members.sum() < len(members)
            assert (np.abs(values - advantages[row]) <= lam * 0.2 * np.abs(advantages[row]) + 1e-9).all()
        else:
            assert gaps[row] is None or members.all() or not members.any()


@property_test
@given(
    turns=st.lists(st.tuples(numbers(-30, 30), numbers(-5, 5)), min_size=1, max_size=8),
    lam=LAMBDAS, g_max=st.sampled_from([0.2, 3.0]),
)  # fmt: skip
def test_grsds_factors_have_a_floor(turns: list[tuple[float, float]], lam: float, g_max: float) -> None:
    gaps, advantages = (np.array(column) for column in zip(*turns, strict=True))
    factors = turn_factors(gaps, advantages, lam, g_max=g_max)
    assert (factors >= max(0.1, 1 - lam * g_max) - 1e-9).all()
    assert (factors <= 1 + lam * g_max + 1e-9).all()


# ---------------------------------------------------------------- UniOPSD


def uniopsd(rows: Rows, gaps: list[Array | None], lam: float, memory: dict[str, Any]) -> tuple[Array, list[Any]]:
    """GiGPO's advantages, and UniOPSD's."""
    method = recipe("uniopsd")
    advantages = np.asarray(method.credit(rows), np.float64)
    return advantages, list(method.update_advantages(rows, advantages, Evidence(gaps), lam, memory))


@property_test
@given(drawn=batches_with_gaps(), lam=LAMBDAS, correlation=numbers(-1, 1))
def test_uniopsd_stays_near_its_fused_advantage(drawn: Scored, lam: float, correlation: float) -> None:
    rows, gaps = drawn
    memory = {"correlation": correlation, "rows": 500}
    _, result = uniopsd(rows, gaps, lam, dict(memory))
    _, no_weights = uniopsd(rows, gaps, 0.0, dict(memory))
    base = group_advantages(rows, 0.1, "rows", "none")
    for row, (values, plain) in enumerate(zip(result, no_weights, strict=True)):
        assert (values is None) == (gaps[row] is None), "a row without a gap keeps GiGPO's advantage"
        if values is not None:
            assert (np.abs(values - plain) <= lam * 0.2 * np.abs(plain - base[row]) + 1e-9).all()


@property_test
@given(drawn=batches_with_gaps(), lam=LAMBDAS)
def test_uniopsd_before_the_first_measurement_is_gigpo_with_weights_on_its_step_part(drawn: Scored, lam: float) -> None:
    rows, gaps = drawn
    advantages, result = uniopsd(rows, gaps, lam, {})
    base = group_advantages(rows, 0.1, "rows", "none")
    for row, values in enumerate(result):
        if values is not None:
            step = advantages[row] - base[row]
            weights = np.clip(np.exp(np.sign(step) * np.asarray(gaps[row])), 0.8, 1.2)
            assert values.tolist() == pytest.approx((base[row] + step * (1 + lam * (weights - 1))).tolist(), abs=1e-5)


@property_test
@given(first=batches_with_gaps(), second=batches_with_gaps())
def test_uniopsd_uses_a_correlation_only_after_the_update_that_measured_it(first: Scored, second: Scored) -> None:
    memory: dict[str, Any] = {}
    uniopsd(*first, 0.5, memory)
    before = dict(memory)
    _, result = uniopsd(*second, 0.5, memory)
    # The same update computed from a memory that has never seen it.
    _, again = uniopsd(*second, 0.5, dict(before))
    for one, other in zip(result, again, strict=True):
        assert one is other is None or np.array_equal(one, other)


@property_test
@given(drawn=batches_with_gaps(), weight=numbers(0, 1))
def test_uniopsd_gives_untaught_turns_their_step_credit(drawn: Scored, weight: float) -> None:
    rows, gaps = drawn
    gaps = [np.zeros(2) if gap is not None and row % 3 == 0 else gap for row, gap in enumerate(gaps)]
    steps = np.random.default_rng(0).normal(0, 1, len(rows))
    fused = fuse(steps, rows.returns, rows.group, gaps, weight)
    assert ((fused.weights >= 0) & (fused.weights <= 1)).all()
    for row, gap in enumerate(gaps):
        if gap is None or not np.abs(gap).any():
            assert not fused.taught[row]
            assert fused.weights[row] == 1
            assert fused.values[row] == steps[row]


@property_test
@given(correlation=numbers(-1, 1), rows=st.integers(0, 10**6), prior=numbers(0.01, 0.99))
def test_uniopsds_prior_weight_is_a_share_that_falls_with_the_correlation(
    correlation: float, rows: int, prior: float
) -> None:
    weight = prior_weight(correlation, rows, prior)
    assert 0 <= weight <= 1
    assert prior_weight(min(1.0, correlation + 0.1), rows, prior) <= weight + 1e-12
