"""Methods by name, one a file. A recipe says what its method changes, in the paper's equations, and its defaults."""

from __future__ import annotations

from importlib import import_module

from agentgym_hindsight.baselines.method import Method
from agentgym_hindsight.errors import UnknownNameError

__all__ = ["RECIPES", "recipe"]

#: name → one line on it. The module of the same name has ``METHOD``.
RECIPES: dict[str, str] = {
    "grpo": "the group's mean and deviation over turns",
    "rloo": "the mean of the others, no deviation",
    "gigpo": "GRPO plus the same among turns taken in one situation",
    "hgpo": "situations compared by their history, longer ones weighing more",
    "rlsd": "GRPO; a teacher that saw a success weighs every token",
    "serl": "GRPO; a teacher that saw the env's feedback weighs the action's tokens",
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
