"""Training methods by name, one per file. Only the token signals need torch.

A method's file states what the method changes, in the paper's equations, and contains its credit and its defaults:
``METHOD``, ``PAPER`` and ``EVIDENCE``. A file with a ``METHOD`` is found by itself; nothing else names it. Shared parts
are in ``credit``, ``anchor_groups``, ``step_graph``, ``critics``, ``signals`` and ``divergences``.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.names import import_object, is_import_name, known_name

__all__ = ["RECIPES", "RECOMMENDED", "About", "about", "recipe", "recipe_name"]


@dataclass(frozen=True, slots=True)
class About:
    """Facts about a method.

    ``evidence`` says what its formulas were taken from: the authors' released ``code``, the ``paper``, ``notes`` of
    others about it, or ``ours``. ``page`` is its page in the documentation.
    """

    name: str
    summary: str
    paper: str
    evidence: str
    page: str


class _Recipes(Mapping[str, str]):
    """The names of the methods and one line about each. Nothing is imported before it is read."""

    def __getitem__(self, name: str) -> str:
        if name not in _modules():
            raise KeyError(name)
        return about(name).summary

    def __iter__(self) -> Iterator[str]:
        return iter(_modules())

    def __len__(self) -> int:
        return len(_modules())


#: name → one line, for every method of this package.
RECIPES: Mapping[str, str] = _Recipes()
#: What ``agh train`` trains if no method is named: the one that measurements recommend (docs/methods/recommended.md).
RECOMMENDED = "serl+gigpo"


@lru_cache(maxsize=1)
def _modules() -> dict[str, str]:
    """The module of every method, by name: those whose file assigns ``METHOD``."""
    folder = Path(__file__).parent
    return {
        module.name.replace("_", "-"): f"{__name__}.{module.name}"
        for module in pkgutil.iter_modules([str(folder)])
        if "\nMETHOD = " in (folder / f"{module.name}.py").read_text(encoding="utf-8")
    }


def about(name: str) -> About:
    """Facts about the method of this name.

    >>> about("crbc").paper, about("crbc").evidence
    ('arXiv 2609.35082', 'paper')
    """
    module = _module(name)
    line = (module.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    return About(name, line.partition(": ")[2] or line, module.PAPER, module.EVIDENCE, f"docs/methods/{name}.md")


def _module(name: str) -> Any:
    return import_module(_modules()[known_name("recipe", name, RECIPES)])


def recipe(name: str) -> Method:
    """The method of this name, with the defaults of its released code. Names match without regard to case.

    ``METHOD+CREDIT`` is the first method with the credit of the second, and its critic if it has one.
    ``package.module:NAME`` is a :class:`Method` of your own, in a module that can be imported or that is in the current
    folder.

    >>> recipe("grpo").has_teacher, recipe("RLSD").has_teacher, recipe("serl+crbc").credit.beta
    (False, True, 0.98)
    """
    methods = [_own(part) if is_import_name(part) else _shipped(part) for part in recipe_name(name).split("+")]
    return methods[0] if len(methods) == 1 else methods[0].with_credit(methods[1])


def recipe_name(name: str) -> str:
    """The name of a recipe as the library writes it; ``module:NAME`` is not imported here.

    >>> recipe_name("Serl"), recipe_name("SERL + gigpo"), recipe_name("my_module:METHOD")
    ('serl', 'serl+gigpo', 'my_module:METHOD')
    """
    parts = str(name).split("+") if isinstance(name, str) else [name]
    if len(parts) > 2:
        raise UsageError(f"Expected METHOD or METHOD+CREDIT, got {name!r}; try serl+crbc.")
    return "+".join(
        part.strip() if isinstance(part, str) and is_import_name(part.strip()) else known_name("recipe", part, RECIPES)
        for part in parts
    )


def _shipped(name: str) -> Method:
    method: Method = _module(name).METHOD
    return method


def _own(name: str) -> Method:
    found = import_object("method", name)
    if not isinstance(found, Method):
        raise UsageError(
            f"Expected a Method as {name!r}, got {type(found).__name__}; "
            "try METHOD = Method('mine', credit), from agentgym_hindsight.baselines.methods.base."
        )
    return replace(found, imported_from=name)
