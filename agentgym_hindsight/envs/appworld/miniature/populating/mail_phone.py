"""Initial data of the mail and phone apps: emails, contacts, text messages, voice mails, alarms."""

from __future__ import annotations

from typing import Any

from agentgym_hindsight.envs.appworld.miniature.people import CITY, Person
from agentgym_hindsight.envs.appworld.miniature.populating.story import Story

__all__ = ["write_mail", "write_phone"]


def write_phone(story: Story) -> None:
    """Write contacts for all people with a relationship, their text messages and voice mails, and alarms."""
    me, draws = story.me, story.draws("phone")
    for person in story.others:
        if person.relationships:
            story.add(
                "phone_contacts",
                owner=me.email,
                name=person.name,
                phone_number=person.phone_number,
                email=person.email,
                relationships=list(person.relationships),
                birthday=person.birthday,
                address=f"{person.street}, {CITY}",
            )
    for owner in draws.sample(story.others, 3):  # contacts of other people, which no task may change
        for person in draws.sample([p for p in story.people if p is not owner], 2):
            story.add(
                "phone_contacts",
                owner=owner.email,
                name=person.name,
                phone_number=person.phone_number,
                email=person.email,
            )
    for at, sender, receiver, text in sorted(_text_messages(story)):
        read = sender == me.phone_number or draws.chance(0.7)
        story.add("phone_messages", sender=sender, receiver=receiver, text=text, sent_at=at, read=read)
    parent, manager = story.related("parent")[0], story.related("manager")[0]
    sibling = story.related("sibling")[0]
    for person, transcript in (
        (parent, f"Hi {me.first_name}, it is me. Call me back about Sunday lunch, and bring the blue dish."),
        (
            manager,
            f"Hello, {manager.first_name} here. The {story.project} review is moved; see your mail for the new time.",
        ),
        (sibling, "It is nothing urgent. I found your old bicycle pump and want to know if you still need it."),
        (story.host, f"About {story.place}: I paid the deposit for the {story.lodging}, we can settle up later."),
    ):
        story.add(
            "phone_voicemails",
            owner=me.email,
            caller=person.phone_number,
            transcript=transcript,
            seconds=8 + draws.below(50),
            left_at=story.past(draws, 20),
            heard=draws.chance(0.5),
        )
    for time, days, label, enabled in (
        (f"06:{10 * draws.below(6):02}", ["Mon", "Tue", "Wed", "Thu", "Fri"], "Wake up", True),
        (f"09:{15 * draws.below(4):02}", ["Sat", "Sun"], "Slow morning", draws.chance(0.5)),
        (f"1{7 + draws.below(3)}:30", ["Tue", "Thu"], "Running club", True),
        (f"21:{15 * draws.below(4):02}", [], "Water the plants", False),
    ):
        story.add("phone_alarms", owner=me.email, time=time, days=days, label=label, enabled=enabled)


def _text_messages(story: Story) -> list[tuple[str, str, str, str]]:
    me, draws = story.me, story.draws("talks")
    roommates, friends, coworkers = story.related("roommate"), story.related("friend"), story.related("coworker")
    bill = draws.pick(sorted(story.bills))
    lines: list[tuple[Person, str, str]] = [
        (roommates[0], f"The {bill} bill came, {story.bills[bill]:.2f} in all.", "Thanks, I will send you my part."),
        (roommates[1], "We are out of dish soap and oats.", "I put both on the grocery note."),
        (story.host, f"Are you in for {story.place}?", f"Yes! {story.nights} nights, right?"),
        (story.travellers[1], f"Who drives to {story.place}?", f"{story.host.first_name} does."),
        (coworkers[0], f"Did you see the {story.project} numbers?", "Not yet, I will look after lunch."),
        (coworkers[1], f"Lunch at {story.cafes[0]} tomorrow?", "Gladly, half past twelve."),
        (story.related("parent")[0], "Your aunt sends her love.", "Give her mine!"),
        (story.related("sibling")[0], "Can you lend me the tent?", f"After {story.place}, yes."),
        (draws.pick(friends), f"{story.cafes[1]} was good. What do I owe you?", "I will send a request."),
        (story.related("neighbor")[0], "A parcel of yours is at my place.", "Thank you, I will come by tonight."),
        (draws.pick(friends), "Have you heard the new album?", "Only half of it. Put it on the playlist!"),
        (draws.pick(roommates), "Who left the window open?", "Not me this time."),
    ]
    messages = []
    for person, question, reply in lines:
        offset, hour, minute = -1 - draws.below(40), 8 + draws.below(12), draws.below(55)
        messages.append((story.at(offset, f"{hour:02}:{minute:02}"), person.phone_number, me.phone_number, question))
        answer_at = story.at(offset, f"{hour:02}:{minute + 4:02}")
        messages.append((answer_at, me.phone_number, person.phone_number, reply))
    sender, receiver = draws.sample(story.others, 2)
    messages.append((story.past(draws, 30), sender.phone_number, receiver.phone_number, "See you at the market."))
    return messages


