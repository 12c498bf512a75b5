"""Token weights, gates and divergences: values computed by hand, bounds, signs and gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch", reason="the extra [train] is not installed")

from agentgym_hindsight.baselines.methods.divergences import divergence, k3  # noqa: E402
from agentgym_hindsight.baselines.methods.factor import factor_weights  # noqa: E402
from agentgym_hindsight.baselines.methods.schedules import LinearDecay, Window  # noqa: E402
from agentgym_hindsight.baselines.methods.sdar import sdar_gate  # noqa: E402
from agentgym_hindsight.baselines.methods.signals import gap, reweight, weights  # noqa: E402
from agentgym_hindsight.errors import UsageError  # noqa: E402

S = torch.tensor([0.7, 0.2, 0.1]).log()
T = torch.tensor([0.5, 0.4, 0.1]).log()


def random_rows(seed: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Advantages (row 0 positive, row 1 negative, row 2 zero), gaps from tiny to huge, and a mask."""
    draw = torch.Generator().manual_seed(seed)
    advantages = torch.randn(9, generator=draw)
    advantages[0], advantages[1], advantages[2] = 1.5, -1.5, 0.0
    gaps = torch.randn(9, 7, generator=draw) * torch.logspace(-3, 3, 7)
    return advantages.to(dtype), gaps.to(dtype), torch.rand(9, 7, generator=draw) < 0.6


def one(advantage: float, delta: float, lam: float) -> float:
    result = reweight(torch.tensor([advantage]), torch.tensor([[delta]]), torch.tensor([[True]]), lam)
    return float(result.item())


# ---------------------------------------------------------------- SERL and RLSD


@pytest.mark.parametrize(
    ("advantage", "delta", "lam", "expected"),
    [
        (1.5, 0.1, 0.5, 1.578878),
        (1.5, 0.1, 0.25, 1.539439),
        (1.5, -0.1, 0.5, 1.428628),
        (1.5, 0.5, 0.5, 1.65),
        (1.5, -0.5, 0.5, 1.35),
        (-1.5, 0.1, 0.5, -1.428628),
        (-1.5, -0.1, 0.5, -1.578878),
        (-1.5, 0.5, 0.5, -1.35),
        (-1.5, -0.5, 0.5, -1.65),
        (0.0, 0.1, 0.5, 0.0),
        (0.0, -0.5, 0.5, 0.0),
    ],
)
def test_reweight(advantage: float, delta: float, lam: float, expected: float) -> None:
    assert one(advantage, delta, lam) == pytest.approx(expected, abs=1e-6)


def test_weights() -> None:
    gaps = torch.tensor([[0.1, -0.1, 0.5, -0.5, 0.5]] * 3)
    mask = torch.tensor([[True, True, True, True, False]] * 3)
    result = weights(torch.tensor([1.5, -1.5, 0.0]), gaps, mask)
    assert result[0].tolist() == pytest.approx([1.105171, 0.904837, 1.2, 0.8, 1.0], abs=1e-6)
    assert result[1].tolist() == pytest.approx([0.904837, 1.105171, 0.8, 1.2, 1.0], abs=1e-6)
    assert result[2].tolist() == [1.0] * 5


def test_serl_becomes_grpo_after_its_decay() -> None:
    decay, expected = LinearDecay(), {0: 1.578878, 25: 1.539439, 50: 1.5, 60: 1.5}
    assert {k: one(1.5, 0.1, decay(k)) for k in expected} == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_outside_the_mask_the_advantage_is_unchanged(seed: int) -> None:
    advantages, gaps, mask = random_rows(seed)
    result = reweight(advantages, gaps, mask, 0.3)
    base = advantages[:, None].expand_as(result)
    assert torch.equal(result[~mask], base[~mask])
    assert not torch.equal(result[mask], base[mask])
    assert torch.equal(reweight(advantages, gaps, torch.zeros_like(mask), 0.3), base)


def test_gaps_of_zero_leave_the_advantage_exactly() -> None:
    advantages, gaps, mask = random_rows(0)
    for lam in (0.1, 0.3, 0.7):
        result = reweight(advantages, torch.zeros_like(gaps), mask, lam)
        assert torch.equal(result, advantages[:, None].expand_as(result))


