"""The files of another program in the folder of a run are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.baselines.training.run_folder import check_run_folder, delete_run
from agentgym_hindsight.errors import UsageError


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl", "eval.jsonl", "policy", "checkpoint-3"])
def test_files_that_a_run_would_overwrite_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="--fresh"):
        check_run_folder(tmp_path)
    check_run_folder(tmp_path, fresh=True)


def test_other_files_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    check_run_folder(tmp_path)
    check_run_folder(tmp_path / "new")
    with pytest.raises(UsageError, match="Expected a folder"):
        check_run_folder(tmp_path / "notes.txt")


@pytest.mark.parametrize("text", ['{"schema": "another"}', "[]", "{", "[" * 100_000, '"agentgym-hindsight/run"'])
def test_a_description_of_another_program_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UsageError, match="--fresh"):
        check_run_folder(tmp_path)


def test_a_run_is_continued_also_if_its_description_is_cut(tmp_path: Path) -> None:
    RunLog(tmp_path).begin({"recipe": "grpo"})
    check_run_folder(tmp_path)
    path = tmp_path / "run.json"
    path.write_bytes(path.read_bytes()[:-5])
    check_run_folder(tmp_path)


def test_a_run_whose_description_was_deleted_is_continued(tmp_path: Path) -> None:
    RunLog(tmp_path).metrics({"update": 0, "turns": 9})
    (tmp_path / "checkpoint-1").mkdir()
    check_run_folder(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"loss": 1}\n')
    with pytest.raises(UsageError, match="--fresh"):
        check_run_folder(tmp_path)


def test_fresh_deletes_the_run_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    RunLog(folder).begin({"recipe": "grpo"})
    for name in ("policy", "checkpoint-2", "mine"):
        (folder / name).mkdir()
        (folder / name / "file").write_text(name)
    (folder / "notes.txt").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (folder / "checkpoint-9").symlink_to(tmp_path / "elsewhere")
    delete_run(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["mine", "notes.txt"]
    assert (tmp_path / "elsewhere").is_dir()
    for path in (folder / "mine" / "file", folder / "notes.txt"):
        path.unlink()
    (folder / "mine").rmdir()
    delete_run(folder)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["policy", "checkpoint-1"])
def test_fresh_deletes_no_folder_where_there_is_no_run(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=f"folders {name}"):
        check_run_folder(tmp_path, fresh=True)
    assert (tmp_path / name / "thesis.txt").read_text() == "mine"
