"""The chat of a recorded turn."""

from __future__ import annotations

from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["messages"]


def messages(trajectory: Trajectory, place: int) -> list[dict[str, str]]:
    """The messages to which the policy replied at the step at this place, oldest first.

    A step of a conversation (``history="conversation"``) records only its own message, so that a file grows with the
    length of a rollout and not with its square. A step with a bounded prompt has one message. A policy whose context is
    too short for all messages saw fewer.

    >>> from agentgym_hindsight.hindsight.trajectory import Step
    >>> chat = {"conversation": True}
    >>> steps = (
    ...     Step(0, "A hall.", "north", "A room.", "A room.", prompt="Find it.", response="north", extra=chat),
    ...     Step(1, "A room.", "look", "A mug.", "A mug.", prompt="A room.", response="look", extra=chat),
    ... )
    >>> [message["content"] for message in messages(Trajectory("1f", steps=steps), 1)]
    ['Find it.', 'north', 'A room.']
    """
    step = trajectory.steps[place]
    chat = []
    if step.extra.get("conversation"):
        for past in trajectory.steps[:place]:
            chat += [{"role": "user", "content": past.prompt}, {"role": "assistant", "content": past.response}]
    return [*chat, {"role": "user", "content": step.prompt or step.observation}]
