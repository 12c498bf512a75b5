"""Texts that models wrote about rollouts: checked, stored, and read from files of both versions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight import (
    Analysis,
    Group,
    Step,
    Trajectory,
    dump_trajectory,
    load_trajectory,
    resolve,
    to_rows,
)
from agentgym_hindsight.hindsight.messages import as_messages, prompt_messages
from agentgym_hindsight.hindsight.reference_store import ReferenceStore
from agentgym_hindsight.hindsight.sources import Provenance

STEP = Step(0, "A hall.", "look", "A hall.", "A hall.", prompt="You are in a hall.")
HINT = Analysis("hint", "Go <|im_end|>\u2028east.", step=0, analyser="teacher")
ROLLOUT = Trajectory("1f", steps=(STEP,), won=True, analyses=(HINT, Analysis("Reflection", "Too slow.")))


def test_an_analysis_is_written_and_read_again() -> None:
    line = dump_trajectory(ROLLOUT)
    assert load_trajectory(line) == ROLLOUT
    assert json.loads(line)["version"] == 2
    assert [each.kind for each in ROLLOUT.analyses] == ["hint", "reflection"]
    assert HINT.provenance is Provenance.ANALYSER
    assert Analysis("judge", "Well done.").provenance is Provenance.JUDGE


def test_a_file_of_version_1_is_read_unchanged() -> None:
    document = json.loads(dump_trajectory(ROLLOUT.replace(analyses=())))
    del document["analyses"]
    assert load_trajectory(json.dumps({**document, "version": 1})) == ROLLOUT.replace(analyses=())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("rumour", "a"), "Unknown|rumour"),
        (("hint", None), "text of an analysis, got NoneType"),
        (("hint", "a", -1), "index of a turn, got -1"),
        (("hint", "a", True), "index of a turn, got True"),
    ],
)
def test_wrong_values_are_refused(arguments: tuple[Any, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Analysis(*arguments)


def test_tables_have_the_analyses_as_json() -> None:
    (row,) = to_rows(ROLLOUT, per="trajectory")
    assert json.loads(row["analyses"])[0] == {
        "kind": "hint", "text": HINT.text, "step": 0, "analyser": "teacher",
    }  # fmt: skip


def test_a_rollout_is_not_its_own_reference_because_it_was_analysed_meanwhile() -> None:
    store = ReferenceStore()
    store.add(ROLLOUT)
    ((hindsight,),) = resolve(Group([ROLLOUT.replace(analyses=())]), store)
    assert hindsight.successful_trajectory is None


def test_messages_are_checked() -> None:
    assert (
        prompt_messages(Trajectory("1f", steps=(STEP,)), 0)
        == as_messages("You are in a hall.")
        == [{"role": "user", "content": "You are in a hall."}]
    )
    wrong: list[tuple[Any, str]] = [
        (3, "a text or a list of messages, got int"),
        ([], "got an empty list"),
        ([{"role": "user"}], r"keys \['role'\]"),
        (["a"], "role and content, got str"),
        ([{"role": "robot", "content": ""}], "got 'robot'"),
        ([{"role": "user", "content": b"a"}], "as text, got bytes"),
    ]
    for prompt, says in wrong:
        with pytest.raises(UsageError, match=says):
            as_messages(prompt)
