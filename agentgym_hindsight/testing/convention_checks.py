"""Checks of what a user does first: a panel, an example action, ``render`` and ``trajectory``, a limit in ``make``."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from agentgym_hindsight.envs.extra import example_actions
from agentgym_hindsight.errors import ConformanceError, ResetNeededError
from agentgym_hindsight.tasks import TaskPanel
from agentgym_hindsight.testing.env_under_test import NONSENSE, EnvUnderTest, show

__all__ = [
    "check_early_calls",
    "check_example_action",
    "check_panel",
    "check_time_limit",
]

_LIMIT = 2


def check_early_calls(tested: EnvUnderTest) -> None:
    """Before ``reset``, ``render`` in the mode "ansi" returns "", and ``trajectory`` raises ResetNeededError."""
    env = tested.twin()
    if env.has_wrapper_attr("trajectory"):
        _expect_no_trajectory(env)
    rendering = _with_ansi(tested, env)
    if rendering is None:
        return
    rendered: object
    try:
        rendered = rendering.render()
    except Exception as error:
        rendered = error
    if rendered != "":
        raise ConformanceError(
            f"Expected '' from render() before reset(), got {show(rendered)}; "
            'try returning "" while there is no observation.'
        )


def check_example_action(tested: EnvUnderTest) -> None:
    """Where no admissible action is listed, ``info["extra"].example_actions`` names legal actions."""
    env = tested.twin()
    _, info = env.reset(seed=tested.seed)
    if info["admissible_actions"]:
        return
    fix = 'try Extra(example_actions=("…",), …) with legal actions of the state in every Turn of the backend.'
    examples = example_actions(info.get("extra"))
    if not examples or not all(type(action) is str for action in examples):
        raise ConformanceError(
            "Expected info['extra'].example_actions as a tuple of texts where info['admissible_actions'] is empty, got "
            f"{show(examples)}; {fix}"
        )
    try:
        *_, info = env.step(tested.respond(examples[0]))
    except Exception as error:
        raise ConformanceError(
            f"Expected a reply to the example action {show(examples[0], 60)}, got {error!r}; {fix}"
        ) from error
    if not info.get("env_action_valid", info["action_valid"]):
        raise ConformanceError(
            f"Expected the example action {show(examples[0], 60)} to be valid, got action_valid=False; {fix}"
        )


def check_panel(tested: EnvUnderTest) -> None:
    """Every split in ``splits`` can be played, and ``panel`` draws tasks that depend only on n, split and seed."""
    env = tested.twin()
    if not (env.has_wrapper_attr("panel") and env.has_wrapper_attr("splits")):
        return
    panel = env.get_wrapper_attr("panel")
    for split in env.get_wrapper_attr("splits"):
        try:
            drawn = panel(split=split, n=1, seed=tested.seed)
        except Exception as error:
            raise ConformanceError(
                f"Expected panel(split={split!r}, n=1, seed={tested.seed}) for a split in splits, got {error!r}; "
                "try listing in splits only those that have tasks."
            ) from error
        if not isinstance(drawn, TaskPanel) or len(drawn) != 1:
            raise ConformanceError(
                f"Expected a TaskPanel with one task of split {split!r}, got {show(drawn)}; try HindsightEnv.panel."
            )
        again = tested.twin().get_wrapper_attr("panel")(split=split, n=1, seed=tested.seed)
        if drawn.ids != again.ids:
            raise ConformanceError(
                f"Expected the same panel of split {split!r} from two envs, got {drawn.ids} and {again.ids}; "
                "try a task whose id depends only on split and index."
            )
        _, info = env.reset(options={"task": drawn[0]})
        if (info["task_id"], info["goal"]) != (drawn[0].id, drawn[0].goal):
            raise ConformanceError(
                f"Expected the task {drawn[0].id} of the panel to be played, got {info['task_id']}; "
                "try Backend.start(task) with the task that it is given."
            )


def check_time_limit(tested: EnvUnderTest) -> None:
    """``gymnasium.make(…, max_episode_steps=k)`` ends an episode after k steps, with the hindsight of every step."""
    spec = tested.env.spec
    if spec is None:
        return
    try:
        env = gym.make(spec, max_episode_steps=_LIMIT)
    except Exception:
        return  # the check of the spec reports this
    played = tested.play(env, lambda turn, info: NONSENSE, seed=tested.seed, cap=_LIMIT + 1)
    env.close()
    last = played.turns[-1]
    if last.terminated:
        return
    episode = last.info["hindsight"].episode
    if not last.truncated or len(played.turns) != _LIMIT or len(episode) != _LIMIT:
        raise ConformanceError(
            f"Expected gymnasium.make(…, max_episode_steps={_LIMIT}) to truncate after {_LIMIT} steps with the "
            f"hindsight of each, got {len(played.turns)} steps and {len(episode)}; try a subclass of HindsightEnv that "
            "ends at self.max_steps: it reads the limit when gymnasium.make sets its spec."
        )


def _expect_no_trajectory(env: gym.Env[Any, Any]) -> None:
    try:
        env.get_wrapper_attr("trajectory")()
    except ResetNeededError:
        return
    except Exception as error:
        got = repr(error)
    else:
        got = "a result"
    raise ConformanceError(
        f"Expected ResetNeededError from trajectory() before reset(), got {got}; try raising it while there is no task."
    )


def _with_ansi(tested: EnvUnderTest, env: gym.Env[Any, Any]) -> gym.Env[Any, Any] | None:
    """A new env in the mode "ansi", without ``OrderEnforcing``, which refuses to render; None if there is none."""
    if env.render_mode == "ansi":
        return env.unwrapped
    if tested.env.spec is None or "ansi" not in env.metadata.get("render_modes", ()):
        return None
    try:
        return gym.make(tested.env.spec, render_mode="ansi").unwrapped
    except Exception:
        return None  # the check of the spec reports this
