"""The conformance checks: each passes on a correct env, and fails on an env that breaks only its rule."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import pytest

from agentgym_hindsight.envs.base import Extra, Turn
from agentgym_hindsight.errors import ConformanceError, UsageError
from agentgym_hindsight.hindsight.sources import Feedback, Hindsight
from agentgym_hindsight.hindsight.trajectory import Trajectory, render_steps
from agentgym_hindsight.spaces import UnicodeText
from agentgym_hindsight.tasks import Task, TaskPanel
from agentgym_hindsight.testing import CHECKS, ConformanceReport, check_hindsight_env
from tests.forks import FixedEnv
from tests.toy import CorridorBackend, CorridorEnv

ENV_ID = "ConformantCorridor-v0"
if ENV_ID not in gym.registry:
    gym.register(ENV_ID, entry_point="tests.toy:CorridorEnv", order_enforce=False)
ENFORCED_ID = "EnforcedCorridor-v0"
if ENFORCED_ID not in gym.registry:
    gym.register(ENFORCED_ID, entry_point="tests.toy:CorridorEnv")


class Broken(CorridorEnv):
    """A corridor whose infos and step results are changed before they are returned."""

    def __init__(self, change_info: Any = None, change_step: Any = None, backend: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.change_info, self.change_step = change_info, change_step
        if backend is not None:
            self.backend = backend

    def _info(self, turn: Turn, hindsight: Hindsight) -> dict[str, Any]:
        info = super()._info(turn, hindsight)
        return self.change_info(info) if self.change_info else info

    def step(self, action: str) -> Any:
        result = super().step(action)
        return self.change_step(*result) if self.change_step else result


def without(key: str) -> Callable[..., Any]:
    return lambda info: {name: value for name, value in info.items() if name != key}


def with_(**changes: Any) -> Callable[..., Any]:
    """An info with some values replaced, given as values or as functions of the info. ``late`` changes only steps."""
    late = changes.pop("late", False)

    def modify(info: dict[str, Any]) -> dict[str, Any]:
        if late and info["step"] == 0:
            return info
        return {**info, **{key: value(info) if callable(value) else value for key, value in changes.items()}}

    return modify


def hindsight_with(**changes: Callable[[Hindsight], Any]) -> Callable[..., Any]:
    """Steps with some sources replaced, also in the terminal episode."""

    def one(each: Hindsight) -> Hindsight:
        return each.replace(**{name: value(each) for name, value in changes.items()})

    def modify(info: dict[str, Any]) -> dict[str, Any]:
        whole: Hindsight = info["hindsight"]
        if info["step"] == 0:
            return info
        changed = one(whole)
        if whole.is_final:
            changed = changed.with_episode(tuple(one(each) for each in whole.episode))
        return {**info, "hindsight": changed}

    return modify


def episode_of(change: Callable[[tuple[Hindsight, ...]], Any]) -> Callable[..., Any]:
    def modify(info: dict[str, Any]) -> dict[str, Any]:
        whole: Hindsight = info["hindsight"]
        return {**info, "hindsight": whole.with_episode(change(whole.episode))} if whole.is_final else info

    return modify


class ResetRaises(CorridorEnv):
    def reset(self, **kwargs: Any) -> Any:
        raise RuntimeError("no power")


class NeverEnds(CorridorEnv):
    def step(self, action: str) -> Any:
        observation, reward, _, _, info = super().step("fly")
        self._over = False
        return observation, reward, False, False, {**info, "hindsight": info["hindsight"]}


class StepsAfterEnd(CorridorEnv):
    """Accepts steps after the end."""

    def step(self, action: str) -> Any:
        if self._over and self._turn is not None:
            return self._turn.observation, 0.0, True, False, {}
        return super().step(action)


class StepsBeforeReset(CorridorEnv):
    """Accepts steps before reset."""

    def step(self, action: str) -> Any:
        if self.task is None:
            self.reset(seed=0)
        return super().step(action)


class FutureWithItself(CorridorEnv):
    def _final(self, hindsight: Hindsight, task: Task) -> Hindsight:
        steps, whole = self._steps, super()._final(hindsight, task)
        return whole.with_episode(
            tuple(
                each.replace(future_trajectory=Feedback(render_steps(steps[k:]), step=k))
                for k, each in enumerate(whole.episode)
            )
        )


class FutureTooShort(CorridorEnv):
    def _final(self, hindsight: Hindsight, task: Task) -> Hindsight:
        steps, whole = self._steps, super()._final(hindsight, task)
        return whole.with_episode(
            tuple(
                each.replace(future_trajectory=Feedback(render_steps(steps[k + 1 : k + 2]), step=k))
                for k, each in enumerate(whole.episode)
            )
        )


def growing_current(episode: tuple[Hindsight, ...]) -> tuple[Hindsight, ...]:
    """The current trajectory of every step only up to that step, instead of the whole rollout."""
    texts = [
        "\n".join(each.immediate_feedback.text for each in episode[: k + 1] if each.immediate_feedback)
        for k in range(len(episode))
    ]
    return tuple(
        each.replace(current_trajectory=Feedback(text, step=k))
        for k, (each, text) in enumerate(zip(episode, texts, strict=True))
    )


class LeaksDetail(CorridorEnv):
    def step(self, action: str) -> Any:
        observation, *rest, info = super().step(action)
        return f"{observation} {info['hindsight'].immediate_feedback.detail}", *rest, info


class LeaksTranscript(CorridorEnv):
    def step(self, action: str) -> Any:
        observation, *rest, info = super().step(action)
        return f"{observation}\n{info['hindsight'].current_trajectory.text}", *rest, info


class RecordsTooLittle(CorridorEnv):
    def trajectory(self, **changes: Any) -> Trajectory:
        whole = super().trajectory(**changes)
        return whole.replace(steps=whole.steps[1:])


COUNTER = itertools.count()


class UsesGlobalRandom(CorridorEnv):
    def reset(self, **kwargs: Any) -> Any:
        random.random()
        return super().reset(**kwargs)


class SameTaskId(CorridorBackend):
    """Gives every task the same id."""

    def task(self, split: str, index: int) -> Task:
        task = super().task(split, index)
        return Task("same", *[getattr(task, name) for name in ("env", "split", "category", "goal", "locator")])

    def find(self, task_id: str) -> Task:
        return self.task("train", 0)


class IgnoresTask(CorridorEnv):
    """Ignores the requested task."""

    def _choose(self, seed: int | None, options: Any) -> Task:
        return super()._choose(seed, {})


class AcceptsUnknownTask(CorridorBackend):
    def find(self, task_id: str) -> Task:
        try:
            return super().find(task_id)
        except UsageError:
            return self.task("train", 0)


class RaisesOnEmptyAction(CorridorBackend):
    def act(self, action: str) -> Turn:
        if not action.strip():
            raise ValueError("empty action")
        return super().act(action)


class ListsInvalidAction(CorridorBackend):
    """Lists an action that it does not accept."""

    def act(self, action: str) -> Turn:
        turn = super().act(action)
        return turn._replace(admissible_actions=("dig", *turn.admissible_actions))


class AcceptsNonsense(CorridorBackend):
    def act(self, action: str) -> Turn:
        return super().act(action)._replace(valid=True)


class NeverTruncates(CorridorEnv):
    def step(self, action: str) -> Any:
        limit, self.max_steps = self.max_steps, 10**9
        result = super().step(action)
        self.max_steps = limit
        return result


class TruncatesEarly(CorridorEnv):
    """Truncates before its own limit."""

    def step(self, action: str) -> Any:
        limit, self.max_steps = self.max_steps, 7
        result = super().step(action)
        self.max_steps = limit
        return result


class RecordsNoArguments(gym.Wrapper[str, str, str, str]):
    """A wrapper that cannot be made from a spec."""


class RecordsWrongArgument(gym.Wrapper[str, str, str, str], gym.utils.RecordConstructorArgs):
    """A wrapper that records another argument than it was given."""

    def __init__(self, env: gym.Env[str, str], word: str = "") -> None:
        gym.utils.RecordConstructorArgs.__init__(self, word="")
        gym.Wrapper.__init__(self, env)
        self.word = word

    def reset(self, **kwargs: Any) -> Any:
        observation, info = self.env.reset(**kwargs)
        return observation + self.word, info


def no_spaces() -> CorridorEnv:
    env = CorridorEnv()
    env.action_space = "text"  # type: ignore[assignment]
    return env


def narrow() -> CorridorEnv:
    env = CorridorEnv()
    env.observation_space = UnicodeText(3)
    return env


def immediate(each: Hindsight) -> Feedback | None:
    return each.immediate_feedback


def late_step(each: Hindsight) -> Feedback | None:
    feedback = each.immediate_feedback
    return None if feedback is None else Feedback(feedback.text, feedback.provenance, feedback.step + 1)


class OpenActions(CorridorBackend):
    """The same world without a list of valid actions."""

    examples: Any = ("east", "west")

    def start(self, task: Task) -> Turn:
        return self._open(super().start(task))

    def act(self, action: str) -> Turn:
        return self._open(super().act(action)._replace(valid=action != "fly"))

    def restore(self, task: Task, world: Any, turn: Turn) -> Turn:
        return self._open(super().restore(task, world, turn))

    def _open(self, turn: Turn) -> Turn:
        return turn._replace(admissible_actions=(), extra=Extra(**turn.extra, example_actions=self.examples))


def open_actions(examples: Any) -> gym.Env[Any, Any]:
    backend = OpenActions()
    backend.examples = examples
    return Broken(backend=backend)


class RendersNothing(CorridorEnv):
    """Fails to render before reset."""

    def __init__(self) -> None:
        super().__init__(render_mode="ansi")

    def render(self) -> Any:
        return super().render() or None


class RecordsBeforeReset(CorridorEnv):
    def trajectory(self, **changes: Any) -> Trajectory:
        return super().trajectory(**changes) if self.task is not None else Trajectory("none")


class ListsEmptySplit(CorridorEnv):
    splits = ("train", "valid", "test")


class DrawsAnyPanel(CorridorEnv):
    def panel(self, split: str | None = None, n: int | None = None, seed: int = 0) -> TaskPanel:
        return super().panel(split, n, seed=next(COUNTER))


class PlaysAnotherTask(CorridorEnv):
    """Ignores the task of a panel."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        options = {key: value for key, value in (options or {}).items() if key != "task"}
        return super().reset(seed=seed, options=options)


