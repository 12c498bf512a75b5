"""Task templates: reference solutions pass the checks, and wrong solutions fail the expected ones."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator

import pytest

from agentgym_hindsight.envs.appworld.miniature import SCHEMA
from agentgym_hindsight.envs.appworld.miniature.checks import judge
from agentgym_hindsight.envs.appworld.miniature.examination import NOTHING, Examined, examine, table
from agentgym_hindsight.envs.appworld.miniature.goals import NO_ANSWER
from agentgym_hindsight.envs.appworld.miniature.playing import play
from agentgym_hindsight.envs.appworld.miniature.tasks import PER_TEMPLATE, SPLITS, Made, by_name, make, templates
from agentgym_hindsight.envs.appworld.miniature.templates.base import Draws, Job, Template, template
from agentgym_hindsight.envs.appworld.miniature.templates.common import replaced
from agentgym_hindsight.envs.appworld.miniature.world import World
from agentgym_hindsight.errors import UnknownNameError, UsageError

COMPLETED = "The task is completed with status success."
ANSWERED = "The answer is right."
UNDAMAGED = "Nothing else has changed in any app."
Task = tuple[str, Made, World]


@pytest.fixture(scope="module")
def tasks() -> Iterator[list[Task]]:
    """The first three tasks of every template: a name for messages, the task, its world."""
    made = [make(each.name, number) for each in templates() for number in range(3)]
    loaded = [(f"{each.template.name} {each.number}", each, World.load(each.frozen)) for each in made]
    yield loaded
    for name, _, world in loaded:
        assert not world.bugs, name
        world.close()


def test_reference_solutions_pass(tasks: list[Task]) -> None:
    for name, made, world in tasks:
        ending = play(world, made, made.job.solution)
        assert ending.error is None, name
        assert ending.verdict.failures == (), name
        assert ending.verdict.won, name
        assert ending.completed == "success", name


def test_wrong_solutions_complete_the_task_and_fail_the_named_check(tasks: list[Task]) -> None:
    for name, made, world in tasks:
        assert len(made.job.wrong) >= 3, name
        for kind, turns in made.job.wrong.items():
            ending = play(world, made, turns)
            assert ending.error is None, (name, kind)
            assert ending.completed == "success", (name, kind)
            failures = ending.verdict.failures
            assert failures, (name, kind)
            if "collateral" in kind:
                assert failures == (UNDAMAGED,), (name, kind)
            elif "answer" in kind:
                assert failures == (ANSWERED,), (name, kind)


def test_doing_nothing_and_not_completing_fail(tasks: list[Task]) -> None:
    for name, made, world in tasks:
        nothing = play(world, made, NOTHING)
        assert nothing.completed == "success", name
        assert nothing.verdict.failures, name
        assert UNDAMAGED in nothing.verdict.passes, name
        *work, last = made.job.solution
        assert last.startswith("apis.supervisor.complete_task("), name
        asks = made.job.goal.answer is not NO_ANSWER
        assert play(world, made, work).verdict.failures == ((COMPLETED, ANSWERED) if asks else (COMPLETED,)), name


def test_status_fail_fails_even_if_everything_is_done(tasks: list[Task]) -> None:
    for name, made, world in tasks:
        turns = replaced(made.job.solution, "complete_task(", "complete_task(status='fail', ")
        assert play(world, made, turns).verdict.failures == (COMPLETED,), name


def test_a_world_belongs_to_one_split(tasks: list[Task]) -> None:
    for name, made, world in tasks:
        assert world.seed // 1000 == SPLITS.index(made.template.split), name


def test_instructions_are_sentences_and_solutions_are_short(tasks: list[Task]) -> None:
    for name, made, _ in tasks:
        instruction, solution = made.job.instruction, made.job.solution
        assert instruction[0].isupper(), instruction
        assert instruction[-1] in '.?!"”:' or re.search(r": .+$", instruction), instruction
        assert not re.search(r"[{}<>\n]|\bNone\b|_id\b|  |\bids?\b", instruction), instruction
        assert len(instruction) <= 400, name
        assert 2 <= len(solution) <= 6, name
        assert sum(turn.count("complete_task(") for turn in solution) == 1, name
        assert "complete_task(" in solution[-1], name


def test_solutions_contain_no_fact_that_the_instruction_does_not_give(tasks: list[Task]) -> None:
    for name, made, world in tasks:
        code, instruction = "\n".join(made.job.solution), made.job.instruction
        assert not re.search(r"_id\s*=\s*\d", code), code
        for person in world.rows("system_people"):
            for secret in (person["email"], person["phone_number"]):
                assert secret not in code or secret in instruction, name
        for row in world.rows("supervisor_passwords"):
            assert row["password"] not in code, name
        right = made.job.goal.answer
        if isinstance(right, (str, float)):
            assert str(right) not in code or str(right) in instruction, name


def test_a_task_made_twice_is_the_same() -> None:
    for name in (each.name for each in templates()):
        made, again = make(name, 1), make.__wrapped__(name, 1)
        world, twin = World.load(made.frozen), World.load(again.frozen)
        assert (again.id, again.job.instruction, again.job.solution) == (
            made.id,
            made.job.instruction,
            made.job.solution,
        )
        assert dict(again.job.wrong) == dict(made.job.wrong), name
        assert twin.db.dump() == world.db.dump(), name
        assert twin.instruction == made.job.instruction, name
        world.close()
        twin.close()


_ALSO_READS = (
    "apis.mail.mark_email_read(access_token=mail_token, email_id=email['email_id'])\n        apis.mail.star_email("
)
_OFF_AND_ON = """
alarms = apis.phone.show_alarms(access_token=phone_token, page_limit=20)
newest = max(alarm["alarm_id"] for alarm in alarms)
apis.phone.update_alarm(access_token=phone_token, alarm_id=newest, enabled=False)
apis.phone.update_alarm(access_token=phone_token, alarm_id=newest, enabled=True)
apis.supervisor.complete_task()
"""
_SWAP_TAGS = """
for note in notes:
    apis.notes.remove_tag(access_token=notes_token, note_id=note['note_id'], tag=OLD)
    if NEW not in note['tags']:
        apis.notes.add_tag(access_token=notes_token, note_id=note['note_id'], tag=NEW)
