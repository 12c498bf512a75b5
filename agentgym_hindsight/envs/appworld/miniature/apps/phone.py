"""The phone app: contacts, text messages, voice mails, alarms."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Annotated, Literal

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.accounts import add_account_apis
from agentgym_hindsight.envs.appworld.miniature.api import App, Call, matches, newest, view
from agentgym_hindsight.envs.appworld.miniature.parameter_types import Clock, Day, Email, Line, Query, Rule, Text
from agentgym_hindsight.envs.appworld.miniature.schema import NOW, Row, Table

__all__ = ["APP"]

Number = Annotated[
    str, Rule("a phone number of 7 digits", lambda value: len(value) == 7 and value.isascii() and value.isdigit())
]
Weekday = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

APP = App(
    "phone",
    "Contacts and how you are related to them, text messages, voice mails and alarms.",
    Table(
        "phone_contacts",
        id=int,
        owner=str,
        name=str,
        phone_number=str,
        email=(str, ""),
        relationships=(list, []),
        birthday=(str, ""),
        address=(str, ""),
    ),
    Table("phone_messages", id=int, sender=str, receiver=str, text=str, sent_at=(str, NOW), read=(bool, False)),
    Table("phone_voicemails", id=int, owner=str, caller=str, transcript=str, seconds=int, left_at=str, heard=bool),
    Table("phone_alarms", id=int, owner=str, time=str, days=(list, []), label=(str, ""), enabled=(bool, True)),
)
add_account_apis(APP)

_CONTACT = {
    "contact_id": int,
    "name": str,
    "phone_number": str,
    "email": str,
    "relationships": [str],
    "birthday": str,
    "address": str,
}
_MESSAGE = {"message_id": int, "sender": str, "receiver": str, "text": str, "sent_at": str, "read": bool}
_VOICEMAIL = {"voicemail_id": int, "caller": str, "transcript": str, "seconds": int, "left_at": str, "heard": bool}
_ALARM = {"alarm_id": int, "time": str, "days": [str], "label": str, "enabled": bool}


@APP.read({"now": str, "weekday": str}, login=False)
def show_time(call: Call) -> Row:
    """The present date, time and weekday in Hamlet."""
    return {"now": call.db.now, "weekday": f"{datetime.fromisoformat(call.db.now):%A}"}


def _contact(row: Row) -> Row:
    return view(row, _CONTACT, contact_id=row["id"])


@APP.read([_CONTACT], paged=True)
def show_contacts(call: Call, query: Query = "", relationship: Line | None = None) -> list[Row]:
    """Your contacts by name.

    query: words that must all occur in name, number, email or address
    relationship: only such contacts; see show_relationships
    """
    rows = call.db.rows("phone_contacts", owner=call.user)
    return [
        _contact(row)
        for row in sorted(rows, key=lambda row: (row["name"], row["id"]))
        if matches(query, row["name"], row["phone_number"], row["email"], row["address"])
        and (relationship is None or relationship in row["relationships"])
    ]


@APP.read(_CONTACT)
def show_contact(call: Call, contact_id: int) -> Row:
    """One contact."""
    return _contact(call.own_row("phone_contacts", "contact", contact_id))


@APP.read([{"relationship": str, "contacts": int}])
def show_relationships(call: Call) -> list[Row]:
    """The kinds of relationship among your contacts, and how many contacts are of each."""
    kinds = [kind for row in call.db.rows("phone_contacts", owner=call.user) for kind in row["relationships"]]
    return [{"relationship": kind, "contacts": contacts} for kind, contacts in sorted(Counter(kinds).items())]


@APP.write({"message": str, "contact_id": int})
def add_contact(
    call: Call,
    name: Line,
    phone_number: Number,
    email: Email | None = None,
    relationships: list[Line] | None = None,
    birthday: Day | None = None,
    address: Line | None = None,
) -> Row:
    """Add a contact."""
    if call.db.find("phone_contacts", owner=call.user, phone_number=phone_number):
        raise ApiFailure(409, f"You have a contact with the number {phone_number} already.")
    contact_id = call.db.insert(
        "phone_contacts",
        owner=call.user,
        name=name,
        phone_number=phone_number,
        email=email or "",
        relationships=sorted(set(relationships or [])),
        birthday=birthday or "",
        address=address or "",
    )
    return {"message": f"Added {name}.", "contact_id": contact_id}


@APP.write({"message": str, "contact_id": int})
def update_contact(
    call: Call,
    contact_id: int,
    name: Line | None = None,
    phone_number: Number | None = None,
    email: Email | None = None,
    relationships: list[Line] | None = None,
    birthday: Day | None = None,
    address: Line | None = None,
) -> Row:
    """Change a contact; what is not given stays.

    relationships: all of them, in place of the ones before
    """
    row = call.own_row("phone_contacts", "contact", contact_id)
    given = {
        "name": name,
        "phone_number": phone_number,
        "email": email,
        "relationships": None if relationships is None else sorted(set(relationships)),
        "birthday": birthday,
        "address": address,
    }
    if phone_number is not None:
        other = call.db.find("phone_contacts", owner=call.user, phone_number=phone_number)
        if other is not None and other["id"] != contact_id:
            raise ApiFailure(409, f"The number {phone_number} is {other['name']}'s, contact {other['id']}.")
    call.db.update("phone_contacts", row, **{name: value for name, value in given.items() if value is not None})
    return {"message": f"Changed {row['name']}.", "contact_id": contact_id}


@APP.write({"message": str})
def delete_contact(call: Call, contact_id: int) -> Row:
    """Delete a contact."""
    row = call.own_row("phone_contacts", "contact", contact_id)
    call.db.delete("phone_contacts", row)
    return {"message": f"Deleted {row['name']}."}


# -- text messages ----------------------------------------------------------------------------------------------


def _own_number(call: Call) -> str:
    return str(call.db.row("system_people", email=call.user)["phone_number"])


def _messages(call: Call) -> list[Row]:
    own_number = _own_number(call)
    rows = [*call.db.rows("phone_messages", sender=own_number), *call.db.rows("phone_messages", receiver=own_number)]
    return newest(rows, "sent_at")


def _message(call: Call, message_id: int) -> Row:
    row = call.db.find("phone_messages", id=message_id)
    if row is None:
        raise ApiFailure(404, f"There is no message with message_id {message_id}.")
    if _own_number(call) not in (row["sender"], row["receiver"]):
        raise ApiFailure(403, f"The message {message_id} is not yours.")
    return row


@APP.read([_MESSAGE], paged=True)
def show_messages(
    call: Call,
    phone_number: Number | None = None,
    query: Query = "",
    read: bool | None = None,
    since: Day | None = None,
    until: Day | None = None,
) -> list[Row]:
    """Text messages you sent or got, newest first.

    phone_number: only with this number
    query: words that must all occur in the text
    read: only read ones (true) or unread ones (false)
    since: only sent on this day or later
    until: only sent on this day or earlier
    """
    return [
        view(row, _MESSAGE, message_id=row["id"])
        for row in _messages(call)
        if (phone_number is None or phone_number in (row["sender"], row["receiver"]))
        and matches(query, row["text"])
        and (read is None or row["read"] == read)
        and (since is None or row["sent_at"][:10] >= since)
        and (until is None or row["sent_at"][:10] <= until)
    ]


@APP.read([{"phone_number": str, "name": str, "messages": int, "last_at": str}], paged=True)
def show_conversations(call: Call) -> list[Row]:
    """With whom you exchange text messages, latest first."""
    own_number, conversations = _own_number(call), dict[str, Row]()
    for row in _messages(call):
        other = row["receiver"] if row["sender"] == own_number else row["sender"]
        if other not in conversations:
            contact = call.db.find("phone_contacts", owner=call.user, phone_number=other)
            name = contact["name"] if contact else ""
            conversations[other] = {"phone_number": other, "name": name, "messages": 0, "last_at": row["sent_at"]}
        conversations[other]["messages"] += 1
    return list(conversations.values())


@APP.write({"message": str, "message_id": int})
def send_message(call: Call, phone_number: Number, text: Text) -> Row:
    """Send a text message."""
    own_number = _own_number(call)
    if call.db.find("system_people", phone_number=phone_number) is None:
        raise ApiFailure(404, f"Nobody in Hamlet has the phone number {phone_number}.")
    if phone_number == own_number:
        raise ApiFailure(409, f"{phone_number} is your own number.")
    if not text.strip():
        raise ApiFailure(422, "Expected text with at least one character, got none.")
    message_id = call.db.insert("phone_messages", sender=own_number, receiver=phone_number, text=text)
    return {"message": f"Sent to {phone_number}.", "message_id": message_id}


@APP.write({"message": str})
def mark_message_read(call: Call, message_id: int, read: bool = True) -> Row:
    """Mark a text message you got as read.

    read: false marks it as unread
    """
    row = _message(call, message_id)
    if row["receiver"] != _own_number(call):
        raise ApiFailure(403, f"You sent message {message_id}; only who got it can mark it.")
    call.db.update("phone_messages", row, read=read)
    return {"message": f"Marked as {'read' if read else 'unread'}."}


@APP.write({"message": str})
def delete_message(call: Call, message_id: int) -> Row:
    """Delete a text message you sent, for both of you."""
    row = _message(call, message_id)
    if row["sender"] != _own_number(call):
        raise ApiFailure(403, f"You did not send message {message_id}; only who sent it can delete it.")
    call.db.delete("phone_messages", row)
    return {"message": "Deleted."}


# -- voice mails ------------------------------------------------------------------------------------------------


@APP.read([_VOICEMAIL], paged=True)
def show_voicemails(call: Call, caller: Number | None = None, heard: bool | None = None) -> list[Row]:
    """Voice mails others left, newest first, written down.

    caller: only from this number
    heard: only heard ones (true) or new ones (false)
    """
    return [
        view(row, _VOICEMAIL, voicemail_id=row["id"])
        for row in newest(call.db.rows("phone_voicemails", owner=call.user), "left_at")
        if caller in (None, row["caller"]) and (heard is None or row["heard"] == heard)
    ]


@APP.write({"message": str})
def mark_voicemail_heard(call: Call, voicemail_id: int, heard: bool = True) -> Row:
    """Mark a voice mail as heard.

    heard: false marks it as new
    """
    call.db.update("phone_voicemails", call.own_row("phone_voicemails", "voicemail", voicemail_id), heard=heard)
    return {"message": f"Marked as {'heard' if heard else 'new'}."}


@APP.write({"message": str})
def delete_voicemail(call: Call, voicemail_id: int) -> Row:
    """Delete a voice mail."""
    call.db.delete("phone_voicemails", call.own_row("phone_voicemails", "voicemail", voicemail_id))
    return {"message": "Deleted."}


# -- alarms -----------------------------------------------------------------------------------------------------

_WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@APP.read([_ALARM], paged=True)
def show_alarms(call: Call, enabled: bool | None = None) -> list[Row]:
    """Your alarms by time of day.

    enabled: only those switched on (true) or off (false)
    """
    rows = call.db.rows("phone_alarms", owner=call.user)
    return [
        view(row, _ALARM, alarm_id=row["id"])
        for row in sorted(rows, key=lambda row: (row["time"], row["id"]))
        if enabled is None or row["enabled"] == enabled
    ]


@APP.write({"message": str, "alarm_id": int})
def create_alarm(
    call: Call, time: Clock, days: list[Weekday] | None = None, label: Line | None = None, enabled: bool = True
) -> Row:
    """Set an alarm.

    time: time of day
    days: weekdays on which it rings; once where none is given
    """
    alarm_id = call.db.insert(
        "phone_alarms",
        owner=call.user,
        time=time,
        days=_sorted_weekdays(days or []),
        label=label or "",
        enabled=enabled,
    )
    return {"message": f"Alarm set for {time}.", "alarm_id": alarm_id}


@APP.write({"message": str, "alarm_id": int})
def update_alarm(
    call: Call,
    alarm_id: int,
    time: Clock | None = None,
    days: list[Weekday] | None = None,
    label: Line | None = None,
    enabled: bool | None = None,
) -> Row:
    """Change an alarm, or switch it on or off; what is not given stays."""
    row = call.own_row("phone_alarms", "alarm", alarm_id)
    given = {
        "time": time,
        "days": None if days is None else _sorted_weekdays(days),
        "label": label,
        "enabled": enabled,
    }
    call.db.update("phone_alarms", row, **{name: value for name, value in given.items() if value is not None})
    return {"message": "Alarm changed.", "alarm_id": alarm_id}


@APP.write({"message": str})
def delete_alarm(call: Call, alarm_id: int) -> Row:
    """Delete an alarm."""
    call.db.delete("phone_alarms", call.own_row("phone_alarms", "alarm", alarm_id))
    return {"message": "Deleted."}


def _sorted_weekdays(days: list[Weekday]) -> list[str]:
    return [day for day in _WEEK if day in days]
