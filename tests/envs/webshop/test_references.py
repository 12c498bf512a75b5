"""Recordings of the original are read as trajectories."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from agentgym_hindsight.cli import main
from agentgym_hindsight.envs.webshop.goals import recorded_goals
from agentgym_hindsight.envs.webshop.library import Library, open_library
from agentgym_hindsight.envs.webshop.observe import observe
from agentgym_hindsight.envs.webshop.oracle import plan
from agentgym_hindsight.envs.webshop.pages import ITEM, RESULTS, SUB
from agentgym_hindsight.envs.webshop.references import read_human_logs, read_references, read_transcripts
from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.errors import DamagedDataError, MissingDataError
from agentgym_hindsight.hindsight.jsonl import read_jsonl
from agentgym_hindsight.hindsight.reference_store import ReferenceStore


@cache
def library() -> Library:
    return open_library("embedded", rules="official", goals="synthetic", products=300)


def goal_record(number: int) -> dict[str, Any]:
    """A goal in the format of the original's log."""
    goal = library().shop.goals[number]
    return {
        "asin": goal.asin,
        "category": goal.category,
        "query": goal.query,
        "name": goal.title,
        "product_category": goal.product_category,
        "instruction_text": goal.instruction,
        "attributes": list(goal.attributes),
        "price_upper": goal.price_cap,
        "goal_options": dict(goal.options),
        "weight": 1,
    }


def record(session: Session, number: int, style: str = "list") -> dict[str, Any]:
    """The line that the original's site logs for a request of the page that the session is on."""
    state, name = session.state, session.id
    words = state.query.split(" ")
    asin = session.shop.products[state.product].asin if state.product >= 0 else ""
    options = dict(state.options)
    keywords = quote(str(words) if style == "list" else "+".join(words), safe="+")
    tail = quote(str(options), safe="")
    goal = goal_record(number)
    base = "http://localhost:3000"
    if state.kind == RESULTS:
        content = {"keywords": words, "search_result_asins": [], "page": state.page}
        return {
            "page": "search_results",
            "url": f"{base}/search_results/{name}/{keywords}/{state.page}",
            "goal": goal,
            "content": content,
        }
    content = {"keywords": str(words), "page": str(state.page), "asin": asin, "options": options}
    if state.kind == ITEM:
        url = f"{base}/item_page/{name}/{asin}/{keywords}/{state.page}/{tail}"
        return {"page": "item_page", "url": url, "goal": goal, "content": content}
    if state.kind == SUB:
        url = f"{base}/item_sub_page/{name}/{asin}/{keywords}/{state.page}/{state.sub}/{tail}"
        return {"page": "item_sub_page", "url": url, "goal": goal, "content": content}
    if session.done:
        content = {"asin": asin, "options": options, "price": 1.0}
        url = f"{base}/done/{name}/{asin}/{tail}"
        return {"page": "done", "url": url, "goal": goal, "content": content, "reward": 1.0, "reward_info": {}}
    return {"page": "index", "url": f"{base}/{name}", "goal": goal}


def log(actions: list[str], number: int, name: str = "fixed_1", style: str = "list") -> list[dict[str, Any]]:
    session = Session(library().shop, library().shop.goals[number], "official", session_id=name)
    lines = [record(session, number, style)]
    for action in actions:
        assert session.act(action).valid, action
        lines.append(record(session, number, style))
    return lines


def saved(path: Path, lines: list[Any]) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


@cache
def solutions() -> tuple[tuple[int, list[str]], ...]:
    """Twelve goals with options, and the oracle's actions for each with a detour."""
    result: list[tuple[int, list[str]]] = []
    for number, goal in enumerate(library().shop.goals):
        if not goal.options:
            continue
        actions, reward = plan(Session(library().shop, goal, "official"))
        if reward == 1.0:
            opened = next(place for place, action in enumerate(actions) if action.startswith("click[b0"))
            before = ["search[mug]", "click[next >]", "click[< prev]", "click[back to search]"]
            detour = ["click[description]", "click[< prev]", "click[features]", "click[< prev]"]
            result.append((number, [*before, *actions[: opened + 1], *detour, *actions[opened + 1 :]]))
        if len(result) == 12:
            break
    return tuple(result)


@pytest.mark.parametrize("style", ["list", "plus"])
def test_a_log_gives_the_actions_behind_it(tmp_path: Path, style: str) -> None:
    for number, actions in solutions():
        result = read_human_logs(saved(tmp_path / "a.jsonl", log(actions, number, style=style)), library())
        assert result.problems == ()
        (trajectory,) = result.trajectories
        assert list(trajectory.actions) == actions
        assert (trajectory.won, trajectory.score, trajectory.broken) == (True, 1.0, "")
        assert trajectory.task_id == library().ids[number]
        assert trajectory.extra["recorded_reward"] == 1.0
        assert not any(step.extra for step in trajectory.steps)
        session = Session(library().shop, library().shop.goals[number], "official", session_id="fixed_1")
        for step in trajectory.steps:
            assert step.observation == observe(session)
            session.act(step.action)
        assert ReferenceStore().add(trajectory) == 1


