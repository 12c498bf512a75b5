"""Tasks and lists of tasks.

The id of a :class:`Task` is a hash of its content, never a file name or a position, so it is the same on every machine.
A :class:`TaskPanel` is an ordered, immutable list of tasks with a fingerprint: two runs over panels of equal
fingerprint are comparable.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from math import gcd
from pathlib import Path
from typing import Any, Protocol, overload

from agentgym_hindsight.atomic import write_text
from agentgym_hindsight.errors import DamagedDataError, SchemaError, UnknownNameError, UsageError
from agentgym_hindsight.files import read_file
from agentgym_hindsight.printable import printable_line
from agentgym_hindsight.short_repr import short_repr

__all__ = ["SeededOrder", "Task", "TaskPanel", "TaskSource", "content_hash", "seeded_int"]

_MANIFEST_SCHEMA = "agentgym-hindsight/panel"
_MANIFEST_VERSION = 1
#: A goal may contain a lone surrogate, which UTF-8 does not have.
_SURROGATE = re.compile("[\ud800-\udfff]")


def content_hash(*parts: str | bytes) -> str:
    """Sixteen hex digits that depend only on the parts. Used as task id and as anchor key.

    >>> content_hash("a", "b") == content_hash("a", "b") != content_hash("ab")
    True
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))  # so that ("a", "b") and ("ab",) differ
        digest.update(data)
    return digest.hexdigest()


def seeded_int(*parts: object, bits: int = 64) -> int:
    """An integer that depends only on the parts, not on the machine, the Python version or the hash seed."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=bits // 8).digest(), "big")


@dataclass(frozen=True, slots=True, repr=False)
class Task:
    """A task of one world.

    ``locator`` is the address of the task in the backend (``"embedded/standard/train/17"``, or a path below the data
    folder). It is not part of the task's identity.

    >>> task = Task("1f", "demo", "train", "easy", "say hi")
    >>> task, Task.from_dict(task.to_dict()) == task
    (Task('1f', demo, train, easy, 'say hi'), True)
    """

    id: str
    env: str
    split: str
    category: str
    goal: str
    locator: str = ""
    backend: str = ""

    def to_dict(self) -> dict[str, str]:
        """The fields as plain data for JSON."""
        return {field.name: str(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Task:
        """The task of :meth:`to_dict`. Raises :class:`~agentgym_hindsight.errors.SchemaError`."""
        if not isinstance(document, Mapping):
            raise SchemaError(f"Expected a task as a mapping, got {type(document).__name__}; try Task.to_dict().")
        names = {field.name: field.default is MISSING for field in fields(cls)}
        missing = [name for name, required in names.items() if required and name not in document]
        if missing:
            raise SchemaError(f"Expected {', '.join(missing)} in a task, found none; try the result of Task.to_dict().")
        for key, value in document.items():
            if key not in names:
                raise SchemaError(
                    f"Expected {', '.join(names)} in a task, got the key {short_repr(key, 60)}; try removing it."
                )
            if not isinstance(value, str):
                raise SchemaError(f"Expected text as {key} of a task, got {short_repr(value, 60)}; try str(…).")
        return cls(**document)

    def __repr__(self) -> str:
        kind = ", ".join(printable_line(str(part), 40) for part in (self.env, self.split, self.category) if part)
        return f"Task({short_repr(self.id, 40)}, {f'{kind}, ' if kind else ''}{short_repr(self.goal, 60)})"


class SeededOrder:
    """A seeded order of ``range(n)``: each number once, then the same order again. Needs O(1) memory.

    The order is the affine sequence ``(a·i + b) mod n`` with a coprime to n. It mixes well enough, because a manifest
    is itself ordered by hash, and it is much cheaper than shuffling thousands of tasks at every ``reset(seed=…)``.

    >>> sorted(SeededOrder(7, seed=3)[i] for i in range(7))
    [0, 1, 2, 3, 4, 5, 6]
    """

    def __init__(self, n: int, seed: int) -> None:
        if n < 1:
            raise UsageError(f"Expected at least one task to order, got {n}; try another split or data folder.")
        self.n = n
        step = 1 + seeded_int("order-step", seed) % n
        while gcd(step, n) != 1:
            step += 1
        self._step, self._offset = step, seeded_int("order-offset", seed) % n

    def __getitem__(self, position: int) -> int:
        return (self._step * position + self._offset) % self.n


class TaskSource(Protocol):
    """An object that counts and opens the tasks of a split, such as an environment's backend."""

    def count(self, split: str) -> int: ...
    def task(self, split: str, index: int) -> Task: ...


