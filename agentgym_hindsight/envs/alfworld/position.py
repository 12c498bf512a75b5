"""Where a play stands: the true state of a house, and everything that can be read from it without playing on.

:class:`~agentgym_hindsight.envs.alfworld.native.Play` adds the moves. The state lives in plain integers and short
lists; whatever is worked out from it is kept until the state changes.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from agentgym_hindsight.envs.alfworld.house import House, State, View
from agentgym_hindsight.envs.alfworld.predicates import facts_of

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Position", "Snapshot"]

#: The state, what was last said, whether the last command was understood, whether it changed anything.
Snapshot = tuple[State, str, bool, bool]


class Position:
    """The readable half of a play."""

    __slots__ = (
        "_at",
        "_clean",
        "_contents",
        "_cool",
        "_held",
        "_hot",
        "_key_text",
        "_left",
        "_opened",
        "_sliced",
        "_spots",
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
        self._left = list(state.left)
        self._opened = state.opened
        self._clean = state.clean
        self._hot = state.hot
        self._cool = state.cool
        self._toggled = state.toggled
        self._sliced = state.sliced
        self._view = self._won = self._key_text = None

    def _see(self) -> View:
        house, at = self.house, self._at
        here = house.at_location[at]
        opened = 0
        for number in here:
            opened |= self._opened & 1 << number
        cuttable = 0
        if self._held >= 0 and house.knives >> self._held & 1:
            cuttable = self._spots[at] & house.sliceable  # reach does not matter: a closed fridge hides no apple here
        contents = self._contents
        self._view = view = house.view((at, self._held, opened, cuttable, *[contents[number] for number in here]))
        return view

    @property
    def admissible(self) -> tuple[str, ...]:
        """Every command that would do something, sorted as the genuine engine sorts them."""
        return (self._view or self._see()).admissible

    @property
    def won(self) -> bool:
        """Whether the goal holds now; it can stop holding when the play goes on."""
        if self._won is None:
            self._won = self._reached()
        return self._won

    def _reached(self) -> bool:
        house, wanted, contents = self.house, self.house.goal_things, self._contents
        task = house.scene.goal.task_type
        if task == "look_at_obj_in_light":
            if self._held < 0 or not wanted >> self._held & 1:
                return False
            lit = house.lamps & self._toggled
            return any(contents[number] & lit for number in house.at_location[self._at])
        if task == "pick_two_obj_and_place":
            return any((found := contents[number] & wanted) & (found - 1) for number in house.goal_places)
        if task == "pick_clean_then_place_in_recep":
            wanted &= self._clean & house.cleanable
        elif task == "pick_heat_then_place_in_recep":
            wanted &= self._hot & house.heatable
        elif task == "pick_cool_then_place_in_recep":
            wanted &= self._cool & house.coolable
        return any(contents[number] & wanted for number in house.goal_places)

    def state(self) -> State:
        """The true state of the house, immutable and hashable."""
        return State(
            self._at,
            self._held,
            tuple(self._contents),
            tuple(self._spots),
            tuple(self._left),
            self._opened,
            self._clean,
            self._hot,
            self._cool,
            self._toggled,
            self._sliced,
        )

    def state_key(self) -> str:
        """Sixteen hex digits that name the true state: equal keys, equal futures; the same on every machine."""
        if self._key_text is None:
            written = repr(tuple(self.state())).encode()
            self._key_text = blake2b(written, digest_size=8, key=self.house.fingerprint).hexdigest()
        return self._key_text

    def facts(self) -> frozenset[tuple[str, ...]]:
        """The facts that are true now, as ``("inReceptacle", thing id, receptacle id)`` and the like."""
        return facts_of(self.house, self.state())

    def snapshot(self) -> Snapshot:
        """The play as it stands, for :meth:`restore`: plain, immutable, picklable."""
        return self.state(), self.observation, self.valid, self.changed

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot of a play of the same house."""
        state, self.observation, self.valid, self.changed = snapshot
        self._load(state)

    @classmethod
    def at(cls, house: House, state: State) -> Self:
        """A play of ``house`` that stands at ``state``: for reading facts of a moment that has passed."""
        play = cls.__new__(cls)
        play.house = house
        play.restore((state, "", True, False))
        return play

    def copy(self) -> Self:
        """An independent play at the same point; the house is shared."""
        twin = type(self).__new__(type(self))
        twin.house = self.house
        twin.restore(self.snapshot())
        return twin

    def __getstate__(self) -> tuple[House, Snapshot]:
        return self.house, self.snapshot()

    def __setstate__(self, state: tuple[House, Snapshot]) -> None:
        self.house, snapshot = state
        self.restore(snapshot)
