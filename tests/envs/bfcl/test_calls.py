"""Calls of the official API objects: results and errors as the benchmark words them, bounds, private worlds."""

from __future__ import annotations

import decimal
import json
import sys
import time
from typing import Any

import pytest

from agentgym_hindsight.envs.bfcl.official.episode import OfficialEpisode
from agentgym_hindsight.envs.bfcl.official.expressions import read_call, run_text
from agentgym_hindsight.envs.bfcl.official.guards import MOST_PRECISION, digits_of, guarded
from agentgym_hindsight.envs.bfcl.official.state_text import LONGEST, MOST_VALUES, state_text
from agentgym_hindsight.envs.tools import ToolCall
from tests.bfcl_packages import V3, V4, library, package


def episode(*classes: str, category: str = "base") -> OfficialEpisode:
    """A conversation whose world has these classes."""
    opened = library(category=category)
    entries = opened.contents.entries(category)
    return opened.open(next(entry for entry in entries if set(classes) <= set(entry.classes)))


def call(played: OfficialEpisode, name: str, *positional: Any, **arguments: Any) -> str:
    return played.call(ToolCall(name, arguments, positional)).text


def test_results_and_errors_are_worded_as_in_the_benchmark() -> None:
    files = episode("GorillaFileSystem")
    assert call(files, "mkdir", dir_name="new") == "None"
    assert call(files, "mkdir", "new").startswith('{"error": ')
    assert call(files, "cd", folder="new") == '{"current_working_directory": "new"}'
    assert call(files, "nosuch", a=1) == "Error during execution: name 'nosuch' is not defined"
    assert call(files, "_load_scenario", scenario={}) == "Error during execution: name '_load_scenario' is not defined"
    assert call(files, "exit") == "Error during execution: Function call exit is not allowed."
    assert call(files, "os.remove", "x") == "Error during execution: Function call remove is not allowed."
    assert call(files, "os.listdir") == "Error during execution: name 'os' is not defined"
    assert call(files, "print", "x") == "Error during execution: name 'print' is not defined"
    if sys.version_info[:2] == (3, 11):
        assert call(files, "cd") == (
            "Error during execution: GorillaFileSystem.cd() missing 1 required positional argument: 'folder'"
        )
        assert call(files, "cd", folder="x", a=1) == (
            "Error during execution: GorillaFileSystem.cd() got an unexpected keyword argument 'a'"
        )


def test_python_calls_are_read_without_eval() -> None:
    maths = episode("MathAPI").objects
    assert run_text(maths, "add(a=1 + 1, b=multiply(2, 3))") == '{"error": "Both inputs must be numbers"}'
    assert run_text(maths, "add(2**3, -1)") == '{"result": 7}'
    assert run_text(maths, "absolute_value(float('-inf'))") == '{"result": Infinity}'
    assert run_text(maths, "'just text'") == "just text"
    assert run_text(maths, "nosuch(x=unknown)") == "Error during execution: name 'nosuch' is not defined"
    assert run_text(maths, "add(a=unknown)") == "Error during execution: name 'unknown' is not defined"
    assert run_text(maths, "add(a=1, a=2)").startswith("Error during execution: keyword argument repeated")
    for text in ("__import__('os').getpid()", "(lambda: 1)()", "[x for x in 'ab']", "add.__globals__", "2**10**9"):
        assert run_text(maths, text).startswith("Error during execution: "), text
    assert read_call("f(1, b={'a': [None]})", lambda name: ("a", "b")).arguments == {"a": 1, "b": {"a": [None]}}


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("power", {"base": 9, "exponent": 10**12}, "Error during execution: Exceeds the limit (4300 digits)"),
        ("power", {"base": 10**999, "exponent": 10**999}, "Error during execution: Exceeds the limit (4300 digits)"),
        ("power", {"base": 10, "exponent": 4300}, "Error during execution: Exceeds the limit (4300 digits)"),
        ("power", {"base": 10, "exponent": 4299}, '{"result": 1000000'),
        ("power", {"base": -1, "exponent": 10**999}, '{"result": 1}'),
        ("power", {"base": 2, "exponent": 0.5}, '{"result": 1.414213'),
        ("round_number", {"number": 10**999, "decimal_places": -(10**9)}, '{"result": 0}'),
        ("round_number", {"number": 6, "decimal_places": -1}, '{"result": 10}'),
        ("logarithm", {"value": 8, "base": 2, "precision": 10**9}, "Error during execution: Refused: the precision"),
        ("logarithm", {"value": 47.72, "base": 94.72, "precision": 1974202140965533}, '{"error": ""}'),
        ("logarithm", {"value": 8, "base": 2, "precision": 10**999}, '{"error": "too many digits in integer"}'),
        ("logarithm", {"value": 8, "base": 2, "precision": 5}, "{'result': mpf('3.0')}"),
        ("square_root", {"number": 2, "precision": 10**9}, "Error during execution: Refused: the precision"),
        ("square_root", {"number": 4, "precision": 10**9}, "{'result': Decimal('2')}"),
        ("square_root", {"number": 2, "precision": 5}, "{'result': Decimal('1.4142')}"),
    ],
)
def test_calls_that_would_take_for_ever_are_bounded(name: str, arguments: dict[str, Any], text: str) -> None:
    started = time.process_time()
    assert call(episode("MathAPI"), name, **arguments).startswith(text)
    assert time.process_time() - started < 5