class TaskPanel(Sequence[Task]):
    """An ordered, immutable list of tasks.

    >>> panel = TaskPanel([Task("1f", "demo", "train", "easy", "say hi"), Task("2e", "demo", "valid", "hard", "sing")])
    >>> len(panel.select(split="valid")), panel["1f"].goal
    (1, 'say hi')
    """

    @classmethod
    def of_split(cls, source: TaskSource, split: str, n: int = 0, seed: int = 0) -> TaskPanel:
        """The first ``n`` tasks of a split in an order drawn by ``seed``; 0: the whole split, in its own order."""
        if isinstance(n, bool) or not isinstance(n, int):
            raise UsageError(f"Expected the number of tasks as a whole number, got {n!r}; try 0 for all of them.")
        size = source.count(split)
        if not 0 <= n <= size:
            raise UsageError(f"Expected 1 to {size} tasks of {split}, got {n}; try 0 for all of them.")
        order: Sequence[int] | SeededOrder = SeededOrder(size, seed) if n else range(size)
        indices = [order[position] for position in range(n or size)]
        together = getattr(source, "tasks", None)  # faster than one by one, where the source has it
        tasks = together(split, indices) if together is not None else (source.task(split, i) for i in indices)
        return cls(tasks, name=f"{split}[{n}]@{seed}" if n else split)

    def __init__(self, tasks: Iterable[Task], *, name: str = "") -> None:
        self._tasks = tuple(tasks)
        self._by_id = {task.id: task for task in self._tasks}
        self.name = name
        if len(self._by_id) != len(self._tasks):
            duplicates = [task_id for task_id, count in Counter(task.id for task in self._tasks).items() if count > 1]
            raise UsageError(
                f"Expected every task once in a panel, got {len(duplicates)} task(s) twice (first: {duplicates[0]}); "
                "try removing the duplicates."
            )

    @overload
    def __getitem__(self, key: int | str) -> Task: ...
    @overload
    def __getitem__(self, key: slice) -> TaskPanel: ...
    def __getitem__(self, key: int | str | slice) -> Task | TaskPanel:
        if isinstance(key, str):
            try:
                return self._by_id[key]
            except KeyError:
                raise UnknownNameError("task id", key, list(self._by_id)[:20]) from None
        if isinstance(key, slice):
            return TaskPanel(self._tasks[key], name=self.name)
        return self._tasks[key]

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks)

    def __contains__(self, item: object) -> bool:
        return item in self._by_id if isinstance(item, str) else item in self._tasks

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskPanel) and self._tasks == other._tasks

    def __hash__(self) -> int:
        return hash(self._tasks)

    def __repr__(self) -> str:
        return f"TaskPanel({self.name!r}, {len(self)} tasks, {self.fingerprint})"

    @property
    def ids(self) -> tuple[str, ...]:
        """The task ids in order."""
        return tuple(task.id for task in self._tasks)

    @property
    def fingerprint(self) -> str:
        """Hash of the ids in their order. Equal fingerprints mean the same panel."""
        return content_hash(*self.ids)

    def counts(self, by: str = "category") -> dict[str, int]:
        """The number of tasks of each category (or split, backend …)."""
        return dict(sorted(Counter(str(getattr(task, by)) for task in self._tasks).items()))

    def select(
        self,
        *,
        split: str | None = None,
        category: str | None = None,
        where: Callable[[Task], bool] | None = None,
    ) -> TaskPanel:
        """The tasks that match, in the same order."""
        return TaskPanel(
            (
                task
                for task in self._tasks
                if (split is None or task.split == split)
                and (category is None or task.category == category)
                and (where is None or where(task))
            ),
            name=self.name,
        )

    def sample(self, n: int, seed: int) -> TaskPanel:
        """Draw ``n`` tasks without replacement. The result depends only on n, the seed and the set of tasks."""
        if not 0 <= n <= len(self):
            raise UsageError(f"Expected at most {len(self)} tasks, got n={n}; try a smaller sample.")
        keyed = sorted(self._tasks, key=lambda task: content_hash("sample", str(seed), task.id))
        return TaskPanel(keyed[:n], name=self.name)

    def save(self, path: str | Path) -> None:
        """Write the panel as a manifest (JSON) that :meth:`load` can read on any machine."""
        document = {
            "schema": _MANIFEST_SCHEMA,
            "version": _MANIFEST_VERSION,
            "name": self.name,
            "fingerprint": self.fingerprint,
            "tasks": [asdict(task) for task in self._tasks],
        }
        text = json.dumps(document, indent=1, ensure_ascii=False)
        if _SURROGATE.search(text):
            text = json.dumps(document, indent=1)
        write_text(path, text + "\n")

    @classmethod
    def load(cls, path: str | Path) -> TaskPanel:
        """Read a manifest written by :meth:`save`."""
        path = Path(path)
        text = read_file(path, "a panel manifest", "try TaskPanel.save first.")
        try:
            document = json.loads(text)
            if (document["schema"], document["version"]) != (_MANIFEST_SCHEMA, _MANIFEST_VERSION):
                raise DamagedDataError(
                    f"Expected {_MANIFEST_SCHEMA} version {_MANIFEST_VERSION} in {path}, got "
                    f"{document['schema']} version {document['version']}; try a matching release of this library."
                )
            panel = cls((Task(**task) for task in document["tasks"]), name=document["name"])
            stored_fingerprint = document["fingerprint"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            if isinstance(error, DamagedDataError):
                raise
            raise DamagedDataError(
                f"Expected a panel manifest in {path}, got {error!r}; try saving it again."
            ) from error
        if stored_fingerprint != panel.fingerprint:
            raise DamagedDataError(
                f"Expected fingerprint {stored_fingerprint} in {path}, got {panel.fingerprint} (the file was edited); "
                "try saving it again."
            )
        return panel