class IgnoresLimit(CorridorEnv):
    """Sets its spec aside, so that it does not see the limit of ``gymnasium.make``."""

    @property
    def spec(self) -> Any:
        return self._spec

    @spec.setter
    def spec(self, spec: Any) -> None:
        self._spec = spec


IGNORES_ID = "IgnoresLimitCorridor-v0"
if IGNORES_ID not in gym.registry:
    gym.register(IGNORES_ID, entry_point=IgnoresLimit, order_enforce=False)


#: (the check that must fail, a word of its message, a function that makes the env)
BROKEN: list[tuple[str, str, Callable[[], gym.Env[Any, Any]]]] = [
    ("episodes play", "no power", ResetRaises),
    ("episodes play", "to end", NeverEnds),
    ("info keys", "expert_action", partial(Broken, without("expert_action"))),
    ("info keys", "admissible_actions", partial(Broken, without("admissible_actions"))),
    ("info types", "exactly float", partial(Broken, with_(score=1))),
    ("info types", "exactly tuple", partial(Broken, with_(admissible_actions=["east"]))),
    ("info types", "exactly bool", partial(Broken, with_(won=0))),
    ("info types", "contain str", partial(Broken, with_(admissible_actions=(b"east",)))),
    ("info keys are constant", "reason", partial(Broken, with_(late=True, reason="x"))),
    ("info values", "action_valid=True", partial(Broken, with_(action_valid=False))),
    ("info values", "anchor", partial(Broken, with_(anchor=""))),
    ("info values", "info['step'] == 1", partial(Broken, with_(step=0))),
    ("info values", "score in [0, 1]", partial(Broken, with_(score=1.5))),
    ("info values", "once", partial(Broken, with_(admissible_actions=("east", "east")))),
    ("info values", "terminate", partial(Broken, with_(late=True, won=True))),
    ("step types", "str, float, bool, bool", partial(Broken, None, lambda o, r, t, u, i: (o, int(r), t, u, i))),
    ("step types", "str, float, bool, bool", partial(Broken, None, lambda o, r, t, u, i: (o, r, int(t), u, i))),
    ("step types", "either", partial(Broken, None, lambda o, r, t, u, i: (o, r, t, t, i))),
    ("step types", "observations in", narrow),
    ("gymnasium", "check_env", no_spaces),
    ("reset needed", "after the episode", StepsAfterEnd),
    ("reset needed", "before reset", StepsBeforeReset),
    ("source times", "no hindsight from reset", partial(Broken, with_(hindsight=Hindsight(Feedback("x"))))),
    ("source times", "None for next_observation", partial(Broken, hindsight_with(next_observation=lambda each: None))),
    ("source times", "describe step 0", partial(Broken, hindsight_with(immediate_feedback=late_step))),
    ("source times", "as Feedback", partial(Broken, hindsight_with(immediate_feedback=lambda each: "text"))),
    ("source times", "only at the end", partial(Broken, hindsight_with(future_trajectory=immediate))),
    ("terminal episode", "for each of the", partial(Broken, episode_of(lambda episode: ()))),
    ("terminal episode", "for each of the", partial(Broken, episode_of(lambda episode: episode[1:]))),
    ("terminal episode", "for each of the", lambda: gym.wrappers.TimeLimit(CorridorEnv(), 3)),
    (
        "terminal episode",
        "got None",
        partial(Broken, episode_of(lambda episode: tuple(each.replace(future_trajectory=None) for each in episode))),
    ),
    ("terminal episode", "an unchanged", partial(Broken, episode_of(lambda episode: episode[::-1]))),
    ("future", "its own action", FutureWithItself),
    ("future", "every later step", FutureTooShort),
    ("future", "whole rollout", partial(Broken, episode_of(growing_current))),
    (
        "future",
        "empty future",
        partial(Broken, episode_of(lambda e: (*e[:-1], e[-1].replace(future_trajectory=Feedback("more"))))),
    ),
    ("sources differ", "same text", partial(Broken, hindsight_with(current_trajectory=immediate))),
    ("no leak", "reason (detail)", LeaksDetail),
    ("no leak", "current_trajectory", LeaksTranscript),
    ("record", "actions", RecordsTooLittle),
    ("determinism", "play the same", partial(Broken, with_(extra=lambda info: next(COUNTER)))),
    ("global generators", "random", UsesGlobalRandom),
    ("task identity", "one task", lambda: Broken(backend=SameTaskId())),
    ("task identity", "in an episode", partial(Broken, with_(late=True, goal="something else"))),
    ("task replay", "replay", IgnoresTask),
    ("unknown task", "no-such-task-id", lambda: Broken(backend=AcceptsUnknownTask())),
    ("anchors", "different states", partial(Broken, with_(anchor="s:here"))),
    ("anchors", "equal anchors", partial(Broken, with_(anchor=lambda info: f"s:{next(COUNTER)}"))),
    ("admissible actions", "'dig'", lambda: Broken(backend=ListsInvalidAction())),
    ("nonsense", "action_valid=False", lambda: Broken(backend=AcceptsNonsense())),
    ("odd actions", "a reply to the action", lambda: Broken(backend=RaisesOnEmptyAction())),
    (
        "odd actions",
        "standard info",
        partial(Broken, None, lambda o, r, t, u, i: (o, r, t, u, {} if i["extra"].room == 0 else i)),
    ),
    ("truncation", "without an end", NeverTruncates),
    ("truncation", "max_steps = 50", TruncatesEarly),
    ("early calls", "'' from render() before reset()", RendersNothing),
    ("early calls", "ResetNeededError from trajectory()", RecordsBeforeReset),
    ("example action", "example_actions as a tuple", lambda: open_actions(())),
    ("example action", "example_actions as a tuple", lambda: open_actions((b"east",))),
    ("example action", "to be valid", lambda: open_actions(("fly",))),
    ("panel", "split='test', n=1", ListsEmptySplit),
    ("panel", "the same panel", DrawsAnyPanel),
    ("panel", "to be played", PlaysAnotherTask),
    ("time limit", "max_episode_steps=2", lambda: gym.make(IGNORES_ID)),
    ("pickling", "picklable", partial(Broken, with_(extra=lambda info: lambda: 0))),
    ("pickling", "equal after", partial(Broken, with_(extra=lambda info: object()))),
    ("spec", "to rebuild", lambda: RecordsNoArguments(gym.make(ENV_ID))),
    ("snapshots", "the same results", lambda: Broken(backend=ForgetsTheRoom())),
    ("snapshots", "to go on", lambda: Broken(backend=CannotRestore())),
    ("snapshots", "plain data", lambda: Broken(backend=SavesObjects())),
    ("spec", "play the same", lambda: RecordsWrongArgument(gym.make(ENV_ID), "!")),
]


