"""Task templates: what should pass their checks passes, what should fail fails, in the way it should."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from agentgym_hindsight.envs.appworld.miniature import SCHEMA
from agentgym_hindsight.envs.appworld.miniature.checks import judge
from agentgym_hindsight.envs.appworld.miniature.examination import NOTHING, Examined, examine, play, table
from agentgym_hindsight.envs.appworld.miniature.goals import NO_ANSWER
from agentgym_hindsight.envs.appworld.miniature.tasks import (
    PER_TEMPLATE,
    SPLITS,
    Draws,
    Job,
    Made,
    Template,
    make,
    template,
    templates,
)
from agentgym_hindsight.envs.appworld.miniature.templates.common import replaced
from agentgym_hindsight.envs.appworld.miniature.world import World
from agentgym_hindsight.errors import UnknownNameError, UsageError

COMPLETED = "The task is completed with status success."
ANSWERED = "The answer is right."
UNDAMAGED = "Nothing else has changed in any app."
ALL = [(each.name, number) for each in templates() for number in range(3)]

Task = tuple[Made, World]


@pytest.fixture(scope="module", params=ALL, ids=lambda case: f"{case[0]}-{case[1]}")
def task(request: pytest.FixtureRequest) -> Iterator[Task]:
    made = make(*request.param)
    world = World.load(made.frozen)
    yield made, world
    assert not world.bugs
    world.close()


def test_the_solution_passes(task: Task) -> None:
    made, world = task
    ending = play(world, made, made.job.solution)
    assert ending.error is None
    assert ending.verdict.failures == ()
    assert ending.verdict.won
    assert ending.completed == "success"


def test_each_wrong_way_ends_and_fails_as_it_says(task: Task) -> None:
    made, world = task
    assert len(made.job.wrong) >= 3
    for name, turns in made.job.wrong.items():
        ending = play(world, made, turns)
        assert ending.error is None, name
        assert ending.completed == "success", name
        failures = ending.verdict.failures
        assert failures, name
        if "collateral" in name:
            assert failures == (UNDAMAGED,), name
        elif "answer" in name:
            assert failures == (ANSWERED,), name


def test_doing_nothing_or_not_ending_fails(task: Task) -> None:
    made, world = task
    nothing = play(world, made, NOTHING)
    assert nothing.completed == "success"
    assert nothing.verdict.failures
    assert UNDAMAGED in nothing.verdict.passes
    *work, last = made.job.solution
    assert last.startswith("apis.supervisor.complete_task(")
    asks = made.job.goal.answer is not NO_ANSWER
    assert play(world, made, work).verdict.failures == ((COMPLETED, ANSWERED) if asks else (COMPLETED,))


def test_giving_up_fails_even_when_all_is_done(task: Task) -> None:
    made, world = task
    ways = replaced(made.job.solution, "complete_task(", "complete_task(status='fail', ")
    assert play(world, made, ways).verdict.failures == (COMPLETED,)


def test_worlds_belong_to_one_split(task: Task) -> None:
    made, world = task
    assert world.seed // 1000 == SPLITS.index(made.template.split)


def test_instructions_are_english_and_solutions_short(task: Task) -> None:
    made, _ = task
    said, solution = made.job.instruction, made.job.solution
    assert said[0].isupper()
    assert said[-1] in '.?!"”:' or re.search(r": .+$", said), said
    assert not re.search(r"[{}<>\n]|\bNone\b|_id\b|  |\bids?\b", said), said
    assert len(said) <= 400
    assert 2 <= len(solution) <= 6
    assert sum(turn.count("complete_task(") for turn in solution) == 1
    assert "complete_task(" in solution[-1]


def test_solutions_find_out_what_the_instruction_does_not_say(task: Task) -> None:
    made, world = task
    code, said = "\n".join(made.job.solution), made.job.instruction
    assert not re.search(r"_id\s*=\s*\d", code), code
    for person in world.rows("system_people"):
        for secret in (person["email"], person["phone_number"]):
            assert secret not in code or secret in said
    for row in world.rows("supervisor_passwords"):
        assert row["password"] not in code
    right = made.job.goal.answer
    if isinstance(right, (str, float)):
        assert str(right) not in code or str(right) in said


@pytest.mark.parametrize("name", [each.name for each in templates()])
def test_a_task_made_twice_is_the_same(name: str) -> None:
    made, again = make(name, 1), make.__wrapped__(name, 1)
    world = World.load(made.frozen)
    assert (again.id, again.job.instruction, again.job.solution) == (made.id, made.job.instruction, made.job.solution)
    assert dict(again.job.wrong) == dict(made.job.wrong)
    twin = World.load(again.frozen)
    assert twin.db.dump() == world.db.dump()
    assert twin.instruction == made.job.instruction
    world.close()
    twin.close()


_ALSO_READS = (
    "apis.mail.mark_email_read(access_token=mail_token, email_id=email['email_id'])\n        apis.mail.star_email("
)
_SECOND_THOUGHTS = """
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


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("count_tagged", "answer=count", "answer=str(count)"),
        ("sum_minutes", "answer=total", "answer=float(total)"),
        ("star_mail_of_person", "apis.mail.star_email(", _ALSO_READS),
        (
            "write_note",
            "apis.notes.create_note(",
            "apis.notes.show_tags(access_token=notes_token)\napis.notes.create_note(",
        ),
        ("set_alarm", "apis.supervisor.complete_task()", _SECOND_THOUGHTS),
        ("answer_with_note", "body=note['content']", "reply_all=True, body=note['content'] + '\\n'"),
    ],
)
def test_other_honest_ways_pass(name: str, old: str, new: str, number: int) -> None:
    made = make(name, number)
    world = World.load(made.frozen)
    ending = play(world, made, replaced(made.job.solution, old, new))
    assert (ending.error, ending.verdict.failures) == (None, ())
    world.close()


