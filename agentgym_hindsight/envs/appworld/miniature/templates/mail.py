"""Tasks about mail. Some also need the contacts, to identify senders."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.miniature.goals import Goal
from agentgym_hindsight.envs.appworld.miniature.people import Person
from agentgym_hindsight.envs.appworld.miniature.templates.additions import add_namesake, past, put_mail
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

_SUBJECTS = listed(
    "The blue bicycle, Keys, Saturday, A question, Old chairs, The concert, Rain again, Your umbrella, Plums, Train "
    "times, The leaking tap, Curtains, Two tickets, That book, A favour, Moving boxes, The boat, Pictures"
)
_BODIES = (
    "Shall we talk about it on the phone?",
    "It can wait until next week.",
    "I have thought about it again and would rather keep it.",
    "Do you still want it?",
    "Let me know what you think.",
)
_LABELS = listed("garden club, insurance, choir, reading circle, repairs, lottery, volunteers, allotment, swap shop")


def _write(world: World, draws: Draws, sender: Person, **more: object) -> int:
    return put_mail(world, sender, draws.pick(_SUBJECTS), draws.pick(_BODIES), past(world, draws), **more)  # type: ignore[arg-type]


@template("train", 2)
def star_mail_of_person(world: World, draws: Draws) -> Job:
    """Star a person's emails in the inbox: more than one page, others are archived, and a namesake wrote too."""
    person = draws.pick([each for each in world.people if each.relationships])
    other, me = add_namesake(world, draws, person), world.supervisor.email
    for index in range(6 + draws.below(4)):
        _write(world, draws, person)
        if index < 2:
            _write(world, draws, person, folder="archive")
            _write(world, draws, other)
    goal = Goal().allows("mail_emails", "read")
    for row in world.rows("mail_emails", owner=me, folder="inbox", sender=person.email, starred=False):
        goal.changes("mail_emails", {"id": row["id"]}, f"“{row['subject']}” is starred.", loose=("read",), starred=True)
    solution = (
        login("phone", "mail", every=True),
        f"{contact(person.name)}\nemails = every(apis.mail.show_emails, access_token=mail_token, folder='inbox')",
        "for email in emails:\n"
        "    if email['sender'] == person['email']:\n"
        "        apis.mail.star_email(access_token=mail_token, email_id=email['email_id'])",
        DONE,
    )
    return Job(
        f"Put a star on every email from {person.name} in my inbox. Leave other folders as they are.",
        solution,
        goal,
        {
            "first page only": replaced(solution, "every(apis.mail.show_emails, ", "apis.mail.show_emails("),
            "wrong person": replaced(solution, repr(person.name), repr(other.name)),
            "all folders": replaced(solution, "show_emails, access_token=mail_token, folder='inbox'", _ANYWHERE),
            "by first name": replaced(solution, "== person['email']", f".startswith('{person.first_name.lower()}.')"),
            "marks as read": replaced(solution, "star_email", "mark_email_read"),
        },
    )


_ANYWHERE = "search_emails, access_token=mail_token"


@template("dev", 2)
def archive_labelled(world: World, draws: Draws) -> Job:
    """Archive the emails with a label except starred ones: more than one page."""
    (label, other), me = draws.sample(_LABELS, 2), world.supervisor.email
    senders = draws.sample([each for each in world.people if each.email != me], 4)
    plain = 6 + draws.below(4)
    for index in range(plain + 2):
        _write(world, draws, draws.pick(senders), labels=[label], starred=index >= plain, read=draws.chance(0.5))
    for _ in range(2):
        _write(world, draws, draws.pick(senders), labels=[other])
        _write(world, draws, draws.pick(senders), labels=[label], folder="trash")
    goal = Goal().allows("mail_emails", "read")
    for row in world.rows("mail_emails", owner=me, folder="inbox", starred=False):
        if label in row["labels"]:
            requirement = f"“{row['subject']}” is in the archive."
            goal.changes("mail_emails", {"id": row["id"]}, requirement, loose=("read",), folder="archive")
    solution = (
        login("mail", every=True),
        f"emails = every(apis.mail.show_emails, access_token=mail_token, label={label!r}, starred=False)",
        "for email in emails:\n"
        "    apis.mail.move_email(access_token=mail_token, email_id=email['email_id'], folder='archive')",
        DONE,
    )
    with_other = replaced(solution, repr(label), repr(other))
    return Job(
        f"Move all emails with the label '{label}' from my inbox to the archive, except those with a star.",
        solution,
        goal,
        {
            "first page only": replaced(solution, "every(apis.mail.show_emails, ", "apis.mail.show_emails("),
            "forgot the condition": replaced(solution, ", starred=False", ""),
            "to the trash": replaced(solution, "folder='archive'", "folder='trash'"),
            "the other label": with_other,
            "collateral: the other label too": with_extra_turn(with_extra_turn(solution, with_other[1]), with_other[2]),
        },
    )


@template("test", 2, edition=2)
def count_unread_of_circle(world: World, draws: Draws) -> Job:
    """Count the unread emails in the inbox from people with one kind of relationship."""
    kind, plural = draws.pick((("roommate", "roommates"), ("coworker", "coworkers"), ("friend", "friends")))
    circle, me = world.related(kind), world.supervisor.email
    addresses = {person.email for person in circle}
    others = [each for each in world.people if each not in circle and each.email != me]
    count = draws.in_turn(range(8, 28))
    there = sum(row["sender"] in addresses for row in world.rows("mail_emails", owner=me, folder="inbox", read=False))
    for index in range(count - there):
        _write(world, draws, draws.pick(circle), read=False)
        if index < 3:
            _write(world, draws, draws.pick(circle))
            _write(world, draws, draws.pick(circle), read=False, folder="archive")
            _write(world, draws, draws.pick(others), read=False)
    solution = (
        login("phone", "mail", every=True),
        f"circle = every(apis.phone.show_contacts, access_token=phone_token, relationship={kind!r})\n"
        "addresses = {person['email'] for person in circle}\nprint(addresses)",
        "emails = every(apis.mail.show_emails, access_token=mail_token, folder='inbox', read=False)\n"
        "count = len([email for email in emails if email['sender'] in addresses])",
        answer("count"),
    )
    return Job(
        f"How many unread emails in my inbox are from my {plural}?",
        solution,
        Goal(answer=count),
        {
            "answer from the first page": replaced(solution, "every(apis.mail.show_emails, ", "apis.mail.show_emails("),
            "answer counts read ones": replaced(solution, ", read=False", ""),
            "answer counts everybody's": replaced(solution, " if email['sender'] in addresses", ""),
            "answer counts the archive": replaced(
                solution,
                "len([",
                "len([email for email in every(apis.mail.show_emails, access_token=mail_token, "
                "folder='archive', read=False) if email['sender'] in addresses]) + len([",
            ),
            "collateral: marks them as read": with_extra_turn(
                solution,
                "for email in emails:\n"
                "    apis.mail.mark_email_read(access_token=mail_token, email_id=email['email_id'])",
            ),
        },
    )


TEMPLATES = (
    star_mail_of_person,
    archive_labelled,
    count_unread_of_circle,
)
