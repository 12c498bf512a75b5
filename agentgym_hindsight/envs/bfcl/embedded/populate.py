"""The initial tables of a world, from a seed: small ones, and long ones for tasks with much to look through."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentgym_hindsight.envs.bfcl.embedded.apis.board import CARDS, COLUMNS
from agentgym_hindsight.envs.bfcl.embedded.apis.diary import DAY_BEGINS, EVENTS
from agentgym_hindsight.envs.bfcl.embedded.apis.drive import ITEMS, OPEN
from agentgym_hindsight.envs.bfcl.embedded.apis.house import DEVICES, DOORS, ROOMS, TIMERS
from agentgym_hindsight.envs.bfcl.embedded.apis.journeys import ACCOUNT, BOOKINGS, INNS, TRAINS
from agentgym_hindsight.envs.bfcl.embedded.apis.postbox import MESSAGES, PEOPLE
from agentgym_hindsight.envs.bfcl.embedded.apis.stock import ARTICLES, ORDERS
from agentgym_hindsight.envs.bfcl.embedded.clock import clock_text, day_after
from agentgym_hindsight.envs.bfcl.embedded.identifiers import new_id
from agentgym_hindsight.envs.bfcl.embedded.names import TOWNS, WorldDraws, names_of
from agentgym_hindsight.envs.bfcl.embedded.records import Record

__all__ = ["drawn_names", "populated"]

Made = dict[str, dict[str, Record]]


def populated(apis: tuple[str, ...], split: str, is_long: bool, draws: WorldDraws) -> Made:
    """The tables of some APIs."""
    tables: Made = {}
    for api in apis:
        if api in _POPULATE:
            tables |= _POPULATE[api](split, is_long, draws)
    return tables


def drawn_names(draws: WorldDraws, kind: str, split: str, count: int) -> list[str]:
    """Different names of a split. If there are too few, the others get a number."""
    known = names_of(kind, split)
    names = draws.sample(known, count)
    number = 2
    while len(names) < count:
        names += [f"{name} {number}" for name in draws.sample(known, count - len(names))]
        number += 1
    return names


def _drive(split: str, is_long: bool, draws: WorldDraws) -> Made:
    folders = [f"/{name}" for name in draws.sample(names_of("folder", split), 16 if is_long else 4)]
    inner = [name for name in draws.sample(names_of("folder", split), 40) if f"/{name}" not in folders]
    folders += [f"{draws.pick(folders)}/{name}" for name in inner[: 12 if is_long else 1]]
    items: dict[str, Record] = {folder: {"kind": "folder"} for folder in folders}
    for name in drawn_names(draws, "paper", split, 220 if is_long else 9):
        ending = draws.pick((".txt", ".csv", ".md"))
        place = f"{draws.pick(folders)}/{name.replace(' ', '_')}{ending}"
        items[place] = {"kind": "file", "text": _file_text(split, ending, draws)}
    return {ITEMS: items, OPEN: {"folder": {"path": "/"}}}


def _file_text(split: str, ending: str, draws: WorldDraws) -> str:
    if ending == ".csv":
        things = draws.sample(names_of("goods", split), 3 + draws.below(4))
        return "\n".join(f"{thing},{10 + draws.below(490)}" for thing in things)
    if ending == ".md":
        return "\n".join(f"- {title}" for title in draws.sample(names_of("card", split), 3 + draws.below(4)))
    return "\n".join(draws.sample(names_of("sentence", split), 2 + draws.below(4)))


def _diary(split: str, is_long: bool, draws: WorldDraws) -> Made:
    titles = drawn_names(draws, "event", split, 170 if is_long else 10)
    weeks = draws.sample(names_of("week", split), 10 if is_long else 1)
    days = [day_after(number, week) for week in sorted(weeks) for number in range(6)]
    slots = [(day, DAY_BEGINS + 150 * number) for day in days for number in range(4)]
    events: dict[str, Record] = {}
    for title, (day, begin) in zip(titles, draws.sample(slots, len(titles)), strict=True):
        start = clock_text(begin + 15 * draws.below(4))
        name = new_id("EV", events, draws.below(10**9))
        events[name] = {
            "title": title,
            "day": day,
            "start": start,
            "minutes": draws.pick((30, 45, 60, 75, 90)),
            "place": draws.pick(TOWNS),
            "people": sorted(draws.sample(names_of("person", split), draws.below(3))),
        }
    return {EVENTS: events}


def _postbox(split: str, is_long: bool, draws: WorldDraws) -> Made:
    people: dict[str, Record] = {}
    for name in draws.sample(names_of("person", split), 140 if is_long else 7):
        phone = f"0{100 + draws.below(900)} {1000 + draws.below(9000)}"
        people[new_id("P", people, draws.below(10**9))] = {"name": name, "phone": phone, "town": draws.pick(TOWNS)}
    messages: dict[str, Record] = {}
    senders = [each["name"] for each in people.values()]
    for text in draws.sample(names_of("sentence", split), 60 if is_long else 8):
        sender = draws.pick(senders)
        messages[new_id("MSG", messages, draws.below(10**9))] = {
            "from": sender,
            "to": "me",
            "text": text,
            "folder": draws.pick(("inbox", "inbox", "archive", "later")),
            "star": draws.chance(0.2),
            "about": "",
        }
    return {PEOPLE: people, MESSAGES: messages}


def _house(split: str, is_long: bool, draws: WorldDraws) -> Made:
    names = draws.sample(names_of("room", split), 14 if is_long else 4)
    rooms: dict[str, Record] = {
        name: {
            "degrees": float(16 + draws.below(8)),
            "humidity": 30 + draws.below(40),
            "air": draws.pick(("fresh", "fair", "stale")),
        }
        for name in names
    }
    devices: dict[str, Record] = {}
    for number, name in enumerate(drawn_names(draws, "device", split, 130 if is_long else 10)):
        room = names[number % len(names)]
        devices[name] = {"room": room, "on": draws.chance(0.5), "level": 10 * (1 + draws.below(10))}
    doors = {
        name: {"locked": draws.chance(0.5)} for name in draws.sample(names_of("door", split), 20 if is_long else 4)
    }
    timers: dict[str, Record] = {}
    for name in draws.sample(list(devices), 40 if is_long else 3):
        at = clock_text(15 * draws.below(96))
        timers[f"{name} {at}"] = {"device": name, "at": at, "on": draws.chance(0.5)}
    return {ROOMS: rooms, DEVICES: devices, DOORS: doors, TIMERS: timers}


def _stock(split: str, is_long: bool, draws: WorldDraws) -> Made:
    articles: dict[str, Record] = {}
    for name in drawn_names(draws, "goods", split, 180 if is_long else 9):
        articles[new_id("A", articles, draws.below(10**9))] = {
            "name": name,
            "price": float(5 * (1 + draws.below(60))),
            "on_hand": 20 + draws.below(80),
            "reorder_at": 5 + draws.below(15),
        }
    for key in draws.sample(list(articles), 4 if is_long else 2):
        articles[key]["reorder_at"] = articles[key]["on_hand"] + 5 * (1 + draws.below(4))
    orders: dict[str, Record] = {}
    for customer in draws.sample(names_of("person", split), 90 if is_long else 7):
        article, quantity = draws.pick(list(articles)), 1 + draws.below(9)
        orders[new_id("ORD", orders, draws.below(10**9))] = {
            "article_id": article,
            "quantity": quantity,
            "customer": customer,
            "status": draws.pick(("open", "open", "open", "sent")),
        }
    return {ARTICLES: articles, ORDERS: orders}


def _journeys(split: str, is_long: bool, draws: WorldDraws) -> Made:
    trains: dict[str, Record] = {}
    day = day_after(draws.below(7), draws.pick(names_of("week", split)))
    for route in draws.sample(names_of("route", split), 12 if is_long else 3):
        origin, destination = route.split("|")
        prices = draws.sample(range(18, 90), 16 if is_long else 4)
        starts = sorted(draws.sample(range(24, 84), len(prices)))
        for price, start in zip(prices, starts, strict=True):
            departs = clock_text(15 * start)
            trains[new_id("TR", trains, draws.below(10**9))] = {
                "origin": origin,
                "destination": destination,
                "day": day,
                "departs": departs,
                "arrives": clock_text(15 * (start + 3 + draws.below(9))),
                "price": price,
                "seats": 12 + draws.below(60),
            }
    inns: dict[str, Record] = {}
    towns = sorted({str(train["destination"]) for train in trains.values()})
    for number, name in enumerate(draws.sample(names_of("inn", split), 50 if is_long else 8)):
        inns[new_id("INN", inns, draws.below(10**9))] = {
            "name": name,
            "town": towns[number % len(towns)],
            "price": 40 + 3 * number + draws.below(3),
            "stars": 1 + draws.below(5),
            "breakfast": draws.chance(0.5),
        }
    bookings: dict[str, Record] = {}
    for train_id in draws.sample(list(trains), 20 if is_long else 3):
        people = 2 + draws.below(4)
        price = trains[train_id]["price"] * people
        bookings[new_id("BK", bookings, draws.below(10**9))] = {
            "kind": "train",
            "of": train_id,
            "people": people,
            "first_class": False,
            "bikes": 0,
            "price": price,
        }
    return {TRAINS: trains, INNS: inns, BOOKINGS: bookings, ACCOUNT: {"account": {"balance": 900 + draws.below(900)}}}


def _board(split: str, is_long: bool, draws: WorldDraws) -> Made:
    cards: dict[str, Record] = {}
    owners = draws.sample(names_of("person", split), 12 if is_long else 4)
    count = min(len(names_of("card", split)), 60) if is_long else 9
    for title in draws.sample(names_of("card", split), count):
        column = draws.pick(COLUMNS)
        cards[new_id("C", cards, draws.below(10**9))] = {
            "title": title,
            "column": column,
            "owner": draws.pick(owners),
            "points": 1 + draws.below(13),
            "due": day_after(5 + draws.below(50)) if draws.chance(0.5) else "",
            "tags": [],
        }
    return {CARDS: cards}


_POPULATE: Mapping[str, Callable[[str, bool, WorldDraws], Made]] = {
    "Board": _board,
    "Diary": _diary,
    "Drive": _drive,
    "House": _house,
    "Journeys": _journeys,
    "Postbox": _postbox,
    "Stock": _stock,
}