def write_mail(story: Story) -> None:
    """Write threads into the mailboxes of all their participants, and bulk mail into the supervisor's."""
    me, draws = story.me, story.draws("mail")
    friends, coworkers = story.travellers, story.related("coworker")
    manager, parent = story.related("manager")[0], story.related("parent")[1]
    roommates, share = story.related("roommate"), story.lodging_cost / 4
    threads: list[tuple[Person, list[Person], str, list[str], list[str], list[Any]]] = [
        (
            story.host,
            [me, *friends[1:]],
            f"Trip to {story.place}",
            [
                f"Hi all,\nI booked the {story.lodging} in {story.place} for {story.nights} nights. It costs "
                f"{story.lodging_cost:.2f} in all, so {share:.2f} each.\n{story.host.first_name}",
                f"Great! I will bring the cooking things.\n{me.first_name}",
            ],
            ["travel"],
            [{"name": "booking.txt", "content": f"{story.place}, {story.nights} nights, {story.lodging_cost:.2f}"}],
        ),
        (
            manager,
            [me, *coworkers],
            f"{story.project}: plan for next week",
            [
                f"Dear team,\nplease send me your part of the {story.project} report by Thursday.\n"
                f"{manager.first_name}",
                f"Mine is nearly done.\n{me.first_name}",
            ],
            ["work"],
            [{"name": "plan.txt", "content": f"{story.project}: draft, review, release"}],
        ),
        (
            coworkers[0],
            [me],
            f"{story.other_project}: minutes",
            ["The minutes are in the shared folder."],
            ["work"],
            [],
        ),
        (coworkers[1], [me, manager], "Desk move", ["My desk moves to the second floor on Monday."], ["work"], []),
        (
            coworkers[2],
            [me],
            f"Question on {story.project}",
            ["Which figures did you use for the chart?"],
            ["work"],
            [],
        ),
        (parent, [me], "Photos from the garden", ["The roses are out. Come and see them soon."], ["family"], []),
        (
            roommates[0],
            [me, *roommates[1:]],
            "Bills of the month",
            [
                "Hi,\nthis month: "
                + ", ".join(f"{name} {amount:.2f}" for name, amount in story.bills.items())
                + f". Rent is {story.rent:.2f} as always.\n{roommates[0].first_name}"
            ],
            ["home"],
            [],
        ),
        (
            me,
            [story.related("sibling")[0]],
            "Birthday present for Mum",
            ["Shall we share a present this year?"],
            [],
            [],
        ),
        (me, [manager], "Days off", [f"I would like to take {story.nights} days off for a trip."], ["work"], []),
        (me, [coworkers[0]], "Lunch", [f"Shall we try {story.cafes[0]}?"], [], []),
    ]
    number = 0
    for number, (starter, to, subject, bodies, labels, attachments) in enumerate(threads, 1):
        offset = -2 - draws.below(40)
        for index, body in enumerate(bodies):
            sender = starter if index == 0 else me
            recipients = to if index == 0 else [starter, *(person for person in to if person is not me)]
            at = story.at(offset + min(index, 1), f"{8 + draws.below(10):02}:{draws.below(60):02}")
            for owner in (sender, *recipients):
                is_own_copy = owner is me
                story.add(
                    "mail_emails",
                    owner=owner.email,
                    thread=number,
                    folder="sent" if owner is sender else "inbox",
                    sender=sender.email,
                    recipients=[person.email for person in recipients],
                    subject=subject if index == 0 else f"Re: {subject}",
                    body=body,
                    sent_at=at,
                    read=owner is sender or draws.chance(0.6),
                    starred=is_own_copy and draws.chance(0.2),
                    labels=labels if is_own_copy else [],
                    attachments=attachments if index == 0 else [],
                )
    for subject, body, folder in (
        ("Your weekly digest", "Five recipes for the season, and one for the freezer.", "inbox"),
        ("A discount for you", "This week only: everything for the garden at 15% off.", "inbox"),
        ("Your weekly digest", "Soups for every day of the week.", "archive"),
        ("Survey", "Tell us how you liked your last visit.", "trash"),
    ):
        number += 1
        story.add(
            "mail_emails",
            owner=me.email,
            thread=number,
            folder=folder,
            sender="news@market.example",
            recipients=[me.email],
            subject=subject,
            body=body,
            sent_at=story.past(draws, 45),
            read=draws.chance(0.4),
            labels=["news"],
        )
    story.add(
        "mail_emails",
        owner=me.email,
        thread=number + 1,
        folder="drafts",
        sender=me.email,
        recipients=[story.host.email],
        subject="Packing list",
        body="What do we still need?",
        sent_at=story.past(draws, 5),
        read=True,
    )
