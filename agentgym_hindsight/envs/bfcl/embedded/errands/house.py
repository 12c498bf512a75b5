"""Errands about the house."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentgym_hindsight.envs.bfcl.embedded.apis.house import DEVICES, DOORS, ROOMS, TIMERS
from agentgym_hindsight.envs.bfcl.embedded.clock import clock_text
from agentgym_hindsight.envs.bfcl.embedded.story import Errand, Story

__all__ = ["HOUSE_ERRANDS"]


def switch(story: Story) -> Errand:
    name, record = story.record(DEVICES)
    on = not record["on"]
    story.call("switch_device", device=name, on=on)
    word = "on" if on else "off"
    return story.say(
        f"Switch the {name} {word}.",
        f"Please turn {word} the {name}.",
        f"The {name} should be {word}.",
        vague=(f"Please switch something {word} for me.", f"Turn a device {word}, please."),
        detail=(f"The {name}.", f"I mean the {name}."),
        hold="switch_device",
    )


def set_level(story: Story) -> Errand:
    name, record = story.record(DEVICES, lambda record: bool(record["on"]))
    level = story.pick([each for each in range(5, 100, 5) if each != record["level"]])
    story.call("set_level", device=name, level=level)
    return story.say(
        f"Set the {name} to {level}.",
        f"Please put the {name} at level {level}.",
        f"The {name} should be at {level}.",
        vague=(f"Change the level of the {name}.", f"Please set the {name} to another level."),
        detail=(f"To {level}.", f"Level {level}."),
        hold="set_level",
    )


def dim(story: Story) -> Errand:
    """A device that is off: it has to be switched on before its level can be set."""
    name, record = story.record(DEVICES, lambda record: not record["on"])
    level = story.pick([each for each in range(5, 100, 5) if each != record["level"]])
    story.call("switch_device", device=name, on=True)
    story.call("set_level", device=name, level=level)
    return story.say(
        f"Switch the {name} on and set it to {level}.",
        f"I need the {name} on, at level {level}.",
        f"Please turn on the {name}; {level} is enough.",
    )


def set_heating(story: Story) -> Errand:
    room, record = story.record(ROOMS)
    degrees = story.pick([each for each in range(12, 28) if each != record["degrees"]])
    story.call("set_heating", room=room, degrees=degrees)
    return story.say(
        f"Set the heating of the {room} to {degrees} degrees.",
        f"I want {degrees} degrees in the {room}.",
        f"Please heat the {room} to {degrees} degrees.",
        vague=(f"Change the temperature of the {room}.", f"Please set the heating of the {room}."),
        detail=(f"To {degrees} degrees.", f"{degrees} degrees."),
        hold="set_heating",
    )


def set_lock(story: Story) -> Errand:
    door, record = story.record(DOORS)
    locked = not record["locked"]
    story.call("set_lock", door=door, locked=locked)
    word = "lock" if locked else "unlock"
    return story.say(
        f"{word.capitalize()} the {door}.",
        f"Please {word} the {door} for me.",
        f"Could you {word} the {door}?",
        vague=(f"Please {word} something for me.", f"There is something to {word}."),
        detail=(f"The {door}.", f"I mean the {door}."),
        hold="set_lock",
    )


def add_timer(story: Story) -> Errand:
    name, _ = story.record(DEVICES)
    taken = {key for key, _ in story.rows(TIMERS)}
    at = story.pick([each for each in map(clock_text, range(0, 1440, 10)) if f"{name} {each}" not in taken])
    on = story.draws.chance(0.5)
    story.call("add_timer", device=name, at=at, on=on)
    word = "on" if on else "off"
    return story.say(
        f"Switch the {name} {word} every day at {at}.",
        f"Please set a timer: the {name} goes {word} at {at}.",
        f"The {name} should go {word} at {at} each day.",
        vague=(f"The {name} should go {word} by itself each day.", f"Set a timer that switches the {name} {word}."),
        detail=(f"At {at}.", f"The time is {at}."),
        hold="add_timer",
    )


def remove_timer(story: Story) -> Errand:
    _, record = story.record(TIMERS)
    name, at = record["device"], record["at"]
    story.call("remove_timer", device=name, at=at)
    return story.say(
        f"Remove the timer of the {name} at {at}.",
        f"The {name} has a timer at {at}. Delete it.",
        f"I do not need the {at} timer of the {name} any more.",
        vague=("Remove a timer, please.", "One of the timers is not needed any more. Remove it."),
        detail=(f"That of the {name} at {at}.", f"The {name}, {at}."),
        hold="remove_timer",
    )


def ask_sensors(story: Story) -> Errand:
    room, _ = story.record(ROOMS)
    story.ask("read_sensors", room=room)
    return story.say(
        f"How is the air in the {room}?",
        f"What is the humidity of the {room}?",
        f"Read the sensors of the {room}.",
        vague=("How is the air in the room?", "What is the humidity in there?"),
        detail=(f"In the {room}.", f"I mean the {room}."),
        hold="read_sensors",
    )


def ask_device(story: Story) -> Errand:
    name, _ = story.record(DEVICES)
    story.ask("show_device", device=name)
    return story.say(
        f"Is the {name} on?",
        f"At which level is the {name}?",
        f"In which room is the {name}?",
        vague=("Is it on?", "At which level is it?"),
        detail=(f"The {name}.", f"I mean the {name}."),
        hold="show_device",
    )


def ask_devices(story: Story) -> Errand:
    room, _ = story.record(ROOMS)
    story.ask("list_devices", room=room)
    return story.say(
        f"Which devices are in the {room}?",
        f"List the devices of the {room}.",
        f"What can be switched in the {room}?",
        vague=("Which devices are in the room?", "List the devices of a room."),
        detail=(f"In the {room}.", f"The {room}."),
        hold="list_devices",
    )


def darken_room(story: Story) -> Errand:
    """Everything that is on in a room: the agent has to look what that is."""
    rooms = {record["room"] for _, record in story.rows(DEVICES) if record["on"]}
    room, _ = story.record(ROOMS)
    while room not in rooms:
        room, _ = story.record(ROOMS)
    for each in story.call("list_devices", room=room)["devices"]:
        if each["on"]:
            story.call("switch_device", device=each["device"], on=False)
    return story.say(
        f"Switch off everything that is on in the {room}.",
        f"Nothing in the {room} should be on. Please see to it.",
        f"I have left the {room}: switch off all its devices.",
        vague=("Switch off everything in the room.", "I have left the room: switch off all its devices."),
        detail=(f"The {room}.", f"I mean the {room}."),
        hold="switch_device",
    )


HOUSE_ERRANDS: Mapping[str, Callable[[Story], Errand]] = {
    "switch": switch,
    "set_heating": set_heating,
    "set_lock": set_lock,
    "set_level": set_level,
    "ask_sensors": ask_sensors,
    "ask_device": ask_device,
    "ask_devices": ask_devices,
    "remove_timer": remove_timer,
    "add_timer": add_timer,
    "dim": dim,
    "darken_room": darken_room,
}
