"""A prompt of few tokens, for small models: what was done, what is seen, what can be done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from agentgym_hindsight.wrappers.protocols.base import PromptState, Protocol

__all__ = ["Brief"]

_BANNER = "-= "
_GOAL = "Your task is to: "
_SHORT = 3  # words; a reply as short as "Nothing happens." tells nothing of where the agent stands


class Brief(Protocol):
    """Task, the last ``history`` actions (6), observation, and what can be done.

    A reply of a word or three ("Nothing happens.") stands beside its action; where it is the newest one, what was seen
    before it is shown again: the agent would not know where it stands.

    Admissible actions that differ in their last words alone are told once: ``go to: drawer 1 2 3 fridge 1``; those that
    were taken before stand apart, after "Again": a small model cannot tell from a list of deeds what is left. The
    answer is ``<action>…</action>``, and thinking before it is allowed.

    >>> print(Brief().render(PromptState("find the mug", "A room.", ("go to desk 1", "go to desk 2", "look"))))
    Task: find the mug
    Now: A room.
    Can: look; go to: desk 1 2
    """

    name = "brief"
    parser = "brief"
    own_history: ClassVar[int | None] = 6

    def render(self, state: PromptState) -> str:
        start, _ = self.recent(state)
        lines = [f"Task: {state.goal}"] if state.goal else []
        replies = [observation for observation, _ in state.history[1:]] + [state.observation]
        done = [_done(action, reply) for (_, action), reply in zip(state.history, replies, strict=False)][start:]
        if done:
            lines.append(f"Done: {'; '.join(done)}")
        if _is_short(state.observation):
            seen = next((text for text, _ in reversed(state.history) if not _is_short(text)), "")
            lines += [f"Before: {_shown(seen, state.goal)}"] if seen else []
        lines.append(f"Now: {_shown(state.observation, state.goal)}")
        can = _offered(state)
        taken = {action for _, action in state.history}
        for title, actions in (
            ("Can", [action for action in can if action not in taken]),
            ("Again", [action for action in can if action in taken]),
        ):
            if actions:
                lines.append(f"{title}: {_grouped(actions)}")
        return self.examples() + "\n".join(lines)


def _is_short(reply: str) -> bool:
    return len(reply.split(None, _SHORT)) <= _SHORT


def _done(action: str, reply: str) -> str:
    return f"{action} ({reply.strip()})" if _is_short(reply) else action


def _shown(observation: str, goal: str) -> str:
    """The observation without the engine's banner and the task, which stands above already."""
    if observation.startswith(_BANNER):
        observation = "\n".join(observation.split("\n\n")[1:]) or observation
    head, found, tail = observation.partition(_GOAL)
    if found and goal and goal in tail:
        observation = head
    return observation.strip()


def _offered(state: PromptState) -> list[str]:
    actions = [action for action in state.admissible_actions if action != "help"]
    if state.search_bar and not any(action.startswith("search[") for action in actions):
        actions.insert(0, "search[<your query>]")
    return actions


def _grouped(actions: Iterable[str]) -> str:
    plain: list[str] = []
    numbered: dict[str, dict[str, list[str]]] = {}
    for action in actions:
        words = action.split(" ")
        if len(words) > 2 and words[-1].isdigit() and "[" not in action:
            numbered.setdefault(" ".join(words[:-2]), {}).setdefault(words[-2], []).append(words[-1])
        else:
            plain.append(action)
    grouped = (f"{head}: {_things(things)}" for head, things in numbered.items())
    return "; ".join([*plain, *grouped])


def _things(things: dict[str, list[str]]) -> str:
    return " ".join(f"{name} {' '.join(_in_order(numbers))}" for name, numbers in things.items())


def _in_order(numbers: Iterable[str]) -> list[str]:
    return sorted(numbers, key=int)
