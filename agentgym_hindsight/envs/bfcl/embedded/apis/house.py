"""The control of a house: lamps, blinds and other devices, heating, doors and timers."""

from __future__ import annotations

from typing import Any

from agentgym_hindsight.envs.bfcl.embedded.clock import clock_text, minutes_of
from agentgym_hindsight.envs.bfcl.embedded.functions import Api, RefusedError
from agentgym_hindsight.envs.bfcl.embedded.records import Record, Records
from agentgym_hindsight.short_repr import short_repr

__all__ = ["DEVICES", "DOORS", "HOUSE", "ROOMS", "TIMERS"]

HOUSE = Api("House")
DEVICES, ROOMS, DOORS, TIMERS = "house.devices", "house.rooms", "house.doors", "house.timers"
_DEVICE, _ROOM, _AT = "The device's name", "The room's name", "Such as 09:30"


def _found(records: Records, table: str, what: str, name: str) -> Record:
    record = records.get(table, name)
    if record is None:
        known = [key for key, _ in records.rows(table)]
        raise RefusedError(f"there is no {what} {short_repr(name, 60)}", f"There are {', '.join(known[:40])}.")
    return record


@HOUSE.function("List the rooms with the temperature each is heated to.")
def list_rooms(records: Records) -> dict[str, Any]:
    return {"rooms": [{"room": key, "degrees": record["degrees"]} for key, record in records.rows(ROOMS)]}


@HOUSE.function("List the devices of a room.", room=_ROOM)
def list_devices(records: Records, room: str) -> dict[str, Any]:
    _found(records, ROOMS, "room", room)
    devices = [(key, record) for key, record in records.rows(DEVICES) if record["room"] == room]
    return {"devices": [{"device": key, "on": record["on"], "level": record["level"]} for key, record in devices]}


@HOUSE.function("Show a device.", device=_DEVICE)
def show_device(records: Records, device: str) -> dict[str, Any]:
    return {"device": device, **_found(records, DEVICES, "device", device)}


@HOUSE.function("Switch a device on or off.", device=_DEVICE, on="Whether it is on")
def switch_device(records: Records, device: str, on: bool) -> dict[str, Any]:
    _found(records, DEVICES, "device", device)
    records.edit(DEVICES, device)["on"] = on
    return {"device": device, "on": on}


@HOUSE.function("Set the level of a device, such as brightness or volume.", device=_DEVICE, level="From 0 to 100")
def set_level(records: Records, device: str, level: int) -> dict[str, Any]:
    record = _found(records, DEVICES, "device", device)
    if not 0 <= level <= 100:
        raise RefusedError(f"a level is 0 to 100, got {level}")
    if not record["on"]:
        raise RefusedError(f"{device} is switched off: switch it on first")
    records.edit(DEVICES, device)["level"] = level
    return {"device": device, "level": level}


@HOUSE.function("Set the temperature of a room.", room=_ROOM, degrees="From 5 to 30")
def set_heating(records: Records, room: str, degrees: float) -> dict[str, Any]:
    _found(records, ROOMS, "room", room)
    if not 5 <= degrees <= 30:
        raise RefusedError(f"the heating goes from 5 to 30 degrees, got {degrees:g}")
    records.edit(ROOMS, room)["degrees"] = degrees
    return {"room": room, "degrees": degrees}


@HOUSE.function("Show the humidity and the air of a room.", room=_ROOM)
def read_sensors(records: Records, room: str) -> dict[str, Any]:
    record = _found(records, ROOMS, "room", room)
    return {"room": room, "humidity": record["humidity"], "air": record["air"]}


@HOUSE.function("List the doors and whether they are locked.")
def list_doors(records: Records) -> dict[str, Any]:
    return {"doors": [{"door": key, "locked": record["locked"]} for key, record in records.rows(DOORS)]}


@HOUSE.function("Lock or unlock a door.", door="The door's name", locked="Whether it is locked")
def set_lock(records: Records, door: str, locked: bool) -> dict[str, Any]:
    record = _found(records, DOORS, "door", door)
    if record["locked"] == locked:
        raise RefusedError(f"the {door} is already {'locked' if locked else 'unlocked'}")
    records.edit(DOORS, door)["locked"] = locked
    return {"door": door, "locked": locked}


@HOUSE.function("Switch a device at a time, every day.", device=_DEVICE, at=_AT, on="Whether it is on then")
def add_timer(records: Records, device: str, at: str, on: bool) -> dict[str, Any]:
    _found(records, DEVICES, "device", device)
    at = clock_text(minutes_of(at))
    if records.get(TIMERS, f"{device} {at}") is not None:
        raise RefusedError(f"{device} already has a timer at {at}")
    records.put(TIMERS, f"{device} {at}", {"device": device, "at": at, "on": on})
    return {"device": device, "at": at, "on": on}


@HOUSE.function("List the timers of a device.", device=_DEVICE)
def list_timers(records: Records, device: str) -> dict[str, Any]:
    _found(records, DEVICES, "device", device)
    rows = [record for _, record in records.rows(TIMERS) if record["device"] == device]
    return {"timers": [{"at": record["at"], "on": record["on"]} for record in rows[:100]]}


@HOUSE.function("Remove a timer.", device=_DEVICE, at=_AT)
def remove_timer(records: Records, device: str, at: str) -> dict[str, Any]:
    key = f"{device} {clock_text(minutes_of(at))}"
    if records.get(TIMERS, key) is None:
        raise RefusedError(f"{short_repr(device, 60)} has no timer at {at}")
    records.remove(TIMERS, key)
    return {"removed": key}
