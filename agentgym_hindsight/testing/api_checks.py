"""Checks of the API: Gymnasium's rules, the standard info, spaces, specs, pickling."""

from __future__ import annotations

import contextlib
import io
import pickle
import random
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import check_env

from agentgym_hindsight.envs.base import INFO_KEYS
from agentgym_hindsight.errors import ConformanceError, ResetNeededError
from agentgym_hindsight.testing.env_under_test import NONSENSE, EnvUnderTest, show

__all__ = [
    "check_constant_keys",
    "check_episodes_play",
    "check_global_rng",
    "check_gymnasium",
    "check_info_keys",
    "check_info_types",
    "check_info_values",
    "check_pickling",
    "check_reset_needed",
    "check_spec",
    "check_step_types",
]

# Warnings of Gymnasium's checker that do not apply: wrapped envs are checked intentionally, an env may have no spec,
# and a text env has no frames per second.
_HARMLESS = (
    r".*is different from the unwrapped version.*",
    r".*Not able to test alternative render modes due to the environment not having a spec.*",
    r".*No render fps was declared.*",
)


def check_episodes_play(tested: EnvUnderTest) -> None:
    """Episodes can be played, and they end."""
    tested.episodes  # noqa: B018  # the first access plays them


def check_gymnasium(tested: EnvUnderTest) -> None:
    """Gymnasium's own ``check_env`` finds no problem."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for message in _HARMLESS:
            warnings.filterwarnings("ignore", message=message)
        try:
            # check_env also plays in render mode "human", which prints.
            with contextlib.redirect_stdout(io.StringIO()):
                check_env(tested.twin())
        except ConformanceError:
            raise
        except Exception as error:
            raise ConformanceError(
                f"Expected gymnasium.utils.env_checker.check_env to pass, got {type(error).__name__}: {error}"
            ) from error


def check_info_keys(tested: EnvUnderTest) -> None:
    """Every info has all standard keys."""
    for played in tested.episodes:
        for where, info in played.infos():
            missing = [key for key in INFO_KEYS if key not in info]
            if missing:
                raise ConformanceError(
                    f"Expected the standard info keys from {where}, got an info without {', '.join(missing)}; "
                    "try building info in one place for reset and step (see envs.base.INFO_KEYS)."
                )


def check_constant_keys(tested: EnvUnderTest) -> None:
    """Every info has the same keys. Vector envs merge infos by the keys of the first info."""
    first = set(tested.episodes[0].info)
    for played in tested.episodes:
        for where, info in played.infos():
            if set(info) != first:
                changed = sorted(set(info) ^ first)
                raise ConformanceError(
                    f"Expected the same info keys on every call, got {changed} not on both reset() and {where}; "
                    "try an empty value of the same type instead of omitting a key."
                )


def check_info_types(tested: EnvUnderTest) -> None:
    """Standard values have exactly the standard types."""
    for played in tested.episodes:
        for where, info in played.infos():
            for key, kind in INFO_KEYS.items():
                if type(info[key]) is not kind:
                    raise ConformanceError(
                        f"Expected info[{key!r}] from {where} to be exactly {kind.__name__}, got "
                        f"{type(info[key]).__name__} ({show(info[key])}); try {kind.__name__}(…): vector envs take "
                        "the type of the first value for all."
                    )
            wrong = [action for action in info["admissible_actions"] if type(action) is not str]
            if wrong:
                raise ConformanceError(
                    f"Expected info['admissible_actions'] from {where} to contain str, got {show(wrong[0])}; "
                    "try str(…)."
                )


def check_info_values(tested: EnvUnderTest) -> None:
    """Standard values are correct: the number of steps, the score, winning."""
    for played in tested.episodes:
        info = played.info
        if not info["action_valid"] or info["won"]:
            raise ConformanceError(
                f"Expected action_valid=True and won=False from reset(), got {info['action_valid']} and {info['won']}."
            )
        if not info["task_id"] or not info["anchor"]:
            raise ConformanceError(
                f"Expected a task_id and an anchor, got {info['task_id']!r} and {info['anchor']!r}; "
                "try tasks.content_hash and hindsight.anchors.anchor_key."
            )
        for number, (where, info) in enumerate(played.infos()):
            if info["step"] != number:
                raise ConformanceError(f"Expected info['step'] == {number} from {where}, got {info['step']}.")
            if not 0.0 <= info["score"] <= 1.0:
                raise ConformanceError(
                    f"Expected a score in [0, 1] from {where}, got {info['score']}; try dividing by the maximum."
                )
            copies = len(info["admissible_actions"]) - len(set(info["admissible_actions"]))
            if copies:
                raise ConformanceError(f"Expected each admissible action once from {where}, got {copies} copies.")
        for _, turn in played.states():
            if turn.info["won"] and not turn.terminated:
                raise ConformanceError(
                    "Expected the step that wins to terminate the episode, got won=True and terminated=False; "
                    "try returning terminated=True in the same step."
                )


def check_step_types(tested: EnvUnderTest) -> None:
    """Step returns text, a float and two bools. The observation is in its space."""
    space = tested.env.observation_space
    for played in tested.episodes:
        for turn in played.turns:
            types = (type(turn.observation), type(turn.reward), type(turn.terminated), type(turn.truncated))
            if types != (str, float, bool, bool):
                raise ConformanceError(
                    "Expected step() to return (str, float, bool, bool, info), got "
                    f"({', '.join(kind.__name__ for kind in types)}, info); try converting the values in step()."
                )
            if turn.terminated and turn.truncated and not _at_time_limit(tested, len(played.turns)):
                raise ConformanceError(
                    "Expected an episode to be either terminated or truncated, got both; "
                    "try truncated = not terminated and step >= limit."
                )
            if turn.observation not in space:
                raise ConformanceError(f"Expected observations in {space}, got {show(turn.observation)}.")


def _at_time_limit(tested: EnvUnderTest, turns: int) -> bool:
    """Whether Gymnasium's ``TimeLimit`` truncates in this turn, also if the env has terminated in it."""
    return tested.env.spec is not None and tested.env.spec.max_episode_steps == turns


