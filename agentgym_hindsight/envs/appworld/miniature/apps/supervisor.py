"""The supervisor app: the person for whom the agent works, their passwords, and the task."""

from __future__ import annotations

import json
from typing import Literal

from agentgym_hindsight.envs.appworld.miniature.api import App, Call, view
from agentgym_hindsight.envs.appworld.miniature.schema import Row, Table

__all__ = ["APP"]

APP = App(
    "supervisor",
    "The person you work for: profile, addresses, cards, passwords of all their accounts, and the task itself.",
    Table("supervisor_addresses", id=int, name=str, street=str, city=str, postcode=str),
    Table("supervisor_cards", id=int, name=str, number=str, expires_on=str, security_code=str),
    Table("supervisor_passwords", key=("app",), app=str, username=str, password=str),
    Table("system_submission", system=True, id=int, status=str, answer=str),
)

_PROFILE = {"first_name": str, "last_name": str, "email": str, "phone_number": str, "birthday": str}
_ADDRESS = {"name": str, "street": str, "city": str, "postcode": str}
_CARD = {"name": str, "number": str, "expires_on": str, "security_code": str}
_PASSWORD = {"app": str, "username": str, "password": str}


@APP.read(_PROFILE, login=False)
def show_profile(call: Call) -> Row:
    """Name, email address, phone number and birthday of your supervisor."""
    return view(call.db.row("system_people", email=call.db.row("system_world")["supervisor"]), _PROFILE)


@APP.read([_ADDRESS], login=False)
def show_addresses(call: Call) -> list[Row]:
    """Your supervisor's postal addresses."""
    return [view(row, _ADDRESS) for row in call.db.rows("supervisor_addresses")]


@APP.read([_CARD], login=False)
def show_payment_cards(call: Call) -> list[Row]:
    """Your supervisor's payment cards, as they are printed."""
    return [view(row, _CARD) for row in call.db.rows("supervisor_cards")]


@APP.read([_PASSWORD], login=False)
def show_account_passwords(call: Call) -> list[Row]:
    """Username and password of your supervisor's account in every app, for that app's login."""
    return [view(row, _PASSWORD) for row in call.db.rows("supervisor_passwords")]


@APP.read({"instruction": str, "supervisor_email": str, "given_at": str}, login=False)
def show_active_task(call: Call) -> Row:
    """What your supervisor asked you to do, and when: that is the present time in Hamlet."""
    world = call.db.row("system_world")
    return {"instruction": world["instruction"], "supervisor_email": world["supervisor"], "given_at": world["now"]}


@APP.write({"message": str}, login=False)
def complete_task(
    call: Call,
    answer: str | int | float | bool | list[str | int | float] | None = None,
    status: Literal["success", "fail"] = "success",
) -> Row:
    """Say that the task is over. It cannot be taken back: nothing can be changed afterwards.

    answer: what was asked, where the task asks for something; left out where it only wants something done
    status: fail where the task cannot be done
    """
    call.db.insert("system_submission", id=1, status=status, answer=json.dumps(answer))
    return {"message": "The task is marked as complete."}
