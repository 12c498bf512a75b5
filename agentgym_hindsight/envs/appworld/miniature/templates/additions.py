"""Rows that templates add to a world (people, emails, notes, events), and random dates, times and amounts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from agentgym_hindsight.envs.appworld.miniature.people import CITY, Person
from agentgym_hindsight.envs.appworld.miniature.templates.base import Draws
from agentgym_hindsight.envs.appworld.miniature.wordlists import listed
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = ["add_namesake", "cents", "clock", "day", "past", "put_event", "put_mail", "put_note", "time_at"]

_LAST = listed("Alder Bright Crane Dorn Everly Flint Gale Harrow Ives Kestrel Lorne Moss North Pike Rowan Sparrow")


def day(world: World, offset: int) -> str:
    """The date ``offset`` days from today."""
    return (datetime.fromisoformat(world.now) + timedelta(days=offset)).date().isoformat()


def time_at(world: World, offset: int, at: str, minutes: int = 0) -> str:
    """The time ``minutes`` after ``at`` (such as 07:35), ``offset`` days from today."""
    return (datetime.fromisoformat(f"{day(world, offset)}T{at}:00") + timedelta(minutes=minutes)).isoformat()


def past(world: World, draws: Draws, days: int = 30) -> str:
    """Draw a time in the last ``days`` days."""
    return time_at(world, -1 - draws.below(days), clock(draws, 7, 22, 1))


def clock(draws: Draws, earliest: int, latest: int, step: int = 5) -> str:
    """Draw a time of day between two hours, such as 07:35."""
    return f"{earliest + draws.below(latest - earliest):02}:{step * draws.below(60 // step):02}"


def cents(draws: Draws, low: int, high: int) -> float:
    """Draw an amount of money."""
    return (100 * low + draws.below(100 * (high - low) + 1)) / 100


def add_namesake(world: World, draws: Draws, person: Person) -> Person:
    """Add a person with the same first name to the world and to the supervisor's contacts."""
    taken = {row["last_name"] for row in world.rows("system_people")}
    last = draws.pick([name for name in _LAST if name not in taken])
    numbers = {row["phone_number"] for row in world.rows("system_people")}
    number = draws.pick(
        [f"{5_560_000 + 37 * index}" for index in range(200) if f"{5_560_000 + 37 * index}" not in numbers]
    )
    other = person._replace(
        email=f"{person.first_name}.{last}@hamlet.example".lower(),
        last_name=last,
        phone_number=number,
        street=f"{90 + draws.below(9)} Bellflower Street",
        relationships=("friend",),
    )
    world.insert("system_people", **{**other._asdict(), "relationships": list(other.relationships)})
    world.insert(
        "phone_contacts",
        owner=world.supervisor.email,
        name=other.name,
        phone_number=number,
        email=other.email,
        relationships=list(other.relationships),
        birthday=other.birthday,
        address=f"{other.street}, {CITY}",
    )
    world.insert("payments_accounts", user=other.email, balance=cents(draws, 20, 900))
    world.insert("music_players", user=other.email)
    return other


def put_mail(
    world: World,
    sender: Person,
    subject: str,
    body: str,
    sent_at: str,
    *,
    folder: str = "inbox",
    read: bool = True,
    starred: bool = False,
    labels: Iterable[str] = (),
    to: Sequence[Person] = (),
) -> int:
    """Add an email in a new thread to the supervisor's mailbox and return its id."""
    me = world.supervisor
    return world.insert(
        "mail_emails",
        owner=me.email,
        thread=1 + world.highest("mail_emails", "thread"),
        folder=folder,
        sender=sender.email,
        recipients=[person.email for person in to or (me,)],
        subject=subject,
        body=body,
        sent_at=sent_at,
        read=read,
        starred=starred,
        labels=sorted(labels),
    )


def put_note(world: World, title: str, content: str, created_at: str, *, tags: Iterable[str] = ()) -> int:
    """Add a note of the supervisor and return its id."""
    owner = world.supervisor.email
    return world.insert(
        "notes_notes", owner=owner, title=title, content=content, tags=sorted(tags), created_at=created_at
    )


def put_event(
    world: World,
    organizer: Person,
    title: str,
    starts_at: str,
    minutes: int,
    *guests: tuple[Person, str],
    location: str = "",
) -> int:
    """Add an event and return its id. Each guest has a status: "invited", "accepted" or "declined"."""
    ends_at = (datetime.fromisoformat(starts_at) + timedelta(minutes=minutes)).isoformat()
    number = world.insert(
        "calendar_events",
        organizer=organizer.email,
        title=title,
        starts_at=starts_at,
        ends_at=ends_at,
        location=location,
    )
    for guest, status in guests:
        world.insert("calendar_attendees", event_id=number, email=guest.email, status=status)
    return number
