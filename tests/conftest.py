"""What all tests share. Official data is never part of this repository: tests that read it skip where it is absent."""

from __future__ import annotations

import os
import signal
import tarfile
from pathlib import Path

import pytest

# A shell that starts the suite in the background has it ignore Ctrl-C, and every child with it: tests that interrupt
# one would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_ARCHIVE = Path("data", "alfworld", "games_train600_validseen140.tar.xz")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with reference data: $AGENTGYM_HINDSIGHT_SHARED, or ``shared`` beside the repository."""
    place = os.environ.get("AGENTGYM_HINDSIGHT_SHARED") or Path(__file__).parents[2] / "shared"
    return Path(place)


@pytest.fixture(scope="session")
def alfworld_games(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Paths of official ALFWorld games, sorted."""
    archive = shared / _ARCHIVE
    if not archive.is_file():
        pytest.skip(f"no official ALFWorld games: {archive} is not there (set AGENTGYM_HINDSIGHT_SHARED)")
    target = tmp_path_factory.mktemp("alfworld")
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(target, filter="data")
        else:
            tar.extractall(target)
    games = sorted(target.rglob("game.tw-pddl"))
    if not games:
        pytest.skip(f"no official ALFWorld games inside {archive}")
    return games
