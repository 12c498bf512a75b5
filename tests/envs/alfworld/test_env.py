"""ALFWorld through Gymnasium's API."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.envs.alfworld.expert import next_action
from agentgym_hindsight.envs.alfworld.gamewriter import write_game
from agentgym_hindsight.envs.alfworld.scene import TASK_TYPES
from agentgym_hindsight.errors import DamagedDataError, MissingDataError, UnknownNameError, UsageError
from agentgym_hindsight.hindsight.sources import Provenance
from agentgym_hindsight.testing import check_hindsight_env

ENV = "ALFWorld-Hindsight-v0"


@pytest.fixture
def env() -> Any:
    environment = gym.make(ENV, data="embedded")
    yield environment
    environment.close()


def play(env: Any, **reset: Any) -> dict[str, Any]:
    """Play the expert's episode and return the last info."""
    _, info = env.reset(**reset)
    over = False
    while not over:
        action = next_action(env.unwrapped.backend.play)
        assert action is not None
        _, _, terminated, truncated, info = env.step(action)
        over = terminated or truncated
    return info


def test_the_first_steps_of_a_new_user(env: Any) -> None:
    obs, info = env.reset(seed=0)
    assert obs.startswith("-= Welcome to TextWorld, ALFRED! =-")
    assert "Your task is to: " in obs
    obs, reward, terminated, _, info = env.step(info["admissible_actions"][0])
    assert info["hindsight"].immediate_feedback.text == obs
    assert info["anchor"].startswith("s:")
    assert len(info["task_id"]) == 16
    assert (reward, terminated) == (0.0, False)


@pytest.mark.filterwarnings("ignore:.*alternative render modes.*")
def test_gymnasiums_and_our_own_conformance_checks_pass() -> None:
    check_env(gym.make(ENV, data="embedded").unwrapped, skip_render_check=True)
    check_hindsight_env(gym.make(ENV, data="embedded"))


@pytest.mark.parametrize("difficulty", ["easy", "hard"])
@pytest.mark.parametrize("split", ["valid_seen", "valid_unseen"])
def test_the_expert_wins_and_every_turn_has_its_hindsight(difficulty: str, split: str) -> None:
    env = gym.make(ENV, data="embedded", difficulty=difficulty, split=split, expert=True)
    for _ in range(6):
        info = play(env, seed=1 if env.unwrapped.task is None else None)  # type: ignore[attr-defined]
        assert info["won"]
        assert info["score"] == 1.0
        episode = info["hindsight"].episode
        assert len(episode) == info["step"]
        assert all(None not in (h.current_trajectory, h.future_trajectory) for h in episode)
        assert episode[-1].future_trajectory.text == ""
        assert {h.successful_trajectory.provenance for h in episode} == {Provenance.EXPERT}
        assert info["extra"].goal_conditions[0] == info["extra"].goal_conditions[1]


def test_a_refused_command_has_the_raw_reply_and_a_reason(env: Any) -> None:
    env.reset(seed=3)
    _, _, _, _, info = env.step("open the pod bay doors")
    feedback = info["hindsight"].immediate_feedback
    assert feedback.text == "Nothing happens."
    assert feedback.detail
    assert info["extra"].reason.text in feedback.detail
    assert not info["action_valid"]


def test_extra_keeps_the_facts_of_its_own_turn(env: Any) -> None:
    _, first = env.reset(seed=0)
    extra, key = first["extra"], first["extra"].state
    for _ in range(5):
        _, _, _, _, info = env.step(next_action(env.unwrapped.backend.play) or "look")
    assert extra.state == key
    assert extra.fulfilled_tasks == ()
    assert dict(extra).keys() == dict(info["extra"]).keys()


def test_tasks_solved_by_accident_are_kept_after_they_are_undone() -> None:
    env = gym.make(ENV, data="embedded", task_types=["look_at_obj_in_light"])
    _, info = env.reset(seed=0)
    places = [a.removeprefix("go to ") for a in info["admissible_actions"] if a.startswith("go to ")]

    def first(verb: str) -> str | None:
        """Go to each receptacle and open it until a legal command starts with ``verb``."""
        nonlocal info
        for place in places:
            for command in (f"go to {place}", f"open {place}"):
                _, _, _, _, info = env.step(command)
            legal = [a for a in info["admissible_actions"] if a.startswith(verb)]
            if legal:
                return legal[0]
        return None

    env.unwrapped.max_steps = 500  # type: ignore[attr-defined]
    _, info = env.reset()
    take = first("take ")
    assert take is not None
    thing, source = take.removeprefix("take ").split(" from ")
    _, _, _, _, info = env.step(take)
    places = [place for place in places if place.split()[0] != source.split()[0]]
    move = first("move ")
    assert move is not None
    _, _, _, _, info = env.step(move)
    kind, where = thing.split()[0], move.split(" to ")[1]
    solved = [achieved.task.goal for achieved in info["extra"].fulfilled_tasks]
    assert any((g.object.lower(), g.receptacle.lower()) == (kind, where.split()[0]) for g in solved)
    _, _, _, _, info = env.step(f"take {thing} from {where}")
    assert [achieved.task.goal for achieved in info["extra"].fulfilled_tasks] == solved
    assert info["extra"].fulfilled_tasks[0].step == info["step"] - 1


