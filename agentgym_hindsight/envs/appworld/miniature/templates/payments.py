"""Tasks in the payments app: the balance, payments, requests for money."""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.envs.appworld.miniature.goals import Goal
from agentgym_hindsight.envs.appworld.miniature.people import Person
from agentgym_hindsight.envs.appworld.miniature.templates.additions import past, time_at
from agentgym_hindsight.envs.appworld.miniature.templates.base import Draws, Job, template
from agentgym_hindsight.envs.appworld.miniature.templates.common import DONE, answer, login, replaced, with_extra_turn
from agentgym_hindsight.envs.appworld.miniature.wordlists import listed
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = ["TEMPLATES", "Deal", "expects_payments", "fill_account", "money", "others", "user"]

#: A payment: receiver, amount, note.
Deal = tuple[Person, float, str]

_THINGS = listed("cinema tickets, the taxi, paint, concert, museum, lamp oil, a new lock, pancakes, boat hire")


def money(draws: Draws, low: int, high: int) -> float:
    """Draw an amount that is not a whole number."""
    return round(low + draws.below(high - low) + (1 + draws.below(99)) / 100, 2)


def others(world: World) -> list[Person]:
    """Return all people except the supervisor."""
    return [person for person in world.people if person != world.supervisor]


def fill_account(world: World, balance: float) -> None:
    """Set the balance of the supervisor's account."""
    world.update("payments_accounts", world.supervisor.email, balance=balance)


def expects_payments(goal: Goal, world: World, deals: Sequence[Deal]) -> Goal:
    """Require payments of the supervisor from the balance.

    Balances are derived: every payment and transfer has a row of its own. So one of two payments is half of the work.
    """
    me = world.supervisor
    balance_changes = {me.email: -sum(amount for _, amount, _ in deals)}
    for person, amount, note in deals:
        requirement = f"{person.name} is sent {amount:.2f} with the note “{note}”."
        goal.adds(
            "payments_transactions", requirement, sender=me.email, receiver=person.email, amount=amount, note=note
        )
        balance_changes[person.email] = balance_changes.get(person.email, 0.0) + amount
    for email, amount in balance_changes.items():
        balance = round(world.row("payments_accounts", user=email)["balance"] + amount, 2)
        requirement = f"The balance of {world.person(email).name} is {balance:.2f}."
        goal.changes("payments_accounts", {"user": email}, requirement, derived=True, balance=balance)
    return goal


def user(name: str) -> str:
    """Return code that sets ``email`` to the address of the person of exactly this name."""
    return (
        f"users = apis.payments.search_users(access_token=payments_token, query={name!r})\n"
        f'email = [user["email"] for user in users if user["name"] == {name!r}][0]\n'
    )


@template("train", 1)
def ask_balance(world: World, draws: Draws) -> Job:
    """Report the balance of the account."""
    balance = money(draws, 150, 980)
    fill_account(world, balance)
    solution = (
        login("payments"),
        "balance = apis.payments.show_balance(access_token=payments_token)['balance']",
        answer("balance"),
    )
    newest = "apis.payments.show_transactions(access_token=payments_token)[0]['amount']"
    withdraw = "card = apis.payments.show_cards(access_token=payments_token)[0]\n"
    withdraw += "apis.payments.withdraw_money(access_token=payments_token, amount=1, card_id=card['card_id'])"
    return Job(
        draws.pick(("How much money is in my Payments account?", "What is my balance in the Payments app?")),
        solution,
        Goal(balance),
        {
            "wrong answer": replaced(solution, "answer=balance", "answer=int(balance)"),
            "wrong answer: the newest payment": replaced(solution, "answer=balance", f"answer={newest}"),
            "no answer": replaced(solution, "answer=balance", ""),
            "collateral change": with_extra_turn(solution, withdraw),
        },
    )


@template("train", 1)
def send_money(world: World, draws: Draws) -> Job:
    """Send an amount to a person, with a note."""
    person, other = draws.sample(others(world), 2)
    amount, note = money(draws, 5, 60), draws.pick(_THINGS)
    fill_account(world, money(draws, 200, 500))
    find, pay = user(person.name), "apis.payments.send_money(access_token=payments_token, receiver=email, "
    pay += f"amount={amount}, note={note!r})"
    ask = pay.replace("send_money", "request_money").replace("receiver", "payer")
    solution = login("payments"), find + pay, DONE
    return Job(
        f"Send {amount:.2f} from my Payments balance to {person.name}, with the note “{note}”.",
        solution,
        expects_payments(Goal(), world, [(person, amount, note)]),
        {
            "wrong amount": replaced(solution, f"amount={amount}", f"amount={amount + 1:.2f}"),
            "wrong person": replaced(solution, person.name, other.name),
            "no note": replaced(solution, f", note={note!r}", ""),
            "asks for the money": replaced(solution, pay, ask),
            "collateral change": with_extra_turn(solution, ask),
        },
    )


