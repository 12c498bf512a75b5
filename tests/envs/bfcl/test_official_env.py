"""The env on the official tasks: conventions, per-turn checks, limits, privacy of the hidden truth, snapshots."""

from __future__ import annotations

import json
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.envs.bfcl.env import BfclEnv
from agentgym_hindsight.envs.bfcl.official import OfficialLibrary
from agentgym_hindsight.envs.bfcl.official.answers import wanted
from agentgym_hindsight.envs.bfcl.official.rows import CATEGORIES, MORE_FUNCTIONS
from agentgym_hindsight.envs.tools import ToolCall, format_calls
from agentgym_hindsight.errors import MissingDataError, SchemaError, UnknownNameError, UsageError
from agentgym_hindsight.testing import check_hindsight_env
from agentgym_hindsight.wrappers import ActionParser, PromptProtocol, Snapshot
from tests.bfcl_packages import V3, V4, package

ID = "BFCL-Hindsight-v0"


def official(**settings: Any) -> Any:
    return gym.make(ID, backend="official", data=package().folder, **settings)


def world(**settings: Any) -> BfclEnv:
    env = official(**settings).unwrapped
    assert isinstance(env, BfclEnv)
    return env


def row(env: BfclEnv, name: str) -> dict[str, Any]:
    """Reset options that start a row of the benchmark, in whatever split it is."""
    library = env.backend.library
    assert isinstance(library, OfficialLibrary)
    return {"task_id": library.contents.task_id(library.entry(name))}


def call(name: str, **arguments: Any) -> str:
    return format_calls([ToolCall(name, arguments)])


def play(env: Any, task: Any) -> tuple[float, dict[str, Any]]:
    """Play the expert's actions."""
    _, info = env.reset(options={"task": task})
    over, reward = False, 0.0
    while not over:
        _, reward, terminated, truncated, info = env.step(info["expert_action"])
        over = terminated or truncated
    return float(reward), info


@pytest.mark.parametrize(("limit", "expert"), [("turn", True), ("conversation", False)])
def test_conformance(limit: str, expert: bool) -> None:
    check_hindsight_env(official(limit=limit, expert=expert, max_steps=9), episodes=2)


def test_conformance_with_prompts_and_parser() -> None:
    env = ActionParser(PromptProtocol(official(expert=True, max_steps=9), "tools"), "tools")
    check_hindsight_env(env, episodes=2)


@pytest.mark.filterwarnings("ignore")
def test_gymnasiums_checker() -> None:
    check_env(world(), skip_render_check=True)


def test_a_vector_env() -> None:
    envs = gym.make_vec(
        ID, num_envs=3, vectorization_mode="vector_entry_point", backend="official", data=str(package().folder)
    )
    try:
        envs.reset(seed=0)
        _, _, terminated, truncated, infos = envs.step(("I am done.",) * 3)
        assert not terminated.any()
        assert not truncated.any()
        assert len(set(infos["task_id"])) == 3
        assert all(extra.user_turn == 2 for extra in infos["extra"])
    finally:
        envs.close()


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_expert_wins(category: str) -> None:
    env = world(category=category, split="valid", expert=True)
    assert env.backend.name == f"official/bfcl-eval {V4}, v4 files/{category}/limit=turn"
    for index in range(4):
        reward, info = play(env, env.backend.task("valid", index))
        assert reward == 1.0 == info["score"]
        assert info["won"]
        assert all(info["extra"].turns_passed)
        final = info["hindsight"].episode
        assert final[0].successful_trajectory is not None
        assert "Verdict: " in final[-1].immediate_feedback.detail


