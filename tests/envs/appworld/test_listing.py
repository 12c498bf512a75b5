"""Lists of Hamlet's tasks: made without a snapshot of each world."""

from __future__ import annotations

import pytest

from agentgym_hindsight.envs.appworld.miniature.library import MiniatureLibrary
from agentgym_hindsight.envs.appworld.miniature.tasks import announce, make, templates
from agentgym_hindsight.errors import UnknownNameError, UsageError


def test_a_listed_task_is_the_one_that_is_played() -> None:
    """A list opens each world once for all its tasks: no task may see what another one has written."""
    keys = [(kind.name, number) for number in (0, 1, 39) for kind in templates()]
    listed = list(announce(keys))
    assert list(announce(reversed(keys))) == listed[::-1]
    for each in listed:
        made = make(each.template.name, each.number)
        assert (each.id, each.template, each.instruction) == (made.id, made.template, made.job.instruction)


def test_several_tasks_are_the_same_as_one_by_one() -> None:
    library = MiniatureLibrary(difficulty=2)
    indices = (5, 0, 17)
    assert library.tasks("dev", indices) == [library.task("dev", index) for index in indices]
    assert library.find(library.tasks("train", [7])[0].id) == library.task("train", 7)


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="task template"):
        list(announce([("no_such", 0)]))
    with pytest.raises(UsageError, match="below 80"):
        list(announce([("set_alarm", 80)]))
    with pytest.raises(UsageError, match="an index below"):
        MiniatureLibrary().tasks("dev", [10**6])
