"""The rules of the architecture that a machine can check. Each test reports all offences together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import agentgym_hindsight
from tests.import_graph import import_circles, import_graph, imported_names, strongly_connected_components

PACKAGE = Path(agentgym_hindsight.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

#: From the lowest layer up. A folder may import folders below it, and modules of its own.
LAYERS = [
    {"installation"},
    {"errors", "atomic", "printable", "short_repr"},
    {"files", "markup", "names", "redaction"},
    {"http_client", "spaces", "tasks"},
    {"hindsight"},
    {"envs"},
    {"wrappers"},
    {"vector"},
    {"stage"},
    {"baselines"},
    {"exports", "viewer"},
    {"cli"},
]
#: Folders of ``envs`` that several worlds use.
SHARED_BY_WORLDS = {"tools"}
#: Outside the order: the table of ids (only names), the public package, the conformance checks (they test every layer).
SPECIAL_LAYERS = {"registration": 1, "testing": 7, "__init__": 11, "__main__": 12}
#: What `pip install agentgym-hindsight` does not install.
HEAVY = {"torch", "transformers", "trl", "vllm", "ray", "alfworld", "textworld", "appworld", "spacy", "pandas"}
#: All that an env needs to be played. rich, httpcore and flask are installed, but not imported for it.
LIGHT = {"gymnasium", "numpy", "cloudpickle", "farama_notifications", "typing_extensions"}


def folder_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def layer_of(folder: str) -> int:
    if folder in SPECIAL_LAYERS:
        return SPECIAL_LAYERS[folder]
    return next(number for number, folders in enumerate(LAYERS) if folder in folders)


def exists(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()


def test_imports_go_downward() -> None:
    worlds = {child.name for child in (PACKAGE / "envs").iterdir() if child.is_dir()} - SHARED_BY_WORLDS
    offences = []
    for path in FILES:
        own = path.relative_to(PACKAGE)
        for module, name, line in imported_names(path):
            parts = [*module.split("."), name]
            if parts[0] != "agentgym_hindsight" or not exists(parts[1]):
                continue
            other = parts[1]
            if other == folder_of(path):
                if other == "envs" and len(parts) > 2 and parts[2] in worlds and parts[2] != own.parts[1]:
                    offences.append(f"{own}:{line}: an env imports another env, {module}")
            elif other != "registration" and layer_of(other) >= layer_of(folder_of(path)):
                offences.append(f"{own}:{line}: {folder_of(path)} imports {module}, which is not below it")
    assert not offences, "\n".join(offences)


def test_hindsight_needs_neither_torch_nor_gymnasium() -> None:
    offences = [
        f"{path.name}:{line}: {module}"
        for path in FILES
        if folder_of(path) == "hindsight"
        for module, _, line in imported_names(path)
        # to_dataframe imports pandas when it is called, and says what to install if it is not there.
        if module.split(".")[0] in HEAVY - {"pandas"} | {"gymnasium", "numpy"}
    ]
    assert not offences, "\n".join(offences)


def test_no_two_files_import_each_other() -> None:
    circles = import_circles(import_graph(PACKAGE))
    assert not circles, "\n".join(" -> ".join(circle) for circle in circles)


def test_modules_declare_what_is_public() -> None:
    missing = [name for name in agentgym_hindsight.__all__ if not hasattr(agentgym_hindsight, name)]
    assert not missing


# -- what an import loads ---------------------------------------------------------------------------------------------

COUNT = """
import sys
before = set(sys.modules)
{code}
print(*sorted(set(sys.modules) - before))
"""
FIRST_OBSERVATION = """
import agentgym_hindsight, gymnasium
gymnasium.make("ALFWorld-Hindsight-v0", data="embedded").reset(seed=0)
"""


def loaded_by(code: str) -> tuple[set[str], set[str]]:
    """The modules of this package, and the third-party top-level modules, that the code imports in a new process."""
    done = subprocess.run([sys.executable, "-c", COUNT.format(code=code)], capture_output=True, text=True, check=True)
    names = done.stdout.split()
    ours = {name for name in names if name.split(".")[0] == "agentgym_hindsight"}
    # Compiled modules register helpers such as "_cython_3_2_4" and "cython_runtime".
    others = {name.split(".")[0] for name in names if not name.startswith("_")} - sys.stdlib_module_names
    return ours, others - {"agentgym_hindsight", "cython_runtime"}


def test_importing_the_package_loads_little() -> None:
    ours, others = loaded_by("import agentgym_hindsight")
    assert others <= LIGHT
    assert len(ours) <= 32, sorted(ours)  # 29 when this was written


def test_the_first_observation_loads_one_env_and_nothing_heavy() -> None:
    ours, others = loaded_by(FIRST_OBSERVATION)
    assert others <= LIGHT
    assert len(ours) <= 76, sorted(ours)  # 70 when this was written
    folders = {name.split(".")[1] for name in ours if "." in name}
    assert not folders & {"wrappers", "vector", "baselines", "cli", "viewer", "testing"}
    worlds = {name.split(".")[2] for name in ours if name.startswith("agentgym_hindsight.envs.")}
    assert not worlds & {"webshop", "appworld"}


# -- the finder of circles --------------------------------------------------------------------------------------------


def fake_package(folder: Path, **files: str) -> Path:
    """A package ``fake``. A keyword is a path with ``__`` for the slash; ``init`` is ``__init__.py``."""
    package = folder / "fake"
    for name, text in {"init": "", **files}.items():
        path = package / (name.replace("__", "/").replace("init", "__init__") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return package


def circles_of(folder: Path, **files: str) -> list[str]:
    return [" -> ".join(circle) for circle in import_circles(import_graph(fake_package(folder, **files)))]


def test_a_package_without_circles_has_none(tmp_path: Path) -> None:
    assert circles_of(tmp_path, a="import fake.b", b="from fake import c", c="import os", sub__init="") == []


@pytest.mark.parametrize(
    "statement",
    [
        "import fake.a",
        "import fake.a as other",
        "from fake import a",
        "from fake.a import name",
        "from fake.a import *",
        "def f():\n    from fake.a import name",
        "class C:\n    def f(self):\n        import fake.a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from fake.a import name",
        "try:\n    import fake.a\nexcept ImportError:\n    pass",
    ],
)
def test_an_import_anywhere_in_a_file_counts(tmp_path: Path, statement: str) -> None:
    assert circles_of(tmp_path, a="import fake.b", b=statement) == ["fake.a -> fake.b -> fake.a"]


def test_the_shortest_circle_is_written_out(tmp_path: Path) -> None:
    files = {"a": "import fake.b", "b": "import fake.c\nimport fake.d", "c": "import fake.e", "d": "import fake.a"}
    package = fake_package(tmp_path, **files, e="import fake.a", f="import fake.a")
    graph = import_graph(package)
    assert import_circles(graph) == [["fake.a", "fake.b", "fake.d", "fake.a"]]
    components = [component for component in strongly_connected_components(graph) if len(component) > 1]
    assert components == [{"fake.a", "fake.b", "fake.c", "fake.d", "fake.e"}]


def test_separate_circles_are_all_found(tmp_path: Path) -> None:
    files = {"a": "import fake.b", "b": "import fake.a\nimport fake.c", "c": "import fake.d", "d": "import fake.c"}
    assert circles_of(tmp_path, **files, e="import fake.e") == [
        "fake.a -> fake.b -> fake.a",
        "fake.c -> fake.d -> fake.c",
        "fake.e -> fake.e",
    ]


def test_a_name_of_a_package_leads_to_its_init(tmp_path: Path) -> None:
    files = {"sub__init": "from fake.sub.a import x", "sub__a": "from fake.sub import y"}
    assert circles_of(tmp_path, **files) == ["fake.sub -> fake.sub.a -> fake.sub"]
    # A submodule is not its package: this is how modules of one folder import each other.
    fake_package(tmp_path, sub__a="from fake.sub import b", sub__b="")
    assert import_circles(import_graph(tmp_path / "fake")) == []


def test_a_lazy_package_gives_no_edge(tmp_path: Path) -> None:
    lazy = "from importlib import import_module\ndef __getattr__(name):\n    return import_module('fake.a')"
    assert circles_of(tmp_path, init=lazy, a="from fake import version") == []


def test_a_relative_import_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="absolute import"):
        import_graph(fake_package(tmp_path, a="from . import b", b=""))


def test_the_graph_of_this_package_has_every_file() -> None:
    graph = import_graph(PACKAGE)
    assert len(graph) == len(FILES)
    assert "agentgym_hindsight.hindsight.trajectory" in graph["agentgym_hindsight.hindsight.resolve"]
