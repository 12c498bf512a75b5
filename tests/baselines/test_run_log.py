"""The folder of a run: what is written, deleted and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.errors import DamagedDataError, UsageError

ABOUT = {
    "recipe": "serl",
    "seed": 0,
    "settings": {"plan": {"updates": 3, "rate": 1e-6}, "temperatures": (0.0, 0.4), "none": None},
    "command": "agh train serl",
    "started": "today",
    "versions": {"torch": "2"},
}


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    log = RunLog(tmp_path / "run")
    log.begin(ABOUT)
    return log


def test_the_description(log: RunLog) -> None:
    document = json.loads((log.folder / "run.json").read_text(encoding="utf-8"))
    assert document["schema"] == "agentgym-hindsight/run"
    assert document["recipe"] == "serl"
    assert document["settings"]["temperatures"] == [0.0, 0.4]
    assert [path.name for path in log.folder.iterdir()] == ["run.json"], "no temporary file is left"


def test_the_same_run_can_be_continued(log: RunLog) -> None:
    log.begin({**ABOUT, "command": "agh train serl --out there", "started": "tomorrow", "versions": {"torch": "3"}})
    log.begin({**ABOUT, "command": "agh train serl", "started": "in a week", "versions": {"torch": "4"}})
    document = json.loads((log.folder / "run.json").read_text())
    assert {key: document.get(key) for key in ("command", "started", "versions")} == {
        key: ABOUT.get(key) for key in ("command", "started", "versions")
    }, "the first description is kept"
    assert [again["started"] for again in document["resumed"]] == ["tomorrow", "in a week"]
    assert document["resumed"][1] == {"command": "agh train serl", "started": "in a week", "versions": {"torch": "4"}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"seed": 1}, "seed was 0 and is 1"),
        ({"recipe": "grpo"}, "recipe was 'serl' and is 'grpo'"),
        (
            {"settings": {**ABOUT["settings"], "plan": {"updates": 3, "rate": 1e-5}}},  # type: ignore[dict-item]
            r"got another one: plan\.rate was 1e-06 and is 1e-05",
        ),
        ({"settings": {"plan": {"updates": 3, "rate": 1e-6}}}, r"another one: (none|temperatures)"),
        ({"backend": "official"}, "backend was None and is 'official'"),
    ],
)
def test_another_run_is_refused(log: RunLog, changes: dict[str, object], expected: str) -> None:
    before = (log.folder / "run.json").read_text()
    with pytest.raises(UsageError, match=expected) as caught:
        log.begin({**ABOUT, **changes})
    assert "--fresh" in str(caught.value)
    assert (log.folder / "run.json").read_text() == before


def test_a_missing_value_and_none_are_equal(log: RunLog) -> None:
    log.begin({**ABOUT, "peft": None})
    log.begin(ABOUT)


def test_check_writes_nothing(log: RunLog) -> None:
    before = (log.folder / "run.json").read_text()
    log.check({**ABOUT, "model": {"name": "tiny:S", "parameters": 0}, "started": "tomorrow"})
    with pytest.raises(UsageError, match="seed was 0 and is 1"):
        log.check({**ABOUT, "seed": 1})
    assert (log.folder / "run.json").read_text() == before
    RunLog(log.folder / "new").check(ABOUT)
    assert not (log.folder / "new").exists()


def test_a_damaged_description(log: RunLog) -> None:
    (log.folder / "run.json").write_text('{"schema": "agent')
    with pytest.raises(DamagedDataError, match=r"run\.json"):
        log.begin(ABOUT)
    (log.folder / "run.json").write_text("[1]")
    with pytest.raises(DamagedDataError, match=r"run\.json"):
        log.begin(ABOUT)


def test_lines_of_three_files(log: RunLog) -> None:
    log.metrics({"update": 0, "loss": 0.5})
    log.evaluation({"update": 0})
    log.sample({"update": 0, "goal": "put a 杯 in shelf 1\u2028now"})
    assert log.read("metrics") == [{"update": 0, "loss": 0.5}]
    assert log.read("eval") == [{"update": 0}]
    assert log.read("samples")[0]["goal"] == "put a 杯 in shelf 1\u2028now", (
        "a line separator inside a text does not end the line"
    )
    assert log.read("nothing") == []


def test_nan_and_infinity_are_written_as_null(log: RunLog) -> None:
    log.metrics(
        {"update": 0, "loss": float("nan"), "deep": [{"x": float("inf")}, (1, -float("inf"))], "n": 3, "yes": True}
    )
    (text,) = (log.folder / "metrics.jsonl").read_text().splitlines()
    assert json.loads(text, parse_constant=pytest.fail) == {
        "update": 0,
        "loss": None,
        "deep": [{"x": None}, [1, None]],
        "n": 3,
        "yes": True,
    }


def test_small_numbers_are_kept(log: RunLog) -> None:
    log.metrics({"update": 0, "learning_rate": 1e-6, "kl": 1.23e-9, "large": 123456.789})
    (line,) = log.read("metrics")
    assert line["learning_rate"] == 1e-6
    assert line["kl"] == pytest.approx(1.23e-9)
    assert line["large"] == 123456.789


def test_an_incomplete_line_is_skipped(log: RunLog) -> None:
    for update in range(3):
        log.metrics({"update": update})
    with (log.folder / "metrics.jsonl").open("a") as file:
        file.write('{"update":3,"loss":0.')
    assert [line["update"] for line in log.read("metrics")] == [0, 1, 2]
    log.cut(3)
    log.metrics({"update": 3})
    assert [line["update"] for line in log.read("metrics")] == [0, 1, 2, 3]
    assert len((log.folder / "metrics.jsonl").read_text().splitlines()) == 4


def test_cut_deletes_the_lines_of_later_updates(log: RunLog) -> None:
    for update in range(4):
        log.metrics({"update": update})
        log.sample({"update": update})
    for update in range(5):  # an evaluation after n updates is numbered n; the update itself n − 1
        log.evaluation({"update": update, "label": "greedy"})
    log.cut(2)
    assert [line["update"] for line in log.read("metrics")] == [0, 1]
    assert [line["update"] for line in log.read("samples")] == [0, 1]
    assert [line["update"] for line in log.read("eval")] == [0, 1, 2]
    log.cut(0)
    assert log.read("metrics") == log.read("samples") == []
    assert [line["update"] for line in log.read("eval")] == [0]


def test_an_inactive_log_writes_nothing(tmp_path: Path, log: RunLog) -> None:
    silent = RunLog(tmp_path / "other", active=False)
    silent.begin(ABOUT)
    silent.metrics({"update": 0})
    silent.cut(0)
    assert not (tmp_path / "other").exists()
    log.metrics({"update": 0})
    beside = RunLog(log.folder, active=False)
    beside.cut(0)
    assert beside.read("metrics") == [{"update": 0}]
    with pytest.raises(UsageError, match="seed"):
        beside.begin({**ABOUT, "seed": 1})


JUDGED = {
    **ABOUT,
    "settings": {"judge": {"base_url": "https://me:s3cret@host/v1", "extra_body": {"api_key": "sk-1"}}},
    "command": "agh train serl --set judge.base_url=https://me:s3cret@host/v1",
}


def test_passwords_are_not_stored(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "judged")
    log.begin(JUDGED)
    log.begin(JUDGED)  # continued
    text = (log.folder / "run.json").read_text(encoding="utf-8")
    assert "https://***@host/v1" in text
    assert "s3cret" not in text
    assert "sk-1" not in text


def test_a_run_of_an_earlier_release_with_a_password_can_be_continued(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "judged")
    log.begin(JUDGED)
    path = log.folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "settings": JUDGED["settings"]}), encoding="utf-8")
    log.check(JUDGED)
    log.begin(JUDGED)
    assert "s3cret" not in path.read_text(encoding="utf-8")


def test_the_difference_of_two_runs_has_no_password(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "judged")
    log.begin(JUDGED)
    with pytest.raises(
        UsageError, match=r"judge.base_url was 'https://\*\*\*@host/v1' and is 'https://\*\*\*@other/v1'"
    ):
        log.check(
            {**JUDGED, "settings": {"judge": {**JUDGED["settings"]["judge"], "base_url": "https://a:b@other/v1"}}}
        )  # type: ignore[dict-item,index]
