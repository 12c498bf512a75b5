from __future__ import annotations

from pathlib import Path

import pytest

from agentgym_hindsight.errors import MissingDataError, SchemaError, UnknownNameError, UsageError
from agentgym_hindsight.hindsight.jsonl import write_jsonl
from agentgym_hindsight.hindsight.reference_store import ReferenceStore
from agentgym_hindsight.hindsight.resolve import ReferenceSource, resolve
from agentgym_hindsight.hindsight.sources import Provenance
from agentgym_hindsight.hindsight.trajectory import Group, Step, Trajectory
from tests.hindsight.rollouts import GROUP, LOSER, SECOND_WINNER, WINNER


def success(task: str, length: int, name: str = "") -> Trajectory:
    steps = tuple(Step(i, "a room", "look", "", "") for i in range(length))
    return Trajectory(task, steps=steps, won=True, category=name)


def test_only_successful_rollouts_are_kept() -> None:
    store = ReferenceStore()
    assert store.add([LOSER, success("a", 2).replace(broken="crash"), success("b", 0)]) == 0
    assert len(store) == 0
    assert store.add(GROUP) == 1
    assert store.reference("lamp") is WINNER
    assert "lamp" in store
    assert repr(store) == "ReferenceStore('shortest', 1 tasks)"


def test_shortest_keeps_the_earlier_of_two_equal_ones() -> None:
    store = ReferenceStore()
    added = [store.add(success("a", n, name)) for n, name in ((3, "x"), (3, "y"), (5, "z"), (2, "w"))]
    assert added == [1, 0, 0, 1]
    assert [t.category for t in store] == ["w"]


def test_newest_keeps_the_last() -> None:
    store = ReferenceStore(keep="newest")
    assert store.add([success("a", 2, "x"), success("a", 9, "y")]) == 2
    assert [t.category for t in store] == ["y"]


def test_capacity_drops_the_least_recently_replaced() -> None:
    store = ReferenceStore(capacity=2)
    store.add([success("a", 3), success("b", 3), success("a", 2), success("c", 3)])
    assert [t.task_id for t in store] == ["a", "c"]
    assert store.reference("b") is None


def test_save_and_load(tmp_path: Path) -> None:
    store = ReferenceStore(capacity=5)
    store.add([success("b", 2), success("a", 3, "é\ud800"), success("b", 1)])
    store.save(tmp_path / "references.jsonl")
    loaded = ReferenceStore.load(tmp_path / "references.jsonl", capacity=5)
    assert list(loaded) == list(store)
    assert list(ReferenceStore.load(tmp_path / "references.jsonl", "newest", 1)) == list(store)[-1:]
    write_jsonl(tmp_path / "any.jsonl", GROUP)
    assert list(ReferenceStore.load(tmp_path / "any.jsonl", "newest")) == [SECOND_WINNER]
    (tmp_path / "any.jsonl").write_text("{\n")
    with pytest.raises(SchemaError, match="line 1"):
        ReferenceStore.load(tmp_path / "any.jsonl")
    with pytest.raises(MissingDataError):
        ReferenceStore.load(tmp_path / "none.jsonl")


def test_it_is_a_reference_source() -> None:
    store: ReferenceSource = ReferenceStore()
    assert isinstance(store, ReferenceStore)
    store.add(WINNER)
    reference = resolve(Group([LOSER]), store)[0][0].successful_trajectory
    assert reference is not None
    assert reference.provenance is Provenance.STORE


def test_wrong_arguments() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'shortest'"):
        ReferenceStore(keep="shorter")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="capacity"):
        ReferenceStore(capacity=0)
