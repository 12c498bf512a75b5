"""The calendar app: events, invitations with their answers, free times."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.accounts import add_account_apis
from agentgym_hindsight.envs.appworld.miniature.api import App, Call, matches, view
from agentgym_hindsight.envs.appworld.miniature.parameter_types import (
    Clock,
    Day,
    Email,
    Line,
    Moment,
    Query,
    Rule,
    Text,
    quoted,
)
from agentgym_hindsight.envs.appworld.miniature.schema import Row, Table

__all__ = ["APP"]

Answer = Literal["invited", "accepted", "declined"]
Minutes = Annotated[int, Rule("5 to 720", lambda value: 5 <= value <= 720)]

APP = App(
    "calendar",
    "Events of your own and of others who invite you; free time.",
    Table(
        "calendar_events",
        id=int,
        organizer=str,
        title=str,
        starts_at=str,
        ends_at=str,
        location=(str, ""),
        description=(str, ""),
        reminder_minutes=(int, 15),
    ),
    Table("calendar_attendees", key=("event_id", "email"), event_id=int, email=str, status=(str, "invited")),
)
add_account_apis(APP)

_SUMMARY = {
    "event_id": int,
    "title": str,
    "organizer": str,
    "starts_at": str,
    "ends_at": str,
    "location": str,
    "my_status": str,
}
_EVENT = {
    **_SUMMARY,
    "description": str,
    "reminder_minutes": int,
    "attendees": [{"email": str, "status": str}],
}
_SPAN = {"starts_at": str, "ends_at": str}
_CONFIRMATION = {"message": str, "event_id": int}


def _calendar(call: Call, user: str) -> list[Row]:
    """The events that a person organizes or is invited to, with the person's status, ordered by time."""
    events = [{**row, "my_status": "organizer"} for row in call.db.rows("calendar_events", organizer=user)]
    for attendee in call.db.rows("calendar_attendees", email=user):
        event = call.db.find("calendar_events", id=attendee["event_id"])
        if event is not None:
            events.append({**event, "my_status": attendee["status"]})
    return sorted(events, key=lambda row: (row["starts_at"], row["id"]))


def _visible(call: Call, event_id: int) -> Row:
    row = call.db.find("calendar_events", id=event_id)
    if row is None:
        raise ApiFailure(404, f"There is no event with event_id {event_id}.")
    if row["organizer"] == call.user:
        return {**row, "my_status": "organizer"}
    attendee = call.db.find("calendar_attendees", event_id=event_id, email=call.user)
    if attendee is None:
        raise ApiFailure(403, f"You are not invited to event {event_id}.")
    return {**row, "my_status": attendee["status"]}


def _organized(call: Call, event_id: int) -> Row:
    row = _visible(call, event_id)
    if row["my_status"] != "organizer":
        raise ApiFailure(403, f"Event {event_id} is organized by {row['organizer']}; only they can change it.")
    return row


def _check_order(starts_at: str, ends_at: str) -> None:
    if ends_at <= starts_at:
        raise ApiFailure(422, f"Expected ends_at after starts_at, got {starts_at} to {ends_at}.")


@APP.read([_SUMMARY], paged=True)
def show_events(
    call: Call,
    since: Day | None = None,
    until: Day | None = None,
    query: Query = "",
    status: Literal["organizer", "invited", "accepted", "declined"] | None = None,
) -> list[Row]:
    """Your events and those you are invited to, earliest first.

    since: only on this day or later
    until: only on this day or earlier
    query: words that must all occur in title, description or location
    status: only where this is your part in it
    """
    return [
        view(row, _SUMMARY, event_id=row["id"])
        for row in _calendar(call, call.user)
        if (since is None or row["ends_at"][:10] >= since)
        and (until is None or row["starts_at"][:10] <= until)
        and matches(query, row["title"], row["description"], row["location"])
        and status in (None, row["my_status"])
    ]


@APP.read(_EVENT)
def show_event(call: Call, event_id: int) -> Row:
    """An event with its description and who is invited."""
    row = _visible(call, event_id)
    attendees = [
        {"email": attendee["email"], "status": attendee["status"]}
        for attendee in call.db.rows("calendar_attendees", event_id=event_id)
    ]
    return view(row, _EVENT, event_id=event_id, attendees=attendees)


@APP.write(_CONFIRMATION)
def create_event(
    call: Call,
    title: Line,
    starts_at: Moment,
    ends_at: Moment,
    location: Text = "",
    description: Text = "",
    attendees: list[Email] | None = None,
    reminder_minutes: Annotated[int, Rule("0 to 10080", lambda value: 0 <= value <= 10_080)] = 15,
) -> Row:
    """Put an event into your calendar and invite people.

    attendees: email addresses of those invited, without your own
    """
    _check_order(starts_at, ends_at)
    event_id = call.db.insert(
        "calendar_events",
        organizer=call.user,
        title=title,
        starts_at=starts_at,
        ends_at=ends_at,
        location=location,
        description=description,
        reminder_minutes=reminder_minutes,
    )
    for email in dict.fromkeys(attendees or []):
        _invite(call, event_id, email)
    return {"message": f"{quoted(title)} is in your calendar.", "event_id": event_id}


def _invite(call: Call, event_id: int, email: str) -> None:
    call.person(email)
    if email == call.user:
        raise ApiFailure(409, "You organize the event; you need no invitation.")
    if call.db.find("calendar_attendees", event_id=event_id, email=email):
        raise ApiFailure(409, f"{email} is invited already.")
    call.db.insert("calendar_attendees", event_id=event_id, email=email)


