"""Errands about the calendar."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentgym_hindsight.envs.bfcl.embedded.apis.diary import EVENTS
from agentgym_hindsight.envs.bfcl.embedded.clock import minutes_of, spoken_day
from agentgym_hindsight.envs.bfcl.embedded.names import TOWNS
from agentgym_hindsight.envs.bfcl.embedded.story import Errand, Story

__all__ = ["DIARY_ERRANDS", "an_event", "free_slots"]


def an_event(story: Story) -> tuple[str, str]:
    """An event's id, and its title as the user says it. The agent has to find the id by the title."""
    rows = story.rows(EVENTS)
    name, record = story.record(
        EVENTS,
        lambda record: sum(record["title"].casefold() in each["title"].casefold() for _, each in rows) == 1,
    )
    story.call("find_events", text=record["title"])
    return name, record["title"]


def free_slots(story: Story, day: str, minutes: int, own: str = "") -> list[str]:
    """The quarters of an hour at which something of this length can begin on a day."""
    taken = [
        (minutes_of(record["start"]), minutes_of(record["start"]) + record["minutes"])
        for name, record in story.rows(EVENTS)
        if record["day"] == day and name != own
    ]
    starts = range(8 * 60, 20 * 60 - minutes + 1, 15)
    return [
        f"{start // 60:02}:{start % 60:02}"
        for start in starts
        if all(start + minutes <= begin or end <= start for begin, end in taken)
    ]


def a_day(story: Story) -> str:
    """A day on which something is in the diary."""
    return str(story.pick([record["day"] for _, record in story.rows(EVENTS)]))


def said(story: Story, day: str) -> str:
    """A day as the user says it."""
    return day if story.exact else story.pick((day, spoken_day(day)))


def add_event(story: Story) -> Errand:
    title, day, minutes = story.name("event"), a_day(story), story.pick((30, 45, 60, 90, 120))
    start = story.pick(free_slots(story, day, minutes))
    story.call("add_event", title=title, day=day, start=start, minutes=minutes)
    when = said(story, day)
    return story.say(
        f"Put '{title}' into my diary on {when} at {start}, for {minutes} minutes.",
        f"Please add '{title}' on {when}: it begins at {start} and lasts {minutes} minutes.",
        f"On {when} at {start} I have '{title}'. It takes {minutes} minutes; note it in the diary.",
        vague=(f"Please put '{title}' into my diary on {when}.", f"I have '{title}' on {when}; note it in the diary."),
        detail=(f"It begins at {start} and lasts {minutes} minutes.", f"At {start}, for {minutes} minutes."),
        hold="add_event",
    )


def cancel_event(story: Story) -> Errand:
    name, title = an_event(story)
    story.call("cancel_event", event_id=name)
    return story.say(
        f"Take '{title}' out of my diary.",
        f"Please cancel '{title}'.",
        f"'{title}' does not take place; cancel it in the diary.",
        vague=("Please cancel something in my diary.", "One of my appointments does not take place. Cancel it."),
        detail=(f"It is '{title}'.", f"'{title}', please."),
        hold="cancel_event",
    )


def move_event(story: Story) -> Errand:
    name, title = an_event(story)
    record = story.records.get(EVENTS, name) or {}
    day = a_day(story)
    start = story.pick([each for each in free_slots(story, day, record["minutes"], name) if each != record["start"]])
    story.call("move_event", event_id=name, day=day, start=start)
    when = said(story, day)
    return story.say(
        f"Move '{title}' to {when} at {start}.",
        f"Please change '{title}': it is now on {when} and begins at {start}.",
        f"'{title}' will take place on {when} at {start}. Please move it.",
        vague=(f"Please move '{title}' to another time.", f"'{title}' has to be moved."),
        detail=(f"It is now on {when} at {start}.", f"Move it to {when}, {start}."),
    )


def invite(story: Story) -> Errand:
    (name, title), person = an_event(story), story.name("person")
    story.call("invite_person", event_id=name, person=person)
    return story.say(
        f"Invite {person} to '{title}'.",
        f"Please put {person} on the list for '{title}'.",
        f"{person} should come to '{title}' as well; invite them.",
        vague=(f"Please invite someone else to '{title}'.", f"One more person comes to '{title}'. Invite them."),
        detail=(f"It is {person}.", f"I mean {person}."),
        hold="invite_person",
    )


