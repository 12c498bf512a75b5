"""Features of all APIs: tokens, documentation, pages and argument checks."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature import APPS, LOGIN_APPS, World
from agentgym_hindsight.envs.appworld.miniature import database as database_module
from agentgym_hindsight.envs.appworld.miniature.apps.api_docs import describe
from tests.envs.appworld.hamlet import EVERY_API, Agent

# -- tokens -------------------------------------------------------------------------------------------------------


def test_login_and_logout(world: World, agent: Agent) -> None:
    for app in LOGIN_APPS:
        token = agent.login(app)
        assert agent(f"{app}.show_account")["email"] == world.supervisor.email
        key = world.delta_key()
        agent.tokens.clear()
        assert agent.login(app) == token  # a second login of a session changes nothing
        assert world.delta_key() == key
        agent(f"{app}.logout")
        status, message = agent.refusal(f"{app}.show_account")
        assert status == 401
        assert "ended with logout" in message
        agent.tokens.clear()
        assert agent.login(app) not in (token, "")
        assert agent.refusal(f"{app}.show_account", access_token=token)[0] == 401
        assert not world.delta()


def test_an_api_with_login_rejects_missing_and_foreign_tokens(world: World) -> None:
    foreign = {app: Agent(world).login("notes" if app != "notes" else "mail") for app in LOGIN_APPS}
    for app, api in EVERY_API:
        if not api.login:
            continue
        for arguments, words in (
            ({}, "No access_token was given; get one from"),
            ({"access_token": None}, "No access_token"),
            ({"access_token": "nonsense"}, "is not valid"),
            ({"access_token": ""}, "is not valid"),
            ({"access_token": foreign[app]}, f"and not of {app}"),
        ):
            with pytest.raises(ApiFailure) as caught:
                world.call(app, api.name, arguments)
            assert caught.value.status == 401, (app, api.name, arguments)
            assert words in caught.value.message, (app, api.name, arguments)
    assert not world.delta()


def test_login_needs_the_right_password(world: World) -> None:
    me, friend = world.supervisor.email, world.related("friend")[0].email
    passwords = {row["app"]: row["password"] for row in world.rows("supervisor_passwords")}
    for username, password, words in (
        (me, passwords["mail"], "not the notes password"),
        (me, "", "1 to 200"),
        (friend, passwords["notes"], "not the notes password"),
        ("x@y.z", passwords["notes"], "no notes account"),
        (me.upper(), passwords["notes"], "no notes account"),
        (me, passwords["notes"] + "' OR 1=1 --", "not the notes password"),
    ):
        with pytest.raises(ApiFailure) as caught:
            world.call("notes", "login", {"username": username, "password": password})
        assert caught.value.status == (422 if words == "1 to 200" else 401)
        assert words in caught.value.message
    assert len(set(passwords.values())) == len(LOGIN_APPS)


# -- documentation ------------------------------------------------------------------------------------------------


def test_every_api_is_documented(world: World) -> None:
    for app, api in EVERY_API:
        what = f"{app}.{api.name}"
        doc = world.call("api_docs", "show_api_doc", {"app_name": app, "api_name": api.name})
        assert doc == describe(api), what
        json.dumps(doc, allow_nan=False)
        assert doc["description"].endswith("."), what
        assert 5 < len(doc["description"]) < 200, what
        assert doc["response"], what
        for parameter in doc["parameters"]:
            known = api.parameters[parameter["name"]]
            assert parameter["description"], (what, parameter["name"])
            assert parameter["type"], (what, parameter["name"])
            assert parameter["required"] == (known.default is not None and parameter["default"] is None), what
            if not parameter["required"] and parameter["default"] is not None:
                assert known.kind.check(parameter["name"], parameter["default"]) is not None, what
        names = [parameter["name"] for parameter in doc["parameters"]]
        assert ("access_token" in names) == api.login, what
        assert ("page_index" in names) == api.paged == (names[-1:] == ["page_limit"]), what
        brief = world.call("api_docs", "show_api_descriptions", {"app_name": app})
        assert {"name": api.name, "description": doc["description"]} in brief, what


def test_the_api_names_given_to_the_sandbox() -> None:
    names = World.names()
    assert list(names) == list(APPS)
    assert "send_email" in names["mail"]
    assert all(name.isidentifier() for apis in names.values() for name in apis)


def test_apis_are_found_by_words(world: World) -> None:
    found = world.call("api_docs", "search_api_docs", {"query": "Payment request", "page_limit": 20})
    assert {row["name"] for row in found} >= {"accept_payment_request", "deny_payment_request", "show_payment_requests"}
    assert world.call("api_docs", "search_api_docs", {"query": "xyzzy"}) == []


# -- pages and arguments ------------------------------------------------------------------------------------------


def test_pages_are_parts_of_one_list(agent: Agent) -> None:
    whole = agent("shop.search_products", page_limit=20) + agent("shop.search_products", page_index=1, page_limit=20)
    whole += agent("shop.search_products", page_index=2, page_limit=20)
    small = [product for page in range(9) for product in agent("shop.search_products", page_index=page)]
    assert small == whole
    assert len(small) == len(agent.world.rows("shop_products"))
    assert agent("shop.search_products", page_index=10**12) == []
    for wrong in ({"page_limit": 0}, {"page_limit": 21}, {"page_index": -1}, {"page_limit": 2.0}, {"page_index": True}):
        assert agent.refusal("shop.search_products", **wrong)[0] == 422


def test_wrong_arguments_get_the_expected_values(agent: Agent) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"titel": "x"}, "has no parameter 'titel'. Did you mean 'title'? It takes: access_token, title, content"),
        ({}, "notes.create_note needs title, which was not given."),
        ({"title": 5}, "Expected title as string, got integer 5."),
        ({"title": None}, "Expected title as string, got null."),
        ({"title": True}, "got boolean true."),
        ({"title": "x", "tags": "home"}, "Expected tags as list of strings or null, got string 'home'."),
        ({"title": "x", "tags": [1]}, "got a list with integer 1."),
        ({"title": "x", "tags": ["a"] * 51}, "at most 50 items, got 51."),
        ({"title": "x", "pinned": "yes"}, "Expected pinned as boolean, got string 'yes'."),
        ({"title": "x", "pinned": 1}, "Expected pinned as boolean, got integer 1."),
        ({"title": "x" * 201}, "1 to 200 characters"),
        ({"title": "\ud800"}, "plain Unicode text"),
        ({"title": "a\x00b"}, "plain Unicode text"),
        ({"title": "x", "content": "y" * 20_001}, "at most 20000 characters, got 20001"),
        ({"title": {"a": 1}}, "got an object."),
        ({"title": b"x"}, "that JSON does not know"),
    ]
    for arguments, words in cases:
        status, message = agent.refusal("notes.create_note", **arguments)
        assert status == 422, arguments
        assert words in message, arguments
        message.encode()


def test_invalid_amounts_are_rejected(agent: Agent) -> None:
    friend = agent.world.related("friend")[0].email
    amounts: list[Any] = [math.nan, math.inf, -math.inf, 2**70, -(2**70), 10**400, 1e300, "5", True, None, 0]
    for amount in amounts:
        assert agent.refusal("payments.send_money", receiver=friend, amount=amount)[0] == 422, type(amount)
    assert not agent.world.delta()


def test_invalid_answers_are_rejected(agent: Agent) -> None:
    answers: list[Any] = [math.nan, 2**70, {"a": 1}, ["a", None], [["a"]], "x" * 20_001, "\ud800"]
    for answer in answers:
        assert agent.refusal("supervisor.complete_task", answer=answer)[0] == 422, type(answer)
        assert agent.world.completed == ""


def test_an_answer_is_stored_with_its_type(agent: Agent) -> None:
    answers: list[Any] = [None, "", "x", 0, -3, 2.5, True, [], ["a"], [1, 2.5]]
    for answer in answers:
        agent.reset()
        agent("supervisor.complete_task", answer=answer)
        assert (agent.world.answer, type(agent.world.answer)) == (answer, type(answer))
        assert agent.world.completed == "success"


def test_unknown_names_get_the_nearest_name(world: World) -> None:
    for app, api, words in (
        ("mial", "x", "There is no app 'mial'. Did you mean 'mail'? Apps: supervisor, api_docs"),
        ("mail", "send_mail", "mail has no API 'send_mail'. Did you mean 'send_email'?"),
        ("mail", "", "mail has no API ''."),
        (None, "x", "There is no app null."),
        ("mail", 5, "mail has no API integer 5."),
        ("mail", "__class__", "mail has no API"),
    ):
        with pytest.raises(ApiFailure) as caught:
            world.call(app, api, {})  # type: ignore[arg-type]
        assert caught.value.status == 404
        assert words in caught.value.message


def test_arguments_must_be_named(world: World) -> None:
    odd: list[Any] = [None, [], "x", 5, {1: 2}]
    for arguments in odd:
        with pytest.raises(ApiFailure, match="Expected named arguments") as caught:
            world.call("supervisor", "show_profile", arguments)
        assert caught.value.status == 422


def test_an_exception_in_an_api_is_an_internal_error(
    world: World, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(call: Any, **_: Any) -> None:
        call.db.delete("notes_notes", 900)
        raise ZeroDivisionError("our secret")

    monkeypatch.setattr(APPS["notes"].apis["delete_note"], "function", broken)
    status, message = agent.refusal("notes.delete_note", note_id=900)
    assert status == 500
    assert message == "Internal error in notes.delete_note; nothing was changed."
    assert "ZeroDivisionError" in world.bugs.pop()
    assert not world.delta()
    monkeypatch.setattr(APPS["notes"].apis["show_note"], "function", broken)
    assert agent.refusal("notes.show_note", note_id=900)[0] == 500  # an API that only reads must not write
    assert "only reads" in world.bugs.pop()


def test_full_storage_is_a_failure(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "CAPACITY", 50_000)
    agent("notes.create_note", title="x", content="y" * 20_000)
    agent("notes.create_note", title="x", content="y" * 20_000)
    status, message = agent.refusal("notes.create_note", title="x", content="y" * 20_000)
    assert status == 409
    assert "Storage is full" in message
    assert len(agent.world.delta()["notes_notes"].added) == 2
