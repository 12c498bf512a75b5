"""Files with predictable names: what others have made or can change is not used, and nothing foreign is changed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from agentgym_hindsight.envs import trusted_folders
from agentgym_hindsight.envs.appworld.official import interpreter
from agentgym_hindsight.envs.appworld.official.slots import UrlSlot
from agentgym_hindsight.envs.manifests import CACHE_CURE, cached_rows
from agentgym_hindsight.envs.trusted_folders import (
    UntrustedFolderError,
    check_trusted,
    make_folder,
    open_lock,
    read_trusted_text,
)
from agentgym_hindsight.envs.webshop.cache_folders import build_folder, check_files, file_checksums
from agentgym_hindsight.errors import HindsightError
from agentgym_hindsight.tasks import content_hash

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="users and modes of Unix")
as_root = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can give files away")

FOREIGN = 12_345
URL = "http://127.0.0.1:9"


def give_away(path: Path) -> None:
    os.chown(path, FOREIGN, FOREIGN, follow_symlinks=False)


class TestCheck:
    def test_a_folder_of_this_user_and_an_absent_one_are_trusted(self, tmp_path: Path) -> None:
        check_trusted(tmp_path, "nothing")
        check_trusted(tmp_path / "a" / "b", "nothing", below=tmp_path)

    @as_root
    def test_a_foreign_owner_is_refused(self, tmp_path: Path) -> None:
        give_away(tmp_path)
        with pytest.raises(UntrustedFolderError, match=rf"got user {FOREIGN}, who could .*; try CACHE=…\.") as caught:
            check_trusted(tmp_path, "CACHE=…")
        assert isinstance(caught.value, HindsightError)
        assert isinstance(caught.value, OSError)

    @pytest.mark.parametrize("mode", [0o777, 0o707, 0o1777])
    def test_a_folder_that_all_may_write_is_refused(self, mode: int, tmp_path: Path) -> None:
        tmp_path.chmod(mode)
        with pytest.raises(UntrustedFolderError, match=rf"got mode {mode:o}; try `chmod go-w {tmp_path}`"):
            check_trusted(tmp_path, "CACHE=…")
        tmp_path.chmod(0o700)

    @as_root
    def test_a_folder_that_a_foreign_group_may_write_is_refused(self, tmp_path: Path) -> None:
        os.chown(tmp_path, 0, FOREIGN)
        tmp_path.chmod(0o775)
        with pytest.raises(UntrustedFolderError, match="writable by its owner only, got mode 775"):
            check_trusted(tmp_path, "CACHE=…")
        tmp_path.chmod(0o755)
        check_trusted(tmp_path, "CACHE=…")

    @pytest.mark.parametrize(
        ("name", "members", "trusted"),
        [("ann", [], True), ("ann", ["ann"], True), ("ann", ["bob"], False), ("lab", [], False)],
    )
    def test_a_group_of_this_user_alone_may_write(
        self, name: str, members: list[str], trusted: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Systems with a umask of 002 give each user such a group."""
        import grp
        import pwd

        monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_name="ann"))
        monkeypatch.setattr(grp, "getgrgid", lambda _: SimpleNamespace(gr_name=name, gr_mem=members))
        assert trusted_folders._is_private_group(1000) is trusted

    def test_an_unknown_group_is_not_private(self) -> None:
        assert trusted_folders._is_private_group(3_999_999_999) is False

    @as_root
    def test_a_foreign_link_is_refused_though_its_target_is_ours(self, tmp_path: Path) -> None:
        (tmp_path / "target").mkdir()
        link = tmp_path / "link"
        link.symlink_to(tmp_path / "target")
        check_trusted(link, "CACHE=…")
        give_away(link)
        with pytest.raises(UntrustedFolderError, match=f"got user {FOREIGN}"):
            check_trusted(link, "CACHE=…")

    @as_root
    def test_folders_between_are_checked(self, tmp_path: Path) -> None:
        inner = tmp_path / "a" / "b"
        inner.mkdir(parents=True)
        give_away(tmp_path / "a")
        check_trusted(inner, "CACHE=…")
        with pytest.raises(UntrustedFolderError, match=f"Expected {tmp_path / 'a'} to belong"):
            check_trusted(inner, "CACHE=…", below=tmp_path)

    def test_folders_are_made_without_write_permission_for_others(self, tmp_path: Path) -> None:
        code = (
            "import os, pathlib, sys\nfrom agentgym_hindsight.envs.trusted_folders import make_folder\n"
            "os.umask(0)\nmake_folder(pathlib.Path(sys.argv[1], 'a', 'b'))"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
        assert [path.stat().st_mode & 0o777 for path in (tmp_path / "a", tmp_path / "a" / "b")] == [0o755] * 2


class TestReading:
    def test_links_and_pipes_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        (tmp_path / "link").symlink_to(tmp_path / "file")
        os.mkfifo(tmp_path / "pipe")
        assert read_trusted_text(tmp_path / "file", "…") == "x"
        with pytest.raises(OSError, match="link"):
            read_trusted_text(tmp_path / "link", "…")
        found: list[BaseException] = []

        def read() -> None:
            try:
                read_trusted_text(tmp_path / "pipe", "…")
            except UntrustedFolderError as error:
                found.append(error)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        thread.join(10)
        assert found, "opening the pipe waits for its other end"


class TestCaches:
    ROWS = ("1", "2")

    @pytest.fixture
    def cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = tmp_path / "cache"
        folder.mkdir()
        monkeypatch.setenv("AGENTGYM_HINDSIGHT_CACHE", str(folder))
        cached_rows("list", "a", lambda: [["planted"]])
        return folder

    @as_root
    def test_rows_of_another_users_folder_are_not_used(self, cache: Path) -> None:
        give_away(cache)
        for _ in range(2):
            with pytest.warns(RuntimeWarning, match=f"got user {FOREIGN}.*try AGENTGYM_HINDSIGHT_CACHE.*not used"):
                assert cached_rows("list", "a", lambda: [["built"]]) == [["built"]]

    @as_root
    def test_rows_of_another_users_file_are_not_used(self, cache: Path) -> None:
        give_away(cache / "list.json")
        with pytest.warns(RuntimeWarning, match="not used"):
            assert cached_rows("list", "a", lambda: [["built"]]) == [["built"]]

    def test_rows_of_a_folder_that_all_may_write_are_not_used(self, cache: Path) -> None:
        cache.chmod(0o777)
        with pytest.warns(RuntimeWarning, match="try `chmod go-w"):
            assert cached_rows("list", "a", lambda: [["built"]]) == [["built"]]

    def test_a_linked_file_is_neither_read_nor_written(self, cache: Path, tmp_path: Path) -> None:
        precious = tmp_path / "precious"
        (cache / "list.json").rename(precious)
        (cache / "list.json").symlink_to(precious)
        before = precious.read_text()
        assert cached_rows("list", "a", lambda: [["built"]]) == [["built"]]
        assert precious.read_text() == before

    @as_root
    @pytest.mark.parametrize("foreign", ["webshop-index", "webshop-index/key", "webshop-index/key/data.bin"])
    def test_built_folders_of_another_user_are_not_opened(self, foreign: str, cache: Path) -> None:
        folder = cache / "webshop-index" / "key"
        build_folder(folder, lambda temporary: (temporary / "data.bin").write_bytes(b"x") and None, Path.stat)
        files = file_checksums(folder)
        check_files(folder, files)
        give_away(cache / foreign)
        with pytest.raises(UntrustedFolderError, match=f"try {CACHE_CURE}"):
            check_files(folder, files)
        if not foreign.endswith(".bin"):
            with pytest.raises(UntrustedFolderError):
                build_folder(folder, lambda temporary: None, Path.stat)


class TestManagedInterpreter:
    @pytest.mark.parametrize("place", [".", "venv", "venv/bin"])
    def test_a_python_that_others_can_replace_is_not_run(
        self, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AGENTGYM_HINDSIGHT_DATA", str(tmp_path))
        monkeypatch.delenv("APPWORLD_PYTHON", raising=False)
        program = tmp_path / "appworld" / "venv" / "bin" / "python"
        make_folder(program.parent)
        program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        program.chmod(0o755)
        (tmp_path / "appworld" / place).chmod(0o777)
        with pytest.raises(UntrustedFolderError, match=f"or APPWORLD_PYTHON={program} if you trust it"):
            interpreter.find_interpreter()
        assert not (tmp_path / "ran").exists()


class TestLocks:
    """The lock files of servers at URLs, in the shared temporary folder."""

    @pytest.fixture
    def shared(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        return tmp_path / f"agh-appworld-urls-{os.geteuid()}"

    def refused(self, match: str) -> None:
        with pytest.raises(UntrustedFolderError, match=match):
            UrlSlot(URL).reserve()

    def test_a_lock_is_held_by_one_slot(self, shared: Path) -> None:
        one, other = UrlSlot(URL), UrlSlot(URL)
        assert one.reserve()
        assert not other.reserve()
        one.release()
        assert other.reserve()
        other.release()
        assert shared.stat().st_mode & 0o777 == 0o700

    def test_the_content_of_a_lock_file_is_kept(self, shared: Path) -> None:
        shared.mkdir(mode=0o700)
        file = shared / content_hash(URL)
        file.write_text("content")
        slot = UrlSlot(URL)
        assert slot.reserve()
        slot.release()
        assert file.read_text() == "content"

    def test_a_linked_lock_file_is_refused_and_its_target_kept(self, shared: Path, tmp_path: Path) -> None:
        precious = tmp_path / "precious"
        precious.write_text("content")
        shared.mkdir(mode=0o700)
        (shared / content_hash(URL)).symlink_to(precious)
        self.refused("Expected a plain file of this user at .*try to remove it, or TMPDIR with a folder of your own")
        assert precious.read_text() == "content"

    def test_a_dangling_link_creates_nothing(self, shared: Path, tmp_path: Path) -> None:
        shared.mkdir(mode=0o700)
        (shared / content_hash(URL)).symlink_to(tmp_path / "new")
        self.refused("Expected a plain file")
        assert not (tmp_path / "new").exists()

    def test_a_linked_folder_is_refused(self, shared: Path, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir(mode=0o700)
        shared.symlink_to(tmp_path / "mine")
        self.refused("Expected a folder of this user at")
        assert not list((tmp_path / "mine").iterdir())

    @pytest.mark.parametrize("mode", [0o777, 0o770, 0o707])
    def test_a_folder_that_others_may_enter_is_refused(self, mode: int, shared: Path) -> None:
        shared.mkdir()
        shared.chmod(mode)
        self.refused(f"to belong to user {os.geteuid()} only, got owner {os.geteuid()} and mode {mode:o}")

    @as_root
    def test_another_users_folder_is_refused(self, shared: Path) -> None:
        shared.mkdir(mode=0o700)
        give_away(shared)
        self.refused(f"got owner {FOREIGN} and mode 700")

    @as_root
    def test_another_users_file_is_refused(self, shared: Path) -> None:
        shared.mkdir(mode=0o700)
        (shared / content_hash(URL)).write_text("content")
        give_away(shared / content_hash(URL))
        self.refused(f"got owner {FOREIGN}")

    @pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
    def test_what_is_no_file_is_refused(self, make: object, shared: Path) -> None:
        shared.mkdir(mode=0o700)
        make(shared / content_hash(URL))  # type: ignore[operator]
        self.refused("Expected a plain file|Expected no link or device")

    def test_a_refusal_leaves_no_descriptor(self, shared: Path, tmp_path: Path) -> None:
        shared.mkdir()
        shared.chmod(0o777)
        before = len(os.listdir("/dev/fd"))
        for _ in range(5):
            with pytest.raises(UntrustedFolderError):
                open_lock(shared, "name", "…")
        assert len(os.listdir("/dev/fd")) == before
