"""Plays rollouts on from snapshots: an env whose rollout has ended takes the next snapshot at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from agentgym_hindsight.baselines.policies.base import Policy, Reply, TurnView
from agentgym_hindsight.envs.snapshot_value import Snapshot
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.messages import Message, chat_so_far
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.vector import HindsightVectorEnv, unstack

__all__ = ["Continuation", "answers_of", "play_on"]


class Continuation(NamedTuple):
    """A rollout to play from a snapshot of :func:`~agentgym_hindsight.wrappers.snapshot_of` or a vector env.

    ``action``: a reply that is given in the first turn in place of the policy's, in the form of the policy's replies;
    "": the policy chooses. ``sibling`` is what the policy is told, and the number in the trajectory.
    """

    snapshot: Snapshot
    sibling: int = 0
    action: str = ""


class _Playing:
    """A continuation in one env."""

    def __init__(self, number: int, start: Continuation) -> None:
        self.number, self.start, self.replies = number, start, list[Reply]()
        #: The earlier messages of a conversation. Those before the snapshot are known as texts, without tokens.
        self.chat: tuple[Message, ...] = ()

    def turn(self, observation: str, info: Mapping[str, Any]) -> TurnView:
        snapshot = self.start.snapshot
        step = snapshot.step + len(self.replies)
        messages = (*self.chat, {"role": "user", "content": observation}) if self.chat else ()
        return TurnView(snapshot.task.id, self.start.sibling, step, observation, info, messages=messages)

    def replied(self, observation: str, info: Mapping[str, Any], reply: Reply) -> None:
        self.replies.append(reply)
        if info.get("conversation"):
            self.chat += ({"role": "user", "content": observation}, {"role": "assistant", "content": reply.text})

    def recorded(self, trajectory: Trajectory, policy: str) -> Trajectory:
        origin = trajectory.origin
        if origin is not None and self.start.action:
            origin = replace(origin, how="action", action=self.start.action)
        return trajectory.replace(sibling=self.start.sibling, policy=policy, origin=origin)


def play_on(
    venv: HindsightVectorEnv,
    policy: Policy,
    starts: Sequence[Continuation],
    on_turns: Callable[[int], object] | None = None,
) -> Iterator[tuple[int, Trajectory, tuple[Reply, ...]]]:
    """The number in ``starts``, the rollout and the policy's replies of each continuation, in the order they end.

    The rollout has the steps before the snapshot too; the replies begin with the first step after it.
    """
    if venv.group_size != 1:
        raise UsageError(
            f"Expected a vector env with group_size=1, got {venv.group_size}; try group_size=1, "
            "because continuations may be of any tasks."
        )
    venv.idle()
    waiting = iter(enumerate(starts))
    playing: dict[int, _Playing] = {}
    observations: tuple[str, ...] = ()
    infos: dict[int, Mapping[str, Any]] = {}
    free = list(range(venv.num_envs))
    while True:
        begun = dict(zip(free, (_Playing(number, start) for number, start in waiting), strict=False))
        if begun:
            playing.update(begun)
            observations, batch = venv.restore(list(begun), [each.start.snapshot for each in begun.values()])
            _update(infos, batch)
            chats = [slot for slot in begun if infos[slot].get("conversation")]
            for slot, trajectory in zip(chats, venv.trajectories(chats), strict=True):
                begun[slot].chat = chat_so_far(trajectory)
        if not playing:
            return
        active = [slot for slot in playing if venv.active[slot]]
        if active:
            observations, batch = _turn(venv, policy, {slot: playing[slot] for slot in active}, observations, infos)
            _update(infos, batch)
            if on_turns is not None:
                on_turns(len(active))
        still_active = venv.active
        free = [slot for slot in playing if not still_active[slot]]
        for slot, trajectory in zip(free, venv.trajectories(free), strict=True):
            ended = playing.pop(slot)
            recorded = ended.recorded(trajectory, policy.name)
            # The turn in which an env failed has a reply but no step.
            own_steps = len(recorded.steps) - ended.start.snapshot.step
            yield ended.number, recorded, tuple(ended.replies[: max(own_steps, 0)])


def _turn(
    venv: HindsightVectorEnv,
    policy: Policy,
    playing: Mapping[int, _Playing],
    observations: Sequence[str],
    infos: Mapping[int, Mapping[str, Any]],
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """One turn of every active env."""
    given = {slot: each.start.action for slot, each in playing.items() if each.start.action and not each.replies}
    asked = {slot: each.turn(observations[slot], infos[slot]) for slot, each in playing.items() if slot not in given}
    replies = {slot: Reply(action) for slot, action in given.items()}
    if asked:
        replies.update(zip(asked, answers_of(policy, list(asked.values())), strict=True))
    actions: list[str | None] = [None] * venv.num_envs
    for slot, reply in replies.items():
        playing[slot].replied(observations[slot], infos[slot], reply)
        actions[slot] = reply.text
    observations, _, _, _, batch = venv.step(actions)
    return observations, batch


def answers_of(policy: Policy, turns: Sequence[TurnView]) -> list[Reply]:
    """The policy's replies to some turns."""
    answers = policy.act(turns)
    if len(answers) != len(turns):
        raise UsageError(
            f"Expected {len(turns)} answers from policy {policy.name!r}, got {len(answers)}; "
            "try returning one answer per turn."
        )
    return [Reply(answer) if isinstance(answer, str) else answer for answer in answers]


def _update(infos: dict[int, Mapping[str, Any]], batch: dict[str, Any]) -> None:
    infos.update((slot, info) for slot, info in enumerate(unstack(batch)) if info is not None)
