from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.errors import DamagedDataError, MissingDataError, SchemaError, UnknownNameError, UsageError
from agentgym_hindsight.tasks import SeededOrder, Task, TaskPanel, content_hash, seeded_int

TASKS = [Task(f"{n:02x}", "demo", "train" if n % 2 else "valid", "abc"[n % 3], f"do {n}", f"at/{n}") for n in range(12)]


@pytest.fixture
def panel() -> TaskPanel:
    return TaskPanel(TASKS, name="demo")


def test_content_hash() -> None:
    assert len(content_hash("a")) == 16
    assert content_hash("a", b"b") == content_hash(b"a", "b")
    assert len({content_hash(*parts) for parts in (("a", "b"), ("ab",), ("b", "a"), ("", "ab"), ("ab", ""), ())}) == 6
    assert content_hash("\ud800")  # a lone surrogate is content too


def test_hashes_do_not_depend_on_the_hash_seed() -> None:
    code = "from agentgym_hindsight.tasks import *; print(content_hash('é', 'b'), seeded_int('x', 3, None))"
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == [content_hash("é", "b"), str(seeded_int("x", 3, None))]


def test_a_task_as_json() -> None:
    task = Task("1f", "demo", "train", "easy", "say \ud800 \x1b", "at/1", "embedded")
    document = task.to_dict()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert Task.from_dict(json.loads(json.dumps(document))) == task
    del document["locator"], document["backend"]
    assert Task.from_dict(document) == Task("1f", "demo", "train", "easy", "say \ud800 \x1b")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "a task as a mapping, got list"),
        ({"id": "1f"}, "Expected env, split, category, goal in a task"),
        ({**TASKS[0].to_dict(), "goal": None}, "Expected text as goal of a task, got None"),
        ({**TASKS[0].to_dict(), "id": 7}, "Expected text as id of a task, got 7"),
        ({**TASKS[0].to_dict(), "colour\n": "red"}, r"got the key 'colour\\n'; try removing it"),
        ({**TASKS[0].to_dict(), 3: "red"}, "got the key 3"),
    ],
)
def test_other_documents_are_no_tasks(document: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Task.from_dict(document)


def test_the_repr_of_a_task_is_one_short_line() -> None:
    assert repr(TASKS[1]) == "Task('01', demo, train, b, 'do 1')"
    text = "\x1b[2J long\n" * 5000
    assert len(repr(Task(text, text, text, text, text, text, text))) < 300
    assert repr(Task(text, text, text, text, text)).isprintable()
    assert repr(Task("1f", "", "", "", "")) == "Task('1f', '')"


def test_seeded_int() -> None:
    assert seeded_int("a", 1) == seeded_int("a", 1) != seeded_int("a", 2)
    assert seeded_int("a", 11) != seeded_int("a", 1, 1)
    assert all(0 <= seeded_int(n, bits=8) < 256 for n in range(50))
    assert seeded_int("\ud800") >= 0


@pytest.mark.parametrize("n", [1, 2, 3, 7, 12, 100, 3553])
@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_an_order_visits_every_index_once_and_then_repeats(n: int, seed: int) -> None:
    order = SeededOrder(n, seed)
    first = [order[i] for i in range(n)]
    assert sorted(first) == list(range(n))
    assert [order[i] for i in range(n, 2 * n)] == first
    assert first == [SeededOrder(n, seed)[i] for i in range(n)]


def test_orders_differ_by_seed() -> None:
    assert len({tuple(SeededOrder(97, seed)[i] for i in range(97)) for seed in range(30)}) > 25
    with pytest.raises(UsageError, match="at least one task"):
        SeededOrder(0, 1)


def test_a_panel_is_a_sequence(panel: TaskPanel) -> None:
    assert len(panel) == 12
    assert list(panel) == TASKS
    assert panel[3] is TASKS[3] is panel["03"]
    assert panel[-1] is TASKS[-1]
    assert panel[2:4] == TaskPanel(TASKS[2:4])
    assert panel[2:4].name == "demo"
    assert "03" in panel
    assert TASKS[3] in panel
    assert "zz" not in panel
    assert 3 not in panel
    assert panel.ids[:2] == ("00", "01")
    assert panel != TASKS
    assert hash(panel) == hash(TaskPanel(TASKS))
    assert repr(panel) == f"TaskPanel('demo', 12 tasks, {panel.fingerprint})"
    assert pickle.loads(pickle.dumps(panel)) == panel
    with pytest.raises(UnknownNameError, match="task id"):
        panel["zz"]
    with pytest.raises(IndexError):
        panel[99]


def test_a_panel_refuses_a_task_that_comes_twice() -> None:
    with pytest.raises(UsageError, match=r"1 task\(s\) twice \(first: 00\)"):
        TaskPanel([TASKS[0], TASKS[1], TASKS[0]])


def test_fingerprints(panel: TaskPanel) -> None:
    assert panel.fingerprint == TaskPanel(TASKS).fingerprint
    assert panel.fingerprint != TaskPanel(TASKS[::-1]).fingerprint
    assert panel.fingerprint != TaskPanel(TASKS[:-1]).fingerprint


def test_select_and_counts(panel: TaskPanel) -> None:
    assert panel.counts() == {"a": 4, "b": 4, "c": 4}
    assert panel.counts("split") == {"train": 6, "valid": 6}
    assert [task.id for task in panel.select(split="train", category="b")] == ["01", "07"]
    assert [task.id for task in panel.select(where=lambda task: task.goal == "do 4")] == ["04"]
    assert len(panel.select(split="none")) == 0


def test_sample(panel: TaskPanel) -> None:
    drawn = panel.sample(5, seed=1)
    assert drawn == panel.sample(5, seed=1)
    assert drawn == TaskPanel(TASKS[::-1]).sample(5, seed=1)  # the order of the panel does not matter
    assert len(set(drawn.ids)) == 5
    assert panel.sample(3, seed=1).ids == drawn.ids[:3]
    assert {panel.sample(1, seed=seed).ids for seed in range(80)} == {(task.id,) for task in TASKS}
    for n in (-1, 13):
        with pytest.raises(UsageError, match="at most 12"):
            panel.sample(n, seed=1)


def test_save_and_load(panel: TaskPanel, tmp_path: Path) -> None:
    path = tmp_path / "panel.json"
    panel.save(path)
    again = TaskPanel.load(str(path))
    assert again == panel
    assert again.name == "demo"
    with pytest.raises(MissingDataError, match="found no file"):
        TaskPanel.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda document: document.update(version=2), "version 2"),
        (lambda document: document.update(schema="other"), "got other"),
        (lambda document: document["tasks"].pop(), "fingerprint"),
        (lambda document: document["tasks"].reverse(), "fingerprint"),
        (lambda document: document["tasks"].append(document["tasks"][0]), "twice"),
        (lambda document: document.pop("name"), "KeyError"),
        (lambda document: document["tasks"][0].pop("goal"), "TypeError"),
        (lambda document: document["tasks"][0].update(colour="red"), "TypeError"),
    ],
)
def test_damaged_manifests_are_refused(panel: TaskPanel, tmp_path: Path, change: object, word: str) -> None:
    path = tmp_path / "panel.json"
    panel.save(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)  # type: ignore[operator]
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DamagedDataError, match=word):
        TaskPanel.load(path)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '"x"', "\x00"])
def test_other_files_are_refused_as_manifests(tmp_path: Path, text: str) -> None:
    path = tmp_path / "panel.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DamagedDataError, match="panel manifest"):
        TaskPanel.load(path)
