"""ReAct: a growing transcript of actions, thoughts and observations, continued by the model after ">"."""

from __future__ import annotations

from typing import ClassVar

from agentgym_hindsight.wrappers.protocols.base import PromptState, Protocol

__all__ = ["ReAct"]

_HEADS = {
    "alfworld": "Interact with a household to solve a task.",
    "webshop": "Interact with a web shop to solve a task.",
    "generic": "Interact with an environment to solve a task.",
}
_WEBSHOP_LIMIT = 6_400  # characters: only this many at the end of the transcript are shown
_ARRIVAL = "You arrive at loc "
_BANNER = "-= "


class ReAct(Protocol):
    """The transcript: the first observation, then "> action" and its observation for each turn, then ">".

    The env replies "OK." to a turn "think: …", and the world does not change. Two texts are removed: the first sentence
    of "You arrive at loc 4. On the desk 1, …", and the "-= Welcome … =-" of the first observation. The library includes
    no demonstrations; pass your own. In the world ``"webshop"`` only the end of a long transcript is kept.

    >>> print(ReAct().render(PromptState("", "You arrive at loc 3. A desk.", (), [("A room.", "go to desk 1")])))
    Interact with an environment to solve a task.
    Here is the task.
    A room.
    > go to desk 1
    A desk.
    >
    """

    name = "react-2022"
    parser = "react-2022"
    default_history: ClassVar[int | None] = None

    def render(self, state: PromptState) -> str:
        start, turns = self.recent(state)
        # The first observation states the task, so it is always shown, also when it is outside of the window.
        first = state.history[0][0] if state.history else state.observation
        opening = _without_arrival(first)
        if opening.startswith(_BANNER):  # the engine's welcome line does not describe the room
            opening = "\n".join(opening.split("\n\n")[1:]) or opening
        if state.goal and state.goal not in first:
            opening = f"Your task is to: {state.goal}\n{opening}"
        lines = [] if start == 0 or not turns else [_without_arrival(turns[0][0])]
        for place, (_, action) in enumerate(turns):
            reply = turns[place + 1][0] if place + 1 < len(turns) else state.observation
            lines.append(self.turn(action, reply))
        if state.history and not turns:  # the current observation is shown even if the window is empty
            lines.append(_without_arrival(state.observation))
        transcript = "\n".join([opening, *lines, ">"])
        if state.world == "webshop":
            transcript = transcript[-_WEBSHOP_LIMIT:]
        head = _HEADS.get(state.world, _HEADS["generic"])
        count = len(self.demonstrations)
        if count:
            head += " Here is one example." if count == 1 else f" Here are {count} examples."
        return f"{head}\n{self.examples()}Here is the task.\n{transcript}"

    def follow_up(self, state: PromptState) -> str:
        return f"{_without_arrival(state.observation)}\n>"

    def turn(self, action: str, reply: str) -> str:
        """A turn as it is shown."""
        return f"> {action}\n{_without_arrival(reply)}"


def _without_arrival(observation: str) -> str:
    if observation.startswith(_ARRIVAL):
        _, dot, rest = observation.partition(". ")
        return rest if dot else observation
    return observation
