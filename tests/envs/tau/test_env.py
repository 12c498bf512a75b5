"""The env: conventions, hindsight, privacy of the hidden truth, anchors, settings and errors."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.envs.tau.desk import DOMAINS
from agentgym_hindsight.envs.tau.embedded import embedded_desk
from agentgym_hindsight.envs.tau.env import TauBenchEnv
from agentgym_hindsight.envs.tools import ToolCall, format_calls
from agentgym_hindsight.errors import MissingDataError, UnknownNameError, UsageError
from agentgym_hindsight.testing import check_hindsight_env
from agentgym_hindsight.wrappers import ActionParser, PromptProtocol

ID = "TauBench-Hindsight-v0"


@pytest.fixture(autouse=True)
def no_official_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAU_BENCH_DATA", raising=False)


def task_of(env: Any, kind: str) -> Any:
    return next(task for task in env.unwrapped.panel() if task.category == kind)


def call(name: str, **arguments: Any) -> str:
    return format_calls([ToolCall(name, arguments)])


@pytest.mark.parametrize("expert", [False, True])
@pytest.mark.parametrize("domain", DOMAINS)
def test_conformance(domain: str, expert: bool) -> None:
    check_hindsight_env(gym.make(ID, domain=domain, expert=expert, max_steps=9), episodes=2)


def test_conformance_with_prompts_and_parser() -> None:
    env = ActionParser(PromptProtocol(gym.make(ID, expert=True, max_steps=9), "tools"), "tools")
    check_hindsight_env(env, episodes=2)


@pytest.mark.filterwarnings("ignore")
def test_gymnasiums_checker() -> None:
    check_env(gym.make(ID).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_expert_wins_every_kind(domain: str) -> None:
    env = gym.make(ID, domain=domain, split="valid", expert=True)
    won = set()
    kinds = {task.category for task in env.unwrapped.panel()}  # type: ignore[attr-defined]
    for kind in sorted(kinds):
        observation, info = env.reset(options={"task": task_of(env, kind)})
        assert "User: " in observation
        over = False
        while not over:
            _, reward, terminated, truncated, info = env.step(info["expert_action"])
            over = terminated or truncated
        assert terminated
        if reward == 1.0 and info["won"] and info["score"] == 1.0:
            won.add(kind)
        final = info["hindsight"].episode
        assert final[0].successful_trajectory is not None
        assert "Verdict" in final[-1].immediate_feedback.detail
    assert won == kinds


def test_feedback_names_reasons_and_changes() -> None:
    env = gym.make(ID, split="valid").unwrapped
    assert isinstance(env, TauBenchEnv)
    env.reset(options={"task": task_of(env, "cancel_order")})
    (_, find), _, (_, cancel) = env.backend.session.task.actions
    observation, _, _, _, info = env.step(call("cancel_pending_order", order_id="#W0", reason="no longer needed"))
    assert observation == "cancel_pending_order: Error: order not found"
    assert not info["action_valid"]
    assert info["extra"].error == "Error: order not found"
    assert info["hindsight"].immediate_feedback.detail == (
        "cancel_pending_order failed (order not found): orders has no '#W0'."
    )
    anchor = info["anchor"]
    _, _, _, _, info = env.step(call("get_order_details", order_id=cancel["order_id"]))
    assert info["action_valid"]
    assert info["anchor"] == anchor  # reading changes nothing
    _, _, _, _, info = env.step(call("cancel_pending_order", **cancel))
    assert info["anchor"] != anchor
    assert f"orders/{cancel['order_id']} changed: status: 'pending' → 'cancelled'" in info["extra"].changes
    assert info["extra"].changes in info["hindsight"].immediate_feedback.detail
    _, _, _, _, info = env.step(call("cancel_pending_order", **cancel))
    assert f"{cancel['order_id']} has the status 'cancelled'" in info["hindsight"].immediate_feedback.detail
    _, _, _, _, info = env.step(call("no_such_tool"))
    assert "there are calculate, " in info["hindsight"].immediate_feedback.detail
    observation, _, _, _, info = env.step("<tool_call>oops</tool_call>")
    assert not info["action_valid"]
    assert observation.startswith("The tool call cannot be read: it is not JSON")
    assert find


def hidden_texts(env: TauBenchEnv) -> set[str]:
    """What only the user or the checks know: the instruction, untold facts, the answer, the reference's arguments."""
    task = env.backend.session.task
    hidden = {task.instruction, *task.facts.values(), *(f"answer: {output}" for output in task.outputs)}
    hidden |= {str(value) for _, arguments in task.actions for value in arguments.values() if len(str(value)) > 3}
    return hidden


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_hidden_truth_is_in_no_observation(domain: str) -> None:
    env = gym.make(ID, domain=domain, split="test", max_steps=4, rules="strict").unwrapped
    assert isinstance(env, TauBenchEnv)
    verdicts = 0
    for task in list(env.panel())[::3]:
        observation, info = env.reset(options={"task": task})
        hidden = hidden_texts(env)
        shown = [observation, str(info["goal"])]
        for action in (call("calculate", expression="1+1"), "Thank you for waiting.", call("think", thought=""), "Hm."):
            observation, _, _, truncated, info = env.step(action)
            shown.append(observation)
        opening = env.backend.session.task.opening
        for text in shown:
            rest = text.replace(opening, "")
            assert "Verdict" not in rest
            assert not [secret for secret in hidden if secret in rest and secret not in env.backend.tools_text], text
        assert truncated
        verdict = env.trajectory().steps[-1].extra["evaluation"]
        verdicts += "should " in verdict or "not told" in verdict
        assert verdict in info["hindsight"].immediate_feedback.detail
        assert verdict not in observation
    assert verdicts > 50  # the wanted records are named, so the check above was able to fail


