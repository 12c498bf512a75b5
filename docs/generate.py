"""Write the pages that are generated from the code: docs/envs/<env>.md and docs/reference.md.

``python docs/generate.py`` writes them; ``--check`` writes nothing and exits 1 if a page is stale. The output depends
only on the source, not on the Python version, installed extras or data folders. docs/modules.py holds the names of the
modules that are read.
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

from modules import INTERNAL, PACKAGE, REFERENCE, SUBMODULES, load
from sections import SECTIONS, markdown, table

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT))

NOTICE = "<!-- Written by docs/generate.py: change {source} instead, then run `make docs`. -->"

INFO_MEANING = {
    "task_id": "content hash of the task: the same task has the same id on every machine, worker and seed",
    "goal": "the instruction given to the agent",
    "admissible_actions": "legal actions in the present state, as text; empty if the set is open",
    "action_valid": "True if the last action was understood and legal, and on reset",
    "won": "True if the goal is reached",
    "score": "the benchmark's own score, 0 to 1",
    "anchor": "key of the present state: `s:…` of the true state, `o:…` of the observation's text",
    "hindsight": "the five feedback sources for the last action",
    "expert_action": 'the expert\'s next action; "" if the expert has none, or with `expert=False`',
    "step": "number of turns taken",
}


def code(values: Sequence[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


# -- env pages ----------------------------------------------------------------------------------------------------


def env_pages() -> Iterator[tuple[Path, str]]:
    package = load("every env")
    if INFO_MEANING.keys() != package.INFO_KEYS.keys():
        raise SystemExit("docs/generate.py: Expected INFO_MEANING to have the keys of INFO_KEYS; update INFO_MEANING.")
    for entry in package.ENVS:
        module, _, name = entry.entry_point.partition(":")
        slug = module.split(".")[-2]
        kind = getattr(importlib.import_module(module), name)
        notes = DOCS / "envs" / f"{slug}.notes.md"
        types = {key: kind_of.__name__ for key, kind_of in package.INFO_KEYS.items()}
        rows = [(f"`{key}`", f"`{types[key]}`", meaning) for key, meaning in INFO_MEANING.items()]
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


def reference_page() -> tuple[Path, str]:
    parts = [
        NOTICE.format(source="the docstrings"),
        "# Reference",
        "Every public name, its arguments and the first paragraph of its docstring. `help(name)` prints the rest. "
        "Names that are not listed here may change without notice.",
    ]
    for module in _reference_modules():
        doc = ast.get_docstring(_tree(_path(module))) or ""
        rows = [_row(module, name) for name in _exported(module)]
        summary = _first_paragraph(doc).split(". ")[0].rstrip(".")
        parts.append(f"## `{module}`\n\n{summary}.\n\n{table(('name', 'meaning'), rows)}")
    return DOCS / "reference.md", "\n\n".join(parts) + "\n"


def _reference_modules() -> Iterator[str]:
    """The modules of ``REFERENCE`` in full, with ``name.*`` expanded."""
    for name in sorted({*INTERNAL, *SUBMODULES}):
        if not _path(f"{PACKAGE}.{name}").is_file():
            raise SystemExit(f"docs/modules.py: Expected {PACKAGE}.{name} to exist; update INTERNAL or SUBMODULES.")
    for entry in REFERENCE:
        if entry.endswith(".*"):
            yield from _children(entry.removesuffix(".*"))
        else:
            yield f"{PACKAGE}.{entry}".rstrip(".")


def _children(package: str) -> list[str]:
    """The public modules of a package, sorted."""
    folder = _path(f"{PACKAGE}.{package}").parent
    names = {f"{package}.{path.stem}" for path in folder.iterdir() if _is_module(path)} - INTERNAL
    names |= {name for name in SUBMODULES if name.startswith(f"{package}.")}
    return [f"{PACKAGE}.{name}" for name in sorted(names) if _exported(f"{PACKAGE}.{name}")]


def _is_module(path: Path) -> bool:
    if path.name.startswith("_"):
        return False
    return path.suffix == ".py" or (path / "__init__.py").is_file()


def _path(module: str) -> Path:
    path = ROOT / Path(*module.split("."))
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
    definition = _definition(module, name)
    if definition is None:
        return f"`{name}`", "module; see below"
    defined_in, node = definition
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return f"`{name}({_arguments(node.args)})`", _first_paragraph(ast.get_docstring(node) or "")
    if isinstance(node, ast.ClassDef):
        return f"`{name}{_call(node)}`", _first_paragraph(ast.get_docstring(node) or "") + _members(node)
    return f"`{name}`", _comment(defined_in, node)


def _definition(module: str, name: str) -> tuple[str, ast.stmt] | None:
    """The module and statement that define a name, through re-exports; None if the name is a module."""
    last: ast.stmt | None = None
    for node in ast.walk(_tree(_path(module))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE):
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
        raise SystemExit(f"docs/generate.py: Expected a definition of {name}, which {module} exports, got none.")
    return module, last


def _call(node: ast.ClassDef) -> str:
    """The arguments of a class; "" for a class that users do not instantiate."""
    bases = {ast.unparse(base).split("[")[0] for base in node.bases}
    if bases & {"Protocol", "Enum", "ABC"} or any(base.endswith(("Error", "Exception")) for base in bases):
        return ""
    for child in node.body:
        if isinstance(child, ast.FunctionDef) and child.name == "__init__":
            return f"({_arguments(child.args)})"
    data = "NamedTuple" in bases or any("dataclass" in ast.unparse(mark) for mark in node.decorator_list)
    if not data:
        return "()" if not bases else ""
    fields = [
        child.target.id + ("" if child.value is None else f"={_default(child.value)}")
        for child in node.body
        if isinstance(child, ast.AnnAssign)
        and isinstance(child.target, ast.Name)
        and not ast.unparse(child.annotation).startswith("ClassVar")
    ]
    return f"({', '.join(fields)})"


def _members(node: ast.ClassDef) -> str:
    """The values of an enum, or the members of a protocol."""
    bases = {ast.unparse(base).split("[")[0] for base in node.bases}
    if "Enum" in bases:
        values = [child.value.value for child in node.body if isinstance(child, ast.Assign)]  # type: ignore[attr-defined]
        return f" Values: {code(values)}."
    if "Protocol" in bases:
        members = [
            child.name if child.decorator_list else f"{child.name}({_arguments(child.args)})"
            for child in node.body
            if isinstance(child, ast.FunctionDef)
        ]
        return f" Members: {code(members)}."
    return ""


def _arguments(signature: ast.arguments) -> str:
    """Names and defaults of arguments, without types and without ``self``."""
    plain = [*signature.posonlyargs, *signature.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(signature.defaults))
    texts = [
        _argument(argument, default) for argument, default in zip(plain, [*defaults, *signature.defaults], strict=True)
    ]
    texts = texts[1:] if plain and plain[0].arg in ("self", "cls") else texts
    if signature.vararg:
        texts.append(f"*{signature.vararg.arg}")
    elif signature.kwonlyargs:
        texts.append("*")
    texts += [
        _argument(argument, default)
        for argument, default in zip(signature.kwonlyargs, signature.kw_defaults, strict=True)
    ]
    return ", ".join([*texts, f"**{signature.kwarg.arg}"] if signature.kwarg else texts)


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    return argument.arg if default is None else f"{argument.arg}={_default(default)}"


def _default(value: ast.expr) -> str:
    text = ast.unparse(value)
    return "…" if text.startswith("field(") or len(text) > 40 else text


def _comment(module: str, node: ast.stmt) -> str:
    """The ``#:`` comment above a constant; without one, the value if it is short."""
    lines = _path(module).read_text(encoding="utf-8").splitlines()
    above: list[str] = []
    for line in reversed(lines[: node.lineno - 1]):
        if not line.startswith("#:"):
            break
        above.insert(0, line.removeprefix("#:").strip())
    value = getattr(node, "value", None)
    text = "" if value is None else ast.unparse(value)
    value_text = f"`{text}`" if text and len(text) <= 100 else ""
    return markdown(" ".join(above)) or value_text


def _first_paragraph(docstring: str) -> str:
    """The first paragraph of a docstring, as Markdown."""
    return markdown(docstring.strip().split("\n\n")[0].replace("\n", " "))


# -- the program ------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the generated pages of docs/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is stale")
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
