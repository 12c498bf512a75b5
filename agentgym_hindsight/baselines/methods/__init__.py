"""Training methods by name, one per file. Importing this package needs torch.

A method's file states what the method changes, in the paper's equations, and contains its credit and its defaults.
Shared parts are in ``credit``, ``signals``, ``divergences`` and ``critics``. The functions in ``antisd``, ``factor``,
``sdar`` and ``trial`` belong to methods without a recipe; call them directly.
"""

from __future__ import annotations

from importlib import import_module

from agentgym_hindsight.baselines.requirements import require_torch

require_torch("computing credit and token weights")

from agentgym_hindsight.baselines.methods.base import Method  # noqa: E402
from agentgym_hindsight.errors import UnknownNameError  # noqa: E402

__all__ = ["RECIPES", "recipe"]

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
    """The method of this name, with the defaults of its released code.

    >>> recipe("grpo").has_teacher, recipe("rlsd").has_teacher
    (False, True)
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    method: Method = import_module(f"{__name__}.{name}").METHOD
    return method
