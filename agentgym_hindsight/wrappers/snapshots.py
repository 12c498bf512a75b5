"""Snapshots of a wrapped env: its own state, and that of every wrapper around it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import gymnasium as gym
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, RecordEpisodeStatistics, TimeLimit

from agentgym_hindsight.envs.plain_values import number, row, whole
from agentgym_hindsight.envs.snapshots import RestorableEnv, Snapshot
from agentgym_hindsight.errors import UsageError

__all__ = ["RestoreInner", "fork", "require_argument", "restore_into", "snapshot_of"]

#: Restores the env inside of a wrapper, and returns its observation and info.
RestoreInner = Callable[[], "tuple[Any, dict[str, Any]]"]


class _Saved(NamedTuple):
    """How the state of one class of Gymnasium's wrappers is saved and restored."""

    save: Callable[[Any], Any]
    restore: Callable[[Any, Any, RestoreInner], tuple[Any, dict[str, Any]]]


def snapshot_of(env: gym.Env[Any, Any]) -> Snapshot:
    """The present moment of an episode, wrappers included, as a value for :func:`restore_into`.

    Every wrapper must be one of this library, one of Gymnasium's ``TimeLimit``, ``OrderEnforcing``,
    ``PassiveEnvChecker`` and ``RecordEpisodeStatistics``, or have two methods of its own: ``snapshot_state()`` returns
    its state as plain data for JSON; ``restore_state(state, restore_inner)`` sets it, calls ``restore_inner()``, and
    returns the observation and the info as its ``reset`` does.

    >>> import gymnasium as gym, agentgym_hindsight
    >>> from agentgym_hindsight.wrappers import PromptProtocol
    >>> env = PromptProtocol(gym.make("ALFWorld-Hindsight-v0", data="embedded"))
    >>> prompt, info = env.reset(seed=0)
    >>> snapshot = snapshot_of(env)
    >>> one = env.step("look")
    >>> restore_into(env, snapshot)[0] == prompt, env.step("look")[0] == one[0]
    (True, True)
    """
    base = _base(env)
    states = [(type(layer).__name__, _save(layer)) for layer in reversed(_stateful_layers(env))]
    snapshot = base.snapshot()
    return snapshot.replace(wrappers=tuple(states)) if states else snapshot


def restore_into(env: gym.Env[Any, Any], value: Snapshot) -> tuple[Any, dict[str, Any]]:
    """Continue from a snapshot, in the same env or in another one that is made with the same arguments and wrappers.

    Returns the observation and the info of that moment, as the last ``reset`` or ``step`` of the first env did. The
    task becomes that of the snapshot. Then the same actions give the same results in every env.
    """
    base, layers = _base(env), _layers(env)
    if not isinstance(value, Snapshot):
        raise UsageError(f"Expected a Snapshot, got {type(value).__name__}; try snapshot_of(env).")
    stateful = _stateful_layers(env)
    own, given = [type(layer).__name__ for layer in reversed(stateful)], [name for name, _ in value.wrappers]
    if own != given:
        raise UsageError(
            f"Expected a snapshot of an env in {' in '.join(own) or 'no wrapper'}, got one of an env in "
            f"{' in '.join(given)[:500] or 'no wrapper'}; try an env with the same wrappers."
        )
    states = {id(layer): state for layer, (_, state) in zip(reversed(stateful), value.wrappers, strict=True)}

    def restore(place: int) -> tuple[Any, dict[str, Any]]:
        if place == len(layers):
            return base.restore(value)
        layer = layers[place]
        return _restore(layer, states.get(id(layer)), partial(restore, place + 1))

    return restore(0)