@APP.write(_CONFIRMATION)
def update_event(
    call: Call,
    event_id: int,
    title: Line | None = None,
    starts_at: Moment | None = None,
    ends_at: Moment | None = None,
    location: Text | None = None,
    description: Text | None = None,
    reminder_minutes: Annotated[int, Rule("0 to 10080", lambda value: 0 <= value <= 10_080)] | None = None,
) -> Row:
    """Change an event you organize; what is not given stays."""
    row = _organized(call, event_id)
    given: dict[str, Any] = {
        "title": title,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "location": location,
        "description": description,
        "reminder_minutes": reminder_minutes,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    _check_order(starts_at or row["starts_at"], ends_at or row["ends_at"])
    call.db.update("calendar_events", event_id, **changes)
    return {"message": "Event changed.", "event_id": event_id}


@APP.write(_CONFIRMATION)
def delete_event(call: Call, event_id: int) -> Row:
    """Delete an event you organize, for all who are invited."""
    _organized(call, event_id)
    for attendee in call.db.rows("calendar_attendees", event_id=event_id):
        call.db.delete("calendar_attendees", attendee)
    call.db.delete("calendar_events", event_id)
    return {"message": "Event deleted.", "event_id": event_id}


@APP.write(_CONFIRMATION)
def invite_person(call: Call, event_id: int, email: Email) -> Row:
    """Invite somebody to an event you organize."""
    _organized(call, event_id)
    _invite(call, event_id, email)
    return {"message": f"Invited {email}.", "event_id": event_id}


@APP.write(_CONFIRMATION)
def uninvite_person(call: Call, event_id: int, email: Email) -> Row:
    """Take back an invitation to an event you organize."""
    _organized(call, event_id)
    attendee = call.db.find("calendar_attendees", event_id=event_id, email=email)
    if attendee is None:
        raise ApiFailure(404, f"{quoted(email)} is not invited to event {event_id}.")
    call.db.delete("calendar_attendees", attendee)
    return {"message": f"{email} is not invited any more.", "event_id": event_id}


@APP.read([_SUMMARY], paged=True)
def show_invitations(call: Call, status: Answer | None = "invited") -> list[Row]:
    """Events of others you are invited to, earliest first.

    status: invited ones are not answered yet; null shows all
    """
    return [
        view(row, _SUMMARY, event_id=row["id"])
        for row in _calendar(call, call.user)
        if row["my_status"] != "organizer" and status in (None, row["my_status"])
    ]


def _answer(call: Call, event_id: int, status: str) -> Row:
    row = _visible(call, event_id)
    if row["my_status"] == "organizer":
        raise ApiFailure(409, f"You organize event {event_id}; there is no invitation to answer.")
    if row["my_status"] == status:
        raise ApiFailure(409, f"You have {status} the invitation to event {event_id} already.")
    call.db.update("calendar_attendees", (event_id, call.user), status=status)
    return {"message": f"Invitation {status}.", "event_id": event_id}


@APP.write(_CONFIRMATION)
def accept_invitation(call: Call, event_id: int) -> Row:
    """Say that you will come. An earlier refusal is taken back."""
    return _answer(call, event_id, "accepted")


@APP.write(_CONFIRMATION)
def decline_invitation(call: Call, event_id: int) -> Row:
    """Say that you will not come. An earlier acceptance is taken back."""
    return _answer(call, event_id, "declined")


# -- free and busy ----------------------------------------------------------------------------------------------


def _busy(call: Call, user: str, day: str) -> list[tuple[str, str]]:
    """The times of a day at which a person organizes an event or has accepted one. Overlapping times are joined."""
    begin, end = f"{day}T00:00:00", f"{_next(day)}T00:00:00"
    joined: list[tuple[str, str]] = []
    for row in _calendar(call, user):
        if row["my_status"] in ("organizer", "accepted") and row["starts_at"] < end and row["ends_at"] > begin:
            span = max(row["starts_at"], begin), min(row["ends_at"], end)
            if joined and span[0] <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(joined[-1][1], span[1])
            else:
                joined.append(span)
    return joined


def _next(day: str) -> str:
    try:
        return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    except OverflowError:
        raise ApiFailure(422, f"Expected day before 9999-12-31, got {day}.") from None


@APP.read([_SPAN])
def show_busy_times(call: Call, email: Email, day: Day) -> list[Row]:
    """When a person, or you, has something in the calendar on a day: only the times, not what it is.

    email: whose calendar
    """
    call.person(email)
    return [{"starts_at": start, "ends_at": end} for start, end in _busy(call, email, day)]


@APP.read([_SPAN])
def find_free_times(
    call: Call, day: Day, minutes: Minutes, earliest: Clock = "09:00", latest: Clock = "18:00"
) -> list[Row]:
    """Stretches of a day in which you have nothing, at least so many minutes long.

    minutes: how long a stretch must be
    earliest: time of day at which to begin looking
    latest: time of day at which to stop
    """
    begin, end = f"{day}T{earliest}:00", f"{day}T{latest}:00"
    if end <= begin:
        raise ApiFailure(422, f"Expected latest after earliest, got {earliest} to {latest}.")
    free: list[Row] = []
    for start, stop in [*_busy(call, call.user, day), (end, end)]:
        start = min(start, end)
        if start > begin and datetime.fromisoformat(start) - datetime.fromisoformat(begin) >= timedelta(
            minutes=minutes
        ):
            free.append({"starts_at": begin, "ends_at": start})
        begin = max(begin, stop)
    return free
