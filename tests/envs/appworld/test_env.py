"""The AppWorld env with the miniature world."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

from agentgym_hindsight.envs.appworld.env import AppWorldEnv
from agentgym_hindsight.envs.appworld.miniature.tasks import PER_TEMPLATE, templates
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.sources import Provenance
from agentgym_hindsight.testing import check_hindsight_env
from agentgym_hindsight.vector import HindsightVectorEnv
from agentgym_hindsight.wrappers import ActionParser, PromptProtocol

PROGRAMS = ("print(1)", "x = [1, 2]", "apis.notes.show_notes()", "1/0", "apis.supervisor.complete_task()", "def")
SUBMIT = "apis.supervisor.complete_task(answer='?')"


@pytest.fixture
def env() -> Iterator[AppWorldEnv]:
    made = AppWorldEnv(expert=True)
    yield made
    made.close()


def play(env: Any, **reset: Any) -> dict[str, Any]:
    """Play an episode with the expert's actions; return the last info."""
    _, info = env.reset(**reset)
    over = False
    while not over:
        *_, terminated, truncated, info = env.step(info["expert_action"])
        over = terminated or truncated
    return dict(info)


def test_a_first_episode() -> None:
    env = gym.make("AppWorld-Hindsight-v0")
    observation, info = env.reset(seed=0)
    assert observation.endswith(f"Your task: {info['goal']}")
    assert info["admissible_actions"] == ()
    assert info["extra"].backend == "miniature/hamlet", "the backend is named, never only AppWorld"
    observation, reward, terminated, truncated, info = env.step("print([app for app in dir(apis)][:0], 6 * 7)")
    assert (observation, reward, terminated, truncated) == ("[] 42", 0.0, False, False)
    assert info["action_valid"]
    env.close()


def test_the_checks_of_gymnasium_and_of_this_library_pass() -> None:
    with warnings.catch_warnings():  # check_env warns about rendering
        warnings.simplefilter("ignore")
        with closing(AppWorldEnv()) as env:
            check_env(env, skip_render_check=True)
    check_hindsight_env(lambda: AppWorldEnv(max_steps=6), actions=PROGRAMS)
    check_hindsight_env(lambda: AppWorldEnv(max_steps=3, expert=True, anchor="observation"), actions=PROGRAMS)
    check_hindsight_env(lambda: ActionParser(PromptProtocol(AppWorldEnv(max_steps=3), "code")), actions=PROGRAMS)


def test_the_expert_wins_and_every_turn_has_hindsight(env: AppWorldEnv) -> None:
    for episode in range(6):
        info = play(env, seed=1 if episode == 0 else None)
        assert info["won"]
        assert info["score"] == 1.0
        seen = info["hindsight"].episode
        assert len(seen) == info["step"]
        assert {each.successful_trajectory.provenance for each in seen} == {Provenance.EXPERT}
        assert "FAILED" not in seen[-1].current_trajectory.text
        assert "Evaluation: " in seen[0].current_trajectory.text, "the result of the checks"


def test_the_expert_wins_after_other_actions_in_between(env: AppWorldEnv) -> None:
    _, info = env.reset(seed=2)
    while not info["won"]:
        _, _, terminated, truncated, _ = env.step("detour = 1")
        assert not terminated
        assert not truncated
        *_, info = env.step(info["expert_action"])
    assert info["step"] % 2 == 0


def test_errors_are_feedback(env: AppWorldEnv) -> None:
    env.reset(seed=0)
    for code, expected in (
        ("print(", "SyntaxError"),
        ("1/0", "ZeroDivisionError"),
        ("apis.mial.show_inbox()", "did you mean 'mail'"),
        ("apis.mail.login(username='a@b.example', password='b')", "Response status code is 401"),
        ("import os; os._exit(0)", ""),
    ):
        observation, reward, terminated, _, info = env.step(code)
        assert expected in observation
        assert (reward, terminated, info["action_valid"]) == (0.0, False, False)
        assert info["hindsight"].immediate_feedback.detail == "It failed before anything had changed."
    assert env.step("print('on')")[0].strip().endswith("on")


def login(app: str) -> str:
    return (
        'passwords = {row["app"]: row for row in apis.supervisor.show_account_passwords()}\n'
        f'token = apis.{app}.login(username=passwords["{app}"]["username"], password=passwords["{app}"]["password"])'
        '["access_token"]'
    )


def test_the_changes_of_a_turn_are_only_in_the_hindsight(env: AppWorldEnv) -> None:
    env.reset(seed=0)
    env.step(login("notes"))
    observation, *_, info = env.step("apis.notes.create_note(access_token=token, title='Tea', content='green')\n1/0")
    assert "Changed" not in observation
    detail = info["hindsight"].immediate_feedback.detail
    assert detail.startswith("Before it failed: Changed: notes_notes: 1 added (")
    assert "title='Tea'" in detail
    _, *_, info = env.step("print('nothing')")
    assert info["hindsight"].immediate_feedback.detail == ""
    env.step("mine = [n for n in apis.notes.show_notes(access_token=token, query='Tea', page_limit=20)]")
    *_, info = env.step("apis.notes.delete_note(access_token=token, note_id=max(n['note_id'] for n in mine))")
    assert info["hindsight"].immediate_feedback.detail.startswith("Undone again: notes_notes: 1 added (")


