"""All references pass, and wrong variants are refused; counts of both."""

from __future__ import annotations

from collections import Counter

import pytest

from agentgym_hindsight.envs.bfcl.backend import ApiBackend
from agentgym_hindsight.envs.bfcl.official import OfficialLibrary
from agentgym_hindsight.envs.bfcl.official.checks import EMPTY, IRRELEVANT
from agentgym_hindsight.envs.bfcl.official.rows import Entry
from tests.bfcl_packages import V3, V4, library


def outcomes(opened: OfficialLibrary, entry: Entry, turns: list[list[str]]) -> list[str]:
    """The failures of a conversation with these calls; [] if it passes."""
    episode = opened.open(entry)
    failures = []
    for turn in turns:
        for text in turn:
            episode.run_text(text)
        check = episode.end_turn()
        if not check.passed:
            failures.append(check.failure)
    return failures


def variants(entry: Entry) -> dict[str, list[list[str]]]:
    """Wrong variants of a reference."""
    answer = [list(turn) for turn in entry.answer]
    last = max(number for number, turn in enumerate(answer) if turn)
    made = {"last turn empty": [turn if number != last else [] for number, turn in enumerate(answer)]}
    made["nothing at all"] = [[] for _ in answer]
    longest = max(range(len(answer)), key=lambda number: len(answer[number]))
    dropped = answer[longest][:-1]
    made["last call of the longest turn dropped"] = [
        turn if number != longest else dropped for number, turn in enumerate(answer)
    ]
    empty = [number for number, turn in enumerate(answer) if not turn]
    if empty:
        extra = answer[last][:1]
        made["a call where none is wanted"] = [extra if number in empty else turn for number, turn in enumerate(answer)]
    return made


@pytest.mark.parametrize("version", [V4, pytest.param(V3, marks=pytest.mark.slow)])
def test_the_checkers_accept_every_reference(version: str) -> None:
    opened = library(version)
    passed = Counter[str]()
    for category in opened.categories:
        for entry in opened.contents.entries(category):
            passed[category] += not outcomes(opened, entry, [list(turn) for turn in entry.answer])
    assert set(passed.values()) == {200}
    assert len(passed) == 4


@pytest.mark.slow
@pytest.mark.parametrize("version", [V4, V3])
def test_the_checkers_refuse_wrong_variants(version: str) -> None:
    opened = library(version)
    refused, made = Counter[str](), Counter[str]()
    for category in opened.categories:
        for entry in opened.contents.entries(category):
            for name, turns in variants(entry).items():
                failures = outcomes(opened, entry, turns)
                made[name] += 1
                refused[name] += bool(failures)
                if name == "nothing at all":
                    assert set(failures) == {EMPTY}
                elif name == "a call where none is wanted":
                    assert IRRELEVANT in failures
    assert made["last turn empty"] == made["nothing at all"] == made["last call of the longest turn dropped"] == 800
    assert refused["last turn empty"] == refused["nothing at all"] == 800
    assert refused["a call where none is wanted"] == made["a call where none is wanted"] == 404

    assert refused["last call of the longest turn dropped"] == 800
    print(dict(made), dict(refused))  # for docs/envs/bfcl.md, with pytest -rP


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["turn", "conversation"])
@pytest.mark.parametrize("version", [V4, V3])
def test_every_reference_wins_as_actions(version: str, limit: str) -> None:
    backend = ApiBackend(library(version), limit=limit)
    won = 0
    for split in backend.library.splits:
        for index in range(backend.count(split)):
            made = backend.demonstration(backend.task(split, index))
            won += made is not None and made.won
            assert made is not None
            assert limit == "turn" or len(made.steps) <= 20
    assert won == 800