def test_the_checks_of_user_turns_are_dense_feedback() -> None:
    env = world()
    observation, info = env.reset(options=row(env, "multi_turn_base_0"))
    assert observation.endswith("Make sure to create the directory")
    assert "mkdir(dir_name: string): " in observation
    observation, _, _, _, info = env.step(call("cd", folder="document"))
    assert observation == 'cd: {"current_working_directory": "document"}'
    observation, _, _, _, info = env.step(f"{call('mkdir', dir_name='temp')}\n{call('cd', folder='nope')}")
    assert observation.startswith('mkdir: None\ncd: {"error": ')
    assert not info["action_valid"]
    detail = info["hindsight"].immediate_feedback.detail
    assert "The current folder workspace/document has final_report.pdf" in detail
    assert "GorillaFileSystem changed: " in detail
    observation, reward, terminated, _, info = env.step("I have done it.")
    assert observation.startswith("User: Perform a detailed search using grep")
    assert (reward, terminated, info["action_valid"], info["extra"].turns_passed) == (0.0, False, True, (False,))
    detail = info["hindsight"].immediate_feedback.detail
    assert detail.startswith("Check of user turn 1: failed (multi_turn:instance_state_mismatch). ")
    assert "Differences (present → wanted):" in detail
    assert "Wanted calls: cd(folder='document'), mkdir(dir_name='temp'), mv(source=" in detail
    assert "failed" not in observation
    assert info["hindsight"].current_trajectory is not None
    assert "Wanted calls" in str(env.trajectory().steps[-1].detail)
    _, _, _, _, info = env.step("Nothing.")
    assert "multi_turn:empty_turn_model_response" in info["hindsight"].immediate_feedback.detail


def test_held_out_functions_come_later() -> None:
    env = world(category="miss_func", expert=True)
    library = env.backend.library
    assert isinstance(library, OfficialLibrary)
    entry = library.entry("multi_turn_miss_func_0")
    (turn, (name,)), *_ = entry.held_out.items()
    observation, info = env.reset(options=row(env, entry.id))
    assert f"\n{name}(" not in observation
    assert name not in [schema["function"]["name"] for schema in info["extra"].tools]
    while info["extra"].user_turn <= turn:
        observation, _, _, _, info = env.step(info["expert_action"])
    assert observation.startswith(f"User: {MORE_FUNCTIONS}\nNew functions:\n{name}(")
    assert info["extra"].tools[-1]["function"]["name"] == name
    assert info["extra"].turns_passed == (True,) * turn


def test_a_call_where_nothing_should_be_called_fails() -> None:
    env = world(category="miss_param", expert=True)
    library = env.backend.library
    assert isinstance(library, OfficialLibrary)
    entry = library.entry("multi_turn_miss_param_0")
    empty = entry.answer.index(())
    _, info = env.reset(options=row(env, entry.id))
    while info["extra"].user_turn <= empty:
        _, _, _, _, info = env.step(info["expert_action"])
    assert info["expert_action"].startswith("I cannot do this yet")
    env.step(call("ls"))
    _, _, _, _, info = env.step("Done.")
    assert info["extra"].turns_passed[-1] is False
    assert "multi_turn:irrelevance_error:decoder_success" in info["hindsight"].immediate_feedback.detail


def test_a_user_turn_has_twenty_actions() -> None:
    env = world()
    env.reset(options=row(env, "multi_turn_base_0"))
    for number in range(21):
        _, reward, terminated, truncated, info = env.step(call("pwd"))
        assert terminated == (number == 20)  # the benchmark carries out one more, and then gives up
        assert not truncated
    assert reward == 0.0
    assert "too many actions" in info["extra"].evaluation
    assert "User turn 1 was not finished. Wanted calls: cd(folder='document')" in info["extra"].evaluation
    env.reset(options=row(env, "multi_turn_base_0"))
    for _ in range(20):
        env.step(call("pwd"))
    _, _, terminated, _, info = env.step("Done.")
    assert not terminated
    assert info["extra"].user_turn == 2


