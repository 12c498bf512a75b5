"""The table of task templates, and the tasks made from them.

A task is a template and a number. The two are the seed of its random source, which draws the world's seed and
everything the template varies, so a task is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from functools import lru_cache
from typing import NamedTuple

from agentgym_hindsight.envs.appworld.miniature.database import Frozen
from agentgym_hindsight.envs.appworld.miniature.templates import (
    calendar,
    days,
    errands,
    files,
    mail,
    music,
    notes,
    payments,
    phone,
    shop,
)
from agentgym_hindsight.envs.appworld.miniature.templates.base import SPLITS, Draws, Job, Template
from agentgym_hindsight.envs.appworld.miniature.world import World
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.tasks import content_hash

__all__ = ["PER_TEMPLATE", "SPLITS", "Announced", "Made", "announce", "by_name", "make", "templates"]

_MODULES = (calendar, days, errands, files, mail, music, notes, payments, phone, shop)

#: Tasks of each template. Every template must be able to make this many different tasks.
PER_TEMPLATE = {"train": 80, "dev": 40, "test": 40}
#: Seeds of the worlds of each split. No world occurs in two splits, so the people of a test world are new to the agent.
_WORLDS = {"train": range(40), "dev": range(1000, 1010), "test": range(2000, 2010)}


class Made(NamedTuple):
    """A task with its world: the snapshot at which an episode starts."""

    id: str
    template: Template
    number: int
    job: Job
    frozen: Frozen


def by_name(listed: Iterable[Template]) -> dict[str, Template]:
    """The templates by name, in alphabetical order. Two templates of one name are an error."""
    table: dict[str, Template] = {}
    for each in listed:
        if each.name in table:
            raise UsageError(f"Expected templates with different names, got {each.name!r} twice; try another name.")
        table[each.name] = each
    return dict(sorted(table.items()))


_TEMPLATES = by_name(each for module in _MODULES for each in module.TEMPLATES)


def templates(split: str | None = None) -> tuple[Template, ...]:
    """All templates, or those of one split, in alphabetical order."""
    if split is not None and split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    return tuple(each for each in _TEMPLATES.values() if split in (None, each.split))


class Announced(NamedTuple):
    """A task without its world: what a list of tasks shows."""

    id: str
    template: Template
    number: int
    instruction: str


def announce(keys: Iterable[tuple[str, int]]) -> Iterator[Announced]:
    """The ids and instructions of several tasks, given by template and number.

    An instruction is known when the task is built. Here each world is opened once for all its tasks, and no snapshot is
    made, so this takes half as long as :func:`make`.
    """
    with ExitStack() as closing_all:
        worlds: dict[int, World] = {}
        for name, number in keys:
            kind, draws = _template(name, number), Draws(name, number)
            seed = draws.pick(_WORLDS[kind.split])
            if seed not in worlds:
                worlds[seed] = closing_all.enter_context(closing(World.new(seed)))
            try:
                instruction = kind.build(worlds[seed], draws).instruction
            finally:
                worlds[seed].reset()
            yield Announced(_id(kind, number, instruction), kind, number, instruction)


def _template(name: str, number: int) -> Template:
    if name not in _TEMPLATES:
        raise UnknownNameError("task template", name, _TEMPLATES)
    kind = _TEMPLATES[name]
    if not 0 <= number < PER_TEMPLATE[kind.split]:
        raise UsageError(f"Expected a number below {PER_TEMPLATE[kind.split]} of {name}, got {number}.")
    return kind


def _id(kind: Template, number: int, instruction: str) -> str:
    return content_hash(f"hamlet/{kind.edition}", kind.name, str(number), instruction)


@lru_cache(maxsize=256)  # 0.1 MB each
def make(name: str, number: int) -> Made:
    """Make task ``number`` of a template."""
    kind, draws = _template(name, number), Draws(name, number)
    world = World.new(draws.pick(_WORLDS[kind.split]))
    try:
        job = kind.build(world, draws)
        world.set_instruction(job.instruction)
        world.seal()
        frozen = world.freeze()
    finally:
        world.close()
    return Made(_id(kind, number, job.instruction), kind, number, job, frozen)
