"""The expert wins every game that can be won, each of its steps shortens the plan, and its dead ends are correct."""

from __future__ import annotations

import random
from collections import deque
from pathlib import Path

import pytest

from agentgym_hindsight.envs.alfworld.expert import dead_end, next_action, plan, steps_left
from agentgym_hindsight.envs.alfworld.gamefile import read_game
from agentgym_hindsight.envs.alfworld.house import State
from agentgym_hindsight.envs.alfworld.houses import DIFFICULTIES, embedded_scene
from agentgym_hindsight.envs.alfworld.native import House, Play
from agentgym_hindsight.envs.alfworld.scene import TASK_TYPES, Goal, Scene, Thing
from tests.envs.alfworld.scenes import kitchen, locate, place, thing


def take_random_steps(play: Play, steps: int, seed: int) -> Play:
    rng = random.Random(seed)
    for _ in range(steps):
        play.step(rng.choice(play.admissible))
    return play


def follow(play: Play) -> int:
    """Win with the expert's commands. Each must be legal and reduce the steps left by at least one."""
    steps, steps_before = 0, steps_left(play)
    while not play.won:
        command = next_action(play)
        assert command in play.admissible
        play.step(command)
        steps += 1
        steps_after = steps_left(play)
        assert steps_before is not None
        assert steps_after is not None
        assert steps_after < steps_before
        steps_before = steps_after
    return steps


def wins_from_any_state(scene: Scene, seed: int) -> int:
    """Win a game from its start and after random steps; return how many of the states were lost."""
    house = House(scene)
    play = Play(house)
    way = plan(play)
    for command in way:
        assert not play.won
        assert command in play.admissible
        play.step(command)
    assert play.won
    assert follow(Play(house)) <= len(way)
    lost = 0
    for steps in (5, 15, 30, 60):
        play = take_random_steps(Play(house), steps, seed + steps)
        end = dead_end(play)
        if end is None:
            follow(play)
        else:
            lost += 1
            # Only a trap in the hands makes a game unwinnable: no command can put it down.
            assert end.reason.startswith("The hands hold")
            assert end.reason.endswith("which no receptacle of this house accepts.")
            assert next_action(play) is None
            assert plan(play) == ()
            assert steps_left(play) is None
            held = play.state().held
            assert not any(mask >> held & 1 for mask in play.house.accepts)
    return lost


@pytest.mark.parametrize("level", sorted(DIFFICULTIES))
def test_it_wins_generated_games_from_any_state(level: str) -> None:
    lost = sum(wins_from_any_state(embedded_scene("valid_seen", index, level), index) for index in range(60))
    assert lost < 12


@pytest.mark.slow
def test_it_wins_official_games_from_any_state(alfworld_games: list[Path]) -> None:
    scenes = [read_game(path) for path in alfworld_games]
    lost = sum(wins_from_any_state(scene, number) for number, scene in enumerate(scenes))
    assert lost < 0.02 * 4 * len(scenes)
    # The official walkthroughs come from a planner; the expert's plans may be slightly longer.
    ours = sum(len(plan(Play(House(scene)))) for scene in scenes)
    assert ours <= 1.01 * sum(len(scene.walkthrough) for scene in scenes)


def search(house: House) -> dict[State, int | None]:
    """All reachable states with their distance to the nearest win, by exhaustive search."""
    start = Play(house).state()
    came_from: dict[State, set[State]] = {start: set()}
    wins: list[State] = []
    queue = deque([start])
    while queue:
        state = queue.popleft()
        play = Play(house)
        play.restore((state, "", True, False))
        if play.won:
            wins.append(state)
        snapshot = play.snapshot()
        for command in play.admissible:
            play.step(command)
            if play.changed:
                after = play.state()
                if after not in came_from:
                    came_from[after] = set()
                    queue.append(after)
                came_from[after].add(state)
                play.restore(snapshot)
    distance: dict[State, int | None] = dict.fromkeys(came_from)
    distance.update(dict.fromkeys(wins, 0))
    queue = deque(wins)
    while queue:
        state = queue.popleft()
        for before in came_from[state]:
            if distance[before] is None:
                distance[before] = (distance[state] or 0) + 1
                queue.append(before)
    return distance


