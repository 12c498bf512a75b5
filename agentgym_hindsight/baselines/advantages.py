"""How good each turn was for its group: GRPO, RLOO, GiGPO, HGPO over rows of turns, and GAE. Tensors in, tensors out.

Rows are turns, as in verl-agent: one prompt and one response each. Everything is reckoned in float64 on the CPU, where
a batch of rows is small, and given back as float32 on the device of the rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Literal

from agentgym_hindsight.errors import MissingExtraError, UnknownNameError, UsageError

try:
    import torch
    from torch import Tensor
except ImportError as error:
    raise MissingExtraError("torch", "train", "Estimating advantages") from error

__all__ = ["Rows", "gae", "gigpo", "grpo", "hgpo", "rloo", "step_returns"]

Scale = Literal["std", "none"]
Statistics = Literal["rows", "trajectories"]

_EPSILON = 1e-6  # the released code's, added to standard deviations and sums of weights
_ROUNDING = 1e-12  # a deviation below this part of a value is float64's doing and not the agent's


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A batch of turns, B of them, in any order.

    * ``group``: which task; the statistics never leave it.
    * ``trajectory``: which rollout, unique over the batch; ``place``: which turn of it.
    * ``returns``: the undiscounted return of the whole episode on each of its rows, without penalties.
    * ``rewards``: the turn's own reward.
    * ``invalid``: the turn's action was not understood or not legal.
    * ``anchors``: the situation the turn was taken in; equal text within a group is one situation.

    >>> rows = Rows(
    ...     group=torch.tensor([0, 0, 0]), trajectory=torch.tensor([0, 0, 1]), place=torch.tensor([0, 1, 0]),
    ...     returns=torch.tensor([10.0, 10.0, 0.0]), rewards=torch.tensor([0.0, 10.0, 0.0]),
    ...     invalid=torch.tensor([False, False, False]), anchors=("hall", "room", "hall"),
    ... )
    >>> len(rows), [round(value, 4) for value in grpo(rows).tolist()]
    (3, [0.5774, 0.5774, -1.1547])
    """

    group: Tensor
    trajectory: Tensor
    place: Tensor
    returns: Tensor
    rewards: Tensor
    invalid: Tensor
    anchors: tuple[str, ...]

    def __post_init__(self) -> None:
        size = len(self.anchors)
        columns = ("group", "trajectory", "place", "returns", "rewards", "invalid")
        shapes = {name: tuple(getattr(self, name).shape) for name in columns}
        # The anchors are one column of seven: where all others agree, they are the odd one out.
        if len(set(shapes.values())) == 1 and len(shape := shapes["group"]) == 1 and shape[0] != size:
            raise UsageError(f"Expected {shape[0]} rows in every column, got {size} anchors; try one text a row.")
        for name, shape in shapes.items():
            if shape != (size,):
                raise UsageError(f"Expected {size} rows in every column, got {name} of shape {shape}; try ({size},).")
        for name in ("group", "trajectory", "place"):
            if (kind := getattr(self, name).dtype) not in (torch.int64, torch.int32):
                raise UsageError(f"Expected whole numbers in {name}, got {kind}; try {name}.long().")
        if self.invalid.dtype != torch.bool:
            raise UsageError(f"Expected truth values in invalid, got {self.invalid.dtype}; try invalid.bool().")
        for name in ("returns", "rewards"):
            if not bool(torch.isfinite(getattr(self, name)).all()):
                raise UsageError(
                    f"Expected finite {name}, got NaN or infinity; try 0 for what a broken rollout missed."
                )
        self._check_trajectories()

    def _check_trajectories(self) -> None:
        # Mixed-up rollouts would not fail anywhere: every estimator would quietly compare the wrong turns.
        groups: dict[int, int] = {}
        turns: set[tuple[int, int]] = set()
        columns = (self.group.tolist(), self.trajectory.tolist(), self.place.tolist())
        for group, trajectory, place in zip(*columns, strict=True):
            if groups.setdefault(trajectory, group) != group:
                raise UsageError(
                    f"Expected every trajectory in one group, got trajectory {trajectory} in groups "
                    f"{groups[trajectory]} and {group}; try numbers that are unique over the batch."
                )
            if (trajectory, place) in turns:
                raise UsageError(
                    f"Expected every turn once, got turn {place} of trajectory {trajectory} twice; "
                    "try numbers of trajectories that are unique over the batch."
                )
            turns.add((trajectory, place))

    def __len__(self) -> int:
        return len(self.anchors)


def grpo(rows: Rows, *, penalty: float = 0.1, statistics: Statistics = "rows", scale: Scale = "std") -> Tensor:
    """``(score − mean) / (std + 1e-6)`` within the group, where a row's score is its return − penalty if invalid.

    * ``statistics="rows"``, the released default, takes mean and std over all rows of the group: long rollouts weigh
      more. ``"trajectories"``, as the papers write it, takes one score a rollout, its first row's, for all its rows.
    * ``scale="none"`` divides by nothing. The std is the unbiased one.

    A score alone in its group has nothing to be compared with: its mean counts as 0 and its std as 1, as released.
    """
    return _finish(_episode(rows, penalty, statistics, scale), rows)