def fork(
    env: gym.Env[Any, Any], n: int, make: Callable[[], gym.Env[Any, Any]] | None = None
) -> list[gym.Env[Any, Any]]:
    """``n`` new envs that stand at the present moment of ``env`` and share nothing with it. The caller closes them.

    ``make`` makes one of them; by default it is ``gym.make(env.spec)``, which builds the same wrappers.

    >>> import gymnasium as gym, agentgym_hindsight
    >>> env = gym.make("ALFWorld-Hindsight-v0", data="embedded")
    >>> _ = env.reset(seed=0)
    >>> one, two = fork(env, 2)
    >>> one.step("look")[0] == two.step("look")[0], env.unwrapped.trajectory().steps
    (True, ())
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise UsageError(f"Expected the number of forks as a whole number ≥ 1, got {n!r}; try 8.")
    value = snapshot_of(env)
    if make is None:
        spec = env.spec
        if spec is None:
            raise UsageError(
                f"Expected an env with a spec to make others like it, got {type(env).__name__} without one; "
                "try fork(env, n, make=lambda: YourEnv(…))."
            )
        make = partial(gym.make, spec)
    made: list[gym.Env[Any, Any]] = []
    try:
        for _ in range(n):
            made.append(make())
            restore_into(made[-1], value)
    except BaseException:
        for each in made:
            each.close()
        raise
    return made


def require_argument(wrapper: object, name: str, own: object, given: object) -> None:
    """Raise if a snapshot is of a wrapper with another argument."""
    if own != given or type(own) is not type(given):
        raise UsageError(
            f"Expected a snapshot of an env in {type(wrapper).__name__} with {name}={own!r}, got {given!r:.200}; "
            "try an env with the same wrappers."
        )


# -- the stack ----------------------------------------------------------------------------------------------------


def _base(env: gym.Env[Any, Any]) -> RestorableEnv:
    base = env.unwrapped if isinstance(env, gym.Env) else env
    if not isinstance(base, RestorableEnv):
        raise UsageError(
            f"Expected an env that can be saved and restored, got {type(base).__name__}; "
            "try a subclass of agentgym_hindsight.envs.base.HindsightEnv."
        )
    return base


def _layers(env: gym.Env[Any, Any]) -> list[gym.Wrapper[Any, Any, Any, Any]]:
    """The wrappers, outermost first. Raises if one has a state that nobody knows."""
    layers = []
    while isinstance(env, gym.Wrapper):
        if not _has_methods(env) and type(env) not in _STATEFUL and type(env) not in _STATELESS:
            raise UsageError(
                f"Expected wrappers whose state is known, got {type(env).__name__}; try to add snapshot_state() and "
                "restore_state(state, restore_inner) to it (see docs/forks.md), or to leave it out."
            )
        layers.append(env)
        env = env.env
    return layers


def _stateful_layers(env: gym.Env[Any, Any]) -> list[gym.Wrapper[Any, Any, Any, Any]]:
    return [layer for layer in _layers(env) if type(layer) not in _STATELESS]


def _has_methods(layer: object) -> bool:
    # Asked of the class: a wrapper passes attributes of its env on in older versions of Gymnasium.
    return all(callable(getattr(type(layer), name, None)) for name in ("snapshot_state", "restore_state"))


def _save(layer: gym.Wrapper[Any, Any, Any, Any]) -> Any:
    known = _STATEFUL.get(type(layer))
    return known.save(layer) if known is not None else layer.snapshot_state()  # type: ignore[attr-defined]


def _restore(
    layer: gym.Wrapper[Any, Any, Any, Any], state: Any, restore_inner: RestoreInner
) -> tuple[Any, dict[str, Any]]:
    known = _STATEFUL.get(type(layer))
    if known is not None:
        return known.restore(layer, state, restore_inner)
    if type(layer) in _STATELESS:
        return _STATELESS[type(layer)](layer, restore_inner)
    result: tuple[Any, dict[str, Any]] = layer.restore_state(state, restore_inner)  # type: ignore[attr-defined]
    return result


# -- Gymnasium's wrappers -----------------------------------------------------------------------------------------


def _save_limit(layer: Any) -> Any:
    return (layer._max_episode_steps, layer._elapsed_steps)


def _restore_limit(layer: Any, state: Any, restore_inner: RestoreInner) -> tuple[Any, dict[str, Any]]:
    limit, elapsed = row(state, "wrappers.TimeLimit", 2)
    require_argument(layer, "max_episode_steps", layer._max_episode_steps, limit)
    elapsed = whole(elapsed, "wrappers.TimeLimit", 0, 2**63)
    restored = restore_inner()
    layer._elapsed_steps = elapsed
    return restored


def _save_statistics(layer: Any) -> Any:
    return (float(layer.episode_returns), layer.episode_lengths, time.perf_counter() - layer.episode_start_time)


def _restore_statistics(layer: Any, state: Any, restore_inner: RestoreInner) -> tuple[Any, dict[str, Any]]:
    where = "wrappers.RecordEpisodeStatistics"
    returns, length, seconds = row(state, where, 3)
    values = number(returns, where), whole(length, where, 0, 2**63), number(seconds, where)
    restored = restore_inner()
    layer.episode_returns, layer.episode_lengths = values[:2]
    layer.episode_start_time = time.perf_counter() - values[2]
    return restored


def _restore_order(layer: Any, restore_inner: RestoreInner) -> tuple[Any, dict[str, Any]]:
    restored = restore_inner()
    layer._has_reset = True
    return restored


def _restore_checker(layer: Any, restore_inner: RestoreInner) -> tuple[Any, dict[str, Any]]:
    restored = restore_inner()
    layer._previous_data = restored  # its first step compares the result with that of a reset
    return restored


_STATEFUL: dict[type, _Saved] = {
    TimeLimit: _Saved(_save_limit, _restore_limit),
    RecordEpisodeStatistics: _Saved(_save_statistics, _restore_statistics),
}
#: Wrappers without a state of the episode. A snapshot does not mention them.
_STATELESS: dict[type, Callable[[Any, RestoreInner], tuple[Any, dict[str, Any]]]] = {
    OrderEnforcing: _restore_order,
    PassiveEnvChecker: _restore_checker,
}