@pytest.mark.parametrize("mean_one", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_lambda_zero_is_exactly_grpo(mean_one: bool, dtype: torch.dtype) -> None:
    advantages, gaps, mask = random_rows(1, dtype)
    gaps[0, 0] = math.nan  # without a teacher pass the gaps may hold any value
    result = reweight(advantages, gaps, mask, 0.0, mean_one=mean_one)
    assert result.dtype == torch.promote_types(dtype, torch.float32)
    assert torch.equal(result, advantages.to(result.dtype)[:, None].expand(9, 7))
    result += 1  # fails if the result is an expanded view


def test_a_zero_advantage_stays_zero() -> None:
    _, gaps, mask = random_rows(2)
    for mean_one in (False, True):
        assert reweight(torch.zeros(9), gaps, mask, 0.5, mean_one=mean_one).abs().max().item() == 0.0


@pytest.mark.parametrize("mean_one", [False, True])
def test_infinite_gaps_stay_finite_and_padding_has_no_effect(mean_one: bool) -> None:
    gaps = torch.tensor([[math.inf, -math.inf, 1e30, math.nan], [math.nan] * 4, [math.inf] * 4])
    mask = torch.tensor([[True, True, True, False], [False] * 4, [True] * 4])
    result = reweight(torch.tensor([2.0, 3.0, 0.0]), gaps, mask, 0.5, mean_one=mean_one)
    assert result.isfinite().all()
    assert result[0, 3].item() == 2.0
    assert result[1].tolist() == [3.0] * 4
    assert result[2].tolist() == [0.0] * 4
    if not mean_one:
        assert result[0].tolist() == pytest.approx([2.2, 1.8, 2.2, 2.0])


@pytest.mark.parametrize("seed", range(3))
def test_mean_one_keeps_the_sum_of_a_row(seed: int) -> None:
    advantages, gaps, mask = random_rows(seed)
    result = reweight(advantages, gaps, mask, 0.5, mean_one=True)
    assert torch.allclose(result.sum(-1), advantages * 7, atol=1e-4)
    assert torch.equal(result[~mask], advantages[:, None].expand_as(result)[~mask])
    assert torch.equal(result.sign(), advantages.sign()[:, None].expand_as(result))
    plain = reweight(advantages, gaps, mask, 0.5)
    assert not torch.allclose(plain.sum(-1), advantages * 7, atol=1e-4)
    for row in range(9):  # one factor per row
        if mask[row].any() and advantages[row] != 0:
            ratio = (result / plain)[row][mask[row]]
            assert torch.allclose(ratio, ratio[:1].expand_as(ratio))


def test_mean_one_may_exceed_the_bounds() -> None:
    gaps, mask = torch.tensor([[-9.0, -9.0, -9.0, 9.0]]), torch.ones(1, 4, dtype=torch.bool)
    result = reweight(torch.ones(1), gaps, mask, 0.5, mean_one=True)[0]
    assert result.tolist() == pytest.approx([0.9 / 0.95] * 3 + [1.1 / 0.95])
    assert result[3].item() > 1.1


def test_bfloat16_rows_are_computed_in_float32() -> None:
    advantages, gaps, mask = random_rows(3, torch.bfloat16)
    for function in (lambda a, g: reweight(a, g, mask, 0.5), lambda a, g: weights(a, g, mask)):
        result = function(advantages, gaps)
        assert result.dtype == torch.float32
        assert torch.equal(result, function(advantages.float(), gaps.float()))


def test_rows_are_independent() -> None:
    advantages, gaps, mask = random_rows(4)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    for mean_one in (False, True):
        whole = reweight(advantages, gaps, mask, 0.5, mean_one=mean_one)
        assert torch.equal(reweight(advantages[order], gaps[order], mask[order], 0.5, mean_one=mean_one), whole[order])


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (4, 0)])
def test_empty_batches(shape: tuple[int, int]) -> None:
    nothing, mask = torch.zeros(shape), torch.zeros(shape, dtype=torch.bool)
    for lam in (0.0, 0.5):
        for mean_one in (False, True):
            assert reweight(torch.zeros(shape[0]), nothing, mask, lam, mean_one=mean_one).shape == shape
    assert weights(torch.zeros(shape[0]), nothing, mask).shape == shape


def test_signals_have_no_gradient() -> None:
    logps = torch.randn(2, 3, requires_grad=True)
    advantages, mask = torch.tensor([1.0, -1.0], requires_grad=True), torch.ones(2, 3, dtype=torch.bool)
    assert not gap(logps, logps * 2).requires_grad
    for result in (
        weights(advantages, logps, mask),
        reweight(advantages, logps, mask, 0.5),
        reweight(advantages, logps, mask, 0.5, mean_one=True),
        reweight(advantages, logps, mask, 0.0),
        sdar_gate(logps),
        factor_weights(advantages, logps, 0.5),
    ):
        assert not result.requires_grad