def tiny_house(seed: int) -> Scene:
    """A random house of a few receptacles and things. Over all seeds every kind of problem occurs.

    Traps, doors, shared locations, missing stations, receptacles that accept nothing, things in two receptacles or in
    none, things that cannot be taken or changed although others of their type can, and lamps that are switched on,
    portable or in no receptacle.
    """
    rng = random.Random(seed)
    task = TASK_TYPES[seed % len(TASK_TYPES)]
    goal = Goal(task, "Mug", lamp="DeskLamp") if task == "look_at_obj_in_light" else Goal(task, "Mug", "Shelf")
    station = {"clean": "SinkBasin", "heat": "Microwave", "cool": "Fridge"}.get(task.split("_")[1], "Bed")
    kinds = [kind for kind in ("Shelf", "Shelf", "Drawer", station) if rng.random() < 0.8] or ["Drawer"]
    receptacles = tuple(
        place(kind, number, rng.randint(1, 3), openable=rng.random() < 0.4) for number, kind in enumerate(kinds)
    )
    spots = {r.id: int(r.location[-1]) for r in receptacles}
    things: list[Thing] = []
    able = rng.random() < 0.9
    for number, kind in enumerate(rng.choices(("Mug", "Mug", "Mug", "Statue", "TeddyBear"), k=rng.randint(1, 3))):
        inside = tuple(sorted(rng.sample(sorted(spots), min(len(spots), rng.choice((0, 1, 1, 1, 1, 1, 2))))))
        things.append(
            thing(
                kind,
                number,
                inside,
                spots[inside[0]] if inside else None,
                pickupable=rng.random() < 0.9,
                cleanable=able,
                heatable=able,
                coolable=able,
                cool=rng.random() < 0.2,
                hot=rng.random() < 0.1,
            )
        )
    if task == "look_at_obj_in_light" and rng.random() < 0.9:
        inside = tuple(rng.sample(sorted(spots), 1)) if rng.random() < 0.9 else ()
        where = spots[inside[0]] if inside else 3
        lit, loose = rng.random() < 0.3, rng.random() < 0.3
        lamp = thing("DeskLamp", 9, inside, where, pickupable=loose, toggleable=True, toggled=lit)
        things.append(lamp)
    accepted = frozenset(
        (kind, held)
        for kind in set(kinds)
        for held in ("Mug", "Statue", "DeskLamp")
        if rng.random() < 0.75 and kind != "Bed"
    )
    locations = tuple(locate(number) for number in range(4))
    return Scene("tiny", receptacles, tuple(things), locations, locate(0), accepted, goal, "put a mug in shelf.")


def check_against_search(seeds: range) -> tuple[int, int]:
    states = lost = 0
    for seed in seeds:
        house = House(tiny_house(seed))
        for state, distance in search(house).items():
            play = Play(house)
            play.restore((state, "", True, False))
            end, steps = dead_end(play), steps_left(play)
            states += 1
            lost += distance is None
            assert (end is None) == (distance is not None), (seed, state, end, distance)
            if distance is None:
                assert end is not None
                assert end.reason
                assert steps is None
            else:
                assert steps is not None
                assert distance <= steps <= distance + 4, (seed, state)
                if steps:
                    command = next_action(play)
                    assert command in play.admissible
                    play.step(command)
                    after = steps_left(play)
                    assert after is not None
                    assert after < steps
    return states, lost


@pytest.mark.slow
def test_dead_ends_are_exactly_those_of_a_full_search() -> None:
    states, lost = check_against_search(range(48))
    assert states > 5_000
    assert 0.1 < lost / states < 0.9


@pytest.mark.slow
def test_dead_ends_are_exactly_those_of_a_full_search_in_many_houses() -> None:
    check_against_search(range(48, 240))