def set_place(story: Story) -> Errand:
    name, title = an_event(story)
    place = story.pick([town for town in TOWNS if town != (story.records.get(EVENTS, name) or {})["place"]])
    place = f"{place}, {story.name('room')}"
    story.call("set_place", event_id=name, place=place)
    return story.say(
        f"'{title}' takes place at '{place}'. Please note it.",
        f"Change the place of '{title}' to '{place}'.",
        f"Please note that '{title}' is at '{place}'.",
        vague=(f"Please change the place of '{title}'.", f"'{title}' takes place somewhere else. Please note it."),
        detail=(f"It is at '{place}'.", f"The new place is '{place}'."),
        hold="set_place",
    )


def set_length(story: Story) -> Errand:
    name, title = an_event(story)
    record = story.records.get(EVENTS, name) or {}
    fitting = [
        minutes
        for minutes in (15, 20, 25, 35, 40, 50, 55)
        if minutes != record["minutes"] and record["start"] in free_slots(story, record["day"], minutes, name)
    ]
    minutes = story.pick(fitting)
    story.call("set_length", event_id=name, minutes=minutes)
    return story.say(
        f"'{title}' lasts {minutes} minutes. Please change it.",
        f"Set the length of '{title}' to {minutes} minutes.",
        f"We need {minutes} minutes for '{title}'; change that in the diary.",
        vague=(f"Please change how long '{title}' lasts.", f"The length of '{title}' is wrong, please correct it."),
        detail=(f"It lasts {minutes} minutes.", f"{minutes} minutes are right."),
        hold="set_length",
    )


def uninvite(story: Story) -> Errand:
    rows = story.rows(EVENTS)
    name, record = story.record(
        EVENTS,
        lambda record: (
            bool(record["people"])
            and sum(record["title"].casefold() in each["title"].casefold() for _, each in rows) == 1
        ),
    )
    title, person = record["title"], story.pick(record["people"])
    story.call("find_events", text=title)
    story.call("uninvite_person", event_id=name, person=person)
    return story.say(
        f"{person} does not come to '{title}'. Take them off the list.",
        f"Please take {person} off the list of '{title}'.",
        f"Remove {person} from '{title}'.",
        hold="uninvite_person",
    )


def ask_day(story: Story) -> Errand:
    day = a_day(story)
    story.ask("list_events", day=day)
    when = said(story, day)
    return story.say(
        f"What do I have on {when}?",
        f"List my appointments on {when}.",
        f"What is in the diary for {when}?",
        vague=("What do I have on that day?", "What is in my diary on that day?"),
        detail=(f"On {when}.", f"I mean {when}."),
    )


def ask_free(story: Story) -> Errand:
    day, minutes = a_day(story), story.pick((30, 45, 60, 90, 120))
    story.ask("free_times", day=day, minutes=minutes)
    when = said(story, day)
    return story.say(
        f"When do I have {minutes} free minutes on {when}?",
        f"Which gaps of at least {minutes} minutes are there in my diary on {when}?",
        f"I need {minutes} minutes on {when}. When am I free?",
        vague=(f"When do I have {minutes} free minutes?", f"I need {minutes} minutes. When am I free that day?"),
        detail=(f"On {when}.", f"It is about {when}."),
    )


def ask_event(story: Story) -> Errand:
    name, title = an_event(story)
    story.ask("show_event", event_id=name)
    return story.say(
        f"Where is '{title}', and who comes?",
        f"Who is invited to '{title}'?",
        f"Show me the place and the people of '{title}'.",
        hold="show_event",
    )


DIARY_ERRANDS: Mapping[str, Callable[[Story], Errand]] = {
    "ask_day": ask_day,
    "ask_free": ask_free,
    "add_event": add_event,
    "cancel_event": cancel_event,
    "ask_event": ask_event,
    "invite": invite,
    "uninvite": uninvite,
    "set_place": set_place,
    "set_length": set_length,
    "move_event": move_event,
}