"""


def test_other_correct_solutions_pass() -> None:
    for name, old, new in (
        ("count_tagged", "answer=count", "answer=str(count)"),
        ("sum_minutes", "answer=total", "answer=float(total)"),
        ("star_mail_of_person", "apis.mail.star_email(", _ALSO_READS),
        (
            "write_note",
            "apis.notes.create_note(",
            "apis.notes.show_tags(access_token=notes_token)\napis.notes.create_note(",
        ),
        ("set_alarm", "apis.supervisor.complete_task()", _OFF_AND_ON),
        ("answer_with_note", "body=note['content']", "reply_all=True, body=note['content'] + '\\n'"),
    ):
        for number in range(3):
            made = make(name, number)
            world = World.load(made.frozen)
            ending = play(world, made, replaced(made.job.solution, old, new))
            assert (ending.error, ending.verdict.failures) == (None, ()), (name, number)
            world.close()


def test_tags_can_be_replaced_one_by_one() -> None:
    made = make("rename_tag", 0)
    quoted = re.findall(r"'(.*?)'", made.job.instruction)
    begin, look, _, end = made.job.solution
    swap = _SWAP_TAGS.replace("OLD", repr(quoted[0])).replace("NEW", repr(quoted[1]))
    world = World.load(made.frozen)
    assert play(world, made, (begin, look, swap, end)).verdict.won
    world.close()


def test_damage_in_any_table_is_detected() -> None:
    made = make("set_alarm", 1)
    world = World.load(made.frozen)
    assert play(world, made, made.job.solution).verdict.won
    for name in (name for name, columns in SCHEMA.items() if not columns.system):
        rows = world.rows(name)  # the solution's own changes included
        for change in _damage(world, name, rows):
            assert play(world, made, made.job.solution).verdict.won, name
            change()
            verdict = judge(made.job.goal, world.delta(), world.completed, world.answer)
            assert verdict.failures == (UNDAMAGED,), name
        assert play(world, made, made.job.solution).verdict.won, name
    world.close()


def _damage(world: World, name: str, rows: list[dict[str, object]]) -> list[Callable[[], object]]:
    """One insertion into a table, and one deletion and one change if the table has rows."""
    blank = {int: 7, str: "x", float: 7.5, bool: True, list: ["x"]}
    columns = SCHEMA[name].types.items()
    more = {column: blank[kind] for column, kind in columns if not (SCHEMA[name].numbered and column == "id")}
    return [
        lambda: world.insert(name, **more),
        *([lambda: world.delete(name, rows[0])] if rows else []),
        *([lambda: world.update(name, rows[0], **_other(rows[0], name))] if rows and _other(rows[0], name) else []),
    ]


def _other(row: dict[str, object], name: str) -> dict[str, object]:
    """Another value for the first column that is not part of the key, or nothing."""
    for column, kind in SCHEMA[name].types.items():
        if column not in SCHEMA[name].key and row[column] is not None:
            value = row[column]
            other = {int: 999, str: f"{value}!", float: 0.125, bool: not value, list: ["other"]}[kind]
            return {column: other}
    return {}


def test_numbers_of_templates_and_tasks() -> None:
    kinds = templates()
    assert len(kinds) >= 30
    assert sum(PER_TEMPLATE[kind.split] for kind in kinds) >= 2000
    assert {kind.split for kind in kinds} == {*SPLITS}
    for split in SPLITS:
        assert {kind.difficulty for kind in templates(split)} == {1, 2, 3}
        assert all(kind.split == split for kind in templates(split))
    assert sum(len(templates(split)) for split in SPLITS) == len({kind.name for kind in kinds}) == len(kinds)
    assert all(kind.build.__doc__ for kind in kinds)


def test_every_template_of_a_module_is_listed() -> None:
    folder = importlib.import_module("agentgym_hindsight.envs.appworld.miniature.templates")
    found = []
    for info in pkgutil.iter_modules(folder.__path__, f"{folder.__name__}."):
        module = importlib.import_module(info.name)
        own = [each for each in vars(module).values() if isinstance(each, Template)]
        assert {each.name for each in own} == {each.name for each in getattr(module, "TEMPLATES", ())}, info.name
        found += own
    assert by_name(found) == {each.name: each for each in templates()}


def test_task_ids_are_stable() -> None:
    made = make("set_alarm", 0)
    assert made.job.instruction == "I need an alarm at 10:30 with the label 'Bus'. It shall ring once."
    assert made.id == "da4c3e0a187a66ed"


def test_unknown_names_and_numbers_are_errors() -> None:
    with pytest.raises(UnknownNameError, match="set_alarm"):
        make("set_alarms", 0)
    for number in (-1, PER_TEMPLATE["train"]):
        with pytest.raises(UsageError, match="Expected a number below 80"):
            make("set_alarm", number)
    with pytest.raises(UnknownNameError):
        templates("valid")
    with pytest.raises(UnknownNameError):
        template("valid", 1)
    with pytest.raises(UsageError, match="difficulty of 1, 2 or 3"):
        template("train", 4)

    def set_alarm(world: World, draws: Draws) -> Job:
        raise NotImplementedError

    with pytest.raises(UsageError, match="got 'set_alarm' twice"):
        by_name([*templates(), template("train", 1)(set_alarm)])


def test_an_exception_in_the_code_is_part_of_the_result() -> None:
    made = make("set_alarm", 0)
    world = World.load(made.frozen)
    ending = play(world, made, ("apis.phone.show_alarms()", "never()"))
    assert ending.error is not None
    assert "401" in str(ending.error)
    assert (ending.completed, ending.verdict.won) == ("", False)
    world.close()


def test_the_table_has_precision_and_recall() -> None:
    kind = next(iter(templates("train")))
    rows = [Examined(kind, 2, 1, 8, 6), Examined(Template("other", "dev", 2, kind.build), 2, 2, 8, 8)]
    lines = table(rows).splitlines()
    assert lines[2] == f"| `{kind.name}` | train | {kind.difficulty} | 2 | 1 | 6 of 8 |"
    assert lines[-3] == "| all 2 | | | 4 | 3 | 14 of 16 |"
    assert lines[-1] == "Precision 0.6000, recall 0.7500."  # 3 of 5 passing solutions are right; 3 of 4 right ones pass


def test_an_examination_includes_doing_nothing() -> None:
    (kind,) = [each for each in templates() if each.name == "set_alarm"]
    wrong = 2 * (1 + len(make("set_alarm", 0).job.wrong))
    assert list(examine([kind], 2)) == [Examined(kind, 2, 2, wrong, wrong)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", templates(), ids=lambda kind: kind.name)
def test_the_checks_separate_all_right_and_wrong_solutions(kind: Template) -> None:
    (row,) = examine([kind])
    assert (row.tasks, row.refused) == (PER_TEMPLATE[kind.split], row.wrong)
    assert row.passed == row.tasks


@pytest.mark.slow
def test_all_tasks_are_different() -> None:
    ids, worlds = set(), set()
    for kind in templates():
        for number in range(PER_TEMPLATE[kind.split]):
            made = make(kind.name, number)
            world = World.load(made.frozen)
            ids.add(made.id)
            worlds.add(world.db.dump())  # the instruction is stored as well
            world.close()
    total = sum(PER_TEMPLATE[kind.split] for kind in templates())
    assert (len(ids), len(worlds)) == (total, total)