def test_reasons_of_dead_ends() -> None:
    def reason(scene: Scene) -> str:
        end = dead_end(Play(House(scene)))
        assert end is not None
        return end.reason

    base = kitchen(goal=Goal("pick_and_place_simple", "Bowl", "Shelf"))
    assert dead_end(Play(House(base))) is None
    assert reason(base._replace(goal=Goal("pick_and_place_simple", "Bowl", "Sofa"))) == "This house has no sofa."
    assert reason(base._replace(can_contain=frozenset())) == "No shelf of this house accepts a bowl."
    assert "Nothing in this house can heat a mug" in reason(
        base._replace(
            goal=Goal("pick_heat_then_place_in_recep", "Mug", "CounterTop"),
            receptacles=tuple(r for r in base.receptacles if r.type != "Microwave"),
            things=tuple(t for t in base.things if not any("Microwave" in r for r in t.inside)),
        )
    )
    assert reason(base._replace(goal=Goal("pick_two_obj_and_place", "Lettuce", "Shelf"))) == (
        "Fewer than two things of type lettuce can be brought to one shelf."
    )
    assert reason(base._replace(goal=Goal("look_at_obj_in_light", "Bowl", lamp="FloorLamp"))) == (
        "No receptacle of this house holds a floorlamp that can be switched on."
    )
    assert reason(base._replace(goal=Goal("pick_and_place_simple", "Spoon", "Shelf"))) == (
        "No shelf of this house accepts a spoon."
    )
    play = Play(House(base))
    assert next_action(play) is not None
    for command in ("go to shelf 1", "take teddybear 1 from shelf 1"):
        play.step(command)
    end = dead_end(play)
    assert end is not None
    assert end.reason == "The hands hold teddybear 1, which no receptacle of this house accepts."


def test_a_held_thing_can_win_in_its_second_receptacle() -> None:
    # The pan is hot in the hands and still on the desk, its second receptacle: this solves the task.
    scene = kitchen(goal=Goal("pick_heat_then_place_in_recep", "Pan", "Desk"))
    both = ("CounterTop_bar__plus_01", "Desk_bar__plus_01")
    pan = thing("Pan", 7, both, 1, heatable=True, is_receptacle=True)
    scene = scene._replace(things=(*(t for t in scene.things if t.type != "Pan"), pan))
    play = Play(House(scene))
    follow(play)
    assert play.won
    assert ("holds", "agent1", pan.id) in play.facts()


def test_a_plan_uses_the_doors_that_it_has_opened() -> None:
    # The mug goes back into its own cabinet, which is open by then; the other cabinet is closed.
    scene = kitchen(
        thing("Mug", 9, "Cabinet_bar__plus_02", 7), goal=Goal("pick_heat_then_place_in_recep", "Mug", "Cabinet")
    )
    things = tuple(
        t._replace(location=locate(7), heatable=True) if t.id == "Mug_bar__plus_09" else t
        for t in scene.things
        if t.id != "Mug_bar__plus_01"
    )
    places = tuple(r._replace(location=locate(7)) if r.id == "Cabinet_bar__plus_02" else r for r in scene.receptacles)
    play = Play(House(scene._replace(things=things, receptacles=places)))
    way = plan(play)
    assert sum(command.startswith("open") for command in way) == 1
    assert len(way) == steps_left(play) == follow(play)


def test_it_uses_the_older_dialect() -> None:
    scene = kitchen(goal=Goal("pick_and_place_simple", "Bowl", "Shelf"), dialect="0.3")
    play = Play(House(scene))
    assert plan(play)[-1] == "put bowl 1 in/on shelf 1"
    follow(play)


def test_there_is_no_next_action_after_the_win() -> None:
    play = Play(House(embedded_scene("train", 0, "easy")))
    follow(play)
    assert next_action(play) is None
    assert plan(play) == ()
    assert steps_left(play) == 0
    assert dead_end(play) is None