def test_steps_that_the_log_lacks_are_inserted(tmp_path: Path) -> None:
    number, actions = solutions()[0]
    lines = log(actions, number)
    kept_lines = [line for line in lines if line["page"] in ("index", "item_page", "done")]
    (trajectory,) = read_human_logs(saved(tmp_path / "a.jsonl", kept_lines), library()).trajectories
    assert trajectory.won
    assert any(step.extra == {"inserted": True} for step in trajectory.steps)
    assert trajectory.actions[-1] == "click[buy now]"
    again = [
        *lines[:-2],
        lines[-3],
        lines[-3],
        lines[-1],
    ]  # a reload, and an option that was deselected and chosen again
    deselected = next(place for place, line in enumerate(again) if line["page"] == "item_page")
    assert (
        read_human_logs(saved(tmp_path / "b.jsonl", [*again[:-1], again[deselected], *lines[-2:]]), library())
        .trajectories[0]
        .won
    )


def test_another_price_cap_is_the_same_goal_and_another_instruction_is_not(tmp_path: Path) -> None:
    number, actions = solutions()[0]
    lines = log(actions, number)
    text = lines[0]["goal"]["instruction_text"]
    for line in lines:
        line["goal"] = {
            **line["goal"],
            "instruction_text": text.partition(", and price")[0] + ", and price lower than 990.00 dollars",
        }
    (trajectory,) = read_human_logs(saved(tmp_path / "a.jsonl", lines), library()).trajectories
    assert (trajectory.task_id, trajectory.extra["goal"]) == (library().ids[number], "library")
    for line in lines:
        line["goal"] = {**line["goal"], "instruction_text": "i want it blue"}
    (trajectory,) = read_human_logs(saved(tmp_path / "a.jsonl", lines), library()).trajectories
    assert trajectory.task_id not in library().ids
    assert (trajectory.goal, trajectory.extra["goal"], trajectory.won) == ("i want it blue", "log", True)


def test_broken_lines_are_reported_and_the_others_are_read(tmp_path: Path) -> None:
    (number, actions), (other, its_actions) = solutions()[:2]
    lines: list[Any] = [
        *log(actions, number),
        "{nonsense",
        '{"page": "cart"}',
        "[1]",
        *log(its_actions, other, "second"),
    ]
    result = read_human_logs(saved(tmp_path / "a.jsonl", lines), library())
    first = len(actions) + 2
    assert [problem.line_number for problem in result.problems] == [first, first + 1, first + 2]
    assert "known are index" in result.problems[1].cause
    assert all(problem.cause.startswith("a.jsonl: ") for problem in result.problems)
    assert [trajectory.won for trajectory in result.trajectories] == [True, True]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"asin": "B0NOTHERE0"}, "B0NOTHERE0 is not in the shop 'embedded'"),
        ({"options": {"color": "no such color"}}, "has no option color: 'no such color'"),
        ({"page": 9}, "is not on page 9"),
        ({"page": 999}, "page 999 of the results"),
        ({"keywords": ["a]\n[b"]}, "no action searches for"),
    ],
)
def test_pages_that_no_action_leads_to(tmp_path: Path, change: dict[str, Any], cause: str) -> None:
    number, actions = solutions()[0]
    lines = log(actions, number)
    place = next(n for n, line in enumerate(lines) if line["page"] == "item_page")
    lines[place]["content"] = {**lines[place]["content"], **change}
    result = read_human_logs(saved(tmp_path / "a.jsonl", lines), library())
    (problem,) = result.problems
    assert (problem.line_number, cause in problem.cause) == (place + 1, True), problem
    (trajectory,) = result.trajectories
    assert f"line {place + 1}" in trajectory.broken
    assert ReferenceStore().add(trajectory) == 0


def test_an_empty_search(tmp_path: Path) -> None:
    number, actions = solutions()[0]
    lines = log(actions, number)
    lines[1]["content"]["keywords"] = [""]
    (problem,) = read_human_logs(saved(tmp_path / "a.jsonl", lines), library()).problems
    assert (problem.line_number, "an empty search" in problem.cause) == (2, True)


