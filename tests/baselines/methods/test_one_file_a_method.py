"""A method is one file: no other file of the library names it, except for the defaults listed here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import agentgym_hindsight
from agentgym_hindsight.baselines.methods import RECIPES
from tests.import_graph import imported_names

PACKAGE = Path(agentgym_hindsight.__file__).parent
METHODS = PACKAGE / "baselines" / "methods"
PAGE = PACKAGE.parent / "docs" / "methods" / "your-own.md"

#: Files that may name methods, and why.
ALLOWED = {
    "cli/compare_command.py": "what `agh compare` compares by default",
    "cli/demo_command.py": "what `agh demo` trains",
    "cli/credit_command.py": "the default of `agh credit`",
    "cli/bench_command.py": "whose settings the benchmark uses",
    "cli/bench/training/speed.py": "whose update the times of credits are compared with",
    "cli/train_command.py": "the example in the help of --credit",
    "cli/bench/training/conversation_times.py": "the methods whose times are compared",
    "cli/bench/training/step_times.py": "the methods whose times are compared",
    "cli/bench/gpu/step.py": "the methods whose times are compared",
    "cli/bench/gpu/tiny.py": "the method that is trained",
    "cli/bench/training/update_memory.py": "the methods whose memory is compared",
    "baselines/methods/__init__.py": "what `agh train` trains if no method is named",
    "baselines/audit/targets.py": "the methods whose analysers the audit compares",
    "baselines/evaluation/trials.py": "no method: the number of a trial of Reflexion",
    "cli/bench/training/hint_sd_times.py": "the method whose two kinds of targets are compared",
    "envs/bfcl/official/splits.py": "no code: a split with the recipe of that paper",
    "viewer/rollout_page.py": "the credit that is shown beside a turn",
    "viewer/task_view.py": "the credits that the viewer shows",
    "baselines/audit/summary.py": "the credit to which the audit compares others",
    "baselines/audit/teachers.py": "weights on other credits that the audit measures",
    "baselines/report/mechanics.py": "the line to which others are compared",
}


def file_of(name: str) -> Path:
    return METHODS / f"{name.replace('-', '_')}.py"


def named_in(path: Path) -> set[str]:
    """The methods that a file names as a text or imports. Docstrings are not read."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    }
    names = {part for text in texts for part in text.casefold().split("+") if part in RECIPES}
    prefix = "agentgym_hindsight.baselines.methods"
    imported = {
        name if module == prefix else module.removeprefix(f"{prefix}.") for module, name, _ in imported_names(path)
    }
    return names | {name for name in RECIPES if name.replace("-", "_") in imported}


def code_lines(path: Path) -> int:
    """Lines with code: without blank lines, comments and docstrings."""
    text = path.read_text(encoding="utf-8")
    used: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.stmt) and not isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            used.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            used.update(range(node.lineno, node.body[0].lineno))
    lines = text.splitlines()
    return sum(bool(lines[number - 1].strip()) for number in used if not lines[number - 1].strip().startswith("#"))


def test_no_other_file_names_a_method() -> None:
    offences = []
    for path in sorted(PACKAGE.rglob("*.py")):
        own = path.relative_to(PACKAGE).as_posix()
        others = {name for name in named_in(path) if file_of(name) != path}
        if others and own not in ALLOWED:
            offences.append(f"{own} names {', '.join(sorted(others))}")
    assert not offences, "\n".join(offences)


def test_every_exception_is_needed() -> None:
    assert [own for own in ALLOWED if not named_in(PACKAGE / own)] == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('x = recipe("serl")', {"serl"}),
        ('x = "SERL+crbc"', {"serl", "crbc"}),
        ("from agentgym_hindsight.baselines.methods.turn_ppo import METHOD", {"turn-ppo"}),
        ("from agentgym_hindsight.baselines.methods import crbc", {"crbc"}),
        ('"""About "serl"."""\nx = "a server"', set()),
        ("from agentgym_hindsight.baselines.methods.credit import spread", set()),
    ],
)
def test_names_are_found(tmp_path: Path, text: str, names: set[str]) -> None:
    path = tmp_path / "some_module.py"
    path.write_text(text, encoding="utf-8")
    assert named_in(path) == names


def test_the_page_gives_the_size_of_every_method() -> None:
    """The numbers in the table may be off by a fifth, so that not every edit of a method changes the page."""
    listed = {
        name: int(lines) for name, lines in re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", PAGE.read_text("utf-8"), re.M)
    }
    assert listed.keys() == set(RECIPES)
    for name, lines in listed.items():
        assert lines == pytest.approx(code_lines(file_of(name)), rel=0.2, abs=5), name


def test_code_lines(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        '"""Text.\n\nMore."""\n\n# A comment.\nx = (\n    1,  # one\n)\n\n\ndef f() -> int:\n    """Text."""\n'
        "    return 1\n"
    )
    assert code_lines(path) == 3 + 2