def check_pickling(tested: EnvUnderTest) -> None:
    """Infos can be pickled, so that they can be sent to another process."""
    for played in tested.episodes:
        for where, info in played.infos():
            try:
                unpickled = pickle.loads(pickle.dumps(info))
            except Exception as error:
                raise ConformanceError(
                    f"Expected info from {where} to be picklable, got {error!r}; try plain data, or a __reduce__ that "
                    "replaces functions by their results."
                ) from error
            if unpickled != info:
                changed = [key for key in info if unpickled.get(key) != info[key]]
                raise ConformanceError(
                    f"Expected info from {where} to be equal after pickling, got other values under {changed}; "
                    "try adding __eq__ to their types."
                )


def check_reset_needed(tested: EnvUnderTest) -> None:
    """``step`` before ``reset`` or after the end of an episode raises ResetNeededError."""
    env = tested.twin()
    action = tested.respond(NONSENSE)
    # gym.make adds OrderEnforcing by default, which has its own error for the first case.
    _expect_reset_error(env, action, "before reset()", (ResetNeededError, gym.error.ResetNeeded))
    tested.play(env, tested.choose_action, seed=tested.seed)
    _expect_reset_error(env, action, "after the episode had ended", (ResetNeededError,))


def _expect_reset_error(env: gym.Env[Any, Any], action: str, when: str, kinds: tuple[type[Exception], ...]) -> None:
    try:
        env.step(action)
    except kinds:
        return
    except Exception as error:
        got = repr(error)
    else:
        got = "a result"
    raise ConformanceError(
        f"Expected ResetNeededError from step() {when}, got {got}; try raising it at the start of step()."
    )


def check_spec(tested: EnvUnderTest) -> None:
    """An env that is made again from its spec plays the same episodes."""
    spec = tested.env.spec
    if spec is None:
        return
    try:
        rebuilt = gym.make(spec)
    except Exception as error:
        raise ConformanceError(
            f"Expected gym.make(env.spec) to rebuild the env, got {error!r}; "
            "try RecordConstructorArgs in every wrapper, and register the id."
        ) from error
    first, second = tested.episodes[0], tested.play_episodes(rebuilt)[0]
    if (first.observation, len(first.turns)) != (second.observation, len(second.turns)):
        raise ConformanceError(
            f"Expected gym.make(env.spec) to play the same, got {show(second.observation)} instead of "
            f"{show(first.observation)}; try recording every constructor argument."
        )


def check_global_rng(tested: EnvUnderTest) -> None:
    """The env neither draws from ``random`` or ``numpy.random`` nor seeds them."""
    env = tested.twin()
    before = _global_state()
    tested.play(env, tested.choose_action, seed=tested.seed)
    after = _global_state()
    if before != after:
        raise ConformanceError(
            "Expected unchanged global random generators, got another state of "
            f"{'random' if before[0] != after[0] else 'numpy.random'}; try env.np_random or a hash of seed and task."
        )


def _global_state() -> tuple[Any, bytes]:
    return random.getstate(), pickle.dumps(np.random.get_state(legacy=False))
