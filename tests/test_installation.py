"""The pip command that an error proposes works where the library was installed from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentgym_hindsight import installation
from agentgym_hindsight.installation import pip_command


class Installed:
    """A distribution whose direct_url.json has the given content."""

    def __init__(self, text: str | None) -> None:
        self.text = text

    def read_text(self, _: str) -> str | None:
        return self.text


def install(monkeypatch: pytest.MonkeyPatch, package: Path, origin: object) -> None:
    """As if the package were imported from ``package`` and installed from ``origin``."""
    text = origin if isinstance(origin, str) or origin is None else json.dumps(origin)
    monkeypatch.setattr(installation, "__file__", str(package / "agentgym_hindsight" / "installation.py"))
    monkeypatch.setattr(installation.metadata, "distribution", lambda _: Installed(text))


def test_a_checkout_is_installed_as_editable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").touch()
    install(monkeypatch, tmp_path, None)
    assert pip_command("train") == f"pip install -e '{tmp_path}[train]'"
    monkeypatch.chdir(tmp_path)
    assert pip_command("train") == "pip install -e '.[train]'"
    assert pip_command() == "pip install -e ."


def test_a_folder_that_pip_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my source"
    folder.mkdir()
    install(monkeypatch, tmp_path / "site-packages", {"url": folder.as_uri(), "dir_info": {}})
    assert pip_command("train") == f"pip install '{folder}[train]'"
    folder.rmdir()
    assert pip_command("train") == "pip install 'agentgym-hindsight[train]'"


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (
            {"url": "https://host/repo.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "pip install 'agentgym-hindsight[ray] @ git+https://host/repo.git@abc'",
        ),
        (
            {"url": "https://host/x.whl", "archive_info": {}},
            "pip install 'agentgym-hindsight[ray] @ https://host/x.whl'",
        ),
        ({"url": "file:///gone/x.whl", "archive_info": {}}, "pip install 'agentgym-hindsight[ray]'"),
        (None, "pip install 'agentgym-hindsight[ray]'"),
        ("{", "pip install 'agentgym-hindsight[ray]'"),
        ("[]", "pip install 'agentgym-hindsight[ray]'"),
        ('{"url": 3, "vcs_info": "x"}', "pip install 'agentgym-hindsight[ray]'"),
    ],
)
def test_other_origins(origin: object, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path, origin)
    assert pip_command("ray") == command
