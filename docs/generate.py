"""Write the pages that are made from the code: docs/envs/<env>.md and docs/reference.md.

``python docs/generate.py`` writes them, ``--check`` writes nothing and exits 1 where one is stale. The output depends
on the source alone: no Python version, no installed extra, no data folder.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from sections import SECTIONS, markdown, table

ROOT = Path(__file__).resolve().parents[1]
DOCS, PACKAGE = ROOT / "docs", ROOT / "agentgym_hindsight"
sys.path.insert(0, str(ROOT))

NOTICE = "<!-- Written by docs/generate.py: change {source} instead, then run `make docs`. -->"

INFO_MEANING = {
    "task_id": "content hash of the task: the same task has the same id on every machine, worker and seed",
    "goal": "what the agent was asked to do",
    "admissible_actions": "legal actions now, as text; empty where the set is open",
    "action_valid": "the last action was understood and legal; True on reset",
    "won": "the goal is reached",
    "score": "the benchmark's own score, 0 to 1",
    "anchor": "key of the state the agent now stands in: `s:…` a true state, `o:…` a text",
    "hindsight": "the five sources for the action just taken",
    "expert_action": 'what the expert would do now; "" where it knows no way, or `expert=False`',
    "step": "turns taken",
}


def code(values: Sequence[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


# -- env pages ----------------------------------------------------------------------------------------------------


def env_pages() -> Iterator[tuple[Path, str]]:
    from agentgym_hindsight.envs.base import INFO_KEYS
    from agentgym_hindsight.registration import ENVS

    for entry in ENVS:
        module, _, name = entry.entry_point.partition(":")
        slug = module.split(".")[-2]
        kind = getattr(importlib.import_module(module), name)
        notes = DOCS / "envs" / f"{slug}.notes.md"
        rows = [(f"`{key}`", f"`{INFO_KEYS[key].__name__}`", meaning) for key, meaning in INFO_MEANING.items()]
        if INFO_MEANING.keys() != INFO_KEYS.keys():
            raise SystemExit("docs/generate.py: INFO_MEANING and INFO_KEYS name different keys; mend INFO_MEANING.")
        parts = [
            NOTICE.format(source=f"{module.replace('.', '/')}.py or docs/envs/{notes.name}"),
            f"# `{entry.id}`",
            markdown(inspect.cleandoc(kind.__doc__)),
            f"## The standard `info`\n\n{table(('key', 'type', 'meaning'), rows)}",
            *(SECTIONS[slug](kind) if slug in SECTIONS else []),
            notes.read_text(encoding="utf-8").strip() if notes.exists() else "",
        ]
        yield DOCS / "envs" / f"{slug}.md", "\n\n".join(part for part in parts if part) + "\n"


# -- the reference --------------------------------------------------------------------------------------------------

#: Rooms of the baselines that nobody outside should build on; a new room is public unless it is named here.
INSIDE = {"batch", "extras", "measure", "packing", "quiet", "samples", "start"}


def reference_page() -> tuple[Path, str]:
    modules = [
        "agentgym_hindsight",
        "agentgym_hindsight.errors",
        "agentgym_hindsight.hindsight",
        "agentgym_hindsight.wrappers",
        "agentgym_hindsight.vector",
        *_children("agentgym_hindsight.baselines"),
        "agentgym_hindsight.testing",
    ]
    parts = [
        NOTICE.format(source="the docstrings"),
        "# Reference",
        "Every public name, its arguments and the first line of its docstring. `help(name)` has the rest. What is not "
        "listed here may change without notice.",
    ]
    for module in modules:
        doc = ast.get_docstring(_tree(_path(module))) or ""
        rows = [_row(module, name) for name in _exported(module)]
        parts.append(
            f"## `{module}`\n\n{_first(doc).split('. ')[0].rstrip('.')}.\n\n{table(('name', 'what it is'), rows)}"
        )
    return DOCS / "reference.md", "\n\n".join(parts) + "\n"


def _children(module: str) -> list[str]:
    """The public modules of a package, packages among them as one; the policies that need an extra by themselves."""
    folder = _path(module).parent
    names = {path.stem if path.is_file() else path.name for path in folder.iterdir() if _is_module(path)} - INSIDE
    names |= {f"policies.{name}" for name in ("endpoint", "hf", "vllm")}
    return [f"{module}.{name}" for name in sorted(names) if _exported(f"{module}.{name}")]


def _is_module(path: Path) -> bool:
    if path.name.startswith("_"):
        return False
    return path.suffix == ".py" or (path / "__init__.py").is_file()


def _path(module: str) -> Path:
    path = PACKAGE.parent / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _exported(module: str) -> list[str]:
    for node in _tree(_path(module)).body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in node.targets):
            return sorted(ast.literal_eval(node.value), key=lambda name: (name.lower(), name))
    return []


def _row(module: str, name: str) -> tuple[str, str]:
    found = _definition(module, name)
    if found is None:
        return f"`{name}`", "a module; see below"
    home, node = found
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return f"`{name}({_arguments(node.args)})`", _first(ast.get_docstring(node) or "")
    if isinstance(node, ast.ClassDef):
        return f"`{name}{_call(node)}`", _first(ast.get_docstring(node) or "") + _members(node)
    return f"`{name}`", _comment(home, node)


def _definition(module: str, name: str) -> tuple[str, ast.stmt] | None:
    """Where a name is defined, through re-exports; None where it is a module itself."""
    last: ast.stmt | None = None
    for node in ast.walk(_tree(_path(module))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE.name):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    if _path(f"{node.module}.{alias.name}").is_file():
                        return None
                    return _definition(node.module, alias.name)
    for node in _tree(_path(module)).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if getattr(node, "name", "") == name or any(getattr(target, "id", "") == name for target in targets):
            last = node  # the last one: overloads come first
    if last is None:
        raise SystemExit(f"docs/generate.py: {module} exports {name}, which is defined nowhere that can be found.")
    return module, last


def _call(node: ast.ClassDef) -> str:
    """How a class is called; "" where it is not meant to be."""
    bases = {ast.unparse(base).split("[")[0] for base in node.bases}
    if bases & {"Protocol", "Enum", "ABC"} or any(base.endswith(("Error", "Exception")) for base in bases):
        return ""
    for child in node.body:
        if isinstance(child, ast.FunctionDef) and child.name == "__init__":
            return f"({_arguments(child.args)})"
    data = "NamedTuple" in bases or any("dataclass" in ast.unparse(mark) for mark in node.decorator_list)
    if not data:
        return "()" if not bases else ""
    known = [
        child.target.id + ("" if child.value is None else f"={_default(child.value)}")
        for child in node.body
        if isinstance(child, ast.AnnAssign)
        and isinstance(child.target, ast.Name)
        and not ast.unparse(child.annotation).startswith("ClassVar")
    ]
    return f"({', '.join(known)})"


def _members(node: ast.ClassDef) -> str:
    """The values of an enum, or what a protocol asks for."""
    bases = {ast.unparse(base).split("[")[0] for base in node.bases}
    if "Enum" in bases:
        values = [child.value.value for child in node.body if isinstance(child, ast.Assign)]  # type: ignore[attr-defined]
        return f" Values: {code(values)}."
    if "Protocol" in bases:
        asked = [
            child.name if child.decorator_list else f"{child.name}({_arguments(child.args)})"
            for child in node.body
            if isinstance(child, ast.FunctionDef)
        ]
        return f" Asks for {code(asked)}."
    return ""


def _arguments(given: ast.arguments) -> str:
    """Names and defaults, without types and ``self``."""
    plain = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(given.defaults))
    shown = [
        _argument(argument, default) for argument, default in zip(plain, [*defaults, *given.defaults], strict=True)
    ]
    shown = shown[1:] if plain and plain[0].arg in ("self", "cls") else shown
    if given.vararg:
        shown.append(f"*{given.vararg.arg}")
    elif given.kwonlyargs:
        shown.append("*")
    shown += [
        _argument(argument, default) for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    ]
    return ", ".join([*shown, f"**{given.kwarg.arg}"] if given.kwarg else shown)


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    return argument.arg if default is None else f"{argument.arg}={_default(default)}"


def _default(value: ast.expr) -> str:
    text = ast.unparse(value)
    return "…" if text.startswith("field(") or len(text) > 40 else text


def _comment(module: str, node: ast.stmt) -> str:
    """What the ``#:`` comment above a constant says; failing that, a short value."""
    lines = _path(module).read_text(encoding="utf-8").splitlines()
    above: list[str] = []
    for line in reversed(lines[: node.lineno - 1]):
        if not line.startswith("#:"):
            break
        above.insert(0, line.removeprefix("#:").strip())
    value = getattr(node, "value", None)
    text = "" if value is None else ast.unparse(value)
    shown = f"`{text}`" if text and len(text) <= 100 else ""
    return markdown(" ".join(above)) or shown


def _first(docstring: str) -> str:
    """The first paragraph, as Markdown."""
    return markdown(docstring.strip().split("\n\n")[0].replace("\n", " "))


# -- the program ------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the generated pages of docs/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is stale")
    check = parser.parse_args().check
    stale = []
    for path, text in [*env_pages(), reference_page()]:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if not check:
            path.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'stale; run `make docs`' if check else 'written'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
