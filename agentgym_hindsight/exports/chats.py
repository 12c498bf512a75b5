"""A rollout as a chat, and a chat of another program as a rollout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agentgym_hindsight.errors import SchemaError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.tasks import content_hash

__all__ = ["message_text", "reply_text", "rollout_chat", "trajectory_of_chat", "world_text"]


def world_text(trajectory: Trajectory, place: int) -> str:
    """What the policy was told at a turn, as one message of a chat of the whole rollout.

    It is the recorded prompt in a conversation and at the first turn. Later prompts of another rollout repeat the
    history, which the chat has already, so the observation is used.
    """
    step = trajectory.steps[place]
    if step.prompt and (not place or step.extra.get("conversation")):
        return step.prompt
    return step.observation


def reply_text(step: Step) -> str:
    """What the policy wrote: the recorded response, else the action."""
    return step.response or step.action


def rollout_chat(trajectory: Trajectory) -> list[dict[str, str]]:
    """The messages of a rollout, which end with the last reply.

    >>> steps = (Step(0, "A hall.", "go", "A room.", "A room."), Step(1, "A room.", "take mug", "Taken.", "Taken."))
    >>> [message["content"] for message in rollout_chat(Trajectory("1f", steps=steps))]
    ['A hall.', 'go', 'A room.', 'take mug']
    """
    chat = []
    for place, step in enumerate(trajectory.steps):
        chat.append({"role": "user", "content": world_text(trajectory, place)})
        chat.append({"role": "assistant", "content": reply_text(step)})
    return chat


def trajectory_of_chat(messages: Sequence[Any], **facts: Any) -> Trajectory:
    """The rollout that a chat of another program shows. ``facts`` are further fields of the trajectory.

    A turn is a message of the assistant: what came before it is its observation, what comes after it the feedback. An
    assistant's tool calls are JSON in its text. The messages themselves stand in ``extra["messages"]``.

    >>> chat = [{"role": "user", "content": "A hall."}, {"role": "assistant", "content": "go"}]
    >>> trajectory_of_chat(chat).actions
    ('go',)
    """
    turns: list[tuple[str, str]] = []
    waiting: list[str] = []  # messages since the last reply
    for number, message in enumerate(messages):
        role, text = message_text(message, number)
        if role == "assistant":
            turns.append(("\n\n".join(waiting), text))
            waiting = []
        else:
            waiting.append(text)
    last = "\n\n".join(waiting)
    observations = [*(before for before, _ in turns), last]
    steps = tuple(
        Step(
            index,
            observation,
            reply,
            observations[index + 1],
            observations[index + 1],
            prompt=observation,
            response=reply,
            action_span=(0, len(reply)),
            extra={"conversation": True},
        )
        for index, (observation, reply) in enumerate(turns)
    )
    found: dict[str, Any] = {"task_id": content_hash(observations[0]), "steps": steps, "final_observation": last}
    extra = {"messages": list(messages), **facts.pop("extra", {})}
    return Trajectory(**{**found, **facts}, extra=extra)


def message_text(message: Any, number: int) -> tuple[str, str]:
    """The role and the text of a message. Raises :class:`~agentgym_hindsight.errors.SchemaError`."""
    if not isinstance(message, Mapping):
        raise SchemaError(f"Expected a message as an object at messages[{number}], got {type(message).__name__}.")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str):
        raise SchemaError(f"Expected a role as text at messages[{number}], got {type(role).__name__}.")
    if isinstance(content, list):  # parts of text, images and other media
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        content = "".join(part for part in parts if isinstance(part, str))
    if content is not None and not isinstance(content, str):
        raise SchemaError(f"Expected the content of messages[{number}] as text, got {type(content).__name__}.")
    calls = message.get("tool_calls") or message.get("toolCalls")
    shown = json.dumps(calls, sort_keys=True) if calls else ""
    return role, "\n".join(text for text in (content, shown) if text)
