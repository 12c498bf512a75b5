"""Atomic writes: modes, links, long names, failures, several writers."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentgym_hindsight.atomic import atomic_file, atomic_folder, write_text


@pytest.fixture(params=[0o022, 0o077], ids=["umask 022", "umask 077"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_new_files_and_folders_have_the_usual_mode(tmp_path: Path, umask: int) -> None:
    write_text(tmp_path / "file", "new")
    with atomic_folder(tmp_path / "folder") as temporary:
        (temporary / "file").write_text("new", encoding="utf-8")
    assert mode(tmp_path / "file") == mode(tmp_path / "folder" / "file") == 0o666 & ~umask
    assert mode(tmp_path / "folder") == 0o777 & ~umask


@pytest.mark.parametrize("bits", [0o600, 0o664, 0o755])
def test_a_replaced_file_keeps_its_mode(tmp_path: Path, bits: int) -> None:
    (tmp_path / "file").write_text("old", encoding="utf-8")
    (tmp_path / "file").chmod(bits)
    write_text(tmp_path / "file", "new")
    assert mode(tmp_path / "file") == bits
    assert (tmp_path / "file").read_text(encoding="utf-8") == "new"


def test_writing_does_not_change_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Another thread may create a file at the same moment.
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was set"))
    write_text(tmp_path / "file", "new")
    with atomic_folder(tmp_path / "folder"):
        pass


def test_missing_parents_are_created(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "file", "new")
    with atomic_folder(tmp_path / "c" / "d" / "folder"):
        pass
    assert (tmp_path / "a" / "b" / "file").is_file()
    assert (tmp_path / "c" / "d" / "folder").is_dir()


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_a_failure_in_the_block_leaves_the_old_content(tmp_path: Path, kind: type[BaseException]) -> None:
    def half_a_file() -> None:
        with atomic_file(tmp_path / "file") as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise kind

    def half_a_folder() -> None:
        with atomic_folder(tmp_path / "folder") as temporary:
            (temporary / "file").write_text("half", encoding="utf-8")
            raise kind

    write_text(tmp_path / "file", "old")
    for fail in (half_a_file, half_a_folder):
        with pytest.raises(kind):
            fail()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text(encoding="utf-8") == "old"


def test_the_longest_name_of_a_file_can_be_written(tmp_path: Path) -> None:
    for name in ("x" * 255, "ü" * 127):
        write_text(tmp_path / name, "new")
        assert (tmp_path / name).read_text(encoding="utf-8") == "new"


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    write_text(tmp_path / "link", "new")
    write_text(tmp_path / "dangling", "new")
    assert (tmp_path / "target").read_text(encoding="utf-8") == "old"
    assert not (tmp_path / "link").is_symlink()
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_is_not_replaced_by_a_file_nor_a_file_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    write_text(tmp_path / "file", "old")
    with pytest.raises(OSError, match="folder"):
        write_text(tmp_path / "folder", "new")
    with pytest.raises(OSError, match="file"), atomic_folder(tmp_path / "file"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_the_first_of_several_writers_of_a_folder_wins(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "folder") as slow:
        (slow / "who").write_text("slow", encoding="utf-8")
        with atomic_folder(tmp_path / "folder") as quick:
            (quick / "who").write_text("quick", encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert (tmp_path / "folder" / "who").read_text(encoding="utf-8") == "quick"


def test_readers_see_whole_contents_while_several_threads_write(tmp_path: Path) -> None:
    path, stop = tmp_path / "file", threading.Event()
    texts = [letter * 100_000 for letter in "abcd"]
    write_text(path, texts[0])

    def read() -> set[str]:
        seen = set()
        while not stop.is_set():
            seen.add(path.read_text(encoding="utf-8"))
        return seen

    def write(text: str) -> None:
        for _ in range(20):
            write_text(path, text)

    with ThreadPoolExecutor(5) as pool:
        reader = pool.submit(read)
        writers = [pool.submit(write, text) for text in texts]
        for writer in writers:
            writer.result()
        stop.set()
        assert reader.result() <= set(texts)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
