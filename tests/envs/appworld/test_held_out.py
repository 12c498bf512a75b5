"""``held_out="tasks"``: the test split has new tasks of the training templates, under a name of its own."""

from __future__ import annotations

import pytest

from agentgym_hindsight.envs.appworld.miniature.library import MiniatureLibrary
from agentgym_hindsight.errors import UnknownNameError

TEMPLATES = ["ask_the_time", "set_alarm"]


def test_the_splits_share_templates_and_no_task() -> None:
    library = MiniatureLibrary(TEMPLATES, held_out="tasks")
    assert library.name == "miniature/hamlet-known-templates"
    assert library.splits == ("train", "test")
    assert (library.count("train"), library.count("test")) == (120, 40)
    train, test = (library.tasks(split, range(8)) for split in ("train", "test"))
    assert {task.category for task in train} == {task.category for task in test} == set(TEMPLATES)
    assert not {task.id for task in train} & {task.id for task in test}
    assert {task.split for task in train} == {"train"}
    assert {task.split for task in test} == {"test"}
    assert library.find(test[0].id) == test[0]
    assert library.made(test[0]).id == test[0].id


def test_the_default_is_unchanged() -> None:
    library = MiniatureLibrary(TEMPLATES)
    assert library.name == "miniature/hamlet"
    assert library.splits == ("train",)
    assert library.count("train") == 160


def test_an_unknown_value_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="templates"):
        MiniatureLibrary(TEMPLATES, held_out="task")
