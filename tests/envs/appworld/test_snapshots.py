"""Snapshots of the miniature world: its data, and the interpreter's variables as far as they are data."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import gymnasium as gym
import pytest

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.envs.appworld.sandbox import Sandbox
from agentgym_hindsight.envs.appworld.sandbox.interpreter_state import InterpreterState
from agentgym_hindsight.envs.snapshot_value import Snapshot
from agentgym_hindsight.errors import SchemaError, UsageError, WorkerError
from tests.forks import check_restored, check_walks, in_words, walk

#: Lines that read and change variables, the random numbers and the world.
LINES = (
    "n = globals().get('n', 0) + 1\nprint(n)",
    "rows = globals().get('rows', [])\nrows.append((n if 'n' in globals() else 0, len(rows)))\nprint(rows[-2:])",
    "import random\nprint(random.random(), random.choice('abc'))",
    "import uuid, secrets\nprint(uuid.uuid4(), secrets.token_hex(3))",
    "def twice(x: int, *, start=[0]) -> int:\n    start[0] += x\n    return 2 * start[0]\nprint(twice(2))",
    "print(twice(3))",
    "from datetime import datetime, timedelta\nsoon = datetime.now() + timedelta(days=1)\nprint(soon)",
    "import re\nword = re.compile('[a-z]+')\nprint(word.findall('one two'))",
    "from collections import Counter, defaultdict\nseen = defaultdict(list)\nseen['a'].append(Counter('aab'))\n"
    "print(dict(seen))",
    "pair = [1, 2]\nsame = pair\nsame.append(pair)\nprint(pair is same, len(pair))",
    "print(sorted(name for name in globals() if not name.startswith('_')))",
    "profile = apis.supervisor.show_profile()\nprint(profile)",
    "passwords = {row['app']: row['password'] for row in apis.supervisor.show_account_passwords()}",
    "phone = apis.phone\ntoken = phone.login(username=profile['email'], password=passwords['phone'])['access_token']",
    "print(phone.create_alarm(access_token=token, time='07:30', label=str(len(str(globals().get('n'))))))",
    "alarms = phone.show_alarms(access_token=token)\nprint(len(alarms))",
    "print(phone.delete_alarm(access_token=token, alarm_id=alarms[-1]['alarm_id']))",
    "1 / 0",
    "print(",
    "raise KeyError('no')",
    "big, odd, far = 2 ** 70, '\\ud800', (1.5, float('inf'), b'x', frozenset({1}), range(3), None, 1j)\n"
    "print(big, far)",
)


def program(rng: random.Random, info: dict[str, Any]) -> str:
    if rng.random() < 0.25 and info["expert_action"]:
        return str(info["expert_action"])
    return rng.choice(LINES)


def make() -> gym.Env[Any, Any]:
    return gym.make("AppWorld-Hindsight-v0", expert=True, max_steps=14)


def test_what_follows_a_restored_moment_is_the_same() -> None:
    assert check_walks(make, 24, choose=program) == 24


@pytest.mark.slow
def test_ten_thousand_random_states_are_restored() -> None:
    states = int(os.environ.get("AGENTGYM_HINDSIGHT_STATES", "10000"))  # five minutes
    assert check_walks(make, states, seed=1, turns=2, choose=program) == states


@pytest.fixture
def sandbox() -> Any:
    made = Sandbox(lambda app, api, arguments: 7, {"sums": ["seven"]})
    yield made
    made.close()


def test_variables_are_carried_with_their_types_and_identities(sandbox: Sandbox) -> None:
    sandbox.run(
        "import json, collections, decimal, fractions, datetime as dt\nfrom re import findall\n"
        "a = [1]; b = a; a.append(a); t = (a, {1: 'x', (2, 'y'): None}); z = -0.0; s = {3, 1, 2}\n"
        "q = collections.deque([a]); d = decimal.Decimal('1.10'); f = fractions.Fraction(1, 3)\n"
        "moment = dt.datetime(2020, 1, 2, tzinfo=dt.timezone.utc); wait = dt.timedelta(1, 2, 3)\n"
        "call = apis.sums.seven; kind = int; error = ApiError; _hidden = bytearray(b'ab')\n"
        "o = collections.OrderedDict(b=1, a=2)"
    )
    code = (
        "print(a is b is a[1] is t[0] is q[0], t[1], z, s, type(q).__name__, d, f, moment, wait, call(), kind, error, "
        "_hidden, json.dumps([1]), findall('a', 'aa'), type(o).__name__, list(o))"
    )
    state = sandbox.save()
    assert state.lost == ()
    first = sandbox.run(code)
    sandbox.load(state)
    assert sandbox.run(code) == first
    assert first.error == ""


def test_what_is_no_data_is_named_and_the_rest_is_carried(sandbox: Sandbox) -> None:
    sandbox.run(
        "class Item:\n    def __reduce__(self): raise SystemExit\n"
        "item = Item(); held = [Item()]; lines = (n for n in [1]); small = lambda: 1\n"
        "def outer():\n    x = 1\n    def inner():\n        return x\n    return inner\n"
        "closed = outer(); kept = [1, 2]; mixed = (kept, item)\n"
        "class Text(str): pass\ntext = Text('x')\ncycle = iter([1])"
    )
    state = sandbox.save()
    assert state.lost == ("Item", "item", "held", "lines", "small", "closed", "mixed", "Text", "text", "cycle")
    sandbox.load(state)
    outcome = sandbox.run("print(kept, outer()())\nprint(item)")
    assert outcome.output == "[1, 2] 1\n"
    assert "NameError: name 'item' is not defined" in outcome.error


def test_functions_are_carried_with_their_defaults_and_not_run_again(sandbox: Sandbox) -> None:
    sandbox.run("def show(x, y=print('made')):\n    'Says x.'\n    return x, y, n\nn = 1")
    sandbox.run("def loop(k):\n    return k if k < 2 else loop(k - 1)")
    state = sandbox.save()
    assert state.lost == ()
    sandbox.load(state)
    outcome = sandbox.run("n = 5\nprint(show(2), show.__doc__, loop(9))\nshow(n, 1, 2)")
    assert outcome.output == "(2, None, 5) Says x. 1\n"
    assert 'File "<turn 3>", line 3' in outcome.error


def test_a_changed_function_is_not_carried_by_its_old_text(sandbox: Sandbox) -> None:
    sandbox.run("def one():\n    return 1")
    sandbox.run(
        "def two():\n    return 2\none.__code__ = two.__code__\ndef deco(f): return f\n@deco\ndef three(): return 3"
    )
    assert sandbox.save().lost == ("one", "three")


def test_too_much_is_named_instead_of_carried(sandbox: Sandbox) -> None:
    sandbox.run(
        "deep = []\nfor _ in range(500): deep = [deep]\nlong = 'x' * 3_000_000\nmany = list(range(200_000))\nn = 1"
    )
    state = sandbox.save()
    assert set(state.lost) == {"deep", "long", "many"}
    assert len(state.data) < 1 << 20
    sandbox.load(state)
    assert sandbox.run("print(n)").output == "1\n"


def test_the_order_of_a_set_is_carried_or_the_set_is_not(sandbox: Sandbox) -> None:
    sandbox.run("s = set(range(40)) | {'a', 'b'}\nfor k in range(38): s.discard(k)\ns |= {64, 128}")
    state = sandbox.save()
    before = sandbox.run("print(s)")
    sandbox.load(state)
    if not state.lost:
        assert sandbox.run("print(s)") == before


def test_saving_changes_nothing(sandbox: Sandbox) -> None:
    sandbox.run("import random\nx = [random.random()]")
    one = sandbox.save()
    assert sandbox.save() == one
    assert sandbox.run("print(x[0] == x[0], len(x))").fresh is False


def test_a_new_interpreter_has_nothing_to_carry(sandbox: Sandbox) -> None:
    assert sandbox.save() == InterpreterState("", ())
    sandbox.load(sandbox.save())
    assert sandbox.run("print(sorted(set(globals()) - {'__builtins__'}))").error == ""


def test_a_worker_that_cannot_be_asked_loses_its_variables(sandbox: Sandbox) -> None:
    # The code replaces the function that lists the variables: the host gets no proper answer and trusts none.
    sandbox.run(
        "import sys\nx = 1\nmodule = sys.modules['agentgym_hindsight.envs.appworld.sandbox.inside.worker']\n"
        "module.encode = lambda *_: {'names': {'x': 99}, 'nodes': [], 'sources': {}, 'lost': []}"
    )
    state = sandbox.save()
    assert state == InterpreterState("", ("all variables",))
    outcome = sandbox.run("print(x)")
    assert outcome.fresh
    assert "variables are lost" in outcome.error


@pytest.mark.parametrize(
    "nodes",
    [
        [["?"]],
        [["t", 0]],
        [["m", "os"]],
        [["l", 5]],
        [["M", "subprocess"]],
        [["a", "os", "system"]],
        [["F", "x", "y", 1]],
    ],
)
def test_a_forged_state_cannot_start_an_interpreter(sandbox: Sandbox, nodes: list[Any]) -> None:
    forged = {"names": {"x": 0}, "nodes": nodes, "sources": {}, "turns": 1, "random": None}
    sandbox.load(InterpreterState(json.dumps(forged), ()))
    with pytest.raises(WorkerError, match="takes the variables of the snapshot"):
        sandbox.run("print(x)")
    assert sandbox.run("print(1)").output == "1\n"


def test_the_value_names_what_is_lost() -> None:
    env = make()
    env.reset(seed=0)
    env.step("class Item: pass\nitem = Item()\nn = 1")
    snapshot = Snapshot.from_bytes(env.unwrapped.snapshot().to_bytes())
    assert snapshot.lost == ("Item", "item")
    assert "lost: 'Item, item'" in repr(snapshot)
    env.close()


def test_a_fork_changes_neither_the_first_world_nor_its_interpreter() -> None:
    first, other = make(), make()
    moments = walk(first, random.Random(5), program, most=6)
    check_restored(first, moments, 2, 1, stored=False)
    check_restored(other, moments, 2, 3, stored=True)
    assert in_words(first.step(moments[3].action)) == moments[3].result
    first.close()
    other.close()


def test_a_completed_task_is_restored_as_completed() -> None:
    env = make()
    _, info = env.reset(seed=2)
    over = False
    while not over:
        observation, _, over, _, info = env.step(info["expert_action"])
    other = make()
    restored = other.unwrapped.restore(Snapshot.from_bytes(env.unwrapped.snapshot().to_bytes()))
    assert in_words(restored) == in_words((observation, info))
    env.close()
    other.close()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("world", 0), [["notes_notes", [1]]]),
        (("world", 0), [["no_table", [1], None]]),
        (("world", 0), [["notes_notes", ["1"], None]]),
        (("world", 0), [["notes_notes", [1], [1]]]),
        (("world", 1, 0), "{"),
        (("world", 1, 0), '{"names": {"x": 3}, "nodes": [], "sources": {}, "turns": 1}'),
        (("world", 2), 99),
        (("world", 3, 0), "cursed"),
        (("world", 3, 2), -1),
    ],
)
def test_a_loaded_world_is_checked(path: tuple[Any, ...], value: object) -> None:
    env = make().unwrapped
    env.reset(seed=0)
    document = json.loads(env.snapshot().to_json())
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(SchemaError, match="Expected"):
        env.restore(Snapshot.from_json(json.dumps(document)))
    env.close()


def test_other_limits_are_refused() -> None:
    env, other = make(), gym.make("AppWorld-Hindsight-v0", expert=True, max_steps=14, limits={"seconds": 3.0})
    env.reset(seed=0)
    with pytest.raises(UsageError, match=r"limits\.seconds"):
        other.unwrapped.restore(env.unwrapped.snapshot())
    env.close()
    other.close()
