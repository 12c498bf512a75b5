"""A board of cards: the work of a team."""

from __future__ import annotations

from typing import Any

from agentgym_hindsight.envs.bfcl.embedded.clock import valid_day
from agentgym_hindsight.envs.bfcl.embedded.functions import Api, RefusedError
from agentgym_hindsight.envs.bfcl.embedded.identifiers import new_id
from agentgym_hindsight.envs.bfcl.embedded.records import Record, Records
from agentgym_hindsight.short_repr import short_repr

__all__ = ["BOARD", "CARDS", "COLUMNS"]

BOARD = Api("Board")
CARDS = "board.cards"
COLUMNS = ("ideas", "next", "doing", "review", "done")
_CARD = "The card's id"
_MOST_CARDS, _MOST_TAGS = 1_000, 20


def _card(records: Records, name: str) -> Record:
    record = records.get(CARDS, name)
    if record is None:
        raise RefusedError(f"there is no card {short_repr(name, 60)}; find_cards gives ids")
    return record


def _listed(rows: list[tuple[str, Record]]) -> dict[str, Any]:
    shown = [{"card_id": key, "title": record["title"], "column": record["column"]} for key, record in rows[:80]]
    return {"cards": shown, "more": max(0, len(rows) - 80)}


@BOARD.function("List the cards of a column.", {"column": COLUMNS}, column="The column")
def list_cards(records: Records, column: str) -> dict[str, Any]:
    return _listed([row for row in records.rows(CARDS) if row[1]["column"] == column])


@BOARD.function("Find cards by a part of their title or of their owner's name.", text="In any case")
def find_cards(records: Records, text: str) -> dict[str, Any]:
    wanted = text.casefold()
    rows = records.rows(CARDS)
    return _listed(
        [row for row in rows if wanted in row[1]["title"].casefold() or wanted in row[1]["owner"].casefold()]
    )


@BOARD.function("Show a card.", card_id=_CARD)
def show_card(records: Records, card_id: str) -> dict[str, Any]:
    return {"card_id": card_id, **_card(records, card_id)}


@BOARD.function("Add a card to the column 'ideas'.", title="What has to be done", points="How much work it is")
def add_card(records: Records, title: str, points: int = 1) -> dict[str, Any]:
    taken = {key for key, _ in records.rows(CARDS)}
    if not title.strip() or not 1 <= points <= 100:
        raise RefusedError(f"a card has a title and 1 to 100 points, got {short_repr(title, 40)} and {points}")
    if len(taken) >= _MOST_CARDS:
        raise RefusedError(f"there are already {_MOST_CARDS} cards")
    key = new_id("C", taken, title, points)
    card = {"title": title, "column": "ideas", "owner": "", "points": points, "due": "", "tags": []}
    records.put(CARDS, key, card)
    return {"card_id": key}


@BOARD.function("Move a card to a column.", {"column": COLUMNS}, card_id=_CARD, column="The column")
def move_card(records: Records, card_id: str, column: str) -> dict[str, Any]:
    card = _card(records, card_id)
    if column in ("doing", "review") and not card["owner"]:
        raise RefusedError(f"{card_id} has no owner: assign it first")
    records.edit(CARDS, card_id)["column"] = column
    return {"card_id": card_id, "column": column}


@BOARD.function("Make a person the owner of a card.", card_id=_CARD, person="Full name")
def assign_card(records: Records, card_id: str, person: str) -> dict[str, Any]:
    _card(records, card_id)
    records.edit(CARDS, card_id)["owner"] = person
    return {"card_id": card_id, "owner": person}


@BOARD.function("Set the day on which a card has to be done.", card_id=_CARD, day="Such as 2027-03-01")
def set_due(records: Records, card_id: str, day: str) -> dict[str, Any]:
    _card(records, card_id)
    records.edit(CARDS, card_id)["due"] = valid_day(day)
    return {"card_id": card_id, "due": day}


@BOARD.function("Change the points of a card.", card_id=_CARD, points="How much work it is, 1 to 100")
def set_points(records: Records, card_id: str, points: int) -> dict[str, Any]:
    _card(records, card_id)
    if not 1 <= points <= 100:
        raise RefusedError(f"a card has 1 to 100 points, got {points}")
    records.edit(CARDS, card_id)["points"] = points
    return {"card_id": card_id, "points": points}


@BOARD.function("Put a tag on a card.", card_id=_CARD, tag="The tag")
def tag_card(records: Records, card_id: str, tag: str) -> dict[str, Any]:
    card = _card(records, card_id)
    if tag in card["tags"] or len(card["tags"]) >= _MOST_TAGS:
        raise RefusedError(f"{card_id} already has the tag {short_repr(tag, 40)}, or {_MOST_TAGS} tags")
    tags = records.edit(CARDS, card_id)["tags"]
    tags.append(tag)
    tags.sort()
    return {"card_id": card_id, "tags": list(tags)}


@BOARD.function("Count the cards and points of each column.")
def count_cards(records: Records) -> dict[str, Any]:
    rows = [record for _, record in records.rows(CARDS)]
    return {
        column: {
            "cards": sum(record["column"] == column for record in rows),
            "points": sum(record["points"] for record in rows if record["column"] == column),
        }
        for column in COLUMNS
    }
