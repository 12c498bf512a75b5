"""The base class of the wrappers, and functions that check a stack or write into the record of an episode."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.sources import Hindsight

__all__ = ["StepResult", "TextWrapper", "annotate", "final_hindsight", "refuse_below", "require_record"]

StepResult = tuple[str, float, bool, bool, dict[str, Any]]


class TextWrapper(gym.Wrapper[str, str, str, str], RecordConstructorArgs):
    """A wrapper that ``gym.make(env.spec)`` can rebuild, because it records its constructor arguments."""

    def __init__(self, env: gym.Env[str, str], **arguments: Any) -> None:
        if not isinstance(env, gym.Env):
            raise UsageError(f"Expected a gymnasium.Env to wrap, got {type(env).__name__}; try gym.make(id).")
        RecordConstructorArgs.__init__(self, **arguments)
        gym.Wrapper.__init__(self, env)


def annotate(env: gym.Env[Any, Any], **fields: Any) -> None:
    """Write into the record of the last step, if the env keeps one (see ``HindsightEnv.annotate``)."""
    hook = getattr(env.unwrapped, "annotate", None)
    if hook is not None:
        hook(**fields)


def final_hindsight(env: gym.Env[Any, Any], hindsight: Hindsight, over: bool) -> Hindsight:
    """The hindsight, with ``episode`` if the episode is over.

    This includes an end by a ``TimeLimit``, which the env does not notice. Sources replaced by a wrapper are kept.
    """
    cut = getattr(env.unwrapped, "cut", None)
    if not over or cut is None or hindsight.is_final:
        return hindsight
    final: Hindsight = cut()
    return hindsight.with_episode(lambda: final.episode)


def refuse_below(env: gym.Env[Any, Any], wrapper: str, *, marker: str = "") -> None:
    """Raise if ``env`` has a wrapper that reads the record: inside of ``wrapper`` it would miss the changes of it.

    ``marker`` is an attribute that only ``wrapper`` has. If given, also raise if ``env`` has it: two such wrappers
    would make the same change twice.
    """
    for attribute, reader in (("records_trajectories", "RecordTrajectories"), ("judges_episodes", "JudgeFeedback")):
        if env.has_wrapper_attr(attribute):
            raise UsageError(
                f"Expected {reader} outside of {wrapper}, so that it gets all changes, got it inside; "
                f"try {reader}({wrapper}(env))."
            )
    if marker and env.has_wrapper_attr(marker):
        raise UsageError(f"Expected one {wrapper} in a stack, got two; try removing the inner one.")


def require_record(env: gym.Env[Any, Any], wrapper: str) -> None:
    """Raise if the env keeps no record of its episode."""
    if not env.has_wrapper_attr("trajectory"):
        raise UsageError(
            f"Expected an env that records its episode for {wrapper}, got {type(env.unwrapped).__name__} without "
            "trajectory(); try a subclass of agentgym_hindsight.envs.base.HindsightEnv."
        )
