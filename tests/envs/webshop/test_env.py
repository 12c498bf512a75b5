"""The WebShop environment."""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
from gymnasium.utils.env_checker import check_env

from agentgym_hindsight.envs.webshop.env import WebShopEnv
from agentgym_hindsight.envs.webshop.observe import MODES
from agentgym_hindsight.errors import MissingDataError, ResetNeededError, UnknownNameError, UsageError
from agentgym_hindsight.hindsight.sources import Provenance
from agentgym_hindsight.testing import check_hindsight_env
from tests.envs.webshop.tiny_shop import ATTRIBUTES, ITEMS


def make(**choices: Any) -> WebShopEnv:
    # In official order the first 500 goals are for testing, so that a small shop has no others.
    split = "test" if choices.get("rules") == "official" else "train"
    return WebShopEnv(**{"data": "embedded", "products": 120, "split": split, **choices})


@pytest.fixture
def env() -> WebShopEnv:
    return make()


def play(env: WebShopEnv, **reset: Any) -> dict[str, Any]:
    """Play an episode with the oracle and return the last info."""
    _, info = env.reset(**reset)
    over = False
    while not over:
        _, _, terminated, truncated, info = env.step(env.backend.expert_action())
        over = terminated or truncated
    return info


def test_the_first_two_turns(env: WebShopEnv) -> None:
    observation, info = env.reset(seed=0)
    assert observation == f"WebShop [SEP] Instruction: [SEP] {info['goal']} [SEP] Search"
    assert info["admissible_actions"] == ()
    assert info["extra"].has_search_bar
    observation, reward, terminated, _, info = env.step(f"search[{info['goal']}]")
    assert info["admissible_actions"][0] == "click[back to search]"
    assert info["hindsight"].immediate_feedback.text == observation
    assert info["hindsight"].immediate_feedback.detail.endswith("page 1 shows the first 10.")
    assert info["extra"].results == 50
    assert (reward, terminated, info["action_valid"]) == (0.0, False, True)


@pytest.mark.parametrize("rules", ["strict", "official"])
@pytest.mark.parametrize("mode", MODES)
def test_the_conformance_checks_of_gymnasium_and_of_this_library_pass(rules: str, mode: str) -> None:
    with warnings.catch_warnings():  # check_env warns about render modes
        warnings.simplefilter("ignore")
        check_env(make(rules=rules, observation_mode=mode), skip_render_check=True)
    check_hindsight_env(lambda: make(rules=rules, observation_mode=mode, expert=True))
    check_hindsight_env(lambda: make(rules=rules, observation_mode=mode), actions=("search[cotton]", "search[a b]"))


def test_the_oracle_wins_and_every_turn_has_hindsight() -> None:
    env = make(expert=True)
    for episode in range(8):
        info = play(env, seed=1 if episode == 0 else None)
        assert info["won"]
        assert info["score"] == 1.0
        seen = info["hindsight"].episode
        assert len(seen) == info["step"]
        assert {each.successful_trajectory.provenance for each in seen} == {Provenance.EXPERT}
        assert info["extra"].reward_parts.total == 1.0
        assert info["extra"].review.target_seen is not None


def test_a_refused_action_gets_a_reason(env: WebShopEnv) -> None:
    before, _ = env.reset(seed=3)
    after, _, _, _, info = env.step("click[buy now]")
    assert after == before
    assert not info["action_valid"]
    assert info["extra"].reason.kind == "absent"
    assert "not on the start page" in info["hindsight"].immediate_feedback.detail


def test_the_goal_is_hidden_until_the_end(env: WebShopEnv) -> None:
    _, info = env.reset(seed=2)
    over = False
    while not over:
        assert info["extra"].reward_parts is None
        assert info["extra"].review is None
        action = env.backend.expert_action() if info["step"] < 2 else "click[buy now]"
        _, reward, over, _, info = env.step(action)
    assert info["extra"].reward_parts.total == reward == info["score"]
    assert "Attribute" in info["hindsight"].immediate_feedback.detail


