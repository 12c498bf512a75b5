"""The true state of a game, and everything that can be read from it.

:class:`~agentgym_hindsight.envs.alfworld.native.Play` adds the commands. The state consists of integers and short
lists; derived values are cached until the state changes.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from agentgym_hindsight.envs.alfworld.house import House, State, View
from agentgym_hindsight.envs.alfworld.predicates import facts_of

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Position", "Snapshot"]

#: The state, the last reply, whether the last command was valid, whether it changed the state.
Snapshot = tuple[State, str, bool, bool]


class Position:
    """The read-only part of a game in progress."""

    __slots__ = (
        "_at",
        "_clean",
        "_contents",
        "_cool",
        "_held",
        "_hot",
        "_key_text",
        "_opened",
        "_sliced",
        "_spots",
        "_taken_out",
        "_toggled",
        "_view",
        "_won",
        "changed",
        "house",
        "observation",
        "valid",
    )

    house: House
    observation: str
    valid: bool
    changed: bool
    _view: View | None
    _won: bool | None
    _key_text: str | None

    def _load(self, state: State) -> None:
        self._at = state.at
        self._held = state.held
        self._contents = list(state.contents)
        self._spots = list(state.spots)
        self._taken_out = list(state.taken_out)
        self._opened = state.opened
        self._clean = state.clean
        self._hot = state.hot
        self._cool = state.cool
        self._toggled = state.toggled
        self._sliced = state.sliced
        self._view = self._won = self._key_text = None

    def _current_view(self) -> View:
        house, at = self.house, self._at
        receptacles = house.at_location[at]
        opened = 0
        for number in receptacles:
            opened |= self._opened & 1 << number
        cuttable = 0
        if self._held >= 0 and house.knives >> self._held & 1:
            cuttable = self._spots[at] & house.sliceable  # slicing also works on a thing in a closed fridge
        contents = self._contents
        self._view = view = house.view(
            (at, self._held, opened, cuttable, *[contents[number] for number in receptacles])
        )
        return view

    @property
    def admissible(self) -> tuple[str, ...]:
        """All legal commands, in the order of the genuine engine."""
        return (self._view or self._current_view()).admissible

    @property
    def won(self) -> bool:
        """Whether the goal holds now. It can become false again if the game continues."""
        if self._won is None:
            self._won = self._goal_holds()
        return self._won

    def _goal_holds(self) -> bool:
        house, targets, contents = self.house, self.house.goal_things, self._contents
        task = house.scene.goal.task_type
        if task == "look_at_obj_in_light":
            if self._held < 0 or not targets >> self._held & 1:
                return False
            lit = house.lamps & self._toggled
            return any(contents[number] & lit for number in house.at_location[self._at])
        if task == "pick_two_obj_and_place":
            return any((placed := contents[number] & targets) & (placed - 1) for number in house.goal_places)
        if task == "pick_clean_then_place_in_recep":
            targets &= self._clean & house.cleanable
        elif task == "pick_heat_then_place_in_recep":
            targets &= self._hot & house.heatable
        elif task == "pick_cool_then_place_in_recep":
            targets &= self._cool & house.coolable
        return any(contents[number] & targets for number in house.goal_places)

    def state(self) -> State:
        """The true state of the house, immutable and hashable."""
        return State(
            self._at,
            self._held,
            tuple(self._contents),
            tuple(self._spots),
            tuple(self._taken_out),
            self._opened,
            self._clean,
            self._hot,
            self._cool,
            self._toggled,
            self._sliced,
        )

    def state_key(self) -> str:
        """The key of the true state: 16 hex digits, the same on every machine.

        In two states with the same key, every command has the same result.
        """
        if self._key_text is None:
            data = repr(tuple(self.state())).encode()
            self._key_text = blake2b(data, digest_size=8, key=self.house.fingerprint).hexdigest()
        return self._key_text

    def facts(self) -> frozenset[tuple[str, ...]]:
        """The true facts as tuples, e.g. ``("inReceptacle", thing id, receptacle id)``."""
        return facts_of(self.house, self.state())

    def snapshot(self) -> Snapshot:
        """An immutable, picklable copy of the state for :meth:`restore`."""
        return self.state(), self.observation, self.valid, self.changed

    def restore(self, snapshot: Snapshot) -> None:
        """Set the state to a snapshot of a game in the same house."""
        state, self.observation, self.valid, self.changed = snapshot
        self._load(state)

    @classmethod
    def at(cls, house: House, state: State) -> Self:
        """A game in ``house`` with the given state, e.g. an earlier state of an episode."""
        play = cls.__new__(cls)
        play.house = house
        play.restore((state, "", True, False))
        return play

    def copy(self) -> Self:
        """An independent copy of the game, which shares the house."""
        copied = type(self).__new__(type(self))
        copied.house = self.house
        copied.restore(self.snapshot())
        return copied

    def __getstate__(self) -> tuple[House, Snapshot]:
        return self.house, self.snapshot()

    def __setstate__(self, state: tuple[House, Snapshot]) -> None:
        self.house, snapshot = state
        self.restore(snapshot)
