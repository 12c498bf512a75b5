"""The payments app: balances, payments, friends, cards; amounts are in whole cents. Requests are in ``requests.py``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.accounts import add_account_apis
from agentgym_hindsight.envs.appworld.miniature.api import App, Call, matches, newest, view
from agentgym_hindsight.envs.appworld.miniature.parameter_types import (
    Day,
    Email,
    Line,
    Money,
    Query,
    Rule,
    Text,
    quoted,
)
from agentgym_hindsight.envs.appworld.miniature.schema import NOW, Row, Table

__all__ = ["APP", "CardNumber", "pay"]

CardNumber = Annotated[
    str, Rule("a card number of 16 digits", lambda value: len(value) == 16 and value.isascii() and value.isdigit())
]

APP = App(
    "payments",
    "Send money to people, ask for it, and see where it went.",
    Table("payments_accounts", key=("user",), user=str, balance=float),
    Table(
        "payments_transactions",
        id=int,
        sender=str,
        receiver=str,
        amount=float,
        note=(str, ""),
        private=(bool, False),
        created_at=(str, NOW),
    ),
    Table(
        "payments_requests",
        id=int,
        requester=str,
        payer=str,
        amount=float,
        note=(str, ""),
        status=(str, "pending"),  # or accepted, denied, cancelled
        created_at=(str, NOW),
    ),
    Table("payments_friends", key=("user", "friend"), user=str, friend=str),
    Table("payments_cards", id=int, owner=str, name=str, number=str, expires_on=str),
    Table(
        "payments_transfers", id=int, owner=str, card_id=int, amount=float, created_at=(str, NOW)
    ),  # the amount is positive for a transfer to the account
    Table("payments_comments", id=int, transaction_id=int, author=str, text=str, created_at=(str, NOW)),
)
add_account_apis(APP)

_TRANSACTION = {
    "transaction_id": int,
    "sender": str,
    "receiver": str,
    "amount": float,
    "note": str,
    "private": bool,
    "created_at": str,
}
_CARD = {"card_id": int, "name": str, "number": str, "expires_on": str}
_COMMENT = {"comment_id": int, "author": str, "text": str, "created_at": str}
_USER = {"name": str, "email": str}


def _change_balance(call: Call, user: str, amount: float) -> float:
    balance = round(float(call.db.row("payments_accounts", user=user)["balance"]) + amount, 2)
    if balance < 0:
        missing = round(-balance, 2)
        raise ApiFailure(409, f"Your balance is {missing:.2f} too low for this; add money first or pay with a card.")
    call.db.update("payments_accounts", user, balance=balance)
    return balance


def pay(call: Call, receiver: str, amount: float, note: str, private: bool, card_id: int | None) -> int:
    """Move money from the caller to another person and return the id of the transaction."""
    call.person(receiver)
    if receiver == call.user:
        raise ApiFailure(409, "You cannot send money to yourself.")
    if card_id is None:
        _change_balance(call, call.user, -amount)
    else:
        _valid_card(call, card_id)
    _change_balance(call, receiver, amount)
    return call.db.insert(
        "payments_transactions", sender=call.user, receiver=receiver, amount=amount, note=note, private=private
    )


def _valid_card(call: Call, card_id: int) -> Row:
    card = call.own_row("payments_cards", "card", card_id)
    if card["expires_on"] < call.db.now[:10]:
        raise ApiFailure(409, f"The card {card_id} ({card['name']}) expired on {card['expires_on']}; use another.")
    return card


@APP.read({"balance": float})
def show_balance(call: Call) -> Row:
    """How much money is in your account."""
    return {"balance": call.db.row("payments_accounts", user=call.user)["balance"]}


@APP.write({"message": str, "balance": float})
def add_money(call: Call, amount: Money, card_id: int) -> Row:
    """Move money from a card into your account."""
    _valid_card(call, card_id)
    call.db.insert("payments_transfers", owner=call.user, card_id=card_id, amount=amount)
    return {"message": f"Added {amount:.2f}.", "balance": _change_balance(call, call.user, amount)}


@APP.write({"message": str, "balance": float})
def withdraw_money(call: Call, amount: Money, card_id: int) -> Row:
    """Move money from your account to a card."""
    _valid_card(call, card_id)
    call.db.insert("payments_transfers", owner=call.user, card_id=card_id, amount=-amount)
    return {"message": f"Withdrew {amount:.2f}.", "balance": _change_balance(call, call.user, -amount)}


@APP.read([{"transfer_id": int, "card_id": int, "amount": float, "created_at": str}], paged=True)
def show_transfers(call: Call) -> list[Row]:
    """Money you moved from cards (positive) or to cards (negative), newest first."""
    rows = newest(call.db.rows("payments_transfers", owner=call.user), "created_at")
    names = ("transfer_id", "card_id", "amount", "created_at")
    return [view(row, dict.fromkeys(names), transfer_id=row["id"]) for row in rows]


def _transaction(row: Row) -> Row:
    return view(row, _TRANSACTION, transaction_id=row["id"])


@APP.read([_TRANSACTION], paged=True)
def show_transactions(
    call: Call,
    direction: Literal["sent", "received", "both"] = "both",
    person: Email | None = None,
    query: Query = "",
    min_amount: float | None = None,
    max_amount: float | None = None,
    since: Day | None = None,
    until: Day | None = None,
) -> list[Row]:
    """Payments you made or got, newest first.

    direction: payments you made, payments you got, or both
    person: only with this person
    query: words that must all occur in the note
    since: only made on this day or later
    until: only made on this day or earlier
    """
    rows: list[Row] = []
    if direction != "received":
        rows += call.db.rows("payments_transactions", sender=call.user)
    if direction != "sent":
        rows += call.db.rows("payments_transactions", receiver=call.user)
    return [
        _transaction(row)
        for row in newest(rows, "created_at")
        if (person is None or person in (row["sender"], row["receiver"]))
        and matches(query, row["note"])
        and (min_amount is None or row["amount"] >= min_amount)
        and (max_amount is None or row["amount"] <= max_amount)
        and (since is None or row["created_at"][:10] >= since)
        and (until is None or row["created_at"][:10] <= until)
    ]


@APP.read([_TRANSACTION], paged=True)
def show_friends_feed(call: Call) -> list[Row]:
    """Payments between others that are not private and concern a friend of yours, newest first."""
    friends = {row["friend"] for row in call.db.rows("payments_friends", user=call.user)}
    return [
        _transaction(row)
        for row in newest(call.db.rows("payments_transactions", private=False), "created_at")
        if call.user not in (row["sender"], row["receiver"]) and friends & {row["sender"], row["receiver"]}
    ]


def _visible(call: Call, transaction_id: int) -> Row:
    row = call.db.find("payments_transactions", id=transaction_id)
    if row is None:
        raise ApiFailure(404, f"There is no transaction with transaction_id {transaction_id}.")
    if row["private"] and call.user not in (row["sender"], row["receiver"]):
        raise ApiFailure(403, f"The transaction {transaction_id} is private and not yours.")
    return row


@APP.read(_TRANSACTION)
def show_transaction(call: Call, transaction_id: int) -> Row:
    """One payment: yours, or one of others that is not private."""
    return _transaction(_visible(call, transaction_id))


@APP.write({"message": str, "transaction_id": int})
def send_money(
    call: Call, receiver: Email, amount: Money, note: Text = "", private: bool = False, card_id: int | None = None
) -> Row:
    """Send money to a person.

    receiver: their email address
    note: what it is for
    private: true hides it from friends' feeds
    card_id: pay with this card instead of the balance
    """
    transaction_id = pay(call, receiver, amount, note, private, card_id)
    return {"message": f"Sent {amount:.2f} to {receiver}.", "transaction_id": transaction_id}


@APP.write({"message": str, "transaction_id": int})
def update_transaction(call: Call, transaction_id: int, note: Text | None = None, private: bool | None = None) -> Row:
    """Change the note or the privacy of a payment you made; what is not given stays."""
    row = _visible(call, transaction_id)
    if row["sender"] != call.user:
        raise ApiFailure(403, f"You did not make the payment {transaction_id}; only who made it can change it.")
    given: dict[str, Any] = {"note": note, "private": private}
    call.db.update("payments_transactions", row, **{k: v for k, v in given.items() if v is not None})
    return {"message": "Transaction changed.", "transaction_id": transaction_id}


@APP.read([_COMMENT], paged=True)
def show_comments(call: Call, transaction_id: int) -> list[Row]:
    """What people wrote under a payment, oldest first."""
    _visible(call, transaction_id)
    return [
        view(row, _COMMENT, comment_id=row["id"])
        for row in call.db.rows("payments_comments", transaction_id=transaction_id)
    ]


@APP.write({"message": str, "comment_id": int})
def comment_on_transaction(call: Call, transaction_id: int, text: Line) -> Row:
    """Write something under a payment."""
    _visible(call, transaction_id)
    comment_id = call.db.insert("payments_comments", transaction_id=transaction_id, author=call.user, text=text)
    return {"message": "Comment written.", "comment_id": comment_id}


@APP.write({"message": str})
def delete_comment(call: Call, comment_id: int) -> Row:
    """Delete a comment of yours."""
    call.db.delete("payments_comments", call.own_row("payments_comments", "comment", comment_id, "author"))
    return {"message": "Comment deleted."}


# -- friends and cards ------------------------------------------------------------------------------------------


@APP.read([_USER], paged=True)
def search_users(call: Call, query: Line) -> list[Row]:
    """People in Hamlet, by name or email address.

    query: words that must all occur in name or address
    """
    people = [
        {"name": f"{row['first_name']} {row['last_name']}", "email": row["email"]}
        for row in call.db.rows("system_people")
    ]
    return [row for row in people if matches(query, row["name"], row["email"])]


@APP.read([_USER], paged=True)
def show_friends(call: Call) -> list[Row]:
    """Your friends in this app, by email address."""
    people = [call.person(row["friend"]) for row in call.db.rows("payments_friends", user=call.user)]
    return [{"name": f"{p['first_name']} {p['last_name']}", "email": p["email"]} for p in people]


@APP.write({"message": str})
def add_friend(call: Call, email: Email) -> Row:
    """Make somebody your friend."""
    call.person(email)
    if email == call.user:
        raise ApiFailure(409, "You cannot be your own friend.")
    if call.db.find("payments_friends", user=call.user, friend=email):
        raise ApiFailure(409, f"{email} is your friend already.")
    call.db.insert("payments_friends", user=call.user, friend=email)
    return {"message": f"{email} is your friend now."}


@APP.write({"message": str})
def remove_friend(call: Call, email: Email) -> Row:
    """End a friendship."""
    row = call.db.find("payments_friends", user=call.user, friend=email)
    if row is None:
        raise ApiFailure(404, f"{quoted(email)} is not among your friends.")
    call.db.delete("payments_friends", row)
    return {"message": f"{email} is not your friend any more."}


@APP.read([_CARD])
def show_cards(call: Call) -> list[Row]:
    """Your payment cards in this app."""
    return [view(row, _CARD, card_id=row["id"]) for row in call.db.rows("payments_cards", owner=call.user)]


@APP.write({"message": str, "card_id": int})
def add_card(call: Call, name: Line, number: CardNumber, expires_on: Day) -> Row:
    """Add a payment card."""
    if call.db.find("payments_cards", owner=call.user, number=number):
        raise ApiFailure(409, "You have added this card already.")
    card_id = call.db.insert("payments_cards", owner=call.user, name=name, number=number, expires_on=expires_on)
    return {"message": f"Added {name}.", "card_id": card_id}


@APP.write({"message": str})
def delete_card(call: Call, card_id: int) -> Row:
    """Delete a payment card."""
    call.db.delete("payments_cards", call.own_row("payments_cards", "card", card_id))
    return {"message": "Card deleted."}
