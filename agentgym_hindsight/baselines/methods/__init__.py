"""Training methods by name, one per file. Only the token signals need torch.

A method's file states what the method changes, in the paper's equations, and contains its credit and its defaults.
Shared parts are in ``credit``, ``signals``, ``divergences`` and ``critics``. The functions in ``antisd``, ``factor``,
``sdar`` and ``trial`` belong to methods without a recipe; call them directly.
"""

from __future__ import annotations

from importlib import import_module

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.errors import UnknownNameError

__all__ = ["RECIPES", "recipe"]

#: name → one line. The module of the same name has ``METHOD``.
RECIPES: dict[str, str] = {
    "grpo": "mean and standard deviation of the group over turns",
    "rloo": "mean of the other rollouts, no standard deviation",
    "gigpo": "GRPO, plus the same among turns taken in one state",
    "hgpo": "compares turns with an equal history; longer histories weigh more",
    "rlsd": "GRPO; a teacher that saw a success weights every token",
    "crbc": "GRPO, plus the value of each action by Bellman's equation over all rollouts",
    "pgpo": "discounted return among turns of one state, plus the change of a potential",
    "graphgpo": "GRPO, plus the distance to success in the graph of all rollouts",
    "agentopsd": "GRPO; the change of a belief in success weights every turn",
    "grsd": "GRPO; the teacher's mean gap weights every turn of a mixed group",
    "uniopsd": "GiGPO; the teacher's evidence is fused with the step credit",
    "ppo": "a critic of tokens; every turn is an episode",
    "turn-ppo": "a critic of turns; ratio and clip per turn",
    "vetta": "a shallow critic of turns and tokens, fused",
    "antisd": "GRPO; a penalty on tokens that the teacher's context explains",
    "factor": "temporal differences between actions; weights of mean one inside them",
    "trial": "GRPO; a dense loss weighted by how much the outcome changes each turn",
    "serl": "GRPO; a teacher that saw the environment's feedback weights the action's tokens",
}


def recipe(name: str) -> Method:
    """The method of this name, with the defaults of its released code.

    >>> recipe("grpo").has_teacher, recipe("rlsd").has_teacher
    (False, True)
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    method: Method = import_module(f"{__name__}.{name.replace('-', '_')}").METHOD
    return method
