"""Errands about the board of cards."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentgym_hindsight.envs.bfcl.embedded.apis.board import CARDS, COLUMNS
from agentgym_hindsight.envs.bfcl.embedded.clock import day_after, spoken_day
from agentgym_hindsight.envs.bfcl.embedded.records import Record
from agentgym_hindsight.envs.bfcl.embedded.story import Errand, Story

__all__ = ["BOARD_ERRANDS", "a_card"]


def a_card(story: Story) -> tuple[str, Record]:
    """A card. The agent has to find its id by its title."""
    key, record = story.record(CARDS)
    story.call("find_cards", text=record["title"])
    return key, dict(record)


def add_card(story: Story) -> Errand:
    known = {record["title"] for _, record in story.rows(CARDS)}
    title, points = story.name("card"), 2 + story.draws.below(12)
    while title in known:
        title = story.name("card")
    story.call("add_card", title=title, points=points)
    return story.say(
        f"Add a card '{title}' with {points} points.",
        f"Please put '{title}' on the board, {points} points.",
        f"We have to do this: '{title}'. Make a card of {points} points.",
        vague=("Please add a card to the board.", "There is something new to do. Make a card."),
        detail=(f"'{title}', {points} points.", f"Its title is '{title}' and it has {points} points."),
        hold="add_card",
    )


def move_card(story: Story) -> Errand:
    key, record = a_card(story)
    column = story.pick([each for each in COLUMNS if each != record["column"]])
    story.call("move_card", card_id=key, column=column)
    return story.say(
        f"Move the card '{record['title']}' to '{column}'.",
        f"Please put '{record['title']}' into the column '{column}'.",
        f"The card '{record['title']}' belongs in '{column}'.",
        vague=(f"Move the card '{record['title']}'.", f"Please put '{record['title']}' into another column."),
        detail=(f"Into '{column}'.", f"To '{column}', please."),
        hold="move_card",
    )


def assign_card(story: Story) -> Errand:
    (key, record), person = a_card(story), story.name("person")
    story.call("assign_card", card_id=key, person=person)
    return story.say(
        f"{person} does '{record['title']}'. Please assign the card.",
        f"Assign the card '{record['title']}' to {person}.",
        f"Make {person} the owner of '{record['title']}'.",
        vague=(f"Assign the card '{record['title']}'.", f"'{record['title']}' needs another owner."),
        detail=(f"To {person}.", f"{person} does it."),
        hold="assign_card",
    )


def set_due(story: Story) -> Errand:
    (key, record), day = a_card(story), day_after(60 + story.draws.below(200))
    story.call("set_due", card_id=key, day=day)
    when = day if story.exact else story.pick((day, spoken_day(day)))
    return story.say(
        f"'{record['title']}' has to be done by {when}. Note the day on the card.",
        f"Set the due day of the card '{record['title']}' to {when}.",
        f"Please note {when} as the due day of '{record['title']}'.",
        vague=(f"Set the due day of the card '{record['title']}'.", f"'{record['title']}' needs a due day."),
        detail=(f"It is {when}.", f"By {when}."),
        hold="set_due",
    )


def set_points(story: Story) -> Errand:
    key, record = a_card(story)
    points = 14 + story.draws.below(60)
    story.call("set_points", card_id=key, points=points)
    return story.say(
        f"'{record['title']}' is more work: {points} points. Change the card.",
        f"Set the points of '{record['title']}' to {points}.",
        f"Please give the card '{record['title']}' {points} points.",
        vague=(f"Change the points of '{record['title']}'.", f"'{record['title']}' is more work than we thought."),
        detail=(f"It has {points} points.", f"{points} points."),
        hold="set_points",
    )


def tag_card(story: Story) -> Errand:
    key, record = a_card(story)
    tag = story.pick(("urgent", "blocked", "outside", "paid", "question", "spring", "volunteers", "paper"))
    story.call("tag_card", card_id=key, tag=tag)
    return story.say(
        f"Put the tag '{tag}' on the card '{record['title']}'.",
        f"Please tag '{record['title']}' with '{tag}'.",
        f"The card '{record['title']}' gets the tag '{tag}'.",
        vague=(f"Put a tag on the card '{record['title']}'.", f"Please tag '{record['title']}'."),
        detail=(f"The tag is '{tag}'.", f"With '{tag}'."),
        hold="tag_card",
    )


def ask_card(story: Story) -> Errand:
    key, record = a_card(story)
    story.ask("show_card", card_id=key)
    return story.say(
        f"Who does '{record['title']}', and how many points is it?",
        f"Show me the card '{record['title']}'.",
        f"When is '{record['title']}' due?",
        vague=("Show me a card.", "When is the card due?"),
        detail=(f"I mean '{record['title']}'.", f"The card '{record['title']}'."),
        hold="show_card",
    )


def ask_counts(story: Story) -> Errand:
    story.ask("count_cards")
    owner = story.name("person")
    return story.say(
        f"I am {owner}. How many cards and points are in each column?",
        f"{owner} here. Count the cards of all columns.",
        f"This is {owner}: how full is each column of the board?",
    )


BOARD_ERRANDS: Mapping[str, Callable[[Story], Errand]] = {
    "add_card": add_card,
    "ask_counts": ask_counts,
    "ask_card": ask_card,
    "move_card": move_card,
    "assign_card": assign_card,
    "set_due": set_due,
    "set_points": set_points,
    "tag_card": tag_card,
}
