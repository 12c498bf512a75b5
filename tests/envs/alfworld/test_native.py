"""The rules of the game, one by one. The genuine engine gives the same replies; see tests/parity."""

from __future__ import annotations

import copy
import os
import pickle
import random
import subprocess
import sys

import pytest

from agentgym_hindsight.envs.alfworld import genuine
from agentgym_hindsight.envs.alfworld.names import shown_names
from agentgym_hindsight.envs.alfworld.native import House, Play
from agentgym_hindsight.envs.alfworld.scene import Goal, Receptacle, Scene, Thing
from agentgym_hindsight.errors import MissingExtraError, UsageError
from tests.envs.alfworld.scenes import kitchen, locate, place, thing

COUNTER, SHELF = "CounterTop_bar__plus_01", "Shelf_bar__plus_01"
NOTHING_HAPPENS = "Nothing happens."


def play(scene: Scene | None = None, *commands: str) -> Play:
    started = Play(House(scene or kitchen()))
    for command in commands:
        assert started.step(command) != NOTHING_HAPPENS, command
    return started


def test_opening_text() -> None:
    assert play().observation == (
        "-= Welcome to TextWorld, ALFRED! =-\n\n"
        "You are in the middle of a room. Looking quickly around you, you see a cabinet 2, a cabinet 1, "
        "a countertop 1, a desk 1, a fridge 1, a microwave 1, a shelf 1, and a sinkbasin 1.\n\n"
        "Your task is to: put some apple on fridge."
    )


def test_first_admissible_commands() -> None:
    assert play().admissible == (
        "go to cabinet 1",
        "go to cabinet 2",
        "go to countertop 1",
        "go to desk 1",
        "go to fridge 1",
        "go to microwave 1",
        "go to shelf 1",
        "go to sinkbasin 1",
        "help",
        "inventory",
        "look",
    )


def test_a_whole_game() -> None:
    game = play(None, "go to countertop 1", "take apple 1 from countertop 1")
    assert game.observation == "You pick up the apple 1 from the countertop 1."
    assert game.step("inventory") == "You are carrying: a apple 1."
    assert game.step("go to fridge 1") == "You arrive at fridge 1. The fridge 1 is closed."
    assert game.step("open fridge 1") == "You open the fridge 1. The fridge 1 is open. In it, you see nothing."
    assert not game.won
    assert game.step("move apple 1 to fridge 1") == "You move the apple 1 to the fridge 1."
    assert game.won
    assert game.step("examine fridge 1") == "The fridge 1 is open. In it, you see a apple 1."
    assert game.step("inventory") == "You are not carrying anything."
    assert game.step("close fridge 1") == "You close the fridge 1."
    game.step("open fridge 1")
    game.step("take apple 1 from fridge 1")
    assert not game.won  # the goal can stop holding


# The fifteen branches of `examine`, in the order of the grammar.


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ({"is_receptacle": True, "hot": True, "clean": True}, "This is a normal apple 1. In it, you see nothing."),
        ({"clean": True, "hot": True, "sliced": True}, "This is a hot and clean sliced apple 1."),
        ({"clean": True, "cool": True, "sliced": True}, "This is a cool and clean sliced apple 1."),
        ({"clean": True, "sliced": True}, "This is a clean sliced apple 1."),
        ({"hot": True, "sliced": True}, "This is a hot sliced apple 1."),
        ({"cool": True, "sliced": True}, "This is a cool sliced apple 1."),
        ({"clean": True, "hot": True}, "This is a hot and clean apple 1."),
        ({"clean": True, "cool": True}, "This is a cool and clean apple 1."),
        ({"hot": True}, "This is a hot apple 1."),
        ({"clean": True}, "This is a clean apple 1."),
        ({"cool": True}, "This is a cold apple 1."),
        ({"toggleable": True, "toggled": True}, "This apple 1 is on."),
        ({"toggleable": True}, "There's nothing special about apple 1."),  # the branch "is off" is never reached
        ({"sliceable": True, "sliced": True}, "This is a sliced apple 1."),
        ({}, "There's nothing special about apple 1."),
        # The order if several branches apply.
        ({"hot": True, "cool": True}, "This is a hot apple 1."),
        ({"clean": True, "hot": True, "cool": True, "sliced": True}, "This is a hot and clean sliced apple 1."),
        ({"toggleable": True, "toggled": True, "sliceable": True, "sliced": True}, "This apple 1 is on."),
        ({"toggleable": True, "toggled": True, "clean": True}, "This is a clean apple 1."),
        ({"sliced": True}, "There's nothing special about apple 1."),  # sliced, but not sliceable
    ],
)
def test_examine(flags: dict[str, bool], text: str) -> None:
    game = play(kitchen(thing("Apple", 2, COUNTER, 1, **flags)), "go to countertop 1", "take apple 1 from countertop 1")
    assert game.step("examine apple 1") == text


