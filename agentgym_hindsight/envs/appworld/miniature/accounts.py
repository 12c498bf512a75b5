"""Login, logout and access tokens: the same three APIs in every app that has accounts.

A session is a row in a system table, outside the data of the apps. A second login during a session returns the same
token and changes nothing, so the state does not depend on the number of logins.
"""

from __future__ import annotations

from hashlib import blake2b

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.api import App, Call
from agentgym_hindsight.envs.appworld.miniature.database import Database
from agentgym_hindsight.envs.appworld.miniature.parameter_types import Email, Line, quoted
from agentgym_hindsight.envs.appworld.miniature.schema import Row, Table

__all__ = ["SESSIONS", "add_account_apis", "authorize"]

SESSIONS = Table(
    "system_sessions", key=("app", "user"), system=True, app=str, user=str, number=int, open=bool, token=str
)

_ACCOUNT = {"name": str, "email": str, "registered_on": str}


def authorize(db: Database, app: str, token: str) -> str:
    """Return the email address of the token's user. Status 401 if the token is unknown, closed or of another app."""
    session = db.find("system_sessions", token=token)
    fix = f"get one from apis.{app}.login(username, password)"
    if session is None:
        raise ApiFailure(401, f"The access_token {quoted(token)} is not valid; {fix}.")
    if session["app"] != app:
        raise ApiFailure(401, f"This access_token is of {session['app']} and not of {app}; {fix}.")
    if not session["open"]:
        raise ApiFailure(401, f"This access_token ended with logout; {fix}.")
    return str(session["user"])


def add_account_apis(app: App) -> None:
    """Add ``login``, ``logout`` and ``show_account`` to an app."""

    @app.write({"access_token": str, "message": str}, login=False)
    def login(call: Call, username: Email, password: Line) -> Row:
        """Log into an account. The token that is returned is what the app's other APIs want as access_token.

        username: email address of the account
        password: its password in this app, as apis.supervisor.show_account_passwords() tells
        """
        db = call.db
        if db.find("system_people", email=username) is None:
            raise ApiFailure(401, f"There is no {call.app} account for {quoted(username)}.")
        stored = db.find("supervisor_passwords", app=call.app)
        if stored is None or stored["username"] != username or stored["password"] != password:
            raise ApiFailure(
                401, f"That is not the {call.app} password of {username}; see apis.supervisor.show_account_passwords()."
            )
        session = db.find("system_sessions", app=call.app, user=username)
        if session is None or not session["open"]:
            number = session["number"] + 1 if session else 1
            token = _token(call.app, username, password, number)
            if session:
                db.update("system_sessions", session, number=number, open=True, token=token)
            else:
                db.insert("system_sessions", app=call.app, user=username, number=number, open=True, token=token)
        else:
            token = session["token"]
        return {"access_token": token, "message": f"Logged into {call.app} as {username}."}

    @app.write({"message": str})
    def logout(call: Call) -> Row:
        """Log out. The access token is worth nothing afterwards."""
        call.db.update("system_sessions", (call.app, call.user), open=False)
        return {"message": f"Logged out of {call.app}."}

    @app.read(_ACCOUNT)
    def show_account(call: Call) -> Row:
        """Name, email address and age of the account that is logged in."""
        person = call.db.row("system_people", email=call.user)
        return {
            "name": f"{person['first_name']} {person['last_name']}",
            "email": call.user,
            "registered_on": person["registered_on"],
        }


def _token(app: str, user: str, password: str, number: int) -> str:
    """The token of a login: the same in every run, and only whoever knows the password could compute it.

    It does not depend on the world's seed. Otherwise code of the agent could find the seed, and with it the split and
    the rest of the world, by trying the few seeds that there are.
    """
    secret = "\x1f".join(("hamlet-token", app, user, password, str(number))).encode()
    return f"{app}-{blake2b(secret, digest_size=12).hexdigest()}"
