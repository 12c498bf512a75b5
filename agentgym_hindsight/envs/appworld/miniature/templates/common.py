"""Code that several solutions use, edits that make a solution wrong, and goals that several templates use.

A solution is a sequence of turns of code. Its last turn only completes the task.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.envs.appworld.miniature.goals import Goal, same_text
from agentgym_hindsight.envs.appworld.miniature.people import Person
from agentgym_hindsight.envs.appworld.miniature.world import World
from agentgym_hindsight.errors import UsageError

__all__ = [
    "DONE",
    "EVERY",
    "Turns",
    "answer",
    "contact",
    "login",
    "replaced",
    "sends_mail",
    "sends_text",
    "with_extra_turn",
]

Turns = tuple[str, ...]

#: The last turn of a task that asks no question.
DONE = "apis.supervisor.complete_task()"

#: Code that defines ``every(api, …)``, which returns the results of all pages.
EVERY = """
def every(api, **arguments):
    found = []
    while True:
        page = api(page_index=len(found) // 20, page_limit=20, **arguments)
        found += page
        if len(page) < 20:
            return found
""".strip()


def login(*apps: str, every: bool = False) -> str:
    """Return a turn that logs into apps and defines ``me`` (the email address) and ``<app>_token``.

    >>> print(login("notes"))
    me = apis.supervisor.show_profile()["email"]
    passwords = {row["app"]: row["password"] for row in apis.supervisor.show_account_passwords()}
    notes_token = apis.notes.login(username=me, password=passwords["notes"])["access_token"]
    """
    lines = [
        'me = apis.supervisor.show_profile()["email"]',
        'passwords = {row["app"]: row["password"] for row in apis.supervisor.show_account_passwords()}',
        *(f'{app}_token = apis.{app}.login(username=me, password=passwords["{app}"])["access_token"]' for app in apps),
    ]
    return "\n".join([*lines, EVERY] if every else lines)


def contact(name: str) -> str:
    """Return code that sets ``person`` to the contact of exactly this name. A query alone also finds similar names."""
    return (
        f"found = apis.phone.show_contacts(access_token=phone_token, query={name!r}, page_limit=20)\n"
        f'person = [row for row in found if row["name"] == {name!r}][0]'
    )


def answer(expression: str) -> str:
    """Return the last turn of a task that asks a question.

    >>> answer("len(notes)")
    'apis.supervisor.complete_task(answer=len(notes))'
    """
    return f"apis.supervisor.complete_task(answer={expression})"


def replaced(turns: Sequence[str], old: str, new: str) -> Turns:
    """Return the turns with a piece of code replaced, as a wrong solution.

    >>> replaced(("pay(5)", "done()"), "5", "6")
    ('pay(6)', 'done()')
    """
    if not any(old in turn for turn in turns):
        raise UsageError(f"Expected code that occurs in a turn, got {old!r}; try a part of the solution.")
    return tuple(turn.replace(old, new) for turn in turns)


def with_extra_turn(turns: Sequence[str], extra: str) -> Turns:
    """Return the turns with one more turn before the last, as a wrong solution.

    >>> with_extra_turn(("pay(5)", "done()"), "pay(7)")
    ('pay(5)', 'pay(7)', 'done()')
    """
    return (*turns[:-1], extra, turns[-1])


def sends_mail(
    goal: Goal, world: World, to: Sequence[Person], subject: str, body: str, *, thread: int | None = None
) -> Goal:
    """Require an email of the supervisor: a copy in the supervisor's mailbox, and one in that of each recipient."""
    me, addresses = world.supervisor.email, [person.email for person in to]
    values = {"sender": me, "recipients": addresses, "subject": same_text(subject), "body": same_text(body)}
    if thread is not None:
        values["thread"] = thread
    goal.adds(
        "mail_emails", "The email is sent to the right people.", owner=me, folder="sent", attachments=[], **values
    )
    for person in to:
        goal.adds(
            "mail_emails",
            f"{person.name} gets the email.",
            owner=person.email,
            folder="inbox",
            attachments=[],
            **values,
        )
    return goal


def sends_text(goal: Goal, world: World, to: Person, text: str) -> Goal:
    """Require a text message of the supervisor to a person."""
    return goal.adds(
        "phone_messages",
        f"{to.name} gets the text message.",
        sender=world.supervisor.phone_number,
        receiver=to.phone_number,
        text=same_text(text),
    )