def test_the_checks_are_hidden_until_the_end(env: AppWorldEnv) -> None:
    """No requirement of the goal is in any observation."""
    _, info = env.reset(seed=5)
    goal = env.backend.play.made.job.goal
    requirements = [wanted.requirement for wanted in goal.wanted] + ["checks passed", "FAILED"]
    shown = []
    for code in ("print(dir())", "print(apis)", SUBMIT):
        observation, *_, info = env.step(code)
        shown.append(observation)
    assert not [text for text in requirements for page in shown if text in page]
    assert "FAILED: " in info["hindsight"].immediate_feedback.detail
    assert "FAILED: " in info["extra"].evaluation
    assert not info["won"]
    assert info["score"] == 0.0


def test_an_episode_that_is_truncated_is_evaluated() -> None:
    env = AppWorldEnv(max_steps=2)
    env.reset(seed=0)
    env.step("x = 1")
    *_, reward, terminated, truncated, info = env.step("x = 2")
    assert (reward, terminated, truncated, info["won"]) == (0.0, False, True, False)
    last = info["hindsight"].episode[-1]
    assert "FAILED: The task is completed with status success." in last.immediate_feedback.detail
    assert env.trajectory().truncated
    assert (
        env.trajectory().steps[-1].extra["evaluation"]
        == info["hindsight"].episode[0].current_trajectory.text.partition("Evaluation: ")[2]
    )
    env.close()


def test_the_anchor_depends_on_the_state_and_not_on_the_path(env: AppWorldEnv) -> None:
    def after(*programs: str) -> str:
        env.reset(options={"task_id": task})
        info: dict[str, Any] = {}
        for code in programs:
            *_, info = env.step(code)
        return str(info["anchor"])

    _, info = env.reset(seed=0)
    task, start = info["task_id"], info["anchor"]
    assert after("print('a look changes nothing')", "1/0") == start
    assert after("x = 1") != start, "a live variable"
    assert after("x = 1") == after("y = 2", "x = 5", "del y"), "its shape, not its value or the path"
    assert after("x = 1") != after("x = 'text'")
    assert after(login("notes")) != after("passwords, token = {}, ''")
    written = "apis.notes.create_note(access_token=token, title='Tea')"
    assert after(login("notes"), written) != after(login("notes"), "None")


def test_rollouts_of_a_group_and_of_workers_are_equal() -> None:
    """Four envs in this process and in two worker processes give the same observations for the same programs."""
    programs = (login("mail"), "print(apis.mail.show_inbox(access_token=token, page_limit=3))", SUBMIT)
    seen = []
    for workers in (0, 2):
        venv = HindsightVectorEnv("AppWorld-Hindsight-v0", 4, workers=workers, group_size=2)
        observations, infos = venv.reset(seed=3)
        pages = [list(observations)]
        for code in programs:
            observations, *_, infos = venv.step([code] * 4)
            pages.append([*observations, *infos["anchor"]])
        venv.close()
        seen.append(pages)
    assert seen[0] == seen[1]
    assert seen[0][0][0] == seen[0][0][1]


def test_splits_templates_and_levels() -> None:
    env = AppWorldEnv()
    sizes = {split: env.backend.count(split) for split in ("train", "dev", "test")}
    env.close()
    assert sum(sizes.values()) >= 2000
    assert len(templates()) >= 30
    name = templates("train")[0].name
    some = AppWorldEnv(templates=[name])
    assert some.backend.count("train") == PER_TEMPLATE["train"]
    assert {task.category for task in some.panel()} == {name}
    with pytest.raises(UsageError, match=r"Expected tasks in 'dev'.*try split='train'"):
        AppWorldEnv("dev", templates=[name])
    with pytest.raises(UsageError, match="try other templates"):
        AppWorldEnv(templates=[])
    easy = AppWorldEnv(difficulty=1)
    assert 0 < easy.backend.count("train") < sizes["train"]
    for each in (some, easy):
        each.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "valid"}, "Expected a known split of the miniature backend"),
        ({"split": "test_normal"}, "Expected a known split of the miniature backend"),
        ({"backend": "oficial"}, "did you mean 'official'"),
        ({"templates": ["no_such"]}, "Expected a known task template"),
        ({"difficulty": 4}, "Expected difficulty as 1, 2, 3"),
        ({"limits": {"second": 1}}, "Expected a known limit"),
        ({"limits": {"seconds": -1}}, "Expected seconds above 0"),
        ({"servers": 2}, "Expected servers only with backend='official', got it with 'miniature'; try to leave it out"),
        ({"backend": "official", "difficulty": 1}, "Expected difficulty only with backend='miniature', got it"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((UnknownNameError, UsageError)) as caught:
        AppWorldEnv(**settings)
    assert message in str(caught.value)


def test_a_task_is_found_by_its_id(env: AppWorldEnv) -> None:
    task = env.backend.task("test", 7)
    other = AppWorldEnv()
    assert other.backend.find(env.backend.task("train", 3).id) == env.backend.task("train", 3)
    _, info = env.reset(options={"task_id": task.id})
    assert info["goal"] == task.goal
    with pytest.raises(UnknownNameError, match="task id of the miniature world"):
        other.reset(options={"task_id": "0" * 16})
    other.close()


def test_hindsight_and_extra_can_be_pickled(env: AppWorldEnv) -> None:
    info = play(env, seed=4)
    again = pickle.loads(pickle.dumps(info["hindsight"].episode))
    assert again == info["hindsight"].episode
    assert dict(pickle.loads(pickle.dumps(info["extra"]))) == dict(info["extra"])


def test_limits_reach_the_sandbox() -> None:
    env = AppWorldEnv(limits={"seconds": 0.2, "output_chars": 50})
    env.reset(seed=0)
    observation, *_ = env.step("while True: pass")
    assert "0.2" in observation
    observation, *_ = env.step("print('x' * 1000)")
    assert len(observation) < 200
    env.close()
