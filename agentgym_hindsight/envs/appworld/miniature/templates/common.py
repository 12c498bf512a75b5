"""Code that solutions share, ways to spoil a solution, and ends that several templates want.

Solutions are turns of code, and the last turn does nothing but complete the task.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.envs.appworld.miniature.goals import Goal, same_text
from agentgym_hindsight.envs.appworld.miniature.people import Person
from agentgym_hindsight.envs.appworld.miniature.world import World
from agentgym_hindsight.errors import UsageError

__all__ = ["DONE", "EVERY", "Turns", "answer", "besides", "contact", "instead", "login", "sends_mail", "sends_text"]

Turns = tuple[str, ...]

#: The last turn of a deed.
DONE = "apis.supervisor.complete_task()"

#: Code for ``every(api, …)``: the results of all pages.
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
    """The turn that logs into apps: the code knows ``me`` (the email address) and ``<app>_token`` from then on.

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
    """Code for ``person``, the contact of exactly that name: a query alone also finds who is called a little alike."""
    return (
        f"found = apis.phone.show_contacts(access_token=phone_token, query={name!r}, page_limit=20)\n"
        f'person = [row for row in found if row["name"] == {name!r}][0]'
    )


def answer(expression: str) -> str:
    """The last turn of a question.

    >>> answer("len(notes)")
    'apis.supervisor.complete_task(answer=len(notes))'
    """
    return f"apis.supervisor.complete_task(answer={expression})"


def instead(turns: Sequence[str], old: str, new: str) -> Turns:
    """A wrong way: the turns with other code in one place.

    >>> instead(("pay(5)", "done()"), "5", "6")
    ('pay(6)', 'done()')
    """
    if not any(old in turn for turn in turns):
        raise UsageError(f"Expected code to replace, got {old!r}, which stands in no turn.")
    return tuple(turn.replace(old, new) for turn in turns)


def besides(turns: Sequence[str], deed: str) -> Turns:
    """A wrong way: one thing more is done before the end.

    >>> besides(("pay(5)", "done()"), "pay(7)")
    ('pay(5)', 'pay(7)', 'done()')
    """
    return (*turns[:-1], deed, turns[-1])


def sends_mail(
    goal: Goal, world: World, to: Sequence[Person], subject: str, body: str, *, thread: int | None = None
) -> Goal:
    """The supervisor sends this: a copy for the own mailbox, and one for each recipient."""
    me, addresses = world.supervisor.email, [person.email for person in to]
    told = {"sender": me, "recipients": addresses, "subject": same_text(subject), "body": same_text(body)}
    if thread is not None:
        told["thread"] = thread
    goal.adds("mail_emails", "The email is sent to the right people.", owner=me, folder="sent", attachments=[], **told)
    for person in to:
        goal.adds(
            "mail_emails", f"{person.name} gets the email.", owner=person.email, folder="inbox", attachments=[], **told
        )
    return goal


def sends_text(goal: Goal, world: World, to: Person, text: str) -> Goal:
    """The supervisor sends somebody this text message."""
    return goal.adds(
        "phone_messages",
        f"{to.name} gets the text message.",
        sender=world.supervisor.phone_number,
        receiver=to.phone_number,
        text=same_text(text),
    )
