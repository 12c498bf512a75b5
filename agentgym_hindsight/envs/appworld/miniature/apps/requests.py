"""Payment requests of the payments app."""

from __future__ import annotations

from typing import Literal

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.api import Call, newest, view
from agentgym_hindsight.envs.appworld.miniature.apps.payments import APP, pay
from agentgym_hindsight.envs.appworld.miniature.parameter_types import Email, Money, Text
from agentgym_hindsight.envs.appworld.miniature.schema import Row

__all__ = ["APP"]

_REQUEST = {
    "request_id": int,
    "requester": str,
    "payer": str,
    "amount": float,
    "note": str,
    "status": str,
    "created_at": str,
}


@APP.read([_REQUEST], paged=True)
def show_payment_requests(
    call: Call,
    direction: Literal["received", "sent"] = "received",
    status: Literal["pending", "accepted", "denied", "cancelled"] | None = None,
) -> list[Row]:
    """Requests for money, newest first.

    direction: requests others sent you, or requests you sent
    status: only such ones
    """
    column = "payer" if direction == "received" else "requester"
    return [
        view(row, _REQUEST, request_id=row["id"])
        for row in newest(call.db.rows("payments_requests", **{column: call.user}), "created_at")
        if status in (None, row["status"])
    ]


@APP.write({"message": str, "request_id": int})
def request_money(call: Call, payer: Email, amount: Money, note: Text = "") -> Row:
    """Ask a person for money.

    payer: email address of who shall pay
    note: what it is for
    """
    call.person(payer)
    if payer == call.user:
        raise ApiFailure(409, "You cannot ask yourself for money.")
    request_id = call.db.insert("payments_requests", requester=call.user, payer=payer, amount=amount, note=note)
    return {"message": f"Asked {payer} for {amount:.2f}.", "request_id": request_id}


def _pending(call: Call, request_id: int, column: str) -> Row:
    row = call.db.find("payments_requests", id=request_id)
    if row is None:
        raise ApiFailure(404, f"There is no payment request with request_id {request_id}.")
    if row[column] != call.user:
        role = "asked to pay" if column == "payer" else "the one who asked"
        raise ApiFailure(403, f"You are not {role} in payment request {request_id}.")
    if row["status"] != "pending":
        raise ApiFailure(409, f"The payment request {request_id} is {row['status']} already.")
    return row


@APP.write({"message": str, "transaction_id": int})
def accept_payment_request(call: Call, request_id: int, card_id: int | None = None, private: bool = False) -> Row:
    """Pay what somebody asked you for.

    card_id: pay with this card instead of the balance
    private: true hides the payment from friends' feeds
    """
    row = _pending(call, request_id, "payer")
    transaction_id = pay(call, row["requester"], row["amount"], row["note"], private, card_id)
    call.db.update("payments_requests", row, status="accepted")
    return {"message": f"Paid {row['amount']:.2f} to {row['requester']}.", "transaction_id": transaction_id}


@APP.write({"message": str})
def deny_payment_request(call: Call, request_id: int) -> Row:
    """Refuse to pay what somebody asked you for."""
    call.db.update("payments_requests", _pending(call, request_id, "payer"), status="denied")
    return {"message": "Request denied."}


@APP.write({"message": str})
def cancel_payment_request(call: Call, request_id: int) -> Row:
    """Take back a request for money you sent."""
    call.db.update("payments_requests", _pending(call, request_id, "requester"), status="cancelled")
    return {"message": "Request cancelled."}