def test_task_ids_depend_on_the_content_only(tmp_path: Path) -> None:
    env = gym.make(ENV, data="embedded")
    _, info = env.reset(seed=5)
    scene = env.unwrapped.backend.play.house.scene  # type: ignore[attr-defined]
    written = write_game(scene, tmp_path / "anywhere")
    obs, from_file = env.reset(options={"game_file": str(written)})
    assert from_file["task_id"] == info["task_id"]
    assert from_file["extra"].backend == "native/file"
    again, by_id = gym.make(ENV, data="embedded").reset(options={"task_id": info["task_id"]})
    assert (again, by_id["task_id"]) == (obs, info["task_id"])


def test_the_embedded_list_finds_ids_that_are_new_to_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentgym_hindsight.envs.alfworld import embedded

    monkeypatch.setenv("AGENTGYM_HINDSIGHT_CACHE", str(tmp_path))
    monkeypatch.setattr(embedded, "SIZES", {"train": 12, "valid_seen": 6, "valid_unseen": 6})
    known = embedded.EmbeddedLibrary("easy").task("valid_unseen", 4).id
    assert embedded.EmbeddedLibrary("easy").find(known).locator == "embedded/easy/valid_unseen/4"
    assert list(tmp_path.glob("*.json")), "the list should have been cached"
    assert embedded.EmbeddedLibrary("easy").find(known).locator == "embedded/easy/valid_unseen/4"
    with pytest.raises(UnknownNameError, match="0000"):
        embedded.EmbeddedLibrary("easy").find("0000")


def test_selected_task_types_are_balanced() -> None:
    env = gym.make(ENV, data="embedded", task_types=[TASK_TYPES[4], TASK_TYPES[1]])
    panel = env.unwrapped.panel("valid_seen")  # type: ignore[attr-defined]
    assert panel.counts() == {TASK_TYPES[1]: 40, TASK_TYPES[4]: 40}


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"split": "test"}, UnknownNameError, "valid_seen"),
        ({"backend": "nativ"}, UnknownNameError, "did you mean 'native'"),
        ({"difficulty": "harder", "data": "embedded"}, UnknownNameError, "did you mean 'hard'"),
        ({"task_types": ["pick_and_place"], "data": "embedded"}, UnknownNameError, "pick_and_place_simple"),
        ({"task_types": [], "data": "embedded"}, UsageError, "at least one"),
        ({"max_steps": 0}, UsageError, "max_steps"),
        ({"anchor": "text"}, UnknownNameError, "observation"),
        ({"split": "valid_train", "data": "embedded"}, UnknownNameError, "valid_train"),
        ({"backend": "embedded", "data": "/data"}, UsageError, "only one"),
        ({"max_steps": "5"}, UsageError, "whole number"),
        ({"max_steps": 2.5}, UsageError, "whole number"),
        ({"expert": 1}, UsageError, "expert=True"),
        ({"max_step": 5}, UnknownNameError, "did you mean 'max_steps'"),
        ({"data": "/there/is/nothing/here"}, MissingDataError, "alfworld-download"),
    ],
)
def test_wrong_arguments_raise_with_a_suggestion(arguments: dict[str, Any], error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        gym.make(ENV, **arguments)


def test_unknown_options_are_refused(env: Any) -> None:
    with pytest.raises(UnknownNameError, match="game_file"):
        env.reset(options={"gamefile": "x"})
    with pytest.raises(UsageError, match="only one of them"):
        env.reset(options={"game_file": "x", "task_id": "0000"})
    with pytest.raises(MissingDataError, match=r"nothing\.tw-pddl"):
        env.reset(options={"game_file": "nothing.tw-pddl"})


def test_official_games_are_sorted_by_content(
    alfworld_games: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = alfworld_games[0].parents[4]
    monkeypatch.setenv("ALFWORLD_DATA", str(root))
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_CACHE", str(tmp_path / "cache"))
    env = gym.make(ENV, split="valid_seen")
    world: Any = env.unwrapped
    assert world.backend.name == "native/official"
    panel = world.panel()
    assert len(panel) == 140
    assert list(panel.ids) == sorted(panel.ids)
    task = panel[7]
    _, info = env.reset(options={"task_id": task.id})
    assert info["task_id"] == task.id
    assert info["extra"].game == task.locator
    # Another folder and other file times give the same panel.
    copy = tmp_path / "copy" / "valid_seen"
    for path in alfworld_games:
        if "valid_seen" in path.parts and task.category in str(path):
            target = copy / "_".join(path.parts[-3:-1]) / "t" / path.name
            target.parent.mkdir(parents=True)
            target.write_bytes(path.read_bytes())
    elsewhere = gym.make(ENV, split="valid_seen", data=str(tmp_path / "copy"), task_types=[task.category])
    assert elsewhere.unwrapped.panel().ids == panel.select(category=task.category).ids  # type: ignore[attr-defined]


def test_the_error_names_a_damaged_official_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_CACHE", str(tmp_path / "cache"))
    source = gym.make(ENV, data="embedded").unwrapped
    source.reset(seed=0)
    scene = source.backend.play.house.scene  # type: ignore[attr-defined]
    for number in range(3):
        write_game(scene, tmp_path / "train" / "task" / f"trial{number}")
    victim = tmp_path / "train" / "task" / "trial1" / "game.tw-pddl"
    victim.write_bytes(victim.read_bytes()[:2000])
    with pytest.raises(DamagedDataError, match=r"trial1.*"):
        gym.make(ENV, data=str(tmp_path))


def test_an_id_of_a_known_split_does_not_need_the_other_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_CACHE", str(tmp_path / "cache"))
    source: Any = gym.make(ENV, data="embedded").unwrapped
    source.reset(seed=0)
    write_game(source.backend.play.house.scene, tmp_path / "valid_seen" / "task" / "trial")
    (tmp_path / "train" / "task" / "trial").mkdir(parents=True)
    (tmp_path / "train" / "task" / "trial" / "game.tw-pddl").write_text("{}")
    env: Any = gym.make(ENV, data=str(tmp_path), split="valid_seen")
    known = env.unwrapped.panel()[0].id
    assert env.reset(options={"task_id": known})[1]["task_id"] == known
    with pytest.raises(DamagedDataError, match="train"):
        env.reset(options={"task_id": "0000"})


def test_difficulty_is_refused_for_official_games(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_CACHE", str(tmp_path / "cache"))
    source: Any = gym.make(ENV, data="embedded").unwrapped
    source.reset(seed=0)
    write_game(source.backend.play.house.scene, tmp_path / "train" / "task" / "trial")
    with pytest.raises(UsageError, match="embedded houses"):
        gym.make(ENV, data=str(tmp_path), difficulty="hard")


def test_an_empty_data_folder_of_the_user_gives_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path))
    with pytest.warns(UserWarning, match="Playing embedded houses"):
        env = gym.make(ENV)
    assert env.unwrapped.backend.name == "native/embedded"  # type: ignore[attr-defined]


def test_the_default_data_folder_gives_no_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path / ".cache" / "alfworld"))  # as importing alfworld does
    assert gym.make(ENV).unwrapped.backend.name == "native/embedded"  # type: ignore[attr-defined]


