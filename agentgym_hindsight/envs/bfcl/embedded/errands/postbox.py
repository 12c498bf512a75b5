"""Errands about messages and contacts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentgym_hindsight.envs.bfcl.embedded.apis.postbox import FOLDERS, MESSAGES, PEOPLE
from agentgym_hindsight.envs.bfcl.embedded.records import Record
from agentgym_hindsight.envs.bfcl.embedded.story import Errand, Story

__all__ = ["POSTBOX_ERRANDS", "a_message", "a_person"]


def a_person(story: Story, but: str = "") -> tuple[str, str]:
    """The id and name of a person, not that of ``but``. The agent has to find the id by the name."""
    key, record = story.record(PEOPLE, lambda record: record["name"] != but)
    story.call("find_person", name=record["name"])
    return key, record["name"]


def a_message(story: Story) -> tuple[str, Record]:
    """A received message. The agent has to find its id by its text or its sender."""
    name, record = story.record(MESSAGES, lambda record: record["to"] == "me")
    story.call("find_messages", text=record["text"])
    return name, record


def _called(record: Record) -> str:
    return f"the message '{record['text']}' from {record['from']}"


def write_message(story: Story) -> Errand:
    (key, name), text = a_person(story), story.name("sentence")
    story.call("write_message", person_id=key, text=text)
    return story.say(
        f"Send {name} the message '{text}'",
        f"Please write to {name}: '{text}'",
        f"Tell {name} by message: '{text}'",
        vague=(f"Please send {name} a message.", f"Write to {name} for me."),
        detail=(f"The text is '{text}'", f"Write: '{text}'"),
        hold="write_message",
    )


def reply(story: Story) -> Errand:
    (key, record), text = a_message(story), story.name("sentence")
    story.call("reply_to", message_id=key, text=text)
    return story.say(
        f"Answer {_called(record)} with '{text}'",
        f"Please reply to {_called(record)}: '{text}'",
        f"My answer to {_called(record)} is '{text}' Please send it as a reply.",
        vague=(f"Please answer {_called(record)}.", f"I have to reply to {_called(record)}. Do it for me."),
        detail=(f"My answer is '{text}'", f"Write '{text}'"),
    )


def forward(story: Story) -> Errand:
    message, record = a_message(story)
    key, name = a_person(story, record["from"])
    story.call("forward_message", message_id=message, person_id=key)
    return story.say(
        f"Forward {_called(record)} to {name}.",
        f"Please send {_called(record)} on to {name}.",
        f"{name} should get {_called(record)} too: forward it.",
        vague=(f"Please forward {_called(record)}.", f"Send {_called(record)} on."),
        detail=(f"To {name}.", f"It goes to {name}."),
    )


def set_star(story: Story) -> Errand:
    key, record = story.record(MESSAGES, lambda record: record["to"] == "me" and not record["star"])
    story.call("find_messages", text=record["text"])
    story.call("set_star", message_id=key, star=True)
    return story.say(
        f"Put a star on {_called(record)}.",
        f"Please mark {_called(record)} with a star.",
        f"Give {_called(record)} a star, it is important.",
        vague=("Please put a star on a message.", "One of my messages is important. Give it a star."),
        detail=(f"I mean {_called(record)}.", f"On {_called(record)}."),
        hold="set_star",
    )


def file_message(story: Story) -> Errand:
    key, record = a_message(story)
    folder = story.pick([each for each in FOLDERS if each not in (record["folder"], "sent")])
    story.call("file_message", message_id=key, folder=folder)
    return story.say(
        f"Put {_called(record)} into the folder '{folder}'.",
        f"Please file {_called(record)} under '{folder}'.",
        f"Move {_called(record)} to '{folder}'.",
        vague=(f"Please put {_called(record)} into another folder.", f"File {_called(record)}, please."),
        detail=(f"Into '{folder}'.", f"The folder is '{folder}'."),
        hold="file_message",
    )


def remove_message(story: Story) -> Errand:
    key, record = a_message(story)
    story.call("remove_message", message_id=key)
    return story.say(
        f"Delete {_called(record)}.",
        f"Please remove {_called(record)}.",
        f"I do not need {_called(record)} any more. Delete it.",
        vague=("Please delete a message.", "I want to be rid of a message."),
        detail=(f"I mean {_called(record)}.", f"Delete {_called(record)}."),
        hold="remove_message",
    )


def set_phone(story: Story) -> Errand:
    (key, name), draws = a_person(story), story.draws
    phone = f"0{100 + draws.below(900)} {1000 + draws.below(9000)}"
    story.call("set_phone", person_id=key, phone=phone)
    return story.say(
        f"{name} has a new phone number: {phone}. Please note it.",
        f"Change the phone number of {name} to {phone}.",
        f"Please note {phone} as the number of {name}.",
        vague=(f"{name} has a new phone number. Please note it.", f"Change the phone number of {name}."),
        detail=(f"It is {phone}.", f"The new number is {phone}."),
        hold="set_phone",
    )


def add_person(story: Story) -> Errand:
    known, draws = {record["name"] for _, record in story.rows(PEOPLE)}, story.draws
    name = story.name("person")
    while name in known:
        name = story.name("person")
    phone = f"0{100 + draws.below(900)} {1000 + draws.below(9000)}"
    story.call("add_person", name=name, phone=phone)
    return story.say(
        f"Add {name} to my contacts, phone {phone}.",
        f"Please note a new contact: {name}, {phone}.",
        f"I met {name}. The phone number is {phone}; put it into the contacts.",
        vague=(f"Add {name} to my contacts with the phone number.", f"Please note {name} and the phone number."),
        detail=(f"The number is {phone}.", f"It is {phone}."),
        hold="add_person",
    )


def ask_phone(story: Story) -> Errand:
    key, name = a_person(story)
    story.ask("show_person", person_id=key)
    return story.say(
        f"What is the phone number of {name}?",
        f"Where does {name} live?",
        f"Show me the phone number of {name}.",
        vague=("What is the phone number?", "I need somebody's phone number."),
        detail=(f"That of {name}.", f"I mean {name}."),
        hold="show_person",
    )


def ask_folder(story: Story) -> Errand:
    folder = story.pick([each for each in FOLDERS if any(row["folder"] == each for _, row in story.rows(MESSAGES))])
    story.ask("list_messages", folder=folder)
    owner = story.name("person")
    return story.say(
        f"I am {owner}. Which messages are in '{folder}'?",
        f"{owner} here: list the messages of the folder '{folder}'.",
        f"This is {owner}. What is in my folder '{folder}'?",
        vague=(f"I am {owner}. List the messages of a folder.", f"{owner} here: what is in one of my folders?"),
        detail=(f"The folder '{folder}'.", f"I mean '{folder}'."),
        hold="list_messages",
    )


POSTBOX_ERRANDS: Mapping[str, Callable[[Story], Errand]] = {
    "add_person": add_person,
    "ask_folder": ask_folder,
    "ask_phone": ask_phone,
    "write_message": write_message,
    "set_phone": set_phone,
    "set_star": set_star,
    "remove_message": remove_message,
    "file_message": file_message,
    "reply": reply,
    "forward": forward,
}
