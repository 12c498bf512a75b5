"""tau²: the package's Environment class behind the env; with the real package where it is installed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import pytest

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.envs.tau import tau2_desk
from agentgym_hindsight.envs.tau.embedded import embedded_desk
from agentgym_hindsight.envs.tau.fuzz import random_call
from agentgym_hindsight.envs.tau.store import Database
from agentgym_hindsight.envs.tools import ToolCall, format_calls
from agentgym_hindsight.errors import BackendError, UsageError
from agentgym_hindsight.testing import check_hindsight_env
from tests.envs.tau import tau2_copy
from tests.forks import check_walks

ID = "TauBench-Hindsight-v0"
REAL = tau2_desk.is_installed() is True
real = pytest.mark.skipif(not REAL, reason="needs the package tau2 from its repository")


@pytest.fixture
def copy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    tau2_copy.install(monkeypatch)
    tau2_desk._load.cache_clear()
    yield
    tau2_desk._load.cache_clear()


def call(name: str, **arguments: Any) -> str:
    return format_calls([ToolCall(name, arguments)])


def make(**settings: Any) -> Any:
    return gym.make(ID, backend="tau2", **settings).unwrapped


@pytest.mark.usefixtures("copy")
def test_tasks_that_need_no_judge_are_played() -> None:
    env = make(expert=True)
    assert env.backend.name == "tau2/retail-tau2-source/official/user=scripted"
    assert {split: len(env.panel(split)) for split in env.splits} == {"train": 1, "test": 1}
    for split, told in (("train", ""), ("test", " The answer: 6.")):
        observation, info = env.reset(options={"task": env.panel(split)[0]})
        assert observation.startswith("Be polite.")
        assert "I want to cancel order #W" in observation
        actions, over = [], False
        while not over:
            actions.append(info["expert_action"])
            _, reward, over, _, info = env.step(actions[-1])
        assert reward == 1.0
        assert actions[-1] == f"Your request is complete.{told}"


@pytest.mark.usefixtures("copy")
def test_conformance_and_forks() -> None:
    check_hindsight_env(gym.make(ID, backend="tau2", expert=True, max_steps=6), episodes=2)
    assert check_walks(lambda: gym.make(ID, backend="tau2", expert=True, max_steps=6), 30) == 30


@pytest.mark.usefixtures("copy")
def test_results_errors_and_changes_are_the_packages() -> None:
    env = make()
    env.reset(seed=0)
    observation, *_, info = env.step(call("get_order_details", order_id="#W9"))
    assert observation == "get_order_details: Error: '#W9'"
    assert not info["action_valid"]
    before = info["anchor"]
    observation, *_, info = env.step(call("no_such_tool"))
    assert observation == "no_such_tool: Error: Tool 'no_such_tool' not found."
    _, *_, info = env.step(call("cancel_pending_order", order_id="#W1", reason="no longer needed"))
    assert info["anchor"] != before
    assert "orders/#W1 changed: status: 'pending' → 'cancelled'" in info["extra"].changes
    assert "users/ada_lund_1 changed: balance: 1.0 → 6.0." in info["extra"].changes
    _, *_, info = env.step(call("cancel_pending_order", order_id="#W1", reason="ordered by mistake"))
    assert "reason: 'no longer needed' → 'ordered by mistake'" in info["extra"].changes, "a failing call changed it"
    assert env.step("Your request is complete.")[1] == 0.0
    env.reset(seed=0)
    assert '"status": "pending"' in env.step(call("get_order_details", order_id="#W1"))[0]


@pytest.mark.usefixtures("copy")
def test_values_that_the_package_would_not_load_are_kept() -> None:
    env = make()
    env.reset(seed=0)
    assert '"exchanged": [3, "x"]' in env.step(call("exchange_items", order_id="#W1", item_ids=[3, "x"]))[0]
    assert '"exchanged": [3, "x"]' in env.step(call("get_order_details", order_id="#W1"))[0]
    env.step(call("cancel_pending_order", order_id="#W1", reason="no longer needed"))
    assert env.backend.session.database["orders"]["#W1"]["exchanged"] == [3, "x"]


@pytest.mark.usefixtures("copy")
def test_a_sum_that_would_hang_is_refused() -> None:
    env = make()
    env.reset(seed=0)
    assert env.step(call("calculate", expression="9**9**9**9"))[0].startswith("calculate: Error: ")
    assert env.step(call("calculate", expression="2*3"))[0] == "calculate: 6.0"


@pytest.mark.usefixtures("copy")
def test_a_transfer_does_not_end_the_conversation() -> None:
    env = make()
    env.reset(seed=0)
    observation, _, terminated, *_ = env.step(call("transfer_to_human_agents", summary="no"))
    assert (observation, terminated) == ("transfer_to_human_agents: Transfer successful", False)


@pytest.mark.usefixtures("copy")
def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="try domain='retail'"):
        make(domain="airline")
    with pytest.raises(UsageError, match="TAU2_DATA_DIR"):
        make(data="somewhere")


@pytest.mark.skipif(REAL, reason="the package is installed")
def test_without_the_package_the_answer_says_how_to_get_it() -> None:
    tau2_desk._load.cache_clear()
    with pytest.raises(BackendError, match=r"git clone https://github\.com/sierra-research/tau2-bench"):
        make()


def test_doctor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from agentgym_hindsight.cli import doctor_checks

    def install(folder: Path | None) -> None:
        spec = None if folder is None else SimpleNamespace(submodule_search_locations=[str(folder)])
        monkeypatch.setattr(tau2_desk, "find_spec", lambda name: spec)

    install(None)
    assert "git clone" in doctor_checks._tau2().text
    install(tmp_path)
    assert "another project of this name" in doctor_checks._tau2().text
    (tmp_path / "domains" / "retail").mkdir(parents=True)
    install(tmp_path)
    assert doctor_checks._tau2().found


@real
def test_all_references_of_the_real_package_earn_the_reward() -> None:
    env = make(expert=True)
    played = 0
    for split in ("train", "test"):
        for task in env.panel(split):
            _, info = env.reset(options={"task": task})
            over = False
            while not over:
                _, reward, over, _, info = env.step(info["expert_action"])
            assert reward == 1.0, task.id
            played += 1
    assert played == 74


@real
def test_calls_have_the_results_and_the_records_of_the_real_package() -> None:
    """Random calls, here and in an environment of the package's own: results, errors, and all records afterwards."""
    from tau2.domains.retail.data_model import RetailDB  # type: ignore[import-not-found]
    from tau2.domains.retail.environment import get_environment  # type: ignore[import-not-found]

    desk: Any = tau2_desk.tau2_desk("retail")
    initial = desk.environment.get_db_hash()
    draws = embedded_desk("retail", 0)
    object.__setattr__(draws, "initial", desk.initial)  # arguments from the package's records
    draw, genuine = random.Random(0), get_environment()
    pristine = genuine.tools.db.model_dump()
    compared = written = 0
    for _ in range(40):
        genuine.tools.db = RetailDB.model_validate(pristine)
        database = Database(desk.initial)
        for _ in range(150):
            name, arguments = random_call(draw, draws)
            if name == "calculate":
                continue
            expected = genuine.get_response(desk.call_class(id="1", name=name, arguments=arguments))
            outcome = desk.call(database, name, arguments)
            assert (outcome.text, outcome.failed) == (expected.content, expected.error)
            compared += 1
        state = genuine.tools.db.model_dump(warnings=False)
        assert state == {name: dict(table) for name, table in database.tables.items()}
        written += len(database.delta)
    assert compared > 5000
    assert written > 50
    for tasks in desk.tasks.values():
        for task in tasks:
            genuine.tools.db, database = RetailDB.model_validate(pristine), Database(desk.initial)
            for name, arguments in task.actions:
                expected = genuine.get_response(desk.call_class(id="1", name=name, arguments=arguments))
                assert desk.call(database, name, arguments).text == expected.content
            state = genuine.tools.db.model_dump(warnings=False)
            assert state == {name: dict(table) for name, table in database.tables.items()}
    assert desk.environment.get_db_hash() == initial
