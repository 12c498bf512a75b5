from __future__ import annotations

import pickle
from typing import Any

import gymnasium as gym
import pytest

from agentgym_hindsight.envs.base import INFO_KEYS, HindsightEnv, Turn
from agentgym_hindsight.errors import ResetNeededError, UnknownNameError, UsageError
from agentgym_hindsight.hindsight.sources import Hindsight, Provenance
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.tasks import Task
from tests.toy import SIZES, CorridorBackend, CorridorEnv

ENV_ID = "BaseCorridor-v0"
if ENV_ID not in gym.registry:
    gym.register(ENV_ID, entry_point="tests.toy:CorridorEnv", order_enforce=False)


def walk(env: HindsightEnv, action: str = "east") -> tuple[Any, ...]:
    result: tuple[Any, ...] = ()
    while not result or not (result[2] or result[3]):
        result = env.step(action)
    return result


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "word"),
        [
            ({"split": "trian"}, "did you mean 'train'"),
            ({"anchor": "states"}, "did you mean 'state'"),
            ({"max_steps": 0}, "max_steps as a whole number ≥ 1"),
            ({"render_mode": "rgb_array"}, "render mode"),
        ],
    )
    def test_bad_arguments_are_refused(self, arguments: dict[str, Any], word: str) -> None:
        with pytest.raises(UsageError, match=word):
            CorridorEnv(**arguments)

    @pytest.mark.parametrize("options", [{"game": 1}, {"task_id": "nope"}, {"task": "a string"}])
    def test_bad_options_are_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(UsageError):
            CorridorEnv().reset(options=options)

    @pytest.mark.parametrize("action", [3, None, b"east", ["east"]])
    def test_actions_are_text(self, action: Any) -> None:
        env = CorridorEnv()
        env.reset(seed=0)
        with pytest.raises(UsageError, match="as text"):
            env.step(action)
        env.step("east")  # the episode continues

    def test_calls_out_of_order_are_refused(self) -> None:
        env = CorridorEnv(max_steps=1)
        for use in (lambda: env.step("east"), env.trajectory, env.cut, lambda: env.annotate(prompt="p")):
            with pytest.raises(ResetNeededError):
                use()
        env.reset(seed=0)
        with pytest.raises(ResetNeededError):
            env.cut()
        env.step("east")
        with pytest.raises(ResetNeededError, match="after the episode had ended"):
            env.step("east")
        env.reset()
        env.step("east")


class TestInfo:
    def test_keys_and_types(self) -> None:
        env = CorridorEnv(expert=True)
        _, info = env.reset(seed=0)
        *_, last = walk(env)
        for each in (info, last):
            assert {key: type(each[key]) for key in INFO_KEYS} == dict(INFO_KEYS)
            assert set(each) == {*INFO_KEYS, "extra"}

    def test_values(self) -> None:
        env = CorridorEnv(expert=True)
        _, info = env.reset(seed=0)
        assert (info["step"], info["won"], info["score"], info["action_valid"]) == (0, False, 0.0, True)
        assert info["expert_action"] == "east"
        *_, info = env.step("fly")
        assert (info["step"], info["action_valid"]) == (1, False)
        *_, terminated, truncated, info = walk(env)
        assert terminated
        assert not truncated
        assert (info["won"], info["score"], info["expert_action"]) == (True, 1.0, "")

    def test_no_expert_action_by_default(self) -> None:
        _, info = CorridorEnv().reset(seed=0)
        assert info["expert_action"] == ""