def test_a_truncated_episode_has_a_review() -> None:
    env = make(max_steps=2)
    env.reset(seed=0)
    env.step("foo")
    _, _, terminated, truncated, info = env.step("search[zebra]")
    assert (terminated, truncated) == (False, True)
    assert info["extra"].reward_parts is None
    assert "Nothing was bought" in info["extra"].review.text


def test_state_anchors_contain_options_that_the_text_does_not_show(env: WebShopEnv) -> None:
    official = make(rules="official")
    for seed in range(30):
        _, info = official.reset(seed=seed)
        for _ in range(2):
            before_text, *_, info = official.step(official.backend.expert_action())
        option = next((a for a in info["admissible_actions"] if a not in _BUTTONS), None)
        if info["extra"].page == "item" and option:
            break
    assert option is not None
    before = info["anchor"]
    text, *_, info = official.step(option)
    assert text == before_text
    assert info["anchor"] != before
    assert official.step("click[no such thing]")[-1]["anchor"] == info["anchor"]


_BUTTONS = {f"click[{name}]" for name in ("back to search", "< prev", "description", "features", "reviews", "buy now")}


def test_the_order_of_choices_does_not_change_the_anchor() -> None:
    env = make()
    env.reset(seed=0)
    task = next(task for task in env.panel() if len(env.backend.library.goal(task).options) > 1)
    anchors = []
    for reverse in (False, True):
        env.reset(options={"task": task})
        while not env.backend.session.state.product >= 0:
            env.step(env.backend.expert_action())
        choices = []
        for name, target in env.backend.session.targets.items():
            if target.role == "option" and target.axis not in [axis for axis, _ in choices]:
                choices.append((target.axis, name))
        for _, name in reversed(choices) if reverse else choices:
            *_, info = env.step(f"click[{name}]")
        anchors.append(info["anchor"])
    assert anchors[0] == anchors[1]


def test_extra_names_backend_rules_and_goals() -> None:
    env = make(rules="official", goals="human")
    info = play(env, seed=0)
    extra = info["extra"]
    assert (extra.backend, extra.rules, extra.nouns, extra.goals) == (
        "native/embedded/official",
        "official",
        "tokens-1",
        "human",
    )
    assert extra.url.startswith("http://127.0.0.1:3000/done/0/")
    copy = pickle.loads(pickle.dumps(extra))
    assert dict(copy) == dict(extra)
    assert set(extra) == {*extra}
    assert len(extra) == len(list(extra))
    with pytest.raises(AttributeError):
        _ = extra.nothing


def test_tasks_can_be_reset_by_id(env: WebShopEnv) -> None:
    _, info = env.reset(seed=5)
    again, other = make().reset(options={"task_id": info["task_id"]})
    assert other["goal"] == info["goal"]
    assert len({task.id for task in env.panel("eval")}) == env.backend.count("eval")
    assert again.endswith("Search")


def test_wrong_arguments_raise_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for choices in ({"rules": "x"}, {"observation_mode": "x"}, {"nouns": "x"}, {"goals": "x"}, {"split": "x"}):
        with pytest.raises(UnknownNameError):
            make(**choices)
    with pytest.raises(UsageError, match="recording"):
        make(goals="goals.json.gz")
    monkeypatch.delenv("WEBSHOP_DATA", raising=False)
    with pytest.raises(MissingDataError, match="WEBSHOP_DATA"):
        make(data="official")
    with pytest.raises(MissingDataError, match="folder"):
        make(data=tmp_path / "nowhere")
    with pytest.raises(ResetNeededError):
        _ = make().backend.session


def test_a_folder_of_official_files_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSHOP_DATA", str(tmp_path / "missing"))
    with pytest.warns(UserWarning, match="embedded shop"):
        assert make(data="auto").backend.name == "native/embedded/strict"
    for name, content in (("items_shuffle_1000", ITEMS), ("items_ins_v2_1000", ATTRIBUTES)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    monkeypatch.setenv("WEBSHOP_DATA", str(tmp_path))
    env = make(data="auto", split="test", rules="official")
    assert env.backend.name == "native/official-1000/official"
    assert env.backend.count("test") == 9
    with pytest.raises(UsageError, match="test 9"):
        make(data="auto", split="eval", rules="official")