def test_tags_swapped_one_by_one_are_as_good() -> None:
    made = make("rename_tag", 0)
    quoted = re.findall(r"'(.*?)'", made.job.instruction)
    begin, look, _, end = made.job.solution
    swap = _SWAP_TAGS.replace("OLD", repr(quoted[0])).replace("NEW", repr(quoted[1]))
    world = World.load(made.frozen)
    assert play(world, made, (begin, look, swap, end)).verdict.won
    world.close()


@pytest.mark.parametrize("name", [name for name, columns in SCHEMA.items() if not columns.system])
def test_no_table_can_be_damaged_unseen(name: str) -> None:
    made = make("set_alarm", 1)
    world = World.load(made.frozen)
    assert play(world, made, made.job.solution).verdict.won
    rows = world.rows(name)
    blank = {int: 7, str: "x", float: 7.5, bool: True, list: ["x"]}
    columns = SCHEMA[name].types.items()
    more = {column: blank[kind] for column, kind in columns if not (SCHEMA[name].numbered and column == "id")}
    changes: list[Callable[[], object]] = [
        lambda: world.insert(name, **more),
        *([lambda: world.delete(name, rows[0])] if rows else []),
        *([lambda: world.update(name, rows[0], **_other(rows[0], name))] if rows and _other(rows[0], name) else []),
    ]
    for change in changes:
        assert play(world, made, made.job.solution).verdict.won
        change()
        verdict = judge(made.job.goal, world.delta(), world.completed, world.answer)
        assert verdict.failures == (UNDAMAGED,)
    world.close()


def _other(row: dict[str, object], name: str) -> dict[str, object]:
    """Another value for a column that is no key, if there is one."""
    for column, kind in SCHEMA[name].types.items():
        if column not in SCHEMA[name].key and row[column] is not None:
            value = row[column]
            other = {int: 999, str: f"{value}!", float: 0.125, bool: not value, list: ["other"]}[kind]
            return {column: other}
    return {}


def test_there_is_enough_of_everything() -> None:
    kinds = templates()
    assert len(kinds) >= 30
    assert sum(PER_TEMPLATE[kind.split] for kind in kinds) >= 2000
    assert {kind.split for kind in kinds} == {*SPLITS}
    for split in SPLITS:
        assert {kind.difficulty for kind in templates(split)} == {1, 2, 3}
        assert all(kind.split == split for kind in templates(split))
    assert sum(len(templates(split)) for split in SPLITS) == len({kind.name for kind in kinds}) == len(kinds)
    assert all(kind.build.__doc__ for kind in kinds)


def test_tasks_keep_their_names() -> None:
    made = make("set_alarm", 0)
    assert made.job.instruction == "I need an alarm at 10:30 with the label 'Bus'. It shall ring once."
    assert made.id == "da4c3e0a187a66ed"


def test_what_there_is_not_is_refused() -> None:
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

    with pytest.raises(UsageError, match="twice"):
        template("train", 1)(set_alarm)


def test_code_that_fails_is_a_result() -> None:
    made = make("set_alarm", 0)
    world = World.load(made.frozen)
    ending = play(world, made, ("apis.phone.show_alarms()", "never()"))
    assert ending.error is not None
    assert "401" in str(ending.error)
    assert (ending.completed, ending.verdict.won) == ("", False)
    world.close()


def test_the_table_tells_precision_and_recall() -> None:
    kind = next(iter(templates("train")))
    rows = [Examined(kind, 2, 1, 8, 6), Examined(Template("other", "dev", 2, kind.build), 2, 2, 8, 8)]
    lines = table(rows).splitlines()
    assert lines[2] == f"| `{kind.name}` | train | {kind.difficulty} | 2 | 1 | 6 of 8 |"
    assert lines[-3] == "| all 2 | | | 4 | 3 | 14 of 16 |"
    assert lines[-1] == "Precision 0.6000, recall 0.7500."  # 3 of 5 that pass should; 3 of 4 that should pass do


def test_an_examination_counts_doing_nothing_too() -> None:
    (kind,) = [each for each in templates() if each.name == "set_alarm"]
    wrong = 2 * (1 + len(make("set_alarm", 0).job.wrong))
    assert list(examine([kind], 2)) == [Examined(kind, 2, 2, wrong, wrong)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", templates(), ids=lambda kind: kind.name)
def test_every_task_is_told_apart_from_every_failure(kind: Template) -> None:
    (row,) = examine([kind])
    assert (row.tasks, row.refused) == (PER_TEMPLATE[kind.split], row.wrong)
    assert row.passed == row.tasks


@pytest.mark.slow
def test_every_task_is_another() -> None:
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