class TestHindsight:
    def test_after_a_step(self) -> None:
        env = CorridorEnv()
        _, info = env.reset(seed=0)
        assert info["hindsight"] == Hindsight()
        *_, info = env.step("fly")
        hindsight: Hindsight = info["hindsight"]
        assert hindsight.known == ("immediate_feedback", "next_observation", "current_trajectory")
        assert hindsight.immediate_feedback is not None
        assert hindsight.next_observation is not None
        assert hindsight.current_trajectory is not None
        assert hindsight.immediate_feedback.text == "Nothing happens."
        assert hindsight.immediate_feedback.detail == "There is no way 'fly' here."
        assert hindsight.next_observation.text == "Nothing happens.\nAdmissible actions: east"
        assert "Action: fly" in hindsight.current_trajectory.text
        assert not hindsight.is_final
        assert hindsight.episode == ()

    def test_the_current_trajectory_does_not_grow_later(self) -> None:
        env = CorridorEnv()
        env.reset(seed=0)
        *_, info = env.step("fly")
        env.step("east")
        assert "east" not in info["hindsight"].current_trajectory.text

    def test_at_the_end(self) -> None:
        env = CorridorEnv()
        env.reset(seed=0)
        *_, info = walk(env)
        episode = info["hindsight"].episode
        assert info["hindsight"].is_final
        assert len(episode) == info["step"]
        assert episode[-1].future_trajectory.text == ""
        assert "Step 2" in episode[0].future_trajectory.text
        assert "Step 1\n" not in episode[0].future_trajectory.text
        assert all(each.current_trajectory.text == episode[0].current_trajectory.text for each in episode)
        assert all(each.successful_trajectory is None for each in episode)

    def test_a_later_episode_does_not_change_earlier_hindsight(self) -> None:
        env = CorridorEnv(max_steps=2)
        env.reset(seed=0)
        *_, info = walk(env, "fly")
        env.reset(seed=1)
        walk(env, "east")
        assert [each.immediate_feedback.text for each in info["hindsight"].episode] == ["Nothing happens."] * 2

    def test_the_expert_supplies_the_successful_trajectory(self) -> None:
        class Shown(CorridorBackend):
            def demonstration(self, task: Task) -> Trajectory:
                return Trajectory(task.id, won=True, steps=(Step(0, "start", "run east", "there", "there"),))

        class ShownEnv(HindsightEnv):
            splits = ("train", "valid")

        for expert in (True, False):
            env = ShownEnv(Shown(), max_steps=1, expert=expert)
            env.reset(seed=0)
            reference = env.step("fly")[-1]["hindsight"].episode[0].successful_trajectory
            assert (reference is not None) is expert
            if reference is not None:
                assert reference.provenance is Provenance.EXPERT
                assert "run east" in reference.text


class TestTasks:
    def test_a_seed_gives_an_order_over_the_split(self) -> None:
        one, other = CorridorEnv(), CorridorEnv()
        ids = [one.reset(seed=7)[1]["task_id"]] + [one.reset()[1]["task_id"] for _ in range(SIZES["train"] - 1)]
        assert len(set(ids)) == SIZES["train"]  # each task once
        assert one.reset()[1]["task_id"] == ids[0]  # then the same order again
        assert [other.reset(seed=7)[1]["task_id"]] + [other.reset()[1]["task_id"] for _ in range(3)] == ids[:4]
        assert one.reset(seed=7)[1]["task_id"] == ids[0]

    def test_seeds_differ(self) -> None:
        env = CorridorEnv()
        assert len({env.reset(seed=seed)[1]["task_id"] for seed in range(40)}) > 5

    def test_without_a_seed_every_task_is_played_once(self) -> None:
        env = CorridorEnv()
        assert len({env.reset()[1]["task_id"] for _ in range(SIZES["train"])}) == SIZES["train"]
        assert env.trajectory().seed is None  # no seed was given

    def test_a_task_is_chosen_by_id_or_object(self) -> None:
        env = CorridorEnv()
        wanted = CorridorBackend().task("valid", 3)
        for options in ({"task_id": wanted.id}, {"task": wanted}):
            _, info = env.reset(options=options)
            assert (info["task_id"], info["goal"]) == (wanted.id, wanted.goal)
            assert env.task == wanted

    def test_a_chosen_task_does_not_advance_the_order(self) -> None:
        env, plain = CorridorEnv(), CorridorEnv()
        env.reset(seed=7)
        plain.reset(seed=7)
        env.reset(options={"task_id": CorridorBackend().task("valid", 3).id})
        assert env.reset()[1]["task_id"] == plain.reset()[1]["task_id"]

    def test_a_seed_with_a_chosen_task_starts_the_order(self) -> None:
        env, plain = CorridorEnv(), CorridorEnv()
        env.reset(seed=1)
        env.reset()
        env.reset(seed=7, options={"task_id": CorridorBackend().task("valid", 3).id})
        assert env.reset()[1]["task_id"] == plain.reset(seed=7)[1]["task_id"]

    def test_own_options(self) -> None:
        class Named(CorridorEnv):
            def _own_options(self) -> tuple[str, ...]:
                return ("index",)

            def _from_options(self, options: Any) -> Task | None:
                return self.backend.task("valid", options["index"]) if "index" in options else None

        env = Named()
        assert env.reset(options={"index": 2})[1]["task_id"] == CorridorBackend().task("valid", 2).id
        with pytest.raises(UnknownNameError, match="did you mean 'index'"):
            env.reset(options={"indx": 2})


class TestAnchors:
    def test_state(self) -> None:
        env = CorridorEnv()
        _, start = env.reset(seed=0)
        _, _, _, _, refused = env.step("fly")
        _, _, _, _, east = env.step("east")
        _, _, _, _, back = env.step("west")
        assert start["anchor"].startswith("s:")
        assert start["anchor"] == refused["anchor"] == back["anchor"] != east["anchor"]
        steps = env.trajectory().steps
        assert [step.next_anchor for step in steps[:-1]] == [step.anchor for step in steps[1:]]

    @pytest.mark.parametrize("kind", ["observation", "similar"])
    def test_text(self, kind: str) -> None:
        env = CorridorEnv(anchor=kind)
        _, start = env.reset(seed=0)
        _, _, _, _, refused = env.step("fly")
        assert start["anchor"].startswith("o:")
        assert start["anchor"] != refused["anchor"]


