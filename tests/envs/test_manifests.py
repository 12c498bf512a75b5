from __future__ import annotations

from pathlib import Path

import pytest

from agentgym_hindsight.envs.manifests import cached_rows

ROWS = [["1f", "train", "0"]]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_CACHE", str(tmp_path))
    return tmp_path


def not_called() -> list[list[str]]:
    raise AssertionError("the cache should have been used")


def test_rows_are_built_once_for_one_fingerprint(cache: Path) -> None:
    assert cached_rows("list", "a", lambda: ROWS) == ROWS
    assert cached_rows("list", "a", not_called) == ROWS
    assert cached_rows("list", "b", list) == []
    assert [path.name for path in cache.iterdir()] == ["list.json"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"version": 1}', '{"version": 1, "fingerprint": "a", "rows": 3}'])
def test_a_damaged_cache_is_rebuilt(cache: Path, damage: str) -> None:
    (cache / "list.json").write_text(damage)
    assert cached_rows("list", "a", lambda: ROWS) == ROWS
    assert cached_rows("list", "a", not_called) == ROWS


def test_rows_are_returned_when_the_cache_cannot_be_written(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "file").write_text("")
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_CACHE", str(cache / "file" / "folder"))
    assert cached_rows("list", "a", lambda: ROWS) == ROWS