class ForgetsTheRoom(CorridorBackend):
    def restore(self, task: Task, world: Any, turn: Turn) -> Turn:
        return super().restore(task, (0, world[1]), turn)


class CannotRestore(CorridorBackend):
    def restore(self, task: Task, world: Any, turn: Turn) -> Turn:
        raise RuntimeError("no way back")


class SavesObjects(CorridorBackend):
    def snapshot(self, turn: Turn) -> Any:
        return (self,)


def test_an_env_without_snapshots_passes_and_the_report_says_so() -> None:
    report = check_hindsight_env(FixedEnv, report=True)
    assert report.ok
    assert "snapshots" not in report.passed
    assert "snapshots: not offered, so not checked: the backend has no snapshot(turn)" in str(report)
    assert check_hindsight_env(FixedEnv) is None


@pytest.mark.parametrize(("name", "word", "make"), BROKEN, ids=[f"{name}: {word}" for name, word, _ in BROKEN])
def test_each_check_finds_its_problem(name: str, word: str, make: Callable[[], gym.Env[Any, Any]]) -> None:
    source: Any = make() if name in ("spec", "time limit") else make  # these checks need the env itself
    report = check_hindsight_env(source, report=True)
    assert not report.ok
    assert word in dict(report.findings).get(name, ""), str(report)
    assert name in str(report)
    with pytest.raises(ConformanceError, match="Expected"):
        check_hindsight_env(source)


