"""Everyday tasks in two apps: mail and notes, voice mails and notes, calendar and phone."""

from __future__ import annotations

from datetime import datetime, timedelta

from agentgym_hindsight.envs.appworld.miniature.goals import Goal, same_text
from agentgym_hindsight.envs.appworld.miniature.templates.additions import (
    clock,
    day,
    past,
    put_event,
    put_mail,
    put_note,
    time_at,
)
from agentgym_hindsight.envs.appworld.miniature.templates.base import Draws, Job, template
from agentgym_hindsight.envs.appworld.miniature.templates.common import (
    DONE,
    contact,
    login,
    replaced,
    sends_mail,
    sends_text,
    with_extra_turn,
)
from agentgym_hindsight.envs.appworld.miniature.wordlists import listed
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = ["TEMPLATES"]

_CAKES = listed("pear, plum, poppy seed, rhubarb, walnut, carrot, honey, almond, cherry, quince")
_PARTS = listed("flour, butter, sugar, eggs, milk, salt, yeast, cinnamon, lemon peel, vanilla, cream, oats")
_EVENTS = listed(
    "Piano lesson, Rehearsal, Bicycle tour, Garden day, Language table, Swimming, Picnic, Moot, Repair café"
)
_TRANSCRIPTS = (
    "The {} is ready, you can fetch it.",
    "I am calling about the {}. It is not urgent.",
    "Can you bring the {} when you come?",
    "Thank you for the {}, it arrived today.",
    "Somebody asked me for the {} and I said you have it.",
)
_THINGS = listed(
    "ladder, blue suitcase, sewing machine, drill, camera, tent, cello, spare key, lamp, projector, sledge"
)
_LISTS = listed("Calls, Call back, Voice mails, Who rang, Messages of the week, Answering machine")


@template("train", 3)
def answer_with_note(world: World, draws: Draws) -> Job:
    """Reply to an email that asks for a note with the text of the note."""
    person, other = draws.sample([each for each in world.people if each.relationships], 2)
    titles = [f"{kind.capitalize()} cake" for kind in draws.sample(_CAKES, 3)]
    texts = {
        title: f"{120 + 10 * draws.below(20)} g of each:\n" + ", ".join(draws.sample(_PARTS, 5)) for title in titles
    }
    for title in titles:
        put_note(world, title, texts[title], past(world, draws))
    wanted_title, other_title = titles[0], titles[1]

    def ask(who: str, what: str) -> str:
        return f'Hi,\nyour cake was so good. Could you send me your note "{what}"?\n{who}'

    asked_at = time_at(world, -3, clock(draws, 8, 20))
    request_id = put_mail(world, person, "Cake", ask(person.first_name, wanted_title), asked_at, read=draws.chance(0.5))
    put_mail(world, other, "Cake", ask(other.first_name, other_title), time_at(world, -2, clock(draws, 8, 20)))
    put_mail(world, person, "Thanks", "The evening at your place was lovely.", time_at(world, -1, clock(draws, 8, 20)))
    thread = world.row("mail_emails", id=request_id)["thread"]
    goal = sends_mail(Goal(), world, [person], "Re: Cake", texts[wanted_title], thread=thread)
    goal.allows("mail_emails", "read")
    solution = (
        login("phone", "mail", "notes", every=True),
        f"{contact(person.name)}\n"
        "heads = every(apis.mail.search_emails, access_token=mail_token, sender=person['email'])\n"
        "emails = [apis.mail.show_email(access_token=mail_token, email_id=head['email_id']) for head in heads]\n"
        "print([email['body'] for email in emails])",
        "found = []\n"
        "for head in every(apis.notes.show_notes, access_token=notes_token):\n"
        "    for email in emails:\n"
        "        if '\"' + head['title'] + '\"' in email['body']:\n"
        "            found.append((email, apis.notes.show_note(access_token=notes_token, note_id=head['note_id'])))\n"
        "email, note = found[0]",
        "apis.mail.reply_to_email(access_token=mail_token, email_id=email['email_id'], body=note['content'])",
        DONE,
    )
    new = "send_email(access_token=mail_token, recipients=[person['email']], subject='Re: Cake', body=note['content'])"
    return Job(
        f"{person.name} asked me by email for one of my notes. Reply to that email with the text of the note, "
        "word for word and nothing else.",
        solution,
        goal,
        {
            "wrong person": replaced(solution, repr(person.name), repr(other.name)),
            "title instead of text": replaced(solution, "body=note['content']", "body=note['title']"),
            "replies to the newest email": replaced(
                solution, "email_id=email['email_id'], b", "email_id=heads[0]['email_id'], b"
            ),
            "a new email": (*solution[:3], f"apis.mail.{new}", DONE),
            "collateral: archives the email": with_extra_turn(
                solution, "apis.mail.move_email(access_token=mail_token, email_id=email['email_id'], folder='archive')"
            ),
        },
    )


