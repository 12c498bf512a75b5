"""Partial credit, and the spread of right answers: no strategy pays that does not do what was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from agentgym_hindsight.envs.appworld.env import AppWorldEnv
from agentgym_hindsight.envs.appworld.miniature.checks import judge
from agentgym_hindsight.envs.appworld.miniature.delta import Delta
from agentgym_hindsight.envs.appworld.miniature.goals import Goal
from agentgym_hindsight.envs.appworld.miniature.hamlet import SCHEMA
from agentgym_hindsight.envs.appworld.miniature.playing import play
from agentgym_hindsight.envs.appworld.miniature.strategies import (
    DAMAGE,
    STRATEGIES,
    Answers,
    Earned,
    answers_of,
    answers_table,
    earnings,
    earnings_table,
)
from agentgym_hindsight.envs.appworld.miniature.tasks import PER_TEMPLATE, make, templates
from agentgym_hindsight.envs.appworld.miniature.templates.base import Draws, Template
from agentgym_hindsight.envs.appworld.miniature.templates.common import replaced, with_extra_turn
from agentgym_hindsight.envs.appworld.miniature.world import World

UNDAMAGED = "Nothing else has changed in any app."


@pytest.fixture
def world() -> Iterator[World]:
    made = World.new(3)
    yield made
    made.close()


def _two_notes() -> Goal:
    return Goal().adds("notes_notes", "a note", title="Tea").adds("notes_notes", "another", title="Milk")


def test_partial_credit_is_the_share_of_what_was_asked_for(world: World) -> None:
    assert judge(_two_notes(), Delta((), SCHEMA), "success", None).score == 0.0
    world.insert("notes_notes", owner=world.supervisor.email, title="Tea")
    assert judge(_two_notes(), world.delta(), "success", None).score == 0.5
    world.insert("notes_notes", owner=world.supervisor.email, title="Milk")
    verdict = judge(_two_notes(), world.delta(), "success", None)
    assert (verdict.score, verdict.won) == (1.0, True)


@pytest.mark.parametrize("status", ["fail", ""])
def test_giving_up_pays_nothing_even_if_all_is_done(world: World, status: str) -> None:
    for title in ("Tea", "Milk"):
        world.insert("notes_notes", owner=world.supervisor.email, title=title)
    verdict = judge(_two_notes(), world.delta(), status, None)
    assert (verdict.score, len(verdict.passes), len(verdict.failures)) == (0.0, 3, 1)


def test_damage_pays_nothing_even_if_all_is_done(world: World) -> None:
    for title in ("Tea", "Milk", "Salt"):
        world.insert("notes_notes", owner=world.supervisor.email, title=title)
    verdict = judge(_two_notes(), world.delta(), "success", None)
    assert (verdict.score, len(verdict.passes), len(verdict.failures)) == (0.0, 3, 1)


def test_a_right_answer_with_damage_pays_nothing(world: World) -> None:
    assert judge(Goal(7), world.delta(), "success", 7).score == 1.0
    world.insert("notes_notes", owner=world.supervisor.email, title="Tea")
    assert judge(Goal(7), world.delta(), "success", 7).score == 0.0


def test_the_reward_of_the_env_is_the_score() -> None:
    env = AppWorldEnv(templates=["ask_the_time", "set_alarm"])
    for seed in range(4):
        for extra, reward in (("", 1.0), (DAMAGE, 0.0)):
            env.reset(seed=seed)
            solution = env.backend.play.made.job.solution  # type: ignore[union-attr]
            for turn in with_extra_turn(solution, extra) if extra else solution:
                _, paid, terminated, _, info = env.step(turn)
            assert (paid, info["score"], terminated, info["won"]) == (reward, reward, True, reward == 1.0)
    env.close()


@pytest.mark.parametrize("kind", templates(), ids=lambda kind: kind.name)
def test_no_strategy_pays_but_doing_what_was_asked(kind: Template) -> None:
    """The first two tasks of each template; the slow test plays all of them."""
    earned = {row.strategy: row for row in earnings([kind], 2)}
    assert earned.keys() == STRATEGIES.keys()
    for name, row in earned.items():
        assert row.tasks == 2
        if name == "the reference solution":
            assert (row.mean, row.won) == (1.0, 2)
        elif name == "the wrong ways of the templates":
            assert (row.won, row.mean < 0.5) == (0, True), name
        elif not name.startswith("always"):
            assert (row.mean, row.won) == (0.0, 0), name


def test_damage_in_the_middle_and_undone_damage() -> None:
    """What counts is the final state: damage that is taken back is none."""
    undone = f"{DAMAGE.replace('apis.notes.create', 'new = apis.notes.create')}\n"
    undone += "apis.notes.delete_note(access_token=notes_token, note_id=new['note_id'])"
    for name in ("set_alarm", "ask_balance", "split_costs"):
        made = make(name, 0)
        world = World.load(made.frozen)
        first, *rest = made.job.solution
        assert play(world, made, (first, DAMAGE, *rest)).verdict.score == 0.0, name
        ending = play(world, made, with_extra_turn(made.job.solution, undone))
        assert (ending.error, ending.verdict.score) == (None, 1.0), name
        world.close()


_TOP_UP = """
card = apis.payments.show_cards(access_token=payments_token)[0]
apis.payments.add_money(access_token=payments_token, amount=5, card_id=card['card_id'])
""".strip()


def test_one_of_several_payments_is_unfinished_work_and_no_damage() -> None:
    """The balance differs from the wanted one, but only because payments are missing."""
    for name, every, one in (
        ("settle_receipts", "in owed.items()", "in list(owed.items())[:1]"),
        ("accept_requests_of_roommates", "in addresses", "in addresses[:1]"),
    ):
        for number in range(5):
            made = make(name, number)
            world = World.load(made.frozen)
            begun = replaced(made.job.solution, every, one)
            verdict = play(world, made, begun).verdict
            assert UNDAMAGED in verdict.passes, (name, number)
            assert verdict.won or 0.0 < verdict.score < 1.0, (name, number)
            for turns in (with_extra_turn(begun, _TOP_UP), with_extra_turn(made.job.solution, _TOP_UP)):
                ending = play(world, made, turns)
                assert (ending.error, ending.verdict.score) == (None, 0.0), (name, number)
                assert UNDAMAGED in ending.verdict.failures, (name, number)
            world.close()


def test_no_constant_answer_wins_more_than_a_tenth_of_a_template() -> None:
    rows = [row for row in map(answers_of, templates()) if row is not None]
    assert len(rows) == 9
    for row in rows:
        assert row.share <= 0.1, answers_table([row])


@pytest.mark.slow
def test_no_constant_answer_wins_more_than_a_tenth_of_a_split() -> None:
    for split in PER_TEMPLATE:
        answers = Counter(
            str(make(kind.name, number).job.goal.answer)
            for kind in templates(split)
            if answers_of(kind) is not None
            for number in range(PER_TEMPLATE[split])
        )
        assert answers.most_common(1)[0][1] <= 0.1 * sum(answers.values()), split


def test_values_in_turn_are_equally_frequent_and_cost_no_draw() -> None:
    drawn = [Draws("count", number).in_turn(range(7)) for number in range(7 * 4)]
    assert set(Counter(drawn).values()) == {4}
    assert drawn[:7] != drawn[7:14], "each lap has its own order"
    assert drawn != [Draws("tally", number).in_turn(range(7)) for number in range(7 * 4)]
    one, two = Draws("count", 5), Draws("count", 5)
    one.in_turn(range(7))
    assert one.below(10**6) == two.below(10**6)


def test_only_the_three_changed_templates_have_new_task_ids() -> None:
    assert {kind.name for kind in templates() if kind.edition != 1} == {
        "ask_artist",
        "count_tagged",
        "count_unread_of_circle",
    }
    assert sum(PER_TEMPLATE[kind.split] for kind in templates()) == 2160


def test_the_tables() -> None:
    kind = next(iter(templates("train")))
    lines = answers_table([Answers(kind, 80, 9, 8, 14)]).splitlines()
    assert lines[-1] == f"| `{kind.name}` | 80 | 9 | 8 | 17.5 % |"
    lines = earnings_table([Earned("nothing", 0.25, 0.5, 1, 4)]).splitlines()
    assert lines[-1] == "| nothing | 0.250 | 0.500 | 1 of 4 |"


@pytest.mark.slow
def test_all_strategies_on_all_tasks() -> None:
    for row in earnings():
        assert row.tasks == 2160
        if row.strategy == "the reference solution":
            assert (row.mean, row.won) == (1.0, 2160)
        elif row.strategy == "the wrong ways of the templates":
            assert (row.won, row.mean < 0.2, row.largest < 0.5) == (0, True, True)
        elif row.strategy.startswith("always"):
            assert row.largest <= 0.1, row
        else:
            assert (row.mean, row.largest, row.won) == (0.0, 0.0, 0), row