def test_examine_lists_the_contents_of_a_container() -> None:
    more = Thing("Fork_bar__plus_02", "Fork", locate(1), (COUNTER,), ("Bowl_bar__plus_01",))
    game = play(kitchen(more), "go to countertop 1", "take bowl 1 from countertop 1")
    assert game.step("examine bowl 1") == "This is a normal bowl 1. In it, you see a egg 1, and a fork 1."


# The edge cases of the genuine engine.


def test_1_look_before_moving_sees_nothing() -> None:
    game = play()
    assert game.step("look") == "You are in the middle of a room. Looking quickly around you, you see nothing."


def test_2_only_the_held_thing_can_be_examined() -> None:
    game = play(None, "go to countertop 1")
    assert "examine apple 1" not in game.admissible
    assert game.step("examine apple 1") == NOTHING_HAPPENS
    game.step("take apple 1 from countertop 1")
    assert "examine apple 1" in game.admissible


def test_3_go_to_does_nothing_between_receptacles_of_one_location() -> None:
    game = play(None, "go to shelf 1")
    assert game.step("go to cabinet 1") == NOTHING_HAPPENS
    assert game.step("go to shelf 1") == NOTHING_HAPPENS
    assert not game.valid
    assert not any(command in game.admissible for command in ("go to cabinet 1", "go to cabinet 2", "go to shelf 1"))


def test_4_everything_at_a_shared_location_is_in_reach() -> None:
    game = play(None, "go to shelf 1")
    assert game.step("look") == "You are facing the cabinet 2, cabinet 1, and shelf 1. Next to it, you see nothing."
    for command in ("take mug 1 from shelf 1", "open cabinet 1", "move mug 1 to cabinet 1"):
        assert game.step(command) != NOTHING_HAPPENS
    assert game.step("look").endswith("Next to it, you see a mug 1.")
    for command in ("take mug 1 from cabinet 1", "open cabinet 2", "move mug 1 to cabinet 2"):
        assert game.step(command) != NOTHING_HAPPENS
    assert game.step("look").endswith("Next to it, you see a mug 1, and a mug 1.")  # taken out of two receptacles
    game.step("take mug 1 from cabinet 2")
    game.step("move mug 1 to shelf 1")
    assert game.step("look").endswith("Next to it, you see a mug 1, and a mug 1.")


def test_5_cooling_and_using_work_through_doors() -> None:
    scene = kitchen(thing("DeskLamp", 2, "Fridge_bar__plus_01", 2, toggleable=True))
    game = play(scene, "go to countertop 1", "take apple 1 from countertop 1", "go to fridge 1")
    assert game.step("cool apple 1 with fridge 1") == "You cool the apple 1 using the fridge 1."
    assert game.step("use desklamp 1") == "You turn on the desklamp 1."
    assert game.changed
    assert game.step("use desklamp 1") == "You turn on the desklamp 1."  # it stays on
    assert game.valid
    assert not game.changed


def test_6_heating_and_cooling_undo_each_other() -> None:
    game = play(None, "go to countertop 1", "take apple 1 from countertop 1", "go to fridge 1")
    game.step("cool apple 1 with fridge 1")
    assert game.step("examine apple 1") == "This is a cold apple 1."
    game.step("go to microwave 1")
    game.step("heat apple 1 with microwave 1")
    assert game.step("examine apple 1") == "This is a hot apple 1."
    assert ("isCool", "Apple_bar__plus_01") not in game.facts()


