"""Thoughts for demonstrations: what an agent could think before an expert's actions. Ours, from the actions alone.

A thought is written where the expert's plan enters a new part, so a demonstration shows both turns that think and turns
that act. Every thought follows from the task and the actions, so the same rollout has the same thoughts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["thoughts_of"]

_TREATMENTS = ("clean ", "heat ", "cool ", "use ", "slice ", "examine ")
_PLACINGS = ("move ", "put ")


def thoughts_of(rollout: Trajectory, world: str) -> dict[int, str]:
    """The thoughts before turns of a rollout, by the index of the turn.

    >>> from agentgym_hindsight.hindsight import Step
    >>> texts = ("go to desk 1", "take mug 1 from desk 1", "move mug 1 to shelf 1")
    >>> steps = tuple(Step(place, "", text, "", "") for place, text in enumerate(texts))
    >>> thoughts_of(Trajectory("1f", goal="put a mug in shelf.", steps=steps), "alfworld")[2]
    'I have the mug 1. Next I move mug 1 to shelf 1.'
    """
    if not rollout.steps:
        return {}
    return _WORLDS.get(world, _plain)(rollout.goal.strip(), [" ".join(step.action.split()) for step in rollout.steps])


def _household(goal: str, actions: Sequence[str]) -> dict[int, str]:
    taken = next(
        (text.removeprefix("take ").partition(" from ")[0] for text in actions if text.startswith("take ")), ""
    )
    kind = taken.rpartition(" ")[0]
    article = "an" if kind[:1] in "aeiou" else "a"
    thoughts = {0: f"The task is: {goal} First I have to find {f'{article} {kind}' if kind else 'what it names'}."}
    for place, action in enumerate(actions[:-1]):
        if action.startswith("take "):
            thing = action.removeprefix("take ").partition(" from ")[0]
            key = next((text for text in actions[place + 1 :] if text.startswith((*_TREATMENTS, *_PLACINGS))), "")
            thoughts[place + 1] = f"I have the {thing}. Next I {key}." if key else f"I have the {thing}."
        elif action.startswith(_TREATMENTS):
            key = next((text for text in actions[place + 1 :] if text.startswith(_PLACINGS)), "")
            if key:
                thoughts[place + 1] = f"That is done. Next I {key}."
    return thoughts


def _shop(goal: str, actions: Sequence[str]) -> dict[int, str]:
    thoughts = {0: "I search for what the instruction names."}
    chosen = [text.removeprefix("click[").removesuffix("]") for text in actions[1:] if text.startswith("click[")]
    if len(chosen) > 1:
        thoughts[1] = f"{chosen[0]} may fit the instruction, so I open it."
        options = [text for text in chosen[1:] if text != "buy now"]
        if options and len(actions) > 2:
            thoughts[2] = f"Of its options I need: {', '.join(options)}."
    if len(actions) > 1:
        thoughts[len(actions) - 1] = "Everything that the instruction asks for is chosen, so I buy it."
    return thoughts


def _apps(goal: str, actions: Sequence[str]) -> dict[int, str]:
    thoughts = {0: f"The task is: {goal} First I log in to the apps that it needs."}
    if len(actions) > 1:
        thoughts[len(actions) - 1] = "The work is done, so I end the task."
    return thoughts


def _service(goal: str, actions: Sequence[str]) -> dict[int, str]:
    thoughts = {0: "Before I change anything I have to know who the customer is."}
    if len(actions) > 1:
        thoughts[len(actions) - 1] = "I have what is needed to finish the request."
    return thoughts


def _plain(goal: str, actions: Sequence[str]) -> dict[int, str]:
    return {0: f"The task is: {goal}" if goal else "I begin."}


_WORLDS: Mapping[str, Callable[[str, Sequence[str]], dict[int, str]]] = {
    "alfworld": _household,
    "webshop": _shop,
    "appworld": _apps,
    "tools": _service,
}
