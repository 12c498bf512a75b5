"""Continuations of the moments of groups that share what they have in common.

After a moment, the same reply leads to the same next moment: a snapshot has everything that the world depends on.
Therefore the turn that follows a reply at a moment is played once, and all continuations that give this reply there go
on from its result. A continuation that comes to a moment where another one with the same random numbers begins ends as
that one. The outcomes are those of :func:`~agentgym_hindsight.baselines.rollout.rollout`, from fewer turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agentgym_hindsight.baselines.audit.moments import PlayedGroup
from agentgym_hindsight.baselines.continuations import Continuation, answers_of
from agentgym_hindsight.baselines.policies.base import Policy, TurnView
from agentgym_hindsight.envs.snapshot_value import Snapshot
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.messages import Message, chat_so_far
from agentgym_hindsight.vector import HindsightVectorEnv, unstack

__all__ = ["Ended", "SharedContinuations"]


class Ended(NamedTuple):
    """How a continuation ended."""

    won: bool
    broken: str = ""


class _Moment:
    """A moment of a world, or its end. ``observation`` and ``info`` are known after a turn or a restore led to it."""

    __slots__ = ("chat", "ended", "following", "info", "observation", "snapshot")

    def __init__(self, snapshot: Snapshot | None = None, ended: Ended | None = None) -> None:
        self.snapshot, self.ended = snapshot, ended
        self.observation = ""
        self.info: Mapping[str, Any] | None = None
        self.chat: tuple[Message, ...] = ()
        self.following: dict[str, _Moment] = {}

    @property
    def saved(self) -> Snapshot:
        assert self.snapshot is not None, "only ends have none"
        return self.snapshot

    def chat_after(self, reply: str) -> tuple[Message, ...]:
        """The messages of a conversation after a reply."""
        if self.info is None or not self.info.get("conversation"):
            return ()
        asked: Message = {"role": "user", "content": self.observation}
        return (*self.chat, asked, {"role": "assistant", "content": reply})


class _Lane:
    """A continuation that is played. ``numbers`` are those of all continuations that end as it does."""

    __slots__ = ("ended", "joined", "moment", "numbers", "sibling", "slot")

    def __init__(self, number: int, moment: _Moment, sibling: int) -> None:
        self.numbers, self.moment, self.sibling = [number], moment, sibling
        self.slot: int | None = None  # the env that is at the lane's moment
        self.joined: _Lane | None = None
        self.ended: Ended | None = None

    @property
    def last(self) -> _Lane:
        """The lane as which this one ends."""
        lane = self
        while lane.joined is not None:
            lane = lane.joined
        return lane

    def turn(self) -> TurnView:
        moment, snapshot = self.moment, self.moment.saved
        messages = (*moment.chat, {"role": "user", "content": moment.observation}) if moment.chat else ()
        return TurnView(
            snapshot.task.id, self.sibling, snapshot.step, moment.observation, moment.info or {}, messages=messages
        )


class _Play(NamedTuple):
    """A turn whose result is unknown: the lane whose env plays it, the reply, and all lanes that gave it there."""

    lane: _Lane
    reply: str
    lanes: Sequence[_Lane]


class SharedContinuations:
    """Plays continuations of the moments of ``groups``, ``at_once`` of them at a time (default: one for each env).

    A policy's reply must depend only on its turn, as common random numbers need anyway. ``turns`` counts the policy's
    turns, and ``steps`` those that an env had to play.
    """

    def __init__(
        self, venv: HindsightVectorEnv, policy: Policy, groups: Iterable[PlayedGroup], at_once: int | None = None
    ) -> None:
        if venv.group_size != 1:
            raise UsageError(
                f"Expected a vector env with group_size=1, got {venv.group_size}; try group_size=1, "
                "because continuations may be of any tasks."
            )
        self.venv, self.policy, self.at_once = venv, policy, at_once or venv.num_envs
        self.turns = self.steps = 0
        self._groups = tuple(groups)  # keeps the snapshots alive
        self._moments: dict[int, _Moment] = {}  # by the id of the snapshot
        self._standing: dict[int, _Lane] = {}  # by env
        for group in self._groups:
            self._add(group)

    def _add(self, group: PlayedGroup) -> None:
        moments = {key: _Moment(snapshot) for key, snapshot in group.snapshots.items()}
        for turn in group.turns:
            reply = group.episodes[turn.member].replies[turn.step].text
            after = moments[turn.after] if turn.outcome is None else _Moment(ended=Ended(turn.outcome))
            moments[turn.before].following.setdefault(reply, after)
        self._moments.update((id(group.snapshots[key]), moment) for key, moment in moments.items())

    def play(self, starts: Sequence[Continuation], on_turns: Callable[[int], object] | None = None) -> Iterator[Ended]:
        """How each continuation ends, in the order of ``starts``. ``on_turns`` is called as by ``rollout``."""
        if any(start.action or id(start.snapshot) not in self._moments for start in starts):
            raise UsageError("Expected continuations of the moments of the groups; try group.snapshots.")
        self.venv.idle()
        self._standing.clear()
        # Moments are a tree, so two continuations can meet only where one of them begins.
        begins: dict[tuple[int, int], _Lane | None] = {
            (id(self._moments[id(start.snapshot)]), start.sibling): None for start in starts
        }
        waiting = iter(enumerate(starts))
        lanes: list[_Lane] = []
        results: dict[int, Ended] = {}
        due = 0
        while True:
            while len(lanes) < self.at_once and (entry := next(waiting, None)) is not None:
                lane = _Lane(entry[0], self._moments[id(entry[1].snapshot)], entry[1].sibling)
                if not _joins(lane, begins, results):
                    lanes.append(lane)
            while due in results:
                yield results.pop(due)
                due += 1
            if not lanes:
                return
            if on_turns is not None:
                on_turns(len(lanes))
            self._turn(lanes)
            going = []
            for lane in lanes:
                lane.ended = lane.ended or lane.moment.ended
                if lane.ended is not None:
                    results.update(dict.fromkeys(lane.numbers, lane.ended))
                elif not _joins(lane, begins, results):
                    going.append(lane)
            lanes = going

    # -- internal ----------------------------------------------------------------------------------------------------

    def _turn(self, lanes: Sequence[_Lane]) -> None:
        """One turn of every lane."""
        unseen = list({id(lane.moment): lane for lane in lanes if lane.moment.info is None}.values())
        for start in range(0, len(unseen), self.venv.num_envs):
            self._look(unseen[start : start + self.venv.num_envs])
        for lane in lanes:
            if lane.moment.info is None:
                lane.ended = Ended(False, "its env could not be restored")
        lanes = [lane for lane in lanes if lane.ended is None]
        if not lanes:
            return
        self.turns += len(lanes)
        unknown: dict[tuple[int, str], list[_Lane]] = {}
        for lane, reply in zip(lanes, answers_of(self.policy, [lane.turn() for lane in lanes]), strict=True):
            following = lane.moment.following.get(reply.text)
            if following is None:
                unknown.setdefault((id(lane.moment), reply.text), []).append(lane)
            else:
                self._leave(lane)
                lane.moment = following
        # An env that is at a moment plays what follows it; other envs are restored first.
        plays = [
            _Play(next((lane for lane in same if lane.slot is not None), same[0]), reply, same)
            for (_, reply), same in unknown.items()
        ]
        plays.sort(key=lambda play: play.lane.slot is None)
        for start in range(0, len(plays), self.venv.num_envs):
            self._step(plays[start : start + self.venv.num_envs])

    def _leave(self, lane: _Lane) -> None:
        if lane.slot is not None:
            del self._standing[lane.slot]
            lane.slot = None

    def _look(self, lanes: Sequence[_Lane]) -> None:
        """Restore moments at which no env was since the groups were played, for their observation and info."""
        infos = self._restore(lanes)
        for lane in lanes:
            info = infos.get(lane)
            if info is not None and info.get("conversation"):
                assert lane.slot is not None
                (trajectory,) = self.venv.trajectories([lane.slot])
                lane.moment.chat = chat_so_far(trajectory)
            lane.moment.info = info

    def _restore(self, lanes: Sequence[_Lane], keep: Sequence[_Lane] = ()) -> dict[_Lane, Mapping[str, Any]]:
        """Set an env to the moment of each lane; ``keep`` keep theirs. Returns the infos; none of broken envs."""
        kept = {lane.slot for lane in keep}
        others = [slot for slot in range(self.venv.num_envs) if slot not in kept]
        others.sort(key=self._standing.__contains__)
        slots = others[: len(lanes)]
        for slot, lane in zip(slots, lanes, strict=True):
            if slot in self._standing:
                self._standing[slot].slot = None
            self._leave(lane)
            lane.slot, self._standing[slot] = slot, lane
        observations, batch = self.venv.restore(slots, [lane.moment.saved for lane in lanes])
        infos, active = unstack(batch), self.venv.active
        found: dict[_Lane, Mapping[str, Any]] = {}
        for slot, lane in zip(slots, lanes, strict=True):
            info = infos[slot]
            if active[slot] and info is not None:
                lane.moment.observation, found[lane] = observations[slot], info
        return found

    def _step(self, plays: Sequence[_Play]) -> None:
        """Play turns whose results are unknown, each in one env."""
        missing = [play.lane for play in plays if play.lane.slot is None]
        standing = [play.lane for play in plays if play.lane.slot is not None]
        if missing:
            self._restore(missing, standing)
        slots = [slot for play in plays if (slot := play.lane.slot) is not None]
        active = self.venv.active
        resting = [slot for slot in active.nonzero()[0].tolist() if slot not in set(slots)]
        if resting:
            self.venv.idle(resting)
        for lane in self._standing.values():
            lane.slot = None
        self._standing.clear()
        actions: list[str | None] = [None] * self.venv.num_envs
        for slot, play in zip(slots, plays, strict=True):
            if active[slot]:  # not: broken when it was restored
                actions[slot] = play.reply
        observations: Sequence[str] = ()
        infos: list[Any] = []
        if any(action is not None for action in actions):
            observations, _, _, _, batch = self.venv.step(actions)
            infos, active = unstack(batch), self.venv.active
        self.steps += len(plays)
        going = [slot for slot in slots if active[slot]]
        snapshots = dict(zip(going, self.venv.snapshots(going), strict=True)) if going else {}
        for slot, play in zip(slots, plays, strict=True):
            before = play.lane.moment
            if slot in snapshots:
                after = _Moment(snapshots[slot])
                after.observation, after.info = observations[slot], infos[slot] or {}
                after.chat = before.chat_after(play.reply)
                play.lane.slot, self._standing[slot] = slot, play.lane
            else:
                (trajectory,) = self.venv.trajectories([slot])
                after = _Moment(ended=Ended(bool(trajectory.won), trajectory.broken))
            if after.ended is None or not after.ended.broken:  # what broke once may work the next time
                before.following[play.reply] = after
            for lane in play.lanes:
                lane.moment = after


def _joins(lane: _Lane, begins: dict[tuple[int, int], _Lane | None], results: dict[int, Ended]) -> bool:
    """Whether the lane ends as another one, which came to its moment with the same random numbers."""
    place = id(lane.moment), lane.sibling
    if place not in begins:
        return False
    first = begins[place]
    other = lane if first is None else first.last
    if other is lane:
        begins[place] = lane
        return False
    lane.joined = other
    other.numbers += lane.numbers
    if other.ended is not None:
        results.update(dict.fromkeys(lane.numbers, other.ended))
    return True
