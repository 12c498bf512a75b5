"""The per-turn prompt of the RL baselines (verl-agent, GiGPO, SERL).

It has the same parts in the same order: role, task, number of steps taken, a window of observations and actions, the
current observation, the admissible actions, the format of the answer. The wording of the other text is ours.
"""

from __future__ import annotations

from typing import ClassVar

from agentgym_hindsight.wrappers.protocols.base import PromptState, Protocol

__all__ = ["VerlAgent"]

_ROLES = {
    "alfworld": "You are an expert agent operating in the ALFRED Embodied Environment.",
    "webshop": "You are an expert autonomous agent operating in the WebShop e-commerce environment.",
    "appworld": "You are an expert agent that acts in a world of apps by writing Python code.",
    "generic": "You are an expert agent operating in an interactive text environment.",
}
_WEBSHOP_LIMIT = 13_000  # characters; a longer prompt is rendered without history
_PROGRAM = (
    "It is your turn to act, once. First reason step by step about the situation, inside <think> </think> tags. "
    "Then write one Python program inside <action> </action> tags."
)
_FORMAT = (
    "It is your turn to act, once. First reason step by step about the situation, inside <think> </think> tags. "
    "Then choose one admissible action and give it inside <action> </action> tags."
)


class VerlAgent(Protocol):
    """Role, task, the last ``history`` turns (2), observation and admissible actions; think, then act, in tags.

    There are variants for the worlds ``"alfworld"``, ``"webshop"`` and ``"appworld"``, and a neutral one for others.
    The first turn has no history. In ALFWorld it also omits the task, because the first observation states it.

    >>> prompt = VerlAgent().render(PromptState("put a mug in shelf 1.", "You are here.", ("look", "help")))
    >>> "'look'" in prompt, "'help'" in prompt
    (True, False)
    """

    name = "verl-agent-2025"
    parser = "verl-agent-2025"
    default_history: ClassVar[int | None] = 2

    def render(self, state: PromptState) -> str:
        prompt = self._render(state, with_history=True)
        if state.world == "webshop" and len(prompt) > _WEBSHOP_LIMIT:
            prompt = self._render(state, with_history=False)
        return prompt

    def follow_up(self, state: PromptState) -> str:
        lines = [f"Your current observation is: {state.observation}"]
        lines += [] if state.world == "appworld" else [_admissible(state)]
        return "\n".join(lines)

    def _render(self, state: PromptState, with_history: bool) -> str:
        start, turns = self.recent(state)
        lines = [_ROLES.get(state.world, _ROLES["generic"])]
        no_history = not (with_history and turns)
        if state.goal and not (no_history and state.world == "alfworld" and state.goal in state.observation):
            lines.append(f"Your task is to: {state.goal}")
        if no_history:
            lines.append(f"Your current observation is: {state.observation}")
        else:
            past = "\n".join(
                f"[Observation {n}: '{observation}', Action {n}: '{action}']"
                for n, (observation, action) in enumerate(turns, start + 1)
            )
            taken = len(state.history)
            lines += [
                f"You have already taken {taken} step(s). The most recent {len(turns)} observation(s) and the "
                f"actions you took from them:\n{past}",
                f"You are now at step {taken + 1}. Your current observation is: {state.observation}",
            ]
        lines += ["", _PROGRAM] if state.world == "appworld" else [_admissible(state), "", _FORMAT]
        return self.examples() + "\n".join(lines)


def _admissible(state: PromptState) -> str:
    actions = [action for action in state.admissible_actions if action != "help"]
    if state.world == "webshop":
        # The agent can search for any text: one entry replaces the listed queries.
        search = state.search_bar or any(action.startswith("search[") for action in actions)
        actions = [action for action in actions if not action.startswith("search[")]
        shown = [*(["search[<your query>]"] if search else []), *actions]
        listed = "\n".join(f"'{action}'," for action in shown)
        return f"Your admissible actions now are:\n[\n{listed}\n]."
    if not actions:
        return "The admissible actions are not listed: give the one that fits."
    listed = "\n ".join(f"'{action}'" for action in actions)
    return f"Your admissible actions now are: [{listed}]."
