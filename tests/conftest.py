"""Fixtures of all tests. Tests that need official data, which is not in this repository, are skipped without it."""

from __future__ import annotations

import os
import signal
import tarfile
from pathlib import Path

import pytest

# A shell that starts the suite in the background makes it and its children ignore Ctrl-C, and tests that interrupt a
# child would wait forever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_ARCHIVE = Path("data", "alfworld", "games_train600_validseen140.tar.xz")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with reference data: $AGENTGYM_HINDSIGHT_SHARED, or ``shared`` next to the repository."""
    place = os.environ.get("AGENTGYM_HINDSIGHT_SHARED") or Path(__file__).parents[2] / "shared"
    return Path(place)


@pytest.fixture(scope="session")
def alfworld_games(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Paths of official ALFWorld games, sorted."""
    archive = shared / _ARCHIVE
    if not archive.is_file():
        pytest.skip(f"no official ALFWorld games: {archive} does not exist (set AGENTGYM_HINDSIGHT_SHARED)")
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