def test_7_a_thing_in_two_receptacles_stays_in_the_other_one() -> None:
    game = play(kitchen(thing("Mug", 2, (COUNTER, SHELF), 1)), "go to countertop 1")
    game.step("take mug 1 from countertop 1")
    facts = game.facts()
    assert ("holds", "agent1", "Mug_bar__plus_02") in facts
    assert {fact[2] for fact in facts if fact[:2] == ("inReceptacle", "Mug_bar__plus_02")} == {SHELF}
    game.step("go to shelf 1")
    assert game.step("examine shelf 1") == "On the shelf 1, you see a mug 2, a mug 1, and a teddybear 1."


def test_8_names() -> None:
    ghost = Thing("Apple_bar__plus_09", "", locate(1))
    plain = Thing("plainmug", "Mug", locate(1), (COUNTER,), pickupable=True)
    unnamed = Thing("Apple_bar__plus_08", "")
    scene = kitchen(ghost, plain, unnamed)
    names = shown_names(scene)
    assert names["Apple_bar__plus_01"] == "apple 2"  # the id without a type counts, and numbers run down
    assert names["Apple_bar__plus_09"] == "apple 1"
    assert names["Sink_bar__plus_01_bar_SinkBasin"] == "sinkbasin 1"
    assert names["plainmug"] == "plainmug "
    assert "Apple_bar__plus_08" not in names
    game = Play(House(scene))
    game.step("go to countertop 1")
    game.step("take plainmug  from countertop 1")
    assert "examine plainmug " in game.admissible
    assert game.step("examine plainmug ") == NOTHING_HAPPENS  # stripped and then unknown, as in the genuine engine


@pytest.mark.parametrize(
    "command", ["Look", "LOOK", "look around", "look\u200b", "go to  shelf 1", "go to Shelf 1", "🚪"]
)
def test_9_commands_match_exactly(command: str) -> None:
    assert play().step(command) == NOTHING_HAPPENS


@pytest.mark.parametrize("command", [" look", "look\n", "\u2003look\t", "\u00a0look"])
def test_9_white_space_around_a_command_is_dropped(command: str) -> None:
    game = play()
    assert game.step(command) == game.step("look")


def test_9_the_empty_command() -> None:
    game = play()
    assert game.step("") == game.step(" \n") == NOTHING_HAPPENS


def test_10_looking_at_a_thing_under_a_lamp_in_any_order() -> None:
    scene = kitchen(goal=Goal("look_at_obj_in_light", "Mug", "", "DeskLamp"))
    first = play(scene, "go to desk 1", "use desklamp 1", "go to shelf 1", "take mug 1 from shelf 1")
    assert not first.won
    first.step("go to desk 1")
    assert first.won
    first.step("go to shelf 1")
    assert not first.won
    second = play(scene, "go to shelf 1", "take mug 1 from shelf 1", "go to desk 1")
    assert not second.won
    second.step("use desklamp 1")
    assert second.won
    taken = play(scene, "go to desk 1", "use desklamp 1", "take desklamp 1 from desk 1")
    assert not taken.won


def test_11_trap_objects_cannot_be_put_down() -> None:
    game = play(None, "go to shelf 1", "take teddybear 1 from shelf 1")
    for name in game.house.place_names:
        game.step(f"go to {name}")
        game.step(f"open {name}")
        assert not any(command.startswith("move ") for command in game.admissible)


@pytest.mark.parametrize(
    ("task_type", "treatment"),
    [
        ("pick_clean_then_place_in_recep", ("go to sinkbasin 1", "clean apple 1 with sinkbasin 1")),
        ("pick_heat_then_place_in_recep", ("go to microwave 1", "heat apple 1 with microwave 1")),
        ("pick_cool_then_place_in_recep", ("go to fridge 1", "cool apple 1 with fridge 1")),
    ],
)
def test_treated_things_win(task_type: str, treatment: tuple[str, str]) -> None:
    game = play(kitchen(goal=Goal(task_type, "Apple", "CounterTop")), "go to countertop 1")
    assert not game.won
    for command in ("take apple 1 from countertop 1", *treatment, "go to countertop 1"):
        assert game.step(command) != NOTHING_HAPPENS
    assert not game.won
    game.step("move apple 1 to countertop 1")
    assert game.won