def rloo(rows: Rows, *, penalty: float = 0.1, statistics: Statistics = "rows") -> Tensor:
    """``(score − mean) · n / (n − 1)``: the score less the mean of the n − 1 others. Scores are :func:`grpo`'s.

    A score alone in its group stands as it is.
    """
    scores, labels, back = _scores(rows, penalty, statistics)
    deviation, _, count = _spread(scores, labels, correction=1)
    others = (count - 1).clamp(min=1)
    return _finish(torch.where(count > 1, deviation * count / others, scores)[back], rows)


def step_returns(rows: Rows, gamma: float) -> Tensor:
    """``Σ γ^(k−t) r_k`` over the turns k ≥ t of the row's own rollout, of raw rewards; rows may come in any order."""
    return _finish(_step_returns(rows, gamma), rows)


def gigpo(
    rows: Rows,
    *,
    penalty: float = 0.1,
    gamma: float = 0.95,
    omega: float = 1.0,
    scale: Scale = "std",
    statistics: Statistics = "rows",
) -> Tensor:
    """GRPO's advantage + ``omega`` times that of the turn's discounted return among the turns with the same anchor.

    ``scale`` is F of the paper's Eq. 3 and Eq. 7 alike: ``"std"`` is the released script for ALFWorld, ``"none"`` that
    for WebShop. The penalty is taken from the step return after discounting, so it hits its own turn alone. An anchor
    that occurs once adds 0.
    """
    episode = _episode(rows, penalty, statistics, scale)
    labels = _labels(zip(rows.group.tolist(), rows.anchors, strict=True))
    deviation, std, _ = _spread(_penalised(_step_returns(rows, gamma), rows, penalty), labels, correction=1)
    return _finish(episode + omega * _scaled(deviation, std, scale), rows)


def hgpo(
    rows: Rows,
    *,
    penalty: float = 0.1,
    gamma: float = 0.95,
    history: int = 2,
    alpha: float = 1.0,
    weight_offset: int = 1,
    base_group: bool = False,
    scale: Scale = "std",
) -> Tensor:
    """Weighted mean over k = 1 … ``history`` + 1 of the step return's advantage among turns whose last k anchors agree.

    * The weight of k is ``(k + weight_offset) ** alpha``. The released code has 1, so 2, 3, 4; the paper's weights
      1, 2, 3 are ``weight_offset=0``.
    * ``base_group=True`` adds GRPO's advantage with weight 1. There is no episode term otherwise.
    * The std is the population's here. Groups of one and advantages of 0 do not enter the mean, as released; a turn
      with no group left gets 0.
    """
    if history < 0 or weight_offset < 0:
        raise UsageError(
            f"Expected history and weight_offset of 0 or more, got history={history}, weight_offset={weight_offset}; "
            "try history=2, weight_offset=1."
        )
    values = _penalised(_step_returns(rows, gamma), rows, penalty)
    total, weights = torch.zeros_like(values), torch.zeros_like(values)
    if base_group:
        base = _episode(rows, penalty, "rows", scale)
        weights += (base.abs() > _ROUNDING).double()
        total += base
    for k in range(1, history + 2):
        members, labels = _same_last(rows, k)
        own = values[members]
        deviation, std, count = _spread(own, labels, correction=0)
        counts = (count > 1) & (deviation.abs() > _ROUNDING * (1 + own.abs()))
        weight = counts.double() * float(k + weight_offset) ** alpha
        total[members] += weight * _scaled(deviation, std, scale)
        weights[members] += weight
    return _finish(total / (weights + _EPSILON), rows)


