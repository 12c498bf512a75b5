"""The database of a world: rows, the snapshot, and the record of changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import permutations

import pytest

from agentgym_hindsight.envs.appworld.miniature import database as database_module
from agentgym_hindsight.envs.appworld.miniature.database import Database, FullError
from agentgym_hindsight.envs.appworld.miniature.delta import Delta
from agentgym_hindsight.envs.appworld.miniature.schema import NOW, Table
from agentgym_hindsight.errors import UnknownNameError, UsageError

SCHEMA = {
    table.name: table
    for table in (
        Table("toys_cars", id=int, color=str, price=(float, 1.0), new=(bool, True), tags=(list, []), made=(str, NOW)),
        Table("toys_owners", key=("name", "car"), name=str, car=int, note=(str, None)),
        Table("system_visits", id=int, system=True),
    )
}


@pytest.fixture
def db() -> Iterator[Database]:
    database = Database(SCHEMA)
    database.now = "2030-01-01T10:00:00"
    for color in ("red", "blue", "green"):
        database.insert("toys_cars", color=color)
    database.insert("toys_owners", name="ann", car=1)
    database.seal()
    yield database
    assert database.intact()
    database.close()


def test_a_row_is_read_as_it_was_inserted(db: Database) -> None:
    number = db.insert("toys_cars", color='it\'s "odd"; DROP TABLE toys_cars', price=2, new=False, tags=["a", "ü"])
    assert db.row("toys_cars", id=number) == {
        "id": 4,
        "color": 'it\'s "odd"; DROP TABLE toys_cars',
        "price": 2.0,
        "new": False,
        "tags": ["a", "ü"],
        "made": "2030-01-01T10:00:00",
    }
    assert db.insert("toys_owners", name="ben", car=1) == 0
    assert db.find("toys_owners", note=None, name="ben") == {"name": "ben", "car": 1, "note": None}
    assert [row["name"] for row in db.rows("toys_owners")] == ["ann", "ben"]
    assert db.find("toys_owners", name="zed") is None


def test_wrong_names_values_and_keys_are_errors(db: Database) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'toys_cars'"):
        db.rows("toys_car")
    with pytest.raises(UnknownNameError, match="did you mean 'color'"):
        db.insert("toys_cars", colour="red")
    with pytest.raises(UnknownNameError, match="column of toys_cars"):
        db.rows("toys_cars", colour="red")
    with pytest.raises(UnknownNameError, match="column of toys_cars"):
        db.update("toys_cars", 1, colour="red")
    with pytest.raises(UsageError, match=r"Expected a value for toys_cars.color, got none"):
        db.insert("toys_cars", price=1.0)
    for wrong in (5, None, ["red"]):
        with pytest.raises(UsageError, match=r"Expected str for toys_cars.color"):
            db.insert("toys_cars", color=wrong)
    with pytest.raises(UsageError, match="Expected int"):
        db.insert("toys_owners", name="x", car=2**63)
    with pytest.raises(UsageError, match="Expected int"):
        db.insert("toys_owners", name="x", car=True)
    with pytest.raises(UsageError, match="Expected one row in toys_cars"):
        db.row("toys_cars", new=True)
    with pytest.raises(UsageError, match="Expected a row of toys_cars with key"):
        db.delete("toys_cars", 99)
    with pytest.raises(UsageError, match="Expected the key of toys_cars to stay"):
        db.update("toys_cars", 1, id=7)
    assert not db.delta()


def test_the_delta_lists_added_removed_and_changed_rows(db: Database) -> None:
    db.update("toys_cars", 1, color="black", tags=["fast"])
    db.delete("toys_owners", ("ann", 1))
    db.insert("toys_owners", name="ben", car=2)
    delta = db.delta()
    (change,) = delta["toys_cars"].changed
    assert change.columns == ("color", "tags")
    assert (change.before["color"], change.after["color"]) == ("red", "black")
    assert delta["toys_owners"].added == ({"name": "ben", "car": 2, "note": None},)
    assert delta["toys_owners"].removed == ({"name": "ann", "car": 1, "note": None},)
    assert set(delta) == {"toys_cars", "toys_owners"}
    assert delta.summary() == (
        "toys_cars: 1 changed (id=1: color 'red' → 'black', tags [] → ['fast'])\n"
        "toys_owners: 1 added (name='ben', car=2, note=None), 1 removed (name='ann', car=1, note=None)"
    )
    assert "system_visits" not in delta
    assert delta["system_visits"] == ((), (), ())


def test_a_summary_has_bounded_length(db: Database) -> None:
    for _ in range(50):
        db.insert("toys_cars", color="x" * 10_000)
    assert "50 added" in db.delta().summary()
    assert "and 47 more" in db.delta().summary()
    assert len(db.delta().summary()) < 800


def test_undone_changes_are_not_recorded(db: Database) -> None:
    empty, dump = db.delta_key(), db.dump()
    db.update("toys_cars", 1, color="black")
    db.update("toys_cars", 1, price=5)
    db.insert("toys_cars", color="white")
    row = db.row("toys_owners", name="ann")
    db.delete("toys_owners", row)
    assert db.delta_key() != empty
    db.insert("toys_owners", **row)
    db.delete("toys_cars", 4)
    db.update("toys_cars", 1, price=1, color="red")
    assert (db.delta_key(), len(db.delta()), db.dump()) == (empty, 0, dump)
    db.update("toys_cars", 2, color="blue")  # the value of the snapshot
    assert db.delta_key() == empty


def test_equal_states_have_equal_keys_in_any_order_of_writes(db: Database) -> None:
    def black() -> None:
        db.update("toys_cars", 1, color="black")

    def gone() -> None:
        db.delete("toys_cars", 2)

    def linked() -> None:
        db.insert("toys_owners", name="ben", car=2)

    def dear() -> None:
        db.update("toys_cars", 1, price=9)

    keys, deltas = set[str](), set[Delta]()
    for order in permutations((black, gone, linked, dear)):
        for write in order:
            write()
        keys.add(db.delta_key())
        deltas.add(db.delta())
        db.reset()
    assert len(keys) == len(deltas) == 1


def test_different_states_have_different_keys(db: Database) -> None:
    keys = [db.delta_key()]
    for place in range(200):
        db.insert("toys_cars", color=str(place % 3))
        keys.append(db.delta_key())
    db.update("toys_cars", 1, color="1")
    keys.append(db.delta_key())
    assert len(set(keys)) == len(keys)


def test_reading_does_not_change_the_key(db: Database) -> None:
    db.update("toys_cars", 1, color="black")
    before = db.delta_key()
    db.rows("toys_cars")
    db.delta()
    db.dump()
    assert db.delta_key() == before


def test_new_ids_depend_only_on_the_state(db: Database) -> None:
    assert db.insert("toys_cars", color="a") == 4
    db.delete("toys_cars", 4)
    assert db.insert("toys_cars", color="b") == 4  # the id of a row that was removed again is free
    db.reset()
    db.delete("toys_cars", 3)
    assert db.insert("toys_cars", color="c") == 4  # an id of the snapshot is never reused
    db.reset()
    for number in (1, 2, 3):
        db.delete("toys_cars", number)
    assert db.insert("toys_cars", color="d") == 4


def test_reset_restores_all_data(db: Database) -> None:
    dump = db.dump()
    for round_ in range(3):
        for place in range(50):
            db.insert("toys_cars", color=f"{round_} {place}")
        db.delete("toys_cars", 1)
        db.update("toys_cars", 2, tags=["x"])
        assert db.dump() != dump
        db.reset()
        assert db.dump() == dump
        assert not db.delta(system=True)


def test_a_failed_atomic_block_is_rolled_back(db: Database) -> None:
    db.insert("toys_cars", color="kept")
    before, dump = db.delta_key(), db.dump()

    def fail() -> None:
        with db.atomic():
            db.insert("toys_cars", color="lost")
            db.delete("toys_cars", 1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (db.delta_key(), db.dump()) == (before, dump)
    with db.atomic():
        db.insert("toys_cars", color="kept too")
    assert len(db.delta()["toys_cars"].added) == 2


def test_system_tables_change_the_key_but_not_the_delta(db: Database) -> None:
    empty = db.delta_key()
    db.insert("system_visits")
    assert not db.delta()
    assert set(db.delta(system=True)) == {"system_visits"}
    assert db.delta_key() != empty


def test_a_snapshot_opens_as_several_independent_databases(db: Database) -> None:
    frozen = db.freeze()
    copies = [Database(SCHEMA, frozen) for _ in range(3)]
    for place, copy in enumerate(copies):
        copy.seal()
        for _ in range(place):
            copy.insert("toys_cars", color="mine")
    assert [len(copy.rows("toys_cars")) for copy in copies] == [3, 4, 5]
    assert len(db.rows("toys_cars")) == 3
    copies[2].reset()
    assert copies[2].dump() == db.dump()
    assert frozen.size > 0
    for copy in copies:
        copy.close()


def test_freezing_needs_a_database_without_changes(db: Database) -> None:
    db.insert("toys_cars", color="red")
    with pytest.raises(UsageError, match="without changes"):
        db.freeze()
    db.reset()
    db.freeze()


def test_without_serialize_a_snapshot_is_a_copied_database(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "hasattr", lambda *_: False, raising=False)
    frozen = db.freeze()
    copy = Database(SCHEMA, frozen)
    copy.seal()
    copy.insert("toys_cars", color="mine")
    copy.reset()
    assert copy.dump() == db.dump()
    assert frozen.size > 0
    copy.close()


def test_the_changes_of_an_episode_have_a_size_limit(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "CAPACITY", 100_000)

    def fill() -> None:
        for _ in range(20):
            with db.atomic():
                db.insert("toys_cars", color="x" * 10_000)

    with pytest.raises(FullError):
        fill()
    assert 5 < len(db.delta()["toys_cars"].added) < 10
    db.reset()
    for _ in range(200):  # overwritten values do not count
        db.update("toys_cars", 1, color="y" * 10_000)
        db.update("toys_cars", 1, color="red")
    assert db.row("toys_cars", id=1)["color"] == "red"


def test_a_read_only_database_rejects_writes(db: Database) -> None:
    db.read_only = True
    with pytest.raises(RuntimeError, match="only reads"):
        db.insert("toys_cars", color="red")
    db.read_only = False


def test_ids_before_the_snapshot_follow_the_stored_rows() -> None:
    """Rows are stored in batches before ``seal``; ids, reads and undone blocks are as if each were stored at once."""
    db = Database(SCHEMA)
    db.now = "2030-01-01T10:00:00"
    assert [db.insert("toys_cars", color=color) for color in ("red", "blue")] == [1, 2]
    assert [row["color"] for row in db.rows("toys_cars")] == ["red", "blue"]
    assert db.insert("toys_cars", id=9, color="green") == 9
    assert db.insert("toys_cars", color="grey") == 10
    assert db.highest("toys_cars", "id") == 10
    db.delete("toys_cars", 10)
    assert db.insert("toys_cars", color="black") == 10
    db.update("toys_cars", 10, color="white")
    with suppress(ZeroDivisionError), db.atomic():
        assert db.insert("toys_cars", color="gone") == 11
        raise ZeroDivisionError
    assert db.insert("toys_cars", color="pink") == 11
    db.seal()
    assert [(row["id"], row["color"]) for row in db.rows("toys_cars")] == [
        (1, "red"),
        (2, "blue"),
        (9, "green"),
        (10, "white"),
        (11, "pink"),
    ]
    assert db.insert("toys_cars", color="late") == 12
    assert db.intact()
    db.close()