@template("dev", 3)
def list_voicemails(world: World, draws: Draws) -> Job:
    """List new voice mails in a note, with names instead of numbers, and mark them as heard."""
    me, title = world.supervisor, draws.pick(_LISTS)
    people = [each for each in world.people if each.relationships]
    for index in range(8 + draws.below(3)):
        world.insert(
            "phone_voicemails",
            owner=me.email,
            caller=draws.pick(people).phone_number,
            transcript=draws.pick(_TRANSCRIPTS).format(draws.pick(_THINGS)),
            seconds=5 + draws.below(40),
            left_at=past(world, draws),
            heard=index < 2,
        )
    new = sorted(
        world.rows("phone_voicemails", owner=me.email, heard=False),
        key=lambda row: (row["left_at"], row["id"]),
        reverse=True,
    )
    names = {person.phone_number: person.name for person in people}
    text = "\n".join(f"{names[row['caller']]}: {row['transcript']}" for row in new)
    goal = Goal().adds(
        "notes_notes", f"The note {title} lists the voice mails.", owner=me.email, title=title, content=same_text(text)
    )
    for row in new:
        requirement = f"The voice mail of {names[row['caller']]} is marked as heard."
        goal.changes("phone_voicemails", {"id": row["id"]}, requirement, heard=True)
    solution = (
        login("phone", "notes", every=True),
        "new = every(apis.phone.show_voicemails, access_token=phone_token, heard=False)\n"
        "people = every(apis.phone.show_contacts, access_token=phone_token)\n"
        "names = {person['phone_number']: person['name'] for person in people}",
        "lines = [names[row['caller']] + ': ' + row['transcript'] for row in new]\n"
        f"apis.notes.create_note(access_token=notes_token, title={title!r}, content='\\n'.join(lines))",
        "for row in new:\n"
        "    apis.phone.mark_voicemail_heard(access_token=phone_token, voicemail_id=row['voicemail_id'])",
        DONE,
    )
    return Job(
        f"Write a note titled '{title}' that lists the voice mails I have not heard yet, newest first, each on a line "
        "of its own: the caller's name as in my contacts, a colon, a blank and what was said. Then mark them as heard.",
        solution,
        goal,
        {
            "first page only": replaced(solution, "every(apis.phone.show_voicemails, ", "apis.phone.show_voicemails("),
            "oldest first": replaced(solution, "for row in new]", "for row in reversed(new)]"),
            "old ones too": replaced(solution, ", heard=False", ""),
            "numbers instead of names": replaced(solution, "names[row['caller']]", "row['caller']"),
            "forgets to mark them": (*solution[:3], DONE),
            "deletes them": replaced(solution, "mark_voicemail_heard", "delete_voicemail"),
        },
    )


_DELAYS = (
    "We begin {1} minutes later.",
    "{0} starts {1} minutes later!",
    "It will be a bit later, see the calendar.",
    "{0} has been put off by {1} minutes, sorry.",
)
_UNINVITE = """
for guest in event['attendees']:
    if guest['status'] == 'declined':
        apis.calendar.uninvite_person(access_token=calendar_token, event_id=event['event_id'], email=guest['email'])
""".strip()