def gae(rewards: Tensor, values: Tensor, dones: Tensor, *, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation over (B, T): the advantages, and the returns a critic learns (A + V).

    ``dones`` marks the last step of an episode: nothing flows back over it, so what stands behind it (padding, or
    another episode) does not matter. After the last column nothing follows; where an episode was cut there, add
    ``gamma`` times the value of what came next to its reward.

    >>> advantages, returns = gae(
    ...     torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 0.5]]), torch.tensor([[False, True]]), gamma=1.0, lam=1.0
    ... )
    >>> advantages.tolist(), returns.tolist()
    ([[0.5, 0.5]], [[1.0, 1.0]])
    """
    if rewards.dim() != 2 or not rewards.shape == values.shape == dones.shape:
        raise UsageError(
            f"Expected rewards, values and dones of one shape (B, T), got {tuple(rewards.shape)}, "
            f"{tuple(values.shape)} and {tuple(dones.shape)}; try a value and an end for every reward."
        )
    _check_unit("gamma", gamma)
    _check_unit("lam", lam)
    reward, value, goes_on = _double(rewards), _double(values), 1 - _double(dones)
    advantages = torch.zeros_like(reward)
    following = carried = torch.zeros(len(reward), dtype=torch.float64)
    for t in reversed(range(reward.shape[1])):
        surprise = reward[:, t] + gamma * goes_on[:, t] * following - value[:, t]
        carried = surprise + gamma * lam * goes_on[:, t] * carried
        advantages[:, t], following = carried, value[:, t]
    returns = advantages + value
    return advantages.to(rewards.device, torch.float32), returns.to(rewards.device, torch.float32)


def _episode(rows: Rows, penalty: float, statistics: str, scale: str) -> Tensor:
    scores, labels, back = _scores(rows, penalty, statistics)
    deviation, std, count = _spread(scores, labels, correction=1)
    alone = count == 1
    deviation = torch.where(alone, scores, deviation)
    std = torch.where(alone, 1.0, std)
    return _scaled(deviation, std, scale)[back]


def _scores(rows: Rows, penalty: float, statistics: str) -> tuple[Tensor, Tensor, Tensor]:
    """The scores to compare, the group of each, and which of them belongs to each row."""
    _check_name("statistics", statistics, ("rows", "trajectories"))
    scores, groups = _penalised(_double(rows.returns), rows, penalty), _labels(rows.group.tolist())
    if statistics == "rows":
        return scores, groups, torch.arange(len(rows))
    firsts: dict[int, int] = {}  # rollout -> its first row, rollouts in the order of their numbers
    for trajectory, _, row in _in_order(rows):
        firsts.setdefault(trajectory, row)
    position = {trajectory: number for number, trajectory in enumerate(firsts)}
    back = torch.tensor([position[trajectory] for trajectory in rows.trajectory.tolist()], dtype=torch.long)
    chosen = torch.tensor(list(firsts.values()), dtype=torch.long)
    return scores[chosen], groups[chosen], back


def _step_returns(rows: Rows, gamma: float) -> Tensor:
    _check_unit("gamma", gamma)
    rewards, found = _double(rows.rewards).tolist(), [0.0] * len(rows)
    later: dict[int, tuple[int, float]] = {}  # rollout -> (turn, return) of the turn that comes after
    for trajectory, place, row in reversed(_in_order(rows)):
        after, following = later.get(trajectory, (place, 0.0))
        # By distance and not by rank: a turn without a row still took its time.
        found[row] = rewards[row] + gamma ** (after - place) * following
        later[trajectory] = place, found[row]
    return torch.tensor(found, dtype=torch.float64)


def _same_last(rows: Rows, k: int) -> tuple[Tensor, Tensor]:
    """The rows with at least ``k`` anchors so far, and a number for each that says which ``k`` these were."""
    order, groups = _in_order(rows), rows.group.tolist()
    members: list[int] = []
    keys: list[Hashable] = []
    for end in range(k, len(order) + 1):
        window = order[end - k : end]
        row = window[-1][2]
        if window[0][0] == window[-1][0]:
            members.append(row)
            keys.append((groups[row], *(rows.anchors[other] for _, _, other in window)))
    return torch.tensor(members, dtype=torch.long), _labels(keys)


def _spread(values: Tensor, labels: Tensor, *, correction: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of each value: its deviation from the mean of those with its label, their std, and how many they are."""
    size = int(labels.max()) + 1 if len(labels) else 0
    count = torch.bincount(labels, minlength=size)
    zero = values.new_zeros(size)
    # Measured from the group's lowest, equal values deviate by exactly 0; from a rounded mean they might not.
    lowest = zero.scatter_reduce(0, labels, values, "amin", include_self=False)
    shifted = values - lowest[labels]
    deviation = shifted - (zero.scatter_add(0, labels, shifted) / count)[labels]
    variance = zero.scatter_add(0, labels, deviation.square()) / (count - correction).clamp(min=1)
    return deviation, variance.sqrt()[labels], count[labels]


def _scaled(deviation: Tensor, std: Tensor, scale: str) -> Tensor:
    _check_name("scale", scale, ("std", "none"))
    return deviation / (std + _EPSILON) if scale == "std" else deviation


def _penalised(values: Tensor, rows: Rows, penalty: float) -> Tensor:
    if not penalty >= 0:
        raise UsageError(f"Expected a penalty of 0 or more, got {penalty}; it is subtracted: try 0.1.")
    return values - penalty * _double(rows.invalid)


def _labels(keys: Iterable[Hashable]) -> Tensor:
    """Equal keys, equal numbers, from 0 without holes."""
    numbers: dict[Hashable, int] = {}
    return torch.tensor([numbers.setdefault(key, len(numbers)) for key in keys], dtype=torch.long)


def _in_order(rows: Rows) -> list[tuple[int, int, int]]:
    """(rollout, turn, number of the row), rollout by rollout as they were played."""
    return sorted(zip(rows.trajectory.tolist(), rows.place.tolist(), range(len(rows)), strict=True))


def _double(values: Tensor) -> Tensor:
    return values.detach().to("cpu", torch.float64)


def _finish(values: Tensor, rows: Rows) -> Tensor:
    return values.to(rows.returns.device, torch.float32)


def _check_name(kind: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise UnknownNameError(kind, name, known)


def _check_unit(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise UsageError(f"Expected {name} from 0 to 1, got {name}={value}; try 0.95.")
