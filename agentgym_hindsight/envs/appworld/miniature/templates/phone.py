"""Tasks about the phone: the time, alarms, contacts, text messages."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.miniature.goals import Goal
from agentgym_hindsight.envs.appworld.miniature.people import CITY
from agentgym_hindsight.envs.appworld.miniature.templates.additions import add_namesake, clock
from agentgym_hindsight.envs.appworld.miniature.templates.base import Draws, Job, template
from agentgym_hindsight.envs.appworld.miniature.templates.common import (
    DONE,
    answer,
    contact,
    login,
    replaced,
    sends_text,
    with_extra_turn,
)
from agentgym_hindsight.envs.appworld.miniature.wordlists import listed
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = ["TEMPLATES"]

_LABELS = listed(
    "Bread, Laundry, Pills, Stretch, Medicine, Tea, Oven, Call home, Feed the cat, Parcel, Bus, Market, Bins, Choir, "
    "Post office, Soup, Nap, Yoga, Ferry, Library, Swimming, Plants, Guests, Night train"
)
_LINES = (
    "See you at {}.",
    "Can we meet at {} instead?",
    "I will be at the station at {}.",
    "Dinner is ready at {}.",
    "Please call me back before {}.",
    "I left the key under the blue pot, be there at {}.",
    "The film begins at {}, I have the tickets.",
    "Running late, back at {}.",
)
_STREETS = listed(
    "Chestnut Rise, Weaver Street, Old Dock, Lime Court, Granary Lane, Upper Field, Salt Stairs, Ash Mews"
)


@template("train", 1)
def ask_the_time(world: World, draws: Draws) -> Job:
    """Report the time; this needs no login."""
    now = f"{world.now[:11]}{clock(draws, 7, 22, 1)}:00"
    world.update("system_world", 1, now=now)
    instruction = draws.pick(
        (
            "What time is it?",
            "Look up what time it is, please.",
            "I left my watch at home. What is the time?",
            "Tell me the present time.",
            "How late is it just now?",
        )
    )
    solution = ('now = apis.phone.show_time()["now"]\nprint(now)', answer("now[11:16]"))
    alarm = "apis.phone.create_alarm(access_token=phone_token, time=now[11:16])"
    return Job(
        f"{instruction} Answer with hours and minutes as HH:MM.",
        solution,
        Goal(answer=now[11:16]),
        {
            "answer is the date": replaced(solution, "now[11:16]", "now[:10]"),
            "answer is the hour alone": replaced(solution, "now[11:16]", "now[11:13]"),
            "answer is the weekday": (answer('apis.phone.show_time()["weekday"]'),),
            "collateral: sets an alarm": with_extra_turn(solution, f"{login('phone')}\n{alarm}"),
        },
    )


@template("train", 1)
def set_alarm(world: World, draws: Draws) -> Job:
    """Set an alarm with a label."""
    time, label = clock(draws, 5, 23), draws.pick(_LABELS)
    instruction = draws.pick(
        (
            f"Set an alarm for {time} and label it '{label}'.",
            f"Please wake me at {time}: I need an alarm labelled '{label}'.",
            f"I need an alarm at {time} with the label '{label}'.",
        )
    )
    create = f"apis.phone.create_alarm(access_token=phone_token, time={time!r}, label={label!r})"
    solution = (login("phone"), create, DONE)
    goal = Goal().adds(
        "phone_alarms",
        f"An alarm labelled {label} is set for {time}, to ring once.",
        owner=world.supervisor.email,
        time=time,
        label=label,
        days=[],
        enabled=True,
    )
    late = f"{int(time[:2]) + 1:02}{time[2:]}"
    off = (
        "for alarm in apis.phone.show_alarms(access_token=phone_token, enabled=True, page_limit=20):\n"
        '    if alarm["label"] == "Wake up":\n'
        '        apis.phone.update_alarm(access_token=phone_token, alarm_id=alarm["alarm_id"], enabled=False)'
    )
    return Job(
        f"{instruction} It shall ring once.",
        solution,
        goal,
        {
            "an hour late": replaced(solution, repr(time), repr(late)),
            "no label": replaced(solution, f", label={label!r}", ""),
            "every weekday": replaced(solution, "label=", 'days=["Mon", "Tue", "Wed", "Thu", "Fri"], label='),
            "collateral: set twice": with_extra_turn(solution, create),
            "collateral: another one is switched off": with_extra_turn(solution, off),
        },
    )


@template("train", 1)
def text_contact(world: World, draws: Draws) -> Job:
    """Send a text message to a person; another contact has the same first name."""
    person = draws.pick([each for each in world.people if each.relationships])
    other = add_namesake(world, draws, person)
    text = draws.pick(_LINES).format(clock(draws, 8, 22))
    instruction = draws.pick(
        (
            f'Text {person.name}: "{text}"',
            f'Send {person.name} this text message: "{text}"',
            f'Write "{text}" to {person.name} by text message.',
        )
    )
    send = f'apis.phone.send_message(access_token=phone_token, phone_number=person["phone_number"], text={text!r})'
    solution = (login("phone"), f"{contact(person.name)}\n{send}", DONE)
    return Job(
        instruction,
        solution,
        sends_text(Goal(), world, person, text),
        {
            "wrong person": (login("phone"), f"{contact(other.name)}\n{send}", DONE),
            "wrong text": replaced(solution, repr(text), repr(f"{person.first_name}?")),
            "collateral: sent twice": with_extra_turn(solution, send),
            "collateral: the namesake gets it too": with_extra_turn(solution, f"{contact(other.name)}\n{send}"),
        },
    )


@template("dev", 1)
def change_address(world: World, draws: Draws) -> Job:
    """Change the address of a contact, and nothing else."""
    person = draws.pick([each for each in world.people if each.relationships])
    other = add_namesake(world, draws, person)
    address = f"{1 + draws.below(89)} {draws.pick(_STREETS)}, {CITY}"
    row = world.row("phone_contacts", owner=world.supervisor.email, phone_number=person.phone_number)
    change = (
        f'apis.phone.update_contact(access_token=phone_token, contact_id=person["contact_id"], address={address!r})'
    )
    solution = (login("phone"), f"{contact(person.name)}\n{change}", DONE)
    new = (
        f'apis.phone.delete_contact(access_token=phone_token, contact_id=person["contact_id"])\n'
        'apis.phone.add_contact(access_token=phone_token, name=person["name"], phone_number=person["phone_number"], '
        f"address={address!r})"
    )
    return Job(
        f"{person.name} has moved and lives at {address} now. Put that into my contacts; all else you find there "
        f"about {person.first_name} is still right.",
        solution,
        Goal().changes("phone_contacts", {"id": row["id"]}, f"{person.name} has the new address.", address=address),
        {
            "wrong person": (login("phone"), f"{contact(other.name)}\n{change}", DONE),
            "half the address": replaced(solution, f", {CITY}'", "'"),
            "loses the relationship": replaced(solution, "address=", "relationships=[], address="),
            "a new contact in place of the old one": (login("phone"), f"{contact(person.name)}\n{new}", DONE),
            "collateral: the namesake moves too": with_extra_turn(solution, f"{contact(other.name)}\n{change}"),
        },
    )


@template("test", 1)
def switch_off_alarm(world: World, draws: Draws) -> Job:
    """Switch off one of several alarms with the same label."""
    label, me = draws.pick(_LABELS), world.supervisor.email
    times = sorted(f"{hour:02}:{5 * draws.below(12):02}" for hour in draws.sample(range(5, 23), 4))
    rows = {
        time: world.insert("phone_alarms", owner=me, time=time, days=draws.pick(([], ["Sat", "Sun"])), label=label)
        for time in times
    }
    time = draws.pick(times[1:])
    look = (
        "alarms = apis.phone.show_alarms(access_token=phone_token, page_limit=20)\n"
        f"alarms = [row for row in alarms if row['label'] == {label!r} and row['time'] == {time!r}]"
    )
    act = (
        "for alarm in alarms:\n"
        "    apis.phone.update_alarm(access_token=phone_token, alarm_id=alarm['alarm_id'], enabled=False)"
    )
    delete = act.replace("update_alarm", "delete_alarm").replace(", enabled=False", "")
    solution = (login("phone"), look, act, DONE)
    return Job(
        f"Switch off my '{label}' alarm at {time}, but keep it: I may want it again.",
        solution,
        Goal().changes("phone_alarms", {"id": rows[time]}, f"The alarm at {time} is switched off.", enabled=False),
        {
            "deletes it": (*solution[:2], delete, DONE),
            "the first of that label": replaced(solution, f" and row['time'] == {time!r}]", "][:1]"),
            "collateral: all of that label": replaced(solution, f" and row['time'] == {time!r}", ""),
            "moves it": replaced(solution, "enabled=False", "time='23:59'"),
        },
    )


TEMPLATES = (
    ask_the_time,
    set_alarm,
    text_contact,
    change_address,
    switch_off_alarm,
)