@template("train", 2)
def accept_requests_of_roommates(world: World, draws: Draws) -> Job:
    """Accept the payment requests of the roommates only; the requests of other people are newer."""
    me, roommates = world.supervisor.email, world.related("roommate")
    other_people = [person for person in others(world) if person not in roommates]
    fill_account(world, money(draws, 1500, 2500))
    for person in (*roommates, *(draws.pick(other_people) for _ in range(6))):
        at = time_at(world, (-60 if person in roommates else -1) - draws.below(9), "12:00")
        ask = {"requester": person.email, "payer": me, "amount": money(draws, 4, 70), "note": draws.pick(_THINGS)}
        world.insert("payments_requests", created_at=at, **ask)
    goal, deals = Goal(), list[Deal]()
    for row in world.rows("payments_requests", payer=me, status="pending"):
        person = world.person(row["requester"])
        if person in roommates:
            requirement = f"The request of {person.name} for {row['amount']:.2f} is accepted."
            goal.changes("payments_requests", {"id": row["id"]}, requirement, status="accepted")
            deals.append((person, row["amount"], row["note"]))
    accept = "        apis.payments.accept_payment_request(access_token=payments_token, request_id=row['request_id'])"
    loop = "for row in requests:\n    if row['requester'] in addresses:\n" + accept
    solution = (
        login("payments", "phone", every=True),
        "people = every(apis.phone.show_contacts, access_token=phone_token, relationship='roommate')\n"
        "addresses = [person['email'] for person in people]\n"
        "requests = every(apis.payments.show_payment_requests, access_token=payments_token, status='pending')",
        loop,
        DONE,
    )
    deny_others = loop.replace(" in addresses", " not in addresses").replace("accept", "deny", 1)
    return Job(
        "Accept all pending payment requests of my roommates, from my Payments balance. Leave other requests alone.",
        solution,
        expects_payments(goal, world, deals),
        {
            "first page only": replaced(solution, "every(apis.payments.show_payment_requests, ", _FIRST_PAGE),
            "everybody's requests": replaced(solution, "if row['requester'] in addresses", "if True"),
            "denies them": replaced(solution, "accept_payment", "deny_payment"),
            "collateral change": with_extra_turn(solution, deny_others),
        },
    )


_FIRST_PAGE = "apis.payments.show_payment_requests("


@template("test", 1)
def take_request_back(world: World, draws: Draws) -> Job:
    """Cancel one sent payment request; others went to the same person or have the same note."""
    me, amount = world.supervisor.email, money(draws, 5, 60)
    person, other = draws.sample(others(world), 2)
    thing, another = draws.sample(_THINGS, 2)
    for payer, note, status in (
        (person, thing, "denied"),
        (other, thing, "pending"),
        (person, thing, "pending"),
        (person, another, "pending"),
    ):
        ask = {"requester": me, "payer": payer.email, "amount": amount, "note": note, "status": status}
        world.insert("payments_requests", created_at=past(world, draws), **ask)
    cancel = (
        "for row in requests:\n"
        f"    if row['payer'] == email and row['note'] == {thing!r}:\n"
        "        apis.payments.cancel_payment_request(access_token=payments_token, request_id=row['request_id'])"
    )
    solution = (
        login("payments"),
        f"{user(person.name)}requests = apis.payments.show_payment_requests(\n"
        "    access_token=payments_token, direction='sent', status='pending', page_limit=20\n)",
        cancel,
        DONE,
    )
    where = {"requester": me, "payer": person.email, "note": thing, "status": "pending"}
    return Job(
        f"I asked {person.name} for money with the note “{thing}”. Take that pending payment request back.",
        solution,
        Goal().changes("payments_requests", where, "The request is cancelled.", status="cancelled"),
        {
            "wrong person": replaced(solution, person.name, other.name),
            "wrong request": replaced(solution, repr(thing), repr(another)),
            "all requests to the person": replaced(solution, f" and row['note'] == {thing!r}", ""),
            "collateral change": with_extra_turn(solution, cancel.replace("==", "!=", 1)),
        },
    )


TEMPLATES = (
    ask_balance,
    send_money,
    accept_requests_of_roommates,
    take_request_back,
)
