"""What a task template is: a function that builds a task in a world.

A template gets a populated world and a seeded random source. It adds the rows that the task needs to the world, and
returns a :class:`Job`: the instruction, the reference solution, the goal and wrong solutions.

    @template("train", 1)
    def count_notes(world: World, draws: Draws) -> Job:
        '''Count the notes that have a tag.'''
        ...

    TEMPLATES = (count_notes,)

A template module lists its templates in ``TEMPLATES``; ``tasks.py`` lists the modules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from agentgym_hindsight.envs.appworld.miniature.goals import Goal
from agentgym_hindsight.envs.appworld.miniature.world import World
from agentgym_hindsight.envs.draws import SeededDraws
from agentgym_hindsight.errors import UnknownNameError, UsageError

__all__ = ["DIFFICULTIES", "SPLITS", "Draws", "Job", "Template", "template"]

SPLITS = ("train", "dev", "test")
#: 1: one app, one look-up. 2: several apps or several result pages. 3: conditions, sums and several apps.
DIFFICULTIES = (1, 2, 3)


T = TypeVar("T")


class Draws(SeededDraws):
    """The random source of a task: of a template's name and the number of the task."""

    __slots__ = ("name", "number")
    edition = "agentgym-hindsight/hamlet/1"

    def __init__(self, name: str, number: int) -> None:
        super().__init__(name, number)
        self.name, self.number = name, number

    def in_turn(self, items: Sequence[T]) -> T:
        """One of the items, such that the first tasks of a template have each item equally often, in random order.

        Use it for right answers: with :meth:`pick`, one answer would be right for many tasks of a template by chance,
        and an agent that always gives it would win them. It draws nothing from the task's random source.

        >>> sorted(Draws("count", number).in_turn("abc") for number in range(6))
        ['a', 'a', 'b', 'b', 'c', 'c']
        """
        lap, place = divmod(self.number, len(items))
        return SeededDraws(self.edition, "in turn", self.name, lap).sample(items, len(items))[place]


class Job(NamedTuple):
    """What a template returns.

    ``solution`` and each value of ``wrong`` are turns of code. A wrong solution also completes the task, and fails at
    least one check.
    """

    instruction: str
    solution: tuple[str, ...]
    goal: Goal
    wrong: Mapping[str, tuple[str, ...]]


class Template(NamedTuple):
    """A kind of task. It belongs to one split."""

    name: str
    split: str
    difficulty: int
    build: Callable[[World, Draws], Job]
    edition: int = 1  # part of the ids of its tasks; raise it if a template makes other tasks than before


def template(split: str, difficulty: int, *, edition: int = 1) -> Callable[[Callable[[World, Draws], Job]], Template]:
    """Turn a function into a template. The function's name is the category of its tasks and part of their seeds."""
    if split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    if difficulty not in DIFFICULTIES:
        raise UsageError(f"Expected a difficulty of 1, 2 or 3, got {difficulty!r}.")

    def make_template(build: Callable[[World, Draws], Job]) -> Template:
        return Template(build.__name__, split, difficulty, build, edition)

    return make_template
