"""The check of snapshots, for envs that have them."""

from __future__ import annotations

from functools import partial
from typing import Any

from agentgym_hindsight.envs.snapshot_value import Snapshot
from agentgym_hindsight.envs.snapshots import RestorableEnv
from agentgym_hindsight.errors import ConformanceError, SchemaError, UsageError
from agentgym_hindsight.testing.behaviour_checks import first_difference
from agentgym_hindsight.testing.env_under_test import EnvUnderTest, Episode, NotOffered, PlayedTurn
from agentgym_hindsight.wrappers.snapshots import restore_into, snapshot_of

__all__ = ["check_snapshots"]


def check_snapshots(tested: EnvUnderTest) -> None:
    """What follows a restored snapshot is what followed the moment itself, in this env and in another one.

    Snapshots are optional: an env whose backend has no ``snapshot``, ``restore`` and ``decode`` is not checked.
    """
    base = tested.env.unwrapped
    if not isinstance(base, RestorableEnv) or not base.can_snapshot:
        raise NotOffered(
            "the backend has no snapshot(turn), restore(task, world, turn) and decode(task, world); see docs/forks.md"
        )
    twin = tested.twin()
    for number, played in enumerate(tested.episodes, 1):
        half = len(played.turns) // 2
        actions = [turn.action for turn in played.turns]
        options = {"task_id": played.info["task_id"]}
        tested.play(tested.env, partial(_played_action, actions), options=options, cap=half)
        try:
            snapshot = snapshot_of(tested.env)
        except UsageError as error:  # a wrapper whose state is not known
            raise NotOffered(str(error)) from error
        try:
            stored = Snapshot.from_bytes(snapshot.to_bytes())
        except (TypeError, ValueError, SchemaError) as error:
            raise ConformanceError(
                f"Expected a snapshot of plain data, got {error!r}; try tuples, texts, numbers and None in "
                "Backend.snapshot and snapshot_state."
            ) from error
        expected = Episode(None, played.turns[half - 1].info if half else played.info, played.turns[half:])
        for env, value, name in ((twin, stored, "another env"), (tested.env, snapshot, "the same env")):
            try:
                following = _continue(tested, env, value, actions[half:])
            except Exception as error:
                raise ConformanceError(
                    f"Expected episode {number} to go on from its turn {half} in {name}, got {error!r}; try restoring "
                    "everything that act() reads, and a decode() that accepts what snapshot() returned."
                ) from error
            different = first_difference(expected, following)
            if different:
                raise ConformanceError(
                    f"Expected the same actions after a restore to give the same results in {name}, got another "
                    f"{different} after turn {half} of episode {number}; try adding everything that can change to "
                    "Backend.snapshot: counters, random generators, what the last turn did."
                )


def _played_action(actions: list[str], turn: int, info: dict[str, Any]) -> str:
    return actions[turn]


def _continue(tested: EnvUnderTest, env: object, value: Snapshot, actions: list[str]) -> Episode:
    observation, info = restore_into(env, value)  # type: ignore[arg-type]
    following = Episode(None, info)
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(tested.respond(action))  # type: ignore[attr-defined]
        following.turns.append(PlayedTurn(action, observation, reward, terminated, truncated, info))
    return following