def test_every_check_has_an_env_that_fails_it() -> None:
    assert {name for name, *_ in BROKEN} == {name for name, _ in CHECKS}


GOOD: dict[str, Callable[[], Any]] = {
    "an env": CorridorEnv,
    "a class": lambda: CorridorEnv,
    "an env with a spec": lambda: gym.make(ENV_ID),
    "with order enforcing": lambda: gym.make(ENFORCED_ID),
    "observation anchors": lambda: CorridorEnv(anchor="observation"),
    "an expert": lambda: CorridorEnv(expert=True),
    "a short limit": lambda: CorridorEnv(max_steps=2),
    "a limit of make": lambda: gym.make(ENV_ID, max_episode_steps=4),
    "a limit of make that is larger": lambda: gym.make(ENV_ID, max_episode_steps=6, max_steps=3),
    "another split": lambda: CorridorEnv(split="valid"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_correct_env_passes(name: str) -> None:
    report = check_hindsight_env(GOOD[name](), report=True, seed=3)
    assert report == ConformanceReport(tuple(name for name, _ in CHECKS), (), ()), str(report)
    assert check_hindsight_env(GOOD[name](), episodes=1) is None


def test_an_open_set_of_actions_is_allowed() -> None:
    check_hindsight_env(lambda: Broken(backend=OpenActions(), max_steps=5))
    check_hindsight_env(lambda: Broken(backend=OpenActions(), expert=True))
    check_hindsight_env(lambda: Broken(backend=OpenActions()), actions=["east", "west", "east"])
    frozen = check_hindsight_env(
        lambda: Broken(with_(anchor="s:x"), backend=OpenActions()), actions=["east"], report=True
    )
    assert "anchors" in dict(frozen.findings)


def test_respond() -> None:
    class Shouting(gym.ActionWrapper[str, str, str]):
        def action(self, action: str) -> str:
            return action.removesuffix("!")

    check_hindsight_env(lambda: Shouting(CorridorEnv()), respond=lambda action: f"{action}!")


def test_an_unplayable_env_is_reported_once() -> None:
    report = check_hindsight_env(ResetRaises, report=True)
    assert report.findings[0].check == "episodes play"
    assert "info keys" in report.skipped
    assert "could not run" in str(report)


def test_an_env_that_can_neither_be_made_again_nor_copied() -> None:
    env = Broken(None)
    env.socket = (step for step in ())  # type: ignore[attr-defined]  # generators cannot be copied
    report = check_hindsight_env(env, report=True)
    assert any("check_hindsight_env(lambda:" in finding.message for finding in report.findings)


def test_the_env_under_test_stays_open() -> None:
    env = CorridorEnv()
    check_hindsight_env(env)
    assert not env.backend.closed  # type: ignore[attr-defined]
    env.reset(seed=0)


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match="at least one episode"):
        check_hindsight_env(CorridorEnv(), episodes=0)
    with pytest.raises(UsageError, match="sequence of texts"):
        check_hindsight_env(CorridorEnv(), actions="east")
    with pytest.raises(UsageError, match="function that makes one"):
        check_hindsight_env("CorridorEnv")  # type: ignore[call-overload]
