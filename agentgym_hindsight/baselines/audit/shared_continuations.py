"""Continuations of the moments of a group that share what they have in common.

After a moment, the same reply leads to the same next moment: a snapshot has everything that the world depends on.
Therefore the turn that follows a reply at a moment is played once, and all continuations that give this reply there go
on from its result. A continuation that comes to a moment where another one with the same random numbers was before ends
as that one. The outcomes are those of :func:`~agentgym_hindsight.baselines.rollout.rollout`, from fewer turns.
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


class _Lane:
    """A continuation that is played, and the numbers of all that end as it does."""

    __slots__ = ("ended", "joined", "moment", "numbers", "sibling", "stands")

    def __init__(self, number: int, moment: _Moment, sibling: int) -> None:
        self.numbers, self.moment, self.sibling = [number], moment, sibling
        self.stands = False  # whether the env of the lane is at the moment
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
        moment, snapshot = self.moment, self.moment.snapshot
        assert snapshot is not None and moment.info is not None
        messages = (*moment.chat, {"role": "user", "content": moment.observation}) if moment.chat else ()
        return TurnView(
            snapshot.task.id, self.sibling, snapshot.step, moment.observation, moment.info, messages=messages
        )


class SharedContinuations:
    """Plays continuations of the moments of ``groups``, with as many at once as ``venv`` has envs.

    A policy's reply must depend on nothing but its turn, as common random numbers need anyway. ``turns`` counts the
    policy's turns, and ``steps`` those that an env had to play.
    """

    def __init__(self, venv: HindsightVectorEnv, policy: Policy, groups: Iterable[PlayedGroup]) -> None:
        if venv.group_size != 1:
            raise UsageError(
                f"Expected a vector env with group_size=1, got {venv.group_size}; try group_size=1, "
                "because continuations may be of any tasks."
            )
        self.venv, self.policy = venv, policy
        self.turns = self.steps = 0
        self._moments: dict[int, _Moment] = {}  # by the id of the snapshot, which its group keeps alive
        self._groups = tuple(groups)
        for group in self._groups:
            self._add(group)

    def _add(self, group: PlayedGroup) -> None:
        moments = {key: _Moment(snapshot) for key, snapshot in group.snapshots.items()}
        for turn in group.turns:
            reply = group.episodes[turn.member].replies[turn.step].text
            after = moments[turn.after] if turn.outcome is None else _Moment(ended=Ended(turn.outcome))
            moments[turn.before].following.setdefault(reply, after)
        self._moments.update((id(group.snapshots[key]), moment) for key, moment in moments.items())

    def play(
        self, starts: Sequence[Continuation], on_turns: Callable[[int], object] | None = None
    ) -> Iterator[Ended]:
        """How each continuation ends, in the order of ``starts``. ``on_turns`` is called as by ``rollout``."""
        for start in starts:
            if start.action or id(start.snapshot) not in self._moments:
                raise UsageError("Expected continuations of the moments of the groups; try group.snapshots.")
        self.venv.idle()
        # Where continuations with these random numbers were. Moments form a tree, so two of them can meet only where
        # one of them begins.
        begins = {(id(self._moments[id(start.snapshot)]), start.sibling) for start in starts}
        seen: dict[tuple[int, int], _Lane] = {}
        waiting = iter(enumerate(starts))
        lanes: dict[int, _Lane] = {}
        free = list(range(self.venv.num_envs))
        results: dict[int, Ended] = {}
        due = 0
        while True:
            while free and (entry := next(waiting, None)) is not None:
                number, start = entry
                lane = _Lane(number, self._moments[id(start.snapshot)], start.sibling)
                if not _joins(lane, seen, begins, results):
                    lanes[free.pop()] = lane
            while due in results:
                yield results.pop(due)
                due += 1
            if not lanes:
                return
            self._turn(lanes)
            if on_turns is not None:
                on_turns(len(lanes))
            for slot, lane in list(lanes.items()):
                if lane.ended is None:
                    lane.ended = lane.moment.ended
                if lane.ended is not None:
                    results.update(dict.fromkeys(lane.numbers, lane.ended))
                elif not _joins(lane, seen, begins, results):
                    continue
                del lanes[slot]
                free.append(slot)

    # -- internal ----------------------------------------------------------------------------------------------------

    def _turn(self, lanes: Mapping[int, _Lane]) -> None:
        """One turn of every lane."""
        self._look({id(lane.moment): slot for slot, lane in lanes.items() if lane.moment.info is None}, lanes)
        lanes = {slot: lane for slot, lane in lanes.items() if lane.ended is None}
        replies = answers_of(self.policy, [lane.turn() for lane in lanes.values()]) if lanes else []
        self.turns += len(lanes)
        unknown: dict[tuple[int, str], list[int]] = {}
        for (slot, lane), reply in zip(lanes.items(), replies, strict=True):
            following = lane.moment.following.get(reply.text)
            if following is None:
                unknown.setdefault((id(lane.moment), reply.text), []).append(slot)
            else:
                lane.moment, lane.stands = following, False
        if unknown:
            self._step(unknown, lanes)

    def _look(self, slots: Mapping[int, int], lanes: Mapping[int, _Lane]) -> None:
        """Restore moments at which no env was since the groups were played, for their observation and info."""
        if not slots:
            return
        chosen = list(slots.values())
        infos = self._restore(chosen, lanes)
        active = self.venv.active
        for slot in chosen:
            moment = lanes[slot].moment
            if not active[slot]:  # it broke
                (trajectory,) = self.venv.trajectories([slot])
                for lane in lanes.values():
                    if lane.moment is moment:
                        lane.ended = Ended(False, trajectory.broken or "the env could not go on")
                continue
            moment.info = infos[slot]
            if moment.info.get("conversation"):
                (trajectory,) = self.venv.trajectories([slot])
                moment.chat = chat_so_far(trajectory)

    def _restore(self, slots: Sequence[int], lanes: Mapping[int, _Lane]) -> dict[int, Mapping[str, Any]]:
        snapshots = [lanes[slot].moment.snapshot for slot in slots]
        observations, batch = self.venv.restore(slots, [each for each in snapshots if each is not None])
        infos = unstack(batch)
        found: dict[int, Mapping[str, Any]] = {}
        for slot in slots:
            lanes[slot].stands = True
            lanes[slot].moment.observation = observations[slot]
            found[slot] = infos[slot] or {}
        return found

    def _step(self, unknown: Mapping[tuple[int, str], Sequence[int]], lanes: Mapping[int, _Lane]) -> None:
        """Play the turns whose results are unknown, each in one env."""
        # Of the lanes with one reply, one whose env is at the moment plays.
        playing = {
            next((slot for slot in slots if lanes[slot].stands), slots[0]): (reply, slots)
            for (_, reply), slots in unknown.items()
        }
        active = self.venv.active
        resting = [slot for slot in range(len(active)) if active[slot] and slot not in playing]
        if resting:
            self.venv.idle(resting)
        moved = [slot for slot in playing if not lanes[slot].stands]
        if moved:
            self._restore(moved, lanes)
        actions: list[str | None] = [None] * self.venv.num_envs
        active = self.venv.active
        for slot, (reply, _) in playing.items():
            if active[slot]:
                actions[slot] = reply
        if any(action is not None for action in actions):
            observations, _, _, _, batch = self.venv.step(actions)
            infos = unstack(batch)
            active = self.venv.active
        self.steps += len(playing)
        going = [slot for slot in playing if active[slot]]
        snapshots = dict(zip(going, self.venv.snapshots(going), strict=True)) if going else {}
        for slot, (reply, slots) in playing.items():
            before = lanes[slot].moment
            if slot in snapshots:
                after = _Moment(snapshots[slot])
                after.observation, after.info = observations[slot], infos[slot] or {}
                if before.info is not None and before.info.get("conversation"):
                    asked: Message = {"role": "user", "content": before.observation}
                    after.chat = (*before.chat, asked, {"role": "assistant", "content": reply})
            else:
                (trajectory,) = self.venv.trajectories([slot])
                after = _Moment(ended=Ended(bool(trajectory.won), trajectory.broken))
            if after.ended is None or not after.ended.broken:  # what broke once may work the next time
                before.following[reply] = after
            for other in slots:
                lanes[other].moment, lanes[other].stands = after, other == slot and after.ended is None


def _joins(
    lane: _Lane, seen: dict[tuple[int, int], _Lane], begins: set[tuple[int, int]], results: dict[int, Ended]
) -> bool:
    """Whether the lane ends as another one, which came to its moment with the same random numbers."""
    place = id(lane.moment), lane.sibling
    if place not in begins:
        return False
    other = seen.setdefault(place, lane).last
    if other is lane:
        return False
    lane.joined = other
    other.numbers += lane.numbers
    if other.ended is not None:
        results.update(dict.fromkeys(lane.numbers, other.ended))
    return True