def test_bounds_change_no_result_that_can_be_computed() -> None:
    """Where a bound answers, it answers as the method does."""
    api = package().modules().classes["MathAPI"]()
    known = 0
    for name, first, second in (("power", "base", "exponent"), ("round_number", "number", "decimal_places")):
        guard = guarded("MathAPI", name)
        assert guard is not None
        for base in (*range(-12, 13), 10**9, 10**20 + 1, True, 2.5):
            for exponent in (-30, -21, -20, -3, -2, -1, 0, 1, 5, 4_000, 4_500):
                arguments = {first: base, second: exponent}
                found = guard(arguments)
                if found is None:
                    continue
                known += 1
                try:
                    expected = str(getattr(api, name)(**arguments))
                except ValueError as error:
                    expected = str(error)
                try:
                    assert str(found) == expected
                except ValueError as error:
                    assert str(error) == expected  # noqa: PT017  # the number cannot be printed
    assert known > 50
    assert digits_of("logarithm", {"precision": "10"}) == 10.0


def test_many_precise_calls_are_refused() -> None:
    maths = episode("MathAPI")
    texts = [call(maths, "square_root", number=2, precision=MOST_PRECISION) for _ in range(3)]
    assert len(texts[1]) > MOST_PRECISION
    assert texts[2] == "Error during execution: Refused: too many calls with a high precision."


def test_the_precision_of_the_process_is_set_back() -> None:
    import mpmath

    before = mpmath.mp.dps, decimal.getcontext().prec
    maths = episode("MathAPI")
    assert len(call(maths, "logarithm", value=3, base=2, precision=60)) > 60
    assert len(call(maths, "square_root", number=2, precision=60)) > 60
    assert (mpmath.mp.dps, decimal.getcontext().prec) == before


def test_episodes_share_nothing() -> None:
    for category in ("base", "long_context"):
        one = episode("TravelAPI", category=category)
        two = episode("TravelAPI", category=category)
        begin = two.state_key
        travel = one.objects.instances["TravelAPI"]
        card = next(iter(travel.credit_card_list.values()))
        card["balance"] = -5
        travel.booking_record["x"] = {}
        assert state_text(two.objects.instances["TravelAPI"]) != state_text(travel)
        assert two.state_key == begin == episode("TravelAPI", category=category).state_key


