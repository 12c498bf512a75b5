"""Training methods by name, one per file. Importing this package needs torch.

A method's file states what the method changes, in the paper's equations, and contains its credit and its defaults.
Shared parts are in ``credit``, ``signals``, ``divergences`` and ``critics``. The functions in ``antisd``, ``factor``,
``sdar`` and ``trial`` belong to methods without a recipe; call them directly.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

from agentgym_hindsight.baselines.requirements import require_torch

require_torch("computing credit and token weights")

from agentgym_hindsight.baselines.methods.base import Method  # noqa: E402
from agentgym_hindsight.errors import UsageError  # noqa: E402
from agentgym_hindsight.names import import_object, is_import_name, known_name  # noqa: E402

__all__ = ["RECIPES", "recipe", "recipe_name"]

#: name → one line. The module of the same name has ``METHOD``.
RECIPES: dict[str, str] = {
    "grpo": "mean and standard deviation of the group over turns",
    "rloo": "mean of the other rollouts, no standard deviation",
    "gigpo": "GRPO, plus the same among turns taken in one state",
    "hgpo": "compares turns with an equal history; longer histories weigh more",
    "rlsd": "GRPO; a teacher that saw a success weights every token",
    "serl": "GRPO; a teacher that saw the environment's feedback weights the action's tokens",
}


def recipe(name: str) -> Method:
    """The method of this name, with the defaults of its released code. Names match without regard to case.

    ``package.module:NAME`` is a :class:`Method` of your own, in a module that can be imported or that is in the current
    folder.

    >>> recipe("grpo").has_teacher, recipe("RLSD").has_teacher
    (False, True)
    """
    name = recipe_name(name)
    if is_import_name(name):
        return _own(name)
    method: Method = import_module(f"{__name__}.{name}").METHOD
    return method


def recipe_name(name: str) -> str:
    """The name of a recipe as the library writes it; ``module:NAME`` is not imported here.

    >>> recipe_name("Serl"), recipe_name("my_module:METHOD")
    ('serl', 'my_module:METHOD')
    """
    if isinstance(name, str) and is_import_name(name.strip()):
        return name.strip()
    return known_name("recipe", name, RECIPES)


def _own(name: str) -> Method:
    found = import_object("method", name)
    if not isinstance(found, Method):
        raise UsageError(
            f"Expected a Method as {name!r}, got {type(found).__name__}; "
            "try METHOD = Method('mine', credit), from agentgym_hindsight.baselines.methods.base."
        )
    return replace(found, imported_from=name)