class TestRecord:
    def test_trajectory(self) -> None:
        env = CorridorEnv(max_steps=3)
        first, info = env.reset(seed=5)
        env.step("fly")
        running = env.trajectory(policy="me")
        assert not running.truncated
        assert running.policy == "me"
        walk(env, "fly")
        whole = env.trajectory()
        assert (whole.task_id, whole.goal, whole.seed, whole.split) == (info["task_id"], info["goal"], 5, "train")
        assert (whole.backend, whole.truncated, whole.won) == ("corridor", True, False)
        assert whole.steps[0].observation == first
        assert whole.final_observation == "Nothing happens."
        assert [step.index for step in whole.steps] == [0, 1, 2]
        assert whole.steps[0].detail
        assert len(running.steps) == 1

    def test_annotate(self) -> None:
        env = CorridorEnv()
        env.reset(seed=0)
        env.step("east")
        env.step("east")
        env.annotate(prompt="p", response="r", action_span=(0, 1), extra={"a": 1})
        env.annotate(next_observation="n", reward=0.5, action_valid=False, extra={"b": 2})
        first, last = env.trajectory().steps
        assert (last.prompt, last.response, last.action_span) == ("p", "r", (0, 1))
        assert (last.next_observation, last.reward, last.action_valid) == ("n", 0.5, False)
        assert last.extra == {"a": 1, "b": 2}
        assert (first.prompt, first.extra) == ("", {})
        with pytest.raises(UnknownNameError, match="did you mean 'response'"):
            env.annotate(respose="x")
        with pytest.raises(UnknownNameError):
            env.annotate(action="east")  # the action of a step cannot be changed

    def test_cut(self) -> None:
        env = CorridorEnv()
        env.reset(seed=0)
        *_, info = env.step("east")
        final = env.cut()
        assert final == info["hindsight"]
        assert len(final.episode) == 1
        assert env.trajectory().truncated
        with pytest.raises(ResetNeededError):
            env.step("east")


class TestLimit:
    def test_max_steps(self) -> None:
        env = CorridorEnv(max_steps=3)
        env.reset(seed=0)
        *_, terminated, truncated, info = walk(env, "fly")
        assert (terminated, truncated, info["step"]) == (False, True, 3)

    def test_a_win_on_the_last_turn_terminates(self) -> None:
        env = CorridorEnv()
        env.reset(seed=0)
        *_, info = walk(env)
        exact = CorridorEnv(max_steps=info["step"])
        exact.reset(seed=0)
        *_, terminated, truncated, _ = walk(exact)
        assert (terminated, truncated) == (True, False)


class TestRendering:
    def test_ansi(self) -> None:
        env = CorridorEnv(render_mode="ansi", max_steps=9)
        assert env.render() == ""
        observation, info = env.reset(seed=0)
        assert env.render() == f"[{info['task_id']} · corridor · turn 0/9] {info['goal']}\n{observation}"
        env.step("east")
        assert env.render().endswith("\n> east\nYou are in room 1.")
        assert CorridorEnv().render() is None

    def test_human(self, capsys: pytest.CaptureFixture[str]) -> None:
        env = CorridorEnv(render_mode="human")
        env.reset(seed=0)
        env.step("east")
        assert capsys.readouterr().out.endswith("> east\nYou are in room 1.\n")


def test_an_error_in_the_backend_reaches_the_caller() -> None:
    env = CorridorEnv()
    env.reset(seed=0)
    env.step("east")
    with pytest.raises(RuntimeError, match="collapsed"):
        env.step("crash")
    assert len(env.trajectory().steps) == 1
    env.reset(seed=0)


def test_close_reaches_the_backend() -> None:
    env = CorridorEnv()
    env.close()
    env.close()
    assert env.backend.closed  # type: ignore[attr-defined]


def test_pickling_in_the_middle_of_an_episode() -> None:
    env = gym.make(ENV_ID, max_steps=4)
    env.reset(seed=0)
    env.step("east")
    other = pickle.loads(pickle.dumps(env))
    assert env.step("east")[-1] == other.step("east")[-1]


def test_the_trajectory_has_the_registered_id() -> None:
    env = gym.make(ENV_ID)
    env.reset(seed=0)
    assert env.unwrapped.trajectory().env_id == ENV_ID  # type: ignore[attr-defined]
    plain = CorridorEnv()
    plain.reset(seed=0)
    assert plain.trajectory().env_id == "CorridorEnv"


def test_turn_defaults() -> None:
    turn = Turn("hello")
    assert (turn.valid, turn.won, turn.terminated, turn.reward, turn.score) == (True, False, False, 0.0, 0.0)
