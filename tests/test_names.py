from __future__ import annotations

from pathlib import Path

import pytest

from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.names import import_object, is_import_name, known_name


def test_case_and_blanks_do_not_matter() -> None:
    assert known_name("environment id", " alfworld-hindsight-V0 ", ["ALFWorld-Hindsight-v0"]) == "ALFWorld-Hindsight-v0"
    assert known_name("name", "A", ["a", "A"]) == "A"


@pytest.mark.parametrize(("typed", "meant"), [("SERK", "serl"), ("gr", "grpo"), ("GIGPOO", "gigpo")])
def test_an_unknown_name_gets_a_suggestion(typed: str, meant: str) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean '{meant}'"):
        known_name("method", typed, ["serl", "grpo", "gigpo"])


def test_names_that_differ_only_in_case_are_not_guessed() -> None:
    with pytest.raises(UnknownNameError):
        known_name("name", "AB", ["ab", "Ab"])


def test_a_huge_unknown_name_is_refused_quickly() -> None:
    with pytest.raises(UnknownNameError) as caught:
        known_name("name", "a" * 1_000_000, ["a" * 50])
    assert len(str(caught.value)) < 500


def test_a_module_in_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_objects_of_names.py").write_text("class A:\n    B = 3\n")
    monkeypatch.chdir(tmp_path)
    assert import_object("number", "my_objects_of_names:A.B") == 3
    with pytest.raises(UnknownNameError, match="did you mean 'A'"):
        import_object("number", "my_objects_of_names:a")


@pytest.mark.parametrize("name", ["serl", "a:", ":b", "a:b:c", "../a:b", "a b:c"])
def test_other_forms_are_no_import_names(name: str) -> None:
    assert not is_import_name(name)
    with pytest.raises(UsageError, match=r"package\.module:NAME"):
        import_object("method", name)


def test_a_module_that_cannot_be_imported_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no module 'nothing_of_this_name'"):
        import_object("method", "nothing_of_this_name:METHOD")
    (tmp_path / "broken_module_of_names.py").write_text("1 / 0\n")
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        import_object("method", "broken_module_of_names:METHOD")


def test_a_module_that_ends_the_process_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ending_module_of_names.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(UsageError, match="SystemExit: 3"):
        import_object("method", "ending_module_of_names:METHOD")
