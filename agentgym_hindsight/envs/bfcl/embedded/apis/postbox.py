"""Contacts and messages."""

from __future__ import annotations

from typing import Any

from agentgym_hindsight.envs.bfcl.embedded.functions import Api, RefusedError
from agentgym_hindsight.envs.bfcl.embedded.identifiers import new_id
from agentgym_hindsight.envs.bfcl.embedded.records import Record, Records
from agentgym_hindsight.short_repr import short_repr

__all__ = ["FOLDERS", "MESSAGES", "PEOPLE", "POSTBOX"]

POSTBOX = Api("Postbox")
PEOPLE, MESSAGES = "post.people", "post.messages"
FOLDERS = ("inbox", "sent", "archive", "later")
_MESSAGE, _PERSON = "The message's id", "The person's id"
_MOST = 1_000


def _person(records: Records, name: str) -> Record:
    record = records.get(PEOPLE, name)
    if record is None:
        raise RefusedError(f"there is no person with the id {short_repr(name, 60)}; find_person gives ids")
    return record


def _message(records: Records, name: str) -> Record:
    record = records.get(MESSAGES, name)
    if record is None:
        raise RefusedError(f"there is no message {short_repr(name, 60)}")
    return record


def _sent(records: Records, person_id: str, text: str, about: str = "") -> dict[str, Any]:
    person, taken = _person(records, person_id), {key for key, _ in records.rows(MESSAGES)}
    if not text.strip():
        raise RefusedError("the message is empty")
    if len(taken) >= _MOST:
        raise RefusedError(f"the postbox is full: it has {_MOST} messages")
    name = new_id("MSG", taken, person_id, text, about)
    record = {"from": "me", "to": person["name"], "text": text, "folder": "sent", "star": False, "about": about}
    records.put(MESSAGES, name, record)
    return {"sent": name, "to": person["name"]}


def _listed(rows: list[tuple[str, Record]]) -> dict[str, Any]:
    shown = [
        {"message_id": name, "from": record["from"], "to": record["to"], "text": short_text(record["text"])}
        for name, record in rows[:60]
    ]
    return {"messages": shown, "more": max(0, len(rows) - 60)}


def short_text(text: str) -> str:
    """The beginning of a text."""
    return text if len(text) <= 40 else f"{text[:39]}…"


@POSTBOX.function("Find people by a part of their name.", name="The name or a part of it")
def find_person(records: Records, name: str) -> dict[str, Any]:
    wanted = name.casefold()
    found = [(key, record) for key, record in records.rows(PEOPLE) if wanted in record["name"].casefold()]
    shown = [{"person_id": key, "name": record["name"]} for key, record in found[:30]]
    return {"people": shown, "more": max(0, len(found) - 30)}


@POSTBOX.function("Show a person's phone number and town.", person_id=_PERSON)
def show_person(records: Records, person_id: str) -> dict[str, Any]:
    return {"person_id": person_id, **_person(records, person_id)}


@POSTBOX.function("Add a person.", name="Full name", phone="Phone number", town="Where they live")
def add_person(records: Records, name: str, phone: str, town: str = "") -> dict[str, Any]:
    taken = {key for key, _ in records.rows(PEOPLE)}
    if any(record["name"] == name for _, record in records.rows(PEOPLE)):
        raise RefusedError(f"{short_repr(name, 60)} is already there")
    if not name.strip() or len(taken) >= _MOST:
        raise RefusedError("the name is empty" if not name.strip() else f"there are already {_MOST} people")
    key = new_id("P", taken, name)
    records.put(PEOPLE, key, {"name": name, "phone": phone, "town": town})
    return {"person_id": key}


@POSTBOX.function("Change a person's phone number.", person_id=_PERSON, phone="The new number")
def set_phone(records: Records, person_id: str, phone: str) -> dict[str, Any]:
    _person(records, person_id)
    records.edit(PEOPLE, person_id)["phone"] = phone
    return {"person_id": person_id, "phone": phone}


@POSTBOX.function("Send a message to a person.", person_id=_PERSON, text="The whole text")
def write_message(records: Records, person_id: str, text: str) -> dict[str, Any]:
    return _sent(records, person_id, text)


@POSTBOX.function("Answer a message.", message_id=_MESSAGE, text="The whole text")
def reply_to(records: Records, message_id: str, text: str) -> dict[str, Any]:
    sender = _message(records, message_id)["from"]
    found = [key for key, record in records.rows(PEOPLE) if record["name"] == sender]
    if not found:
        raise RefusedError(f"{message_id} is from {short_repr(sender, 60)}, who cannot be answered")
    return _sent(records, found[0], text, message_id)


@POSTBOX.function("Send a message on to a person.", message_id=_MESSAGE, person_id=_PERSON)
def forward_message(records: Records, message_id: str, person_id: str) -> dict[str, Any]:
    return _sent(records, person_id, _message(records, message_id)["text"], message_id)


@POSTBOX.function("List the messages of a folder.", {"folder": FOLDERS}, folder="The folder")
def list_messages(records: Records, folder: str) -> dict[str, Any]:
    return _listed([row for row in records.rows(MESSAGES) if row[1]["folder"] == folder])


@POSTBOX.function("Find messages by a text in them or by the name of who sent or got them.", text="In any case")
def find_messages(records: Records, text: str) -> dict[str, Any]:
    wanted = text.casefold()
    return _listed(
        [
            row
            for row in records.rows(MESSAGES)
            if any(wanted in str(row[1][part]).casefold() for part in ("text", "from", "to"))
        ]
    )


@POSTBOX.function("Show a whole message.", message_id=_MESSAGE)
def read_message(records: Records, message_id: str) -> dict[str, Any]:
    record = _message(records, message_id)
    return {"message_id": message_id, "from": record["from"], "to": record["to"], "text": record["text"]}


@POSTBOX.function("Set or remove the star of a message.", message_id=_MESSAGE, star="Whether it has a star")
def set_star(records: Records, message_id: str, star: bool) -> dict[str, Any]:
    _message(records, message_id)
    records.edit(MESSAGES, message_id)["star"] = star
    return {"message_id": message_id, "star": star}


@POSTBOX.function("Put a message into a folder.", {"folder": FOLDERS}, message_id=_MESSAGE, folder="The folder")
def file_message(records: Records, message_id: str, folder: str) -> dict[str, Any]:
    _message(records, message_id)
    records.edit(MESSAGES, message_id)["folder"] = folder
    return {"message_id": message_id, "folder": folder}


@POSTBOX.function("Delete a message.", message_id=_MESSAGE)
def remove_message(records: Records, message_id: str) -> dict[str, Any]:
    _message(records, message_id)
    records.remove(MESSAGES, message_id)
    return {"deleted": message_id}
