"""The splits of the benchmark's tasks. The benchmark itself has none.

* ``number``: by the number of the task. Tasks of one number in different categories are variants of one task, so all of
  them are in the same split: no task of test has a variant in train.
* ``hint-sd``: the recipe of HINT-SD's release, for comparison with its figures. It shuffles ``base`` and
  ``long_context`` together, so variants of the same task are in train and in test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from random import Random

__all__ = ["LEAKY", "NUMBERS", "RECIPES", "SPLITS", "hint_sd", "numbers_of"]

SPLITS = ("train", "valid", "test")
#: Recipe → what is known about it.
RECIPES: Mapping[str, str] = {
    "number": "by task number: variants of a task are in one split",
    "hint-sd": "the recipe of HINT-SD's release: variants of a task are in train and in test",
}
LEAKY = frozenset({"hint-sd"})
#: Task numbers in each split.
NUMBERS: Mapping[str, int] = {"train": 100, "valid": 20, "test": 80}


def numbers_of(split: str) -> tuple[int, ...]:
    """The task numbers of a split of the recipe ``number``, ascending. They depend on the number alone.

    >>> [len(numbers_of(split)) for split in SPLITS], numbers_of("valid")[:4]
    ([100, 20, 80], (3, 6, 18, 20))
    """
    order = sorted(range(sum(NUMBERS.values())), key=_place)
    begin = 0
    for name, size in NUMBERS.items():
        if name == split:
            return tuple(sorted(order[begin : begin + size]))
        begin += size
    return ()


def _place(number: int) -> str:
    return sha256(f"agentgym-hindsight/bfcl/1/{number}".encode()).hexdigest()


def hint_sd(base: Sequence[str], long_context: Sequence[str]) -> dict[str, list[str]]:
    """The ids of each split of the recipe ``hint-sd``, from the ids of the two categories in the order of their files.

    One list of both is shuffled with the seed 42; half of it is train, the next tenth valid, the rest test.
    """
    ids = [*base, *long_context]
    Random(42).shuffle(ids)
    train, valid = len(ids) // 2, len(ids) // 2 + len(ids) // 10
    return {"train": ids[:train], "valid": ids[train:valid], "test": ids[valid:]}