def test_a_truncated_episode_earns_nothing_and_is_judged() -> None:
    env = gym.make(ID, split="valid", max_steps=4, expert=True)
    _, info = env.reset(options={"task": task_of(env, "cancel_order")})
    for _ in range(3):
        _, reward, terminated, truncated, info = env.step(info["expert_action"])
        assert not terminated
        assert not truncated
    _, reward, terminated, truncated, info = env.step(call("calculate", expression="1"))
    assert (reward, terminated, truncated, info["won"]) == (0.0, False, True, False)
    assert "reward 1" in info["hindsight"].immediate_feedback.detail  # the records are as wanted, too late


def test_transfer_ends_the_episode() -> None:
    env = gym.make(ID, split="valid", expert=True)
    env.reset(options={"task": task_of(env, "cancel_order")})
    _, reward, terminated, _, info = env.step(call("transfer_to_human_agents", summary="I cannot."))
    assert (reward, terminated) == (0.0, True)
    assert info["expert_action"] == ""


def test_actions_of_the_benchmarks_name_speak_to_the_user() -> None:
    env = gym.make(ID, split="valid")
    env.reset(options={"task": task_of(env, "cancel_order")})
    observation, _, _, _, info = env.step(call("respond", content="What is your name?"))
    assert observation.startswith("respond: User: My name is ")
    assert info["action_valid"]
    observation, _, _, _, info = env.step(call("respond"))
    assert observation == "respond: Unknown action respond"


def test_repeated_calls_cannot_make_records_or_answers_grow_without_end() -> None:
    env = gym.make(ID, domain="airline", split="valid", max_steps=40).unwrapped
    assert isinstance(env, TauBenchEnv)
    env.reset(options={"task": task_of(env, "cancel_trip")})
    name, arguments = env.backend.session.task.actions[-1]
    many = format_calls([ToolCall(name, arguments)] * 64)
    for _ in range(20):
        observation, _, _, _, info = env.step(many)
        assert len(observation) < 500_000
    assert "Error: the payment history is too long" in observation
    assert not info["action_valid"]
    shop = gym.make(ID, split="valid").unwrapped
    assert isinstance(shop, TauBenchEnv)
    shop.reset(options={"task": task_of(shop, "move_house")})
    _, address = shop.backend.session.task.actions[-1]
    shop.step(call("modify_user_address", **{**address, "city": "x" * 90_000}))
    look = ToolCall("get_user_details", {"user_id": address["user_id"]})
    observation, _, _, _, info = shop.step(format_calls([look] * 64))
    assert len(observation) < 400_000
    assert observation.endswith("The answer is too long: 61 more calls were not run.")


def test_kinds_select_tasks() -> None:
    env = gym.make(ID, kinds=["cancel_order", "exchange"], split="valid").unwrapped
    assert isinstance(env, TauBenchEnv)
    assert env.panel().counts().keys() == {"cancel_order", "exchange"}
    with pytest.raises(UnknownNameError, match="cancel_order"):
        gym.make(ID, kinds=["cancel_ordr"])
    with pytest.raises(UsageError, match="list of task kinds"):
        gym.make(ID, kinds="cancel_order")


