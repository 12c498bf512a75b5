"""Batches filled with copies and reordered before contexts and advantages, as in SERL's release: worked out by hand."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.baselines.methods import recipe  # noqa: E402
from agentgym_hindsight.baselines.methods.recorded import rows_of_rollouts  # noqa: E402
from agentgym_hindsight.baselines.training.collectives import Processes  # noqa: E402
from agentgym_hindsight.baselines.training.configuration import configure, dump_configuration  # noqa: E402
from agentgym_hindsight.baselines.training.preflight import check_settings  # noqa: E402
from agentgym_hindsight.baselines.training.released_batching import (  # noqa: E402
    BatchOrder,
    ReleasedBatching,
    balanced_parts,
    order_batch,
    padded,
)
from agentgym_hindsight.baselines.training.training_rows import columns_of, group_episodes, split_rows  # noqa: E402
from agentgym_hindsight.errors import UsageError  # noqa: E402
from agentgym_hindsight.hindsight.context import compose  # noqa: E402
from agentgym_hindsight.hindsight.spec import ContextOptions  # noqa: E402
from agentgym_hindsight.hindsight.trajectory import Group, Step, Trajectory  # noqa: E402
from tests.baselines.training.test_training_rows import LOST, PAIR, WON, episode, rows_of  # noqa: E402
from tests.baselines.training.tiny_runs import PLAN, make_trainer  # noqa: E402
from tests.baselines.training.trainer_probes import record_loss_inputs  # noqa: E402

RELEASED = ContextOptions.released()


def rollout(*actions: str, won: bool = False, sibling: int = 0) -> Trajectory:
    """Turns in one hall; the reply to an action is its name in capitals."""
    steps = tuple(
        Step(index, "a hall", each, each.upper(), "", reward=float(won), response=f"<action>{each}</action>")
        for index, each in enumerate(actions)
    )
    return Trajectory("1f", steps=steps, won=won, sibling=sibling)


def bodies(what: str, group: Group, positions: Any = None) -> list[list[str]]:
    """The text of every section, one list per member; "" without a context."""
    return [
        ["" if context is None else context.sections[-1].body for context in member]
        for member in compose(what, group, options=RELEASED, positions=positions)
    ]


# -- contexts ---------------------------------------------------------------------------------------------------------


def test_the_first_winner_of_the_batch_with_its_copied_turn() -> None:
    group = Group([rollout("a", won=True), rollout("b", "c", won=True), rollout("d")])
    assert bodies("success", group)[2] == ["Step 0\nResponse:\n<action>a</action>"]
    # The batch: c (0), d (1), b (2), a (3), b (4). The second rollout comes first, and its first turn is there twice.
    positions = [[(3,)], [(2, 4), (0,)], [(1,)]]
    blocks = [f"Step {step}\nResponse:\n<action>{action}</action>" for step, action in ((0, "b"), (0, "b"), (1, "c"))]
    shown = bodies("success", group, positions)
    assert shown[2] == shown[0] == ["\n\n".join(blocks)]
    assert shown[1] == ["Step 0\nResponse:\n<action>a</action>"] * 2, "a winner is no reference for itself"


def test_a_copied_turn_is_twice_in_the_future() -> None:
    group = Group([rollout("a", "b", "c")])
    b, c = (f"Step {step}\nResponse:\n<action>{action}</action>" for step, action in ((1, "b"), (2, "c")))
    assert bodies("future", group) == [[f"{b}\n\n{c}", c, ""]]
    assert bodies("future", group, [[(0, 4), (1,), (2, 3)]]) == [[f"{b}\n\n{c}\n\n{c}", f"{c}\n\n{c}", ""]]


def test_candidates_come_in_the_order_of_the_batch_and_count_copies() -> None:
    group = Group([rollout("a"), rollout("b", won=True)])
    plain = "action a, A\naction b, B"
    assert bodies("immediate@anchor", group) == [[plain], [plain]]
    assert bodies("immediate@anchor", group, [[(2,)], [(0, 1)]]) == [["action b, B\naction a, A"]] * 2
    (block,), _ = bodies("next@anchor", group, [[(2,)], [(0, 1)]])
    lines = [line for line in block.splitlines() if line.startswith("- ")]
    assert lines == [
        "- action b, tried 2 times, success count: 2/2, average return: 1.0000",
        "- action a, tried 1 times, success count: 0/1, average return: 0.0000",
    ]


def test_without_copies_in_the_usual_order_nothing_changes() -> None:
    group = Group([rollout("a", "b", won=True), rollout("b", "a"), rollout("c", won=True)])
    usual = [[(0,), (1,)], [(2,), (3,)], [(4,)]]
    for what in ("success|immediate", "success+future+next", "success+future+next@anchor", "immediate@anchor"):
        assert compose(what, group, options=RELEASED, positions=usual) == compose(what, group, options=RELEASED)
    for wrong in ([[(0,)], [(1,)], [(2,)]], [[(0,), ()], [(2,), (3,)], [(4,)]]):
        with pytest.raises(UsageError, match="at least one position"):
            compose("immediate", group, positions=wrong)


# -- the order --------------------------------------------------------------------------------------------------------


def test_copies_are_drawn_from_the_seed() -> None:
    turns = [("1f", 0, place) for place in range(10)]
    for multiple, total in ((4, 12), (5, 10), (7, 14)):
        rows = padded(turns, multiple, 3, 5)
        assert rows[:10] == list(range(10))
        assert len(rows) == total
        assert max(Counter(rows).values()) <= 2, "without repetition"
    assert padded(turns, 16, 3, 5) == padded(turns, 16, 3, 5) != padded(turns, 16, 3, 6) != padded(turns, 16, 4, 6)
    assert sorted(Counter(padded(turns[:3], 8, 0, 0)).values()) == [2, 3, 3], "fewer rows than missing copies"


def test_parts_by_hand() -> None:
    # Pairs by length: 2|1, 5|3 and 9|8, with differences 1, 2 and 1. First 5|3 and 9|8 are joined, crosswise: 12|13.
    # Then 2|1, crosswise: 14|14.
    assert balanced_parts([9, 1, 8, 2, 5, 3], 2) == [[0, 3, 5], [1, 2, 4]]
    assert balanced_parts([4, 4, 4], 3) == [[2], [1], [0]]
    assert balanced_parts([7], 1) == [[0]]


def test_parts_have_equal_sizes_and_similar_numbers_of_tokens() -> None:
    lengths = [(37 * k * k) % 1900 + 100 for k in range(512)]
    parts = balanced_parts(lengths, 8)
    assert sorted(row for part in parts for row in part) == list(range(512))
    assert {len(part) for part in parts} == {64}
    assert all(part == sorted(part) for part in parts)
    tokens = [sum(lengths[row] for row in part) for part in parts]
    assert max(tokens) - min(tokens) < 0.01 * statistics.mean(tokens)


def three() -> list[list[Any]]:
    return group_episodes([*PAIR, episode(WON, won=True, task="book"), episode(LOST, sibling=1, task="book")])


def positions_of(order: BatchOrder) -> list[int]:
    return sorted(position for turns in order.positions.values() for turn in turns for position in turn)


def test_the_order_of_an_update() -> None:
    groups, settings = three(), ReleasedBatching(8, 4)
    order = order_batch(groups, settings, 0, 0, None)
    assert order is not None
    assert positions_of(order) == list(range(16))  # ten turns, six copies
    assert order.part == 4
    for members in groups:
        for each in members:
            assert len(order.of(each.trajectory)) == len(each.trajectory)
    assert order == order_batch(groups, settings, 0, 0, None)
    assert order != order_batch(groups, settings, 0, 1, None)
    assert order_batch(groups, ReleasedBatching(), 0, 0, None) is None
    assert order_batch([], settings, 0, 0, None) is None
    assert [order.mini_batch(position, 2) for position in range(8)] == [0, 0, 1, 1] * 2


def test_the_order_does_not_depend_on_the_number_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    groups, settings = three(), ReleasedBatching(8, 4)
    shares: list[list[Any]] = []
    monkeypatch.setattr(Processes, "gather", lambda self, values: shares.append(values) or values)
    processes = Processes(SimpleNamespace(num_processes=2, process_index=1))
    for share in ([groups[1]], [groups[0]]):
        order_batch(share, settings, 0, 0, processes)
    monkeypatch.setattr(Processes, "gather", lambda self, values: shares[0] + shares[1])
    assert order_batch([groups[1]], settings, 0, 0, processes) == order_batch(groups, settings, 0, 0, None)


# -- rows -------------------------------------------------------------------------------------------------------------


def ordered(positions: Sequence[Sequence[tuple[int, ...]]], part: int) -> BatchOrder:
    return BatchOrder({("mug", sibling): tuple(turns) for sibling, turns in enumerate(positions)}, part)


#: Of PAIR, two turns and three: 8 rows in two parts. The copies are the first turn of the winner, and two others.
ORDER = ordered([[(5, 0), (2,)], [(1,), (3, 6), (4, 7)]], 4)


def test_statistics_count_copies() -> None:
    method = recipe("grpo")
    scores = [10.0, 10.0, 10.0, 0.0, -0.1, -0.1, 0.0, 0.0]  # the second turn of the loser is invalid
    mean, deviation = statistics.mean(scores), statistics.stdev(scores)
    rows = rows_of(PAIR, method, batch=ORDER)
    assert [row.advantage for row in rows] == pytest.approx(
        [(score - mean) / (deviation + 1e-6) for score in (10, 10, 0, -0.1, 0)], rel=1e-5
    )
    first = rows_of(PAIR, method.changed(statistics="first_rows"), batch=ORDER)
    mean, deviation = statistics.mean([10, 0]), statistics.stdev([10, 0])
    own = (10, 10, 0, -0.1, 0)
    assert [row.advantage for row in first] == pytest.approx(
        [(score - mean) / (deviation + 1e-6) for score in own], rel=1e-5
    )
    # In a batch that begins with the invalid turn of the loser, that turn is the first row.
    late = ordered([[(5, 0), (2,)], [(3,), (1, 6), (4, 7)]], 4)
    penalised = rows_of(PAIR, method.changed(statistics="first_rows"), batch=late)
    mean, deviation = statistics.mean([10, -0.1]), statistics.stdev([10, -0.1])
    assert [row.advantage for row in penalised] == pytest.approx(
        [(score - mean) / (deviation + 1e-6) for score in own], rel=1e-5
    )


def test_statistics_of_anchors_count_copies() -> None:
    rows = columns_of(group_episodes(PAIR), recipe("gigpo").changed(anchor="observation"), batch=ORDER)
    assert rows.copies is not None
    assert rows.copies.tolist() == [2, 1, 1, 2, 2]
    halls = [9.5, 9.5, 0.0, -0.1, -0.1, 0.0, 0.0]  # discounted returns of the turns in the hall, with the copies
    mean, deviation = statistics.mean(halls), statistics.stdev(halls)
    method = recipe("gigpo").changed(anchor="observation")
    plain = recipe("grpo").credit(rows)
    assert (method.credit(rows) - plain).tolist() == pytest.approx(
        [(value - mean) / (deviation + 1e-6) if value is not None else 0.0 for value in (9.5, None, 0.0, -0.1, 0.0)],
        rel=1e-4,
        abs=1e-6,
    )
    unequal = replace(rows, positions=tuple((number,) for number in range(5)))
    usual = replace(rows, positions=None)
    # In the release, the advantages of HGPO are made before the batch is filled.
    for options in ({}, {"base_group": True}):
        method = recipe("hgpo").changed(**options)
        assert any(method.credit(usual).tolist())
        assert method.credit(rows).tolist() == method.credit(usual).tolist()
    for name in ("grpo", "rloo", "gigpo", "hgpo", "crbc", "graphgpo"):
        assert recipe(name).credit(unequal).tolist() == recipe(name).credit(usual).tolist()
    with pytest.raises(UsageError, match="one position or more"):
        replace(rows, positions=((),) * 5)


def test_similar_anchors_follow_the_order() -> None:
    """B is like A and like C, but A and C differ: B joins the one that comes first in the batch."""
    a, b, c = ("x" * 16 + end for end in ("aaaa", "aacc", "cccc"))
    group = [
        Trajectory(
            "1f", sibling=sibling, steps=tuple(Step(place, text, "", "", "") for place, text in enumerate(texts))
        )
        for sibling, texts in enumerate((("other", a), (c, b)))
    ]
    usual, reordered = [(0,), (1,), (2,), (3,)], [(2,), (3,), (0, 4), (1,)]
    for positions, friend in ((None, 1), (usual, 1), (reordered, 2)):
        anchors = rows_of_rollouts([group], "similar", 0.9, released=True, positions=positions).anchors
        assert [place for place, anchor in enumerate(anchors) if anchor == anchors[3]] == [friend, 3]


def test_ties_of_balanced_parts_are_decided_by_the_longest_part() -> None:
    """Pairs 1+2, 2+3 and 5+5; the first two differ by 1 each, and 2+3 has the longer part: so 3+1 and 2+2. Then 5+5."""
    assert balanced_parts([2, 1, 5, 3, 2, 5], 2) == [[1, 3, 5], [0, 2, 4]]


def test_mini_batches_are_parts_of_every_gpu() -> None:
    rows = rows_of(PAIR, recipe("grpo"), batch=ORDER)
    (whole,) = split_rows(rows, 1, 0, 0, ORDER)
    turns = [(row.episode, row.step.index) for row in whole]
    assert turns == [(0, 0), (1, 0), (0, 1), (1, 1), (1, 2), (0, 0), (1, 1), (1, 2)]
    first, second = split_rows(rows, 2, 0, 0, ORDER)
    assert [(row.episode, row.step.index) for row in first] == [turns[k] for k in (0, 1, 4, 5)]
    assert [(row.episode, row.step.index) for row in second] == [turns[k] for k in (2, 3, 6, 7)]
    assert len({id(row) for row in first + second}) == 8, "a copy has its own numbers"
    assert sum(any(row is each for each in rows) for row in whole) == 5


def test_the_contexts_of_rows_follow_the_order() -> None:
    method = recipe("serl").changed(what="success")
    for batch, shown in ((None, 1), (ORDER, 2)):  # the first turn of the winner is there twice
        contexts = [row.context for row in rows_of(PAIR, method, batch=batch)]
        assert contexts[:2] == [None, None]
        assert [context.text.count("Step 0") for context in contexts[2:] if context is not None] == [shown] * 3


# -- training ---------------------------------------------------------------------------------------------------------


def test_training_with_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = record_loss_inputs(monkeypatch)
    batching = {"multiple": 24, "gpus": 4}
    plan = replace(PLAN, updates=1, released_batching=batching, contexts={"released": True}, micro_rows=6)
    trainer = make_trainer(recipe("serl").changed(what="success|immediate"), tmp_path, plan)
    trainer.train()
    rows = sum(len(batch["prompt_ids"]) for batch in seen)
    assert rows % 24 == 0
    assert trainer.state.global_step == 1
    assert {len(batch["prompt_ids"]) for batch in seen} == {6}


def test_from_the_command_line() -> None:
    run = configure("serl", settings=["plan.released_batching.multiple=256"])
    assert run.plan.batching == ReleasedBatching(256, 8)
    assert "multiple: 256" in dump_configuration("serl", run)
    assert "released_batching" not in configure("serl").as_dict()["plan"]
    for wrong in ("multiple=-1", "multiple=12", "gpus=0", "multiples=8"):
        with pytest.raises(UsageError):
            configure("serl", settings=[f"plan.released_batching.{wrong}"])
    with pytest.raises(UsageError):
        configure("serl", settings=["plan.released_batching=3"])


def test_a_conversation_is_refused(tmp_path: Path) -> None:
    from agentgym_hindsight.stage import Stage

    plan = replace(PLAN, released_batching={"multiple": 8})
    stage = Stage(protocol="brief", history="conversation", settings={"data": "embedded", "max_steps": 3})
    with pytest.raises(UsageError, match="without a conversation"):
        make_trainer(recipe("serl"), tmp_path, plan, stage=stage)
    words = ["stage.history=conversation", "plan.released_batching.multiple=8"]
    with pytest.raises(UsageError, match="without a conversation"):  # before the warm start
        check_settings(configure("serl", settings=words), tmp_path)


@pytest.mark.parametrize(("part", "count"), [(32, 10), (352, 10), (8, 16), (24, 24)])
def test_a_gpu_adds_about_equally_many_rows_to_every_mini_batch(part: int, count: int) -> None:
    order = BatchOrder({}, part)
    for first in (0, part, 7 * part):
        rows = Counter(order.mini_batch(first + place, count) for place in range(part))
        assert set(rows) <= set(range(count))
        sizes = [rows[number] for number in range(count)]
        assert max(sizes) - min(sizes) <= 1


def test_a_rollout_that_is_there_twice_is_refused() -> None:
    group = [episode(WON)]
    with pytest.raises(UsageError, match="same task and sibling twice"):
        order_batch([group, group], ReleasedBatching(8, 8), 0, 0, None)
