"""A whole audit: its files, resuming it, what teachers and judges say, and the page."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agentgym_hindsight.baselines.audit.credits import own_credit
from agentgym_hindsight.baselines.audit.judge import JudgeSays, parse_verdicts
from agentgym_hindsight.baselines.audit.moments import play_groups
from agentgym_hindsight.baselines.audit.page import is_audit_page, render_page, write_page
from agentgym_hindsight.baselines.audit.run_audit import Audit, Plan, run_audit
from agentgym_hindsight.baselines.audit.stored import Stored
from agentgym_hindsight.baselines.audit.summary import by_group_size, summarise
from agentgym_hindsight.baselines.audit.truth import Precision
from agentgym_hindsight.baselines.audit.turn_table import SAYS, TurnTable, turn_rows
from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.recorded import credit_of
from agentgym_hindsight.baselines.policies import ExpertPolicy
from agentgym_hindsight.errors import DamagedDataError, UsageError
from agentgym_hindsight.hindsight.jsonl import read_jsonl
from agentgym_hindsight.hindsight.trajectory import group_by_task
from agentgym_hindsight.tasks import Task
from agentgym_hindsight.vector import HindsightVectorEnv

PLAN = Plan(siblings=4, precision=Precision(6, 12, 0.2))
TERMS = {"policy": "expert:0.5", "siblings": 4}


def lamps(envs: int = 16) -> HindsightVectorEnv:
    arguments: dict[str, Any] = {"data": "embedded", "max_steps": 9, "difficulty": "bare", "expert": True}
    return HindsightVectorEnv("ALFWorld-Hindsight-v0", envs, task_types=["look_at_obj_in_light"], **arguments)


def tasks(venv: HindsightVectorEnv, count: int = 3) -> list[Task]:
    import gymnasium as gym

    with closing(
        gym.make("ALFWorld-Hindsight-v0", data="embedded", task_types=["look_at_obj_in_light"], difficulty="bare")
    ) as env:
        backend: Any = env.unwrapped.backend  # type: ignore[attr-defined]
        return [backend.task("train", number) for number in range(count)]


def audit(
    folder: Path, count: int = 3, *, plan: Plan = PLAN, noise: float = 0.5, **more: Any
) -> tuple[TurnTable, Audit]:
    with closing(lamps()) as venv:
        policy = ExpertPolicy(0, noise)
        options = {"expert": ExpertPolicy(), **more}
        terms = options.pop("terms", TERMS)
        return run_audit(venv, policy, tasks(venv, count), folder, terms, plan, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audit")
    audit(path)
    return path


@pytest.fixture(scope="module")
def table(folder: Path) -> TurnTable:
    return TurnTable.load(folder / "turns.jsonl")


def test_the_table_has_every_turn_with_its_truth(folder: Path, table: TurnTable) -> None:
    groups = group_by_task(read_jsonl(folder / "rollouts.jsonl").trajectories)
    assert len(table) == sum(len(rollout) for group in groups for rollout in group)
    assert table.audited.all()
    assert len(table.tasks) == 3
    for row in table.rows:
        assert row["advantage"] == pytest.approx(row["q"] - row["v"], abs=1e-9)
        assert row["low"] < row["high"]
        if row["step"] + 1 == row["turns"]:
            assert row["q"] == float(row["won"])
            assert (row["distance_after"] == 0) == row["won"]


def test_the_expert_s_distance_shrinks_by_its_own_action_and_by_no_action_more(table: TurnTable) -> None:
    before, after = table.column("distance"), table.column("distance_after")
    both = np.isfinite(before) & np.isfinite(after)
    assert both.sum() > 20
    assert (before[both] - after[both]).max() == 1
    assert (before[both] - after[both]).min() < 1
    progress = table.column(f"{SAYS}expert-progress")
    assert np.array_equal(progress[both], (before - after)[both])
    assert np.isnan(progress[~both]).all()


def test_credits_are_those_of_agh_credit(folder: Path, table: TurnTable) -> None:
    groups = group_by_task(read_jsonl(folder / "rollouts.jsonl").trajectories)
    methods = {name: recipe(name) for name in ("grpo", "gigpo", "crbc", "graphgpo", "pgpo", "hgpo")}
    methods = {n: m.changed(penalty=0.0) if hasattr(m.credit, "penalty") else m for n, m in methods.items()}
    for kind in ("state", "observation", "augmented"):
        expected = credit_of(groups, methods, kind)
        for name in methods:
            column = SAYS + (name if name == "grpo" else f"{name}@{kind}")
            assert np.allclose(table.column(column), np.concatenate(expected[name]), atol=1e-5), column


def test_both_files_have_the_same_table(folder: Path, table: TurnTable) -> None:
    pytest.importorskip("pyarrow")
    parquet = TurnTable.load(folder / "turns.parquet")
    assert len(parquet) == len(table)
    for one, two in zip(parquet.rows, table.rows, strict=True):
        for name, value in two.items():
            assert one[name] == (pytest.approx(value, rel=1e-6, abs=1e-7) if isinstance(value, float) else value), name
    assert summarise(parquet, samples=20).as_dict()["turns"] == len(table)


def test_an_audit_goes_on_where_it_was_stopped(folder: Path, table: TurnTable, tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(progress: Audit) -> None:
        if progress.turns == 25:
            raise StoppedError

    with pytest.raises(StoppedError):
        audit(tmp_path, on_turns=stop)
    truth = tmp_path / "truth.jsonl"
    assert len(truth.read_text().splitlines()) == 25
    with truth.open("a") as file:
        file.write('{"turn": ["cut')  # as a killed process leaves it
    again, progress = audit(tmp_path)
    assert progress.turns == len(table) - 25
    assert again.rows == table.rows, "the same as without a stop"
    assert (tmp_path / "turns.jsonl").read_bytes() == (folder / "turns.jsonl").read_bytes()
    _, nothing = audit(tmp_path)
    assert (nothing.turns, nothing.continuations) == (0, 0)


def test_another_setting_is_refused_by_its_name(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"siblings=4, got siblings=8"):
        audit(folder, terms={**TERMS, "siblings": 8})


def test_a_group_that_is_played_differently_is_measured_again(tmp_path: Path) -> None:
    first, _ = audit(tmp_path, 1)
    (tmp_path / "complete.jsonl").unlink()
    second, progress = audit(tmp_path, 1, noise=0.6)  # a policy that is not reproducible
    assert [row["action"] for row in first.rows] != [row["action"] for row in second.rows]
    assert progress.turns == len(second)
    assert len(Stored(tmp_path, None).truth) == len(second)


def test_only_some_turns_and_mixed_groups(tmp_path: Path) -> None:
    table, progress = audit(tmp_path, 4, plan=replace(PLAN, turns=5, mixed=True))
    assert {int(table.where(table.task_numbers == n).audited.sum()) for n in range(len(table.tasks))} == {5}
    assert len(table.tasks) + progress.skipped_groups == 4
    for number in range(len(table.tasks)):
        assert 0 < table.where(table.task_numbers == number).column("won").mean() < 1


def test_nothing_to_audit_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--groups all"):
        audit(tmp_path, 1, plan=replace(PLAN, mixed=True), noise=0.0)


@pytest.mark.parametrize(
    "line",
    ["[]", '{"turn": ["a"]}', "{", '{"turn": 3}', "[" * 100_000],
)
def test_damaged_files_are_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "truth.jsonl").write_text(line + "\n")
    with pytest.raises(DamagedDataError, match=r"truth\.jsonl, line 1"):
        Stored(tmp_path, None)
    (tmp_path / "turns.jsonl").write_text(line + "\n")
    with pytest.raises(DamagedDataError):
        TurnTable.load(tmp_path / "turns.jsonl")


def test_damaged_parquet_and_values(tmp_path: Path, table: TurnTable) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "turns.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(DamagedDataError, match="parquet"):
        TurnTable.load(tmp_path / "turns.parquet")
    for name, value in (("member", "one"), ("won", 1), ("task", None), ("advantage", "x"), ("reward", float("nan"))):
        with pytest.raises(UsageError, match=name):
            TurnTable(({**table.rows[0], name: value},))


def test_an_own_credit(table: TurnTable) -> None:
    assert np.array_equal(own_credit(table, lambda rows: rows.returns, "state"), table.column("total_reward"))
    with pytest.raises(UsageError, match="one advantage per turn"):
        own_credit(table, lambda rows: np.zeros(3), "state")
    with pytest.raises(UsageError, match="finite"):
        own_credit(table, lambda rows: rows.returns * np.nan, "state")
    with pytest.raises(UsageError, match="function"):
        own_credit(table, 3, "state")  # type: ignore[arg-type]


def test_a_credit_that_knows_the_truth_wins(table: TurnTable) -> None:
    known = table.with_column(f"{SAYS}oracle", table.column("advantage"))
    known = known.with_column(f"{SAYS}wrong", -table.column("advantage"))
    summary = summarise(known, samples=50)
    best, worst = summary.scores[0], summary.scores[-1]
    assert (best.name, best.spearman.value, best.signs.value) == ("oracle", 1.0, 1.0)
    assert best.critical.value == 1.0
    assert (worst.name, worst.signs.value) == ("wrong", 0.0)
    assert best.difference.low > 0
    for each in summary.scores:
        assert -1 <= each.spearman.low <= each.spearman.value <= each.spearman.high <= 1 or each.spearman.value in (
            1,
            -1,
        )
    json.dumps(summary.as_dict(), allow_nan=False)


def test_group_sizes(table: TurnTable) -> None:
    sizes = by_group_size(table, draws=2)
    assert set(sizes["grpo"]) == {2, 4}
    whole = summarise(table, samples=5)
    for name in ("grpo", "crbc@state"):
        score = next(each for each in whole.scores if each.name == name)
        assert sizes[name][4] == pytest.approx(score.spearman.value, abs=1e-9)


# -- judge -----------------------------------------------------------------------------------------------------------


def test_the_judge_is_asked_once_a_rollout(table: TurnTable) -> None:
    class Client:
        def __init__(self) -> None:
            self.asked: list[Any] = []

        def answers(self, chats: Sequence[Any], seeds: Sequence[int], **_: Any) -> list[Any]:
            self.asked += chats
            turns = [int(re.findall(r"has (\d+) turns", chat[1]["content"])[-1]) for chat in chats]
            texts = [json.dumps({"turns": [1] * count}) for count in turns]
            texts[0] = "no idea"
            return [
                None,
                *(SimpleNamespace(text=t, prompt_tokens=90, completion_tokens=10) for t in texts[:1] + texts[2:]),
            ]

    with closing(lamps()) as venv:
        (group,) = play_groups(venv, ExpertPolicy(0, 0.5), tasks(venv, 1), 4)
    client = Client()
    judge = JudgeSays(client)
    said = judge(group)
    assert len(client.asked) == 4
    assert judge.unreadable == 2
    assert {member for member, _ in said} == {2, 3}
    assert said[2, 0]["says:judge"] == 1.0
    assert said[2, 0]["tokens:judge"] == 100 / len(group.episodes[2].trajectory)


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        ("[1, 0, -1]", [1.0, 0.0, -1.0]),
        ("I think [9] or rather [0.5, 0, 0]", [0.5, 0.0, 0.0]),
        ("[1, 2]", None),
        ("[1, , 2]", None),
        (f"[1, 0, {'9' * 400}]", [1.0, 0.0, 1.0]),
        ("[" * 50_000, None),
    ],
)
def test_verdicts(text: str, verdicts: list[float] | None) -> None:
    assert parse_verdicts(text, 3) == verdicts


# -- page ------------------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page(table: TurnTable, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    rows = tuple({**row, "goal": hostile, "seen": hostile, "action": hostile} for row in table.rows)
    table = TurnTable(rows)
    summary, sizes = summarise(table, samples=20), by_group_size(table, draws=1)
    page = render_page(table, summary, sizes, "Audit of <b>", [("command", "agh audit")])
    parsed = Tags(page)
    assert not parsed.open
    assert "script" not in parsed.seen
    assert parsed.seen.count("article") == 10
    assert parsed.seen.count("svg") == 2
    for name in ("crbc@state", "grpo", "Calibration", "By group size", "agh audit", hostile):
        assert name in parsed.text
    assert not re.search(r"(?:src|href)=", page)
    write_page(tmp_path / "audit.html", table, summary, sizes, "Audit")
    assert is_audit_page(tmp_path / "audit.html")
    (tmp_path / "other.html").write_text("<!doctype html><html></html>")
    assert not is_audit_page(tmp_path / "other.html")


# -- teachers --------------------------------------------------------------------------------------------------------


def test_gaps_and_weights_of_a_tiny_model() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("trl")
    from agentgym_hindsight.baselines.audit.teachers import SOURCES, TeacherSays, teacher_methods
    from agentgym_hindsight.baselines.policies.chat import PromptEncoder
    from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy
    from agentgym_hindsight.baselines.training.tiny import make_model, make_tokenizer
    from agentgym_hindsight.stage import Stage

    stage = Stage(settings={"data": "embedded", "difficulty": "bare", "max_steps": 3}, protocol="brief")
    panel = list(stage.panel("train", 1, seed=0))
    tokenizer = make_tokenizer(["go to the shelf 1", "<action>look</action>"] * 9, vocabulary=300)
    model = make_model(tokenizer, seed=1)
    policy = TransformersPolicy(model, PromptEncoder(tokenizer, 700), max_new_tokens=6)
    with closing(stage.vector(4)) as venv:
        (group,) = play_groups(venv, policy, panel, 3)
    # Outcomes that differ, so that advantages are not 0.
    first, *others = group.episodes
    won = first._replace(
        trajectory=first.trajectory.replace(
            won=True, steps=tuple(replace(step, reward=10.0 * (step.index == 2)) for step in first.trajectory.steps)
        )
    )
    group = replace(group, episodes=(won, *others))
    says = TeacherSays(policy, str(stage.parser))
    numbers = says(group)
    assert set(numbers) == {(turn.member, turn.step) for turn in group.turns}
    names = {name.removeprefix(SAYS) for values in numbers.values() for name in values if name.startswith(SAYS)}
    assert names >= set(teacher_methods())
    assert {name for name in names if name.startswith("gap:")} <= {f"gap:{text}" for text in SOURCES}
    assert {"hint", "diagnosis"} <= set(SOURCES)
    assert all(np.isfinite(list(values.values())).all() for values in numbers.values())
    for values in numbers.values():
        # SERL's weights move the credit by at most λ times the clip.
        assert abs(values["says:serl"]) <= 1.1 * abs(values["says:trial"]) + 1e-6


def test_gaps_are_the_teacher_s_log_probabilities_minus_the_policy_s() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("trl")
    from agentgym_hindsight.baselines.audit.teachers import TeacherSays
    from agentgym_hindsight.baselines.policies.chat import PromptEncoder
    from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy
    from agentgym_hindsight.baselines.training.tiny import make_model, make_tokenizer
    from agentgym_hindsight.stage import Stage

    stage = Stage(settings={"data": "embedded", "difficulty": "bare", "max_steps": 2}, protocol="brief")
    tokenizer = make_tokenizer(["go to the shelf 1"] * 9, vocabulary=300)
    model = make_model(tokenizer, seed=1)
    policy = TransformersPolicy(model, PromptEncoder(tokenizer, 700), max_new_tokens=5, temperature=0.7)
    with closing(stage.vector(2)) as venv:
        (group,) = play_groups(venv, policy, list(stage.panel("train", 1, seed=0)), 2)
    says = TeacherSays(policy, str(stage.parser), sources=["immediate", "hint", "diagnosis"], methods={})
    method = replace(says._gaps["immediate"])
    rows = says._rows(list(group.episodes), method)
    numbers = says(group)
    checked = 0
    for row, turn in zip(rows, group.turns, strict=True):
        if not row.teacher_ids or not any(row.chosen):
            continue
        ids = torch.tensor([[*row.teacher_ids, *row.response_ids]])
        with torch.no_grad():
            logits = model(ids).logits[0, len(row.teacher_ids) - 1 : -1] / 0.7
        logps = torch.log_softmax(logits, -1)[range(len(row.response_ids)), list(row.response_ids)]
        gaps = (logps - torch.tensor(row.logprobs))[torch.tensor(row.chosen)]
        assert numbers[turn.member, turn.step]["says:gap:immediate"] == pytest.approx(float(gaps.mean()), abs=1e-4)
        checked += 1
    assert checked
    # Hints and diagnoses by scripts, on the turns that they speak of: here on turns with an action that was refused.
    for kind in ("hint", "diagnosis"):
        assert any(f"says:gap:{kind}" in values for values in numbers.values())


def test_anchors_of_a_table_group_the_same_turns(folder: Path) -> None:
    from agentgym_hindsight.hindsight.anchors import anchor_keys

    for group in group_by_task(read_jsonl(folder / "rollouts.jsonl").trajectories):
        rows = turn_rows(group)
        keys = [key for rollout in anchor_keys(group, "state") for key, _ in rollout]
        assert len(set(zip(keys, (row["state"] for row in rows), strict=True))) == len(set(keys))
        assert len({row["state"] for row in rows}) == len(set(keys))
