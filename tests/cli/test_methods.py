"""``agh methods``: the registry of methods, as a table and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agentgym_hindsight.baselines.methods import RECIPES, about, recipe
from agentgym_hindsight.cli import main
from agentgym_hindsight.errors import UsageError


def test_json_is_a_list_of_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "--json"]) == 0
    methods = json.loads(capsys.readouterr().out)
    assert [method["name"] for method in methods] == list(RECIPES)
    shipped = "grpo rloo gigpo hgpo rlsd serl crbc pgpo graphgpo ppo turn-ppo vetta factor trial uniopsd agentopsd grsd"
    assert {*shipped.split(), "antisd"} <= {method["name"] for method in methods}
    for method in methods:
        assert method["evidence"] in ("code", "paper", "notes", "ours")
        assert method["paper"].startswith("arXiv ")
        assert recipe(method["name"]).changed(**method["values"]) == recipe(method["name"])


def test_the_table_and_one_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in RECIPES)
    assert main(["methods", "crbc"]) == 0
    assert "0.98" in capsys.readouterr().out
    assert main(["methods", "crcb"]) == 2
    assert "did you mean 'crbc'" in capsys.readouterr().err


@pytest.mark.parametrize("name", RECIPES)
def test_the_summary_is_one_line(name: str) -> None:
    assert 20 < len(about(name).summary) < 110


def test_it_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from agentgym_hindsight.cli import main\n"
        "sys.exit(main(['methods', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "recipe_in_file", "critic"),
    [
        (["serl", "--credit", "CRBC"], "serl+crbc", ""),
        (["rlsd", "--credit", "pgpo"], "rlsd+pgpo", ""),
        (["Serl+vetta"], "serl+vetta", "2:turn+token"),
        (["serl+gigpo", "--credit", "hgpo"], "serl+hgpo", ""),
    ],
)
def test_any_weighting_on_any_credit(
    words: list[str], recipe_in_file: str, critic: str, capsys: pytest.CaptureFixture[str]
) -> None:
    yaml = pytest.importorskip("yaml")
    pytest.importorskip("trl")
    assert main(["train", *words, "--print-config"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["recipe"], shown["method"]["critic"]) == (recipe_in_file, critic)
    assert shown["method"]["what"] in ("immediate", "success")


@pytest.mark.parametrize(
    ("file", "words", "recipe_in_file", "beta"),
    [
        ({"recipe": "serl", "credit": "CRBC", "method": {"beta": 0.5}}, [], "serl+crbc", 0.5),
        ({"recipe": "serl+crbc", "method": {"beta": 0.5}}, [], "serl+crbc", 0.5),
        ({"recipe": "serl", "credit": "gigpo"}, ["--credit", "crbc"], "serl+crbc", 0.98),
        # The values in the file belong to another method.
        ({"recipe": "serl", "credit": "crbc", "method": {"beta": 0.5}}, ["rlsd"], "rlsd+crbc", 0.98),
        ({"recipe": "serl", "credit": "gigpo"}, ["rlsd+crbc"], "rlsd+crbc", 0.98),
    ],
)
def test_a_credit_in_a_configuration_file(
    file: dict[str, object],
    words: list[str],
    recipe_in_file: str,
    beta: float,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    yaml = pytest.importorskip("yaml")
    pytest.importorskip("trl")
    path = tmp_path / "my.yaml"
    path.write_text(yaml.safe_dump(file), encoding="utf-8")
    assert main(["train", *words, "--config", str(path), "--print-config"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["recipe"], shown["method"]["beta"]) == (recipe_in_file, beta)


def test_a_credit_in_python() -> None:
    pytest.importorskip("trl")
    from agentgym_hindsight.baselines.training.configuration import configure

    assert configure("rlsd", {"credit": "pgpo"}).method.name == "rlsd+pgpo"
    assert configure("rlsd+pgpo").method == configure("rlsd", {"credit": "pgpo"}).method
    for wrong in (3, "", ["pgpo"]):
        with pytest.raises(UsageError, match="credit"):
            configure("rlsd", {"credit": wrong})


def test_wrong_compositions_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("trl")
    for words in (["serl", "--credit", "crcb"], ["serl+"], ["serl+crbc+gigpo"]):
        assert main(["train", *words, "--print-config"]) == 2
    assert "METHOD+CREDIT" in capsys.readouterr().err


def test_a_composed_method_has_the_values_of_both() -> None:
    method = recipe("serl+uniopsd")
    assert (method.name, method.credit, str(method.who)) == ("serl+uniopsd", recipe("uniopsd").credit, "sync:10")