def test_other_seeds_make_other_worlds() -> None:
    one, two = (gym.make(ID, world_seed=seed).unwrapped for seed in (0, 5))
    assert isinstance(one, TauBenchEnv)
    assert isinstance(two, TauBenchEnv)
    assert one.backend.name != two.backend.name
    assert not set(one.panel().ids) & set(two.panel().ids)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"domain": "bank"}, "airline"),
        ({"backend": "genuine"}, "embedded"),
        ({"introduce": "no"}, "True or False"),
        ({"rules": "lax"}, "strict"),
        ({"user": "nobody"}, "scripted"),
        ({"split": "tran"}, "train"),
        ({"user": "endpoint:nothing"}, "URL#MODEL"),
        ({"user": 3}, "a name or a function"),
        ({"world_seed": "x"}, "whole number"),
    ],
)
def test_wrong_settings_name_the_right_ones(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        gym.make(ID, **settings)


def test_data_may_name_the_backend() -> None:
    assert gym.make(ID, data="embedded").unwrapped.backend.name.startswith("native/retail-embedded/")  # type: ignore[attr-defined]
    with pytest.raises(MissingDataError):
        gym.make(ID, data="official")


def test_the_official_backend_says_what_is_missing(tmp_path: Any) -> None:
    with pytest.raises(MissingDataError, match=r"git clone https://github\.com/sierra-research/tau-bench"):
        gym.make(ID, backend="official")
    with pytest.raises(MissingDataError, match="TAU_BENCH_DATA"):
        gym.make(ID, data=tmp_path)


def test_worker_processes() -> None:
    envs = gym.make_vec(ID, num_envs=2, workers=2, data="embedded", split="valid", expert=True)
    _, infos = envs.reset(seed=0)
    first = list(infos["expert_action"])
    envs.step(first)
    envs.close()
    here = gym.make_vec(ID, num_envs=2, data="embedded", split="valid", expert=True)
    assert list(here.reset(seed=0)[1]["expert_action"]) == first
    here.close()


def test_vector_envs_and_tasks_of_another_backend() -> None:
    envs = gym.make_vec(ID, num_envs=3, split="valid", expert=True)
    _, infos = envs.reset(seed=0)
    observations, rewards, *_ = envs.step(list(infos["expert_action"]))
    assert all(": " in text for text in observations)
    assert list(rewards) == [0.0, 0.0, 0.0]
    envs.close()
    env, other = gym.make(ID, domain="retail"), gym.make(ID, domain="airline")
    with pytest.raises(UsageError, match=r"try env\.panel\(\)"):
        env.reset(options={"task": other.unwrapped.panel(n=1)[0]})  # type: ignore[attr-defined]


def test_the_tools_prompt_has_the_schemas_once_and_no_signatures() -> None:
    env = PromptProtocol(gym.make(ID, split="valid"), "tools", history=2)
    prompt, info = env.reset(seed=0)
    assert prompt.count('"name": "cancel_pending_order"') == 1
    assert info["extra"].tools_text not in prompt
    assert info["raw_observation"].split("User: ")[-1] in prompt
    prompts = [env.step(f"Message {number}")[0] for number in range(3)]
    assert "(1 earlier turns left out)" in prompts[-1]
    assert "Message 0" in prompts[0]
    assert "Message 0" not in prompts[-1]
    assert "You: Message 2\nUser: " in prompts[-1]


def test_schemas_and_tools_agree() -> None:
    for domain, tools in DOMAINS.items():
        desk = embedded_desk(domain, 0)
        assert {schema["function"]["name"] for schema in desk.schemas} == set(tools)
    assert {domain: len(tools) for domain, tools in DOMAINS.items()} == {"retail": 16, "airline": 14}


def test_the_record_can_be_stored_and_read(tmp_path: Any) -> None:
    from agentgym_hindsight.hindsight.jsonl import read_jsonl, write_jsonl

    env = gym.make(ID, split="valid", expert=True).unwrapped
    assert isinstance(env, TauBenchEnv)
    _, info = env.reset(seed=3)
    over = False
    while not over:
        _, _, terminated, truncated, info = env.step(info["expert_action"])
        over = terminated or truncated
    write_jsonl(tmp_path / "one.jsonl", [env.trajectory()])
    (stored,) = read_jsonl(tmp_path / "one.jsonl").trajectories
    assert stored.won
    assert stored.backend.endswith("user=scripted")
    assert [step.action for step in stored.steps] == [step.action for step in env.trajectory().steps]
    assert all(before.next_anchor == after.anchor for before, after in pairwise(stored.steps))
