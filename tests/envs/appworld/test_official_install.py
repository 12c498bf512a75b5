"""``agh data install appworld``: dry run, steps, continuing after a failure. Nothing is downloaded."""

import sys

import pytest

from agentgym_hindsight.cli import main
from agentgym_hindsight.envs.appworld.official import install
from agentgym_hindsight.envs.appworld.official.install import InstallStep, carry_out, installation
from agentgym_hindsight.errors import BackendError

from .stand_in_server import make_data


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_DATA", str(tmp_path))
    return tmp_path / "appworld"


def step(code, done=lambda: True):
    return InstallStep("try it", "nowhere", (sys.executable, "-c", code), {}, done, "something else")


class TestSteps:
    def test_nothing_is_done_in_an_empty_folder(self, base):
        steps = installation()
        assert [each.done() for each in steps] == [False] * 4
        assert all(str(base) in each.writes for each in steps)
        assert not base.exists()  # checking changes nothing

    def test_existing_parts_count_as_done(self, base):
        make_data(base / "root")
        (base / "venv" / "bin").mkdir(parents=True)
        (base / "venv" / "bin" / "pip").touch()
        (base / "venv" / "lib" / "python3.11" / "site-packages" / "appworld-0.1.3.post1.dist-info").mkdir(parents=True)
        assert [each.done() for each in installation()] == [True, True, False, True]

    def test_the_output_is_yielded_by_line(self):
        assert list(carry_out(step("print('one'); print('two')"))) == ["one", "two"]

    def test_a_command_that_fails(self):
        with pytest.raises(BackendError, match=r"(?s)exit status 3 .*boom\nTry something else, then the same command"):
            list(carry_out(step("import sys; print('boom'); sys.exit(3)")))

    def test_a_command_that_fails_with_exit_status_0(self):
        with pytest.raises(BackendError, match="exit status 0"):  # as `appworld download data` does
            list(carry_out(step("print('Failed to download file.')", done=lambda: False)))

    def test_a_command_that_does_not_exist(self):
        missing = step("")._replace(command=("/nonexistent/python",))
        with pytest.raises(BackendError, match="try something else"):
            list(carry_out(missing))


class TestCommand:
    def test_dry_run(self, base, capsys):
        assert main(["data", "install", "appworld", "--dry-run"]) == 0
        shown = capsys.readouterr().out
        assert shown.count(str(base)) >= 8
        assert "4. download the benchmark's tasks from its authors: writes" in shown
        assert not base.exists()

    @pytest.mark.skipif(sys.version_info < (3, 11), reason="AppWorld needs Python 3.11")
    def test_without_a_terminal_it_needs_yes(self, base, capsys):
        assert main(["data", "install", "appworld"]) != 0
        assert "try --yes" in capsys.readouterr().err
        assert not base.exists()

    def test_a_python_that_is_too_old_or_missing(self, base, capsys, tmp_path):
        old = tmp_path / "old"
        old.write_text("#!/bin/sh\necho 3.9\n")
        old.chmod(0o755)
        assert main(["data", "install", "appworld", "--yes", "--python", str(old)]) != 0
        assert "Expected Python 3.11 or newer" in capsys.readouterr().err
        assert main(["data", "install", "appworld", "--yes", "--python", "/nonexistent/python"]) != 0
        assert "try --python python3.11" in capsys.readouterr().err

    @pytest.mark.skipif(sys.version_info < (3, 11), reason="AppWorld needs Python 3.11")
    def test_it_continues_where_it_stopped(self, base, capsys, monkeypatch, tmp_path):
        flag, second = tmp_path / "flag", tmp_path / "second"
        first = step(f"open({str(flag)!r}, 'a').write('x')", flag.exists)
        then = step(f"assert open({str(tmp_path / 'network')!r}); open({str(second)!r}, 'w')", second.exists)
        monkeypatch.setattr(install, "installation", lambda folder=None, python="": (first, then))
        monkeypatch.setattr(install, "verify", lambda: {"train": 2})
        assert main(["data", "install", "appworld", "--yes"]) != 0
        assert "it continues from here" in " ".join(capsys.readouterr().err.split())
        (tmp_path / "network").touch()
        assert main(["data", "install", "appworld", "--yes"]) == 0
        assert flag.read_text() == "x"  # once
        assert "Ready (2 train)" in capsys.readouterr().out
