"""The native ALFWorld engine compared with the genuine one."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from agentgym_hindsight.envs.alfworld import genuine as genuine_module
from agentgym_hindsight.envs.alfworld import parity
from agentgym_hindsight.envs.alfworld.gamewriter import write_game
from agentgym_hindsight.envs.alfworld.genuine import GenuinePlay
from agentgym_hindsight.envs.alfworld.native import House, Play
from agentgym_hindsight.envs.alfworld.parity import Difference, GameReport, ParityReport, find_games, run_parity
from agentgym_hindsight.envs.alfworld.scene import TASK_TYPES
from agentgym_hindsight.errors import BackendError, MissingDataError, MissingExtraError, ResetNeededError, UsageError
from tests.envs.alfworld.scenes import kitchen
from tests.parity.frozen_alfworld import FILE, digest, scenes

needs_genuine = pytest.mark.skipif(
    find_spec("alfworld") is None or sys.version_info >= (3, 13),
    reason="the genuine engine is not installed (pip install alfworld) or does not run (textworld 1.7.0, Python 3.13)",
)


def test_recorded_replies_of_the_genuine_engine() -> None:
    """420 turns in houses with all known unusual properties; see frozen_alfworld.py."""
    games = json.loads(FILE.read_text(encoding="utf-8"))["games"]
    for scene, turns in zip(scenes(), games, strict=True):
        play = Play(House(scene))
        for number, (command, text, won, offered) in enumerate(turns):
            if number:
                play.step(command)
            where = f"{scene.goal.task_type}, turn {number}: {command!r}"
            assert play.observation == text, where
            assert play.won == won, where
            assert digest(play.admissible) == offered, where


@pytest.mark.slow
@pytest.mark.genuine
@needs_genuine
def test_official_games(alfworld_games: list[Path]) -> None:
    chosen = []
    for task_type in TASK_TYPES:
        of_type = [path for path in alfworld_games if path.parts[-3].startswith(task_type)]
        chosen += [of_type[0], of_type[-1]]
    report = run_parity(chosen, seed=7, turns_per_game=25, workers=2)
    assert report.agrees, report.summary()
    assert report.summary().splitlines()[-1] == f"differences: 0 of {12 * 26} turns"


@pytest.mark.slow
@pytest.mark.genuine
@needs_genuine
def test_written_games(tmp_path: Path) -> None:
    """Both engines play games that gamewriter has written in the same way."""
    files = [write_game(scene, tmp_path / scene.goal.task_type) for scene in scenes()]
    report = run_parity(files[:3], seed=3, turns_per_game=25, workers=2)
    assert report.agrees, report.summary()


def _stand_in(job: tuple[object, ...]) -> GameReport:
    name = str(job[-1])
    clash = Difference(name, 1, "look", "observation", "'here'", "'there'")
    return GameReport(name, 3, False, (clash,) if "b" in name else (), "BackendError: ill" if "c" in name else "")


def test_summary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(parity, "_work", _stand_in)
    files = [tmp_path / letter / "x" / "y" / "game.tw-pddl" for letter in "abc"]
    report = run_parity(files, progress=True)
    assert report.summary().splitlines() == [
        "b/x/y turn 1 'look': observation",
        "  native:  'here'",
        "  genuine: 'there'",
        "not compared: c/x/y: BackendError: ill",
        "games: 3 compared, 0 of them won on the way",
        "differences: 1 of 9 turns",
    ]
    assert not report.agrees
    assert len(run_parity(files, games=2).games) == 2


def test_an_interrupted_run_keeps_the_finished_games(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(job: tuple[object, ...]) -> GameReport:
        if "c" in str(job[-1]):
            raise KeyboardInterrupt
        return _stand_in(job)

    monkeypatch.setattr(parity, "_work", interrupted)
    report = run_parity([tmp_path / letter / "x" / "y" / "game.tw-pddl" for letter in "abcd"])
    assert [game.file for game in report.games] == ["a/x/y", "b/x/y"]
    assert report.interrupted
    assert "interrupted" in report.summary()


def test_an_empty_report_does_not_agree() -> None:
    assert not ParityReport(()).agrees


def test_a_damaged_game_does_not_end_the_run(tmp_path: Path) -> None:
    (tmp_path / "game.tw-pddl").write_text("{", encoding="utf-8")
    report = run_parity(tmp_path)
    assert report.turns == 0
    assert "DamagedDataError" in report.errors[0]


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        run_parity(tmp_path, workers=0)
    with pytest.raises(MissingDataError, match="found none"):
        find_games(tmp_path)


def test_errors_before_the_genuine_engine_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingDataError, match="nothing at"):
        GenuinePlay(tmp_path / "game.tw-pddl")
    file = write_game(kitchen(), tmp_path)
    play = GenuinePlay(file)
    with pytest.raises(ResetNeededError):
        play.step("look")
    monkeypatch.setitem(sys.modules, "textworld", None)
    with pytest.raises(MissingExtraError, match="pip install"):
        play.reset()


def test_failures_of_the_genuine_engine_are_backend_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def reset(self) -> None:
            raise NameError("name 'r' is not defined")

        def close(self) -> None:
            pass

    monkeypatch.setattr(genuine_module, "_open", lambda path: Broken())
    play = GenuinePlay(write_game(kitchen(), tmp_path))
    monkeypatch.setattr(genuine_module, "_BROKEN_SINCE", (3, 99))
    with pytest.raises(BackendError, match="failed in reset") as caught:
        play.reset()
    assert "3.13" not in str(caught.value)
    monkeypatch.setattr(genuine_module, "_BROKEN_SINCE", (3, 0))
    with pytest.raises(BackendError, match=r"do not work on Python 3\.13"):
        play.reset()
    play.close()
