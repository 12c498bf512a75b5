"""``agh credit``: the credit of recorded rollouts, as a table and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.recorded import credit_of
from agentgym_hindsight.baselines.methods.rows import Rows
from agentgym_hindsight.cli import main
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight import Step, Trajectory
from agentgym_hindsight.hindsight.jsonl import write_jsonl


def rollout(path: str, won: bool, **changes: Any) -> Trajectory:
    """The rollouts of ``tests.baselines.methods.two_rollouts``: pairs of state and action, then the last state."""
    pieces = path.split()
    steps = tuple(
        Step(
            place,
            state,
            action,
            after,
            after,
            anchor="s:one",
            next_anchor="s:one",
            reward=10.0 if won and place + 1 == len(pieces) // 2 else 0.0,
        )
        for place, (state, action, after) in enumerate(zip(pieces[::2], pieces[1::2], pieces[2::2], strict=False))
    )
    return Trajectory("1f", steps=steps, won=won, final_observation=pieces[-1], **changes)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    file = tmp_path / "rollouts.jsonl"
    broken = rollout("s0 a s1", False, broken="the server closed the connection")
    write_jsonl(file, [broken, rollout("s0 A s1 b s2 c end", True), rollout("s0 a s1  d s0 e s3 f s4", False)])
    return file


def lines(capsys: pytest.CaptureFixture[str], *words: object) -> list[dict[str, Any]]:
    assert main(["credit", *map(str, words), "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_json_has_one_line_a_turn(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turns = lines(capsys, recorded, "--method", "grpo", "--method", "crbc", "--method", "PGPO", "--method", "graphgpo")
    # The broken rollout is no member of the group.
    assert [(turn["task"], turn["member"], turn["step"]) for turn in turns] == [
        ("1f", member, step) for member, count in ((0, 3), (1, 4)) for step in range(count)
    ]
    assert [turn["action"] for turn in turns] == list("Abcadef")
    by_method = {name: [turn["credit"][name] for turn in turns] for name in ("grpo", "crbc", "pgpo", "graphgpo")}
    assert by_method["grpo"] == pytest.approx([1.069045] * 3 + [-0.801784] * 4, abs=1e-6)
    step = [0.707107, 1, 0, 0.707107, -1, -1.414214, 0]
    assert by_method["crbc"] == pytest.approx(
        [episode + 5 * own for episode, own in zip(by_method["grpo"], step, strict=True)], abs=1e-5
    )
    expected = [1.299038, 0.883883, 0, -0.433013, -0.883883, -0.866025, 0]
    assert by_method["pgpo"] == pytest.approx(expected, abs=1e-6)
    expected = [1.646385, 1.776151, 1.069045, -0.224443, -1.508889, -1.956464, -0.801784]
    assert by_method["graphgpo"] == pytest.approx(expected, abs=1e-6)


def test_anchors_and_values_can_be_chosen(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--method", "crbc", "--set", "crbc.w_group=0")
    texts = lines(capsys, recorded, *options)
    states = lines(capsys, recorded, *options, "--anchor", "State")
    assert texts[2]["credit"]["crbc"] == 0.0
    assert states[2]["credit"]["crbc"] != 0.0, "all turns share one true state"


def test_the_anchor_of_a_method_is_used_unless_another_is_given(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--method", "crbc", "--set", "crbc.w_group=0", "--set", "crbc.anchor=state")
    assert lines(capsys, recorded, *options)[2]["credit"]["crbc"] != 0.0
    assert lines(capsys, recorded, *options, "--anchor", "observation")[2]["credit"]["crbc"] == 0.0


def test_a_method_with_the_credit_of_another(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    composed = lines(capsys, recorded, "--method", "grpo+crbc")
    plain = lines(capsys, recorded, "--method", "crbc")
    assert [turn["credit"]["grpo+crbc"] for turn in composed] == [turn["credit"]["crbc"] for turn in plain]


def test_options_of_a_method_whose_name_contains_dots(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "agentgym_hindsight.baselines.methods.crbc:METHOD"
    half = lines(capsys, recorded, "--method", name, "--set", f"{name}.w_step=0", "--method", "grpo")
    own = next(key for key in half[0]["credit"] if key != "grpo")
    assert [turn["credit"][own] for turn in half] == [turn["credit"]["grpo"] for turn in half]


def test_invalid_actions_are_not_penalised_by_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    won, lost = rollout("s a t", True), rollout("s b t", False)
    invalid = Trajectory("1f", steps=(*lost.steps[:-1], Step(0, "s", "b", "t", "t", action_valid=False)))
    write_jsonl(tmp_path / "r.jsonl", [won, invalid])
    plain = lines(capsys, tmp_path / "r.jsonl", "--set", "grpo.scale=none")
    penalised = lines(capsys, tmp_path / "r.jsonl", "--set", "grpo.scale=none", "--set", "grpo.penalty=0.1")
    assert [turn["credit"]["grpo"] for turn in plain] == [5.0, -5.0]
    assert penalised[1]["credit"]["grpo"] == pytest.approx(-5.05)


def test_the_table_shows_the_actions(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["credit", str(recorded), "--method", "crbc"]) == 0
    shown = capsys.readouterr().out
    assert "crbc" in shown
    assert "+6.069" in shown
    assert "\x1b" not in shown


def test_text_of_worlds_is_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = (Step(0, "s", "[red]\x1b[2Jgo", "t", "t"),)
    write_jsonl(tmp_path / "r.jsonl", [Trajectory("1f", goal="[bold]\x1b]0;x\x07", steps=steps)])
    assert main(["credit", str(tmp_path / "r.jsonl")]) == 0
    shown = capsys.readouterr().out
    assert "[red]\\x1b[2Jgo" in shown
    assert "[bold]\\x1b]0;x\\x07" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "serl"], "which has a teacher"),
        (["--method", "ppo"], "which has a critic"),
        (["--method", "grpp"], "did you mean 'grpo'"),
        (["--anchor", "states"], "did you mean 'state'"),
        (["--set", "crbc.beta=0.9"], "method of --method"),
        (["--set", "grpo.beta=0.9"], "grpo"),
        (["--set", "penalty=1"], "METHOD.NAME=VALUE"),
    ],
)
def test_wrong_options_are_named(
    recorded: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["credit", str(recorded), *words]) == 2
    assert message in capsys.readouterr().err


def test_an_unreadable_line_is_named_and_the_others_are_used(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with recorded.open("a") as file:
        file.write("not a rollout\n")
    assert main(["credit", str(recorded), "--json"]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 7
    assert "line 4" in captured.err


def test_a_file_without_rollouts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    assert main(["credit", str(tmp_path / "empty.jsonl")]) == 2
    assert main(["credit", str(tmp_path / "missing.jsonl")]) == 1
    assert "missing.jsonl" in capsys.readouterr().err


def test_it_needs_no_torch(recorded: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from agentgym_hindsight.cli import main\n"
        f"sys.exit(main(['credit', {str(recorded)!r}, '--method', 'crbc', '--method', 'gigpo', '--method', 'hgpo']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["list", "tensor", "tokens"])
def test_a_credit_of_ones_own_may_return(kind: str) -> None:
    def own(rows: Rows) -> Any:
        values = [float(value) for value in rows.returns]
        if kind == "tensor":
            return pytest.importorskip("torch").tensor(values)
        return values if kind == "list" else [[value - 1.0, value + 1.0] for value in values]

    groups = [[rollout("s a t", True), rollout("s b t", False)]]
    credit = credit_of(groups, {"own": Method("own", own)})["own"]
    assert [turn.tolist() for turn in credit] == [[10.0], [0.0]]


def test_a_credit_of_another_shape_is_refused() -> None:
    groups = [[rollout("s a t", True), rollout("s b t", False)]]
    with pytest.raises(UsageError, match=r"one advantage per turn, \(2,\), from the credit of own, got \(3,\)"):
        credit_of(groups, {"own": Method("own", lambda rows: np.zeros(3))})