def test_the_limit_of_hint_sd_counts_the_conversation() -> None:
    env = world(limit="conversation")
    assert (env.max_steps, world().max_steps, world(limit="conversation", max_steps=7).max_steps) == (20, 400, 7)
    assert env.backend.name.endswith("/limit=conversation")
    env.reset(options=row(env, "multi_turn_base_0"))
    for number in range(20):
        _, reward, terminated, truncated, info = env.step("Hm." if number == 3 else call("pwd"))
        assert (terminated, truncated) == (False, number == 19)
    assert reward == 0.0
    assert "Verdict: 0 of 4 user turns passed" in info["hindsight"].immediate_feedback.detail


def test_the_hidden_truth_is_in_no_observation() -> None:
    """Neither the wanted calls, nor their results, nor any part of a check, in conversations that go wrong."""
    named, hidden_results = 0, 0
    for category in CATEGORIES:
        env = world(category=category, split="valid")
        modules = package().modules()
        library = env.backend.library
        assert isinstance(library, OfficialLibrary)
        for index in range(0, 20, 3):
            task = env.backend.task("valid", index)
            entry = library.entry(task.locator.rpartition("/")[2])
            observation, info = env.reset(options={"task": task})
            shown = [observation, str(info["goal"])]
            over = False
            while not over:  # one wrong call in each turn
                for action in (call("nosuch", a=1), "I am done."):
                    if not over:
                        observation, reward, terminated, truncated, info = env.step(action)
                        over = terminated or truncated
                        shown.append(observation)
            assert reward == 0.0
            said = "\n".join(entry.messages)
            secrets = {text for turn in entry.answer for text in turn if text not in said and "()" not in text}
            results = {text for turn in range(len(entry.answer)) for text in wanted(modules, entry, turn).results}
            results = {text for text in results if len(text) > 12 and text not in said}
            for text in shown:
                assert not [secret for secret in secrets | results if secret in text]
                for word in ("Verdict", "Check of user turn", "Wanted calls", "Missing results", "multi_turn:"):
                    assert word not in text
            feedback = "\n".join(step.detail for step in env.trajectory().steps)
            named += all(secret in feedback for secret in secrets)
            hidden_results += len(results)
            assert "Verdict" in feedback
    assert named > 20  # the answer is in the hindsight, so the check above was able to fail
    assert hidden_results > 50


def test_missing_results_are_hidden_too() -> None:
    env = world(expert=True)
    _, info = env.reset(options=row(env, "multi_turn_base_0"))
    while info["extra"].user_turn < 2:
        observation, _, _, _, info = env.step(info["expert_action"])
    env.step(call("cd", folder="temp"))
    observation, _, _, _, info = env.step("The budget is fine.")  # without the wanted grep
    detail = info["hindsight"].immediate_feedback.detail
    assert "multi_turn:execution_response_mismatch" in detail
    assert "Missing results: " in detail
    assert "matching_lines" in detail
    assert "matching_lines" not in observation


def test_reading_keeps_the_anchor_and_a_turn_changes_it() -> None:
    env = world()
    _, info = env.reset(options=row(env, "multi_turn_base_0"))
    begin = info["anchor"]
    assert env.step(call("ls"))[4]["anchor"] == begin
    assert env.step("not [a call")[4]["anchor"] != begin  # the next user turn


def test_calls_that_cannot_be_read_are_invalid_and_end_no_turn() -> None:
    env = world()
    env.reset(seed=0)
    observation, _, _, _, info = env.step("<tool_call>oops</tool_call>")
    assert observation.startswith("The tool call cannot be read: ")
    assert not info["action_valid"]
    assert info["extra"].user_turn == 1
    assert info["extra"].calls == 0


def test_many_calls_of_one_action_run_in_order() -> None:
    env = world()
    env.reset(options=row(env, "multi_turn_base_0"))
    observation, _, _, _, info = env.step("[cd(folder='document'), pwd(), cd('..'), pwd()]")
    assert [line.split(":")[0] for line in observation.split("\n")] == ["cd", "pwd", "cd", "pwd"]
    assert info["extra"].calls == 4


