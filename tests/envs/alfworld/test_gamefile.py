"""Reading game files, and the error messages for damaged ones."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import random
import re
from pathlib import Path

import pytest

from agentgym_hindsight.envs.alfworld.gamefile import _DECLARED, parse_game, read_game
from agentgym_hindsight.envs.alfworld.gamewriter import scene_to_game
from agentgym_hindsight.envs.alfworld.library import FileLibrary, compiled_file
from agentgym_hindsight.envs.alfworld.rulebook import split_task
from agentgym_hindsight.envs.alfworld.scene import TASK_TYPES, Goal, Receptacle, Scene
from agentgym_hindsight.errors import DamagedDataError, DataError, MissingDataError, UsageError
from tests.envs.alfworld.scenes import kitchen, locate, thing


def text_of(scene: Scene, **changes: object) -> str:
    return json.dumps({**scene_to_game(scene), **changes})


def same(left: Scene, right: Scene) -> bool:
    """Equal, except for the order in the lists of a file."""
    return all(
        set(first_value) == set(second_value)
        if field in ("receptacles", "things", "locations")
        else first_value == second_value
        for field, first_value, second_value in zip(left._fields, left, right, strict=True)
    )


def test_reads_back_what_was_written() -> None:
    scene = kitchen(
        thing("Mug", 2, ("CounterTop_bar__plus_01", "Shelf_bar__plus_01"), 1, also_at=("loc_bar_5",)),
        thing("Apple", 2, "Shelf_bar__plus_01", 5, clean=True, hot=True, cool=True, sliced=True, toggled=True),
    )
    used = {place.location for place in scene.receptacles} | {scene.start}
    scene = scene._replace(locations=tuple(place for place in scene.locations if place in used), walkthrough=("look",))
    assert same(parse_game(text_of(scene)), scene)


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_reads_every_goal(task_type: str) -> None:
    lit = task_type == "look_at_obj_in_light"
    goal = Goal(task_type, "Apple", "" if lit else "Fridge", "DeskLamp" if lit else "")
    assert parse_game(text_of(kitchen(goal=goal))).goal == goal


def test_reads_the_older_dialect() -> None:
    game = scene_to_game(kitchen())
    assert parse_game(json.dumps({**game, **older(game)})).dialect == "0.3"


def older(game: dict[str, str]) -> dict[str, str]:
    """Our own rules, changed to those of ALFWorld 0.3."""
    grammar, domain = game["grammar"], game["pddl_domain"]
    for new, old in (
        ("move {o} to {r}", "put {o} in/on {r}"),
        ("You arrive at {r.name}", "You arrive at {lend.name}"),
        ("You move the {o.name} to the {r.name}.", "You put the {o.name} in/on the {r.name}."),
    ):
        assert new in grammar
        grammar = grammar.replace(new, old)
    start = domain.index("(:action help")
    return {"grammar": grammar, "pddl_domain": domain[:start] + domain[domain.index("(:action examineRec") :]}


def test_mixed_releases_are_refused() -> None:
    game = scene_to_game(kitchen())
    with pytest.raises(DamagedDataError, match=r"some of its texts are from ALFWorld 0\.3"):
        parse_game(json.dumps({**game, "grammar": older(game)["grammar"]}))
    with pytest.raises(DamagedDataError, match=r"some of its texts are from ALFWorld 0\.4, other rules from 0\.3"):
        parse_game(json.dumps({**game, "pddl_domain": older(game)["pddl_domain"]}))


def test_comments_and_blanks_in_the_rules_do_not_matter() -> None:
    game = scene_to_game(kitchen())
    domain = "; ours\n" + game["pddl_domain"].replace("(:action", "; (:action dance)\n  ( :ACTION  ")
    grammar = "# ours\n" + game["grammar"].replace("\n", "\n\n").replace(";\n", " ; # so\n")
    assert same(parse_game(json.dumps({**game, "pddl_domain": domain})), parse_game(json.dumps(game)))
    parts = grammar.split('feedback :: "Available')  # the help text is a text, so its blank lines are significant
    grammar = parts[0] + 'feedback :: "Available' + game["grammar"].split('feedback :: "Available')[1]
    assert same(parse_game(json.dumps({**game, "grammar": grammar})), parse_game(json.dumps(game)))


@pytest.mark.parametrize(
    ("key", "old", "new", "difference"),
    [
        ("grammar", "You pick up the", "You grab the", "the text PickupObject.feedback is not"),
        ("grammar", "use {o}", "switch {o}", "the template of toggleobject is not"),
        ("grammar", '", and "', '" and "', "the text list_last_separator is not"),
        ("grammar", "action look {", "action gaze {", "it has no entry for the action look"),
        ("grammar", '"CloseObject.feedback": ', '"Close.feedback": ', "it lacks the text CloseObject.feedback"),
        ("grammar", "grammar :: ", "grammar = ", "cannot be read from '= "),
        ("grammar", "Your task is to: ", "Your task is to: {o.name} ", "a '{', which the grammar reads as code"),
        ("grammar", '"intro": [', '"intro": [{"rhs": "Hello."}, ', "the text intro is not"),
        ("pddl_domain", "(not (holdsAny ?a)) (atLocation", "(atLocation", "the action pickupobject is not"),
        ("pddl_domain", "(:action help", "(:action dance", "it has the action dance, which"),
        ("pddl_domain", "(:action look", "(:derived (seen ?x) (checked ?x)) (:action look", "section ':derived'"),
        ("pddl_domain", "(:action look", "(:action help) (:action look", "twice"),
        ("pddl_domain", "(define (domain", "(domain (domain", "not a complete PDDL domain"),
    ],
)
def test_other_rules_are_refused(key: str, old: str, new: str, difference: str) -> None:
    game = scene_to_game(kitchen())
    assert old in game[key]
    with pytest.raises(DamagedDataError, match="got other rules") as caught:
        parse_game(json.dumps({**game, key: game[key].replace(old, new)}), "house/game.tw-pddl")
    for part in ("house/game.tw-pddl", key, difference, "genuine engine"):
        assert part in str(caught.value)


def test_a_sink_is_refused_if_the_rules_do_not_clean_with_it() -> None:
    sink = Receptacle("Sink_bar__plus_09", "Sink", locate(4))
    with pytest.raises(DamagedDataError, match="does not clean at a Sink"):
        parse_game(text_of(kitchen(more=(sink,))))


@pytest.mark.genuine
def test_the_rules_of_the_alfworld_package_are_known(alfworld_games: list[Path]) -> None:
    spec = importlib.util.find_spec("alfworld")
    if spec is None or spec.origin is None:
        pytest.skip("needs the package alfworld")
    data = Path(spec.origin).parent / "data"
    given = json.loads(alfworld_games[0].read_text(encoding="utf-8"))
    packaged = {
        "pddl_domain": (data / "alfred.pddl").read_text(encoding="utf-8"),
        "grammar": (data / "alfred.twl2").read_text(encoding="utf-8"),
    }
    assert parse_game(json.dumps({**given, **packaged})).dialect == "0.4"


def test_case_of_ids_does_not_matter() -> None:
    game = scene_to_game(kitchen())
    head, init = game["pddl_problem"].split("(:init")
    again = parse_game(json.dumps({**game, "pddl_problem": head + "(:init" + init.lower()}))
    assert same(again, parse_game(json.dumps(game)))


def test_an_id_without_a_fact_is_ignored() -> None:
    game = scene_to_game(kitchen())
    problem = game["pddl_problem"].replace("(:objects", "(:objects\n Spoon_bar_1 - object")
    assert same(parse_game(json.dumps({**game, "pddl_problem": problem})), parse_game(json.dumps(game)))


def test_comments_and_costs_are_ignored() -> None:
    game = scene_to_game(kitchen())
    problem = game["pddl_problem"].replace("(:init", "(:init ; (opened nowhere)\n (= (total-cost) 0)")
    assert same(parse_game(json.dumps({**game, "pddl_problem": problem})), parse_game(json.dumps(game)))


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ("(:goal", "(:aim", r"no section '\(:goal'"),
        ("(:init", "(:start", r"no section '\(:init'"),
        (
            "(inReceptacle Apple_bar__plus_01",
            "(inReceptacle Pear_bar__plus_01",
            "'pear_bar__plus_01' is not declared as an",
        ),
        ("(openable Fridge_bar__plus_01)", "(openable Apple_bar__plus_01)", "not declared as a receptacle"),
        (
            "(pickupable Apple_bar__plus_01)",
            "(holds agent1 Apple_bar__plus_01)",
            "'holds' is not allowed in the initial",
        ),
        ("(exists (?o - object)", "(forall (?o - object)", "none of the six known forms"),
        ("(receptacleType Desk_bar__plus_01 DeskType)", "", "expected one fact, found 0"),
        ("agent1 - agent", "agent1 - agent agent2 - agent", "expected one agent, found 2"),
        ("agent1 - agent", "agent1 - agent AGENT1 - agent", "declared twice"),
    ],
)
def test_damaged_problem(old: str, new: str, cause: str) -> None:
    game = scene_to_game(kitchen())
    assert old in game["pddl_problem"]
    text = json.dumps({**game, "pddl_problem": game["pddl_problem"].replace(old, new)})
    with pytest.raises(DamagedDataError, match=cause) as caught:
        parse_game(text, "house/game.tw-pddl")
    assert "house/game.tw-pddl" in str(caught.value)
    assert "pass another file" in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_a_file_cut_off_anywhere(share: float) -> None:
    text = text_of(kitchen())
    with pytest.raises(DamagedDataError, match=r"empty|not complete JSON"):
        parse_game(text[: int(len(text) * share)])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_pddl_cut_off_anywhere(share: float) -> None:
    game = scene_to_game(kitchen())
    problem = game["pddl_problem"].rstrip()
    with pytest.raises(DamagedDataError, match="cut off"):
        parse_game(json.dumps({**game, "pddl_problem": problem[: int(len(problem) * share)]}))


@pytest.mark.parametrize("key", ["pddl_domain", "grammar", "pddl_problem"])
def test_missing_key(key: str) -> None:
    game = scene_to_game(kitchen())
    del game[key]
    with pytest.raises(DamagedDataError, match=rf"key '{key}'.*no such key"):
        parse_game(json.dumps(game))
    with pytest.raises(DamagedDataError, match=rf"key '{key}'.*NoneType"):
        parse_game(json.dumps({**game, key: None}))


@pytest.mark.parametrize("grammar", ["", "grammar :: ...", 'action x { template :: "lay {o} on {r}"; }', "{", '"'])
def test_unknown_grammar(grammar: str) -> None:
    with pytest.raises(DamagedDataError, match="got other rules"):
        parse_game(text_of(kitchen(), grammar=grammar + ' "Your task is to: win."'))


def test_a_grammar_without_a_task() -> None:
    grammar = scene_to_game(kitchen())["grammar"].replace("Your task is to: ", "Do this: ")
    with pytest.raises(DamagedDataError, match="contains no task"):
        parse_game(text_of(kitchen(), grammar=grammar))


def test_json_that_is_not_an_object() -> None:
    with pytest.raises(DamagedDataError, match="got list"):
        parse_game("[]")


def test_walkthrough_of_another_type() -> None:
    with pytest.raises(DamagedDataError, match="walkthrough"):
        parse_game(text_of(kitchen(), walkthrough=[1, 2]))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no file at .*game\.tw-pddl"):
        read_game(tmp_path / "game.tw-pddl")


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(DamagedDataError, match="readable game file"):
        read_game(tmp_path)


def test_impossible_paths(tmp_path: Path) -> None:
    file, loop = tmp_path / "file", tmp_path / "loop"
    file.write_text("x")
    paths = [str(file / "game.tw-pddl"), "a\0b", "x" * 5000]
    with contextlib.suppress(OSError):  # some Windows users may not create links
        loop.symlink_to(loop)
        paths += [str(loop), str(loop / "game.tw-pddl")]
    for path in paths:
        for read in (read_game, FileLibrary().open, compiled_file_of):
            with pytest.raises(DataError, match="game file") as caught:
                read(path)
            assert len(str(caught.value)) < 6000


def compiled_file_of(path: str) -> object:
    return compiled_file(Path(path))


@pytest.mark.parametrize("path", [None, 5, b"game.tw-pddl"])
def test_values_that_are_not_paths(path: object) -> None:
    with pytest.raises(UsageError, match="path of a game file, got"):
        FileLibrary().open(path)  # type: ignore[arg-type]


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    file = tmp_path / "game.tw-pddl"
    file.write_text(text_of(kitchen()), encoding="utf-8-sig")
    assert read_game(file) == parse_game(text_of(kitchen()))


def test_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "game.tw-pddl"
    file.write_bytes(b'{"grammar": "\xff"}')
    with pytest.raises(DamagedDataError, match=r"byte 13.*not UTF-8"):
        read_game(file)


def test_file_and_text_give_the_same_scene(tmp_path: Path) -> None:
    file = tmp_path / "game.tw-pddl"
    file.write_text(text_of(kitchen()), encoding="utf-8")
    assert read_game(str(file)) == parse_game(text_of(kitchen()))


def test_declarations_are_found_as_by_the_plain_pattern() -> None:
    """The plain pattern takes 15 seconds for a name of 30,000 characters."""
    plain = re.compile(r"([^\s()]+)\s+-\s+([^\s()]+)")
    draw = random.Random(0)
    for _ in range(20_000):
        text = "".join(draw.choice(" -ab()\n") for _ in range(draw.randrange(14)))
        assert _DECLARED.findall(text) == plain.findall(text), text


def test_the_task_is_found_as_by_the_plain_pattern() -> None:
    plain = re.compile(r'"Your task is to: ((?:[^"\\]|\\.)*)"')
    draw = random.Random(0)
    pieces = ('"Your task is to: ', '"', "\\", '\\"', "\n", "a", "\\n", " ")
    for _ in range(20_000):
        grammar = "".join(draw.choice(pieces) for _ in range(draw.randrange(10)))
        match, split = plain.search(grammar), split_task(grammar)
        if split is not None:
            assert match is not None
            assert split == (
                json.loads(f'"{match[1]}"', strict=False),
                grammar[: match.start(1)] + grammar[match.end(1) :],
            )
        elif match is not None:  # an escape that JSON does not have
            with pytest.raises(ValueError, match="escape"):
                json.loads(f'"{match[1]}"', strict=False)


def test_an_escape_that_json_does_not_have() -> None:
    grammar = scene_to_game(kitchen())["grammar"].replace("Your task is to: ", "Your task is to: \\q ")
    with pytest.raises(DamagedDataError, match="contains no task"):
        parse_game(text_of(kitchen(), grammar=grammar))


@pytest.mark.parametrize("key", ["grammar", "extra"])
def test_a_number_of_thousands_of_digits(key: str) -> None:
    text = text_of(kitchen())
    with pytest.raises(DamagedDataError):
        parse_game(f'{{"{key}": {"9" * 10_000}, {text[1:]}')
