"""Makes a task from a seed: its world, its messages, and what is wanted after each turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from agentgym_hindsight.envs.bfcl.embedded.apis import APIS, FUNCTIONS
from agentgym_hindsight.envs.bfcl.embedded.names import WorldDraws
from agentgym_hindsight.envs.bfcl.embedded.recipes import ERRANDS, RECIPES, Recipe
from agentgym_hindsight.envs.bfcl.embedded.records import Delta, Tables
from agentgym_hindsight.envs.bfcl.embedded.story import Errand, ImpossibleError, Story
from agentgym_hindsight.envs.bfcl.world import ApiTask
from agentgym_hindsight.envs.tools import ToolCall
from agentgym_hindsight.envs.tools.schemas import FunctionSchema

__all__ = ["CATEGORIES", "MadeTask", "Place", "Wanted", "is_possible", "make_task"]

#: ``base``: plain; ``miss_func``: a function comes a turn late; ``miss_param``: the user forgets a value and gives it a
#: turn later; ``long_context``: a world with much in it.
CATEGORIES = ("base", "miss_func", "miss_param", "long_context")
_MOST_DRAWS = 400
#: Kinds of several turns in which other functions always do as well.
_NO_LATE_FUNCTION = frozenset(("enough_on_hand",))


@dataclass(frozen=True)
class Wanted:
    """What is checked at the end of a turn: the public changes since the beginning, and the results to be seen."""

    delta: Delta
    needed: tuple[str, ...] = ()


@dataclass(frozen=True)
class MadeTask:
    """A task with its world."""

    task: ApiTask
    tables: Tables
    wanted: tuple[Wanted, ...]
    offered: tuple[tuple[str, ...], ...]  # the names of the functions in each turn


@dataclass(frozen=True)
class Place:
    """Where a task is: everything that it is made from."""

    seed: int
    split: str
    recipe: str
    category: str
    number: int

    @property
    def kind(self) -> str:
        """The kind in results."""
        return self.recipe if self.category == "base" else f"{self.recipe}+{self.category}"

    @property
    def text(self) -> str:
        """The place as text."""
        return f"{self.seed}/{self.split}/{self.recipe}/{self.category}/{self.number}"


@dataclass(frozen=True)
class _Turn:
    message: str
    calls: tuple[ToolCall, ...]
    wanted: Wanted
    vague: str = ""
    detail: str = ""
    hold: tuple[str, ...] = ()


_FIRST = ("", "", "Hello. ", "Hi! ")
_NEXT = ("", "Thank you. ", "Good. ", "One more thing: ", "Next: ", "Now this: ", "And another thing: ")
_AND = (" Also: ", " After that: ", " Then: ")
_LATE = ("", "Sorry, I forgot. ", "Oh, I see. ", "Of course: ")
_NEW = (
    "You can call more functions now. Please try again.",
    "I have added to the functions that you can call. Do it now, please.",
    "There is now a function for this, {name}. Please go on.",
    "{name} works now. Please do what I asked for.",
)


def is_possible(recipe: str, category: str) -> bool:
    """Whether a kind of tasks has this category. The draft of a task says it for the kinds of one turn."""
    if category == "long_context":
        return recipe != "sums_session" and recipe not in ERRANDS["Sums"]
    if category == "miss_func" and recipe in _NO_LATE_FUNCTION:
        return False
    if category == "base" or RECIPES[recipe].difficulty != "easy":
        return True
    turn = _drawn(RECIPES[recipe], Place(0, "train", recipe, "base", 0))[1][0]
    return bool(turn.vague if category == "miss_param" else turn.hold)


def make_task(place: Place) -> MadeTask:
    """The task of a place: always the same."""
    story, turns, apis = _drawn(RECIPES[place.recipe], place)
    names = tuple(name for api in apis for name in APIS[api].functions)
    first = len(turns)
    late: tuple[str, ...] = ()
    if place.category in ("miss_func", "miss_param"):
        first, late = _late_turn(turns, place.category)
        turns = _split_turn(turns, first, place.category, story.draws)
    offered = tuple(
        tuple(name for name in names if name not in late) + (late if turn > first else ()) for turn in range(len(turns))
    )
    task = ApiTask(
        place.text,
        place.kind,
        tuple(turn.message for turn in turns),
        tuple(map(_schemas, offered)),
        tuple(turn.calls for turn in turns),
        {"difficulty": RECIPES[place.recipe].difficulty, "category": place.category},
    )
    return MadeTask(task, story.tables, tuple(turn.wanted for turn in turns), offered)


@lru_cache(maxsize=1024)
def _schemas(names: tuple[str, ...]) -> tuple[FunctionSchema, ...]:
    """The schemas of functions: one tuple for all tasks that offer the same functions."""
    return tuple(FUNCTIONS[name].schema for name in names)


def _drawn(recipe: Recipe, place: Place) -> tuple[Story, list[_Turn], tuple[str, ...]]:
    """The first drawn world in which the kind is possible."""
    for attempt in range(_MOST_DRAWS):
        draws = WorldDraws(place.seed, place.split, recipe.name, place.category, place.number, attempt)
        apis = recipe.apis(draws)
        story = Story(apis, place.split, place.category == "long_context", recipe.difficulty == "easy", draws)
        try:
            turns = _play(story, recipe, apis)
            if place.category in ("miss_func", "miss_param"):
                _late_turn(turns, place.category)
        except ImpossibleError:
            continue
        return story, turns, apis
    raise RuntimeError(f"no world was found for {place.text}")  # a test makes tasks of every kind


def _play(story: Story, recipe: Recipe, apis: tuple[str, ...]) -> list[_Turn]:
    turns = []
    for number, makers in enumerate(recipe.turns(story, apis)):
        errands = [story.make(maker) for maker in makers]
        begin = story.draws.pick(_FIRST if number == 0 else _NEXT) if recipe.difficulty != "easy" else ""
        text = begin + errands[0].text
        for errand in errands[1:]:
            text += story.draws.pick(_AND) + errand.text
        calls = tuple(call for errand in errands for call in errand.calls)
        needed = tuple(result for errand in errands for result in errand.needed)
        turn = _Turn(text, calls, Wanted(story.records.public_delta(), needed))
        turns.append(_with_parts(turn, begin, errands[0]) if len(errands) == 1 else turn)
    return turns


def _with_parts(turn: _Turn, begin: str, errand: Errand) -> _Turn:
    vague = begin + errand.vague if errand.vague else ""
    return replace(turn, vague=vague, detail=errand.detail, hold=errand.hold)


def _late_turn(turns: Sequence[_Turn], category: str) -> tuple[int, tuple[str, ...]]:
    """The turn in which something is missing, the last that is possible, and the missing functions."""
    for number in reversed(range(len(turns))):
        turn = turns[number]
        if category == "miss_param" and turn.vague:
            return number, ()
        before = {call.name for other in turns[:number] for call in other.calls}
        if category == "miss_func" and turn.hold and not before.intersection(turn.hold):
            return number, turn.hold
    raise ImpossibleError("nothing can be missing")


def _split_turn(turns: Sequence[_Turn], place: int, category: str, draws: WorldDraws) -> list[_Turn]:
    """The turns, with one of them as two: in the first nothing can be done yet."""
    turn = turns[place]
    unchanged = Wanted(turns[place - 1].wanted.delta if place else {})
    if category == "miss_param":
        first, second = turn.vague, draws.pick(_LATE) + turn.detail
    else:
        first, second = turn.message, draws.pick(_NEW).format(name=" and ".join(turn.hold))
    return [
        *turns[:place],
        _Turn(first, (), unchanged),
        replace(turn, message=second),
        *turns[place + 1 :],
    ]