def test_two_things_must_be_in_one_receptacle() -> None:
    scene = kitchen(
        thing("Mug", 2, COUNTER, 1),
        goal=Goal("pick_two_obj_and_place", "Mug", "Shelf"),
        more=(place("Shelf", 2, 6),),
    )
    game = play(scene, "go to countertop 1", "take mug 1 from countertop 1", "go to shelf 1", "move mug 1 to shelf 1")
    assert not game.won  # shelf 1 is the other shelf
    for command in ("take mug 1 from shelf 1", "go to shelf 2", "move mug 1 to shelf 2"):
        assert game.step(command) != NOTHING_HAPPENS
    assert game.won


def test_slicing_works_through_doors() -> None:
    game = play(kitchen(thing("Apple", 2, "Fridge_bar__plus_01", 2, sliceable=True)), "go to countertop 1")
    for command in ("take knife 1 from countertop 1", "slice apple 2 with knife 1", "go to fridge 1"):
        assert game.step(command) != NOTHING_HAPPENS
    assert game.step("slice apple 1 with knife 1") == "You sliced the apple 1 with the knife 1."


def test_a_game_can_start_at_a_receptacle() -> None:
    game = play(kitchen(start=5))
    assert "You are facing the cabinet 2, cabinet 1, and shelf 1. Next to it, you see nothing." in game.observation


def test_the_older_dialect() -> None:
    game = play(kitchen(dialect="0.3"), "go to shelf 1")
    assert game.observation == "You arrive at loc 2. On the shelf 1, you see a mug 1, and a teddybear 1."
    assert game.step("help") == NOTHING_HAPPENS
    game.step("take mug 1 from shelf 1")
    assert game.step("move mug 1 to shelf 1") == NOTHING_HAPPENS
    assert "help" not in game.admissible
    assert "put mug 1 in/on shelf 1" in game.admissible
    assert game.step("put mug 1 in/on shelf 1") == "You put the mug 1 in/on the shelf 1."


def test_help() -> None:
    text = play().step("help")
    assert text.startswith("Available commands:\n  look:")
    assert text.endswith("using a sharp object\n")


# Facts, snapshots and keys of states.


def test_facts_of_empty_hands_and_an_open_receptacle() -> None:
    facts = play(None, "go to fridge 1", "open fridge 1").facts()
    assert ("atLocation", "agent1", locate(2)) in facts
    assert not any(fact[0] in ("holds", "holdsAny") for fact in facts)
    assert {fact for fact in facts if fact[0] == "opened"} == {("opened", "Fridge_bar__plus_01")}
    on_shelf = {fact[1] for fact in facts if fact[0] == "inReceptacle" and fact[2] == SHELF}
    assert on_shelf == {"Mug_bar__plus_01", "TeddyBear_bar__plus_01"}


def test_facts() -> None:
    game = play(None, "go to countertop 1", "take apple 1 from countertop 1", "go to fridge 1")
    game.step("cool apple 1 with fridge 1")
    game.step("open fridge 1")
    facts = game.facts()
    assert {
        ("atLocation", "agent1", locate(2)),
        ("holds", "agent1", "Apple_bar__plus_01"),
        ("holdsAny", "agent1"),
        ("isCool", "Apple_bar__plus_01"),
        ("opened", "Fridge_bar__plus_01"),
        ("canContain", "FridgeType", "AppleType"),
        ("inReceptacleObject", "Egg_bar__plus_01", "Bowl_bar__plus_01"),
    } <= facts
    assert ("inReceptacle", "Apple_bar__plus_01", COUNTER) not in facts
    assert ("objectAtLocation", "Apple_bar__plus_01", locate(1)) not in facts


def random_play(game: Play, seed: int, steps: int) -> None:
    rng = random.Random(seed)
    for _ in range(steps):
        game.step(rng.choice(game.admissible))


def test_snapshots_and_copies_are_independent() -> None:
    game = play()
    random_play(game, 1, 40)
    snapshot, key, observation, admissible = game.snapshot(), game.state_key(), game.observation, game.admissible
    copied = game.copy()
    random_play(copied, 2, 40)
    assert (game.state_key(), game.observation, game.admissible) == (key, observation, admissible)
    game.restore(pickle.loads(pickle.dumps(copied.snapshot())))
    assert (game.state_key(), game.admissible, game.won) == (copied.state_key(), copied.admissible, copied.won)
    game.restore(snapshot)
    assert (game.state_key(), game.observation, game.admissible) == (key, observation, admissible)


