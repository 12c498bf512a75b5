"""The state of a game in a snapshot, and its check when it comes from JSON."""

from __future__ import annotations

from typing import Any

from agentgym_hindsight.envs.alfworld.house import House, State
from agentgym_hindsight.envs.plain_values import flag, reject, row, text, whole

__all__ = ["Saved", "decoded"]

#: The states of the episode so far, the last reply, whether the last command was valid, whether it changed the state,
#: and the command if it was refused.
Saved = tuple[tuple[State, ...], str, bool, bool, str]


def decoded(house: House, value: Any) -> Saved:
    """A saved state from JSON. Every number is a thing, a receptacle or a location of the house."""
    states, observation, valid, changed, refused = row(value, "world", 5)
    listed = row(states, "world.states")
    if not listed:
        reject("at least one state", states, "world.states")
    return (
        tuple(_state(house, each) for each in listed),
        text(observation, "world.observation"),
        flag(valid, "world.valid"),
        flag(changed, "world.changed"),
        text(refused, "world.refused"),
    )


def _state(house: House, value: Any) -> State:
    where = "world.states"
    things, places = len(house.things), len(house.receptacles)
    at, held, contents, spots, taken_out, opened, *flags = row(value, where, 11)

    def masks(listed: Any, length: int) -> tuple[int, ...]:
        return tuple(whole(mask, where, 0, 1 << things) for mask in row(listed, where, length))

    return State(
        whole(at, where, 0, len(house.locations)),
        whole(held, where, -1, things),
        masks(contents, places),
        masks(spots, len(house.locations)),
        masks(taken_out, places),
        whole(opened, where, 0, 1 << places),
        *(whole(mask, where, 0, 1 << things) for mask in flags),
    )
