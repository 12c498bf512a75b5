from __future__ import annotations

import json
import random
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.envs.base import Extra
from agentgym_hindsight.errors import MissingDataError, SchemaError, UsageError
from agentgym_hindsight.hindsight.jsonl import (
    LineProblem,
    ReadResult,
    dump_trajectory,
    iter_jsonl,
    load_trajectory,
    read_jsonl,
    write_jsonl,
)
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from tests.hindsight.rollouts import GROUP, LOSER, WINNER
from tests.toy import CorridorEnv

SPECIAL = 'a\x00\x1c\n\r\x85\u2028\u2029\\"é中😀\ud800\udc00\ud83d\ude00\udfff\ud800\ufeff\x7f'


def random_text(rng: random.Random) -> str:
    ranges = [(0, 0x7F), (0x80, 0x24FF), (0xD7F0, 0xE010), (0x2026, 0x202A), (0xFFF0, 0x1000F), (0, 0x10FFFF)]
    return "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(0, 12)))


def random_json(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randint(0, 8 if depth < 3 else 5)
    if kind == 0:
        return None
    if kind == 1:
        return rng.random() < 0.5
    if kind == 2:
        return rng.choice([0, -1, 10**300, -(2**70), rng.randint(-5, 5)])
    if kind == 3:
        return rng.choice([0.0, -0.0, 0.1, 1e308, 5e-324, rng.uniform(-1e3, 1e3)])
    if kind in (4, 5):
        return random_text(rng)
    if kind == 6:
        return [random_json(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {random_text(rng): random_json(rng, depth + 1) for _ in range(rng.randint(0, 3))}


def random_trajectory(rng: random.Random) -> Trajectory:
    def text() -> str:
        return random_text(rng)

    def mapping() -> dict[str, Any]:
        return {text(): random_json(rng) for _ in range(rng.randint(0, 2))}

    steps = tuple(
        Step(
            rng.randint(0, 10**20),
            text(),
            text(),
            text(),
            text(),
            tuple(text() for _ in range(rng.randint(0, 3))),
            text(),
            text(),
            rng.choice([0.0, -0.0, 1e-310, rng.gauss(0, 10)]),
            rng.random(),
            rng.random() < 0.5,
            text(),
            text(),
            text(),
            rng.choice([None, (0, 0), (3, 10**30)]),
            mapping(),
        )
        for _ in range(rng.randint(0, 3))
    )
    return Trajectory(
        text(), text(), text(), text(), text(), text(), rng.choice([None, 0, 2**80]), rng.randint(0, 9), steps,
        rng.random() < 0.5, rng.random(), rng.random() < 0.5, text(), text(), text(), mapping(),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_random_trajectories_round_trip(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    trajectories = tuple(random_trajectory(rng) for _ in range(20))
    for trajectory in trajectories:
        line = dump_trajectory(trajectory)
        assert "\n" not in line
        assert line.splitlines() == [line]
        back = load_trajectory(line)
        assert back == trajectory
        assert str(asdict(back)) == str(asdict(trajectory))  # text distinguishes 0.0 from -0.0 and 1 from True
    path = tmp_path / "rollouts.jsonl"
    assert write_jsonl(path, trajectories) == 20
    assert read_jsonl(path) == ReadResult(trajectories)


def test_special_characters_survive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.jsonl"
    trajectory = Trajectory(SPECIAL, extra={SPECIAL: [SPECIAL]})
    write_jsonl(path, [trajectory])
    assert read_jsonl(path, strict=True).trajectories == (trajectory,)
    assert path.read_bytes().count(b"\n") == 1


def test_ordinary_text_stays_readable() -> None:
    line = dump_trajectory(Trajectory("é中😀"))
    assert "é中😀" in line
    assert json.loads(line)["schema"] == "agentgym-hindsight/trajectory"
    assert line.encode("utf-8")


def test_mappings_and_tuples_in_extra() -> None:
    back = load_trajectory(dump_trajectory(Trajectory("1f", extra={"facts": Extra(a=1), "pair": (1, 2)})))
    assert back.extra == {"facts": {"a": 1}, "pair": [1, 2]}


@pytest.mark.parametrize(
    ("extra", "place"),
    [
        ({"a": {"b": [1, object()]}}, r"trajectory.extra\['a'\]\['b'\]\[1\]"),
        ({"a": float("nan")}, r"trajectory.extra\['a'\]"),
        ({"a": {1: 2}}, r"key at trajectory.extra\['a'\]"),
        ({"a": {1, 2}}, "got set"),
        ({"a": b"x"}, "got bytes"),
    ],
)
def test_errors_name_values_that_json_cannot_represent(extra: dict[str, Any], place: str) -> None:
    with pytest.raises(UsageError, match=place):
        dump_trajectory(Trajectory("1f", extra=extra))


@pytest.mark.skipif(not hasattr(sys, "get_int_max_str_digits"), reason="this Python writes integers of any length")
def test_an_integer_too_long_to_print_is_refused() -> None:
    with pytest.raises(UsageError, match="JSON can hold"):
        dump_trajectory(Trajectory("1f", extra={"a": 10**5000}))


def test_a_list_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(UsageError, match="JSON can hold"):
        dump_trajectory(Trajectory("1f", extra={"loop": loop}))


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"score": float("inf")}, "finite number at trajectory.score"),
        ({"score": "high"}, "float at trajectory.score"),
        ({"won": "False"}, "True or False at trajectory.won"),
        ({"won": None}, "True or False at trajectory.won"),
        ({"goal": None}, "text at trajectory.goal"),
        ({"seed": 1.5}, r"int \| None at trajectory.seed"),
    ],
)
def test_errors_name_wrong_fields_on_writing(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(UsageError, match=place):
        dump_trajectory(Trajectory("1f").replace(**changes))


def line_with(**changes: Any) -> str:
    document = json.loads(dump_trajectory(WINNER))
    for name, value in changes.items():
        if value is KeyError:
            del document[name]
        else:
            document[name] = value
    return json.dumps(document)


def step_with(**changes: Any) -> str:
    document = json.loads(dump_trajectory(WINNER))
    for name, value in changes.items():
        if value is KeyError:
            del document["steps"][1][name]
        else:
            document["steps"][1][name] = value
    return json.dumps(document)


BROKEN = [
    ("{", "one JSON object"),
    ("[1]", "got list"),
    ("null", "got NoneType"),
    (line_with(schema="other"), "got 'other'"),
    (line_with(schema=KeyError), "got None"),
    (line_with(version=3), "version 2 or older, got 3"),
    (line_with(version=True), "version 2 or older, got True"),
    (line_with(task_id=KeyError), "key 'task_id' in trajectory"),
    (line_with(task_id=3), "text at trajectory.task_id, got int"),
    (line_with(won="yes"), "true or false at trajectory.won"),
    (line_with(won=1), "true or false at trajectory.won"),
    (line_with(score="1"), "a number at trajectory.score"),
    (line_with(score=True), "a number at trajectory.score"),
    (line_with(score=10**400), "fits a float at trajectory.score"),
    (line_with(score=float("nan")), "NaN"),
    (line_with(score=0.5).replace("0.5", "1e999"), "1e999"),
    (line_with(seed=1.0), "an integer at trajectory.seed"),
    (line_with(steps={}), "a list at trajectory.steps"),
    (line_with(steps=[3]), r"an object at trajectory.steps\[0\]"),
    (line_with(extra=[]), "an object at trajectory.extra"),
    (step_with(action=KeyError), r"key 'action' in trajectory.steps\[1\]"),
    (step_with(reward=None), r"a number at trajectory.steps\[1\].reward"),
    (step_with(admissible_actions=["a", 1]), r"text at trajectory.steps\[1\].admissible_actions"),
    (step_with(action_span=[1]), r"two integers at trajectory.steps\[1\].action_span"),
    (step_with(action_span=[1, 2.0]), "an integer at"),
    ("[" * 100_000, "one JSON object"),
]


@pytest.mark.parametrize(("line", "cause"), BROKEN, ids=[cause for _, cause in BROKEN])
def test_broken_lines_are_refused(line: str, cause: str) -> None:
    with pytest.raises(SchemaError, match=cause):
        load_trajectory(line)


def test_a_broken_line_does_not_affect_the_others(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.jsonl"
    good = dump_trajectory(LOSER).encode()
    lines = [good, b'{"schema": "caf\xe9"}', b"", good + b"\r", b"  ", *(line.encode() for line, _ in BROKEN), good]
    path.write_bytes(b"\n".join(lines))
    result = read_jsonl(path)
    problems = result.problems
    assert result.trajectories == (LOSER,) * 3
    assert [problem.line_number for problem in problems] == [2, *range(6, 6 + len(BROKEN))]
    assert problems[0].cause == "Expected UTF-8, got byte 0xe9 at position 15 of the line."
    assert problems[0].excerpt == '{"schema": "caf\ufffd"}'
    assert max(len(problem.excerpt) for problem in problems) == 80
    with pytest.raises(SchemaError, match=r"rollouts\.jsonl, line 2: Expected UTF-8"):
        list(read_jsonl(path, strict=True))
    stream = iter_jsonl(path)
    assert next(stream) == LOSER
    assert isinstance(next(stream), LineProblem)
    stream.close()  # type: ignore[attr-defined]


def test_rollouts_of_an_env_round_trip() -> None:
    env = CorridorEnv(max_steps=5)
    env.reset(seed=3)
    for action in ("east", "fly", "west", "east", "east"):
        env.step(action)
    trajectory = env.trajectory(extra={"epoch": 2})
    assert load_trajectory(dump_trajectory(trajectory)) == trajectory


def test_unknown_keys_are_ignored_and_defaults_may_be_absent() -> None:
    assert load_trajectory(line_with(colour="red")) == WINNER
    assert load_trajectory('{"schema": "agentgym-hindsight/trajectory", "version": 1, "task_id": "1f"}') == Trajectory(
        "1f"
    )
    integral = load_trajectory(line_with(score=1))
    assert repr(integral.score) == "1.0"


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + dump_trajectory(WINNER).encode())
    assert read_jsonl(path) == ReadResult([WINNER])


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="write_jsonl first"):
        iter_jsonl(tmp_path / "none.jsonl")
    with pytest.raises(MissingDataError, match="write_jsonl first"):
        read_jsonl(tmp_path / "none.jsonl")


def test_reading_a_file_iterates_over_its_trajectories(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.jsonl"
    write_jsonl(path, [WINNER, LOSER])
    result = read_jsonl(path)
    assert [trajectory.won for trajectory in result] == [True, False]
    assert list(result) == list(result) == [WINNER, LOSER]
    assert tuple(result) == result.trajectories
    assert repr(result) == "ReadResult(2 trajectories, 0 problems)"
    assert "not read yet" in repr(read_jsonl(path))
    assert result != [WINNER, LOSER]
    assert list(ReadResult([WINNER])) == [WINNER]


def test_a_loop_reads_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.jsonl"
    write_jsonl(path, [WINNER])
    loop = iter(read_jsonl(path))
    write_jsonl(path, [LOSER], append=True)  # after the start of the loop, before its second line
    assert list(loop) == [WINNER, LOSER]
    assert read_jsonl(path).trajectories == (WINNER, LOSER)


def test_a_loop_names_the_line_that_it_skips(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.jsonl"
    write_jsonl(path, [WINNER])
    with path.open("a") as file:
        file.write('{"schema": \n')
    write_jsonl(path, [LOSER], append=True)
    with pytest.warns(UserWarning, match=r"rollouts\.jsonl, line 2 was skipped: Expected one JSON object on the line"):
        assert list(read_jsonl(path)) == [WINNER, LOSER]
    assert [problem.line_number for problem in read_jsonl(path).problems] == [2]
    loop = iter(read_jsonl(path, strict=True))
    assert next(loop) == WINNER
    with pytest.raises(SchemaError, match=r"rollouts\.jsonl, line 2: Expected one JSON object"):
        next(loop)


def test_a_write_is_atomic(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.jsonl"
    write_jsonl(path, [WINNER])
    before = path.read_bytes()

    def failing() -> Any:
        yield LOSER
        raise RuntimeError("the rollout crashed")

    with pytest.raises(RuntimeError, match="crashed"):
        write_jsonl(path, failing())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    assert write_jsonl(path, GROUP) == 3
    assert read_jsonl(path).trajectories == tuple(GROUP)


def test_appending_keeps_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.jsonl"

    def failing() -> Any:
        yield LOSER
        raise RuntimeError("the rollout crashed")

    assert write_jsonl(path, [WINNER], append=True) == 1
    with pytest.raises(RuntimeError, match="crashed"):
        write_jsonl(path, failing(), append=True)
    assert read_jsonl(path) == ReadResult([WINNER, LOSER])


@pytest.mark.parametrize("cut", [1, 40])
def test_appending_after_a_crash(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "rollouts.jsonl"
    write_jsonl(path, [WINNER, LOSER])
    path.write_bytes(path.read_bytes()[:-cut])  # cut == 1: only the newline is missing
    write_jsonl(path, [WINNER], append=True)
    result = read_jsonl(path)
    if cut == 1:
        assert result == ReadResult([WINNER, LOSER, WINNER])
    else:
        assert result.trajectories == (WINNER, WINNER)
        assert [problem.line_number for problem in result.problems] == [2]


def test_the_file_has_the_default_mode(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [WINNER])
    (tmp_path / "b").touch()
    assert (tmp_path / "a.jsonl").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_line_without_an_end_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentgym_hindsight.hindsight.jsonl._LONGEST_LINE", 5_000)
    path = tmp_path / "rollouts.jsonl"
    write_jsonl(path, [LOSER])
    good = path.read_bytes()
    assert len(good) < 5_000
    path.write_bytes(good + b"x" * 20_000 + b"\n" + good + b"y" * 5_000)  # the last line has the largest size
    result = read_jsonl(path)
    assert result.trajectories == (LOSER, LOSER)
    assert [problem.line_number for problem in result.problems] == [2, 4]
    assert result.problems[0].cause == "Expected at most 5,000 bytes on the line, got more."
    assert "JSON" in result.problems[1].cause
    with pytest.raises(SchemaError, match="line 2: Expected at most 5,000 bytes"):
        list(read_jsonl(path, strict=True))
