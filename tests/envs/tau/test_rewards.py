"""Rewards under both rules: what is compared, what must be said, and the quirks that strict rules mend."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import pytest

from agentgym_hindsight.envs.tau.desk import Desk, DeskTask
from agentgym_hindsight.envs.tau.embedded import embedded_desk
from agentgym_hindsight.envs.tau.rewards import evaluate, is_said
from agentgym_hindsight.envs.tau.session import Session
from agentgym_hindsight.envs.tau.store import Database
from agentgym_hindsight.envs.tau.users import ScriptedUser
from agentgym_hindsight.envs.tools import ToolAction, ToolCall


def first(desk: Desk, kind: str) -> DeskTask:
    return next(task for task in desk.tasks["train"] if task.kind == kind)


@pytest.mark.parametrize(
    ("output", "text", "official", "strict"),
    [
        ("10", "It is 10.", True, True),
        ("10", "It is 100.", True, False),
        ("10", "It is 2010", True, False),
        ("10", "It is 10.50", True, False),
        ("10", "It is 3.10", True, False),
        ("1000", "It is $1,000!", True, True),
        ("1000", "It is 1,0,00", True, False),
        ("Delivered", "DELIVERED", True, True),
        ("liver", "delivered", True, False),
        ("10", "It is ten", False, False),
    ],
)
def test_what_counts_as_said(output: str, text: str, official: bool, strict: bool) -> None:
    assert is_said(output, [text], "official") is official
    assert is_said(output, [text], "strict") is strict


def test_both_the_records_and_the_words_count() -> None:
    desk = embedded_desk("retail", 0)
    task = first(desk, "refuse_cancel")
    database = Database(desk.initial)
    good = evaluate(desk, task, database, ["It is delivered."], "strict")
    assert (good.reward, good.checks, good.official_info) == (
        1.0,
        (2, 2),
        {"r_outputs": 1.0, "outputs": {"delivered": True}},
    )
    silent = evaluate(desk, task, database, ["Sorry."], "strict")
    assert (silent.reward, silent.checks) == (0.0, (1, 2))
    pending = first(desk, "cancel_order").actions[-1]
    desk.call(database, *pending)
    damaged = evaluate(desk, task, database, ["It is delivered."], "strict")
    assert (damaged.reward, damaged.database_matches) == (0.0, False)
    assert ("orders", pending[1]["order_id"]) in damaged.differing


@pytest.mark.parametrize(("rules", "second"), [("official", 1.0), ("strict", 0.0)])
def test_the_end_state_of_the_reference_stays_only_under_official_rules(rules: str, second: float) -> None:
    desk = embedded_desk("retail", 0)
    session = Session(desk, first(desk, "cancel_order"), ScriptedUser(), rules, "")
    assert session.evaluate().reward == 0.0
    assert session.evaluate().reward == second


def seats(database: Database, flight: dict[str, Any], cabin: str) -> int:
    count: int = database["flights"][flight["flight_number"]]["dates"][flight["date"]]["available_seats"][cabin]
    return count


def test_strict_rules_count_seats() -> None:
    desk = embedded_desk("airline", 0)
    task = first(desk, "book")
    name, arguments = task.actions[-1]
    flight = arguments["flights"][0]
    for rules, taken in (("official", 0), ("strict", 1)):
        database = Database(desk.initial)
        before = seats(database, flight, "economy")
        assert not desk.call(database, name, arguments, rules).failed
        assert before - seats(database, flight, "economy") == taken
    for _ in range(before - 1):
        assert not desk.call(database, name, arguments, "strict").failed
    full = desk.call(database, name, arguments, "strict")
    assert full.text == f"Error: not enough seats on flight {flight['flight_number']}"
    assert not desk.call(database, "cancel_reservation", {"reservation_id": "HATHAT"}, "strict").failed
    assert seats(database, flight, "economy") == 1
    again = desk.call(database, "cancel_reservation", {"reservation_id": "HATHAT"}, "strict")
    assert again.text == "Error: reservation is already cancelled"


def test_strict_rules_move_seats_with_the_flights() -> None:
    desk = embedded_desk("airline", 0)
    task = next(
        each
        for each in desk.tasks["train"]
        if each.kind == "later_date"
        and "available_seats"
        in desk.initial.tables["flights"][each.actions[-1][1]["flights"][0]["flight_number"]]["dates"][
            desk.initial.tables["reservations"][each.actions[-1][1]["reservation_id"]]["flights"][0]["date"]
        ]
    )
    name, arguments = task.actions[-1]
    reservation = desk.initial.tables["reservations"][arguments["reservation_id"]]
    old, new, cabin = reservation["flights"][0], arguments["flights"][0], reservation["cabin"]
    count = len(reservation["passengers"])
    database = Database(desk.initial)
    before = seats(database, old, cabin), seats(database, new, cabin)
    assert not desk.call(database, name, arguments, "strict").failed
    assert seats(database, old, cabin) == before[0] + count
    assert seats(database, new, cabin) == before[1] - count


@pytest.mark.parametrize("domain", ["retail", "airline"])
def test_the_state_anchor_takes_less_than_a_tenth_of_a_millisecond(domain: str) -> None:
    desk = embedded_desk(domain, 0)
    seconds = []
    for task in desk.tasks["valid"]:
        session = Session(desk, task, ScriptedUser(), "official", "")
        for name, arguments in task.actions:
            desk.call(session.database, name, arguments)
            started = time.process_time()
            _ = session.state_key
            seconds.append(time.process_time() - started)
    assert median(seconds) < 1e-4


def test_several_calls_run_in_order_and_end_at_a_transfer() -> None:
    desk = embedded_desk("retail", 0)
    session = Session(desk, first(desk, "cancel_order"), ScriptedUser(), "official", "")
    calls = (ToolCall("calculate", {"expression": "1+1"}), ToolCall("transfer_to_human_agents"), ToolCall("think"))
    reply = session.act(ToolAction(calls))
    assert reply.done
    assert not reply.valid  # the transfer lacks its argument, and ends the episode all the same
    assert reply.text.splitlines() == [
        "calculate: 2.0",
        "transfer_to_human_agents: Error: TransferToHumanAgents.invoke() missing 1 required positional argument: "
        "'summary'",
    ]


def test_positional_arguments_get_the_names_of_the_parameters() -> None:
    desk = embedded_desk("retail", 0)
    session = Session(desk, first(desk, "cancel_order"), ScriptedUser(), "official", "")
    assert session.act(ToolAction((ToolCall("calculate", {}, ("2*3",)),))).text == "calculate: 6.0"
    surplus = session.act(ToolAction((ToolCall("calculate", {}, ("2*3", 1)),)))
    assert "unexpected keyword argument 'argument 2'" in surplus.text


def test_the_fourth_certificate_has_no_answer() -> None:
    desk = embedded_desk("airline", 0)
    task = first(desk, "certificate")
    session = Session(desk, task, ScriptedUser(), "official", "")
    call = ToolCall(*task.actions[-1])
    texts = [session.act(ToolAction((call,))) for _ in range(4)]
    assert [reply.valid for reply in texts] == [True, True, True, False]
    assert texts[-1].text == "send_certificate: (no answer)"