def test_a_changed_file_is_refused_for_its_old_task(tmp_path: Path) -> None:
    env = gym.make(ENV, data="embedded")
    env.reset(seed=0)
    first = env.unwrapped.backend.play.house.scene  # type: ignore[attr-defined]
    path = write_game(first, tmp_path)
    env.reset(options={"game_file": path})
    task = env.unwrapped.task  # type: ignore[attr-defined]
    env.reset()
    write_game(env.unwrapped.backend.play.house.scene, tmp_path)  # type: ignore[attr-defined]
    os.utime(path, (1, 1))
    with pytest.raises(DamagedDataError, match="changed"):
        env.reset(options={"task": task})


_PLAYED = """
import gymnasium as gym, agentgym_hindsight, hashlib
env = gym.make("ALFWorld-Hindsight-v0", data="embedded")
digest = hashlib.sha256()
_, info = env.reset(seed=11)
for turn in range(120):
    legal = info["admissible_actions"]
    obs, reward, terminated, truncated, info = env.step(legal[turn * 7 % len(legal)])
    digest.update(repr((obs, reward, info["anchor"], info["task_id"], info["admissible_actions"])).encode())
    if terminated or truncated:
        _, info = env.reset()
print(digest.hexdigest())
"""


def test_the_same_seed_gives_the_same_episodes_in_a_new_interpreter() -> None:
    seen = {
        subprocess.run(
            [sys.executable, "-c", _PLAYED],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "12345")
    }
    assert len(seen) == 1


@pytest.mark.genuine
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # textworld leaves files open
def test_the_genuine_engine_gives_the_same_episode() -> None:
    pytest.importorskip("alfworld", reason="the genuine engine (extra [alfworld]) is not installed")
    if sys.version_info >= (3, 13):
        pytest.skip("textworld 1.7 does not run on Python 3.13")
    infos = {}
    for backend in ("native", "textworld"):
        env = gym.make(ENV, backend=backend, data="embedded", difficulty="easy")
        infos[backend] = play(env, seed=2)
        assert infos[backend]["extra"].backend == f"{backend}/embedded"
        env.close()
    native, genuine = infos["native"], infos["textworld"]
    assert genuine["won"]
    for key in ("admissible_actions", "anchor", "task_id", "step", "score", "hindsight"):
        assert native[key] == genuine[key]
