"""A prompt of few tokens for small models: past actions, the observation, possible actions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from agentgym_hindsight.wrappers.protocols.base import PromptState, Protocol

__all__ = ["Brief"]

_BANNER = "-= "
_GOAL = "Your task is to: "
_SHORT = 3  # words: a reply of up to this length ("Nothing happens.") does not say where the agent is


class Brief(Protocol):
    """Task, the last ``history`` actions (6), observation, and possible actions.

    * A reply of up to three words ("Nothing happens.") is shown next to its action. If it is the newest reply, the last
      longer observation is shown again, because the short one does not say where the agent is.
    * Admissible actions that differ only in their last words are merged: ``go to: drawer 1 2 3 fridge 1``.
    * Actions that were taken before are listed separately, after "Again": a small model cannot find out from a list of
      past actions which actions are new.

    The answer is ``<action>…</action>``, and thinking before it is allowed.

    >>> print(Brief().render(PromptState("find the mug", "A room.", ("go to desk 1", "go to desk 2", "look"))))
    Task: find the mug
    Now: A room.
    Can: look; go to: desk 1 2
    """

    name = "brief"
    parser = "brief"
    default_history: ClassVar[int | None] = 6

    def render(self, state: PromptState) -> str:
        start, _ = self.recent(state)
        lines = [f"Task: {state.goal}"] if state.goal else []
        replies = [observation for observation, _ in state.history[1:]] + [state.observation]
        done = [_with_short_reply(action, reply) for (_, action), reply in zip(state.history, replies, strict=False)][
            start:
        ]
        if done:
            lines.append(f"Done: {'; '.join(done)}")
        if _is_short(state.observation):
            last_long = next((text for text, _ in reversed(state.history) if not _is_short(text)), "")
            lines += [f"Before: {_without_banner(last_long, state.goal)}"] if last_long else []
        return self.examples() + "\n".join([*lines, *_situation(state)])

    def follow_up(self, state: PromptState) -> str:
        return "\n".join(_situation(state))


def _situation(state: PromptState) -> list[str]:
    """The observation and the possible actions."""
    lines = [f"Now: {_without_banner(state.observation, state.goal)}"]
    possible = _possible_actions(state)
    taken = {action for _, action in state.history}
    for title, actions in (
        ("Can", [action for action in possible if action not in taken]),
        ("Again", [action for action in possible if action in taken]),
    ):
        if actions:
            lines.append(f"{title}: {_merge_actions(actions)}")
    return lines


def _is_short(reply: str) -> bool:
    return len(reply.split(None, _SHORT)) <= _SHORT


def _with_short_reply(action: str, reply: str) -> str:
    return f"{action} ({reply.strip()})" if _is_short(reply) else action


def _without_banner(observation: str, goal: str) -> str:
    """The observation without the engine's banner and without the task, which is already in the prompt."""
    if observation.startswith(_BANNER):
        observation = "\n".join(observation.split("\n\n")[1:]) or observation
    head, found, tail = observation.partition(_GOAL)
    if found and goal and goal in tail:
        observation = head
    return observation.strip()


def _possible_actions(state: PromptState) -> list[str]:
    actions = [action for action in state.admissible_actions if action != "help"]
    if state.search_bar and not any(action.startswith("search[") for action in actions):
        actions.insert(0, "search[<your query>]")
    return actions


def _merge_actions(actions: Iterable[str]) -> str:
    plain: list[str] = []
    numbered: dict[str, dict[str, list[str]]] = {}
    for action in actions:
        words = action.split(" ")
        if len(words) > 2 and words[-1].isdigit() and "[" not in action:
            numbered.setdefault(" ".join(words[:-2]), {}).setdefault(words[-2], []).append(words[-1])
        else:
            plain.append(action)
    merged = (f"{head}: {_format_objects(objects)}" for head, objects in numbered.items())
    return "; ".join([*plain, *merged])


def _format_objects(objects: dict[str, list[str]]) -> str:
    return " ".join(f"{name} {' '.join(_sorted_numbers(numbers))}" for name, numbers in objects.items())


def _sorted_numbers(numbers: Iterable[str]) -> list[str]:
    return sorted(numbers, key=int)
