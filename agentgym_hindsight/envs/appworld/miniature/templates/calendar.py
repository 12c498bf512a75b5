"""Tasks about the calendar. Some also need the contacts, to identify people."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.miniature.goals import Goal
from agentgym_hindsight.envs.appworld.miniature.templates.additions import add_namesake, clock, day, put_event, time_at
from agentgym_hindsight.envs.appworld.miniature.templates.base import Draws, Job, template
from agentgym_hindsight.envs.appworld.miniature.templates.common import (
    DONE,
    answer,
    contact,
    login,
    replaced,
    with_extra_turn,
)
from agentgym_hindsight.envs.appworld.miniature.wordlists import listed
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = ["TEMPLATES"]

_TITLES = listed(
    "Chess evening, Pottery, Boat repair, Film night, Seed swap, Book circle, Bread baking, Star watching, Quiz, "
    "Ceramics fair, Bee keeping, Map reading, First aid, Cider tasting, Kite day, Life drawing, Tool library"
)


@template("train", 2)
def accept_invitation(world: World, draws: Draws) -> Job:
    """Accept one of two invitations with the same title."""
    person = draws.pick([each for each in world.people if each.relationships])
    me, other, title = world.supervisor, add_namesake(world, draws, person), draws.pick(_TITLES)
    hosts = draws.sample([person, other], 2)
    days = sorted(draws.sample(range(3, 20), 2))
    events = {
        host.email: put_event(world, host, title, time_at(world, offset, clock(draws, 9, 20, 15)), 90, (me, "invited"))
        for host, offset in zip(hosts, days, strict=True)
    }
    solution = (
        login("phone", "calendar", every=True),
        f"{contact(person.name)}\ninvitations = every(apis.calendar.show_invitations, access_token=calendar_token)",
        "for event in invitations:\n"
        f"    if event['title'] == {title!r} and event['organizer'] == person['email']:\n"
        "        apis.calendar.accept_invitation(access_token=calendar_token, event_id=event['event_id'])",
        DONE,
    )
    return Job(
        draws.pick(
            (
                f"{person.name} invited me to '{title}'. Accept, but leave my other invitations alone.",
                f"Accept the invitation to '{title}' that is from {person.name}, and no other.",
            )
        ),
        solution,
        Goal().changes(
            "calendar_attendees",
            {"event_id": events[person.email], "email": me.email},
            f"The invitation to {title} is accepted.",
            status="accepted",
        ),
        {
            "wrong person": replaced(solution, repr(person.name), repr(other.name)),
            "declines": replaced(solution, "accept_invitation", "decline_invitation"),
            "collateral: both of that title": replaced(solution, " and event['organizer'] == person['email']", ""),
            "collateral: all invitations": replaced(
                solution, f"if event['title'] == {title!r} and event['organizer'] == person['email']", "if True"
            ),
        },
    )


@template("train", 3)
def sum_minutes(world: World, draws: Draws) -> Job:
    """Add up the minutes of the events of one title over some days: more than one page, and some do not count."""
    me, title = world.supervisor, draws.pick(_TITLES)
    host = draws.pick([each for each in world.people if each.relationships])
    first, days = 20 + draws.below(20), 6 + draws.below(4)
    last = first + days - 1
    counted = [(offset, 45 + 5 * draws.below(16)) for offset in range(first, last + 1)]
    planned = [(offset, minutes, draws.pick(("accepted", "organizer")), title) for offset, minutes in counted]
    planned += [(first + 1, 35, "declined", title), (first + 2, 40, "invited", title)]
    planned += [(first - 1, 50, "accepted", title), (last + 1, 55, "organizer", title)]
    planned.append((first + draws.below(days), 30, "accepted", f"{title}: planning"))
    for offset, minutes, status, name in planned:
        guests = () if status == "organizer" else ((me, status),)
        put_event(
            world, host if guests else me, name, time_at(world, offset, clock(draws, 9, 20, 15)), minutes, *guests
        )
    since, until = day(world, first), day(world, last)
    solution = (
        "from datetime import datetime\n" + login("calendar", every=True),
        "events = every(apis.calendar.show_events, access_token=calendar_token, "
        f"since={since!r}, until={until!r})\nprint(len(events))",
        "total = 0\n"
        "for event in events:\n"
        f"    if event['title'] == {title!r} and event['my_status'] in ('organizer', 'accepted'):\n"
        "        took = datetime.fromisoformat(event['ends_at']) - datetime.fromisoformat(event['starts_at'])\n"
        "        total += int(took.total_seconds()) // 60",
        answer("total"),
    )
    drop = "apis.calendar.decline_invitation(access_token=calendar_token, event_id=event['event_id'])"
    return Job(
        f"How many minutes do the events called '{title}' from {since} to {until} (both days included) take in all? "
        "Count those I organize or have accepted.",
        solution,
        Goal(answer=sum(minutes for _, minutes in counted)),
        {
            "answer from the first page": replaced(
                solution, "every(apis.calendar.show_events, ", "apis.calendar.show_events("
            ),
            "answer forgets the condition": replaced(
                solution, " and event['my_status'] in ('organizer', 'accepted')", ""
            ),
            "answer for like titles too": replaced(
                solution, f"event['title'] == {title!r}", f"{title!r} in event['title']"
            ),
            "answer for all days": replaced(solution, f", since={since!r}, until={until!r}", ""),
            "collateral: declines an open one": with_extra_turn(
                solution, f"for event in events:\n    if event['my_status'] == 'invited':\n        {drop}"
            ),
        },
    )


@template("test", 3)
def invite_the_free(world: World, draws: Draws) -> Job:
    """Invite the people of one kind who are free at that time; some are busy, some only just before or after."""
    kind, plural = draws.pick((("coworker", "coworkers"), ("friend", "friends")))
    circle, me = draws.sample(world.related(kind), 99), world.supervisor
    title, at, offset = draws.pick(_TITLES), clock(draws, 10, 18, 15), 24 + draws.below(12)
    event = put_event(world, me, title, time_at(world, offset, at), 90)
    put_event(world, me, title, time_at(world, offset + 7, at), 90)
    put_event(world, circle[0], "Away", time_at(world, offset, at, draws.pick((-30, 15, 60))), 60)
    put_event(world, circle[1], "Errand", time_at(world, offset, at, draws.pick((-60, 90))), 60)
    goal = Goal()
    for person in circle[1:]:
        goal.adds(
            "calendar_attendees", f"{person.name} is invited.", event_id=event, email=person.email, status="invited"
        )
    date = day(world, offset)
    solution = (
        login("phone", "calendar", every=True),
        f"circle = every(apis.phone.show_contacts, access_token=phone_token, relationship={kind!r})\n"
        f"events = every(apis.calendar.show_events, access_token=calendar_token, since={date!r}, until={date!r})\n"
        f"event = [event for event in events if event['title'] == {title!r}][0]",
        "free = []\n"
        "for person in circle:\n"
        f"    busy = apis.calendar.show_busy_times(access_token=calendar_token, email=person['email'], day={date!r})\n"
        "    clash = [span for span in busy\n"
        "             if span['starts_at'] < event['ends_at'] and span['ends_at'] > event['starts_at']]\n"
        "    if not clash:\n"
        "        free.append(person['email'])\n"
        "print(free)",
        "for email in free:\n"
        "    apis.calendar.invite_person(access_token=calendar_token, event_id=event['event_id'], email=email)",
        DONE,
    )
    return Job(
        f"Invite those of my {plural} to my event '{title}' on {date} who have nothing else in their calendar at "
        "that time.",
        solution,
        goal,
        {
            "all people of that kind": replaced(solution, "if not clash", "if True"),
            "only people with the whole day free": replaced(solution, "if not clash", "if not busy"),
            "the busy ones": replaced(solution, "if not clash", "if clash"),
            "the event of another day": replaced(
                solution, f"since={date!r}, until={date!r}", f"since={day(world, offset + 7)!r}"
            ),
            "collateral: the reminder is changed": with_extra_turn(
                solution,
                "apis.calendar.update_event("
                "access_token=calendar_token, event_id=event['event_id'], reminder_minutes=60)",
            ),
        },
    )


TEMPLATES = (
    accept_invitation,
    sum_minutes,
    invite_the_free,
)
