"""A calendar. Two events never overlap."""

from __future__ import annotations

from typing import Any

from agentgym_hindsight.envs.bfcl.embedded.clock import clock_text, minutes_of, valid_day
from agentgym_hindsight.envs.bfcl.embedded.functions import Api, RefusedError
from agentgym_hindsight.envs.bfcl.embedded.identifiers import new_id
from agentgym_hindsight.envs.bfcl.embedded.records import Record, Records
from agentgym_hindsight.short_repr import short_repr

__all__ = ["DAY_BEGINS", "DAY_ENDS", "DIARY", "EVENTS", "event_id"]

DIARY = Api("Diary")
EVENTS = "diary.events"
#: The hours in which events can be, in minutes since midnight.
DAY_BEGINS, DAY_ENDS = 8 * 60, 20 * 60
_ID, _DAY, _START = "The event's id", "Such as 2027-03-01", "Such as 09:30"
_MOST_PEOPLE, _MOST_EVENTS = 20, 1_000


def event_id(records: Records, title: str, day: str, start: str) -> str:
    """The id of a new event."""
    return new_id("EV", {key for key, _ in records.rows(EVENTS)}, title, day, start)


def _event(records: Records, name: str) -> Record:
    record = records.get(EVENTS, name)
    if record is None:
        raise RefusedError(f"there is no event {short_repr(name, 60)}")
    return record


def _shown(name: str, record: Record) -> dict[str, Any]:
    end = clock_text(minutes_of(record["start"]) + record["minutes"])
    return {"event_id": name, "title": record["title"], "day": record["day"], "start": record["start"], "end": end}


def _of_day(records: Records, day: str) -> list[tuple[str, Record]]:
    found = [(name, record) for name, record in records.rows(EVENTS) if record["day"] == day]
    return sorted(found, key=lambda row: str(row[1]["start"]))


def _free_place(records: Records, day: str, start: str, minutes: int, own: str = "") -> None:
    """Raises :class:`RefusedError` if something else is in the diary at this time."""
    begin = minutes_of(start)
    if not 5 <= minutes <= 480:
        raise RefusedError(f"an event lasts 5 to 480 minutes, got {minutes}")
    if begin < DAY_BEGINS or begin + minutes > DAY_ENDS:
        raise RefusedError(f"events are between {clock_text(DAY_BEGINS)} and {clock_text(DAY_ENDS)}")
    for name, other in _of_day(records, day):
        other_begin = minutes_of(other["start"])
        if name != own and begin < other_begin + other["minutes"] and other_begin < begin + minutes:
            shown = f"{short_repr(other['title'], 60)} ({name}, {other['start']}, {other['minutes']} minutes)"
            raise RefusedError(f"it would overlap with {shown}")


@DIARY.function("List the events of a day.", day=_DAY)
def list_events(records: Records, day: str) -> dict[str, Any]:
    return {"events": [_shown(name, record) for name, record in _of_day(records, valid_day(day))]}


@DIARY.function("Find the events whose titles contain a text.", text="The text, in any case")
def find_events(records: Records, text: str) -> dict[str, Any]:
    wanted = text.casefold()
    found = [(name, record) for name, record in records.rows(EVENTS) if wanted in record["title"].casefold()]
    found.sort(key=lambda row: (row[1]["day"], row[1]["start"]))
    return {"events": [_shown(*row) for row in found[:50]], "more": max(0, len(found) - 50)}


@DIARY.function("Show an event with its place and people.", event_id=_ID)
def show_event(records: Records, event_id: str) -> dict[str, Any]:
    record = _event(records, event_id)
    return {**_shown(event_id, record), "place": record["place"], "people": record["people"]}


@DIARY.function(
    "Put an event into the diary.",
    title="What it is",
    day=_DAY,
    start=_START,
    minutes="How long it lasts",
    place="Where it is",
)
def add_event(records: Records, title: str, day: str, start: str, minutes: int = 60, place: str = "") -> dict[str, Any]:
    day = valid_day(day)
    _free_place(records, day, start, minutes)
    if sum(1 for _ in records.rows(EVENTS)) >= _MOST_EVENTS:
        raise RefusedError(f"the diary is full: it has {_MOST_EVENTS} events")
    name = event_id(records, title, day, start)
    record = {"title": title, "day": day, "start": start, "minutes": minutes, "place": place, "people": []}
    records.put(EVENTS, name, record)
    return {"event_id": name}


@DIARY.function("Move an event to another day or time.", event_id=_ID, day=_DAY, start=_START)
def move_event(records: Records, event_id: str, day: str, start: str) -> dict[str, Any]:
    record, day = _event(records, event_id), valid_day(day)
    _free_place(records, day, start, record["minutes"], event_id)
    own = records.edit(EVENTS, event_id)
    own["day"], own["start"] = day, start
    return {"moved": event_id, "day": day, "start": start}


@DIARY.function("Change how long an event lasts.", event_id=_ID, minutes="The minutes")
def set_length(records: Records, event_id: str, minutes: int) -> dict[str, Any]:
    record = _event(records, event_id)
    _free_place(records, record["day"], record["start"], minutes, event_id)
    records.edit(EVENTS, event_id)["minutes"] = minutes
    return {"changed": event_id, "minutes": minutes}


@DIARY.function("Change where an event is.", event_id=_ID, place="The place")
def set_place(records: Records, event_id: str, place: str) -> dict[str, Any]:
    _event(records, event_id)
    records.edit(EVENTS, event_id)["place"] = place
    return {"changed": event_id, "place": place}


@DIARY.function("Invite a person to an event.", event_id=_ID, person="Full name")
def invite_person(records: Records, event_id: str, person: str) -> dict[str, Any]:
    record = _event(records, event_id)
    if person in record["people"]:
        raise RefusedError(f"{short_repr(person, 60)} is already invited to {event_id}")
    if len(record["people"]) >= _MOST_PEOPLE:
        raise RefusedError(f"an event has at most {_MOST_PEOPLE} people")
    people = records.edit(EVENTS, event_id)["people"]
    people.append(person)
    people.sort()
    return {"event_id": event_id, "people": list(people)}


@DIARY.function("Take a person off the list of an event.", event_id=_ID, person="Full name")
def uninvite_person(records: Records, event_id: str, person: str) -> dict[str, Any]:
    record = _event(records, event_id)
    if person not in record["people"]:
        raise RefusedError(f"{short_repr(person, 60)} is not invited to {event_id}")
    records.edit(EVENTS, event_id)["people"].remove(person)
    return {"event_id": event_id, "people": [each for each in record["people"] if each != person]}


@DIARY.function("Take an event out of the diary.", event_id=_ID)
def cancel_event(records: Records, event_id: str) -> dict[str, Any]:
    _event(records, event_id)
    records.remove(EVENTS, event_id)
    return {"cancelled": event_id}


@DIARY.function("List the free times of a day that are long enough.", day=_DAY, minutes="How many minutes are needed")
def free_times(records: Records, day: str, minutes: int) -> dict[str, Any]:
    gaps, begin = [], DAY_BEGINS
    for _, record in _of_day(records, valid_day(day)):
        start = minutes_of(record["start"])
        gaps.append((begin, start))
        begin = start + record["minutes"]
    gaps.append((begin, DAY_ENDS))
    free = [(low, high) for low, high in gaps if high - low >= max(minutes, 1)]
    return {"free": [{"from": clock_text(low), "to": clock_text(high)} for low, high in free]}
