"""The built wheel and sdist: complete, installable without extras, and clear about what an extra would add."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.clean_environment import make_environment

ROOT = Path(__file__).parents[2]
CURE = "pip install 'agentgym-hindsight[train] @ file:///"  # pip has installed the wheel from a file
pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="needs the source tree")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def python(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the wheel without extras."""
    return make_environment(tmp_path_factory.mktemp("clean"), built[0])


def run(python: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR")}
    home = {**kept, "HOME": str(cwd), "COLUMNS": "150"}
    return subprocess.run([str(python), *words], capture_output=True, text=True, cwd=cwd, env=home, check=False)


def agh(python: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run(python.parent / "agh", *words, cwd=cwd)


def tracked() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout to list the files of the repository")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.splitlines() if (ROOT / name).exists()]


def test_the_wheel_holds_every_file_of_the_package(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as wheel:
        names = set(wheel.namelist())
    assert {name for name in tracked() if name.startswith("agentgym_hindsight/")} <= names
    assert not [name for name in names if name.startswith("tests/")]


@pytest.mark.slow
def test_the_sdist_holds_what_its_tests_need(built: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(built[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
        folders = ("agentgym_hindsight/", "tests/", "docs/")
        files = ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "CITATION.cff", "Makefile", "mkdocs.yml")
        missing = [name for name in tracked() if name.startswith(folders) or name in files]
        missing = [name for name in missing if name not in names]
        assert not missing
        sdist.extractall(tmp_path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (source,) = tmp_path.iterdir()
    some = ["tests/test_tasks.py", "tests/test_errors.py", "tests/hindsight/test_resolve.py"]
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *some]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run([sys.executable, *command], cwd=source, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_of_an_extra_is_there(python: Path, tmp_path: Path) -> None:
    names = ("torch", "trl", "transformers", "yaml", "ray")
    code = f"from importlib.util import find_spec; print([name for name in {names} if find_spec(name)])"
    assert run(python, "-c", code, cwd=tmp_path).stdout.strip() == "[]"


def test_the_blocks_of_the_readme_run(python: Path, tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        done = run(python, "-W", "error", "-c", block, cwd=tmp_path)
        assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_every_module_imports_or_names_its_extra(python: Path, tmp_path: Path) -> None:
    code = """
import importlib, json, pkgutil
import agentgym_hindsight as package
from agentgym_hindsight.errors import MissingExtraError
from agentgym_hindsight.exports.clients import MissingClientError
found = {"imported": [], "extra": [], "failed": []}
def note(name):
    if name.rpartition(".")[2] == "__main__":
        return
    try:
        importlib.import_module(name)
        found["imported"].append(name)
    except (MissingExtraError, MissingClientError) as error:
        found["extra"].append([name, str(error)])
    except BaseException as error:
        found["failed"].append([name, repr(error)])
def walk(paths, prefix):
    for module in pkgutil.iter_modules(paths, prefix):
        note(module.name)
        if module.ispkg:
            import os
            walk([os.path.join(path, module.name.rpartition(".")[2]) for path in paths], module.name + ".")
walk(list(package.__path__), "agentgym_hindsight.")
print(json.dumps(found))
"""
    done = run(python, "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert not found["failed"]
    assert all("pip install" in error for _, error in found["extra"])
    assert len(found["imported"]) > 200
    for name in ("stage", "baselines.rollout", "baselines.policies.scripted", "baselines.evaluation.panels"):
        assert f"agentgym_hindsight.{name}" in found["imported"]


@pytest.mark.parametrize(
    "words",
    [
        ("--version",),
        ("--version", "train"),
        ("--help",),
        ("--help", "train"),
        ("list",),
        ("doctor",),
        ("demo", "--scripted", "--tasks", "6"),
        ("rollout", "--policy", "expert", "--tasks", "3", "--out", "rollouts.jsonl"),
        ("eval", "--policy", "random", "--tasks", "3"),
        ("data", "list", "--tasks", "2"),
    ],
    ids=lambda words: " ".join(words[:2]).replace("--", ""),
)
def test_commands_that_need_no_extra(words: tuple[str, ...], python: Path, tmp_path: Path) -> None:
    done = agh(python, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("train", "serl"),
        ("train", "--help"),
        ("train", "serl", "--config", "serl_alfworld_7b"),
        ("demo",),
        ("compare", "rivals"),
        ("compare", "--help"),
        ("eval", "--policy", "some/model"),
        ("bench", "training-speed"),
        ("bench", "conversations"),
    ],
    ids=" ".join,
)
def test_commands_that_need_the_extra_name_the_cure_in_one_line(
    words: tuple[str, ...], python: Path, tmp_path: Path
) -> None:
    done = agh(python, *words, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert CURE in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not list(tmp_path.glob("runs/*")), "nothing is written before the check"
