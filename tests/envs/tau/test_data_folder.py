"""The two layouts of official data, written from an embedded desk; and damaged files."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.envs.tau.data_folder import TABLES, has_domain, load_desk
from agentgym_hindsight.envs.tau.desk import DOMAINS, Desk
from agentgym_hindsight.envs.tau.embedded import embedded_desk
from agentgym_hindsight.errors import DamagedDataError, MissingDataError

TASKS = 12


def task_rows(desk: Desk) -> list[dict[str, Any]]:
    return [
        {
            "user_id": task.user_id,
            "instruction": task.instruction,
            "actions": [{"name": name, "kwargs": arguments} for name, arguments in task.actions],
            "outputs": list(task.outputs),
        }
        for task in desk.tasks["valid"][:TASKS]
    ]


def write_plain(folder: Path, domain: str, ending: str = "") -> None:
    desk, place = embedded_desk(domain, 0), folder / domain
    place.mkdir(parents=True)
    files: dict[str, Any] = {f"{name}.json": desk.initial.tables[name] for name in TABLES[domain]}
    files |= {"tasks_test.json": task_rows(desk), "tools.json": list(desk.schemas)}
    (place / "wiki.md").write_text(desk.policy, encoding="utf-8")
    for name, content in files.items():
        data = json.dumps(content).encode()
        data = {"": data, ".xz": lzma.compress(data), ".gz": gzip.compress(data)}[ending]
        (place / f"{name}{ending}").write_bytes(data)


def write_clone(folder: Path, domain: str) -> None:
    desk, place = embedded_desk(domain, 0), folder / "tau_bench" / "envs" / domain
    (place / "data").mkdir(parents=True)
    (place / "tools").mkdir()
    for name in TABLES[domain]:
        (place / "data" / f"{name}.json").write_text(json.dumps(desk.initial.tables[name]), encoding="utf-8")
    (place / "wiki.md").write_text(desk.policy, encoding="utf-8")
    rows = []
    for row in task_rows(desk):
        actions = ", ".join(f"Action(name={each['name']!r}, kwargs={each['kwargs']!r})" for each in row["actions"])
        head = f"annotator='0', user_id={row['user_id']!r}, instruction={row['instruction']!r}"
        rows.append(f"Task({head}, actions=[{actions}], outputs={row['outputs']!r}),")
    source = "from tau_bench.types import Action, Task\n\nTASKS = [\n" + "\n".join(rows) + "\n]\n"
    (place / "tasks_test.py").write_text(source, encoding="utf-8")
    for schema in desk.schemas:
        name = schema["function"]["name"]
        code = f"class Tool:\n    @staticmethod\n    def get_info():\n        return {schema!r}\n"
        (place / "tools" / f"{name}.py").write_text(code, encoding="utf-8")
    (place / "tools" / "__init__.py").write_text("raise SystemExit('code of the data ran')\n", encoding="utf-8")


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("form", ["", ".xz", ".gz", "clone"])
def test_each_layout_gives_the_same_desk(tmp_path: Path, domain: str, form: str) -> None:
    if form == "clone":
        write_clone(tmp_path, domain)
    else:
        write_plain(tmp_path, domain, form)
    assert has_domain(tmp_path, domain)
    desk, origin = load_desk(tmp_path, domain), embedded_desk(domain, 0)
    assert desk.initial.hash == origin.initial.hash
    assert desk.policy == origin.policy
    assert list(desk.schemas) == json.loads(json.dumps(list(origin.schemas)))
    assert set(desk.tasks) == {"test"}
    for loaded, made in zip(desk.tasks["test"], origin.tasks["valid"][:TASKS], strict=True):
        assert (loaded.user_id, loaded.instruction, loaded.outputs) == (made.user_id, made.instruction, made.outputs)
        assert [(name, dict(arguments)) for name, arguments in loaded.actions] == [*made.actions]


def test_missing_data_says_how_to_get_it(tmp_path: Path) -> None:
    assert not has_domain(tmp_path, "retail")
    assert not has_domain(None, "retail")
    with pytest.raises(MissingDataError, match=r"orders\.json"):
        load_desk(tmp_path, "retail")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("orders.json", b"[]"),
        ("orders.json", b"{"),
        ("orders.json", b"\xff\xfe"),
        ("orders.json", b"[" * 100_000),
        ("tasks_test.json", b'[{"user_id": "x"}]'),
        ("tasks_test.json", b"{}x"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    write_plain(tmp_path, "retail")
    (tmp_path / "retail" / name).write_bytes(content)
    with pytest.raises(DamagedDataError, match="tau-bench"):
        load_desk(tmp_path, "retail")


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    write_plain(tmp_path, "retail", ".xz")
    path = tmp_path / "retail" / "users.json.xz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DamagedDataError, match="users"):
        load_desk(tmp_path, "retail")


@pytest.mark.parametrize("source", ["TASKS = [", "TASKS = [Task(user_id=open('x'))]", "TASKS = [print('ran')]"])
def test_tasks_that_are_no_literals_are_refused(
    tmp_path: Path, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clone(tmp_path, "retail")
    (tmp_path / "tau_bench" / "envs" / "retail" / "tasks_test.py").write_text(source, encoding="utf-8")
    with pytest.raises(DamagedDataError, match="tasks_test"):
        load_desk(tmp_path, "retail")
    assert not capsys.readouterr().out