def test_gap_is_teacher_minus_student_and_keeps_small_differences() -> None:
    assert gap(torch.tensor([[-1.0]]), torch.tensor([[-1.5]])).tolist() == [[0.5]]
    fine = gap(torch.tensor([-1.0], dtype=torch.bfloat16), torch.tensor([-1.001]))
    assert fine.dtype == torch.float32
    assert fine.item() == pytest.approx(0.001, abs=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, g, m: reweight(a, g, m, 1.5), r"lam from 0 to 1.*1\.5"),
        (lambda a, g, m: reweight(a, g, m, math.nan), r"lam.*nan"),
        (lambda a, g, m: reweight(a, g, m, 0.5, clip=1.0), r"clip.*1\.0"),
        (lambda a, g, m: weights(a, g, m, clip=-0.1), r"clip.*-0\.1"),
        (lambda a, g, m: weights(a[:-1], g, m), r"\(8,\).*\(9, 7\)"),
        (lambda a, g, m: weights(a, g, m[:, :-1]), r"\(9, 6\)"),
        (lambda a, g, m: weights(a, g[0], m[0]), r"\(7,\)"),
        (lambda a, g, m: reweight(a, g, m.long(), 0.0), r"int64.*\.bool\(\)"),
        (lambda a, g, m: gap(g, g[:1]), r"\(9, 7\).*\(1, 7\)"),
    ],
)
def test_errors_name_the_argument(call: Callable[..., object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        call(*random_rows(0))
    assert "try" in str(caught.value)


# ---------------------------------------------------------------- divergences


@pytest.mark.parametrize(
    ("alpha", "expected"), [(0.0, 0.109023), (1.0, 0.096901), (0.25, 0.019640), (0.5, 0.025362), (0.75, 0.018541)]
)
@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_divergence(alpha: float, expected: float, shift: float) -> None:
    # A shift of the logits changes nothing.
    assert divergence(T + shift, S - shift, alpha=alpha).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("top_k", [None, 1, 3, 100])
def test_divergence_is_zero_for_equal_distributions_and_positive_otherwise(alpha: float, top_k: int | None) -> None:
    draw = torch.Generator().manual_seed(0)
    teacher, student = torch.randn(2, 5, 4, 11, generator=draw)
    result = divergence(teacher, student, alpha=alpha, top_k=top_k)
    assert result.shape == (5, 4)
    assert result.min().item() > 0
    assert divergence(student, student, alpha=alpha, top_k=top_k).abs().max().item() < 1e-6


def test_top_k_merges_the_other_tokens() -> None:
    # The student's two best tokens are 0 and 1; the others form one bucket: S (.6, .25, .15), T (.3, .3, .4).
    student, teacher = torch.tensor([0.6, 0.25, 0.1, 0.05]).log(), torch.tensor([0.3, 0.3, 0.1, 0.3]).log()
    expected = sum(t * math.log(t / s) for t, s in ((0.3, 0.6), (0.3, 0.25), (0.4, 0.15)))
    assert divergence(teacher, student, alpha=0.0, top_k=2).item() == pytest.approx(expected, abs=1e-5)
    whole = divergence(teacher, student, alpha=0.5)
    assert divergence(teacher, student, alpha=0.5, top_k=2).item() < whole.item()  # merging tokens lowers a divergence
    assert torch.equal(divergence(teacher, student, alpha=0.5, top_k=4), whole)
    assert torch.equal(divergence(teacher, student, alpha=0.5, top_k=99), whole)


@pytest.mark.parametrize("top_k", [None, 2])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_only_the_student_gets_a_gradient_from_a_divergence(alpha: float, top_k: int | None) -> None:
    draw = torch.Generator().manual_seed(1)
    teacher = torch.randn(2, 3, 6, generator=draw).requires_grad_()
    student = torch.randn(2, 3, 6, generator=draw).requires_grad_()
    divergence(teacher, student, alpha=alpha, top_k=top_k).sum().backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad.abs().max().item() > 0


def test_the_gradient_of_the_forward_divergence_is_student_minus_teacher() -> None:
    student = S.clone().requires_grad_()
    divergence(T, student, alpha=0.0).backward()
    assert student.grad is not None
    assert student.grad.tolist() == pytest.approx([0.2, -0.2, 0.0], abs=1e-6)


@pytest.mark.parametrize("top_k", [None, 2])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_divergence_of_impossible_and_certain_tokens_is_finite(alpha: float, top_k: int | None) -> None:
    forbidden = torch.tensor([0.0, 0.0, 0.0, -math.inf])
    teacher = torch.stack([torch.tensor([1.0, 2.0, 0.0, 0.0]) + forbidden, torch.tensor([200.0, 0.0, 0.0, 0.0])])
    student = torch.stack([torch.tensor([2.0, 1.0, 0.0, 0.0]) + forbidden, torch.tensor([0.0, 200.0, 0.0, 0.0])])
    student.requires_grad_()
    result = divergence(teacher, student, alpha=alpha, top_k=top_k)
    result.sum().backward()
    assert result.isfinite().all()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_bfloat16_logits_are_computed_in_float32() -> None:
    teacher, student = torch.randn(2, 3, 50, generator=torch.Generator().manual_seed(2)).bfloat16()
    result = divergence(teacher, student, alpha=0.5)
    assert result.dtype == torch.float32
    assert torch.allclose(result, divergence(teacher.float(), student.float(), alpha=0.5))


def test_divergence_of_an_empty_batch() -> None:
    assert divergence(torch.zeros(0, 4, 9), torch.zeros(0, 4, 9), alpha=0.5, top_k=3).shape == (0, 4)


def test_divergence_checks_its_arguments() -> None:
    with pytest.raises(UsageError, match=r"alpha.*1\.5"):
        divergence(T, S, alpha=1.5)
    with pytest.raises(UsageError, match=r"top_k.*0"):
        divergence(T, S, alpha=0.5, top_k=0)
    with pytest.raises(UsageError, match=r"\(3,\).*\(2,\)"):
        divergence(T, S[:2], alpha=0.5)


# ---------------------------------------------------------------- SDAR, AntiSD, TRIAL, FACTOR


def test_k3() -> None:
    assert k3(torch.tensor([-0.5, 0.0, 0.5])).tolist() == pytest.approx([0.148721, 0.0, 0.106531], abs=1e-6)
    assert k3(torch.linspace(-4, 4, 81)).min().item() >= 0
    assert k3(torch.tensor([1e-4]))[0].item() == pytest.approx(5e-9, rel=0.3)  # e^x − 1 without expm1 would round to 0
    student = torch.tensor([0.5], requires_grad=True)
    k3(student).backward()  # k3 is a loss, so it has a gradient
    assert student.grad is not None
    assert student.grad.item() == pytest.approx(1 - math.exp(-0.5))


def test_sdar_gate() -> None:
    result = sdar_gate(torch.tensor([-0.5, -0.1, 0.0, 0.1, 0.5])).tolist()
    assert result == pytest.approx([0.075858, 0.377541, 0.5, 0.622459, 0.924142], abs=1e-6)
    assert sdar_gate(torch.tensor([-3.0, 3.0]), beta=0.0).tolist() == [0.5, 0.5]  # GRPO+OPSD


def test_factor_weights() -> None:
    eta = Window(LinearDecay(0.7, 50), 11, 49)(20)
    result = factor_weights(-1.0, torch.tensor([0.0, 2.0, -2.0]), eta)
    assert result.tolist() == pytest.approx([0.72781, 0.60000, 1.67218], abs=1e-5)
    clipped = factor_weights(1.0, torch.tensor([0.0, 50.0, -50.0]), eta)
    assert torch.equal(clipped, factor_weights(1.0, torch.tensor([0.0, 3.0, -3.0]), eta))


def test_factor_weights_have_mean_one_over_an_action() -> None:
    draw = torch.Generator().manual_seed(3)
    gaps, signs = torch.randn(6, 8, generator=draw) * 4, torch.tensor([1.0, -1, 0, 2.5, -0.1, 1])
    mask = torch.rand(6, 8, generator=draw) < 0.5
    mask[5] = False
    for eta in (0.0, 0.42, 1.0):
        whole = factor_weights(signs, gaps, eta, tau=0.5)
        assert torch.allclose(whole.mean(-1), torch.ones(6))
        assert whole.min().item() >= 0
        part = factor_weights(signs, gaps, eta, tau=0.5, mask=mask)
        assert torch.equal(part[~mask], torch.ones_like(part[~mask]))
        assert torch.allclose(part.mean(-1), torch.ones(6), atol=1e-6)
        for row in range(5):
            alone = factor_weights(float(signs[row]), gaps[row][mask[row]], eta, tau=0.5)
            assert torch.allclose(part[row][mask[row]], alone, atol=1e-6)
    assert torch.equal(factor_weights(signs, gaps, 0.0), torch.ones(6, 8))
    assert torch.allclose(factor_weights(torch.zeros(6), gaps, 0.9), torch.ones(6, 8))


def test_factor_weights_check_their_arguments() -> None:
    gaps = torch.zeros(2, 3)
    with pytest.raises(UsageError, match=r"eta.*1\.2"):
        factor_weights(1.0, gaps, 1.2)
    with pytest.raises(UsageError, match=r"tau.*0"):
        factor_weights(1.0, gaps, 0.5, tau=0.0)
    with pytest.raises(UsageError, match=r"clip.*-1"):
        factor_weights(1.0, gaps, 0.5, clip=-1.0)
    with pytest.raises(UsageError, match=r"\(3,\).*\(2, 3\)"):
        factor_weights(torch.zeros(3), gaps, 0.5)
    with pytest.raises(UsageError, match=r"mask.*\(2, 2\)"):
        factor_weights(1.0, gaps, 0.5, mask=torch.ones(2, 2, dtype=torch.bool))
    assert factor_weights(1.0, torch.zeros(0), 0.5).shape == (0,)
