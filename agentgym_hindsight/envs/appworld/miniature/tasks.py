"""Templates and the tasks made from them: a template, a world and a draw make a task, the same on every machine.

A template is a function that gets a populated world and draws, plants what the task needs, and returns the
:class:`Job`: what is asked, how it is done, what its end should look like, and ways to get it wrong.

    @template("train", 1)
    def count_notes(world: World, draws: Draws) -> Job:
        '''How many notes carry a tag.'''
        ...

No template serves two splits. The difficulty is 1 (one app, one look), 2 (some apps, or many pages) or 3 (conditions,
sums, several apps).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from agentgym_hindsight.envs.appworld.miniature.database import Frozen
from agentgym_hindsight.envs.appworld.miniature.goals import Goal
from agentgym_hindsight.envs.appworld.miniature.world import World
from agentgym_hindsight.envs.draws import SeededDraws
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.tasks import content_hash

__all__ = ["PER_TEMPLATE", "SPLITS", "Draws", "Job", "Made", "Template", "make", "template", "templates"]

SPLITS = ("train", "dev", "test")
#: Tasks of each template. A template has to have so many different ones.
PER_TEMPLATE = {"train": 80, "dev": 40, "test": 40}
#: Worlds of each split: nobody who trained has met the people of a test.
_WORLDS = {"train": range(40), "dev": range(1000, 1010), "test": range(2000, 2010)}


class Draws(SeededDraws):
    """The draws of a task."""

    __slots__ = ()
    edition = "agentgym-hindsight/hamlet/1"


class Job(NamedTuple):
    """What a template makes of a world.

    ``solution`` and each way of ``wrong`` are turns of code; a wrong way ends the task too, and fails a check.
    """

    instruction: str
    solution: tuple[str, ...]
    goal: Goal
    wrong: Mapping[str, tuple[str, ...]]


class Template(NamedTuple):
    """A kind of task."""

    name: str
    split: str
    difficulty: int
    build: Callable[[World, Draws], Job]


class Made(NamedTuple):
    """A task with its world: the snapshot to begin at."""

    id: str
    template: Template
    number: int
    job: Job
    frozen: Frozen


_TEMPLATES: dict[str, Template] = {}


def template(split: str, difficulty: int) -> Callable[[Callable[[World, Draws], Job]], Callable[[World, Draws], Job]]:
    """Register a function as a template of a split; its name is the category of its tasks."""
    if split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    if difficulty not in (1, 2, 3):
        raise UsageError(f"Expected a difficulty of 1, 2 or 3, got {difficulty!r}.")

    def register(build: Callable[[World, Draws], Job]) -> Callable[[World, Draws], Job]:
        name = build.__name__
        if name in _TEMPLATES:
            raise UsageError(f"Expected a template of another name, got {name!r} twice.")
        _TEMPLATES[name] = Template(name, split, difficulty, build)
        return build

    return register


def templates(split: str | None = None) -> tuple[Template, ...]:
    """All templates, or those of a split, by name."""
    import agentgym_hindsight.envs.appworld.miniature.templates  # noqa: F401  # registers them

    if split is not None and split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    return tuple(each for _, each in sorted(_TEMPLATES.items()) if split in (None, each.split))


@lru_cache(maxsize=256)  # 0.1 MB each
def make(name: str, number: int) -> Made:
    """Task ``number`` of a template."""
    known = {each.name: each for each in templates()}
    if name not in known:
        raise UnknownNameError("task template", name, known)
    kind = known[name]
    if not 0 <= number < PER_TEMPLATE[kind.split]:
        raise UsageError(f"Expected a number below {PER_TEMPLATE[kind.split]} of {name}, got {number}.")
    draws = Draws(name, number)
    world = World.new(draws.pick(_WORLDS[kind.split]))
    try:
        job = kind.build(world, draws)
        world.set_instruction(job.instruction)
        world.seal()
        frozen = world.freeze()
    finally:
        world.close()
    return Made(content_hash("hamlet/1", name, str(number), job.instruction), kind, number, job, frozen)
