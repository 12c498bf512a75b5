"""Comparison of our shop with recordings of the original."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.cli import main
from agentgym_hindsight.envs.webshop.library import open_library
from agentgym_hindsight.envs.webshop.observe import observe
from agentgym_hindsight.envs.webshop.oracle import plan
from agentgym_hindsight.envs.webshop.parity import read_episodes, run_parity
from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.errors import DamagedDataError, MissingDataError
from tests.envs.webshop.tiny_shop import ATTRIBUTES, ITEMS, tiny_shop


@pytest.fixture
def recorded(shared: Path) -> Path:
    folder = shared / "data" / "webshop"
    if not (folder / "transcripts.jsonl.gz").is_file():
        pytest.skip(f"no recordings of the original: {folder} is not there (set AGENTGYM_HINDSIGHT_SHARED)")
    return folder


def test_the_recordings_of_the_original(recorded: Path) -> None:
    report = run_parity(recorded, "goals_prices.json.gz", "transcripts.jsonl.gz")
    assert (report.episodes, report.turns, report.purchases) == (60, 1015, 30)
    assert report.differences == ()
    assert report.tagged == ()  # the recordings were made with the default noun rule
    assert report.summary().splitlines()[-1] == "differences: 0 of 1015 turns"


def test_the_oracle_on_the_official_goals(recorded: Path) -> None:
    library = open_library(recorded, goals=recorded / "goals_prices.json.gz")
    goals = library.shop.goals[::23]
    assert all(plan(Session(library.shop, goal, "strict"))[1] == 1.0 for goal in goals)
    official = [plan(Session(library.shop, goal, "official"))[1] == 1.0 for goal in goals]
    assert 0.9 < sum(official) / len(official) < 0.97  # the others cannot be reached under the original's rules


def recording(folder: Path) -> list[dict[str, Any]]:
    """A recording of our own shop, in the format of the original's."""
    shop = tiny_shop()
    for name, content in (("items_shuffle", ITEMS), ("items_ins_v2", ATTRIBUTES)):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    goals = [
        {
            "asin": goal.asin,
            "category": goal.category,
            "query": goal.query,
            "name": goal.title,
            "product_category": goal.product_category,
            "instruction_text": goal.instruction,
            "attributes": goal.attributes,
            "price_upper": goal.price_cap,
            "goal_options": dict(goal.options),
            "weight": goal.weight,
        }
        for goal in shop.goals
    ]
    prices = {product.asin: product.price for product in shop.products}
    (folder / "goals_prices.json").write_text(json.dumps({"goals": goals, "prices": prices}), encoding="utf-8")
    episodes = []
    for index, goal in enumerate(shop.goals):
        session = Session(shop, goal, "official")

        def seen(session: Session = session) -> dict[str, Any]:
            return {
                "text": observe(session, "text"),
                "text_rich": observe(session, "text_rich"),
                "actions": {"has_search_bar": session.has_search_bar, "clickables": list(session.clickables)},
            }

        start, steps = seen(), []
        for action in (
            "foo",
            "search[mug]",
            *["click[next >]"] * 6,
            "click[< prev]",
            *plan(session)[0],
            "search[hose]",
        ):
            outcome = session.act(action)
            step = {"action": action, "reward": outcome.reward, "done": outcome.done, **seen()}
            if outcome.done and session.parts is not None:
                step["reward_parts"] = session.parts.official()
            steps.append(step)
        episodes.append({"goal_index": index, "start": start, "steps": steps})
    return episodes


def write(folder: Path, episodes: list[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(episode) + "\n" for episode in episodes)
    (folder / "transcripts.jsonl.gz").write_bytes(gzip.compress(lines.encode()))


def test_every_difference_is_found_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    episodes = recording(tmp_path)
    turns = sum(len(episode["steps"]) for episode in episodes)
    arguments = ["parity", "webshop", "--data", str(tmp_path), "--goals", "goals_prices.json"]
    write(tmp_path, episodes)
    assert run_parity(tmp_path, "goals_prices.json", "transcripts.jsonl.gz").agrees
    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"differences: 0 of {turns} turns"
    purchase = next(n for n, step in enumerate(episodes[2]["steps"]) if step["done"])
    episodes[0]["start"]["text"] += "!"
    episodes[1]["steps"][1]["actions"]["clickables"].reverse()
    episodes[1]["steps"][1]["done"] = True
    episodes[2]["steps"][purchase]["reward_parts"]["r_att"] = 0.25
    write(tmp_path, episodes)
    assert main(arguments) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"differences: 3 of {turns} turns"
    reported = [line.split(": ")[-1] for line in lines if line.startswith("episode ")]
    assert reported == ["text", "actions", "done", "r_att"]


def test_differences_of_the_tagger_are_reported_separately(tmp_path: Path) -> None:
    episodes = recording(tmp_path)
    step = next(step for step in episodes[0]["steps"] if step["done"])
    step["reward_parts"].update(title_score=0.15, r_type=0.5)
    for mode in ("text", "text_rich"):
        step[mode] = step[mode].replace(f"{step['reward']}", f"{step['reward'] / 2}").replace("max 0.5", "max 1.0")
    step["reward"] /= 2
    write(tmp_path, episodes[:1])
    report = run_parity(tmp_path, "goals_prices.json", "transcripts.jsonl.gz")
    assert [difference.field for difference in report.tagged] == ["r_type", "title_score"]
    assert report.differences == ()  # the turns after the purchase do not differ
    assert "title_score and r_type (noun rule tokens-1): 1 of 1 differ" in report.summary()


def test_errors_name_the_damaged_recording(tmp_path: Path) -> None:
    episodes = recording(tmp_path)
    with pytest.raises(MissingDataError, match=r"transcripts\.jsonl\.gz"):
        run_parity(tmp_path, "goals_prices.json", "transcripts.jsonl.gz")
    for broken in ({**episodes[0], "goal_index": 99}, {"goal_index": 0}, []):
        write(tmp_path, [episodes[0], broken])  # type: ignore[list-item]
        with pytest.raises(DamagedDataError, match="record 1"):
            run_parity(tmp_path, "goals_prices.json", "transcripts.jsonl.gz")
    path = tmp_path / "transcripts.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedDataError, match="one episode per line"):
        list(read_episodes(path))
    path.write_text("{}\n{no json\n")
    with pytest.raises(DamagedDataError, match="after line 1"):
        list(read_episodes(path))