def test_a_folder_of_logs(tmp_path: Path) -> None:
    (number, actions), (other, its_actions) = solutions()[:2]
    folder = tmp_path / "logs"
    folder.mkdir()
    saved(folder / "one.jsonl", log(actions, number))
    saved(folder / "two.jsonl", log(its_actions, other)[:-1])
    result = read_references(folder, library())
    assert [(trajectory.won, trajectory.truncated) for trajectory in result.trajectories] == [
        (True, False),
        (False, True),
    ]
    with pytest.raises(MissingDataError, match="folder of logs"):
        read_references(tmp_path / "none", library())
    no_goal = saved(tmp_path / "a.jsonl", [{"page": "index", "url": "http://x/abc"}])
    assert "no goal that can be read" in read_human_logs(no_goal, library()).problems[0].cause


def episode(number: int) -> dict[str, Any]:
    """An episode in the format of the recorded transcripts."""
    session = Session(library().shop, library().shop.goals[number], "official")

    def shown() -> dict[str, Any]:
        actions = {"has_search_bar": session.has_search_bar, "clickables": list(session.clickables)}
        return {"text": observe(session, "text"), "text_rich": observe(session, "text_rich"), "actions": actions}

    start, steps = shown(), []
    for action in ("click[nothing]", *plan(session)[0]):
        outcome = session.act(action)
        steps.append({"action": action, "reward": outcome.reward, "done": outcome.done, **shown()})
    return {"goal_index": number, "start": start, "steps": steps}


def test_transcripts(tmp_path: Path) -> None:
    number, _ = solutions()[0]
    good = episode(number)
    wrong = [
        {**good, "goal_index": 10**6},
        {**good, "goal_index": number + 1},
        {"goal_index": 1},
        "{",
        {**good, "steps": [{}]},
    ]
    path = saved(tmp_path / "a.jsonl", [good, *wrong, good])
    result = read_references(path, library())
    assert [problem.line_number for problem in result.problems] == [2, 3, 4, 5, 6]
    assert "try the goals that were recorded with it" in result.problems[1].cause
    first, second = result.trajectories
    assert first == second
    assert (first.won, first.score, first.truncated, first.task_id) == (True, 1.0, False, library().ids[number])
    assert [step.action_valid for step in first.steps] == [False] + [True] * (len(first) - 1)
    assert first.steps[1].admissible_actions == ()
    assert first.steps[2].admissible_actions[0] == "click[back to search]"
    rich = read_transcripts(path, library().shop.goals, mode="text_rich").trajectories[0]
    assert "[button] Search [button_]" in rich.steps[0].observation


def test_a_truncated_archive(tmp_path: Path) -> None:
    data = gzip.compress("".join(json.dumps(episode(number)) + "\n" for number, _ in solutions()).encode())
    (tmp_path / "a.jsonl.gz").write_bytes(data[:-100])
    result = read_transcripts(tmp_path / "a.jsonl.gz", library().shop.goals)
    assert "copying the file again" in result.problems[-1].cause
    (tmp_path / "b.jsonl.gz").write_bytes(data[:20])
    with pytest.raises(DamagedDataError, match="copying the file again"):
        read_references(tmp_path / "b.jsonl.gz", library())


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    number, actions = solutions()[0]
    path = saved(tmp_path / "a.jsonl", [*log(actions, number), "{"])
    out = tmp_path / "refs.jsonl"
    shop = ["--set", "data=embedded", "--set", "products=300", "--set", "rules=official"]
    assert main(["data", "references", "--env", "WebShop-Hindsight-v0", *shop, str(path), "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert "1 trajectories, 1 of them references; 1 problems" in captured.out
    assert f"line {len(actions) + 2}: a.jsonl" in captured.err.replace("\n", " ")
    stored = read_jsonl(out)
    assert stored.problems == ()
    store = ReferenceStore()
    assert store.add(stored.trajectories) == 1
    assert store.reference(library().ids[number]) is not None


def test_the_recorded_episodes(shared: Path) -> None:
    folder = shared / "data" / "webshop"
    if not (folder / "transcripts.jsonl.gz").is_file():
        pytest.skip(f"no recordings of the original in {folder} (set AGENTGYM_HINDSIGHT_SHARED)")
    goals = recorded_goals(folder / "goals_prices.json.gz").goals
    result = read_transcripts(folder / "transcripts.jsonl.gz", goals)
    assert result.problems == ()
    assert (len(result.trajectories), sum(map(len, result.trajectories))) == (60, 1015)
    store = ReferenceStore()
    assert store.add(result.trajectories) == len(store) > 0
    assert all(trajectory.actions[-1] == "click[buy now]" for trajectory in store)
    with gzip.open(folder / "transcripts.jsonl.gz", "rt") as lines:
        first = json.loads(next(lines))
    assert [step.feedback for step in result.trajectories[0].steps] == [step["text"] for step in first["steps"]]
