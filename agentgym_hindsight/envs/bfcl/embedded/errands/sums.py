"""Errands of arithmetic. Who asks is part of the text, so that no two splits have the same task."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentgym_hindsight.envs.bfcl.embedded.apis.sums import UNITS
from agentgym_hindsight.envs.bfcl.embedded.story import Errand, Story

__all__ = ["SUMS_ERRANDS"]


_SPOKEN = {"mile": "miles", "foot": "feet", "pound": "pounds", "ounce": "ounces", "pint": "pints"}


def _numbers(story: Story) -> list[int]:
    """Different numbers, as many as a sum is worth a function."""
    count, draws = 3 + story.draws.below(4), story.draws
    return draws.sample(range(11, 990), count)


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"


def add(story: Story) -> Errand:
    numbers, what = _numbers(story), story.name("paper").replace("_", " ")
    story.ask("add_numbers", numbers=numbers)
    return story.say(
        f"What is the sum of {_listed(numbers)}? It is for the {what}.",
        f"Add up {_listed(numbers)} for the {what}.",
        f"The {what} has the amounts {_listed(numbers)}. How much is that together?",
        vague=(f"Add up the amounts of the {what}.", f"How much is the {what} together?"),
        detail=(f"The numbers are {_listed(numbers)}.", f"{_listed(numbers)}."),
        hold="add_numbers",
    )


def mean(story: Story) -> Errand:
    numbers, what = _numbers(story), story.name("paper").replace("_", " ")
    story.ask("mean_of", numbers=numbers)
    return story.say(
        f"What is the mean of {_listed(numbers)}? It is for the {what}.",
        f"For the {what} I need the average of {_listed(numbers)}.",
        f"Compute the mean of {_listed(numbers)} for the {what}.",
        vague=(f"I need the mean of the numbers in the {what}.", f"Compute the average for the {what}."),
        detail=(f"The numbers are {_listed(numbers)}.", f"{_listed(numbers)}."),
    )


def median(story: Story) -> Errand:
    numbers, what = _numbers(story), story.name("paper").replace("_", " ")
    story.ask("median_of", numbers=numbers)
    return story.say(
        f"What is the median of {_listed(numbers)}? It is for the {what}.",
        f"For the {what} I need the median of {_listed(numbers)}.",
        f"Compute the median of {_listed(numbers)} for the {what}.",
        vague=(f"I need the median of the numbers in the {what}.", f"Compute the median for the {what}."),
        detail=(f"The numbers are {_listed(numbers)}.", f"{_listed(numbers)}."),
        hold="median_of",
    )


def extremes(story: Story) -> Errand:
    numbers, what = _numbers(story), story.name("paper").replace("_", " ")
    story.ask("range_of", numbers=numbers)
    return story.say(
        f"Between which values are {_listed(numbers)}? It is for the {what}.",
        f"The {what} has {_listed(numbers)}: what is the smallest and what is the largest number?",
        f"Give me the smallest and the largest of {_listed(numbers)} for the {what}.",
        hold="range_of",
    )


def percent(story: Story) -> Errand:
    share, number = 2 + story.draws.below(60), 40 + story.draws.below(900)
    what = story.name("paper").replace("_", " ")
    story.ask("percent_of", percent=share, number=number)
    return story.say(
        f"How much is {share} percent of {number}? It is for the {what}.",
        f"For the {what} I need {share} % of {number}.",
        f"The {what} counts {share} percent of {number}. How much is that?",
        vague=(f"For the {what} I need {share} % of a number.", f"How much is {share} percent of the {what}?"),
        detail=(f"Of {number}.", f"The number is {number}."),
    )


def convert(story: Story) -> Errand:
    unit = story.pick(list(UNITS))
    other = story.pick([each for each, (quantity, _) in UNITS.items() if quantity == UNITS[unit][0] and each != unit])
    source, target = _SPOKEN.get(unit, unit), _SPOKEN.get(other, other)
    value, what = 3 + story.draws.below(400), story.name("paper").replace("_", " ")
    story.ask("convert_unit", value=value, unit=unit, to=other)
    return story.say(
        f"Convert {value} {source} to {target} for the {what}.",
        f"The {what} says {value} {source}. How much is that in {target}?",
        f"How many {target} are {value} {source}? It is for the {what}.",
        vague=(
            f"Convert a value in {source} to {target} for the {what}.",
            f"The {what} is in {source}. I need it in {target}.",
        ),
        detail=(f"It says {value} {source}.", f"The value is {value}."),
        hold="convert_unit",
    )


SUMS_ERRANDS: Mapping[str, Callable[[Story], Errand]] = {
    "add": add,
    "mean": mean,
    "median": median,
    "percent": percent,
    "extremes": extremes,
    "convert": convert,
}