def test_snapshots_go_on_in_other_envs() -> None:
    one, two = world(category="long_context", expert=True), world(category="long_context", expert=True)
    _, info = one.reset(seed=4)
    for _ in range(3):
        _, _, _, _, info = one.step(info["expert_action"])
    value = Snapshot.from_bytes(one.snapshot().to_bytes())
    _, resumed = two.restore(value)
    assert resumed["anchor"] == info["anchor"]
    assert resumed["expert_action"] == info["expert_action"]
    while True:
        action = info["expert_action"]
        first, second = one.step(action), two.step(action)
        info = first[4]
        assert first[:4] == second[:4]
        if first[2]:
            break
    assert first[1] == 1.0
    document = json.loads(one.snapshot().to_json())
    document["world"] = [1]
    with pytest.raises(SchemaError):
        two.restore(Snapshot.from_json(json.dumps(document)))


def test_task_ids_depend_on_the_content_only() -> None:
    one, two = world(), world(category=["base", "miss_func"], recipe="hint-sd")
    library = one.backend.library
    ids = {split: set(one.panel(split).ids) for split in one.splits}
    assert sum(map(len, ids.values())) == len(set.union(*ids.values())) == 800
    assert set(two.panel("train").ids) <= set.union(*ids.values())
    assert library.find(one.panel("test").ids[5]) == library.task("test", 5)
    assert two.backend.name == f"official/bfcl-eval {V4}, v4 files/base+miss_func/hint-sd splits (leaky)/limit=turn"


def test_the_versions_are_different_data() -> None:
    newer = world()
    older = BfclEnv(backend="official", data=package(V3).folder, version=V3)
    assert older.backend.name == "official/bfcl-eval 2025.7.17, v3 files/all/limit=turn"
    assert len(set(newer.panel().ids) & set(older.panel().ids)) < 400


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"category": "simple"}, UnknownNameError, "category"),
        ({"category": []}, UsageError, "one category or more"),
        ({"recipe": "random"}, UnknownNameError, "recipe"),
        ({"limit": "none"}, UnknownNameError, "limit"),
        ({"backend": "genuine"}, UnknownNameError, "backend"),
        ({"split": "dev"}, UnknownNameError, "split"),
        ({"version": "1.0"}, UnknownNameError, "version"),
        ({"version": V3}, MissingDataError, "Expected bfcl-eval 2025.7.17 in"),
        ({"data": "/nowhere"}, MissingDataError, "pip install --no-deps --target FOLDER bfcl-eval==2026.3.23"),
        ({"kinds": ["a"]}, UsageError, "category"),
        ({"introduce": 1}, UsageError, "introduce"),
        ({"world_seed": "a"}, UsageError, "world_seed"),
        ({"split": "valid", "category": "miss_func", "recipe": "hint-sd"}, UsageError, "none of the chosen kinds"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        BfclEnv(**{"backend": "official", "data": package().folder, **settings})


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"version": V4}, "version"), ({"category": "base"}, "category"), ({"recipe": "hint-sd"}, "recipe")],
)
def test_settings_of_the_official_tasks_need_them(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(UsageError, match=f"Expected {name} only with the official tasks"):
        BfclEnv(**settings)


def test_a_missing_package_is_named_with_its_installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    from agentgym_hindsight.envs.bfcl.official import package as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_DATA", str(tmp_path))
    monkeypatch.delenv("BFCL_EVAL_DATA", raising=False)
    with pytest.raises(MissingDataError, match=r"agh data install bfcl`\."):
        BfclEnv(backend="official")
    with pytest.raises(MissingDataError, match=r"agh data install bfcl --version 2025\.7\.17"):
        BfclEnv(backend="official", version=V3)
    monkeypatch.setenv("BFCL_EVAL_DATA", str(package().folder))
    assert "v4 files" in BfclEnv(backend="official").backend.name