def test_pickling_a_play() -> None:
    game = play()
    random_play(game, 3, 30)
    again = pickle.loads(pickle.dumps(game))
    assert (again.state_key(), again.observation, again.admissible) == (
        game.state_key(),
        game.observation,
        game.admissible,
    )


def test_deep_copies_share_the_house() -> None:
    game = play()
    copied = copy.deepcopy(game)
    random_play(copied, 6, 20)
    assert copied.house is game.house
    assert game.state_key() == play().state_key()


def test_reset_restarts_the_game() -> None:
    game = play()
    opening, key, offered = game.observation, game.state_key(), game.admissible
    random_play(game, 4, 50)
    assert game.reset() == opening
    assert (game.state_key(), game.admissible) == (key, offered)


def test_equal_keys_give_equal_replies() -> None:
    house = House(kitchen())
    seen: dict[str, tuple[object, ...]] = {}
    for seed in range(12):
        game = Play(house)
        rng = random.Random(seed)
        for _ in range(120):
            game.step(rng.choice(game.admissible))
            probe = game.copy()
            future = (probe.admissible, probe.won, probe.step("look"), probe.step("inventory"))
            assert seen.setdefault(game.state_key(), future) == future


def test_the_key_does_not_depend_on_the_history() -> None:
    game = play()
    key = game.state_key()
    at_counter = play(None, "go to countertop 1").state_key()
    assert at_counter != key
    detour = ("go to countertop 1", "take apple 1 from countertop 1", "move apple 1 to countertop 1", "look")
    assert play(None, *detour).state_key() == at_counter
    opened = play(None, "go to fridge 1", "open fridge 1", "close fridge 1", "go to countertop 1")
    assert opened.state_key() == at_counter


def test_the_key_includes_the_things_next_to_receptacles() -> None:
    base = ("go to shelf 1", "open cabinet 1")
    put = play(None, *base, "take mug 1 from shelf 1", "move mug 1 to cabinet 1", "take mug 1 from cabinet 1")
    back = play(None, *base, "take mug 1 from shelf 1")
    assert put.state().held == back.state().held
    assert put.state_key() != back.state_key()  # after `move mug 1 to shelf 1`, `look` differs


def test_the_key_is_the_same_in_every_process() -> None:
    code = (
        "from agentgym_hindsight.envs.alfworld.native import House, Play\n"
        "from tests.envs.alfworld.scenes import kitchen\n"
        "print(Play(House(kitchen())).state_key())"
    )
    keys = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert keys == {f"{play().state_key()}\n".encode()}


def test_the_key_does_not_depend_on_the_task() -> None:
    other = kitchen(goal=Goal("pick_two_obj_and_place", "Mug", "Shelf"))
    assert play(other).state_key() == play().state_key()


def test_games_in_one_house_are_independent() -> None:
    house = House(kitchen())
    first, second = Play(house), Play(house)
    random_play(first, 5, 60)
    assert second.state_key() == Play(house).state_key()


@pytest.mark.parametrize(
    "change",
    [
        {"start": "loc_bar_99", "locations": ()},
        {"things": (thing("Mug", 1, "Cupboard_bar_1", 1),)},
        {"receptacles": (Receptacle("Shelf_bar_1", "Shelf", "nowhere"),)},
    ],
)
def test_a_scene_with_an_unlisted_id_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="which it does not list"):
        House(kitchen()._replace(**change))  # type: ignore[arg-type]


def test_two_things_with_one_id_are_refused() -> None:
    with pytest.raises(UsageError, match="different id for every thing"):
        House(kitchen(thing("Apple", 1, SHELF, 5)))


@pytest.mark.parametrize("given", [None, "", "somewhere"])
def test_importing_the_genuine_engine_does_not_change_the_data_variable(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    if given is not None:
        monkeypatch.setenv("ALFWORLD_DATA", given)
    met: list[str | None] = []

    def imported(name: str) -> None:
        met.append(os.environ.get("ALFWORLD_DATA"))
        os.environ["ALFWORLD_DATA"] = "default"  # as alfworld does
        raise ImportError(name)

    monkeypatch.setattr(genuine.importlib, "import_module", imported)
    with pytest.raises(MissingExtraError):
        genuine._open("game.tw-pddl")
    assert met == [given or None]
    assert os.environ.get("ALFWORLD_DATA") == given
