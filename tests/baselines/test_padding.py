"""Micro-batches under a token budget, and padding."""

from __future__ import annotations

import random

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.baselines.padding import pack, pad_left, pad_right  # noqa: E402

Item = tuple[int, int, int]


def items(seed: int, count: int) -> list[Item]:
    draw = random.Random(seed)
    return [(n, draw.randrange(1, 60), draw.randrange(1, 20)) for n in range(count)]


def area(batch: list[Item]) -> int:
    return len(batch) * max(map(length, batch))


def length(item: Item) -> int:
    return item[1] + item[2]


@pytest.mark.parametrize("budget", [1, 70, 200, 1000, 10**9])
@pytest.mark.parametrize("seed", range(4))
def test_every_item_is_in_one_batch_and_the_budget_holds(budget: int, seed: int) -> None:
    given = items(seed, 53)
    batches = pack(given, budget, length)
    assert sorted(item for batch in batches for item in batch) == given
    assert all(area(batch) <= budget or len(batch) == 1 for batch in batches)
    if budget == 10**9:
        assert len(batches) == 1, "far below the budget, padding is no reason for another pass"
    if budget == 1:
        assert len(batches) == 53
    if budget == 1000:
        padded, real = sum(map(area, batches)), sum(item[1] + item[2] for item in given)
        assert padded < 1.2 * real, "rows of similar length share a batch"


def test_a_batch_is_as_wide_as_its_longest_item() -> None:
    size = {"a": 10, "b": 9}.__getitem__
    assert pack("ab", 19, size) == [["b"], ["a"]]
    assert pack("ab", 20, size) == [["b", "a"]]


def test_a_batch_is_closed_before_much_padding() -> None:
    # 64 tokens are an eighth of the budget. With the item of 16 the batch would be 9 × 16 wide: 80 of 144 are useful.
    assert pack([8] * 8 + [16], 512, int) == [[8] * 8, [16]]
    assert pack([8] * 7 + [16], 512, int) == [[8] * 7 + [16]]
    assert pack([8] * 8 + [9], 512, int) == [[8] * 8 + [9]]  # 73 of 81


def test_equal_items_keep_their_order() -> None:
    assert pack([(n, 3, 3) for n in range(5)], 12, length) == [
        [(0, 3, 3), (1, 3, 3)],
        [(2, 3, 3), (3, 3, 3)],
        [(4, 3, 3)],
    ]
    assert pack([], 9, lambda item: 1) == []


def test_padding() -> None:
    ids, mask = pad_left([(5, 6, 7), (8,), ()], 0)
    assert ids.tolist() == [[5, 6, 7], [0, 0, 8], [0, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1], [0, 0, 0]]
    right = pad_right([(1.5,), torch.tensor([2.0, 3.0]), ()], -1, torch.float32)
    assert right.tolist() == [[1.5, -1], [2, 3], [-1, -1]]
    assert pad_right([(True,), (False, True)], 0, torch.bool).tolist() == [[True, False], [False, True]]
    assert ids.dtype == mask.dtype == torch.long