@pytest.mark.parametrize("version", [V4, V3])
def test_default_values_of_calls_are_not_shared(version: str) -> None:
    opened = library(version)
    entry = next(each for each in opened.contents.entries("base") if "TwitterAPI" in each.classes)
    for _ in range(2):
        post = opened.open(entry).objects.instances["TwitterAPI"]
        post.authenticated = True
        number = post.post_tweet("hello")["id"]
        post.mention(tweet_id=number, mentioned_usernames=["@someone"])
        assert post.post_tweet(content="again")["mentions"] == []
    with pytest.raises(TypeError, match=r"^TwitterAPI\.post_tweet\(\) missing 1 required .*'content'"):
        post.post_tweet()


def test_arguments_of_calls_are_not_changed() -> None:
    opened = library(V4)
    entry = next(each for each in opened.contents.entries("base") if "TwitterAPI" in each.classes)
    opened_episode = opened.open(entry)
    opened_episode.objects.instances["TwitterAPI"].authenticated = True
    post = ToolCall("post_tweet", {"content": "hello", "mentions": ["@one"]})
    number = json.loads(opened_episode.call(post).text)["id"]
    opened_episode.call(ToolCall("mention", {"tweet_id": number, "mentioned_usernames": ["@two"]}))
    assert post.arguments["mentions"] == ["@one"]


def test_the_package_is_not_left_in_the_process() -> None:
    package(V4).modules()
    package(V3).modules()
    assert not [name for name in sys.modules if name.split(".")[0] == "bfcl_eval"]
    assert package(V4).modules().classes["MathAPI"] is not package(V3).modules().classes["MathAPI"]


def test_the_state_key_returns_with_the_state() -> None:
    files = episode("GorillaFileSystem")
    begin = files.state_key
    call(files, "ls")
    assert files.state_key == begin
    call(files, "mkdir", dir_name="new")
    call(files, "cd", folder="new")
    inside = files.state_key
    assert inside != begin
    call(files, "cd", folder="..")
    assert files.state_key not in (begin, inside)
    call(files, "rmdir", dir_name="new")
    assert files.state_key == begin
    assert files.take_changes() == ""  # nothing in sum


def test_changes_name_the_fields() -> None:
    files = episode("GorillaFileSystem")
    call(files, "mkdir", dir_name="new")
    changes = files.take_changes()
    assert callable(changes)
    call(files, "rmdir", dir_name="new")  # the text holds its own copy
    assert changes().startswith("GorillaFileSystem changed: root.contents.new: new, ")


def test_folders_in_themselves_and_copies_of_copies_are_bounded() -> None:
    files = episode("GorillaFileSystem")
    call(files, "mkdir", dir_name="a")
    call(files, "cp", source="a", destination="a")
    begin = time.process_time()
    assert files.state_key
    for number in range(60):  # each copy of the root's folders doubles the number of paths
        call(files, "mkdir", dir_name=f"d{number}")
        call(files, "cp", source="a", destination=f"d{number}")
        if number:
            call(files, "cp", source=f"d{number - 1}", destination=f"d{number}")
            call(files, "cp", source=f"d{number}", destination=f"d{number - 1}")
        files.call(ToolCall("find", {"path": ".", "name": "x"}))
        assert files.state_key
    assert time.process_time() - begin < 10
    assert files.end_turn().passed is False


def test_states_of_odd_objects() -> None:
    class Odd:
        def __init__(self) -> None:
            self.again, self._private, self.parent = self, 1, None
            self.large = [["x"]] * (2 * MOST_VALUES)
            self.text = "x" * (2 * LONGEST)
            self.number = 10**30
            self.keys = {1: "a", "1": "b", None: "c"}

    text = state_text(Odd())
    assert "the same object again" in text
    assert "_private" not in text
    assert '{"#1":"a","#None":"c","1":"b"}' in text
    assert len(text) < 20 * MOST_VALUES
    deep: Any = Odd()
    deep.chain = current = {}
    for _ in range(5_000):
        current["in"] = {}
        current = current["in"]
    assert state_text(deep) == '{"too deep":true}'
