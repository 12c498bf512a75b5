"""The embedded world's functions: what they refuse and why, bounded results, the state and its key."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from agentgym_hindsight.envs.bfcl.embedded.apis import APIS, FUNCTIONS
from agentgym_hindsight.envs.bfcl.embedded.episode import EmbeddedEpisode
from agentgym_hindsight.envs.bfcl.embedded.functions import MOST_RESULT, call_function
from agentgym_hindsight.envs.bfcl.embedded.names import WorldDraws
from agentgym_hindsight.envs.bfcl.embedded.populate import populated
from agentgym_hindsight.envs.bfcl.embedded.records import Records
from agentgym_hindsight.envs.bfcl.embedded.tasks import Place, make_task
from agentgym_hindsight.envs.bfcl.world import CallResult
from agentgym_hindsight.envs.tools import ToolCall
from tests.envs.bfcl.embedded_plays import failures, reference

ALL = tuple(APIS)


def world(is_long: bool = False) -> Records:
    return Records(populated(ALL, "train", is_long, WorldDraws("test", is_long)))


def called(records: Records, function: str, /, *positional: Any, **arguments: Any) -> CallResult:
    return call_function(records, FUNCTIONS, ToolCall(function, arguments, positional))


def made_drive() -> Records:
    records = Records({"drive.items": {}, "_drive.open": {"folder": {"path": "/"}}})
    for folder in ("/a", "/a/b", "/c"):
        assert not called(records, "make_folder", path=folder).error
    assert not called(records, "write_file", path="/a/b/n.txt", text="two\none").error
    return records


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("fly", {}, "there is no function 'fly'"),
        ("set_level", {"device": "x"}, "set_level needs level"),
        ("set_level", {}, "set_level needs device and level"),
        ("set_level", {"device": "x", "level": "3"}, "level has to be a whole number, got '3'"),
        ("set_level", {"device": "x", "level": 3.5}, "level has to be a whole number, got 3.5"),
        ("set_level", {"device": "x", "level": True}, "level has to be a whole number, got True"),
        (
            "set_level",
            {"device": "x", "level": 3, "room": "y"},
            "set_level has no parameter 'room'; it has device, level",
        ),
        ("set_level", {"device": "x", "level": 10**400}, "level has to be a number between"),
        ("set_level", {"device": "no lamp", "level": 3}, "there is no device 'no lamp'"),
        ("set_lock", {"door": "x", "locked": 1}, "locked has to be true or false, got 1"),
        ("add_numbers", {"numbers": []}, "numbers is empty"),
        ("add_numbers", {"numbers": [1, "2"]}, "each of numbers has to be a number, got '2'"),
        ("add_numbers", {"numbers": [1] * 201}, "numbers has to be a list of at most 200 items"),
        ("multiply_numbers", {"first": 1e12, "second": 2}, "the result is larger than 1e+12"),
        ("divide_number", {"total": 1, "parts": 0}, "1 cannot be divided by 0"),
        ("convert_unit", {"value": 1, "unit": "km", "to": "kg"}, "km is a unit of length and kg is a unit of weight"),
        ("convert_unit", {"value": 1, "unit": "yard", "to": "kg"}, "unit has to be one of km, m"),
        ("list_events", {"day": "tomorrow"}, "a day is written as 2027-03-01, got 'tomorrow'"),
        ("list_events", {"day": "2027-02-30"}, "a day is written as"),
        ("add_event", {"title": "x", "day": "2027-03-01", "start": "7:00"}, "a time is written as 09:30, got '7:00'"),
        ("add_event", {"title": "x", "day": "2027-03-01", "start": "07:00"}, "events are between 08:00 and 20:00"),
        ("cancel_event", {"event_id": "EV1"}, "there is no event 'EV1'"),
        ("list_messages", {"folder": "spam"}, "folder has to be one of inbox, sent, archive, later, got 'spam'"),
        (
            "write_message",
            {"person_id": "Nora", "text": "x"},
            "there is no person with the id 'Nora'; find_person gives ids",
        ),
        ("write_file", {"path": "/x.txt", "text": "x" * 2001}, "text has 2001 characters and can have at most 2000"),
        ("read_file", {"path": "/x.txt"}, "there is no file '/x.txt'"),
        ("read_file", {"path": ""}, "a path has 1 to 200 characters, got 0"),
        ("top_up", {"amount": 0}, "an amount is 1 to 10000"),
        ("set_price", {"article_id": "A1", "price": 2}, "there is no article 'A1'; find_articles gives ids"),
        ("move_card", {"card_id": "C1", "column": "doing"}, "there is no card 'C1'; find_cards gives ids"),
    ],
)
def test_errors_name_their_cause(name: str, arguments: dict[str, Any], error: str) -> None:
    records = world()
    before = records.key
    result = called(records, name, **arguments)
    assert result.error.startswith(error)
    assert json.loads(result.text) == {"error": result.error}
    assert records.key == before


def test_arguments_by_position_are_bound_in_order() -> None:
    records = made_drive()
    assert called(records, "move_item", "/a/b/n.txt", "/c").text == '{"moved_to": "/c/n.txt"}'
    assert called(records, "move_item", "/c/n.txt", folder="/a").text == '{"moved_to": "/a/n.txt"}'
    assert called(records, "move_item", "/a/n.txt", path="/a").error == "move_item got path twice"
    assert called(records, "move_item", "a", "b", "c").error == "move_item takes 2 arguments, got 3"


def test_paths_begin_in_the_open_folder_which_is_private() -> None:
    records = made_drive()
    public, key = records.public_delta(), records.key
    assert called(records, "open_folder", path="a").text == '{"open": "/a"}'
    assert called(records, "list_folder").text == '{"folder": "/a", "folders": ["b"], "files": []}'
    assert called(records, "read_file", path="b/../b/n.txt").text == '{"path": "/a/b/n.txt", "text": "two\\none"}'
    assert records.public_delta() == public
    assert records.key != key
    called(records, "open_folder", path="../..")
    assert records.key == key
    refused = called(records, "read_file", path="n.txt")
    assert refused.reason == "n.txt is at /a/b/n.txt."
    assert "/a/b" not in refused.text


def test_folders_move_with_their_contents_and_not_into_themselves() -> None:
    records = made_drive()
    assert called(records, "move_item", path="/a", folder="/a/b").error == "'/a' cannot be put at '/a/b/a'"
    assert called(records, "copy_item", path="/a", folder="/c").text == '{"copied_to": "/c/a"}'
    assert called(records, "copy_item", path="/a", folder="/c").error == "'/c/a' exists already"
    assert called(records, "sort_file", path="/c/a/b/n.txt").text == '{"sorted": "/c/a/b/n.txt", "lines": 2}'
    assert json.loads(called(records, "read_file", path="/a/b/n.txt").text)["text"] == "two\none"
    assert called(records, "delete_item", path="/c").error == "the folder '/c' is not empty"
    assert called(records, "rename_item", path="/c/a", name="d/e").error == "a name is a text without '/', got 'd/e'"
    assert called(records, "move_item", path="/c/a/b", folder="/").text == '{"moved_to": "/b"}'
    assert called(records, "find_items", text="N.").text == '{"found": ["/a/b/n.txt", "/b/n.txt"], "more": 0}'


def test_events_do_not_overlap_and_ids_do_not_depend_on_the_order() -> None:
    one, two = (Records({"diary.events": {}}) for _ in range(2))
    plans = [("Lunch", "12:00"), ("Walk", "13:00"), ("Tea", "15:30")]
    for records, order in ((one, plans), (two, plans[::-1])):
        for title, start in order:
            assert not called(records, "add_event", title=title, day="2027-03-02", start=start).error
    assert one.key == two.key
    name = json.loads(called(one, "find_events", text="walk").text)["events"][0]["event_id"]
    overlap = called(one, "move_event", event_id=name, day="2027-03-02", start="15:00").error
    assert overlap.startswith("it would overlap with 'Tea' (EV")
    free = json.loads(called(one, "free_times", day="2027-03-02", minutes=90).text)["free"]
    assert [(gap["from"], gap["to"]) for gap in free] == [("08:00", "12:00"), ("14:00", "15:30"), ("16:30", "20:00")]
    assert not called(one, "set_length", event_id=name, minutes=90).error
    assert not called(one, "move_event", event_id=name, day="2027-03-02", start="14:00").error


def test_stock_and_money_are_kept_in_balance() -> None:
    records = world()
    article, record = next(iter(records.rows("stock.articles")))
    on_hand = record["on_hand"]
    order = json.loads(called(records, "enter_order", article_id=article, quantity=3, customer="X").text)["order_id"]
    assert called(records, "change_quantity", order_id=order, quantity=5).error == ""
    assert json.loads(called(records, "receive_goods", article_id=article, quantity=2).text)["on_hand"] == on_hand - 3
    assert called(records, "withdraw_order", order_id=order).error == ""
    assert json.loads(called(records, "show_article", article_id=article).text)["on_hand"] == on_hand + 2
    assert "is cancelled and not open" in called(records, "send_order", order_id=order).error
    assert (
        f"only {on_hand + 2} of" in called(records, "enter_order", article_id=article, quantity=999, customer="X").error
    )

    before = records.key
    train, _ = next(iter(records.rows("trips.trains")))
    booked = json.loads(called(records, "book_train", train_id=train, people=2).text)
    assert called(records, "add_bikes", booking_id=booked["booking_id"], bikes=3).error.startswith("a booking for 2")
    assert not called(records, "add_bikes", booking_id=booked["booking_id"], bikes=2).error
    assert records.key != before
    assert not called(records, "undo_booking", booking_id=booked["booking_id"]).error
    assert records.key == before
    for _ in range(200):
        last = called(records, "book_train", train_id=train, people=1, first_class=True)
        if last.error:
            break
    assert "the account has" in last.error or "free seats" in last.error


def random_value(draws: WorldDraws, kind: str, known: list[str]) -> Any:
    odd = [
        "",
        "x" * 3000,
        None,
        [],
        {},
        [[1]],
        10**300,
        -1,
        0,
        1,
        3,
        0.5,
        True,
        "2027-03-03",
        "10:00",
        "é\x00🙂",
        "/",
        "..",
    ]
    if kind.startswith("list"):
        return draws.pick([[], [1, 2.5], ["a"], "x", [None], [1e13], list(range(300))])
    if kind in ("int", "float") and draws.chance(0.8):
        return draws.pick([1, 2, 3, 10, 45, 90, 1000, 2.0])
    return draws.pick(known) if draws.chance(0.6) else draws.pick(odd)


def fuzzed(calls: int) -> int:
    """Random calls, and how many succeeded. Keeps the episode, so that its state grows."""
    done = 0
    for is_long in (False, True):
        records, draws, names = world(is_long), WorldDraws("fuzz", is_long), list(FUNCTIONS)
        known = [key for table in list(records._initial) for key, _ in list(records.rows(table))[:12]]
        for _ in range(calls // 2):
            name = draws.pick(names)
            function = FUNCTIONS[name]
            arguments = {
                each: draws.pick(function.choices[each])
                if each in function.choices and draws.chance(0.9)
                else random_value(draws, kind, known)
                for each, kind in function.kinds.items()
                if draws.chance(0.95)
            }
            result = call_function(records, FUNCTIONS, ToolCall(name, arguments))
            assert len(result.text) <= MOST_RESULT + 200
            json.loads(result.text)
            assert len(records.key) == 32
            done += not result.error
    return done


def test_random_calls_have_bounded_results() -> None:
    assert fuzzed(6_000) > 1_000


@pytest.mark.slow
def test_many_random_calls_have_bounded_results() -> None:
    assert fuzzed(300_000) > 50_000


def test_equal_states_have_equal_results_and_keys() -> None:
    """A state that was left and reached again shows the same texts, also after new records."""
    records = world()
    shown = [called(records, name, **arguments).text for name, arguments in LOOKS]
    before = records.key
    card = json.loads(called(records, "add_card", title="x").text)["card_id"]
    assert records.key != before
    records.remove("board.cards", card)
    device, record = next(iter(records.rows("house.devices")))
    for on in (not record["on"], record["on"]):
        called(records, "switch_device", device=device, on=on)
    assert records.key == before
    assert [called(records, name, **arguments).text for name, arguments in LOOKS] == shown
    assert records.delta == {}


LOOKS: list[tuple[str, dict[str, Any]]] = [
    ("list_rooms", {}),
    ("list_doors", {}),
    ("find_cards", {"text": ""}),
    ("list_bookings", {}),
    ("find_items", {"text": ""}),
]


def test_the_key_of_a_long_world_is_quick() -> None:
    records = world(is_long=True)
    devices = [key for key, _ in records.rows("house.devices")]
    begin = time.process_time()
    for number in range(2_000):
        called(records, "switch_device", device=devices[number % len(devices)], on=number % 3 == 0)
        assert records.key
    assert (time.process_time() - begin) / 2_000 < 0.0005  # about 0.03 ms with the call when this was written


def test_schemas_describe_every_parameter() -> None:
    assert len(FUNCTIONS) == sum(len(api.functions) for api in APIS.values()) >= 90
    for name, function in FUNCTIONS.items():
        schema = function.schema["function"]
        assert schema["name"] == name
        assert schema["description"].endswith(".")
        assert list(schema["parameters"]["properties"]) == list(function.kinds)
        assert all(each["description"] for each in schema["parameters"]["properties"].values())
        assert set(schema["parameters"]["required"]) <= set(function.kinds)


# -- the checks of a turn ---------------------------------------------------------------------------------------------


def test_each_failure_has_a_kind_a_message_and_a_hidden_text() -> None:
    made = make_task(Place(0, "train", "switch", "base", 0))
    call = made.task.reference[0][0]
    wrong = ToolCall(call.name, {**call.arguments, "on": not call.arguments["on"]})

    def check(*calls: ToolCall) -> Any:
        episode = EmbeddedEpisode(made)
        for each in calls:
            episode.call(each)
        return episode.end_turn()

    assert check(call) == (True, "", "", "")
    none, state = check(), check(wrong)
    assert (none.passed, none.failure) == (False, "no_calls")
    assert call.name in none.hidden()
    assert (state.failure, state.message) == ("wrong_state", "1 record differs from what the user wanted.")
    have, want = not call.arguments["on"], call.arguments["on"]
    assert state.hidden().endswith(f"{call.arguments['device']} is not as wanted: on: {have} → {want}")
    made = make_task(Place(0, "train", "ask_device", "base", 0))
    assert check(ToolCall("list_rooms")).failure == "missing_result"
    made = make_task(Place(0, "train", "switch", "miss_func", 0))
    assert check(ToolCall("list_rooms")).failure == "call_in_empty_turn"
    assert check().passed


def test_a_late_function_is_unknown_before_its_turn() -> None:
    made = make_task(Place(0, "train", "set_lock", "miss_func", 2))
    episode, call = EmbeddedEpisode(made), made.task.reference[1][0]
    assert episode.call(call).error == "there is no function 'set_lock'"
    episode.end_turn()
    assert episode.call(call).error == ""
    assert episode.end_turn().passed


def test_a_result_seen_in_an_earlier_turn_counts() -> None:
    """As in the benchmark: what was shown does not have to be asked for again."""
    made = make_task(Place(0, "train", "sums_session", "base", 0))
    turns = reference(made)
    other = ToolCall("add_numbers", {"numbers": [1]})
    assert failures(made, [[call for calls in turns for call in calls], *([other] for _ in turns[1:])]) == []
    assert set(failures(made, [[other] for _ in turns])) == {"missing_result"}


def test_changes_are_told_once_as_they_were() -> None:
    made = make_task(Place(0, "train", "set_heating", "base", 0))
    episode, call = EmbeddedEpisode(made), made.task.reference[0][0]
    assert episode.take_changes() == ""
    episode.call(call)
    changes = episode.take_changes()
    room = call.arguments["room"]
    episode.call(ToolCall("set_heating", {"room": room, "degrees": 29}))
    text = changes() if callable(changes) else changes
    before, after = made.tables["house.rooms"][room]["degrees"], float(call.arguments["degrees"])
    assert text == f"house.rooms/{room} changed: degrees: {before} → {after}"
    again = episode.take_changes()
    assert (again() if callable(again) else again) == f"house.rooms/{room} changed: degrees: {after} → 29.0"
    assert episode.take_changes() == ""


def test_hidden_texts_hold_the_state_of_their_turn() -> None:
    made = make_task(Place(0, "train", "switch", "base", 0))
    episode, call = EmbeddedEpisode(made), made.task.reference[0][0]
    episode.call(ToolCall("switch_device", {**call.arguments, "on": not call.arguments["on"]}))
    device = call.arguments["device"]
    other = next(key for key in made.tables["house.devices"] if key != device)
    episode.call(ToolCall("switch_device", {"device": other, "on": not made.tables["house.devices"][other]["on"]}))
    hidden = episode.end_turn().hidden
    episode.call(call)
    episode.call(ToolCall("set_level", {"device": other, "level": 1}))
    assert callable(hidden)
    assert len(hidden().splitlines()) == 2
    assert f"house.devices/{other} is not as wanted: on: " in hidden()
    assert "level" not in hidden()


# fmt: off
#: Names of the benchmark's functions that would be obvious choices here.
TAKEN = {
    "add_contact", "cancel_booking", "cancel_order", "cd", "comment", "cp", "create_ticket", "delete_message", "find",
    "fund_account", "lockDoors", "ls", "max_value", "mean", "min_value", "mkdir", "mv", "place_order", "rm",
    "search_messages", "send_message", "sort", "sum_values", "touch", "wc",
}
# fmt: on


def test_no_function_has_a_name_of_the_benchmark() -> None:
    assert not TAKEN & set(FUNCTIONS)