@template("dev", 3)
def move_event_and_tell(world: World, draws: Draws) -> Job:
    """Move an event to a later start with the same duration, and text the people who have accepted it."""
    title, at, offset = draws.pick(_EVENTS), clock(draws, 9, 18, 15), 22 + draws.below(12)
    delay, duration = draws.pick((30, 45, 60, 90)), draws.pick((105, 120, 150))
    guests = draws.sample([each for each in world.people if each.relationships], 5)
    statuses = ("accepted", "accepted", "declined", "invited", draws.pick(("accepted", "declined")))
    me, pairs = world.supervisor, list(zip(guests, statuses, strict=True))
    event = put_event(world, me, title, time_at(world, offset, at), duration, *pairs)
    put_event(world, me, title, time_at(world, offset + 7, at), duration, *pairs)
    starts_at, ends_at = time_at(world, offset, at, delay), time_at(world, offset, at, delay + duration)
    date, text = day(world, offset), draws.pick(_DELAYS).format(title, delay)
    requirement = f"{title} begins {delay} minutes later and lasts as long as before."
    goal = Goal().changes("calendar_events", {"id": event}, requirement, starts_at=starts_at, ends_at=ends_at)
    for guest, status in pairs:
        if status == "accepted":
            sends_text(goal, world, guest, text)
    solution = (
        "from datetime import datetime, timedelta\n" + login("calendar", "phone", every=True),
        f"heads = every(apis.calendar.show_events, access_token=calendar_token, since={date!r}, until={date!r})\n"
        f"head = [event for event in heads if event['title'] == {title!r}][0]\n"
        "event = apis.calendar.show_event(access_token=calendar_token, event_id=head['event_id'])\n"
        "print(event)",
        f"later = timedelta(minutes={delay})\n"
        "starts_at = (datetime.fromisoformat(event['starts_at']) + later).isoformat()\n"
        "ends_at = (datetime.fromisoformat(event['ends_at']) + later).isoformat()\n"
        "apis.calendar.update_event(\n"
        "    access_token=calendar_token, event_id=event['event_id'], starts_at=starts_at, ends_at=ends_at\n"
        ")",
        "people = every(apis.phone.show_contacts, access_token=phone_token)\n"
        "numbers = {person['email']: person['phone_number'] for person in people}\n"
        "for guest in event['attendees']:\n"
        "    if guest['status'] == 'accepted':\n"
        "        number = numbers[guest['email']]\n"
        f"        apis.phone.send_message(access_token=phone_token, phone_number=number, text={text!r})",
        DONE,
    )
    return Job(
        f"My event '{title}' on {date} has to begin {delay} minutes later; it lasts as long as planned. Move it, and "
        f'text everybody who has accepted it: "{text}"',
        solution,
        goal,
        {
            "texts everyone invited": replaced(solution, "if guest['status'] == 'accepted'", "if True"),
            "texts nobody": (*solution[:3], DONE),
            "keeps the old end": replaced(solution, ", ends_at=ends_at", ""),
            "moves it the other way": replaced(solution, ") + later", ") - later"),
            "the event a week later": replaced(
                solution, f"since={date!r}, until={date!r}", f"since={day(world, offset + 7)!r}"
            ),
            "collateral: uninvites people who declined": with_extra_turn(solution, _UNINVITE),
        },
    )


@template("test", 3)
def alarm_before_first_event(world: World, draws: Draws) -> Job:
    """Set an alarm some minutes before the first event of a day that the supervisor organizes or has accepted."""
    me, label = world.supervisor, draws.pick(("Off we go", "Get ready", "Leave home", "Pack the bag", "Shoes on"))
    hosts = draws.sample([each for each in world.people if each.relationships], 2)
    titles, offset = draws.sample(_EVENTS, 4), 22 + draws.below(12)
    minutes_before, hours = draws.pick((20, 25, 35, 40, 50, 65, 80)), sorted(draws.sample(range(8, 20), 4))
    starts = [time_at(world, offset, f"{hour:02}:{15 * draws.below(4):02}") for hour in hours]
    put_event(world, hosts[0], titles[0], starts[0], 40, (me, draws.pick(("declined", "invited"))))
    if draws.chance(0.5):
        put_event(world, me, titles[1], starts[1], 40)
    else:
        put_event(world, hosts[1], titles[1], starts[1], 40, (me, "accepted"))
    put_event(world, hosts[1], titles[2], starts[2], 40, (me, "accepted"))
    put_event(world, me, titles[3], starts[3], 40)
    date = day(world, offset)
    time = (datetime.fromisoformat(starts[1]) - timedelta(minutes=minutes_before)).strftime("%H:%M")
    solution = (
        "from datetime import datetime, timedelta\n" + login("calendar", "phone", every=True),
        f"events = every(apis.calendar.show_events, access_token=calendar_token, since={date!r}, until={date!r})\n"
        "mine = [event for event in events if event['my_status'] in ('organizer', 'accepted')]\n"
        "first = min(mine, key=lambda event: event['starts_at'])\nprint(first)",
        f"rings = datetime.fromisoformat(first['starts_at']) - timedelta(minutes={minutes_before})\n"
        "apis.phone.create_alarm(\n"
        f"    access_token=phone_token, time=rings.strftime('%H:%M'), label={label!r}\n"
        ")",
        DONE,
    )
    requirement = f"An alarm labelled {label} rings {minutes_before} minutes before the first event, once."
    return Job(
        f"Set an alarm labelled '{label}' that rings once, {minutes_before} minutes before my first event on {date} "
        "begins. Invitations that I declined or have not answered do not count.",
        solution,
        Goal().adds("phone_alarms", requirement, owner=me.email, time=time, label=label, days=[], enabled=True),
        {
            "forgot the condition": replaced(solution, " if event['my_status'] in ('organizer', 'accepted')", ""),
            "at the event": replaced(solution, f"minutes={minutes_before}", "minutes=0"),
            "the last event": replaced(solution, "min(mine", "max(mine"),
            "no label": replaced(solution, f", label={label!r}", ""),
            "collateral: accepts the rest": with_extra_turn(
                solution,
                "for event in events:\n"
                "    if event['my_status'] in ('invited', 'declined'):\n"
                "        apis.calendar.accept_invitation(access_token=calendar_token, event_id=event['event_id'])",
            ),
        },
    )


TEMPLATES = (
    answer_with_note,
    list_voicemails,
    move_event_and_tell,
    alarm_before_first_event,
)
