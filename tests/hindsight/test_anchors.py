from __future__ import annotations

import random
import string
import time
from difflib import SequenceMatcher

import pytest

from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.anchors import ANCHOR_KINDS, Row, anchor_key, cluster, rows_of, state_key
from agentgym_hindsight.hindsight.collisions import collision_report
from agentgym_hindsight.hindsight.trajectory import Group, Step, Trajectory
from tests.hindsight.rollouts import GROUP, HALL, rollout, turn


def seen(*texts: str, anchors: tuple[str, ...] = (), task: str = "1f") -> Trajectory:
    steps = [
        Step(i, text, "look", "", "", anchor=anchors[i] if anchors else anchor_key("observation", text, ""))
        for i, text in enumerate(texts)
    ]
    return Trajectory(task, steps=tuple(steps))


def places(*trajectories: Trajectory, kind: str, ratio: float = 0.95) -> list[list[tuple[int, int]]]:
    return [[(row.member, row.place) for row in group.rows] for group in cluster(trajectories, kind, ratio)]


def test_keys() -> None:
    assert ANCHOR_KINDS == ("state", "observation", "augmented", "similar")
    assert anchor_key("state", "a room", "ab12") == "s:ab12"
    assert anchor_key("state", "a room", "") == anchor_key("observation", "a room", "ab12")
    assert anchor_key("observation", "a room", "").startswith("o:")
    assert state_key(Step(0, "", "", "", "", anchor="s:1")) == "s:1"
    assert state_key(Step(0, "", "", "", "", anchor="o:1")) == ""


def test_rows_are_numbered_member_by_member() -> None:
    rows = rows_of(GROUP)
    assert [(row.batch, row.member, row.place) for row in rows[:4]] == [(0, 0, 0), (1, 0, 1), (2, 1, 0), (3, 1, 1)]
    assert len(rows) == 7


def test_observation_clusters_are_ordered_by_step_then_batch() -> None:
    assert places(*GROUP, kind="observation") == [
        [(0, 0), (1, 0), (2, 0), (1, 1)],  # the hall
        [(0, 1), (2, 1)],
        [(1, 2)],
    ]


def test_cluster_also_takes_rows() -> None:
    rows = rows_of(GROUP)
    assert cluster(rows, "observation") == cluster(GROUP, "observation")
    some = [row for row in rows if row.member != 0]
    assert [[row.batch for row in result.rows] for result in cluster(some, "observation")] == [[2, 5, 3], [6], [4]]
    assert cluster([], "similar") == ()


def test_state_separates_equal_texts_and_falls_back_to_text() -> None:
    one = seen("Nothing happens.", "Nothing happens.", "a room", anchors=("s:1", "s:2", "o:x"))
    two = seen("another text", "a room", anchors=("s:2", ""))
    assert places(one, two, kind="state") == [[(0, 0)], [(1, 0), (0, 1)], [(1, 1), (0, 2)]]
    assert places(one, two, kind="observation") == [[(0, 0), (0, 1)], [(1, 0)], [(1, 1), (0, 2)]]


def test_the_prompt_replaces_a_missing_observation() -> None:
    steps = tuple(Step(i, "", "look", "", "", prompt=text) for i, text in enumerate(["p", "q", "p"]))
    assert places(Trajectory("1f", steps=steps), kind="observation") == [[(0, 0), (0, 2)], [(0, 1)]]


def test_similar_compares_with_the_first_member_of_each_cluster() -> None:
    a = "You are in the middle of a room, quickly looking around you."
    b, c = a.replace("quickly", "quietly"), a.replace("quickly", "quietly").replace("middle", "corner")
    assert SequenceMatcher(None, b, a).ratio() >= 0.95 > SequenceMatcher(None, c, a).ratio()
    assert SequenceMatcher(None, c, b).ratio() >= 0.9
    assert places(seen(a, b, c), kind="similar") == [[(0, 0), (0, 1)], [(0, 2)]]
    assert places(seen(a, "", b, "", a), kind="similar") == [[(0, 0), (0, 2), (0, 4)], [(0, 1)], [(0, 3)]]


def naive(trajectories: Group, ratio: float) -> list[list[int]]:
    clusters: list[tuple[str, list[Row]]] = []
    for row in sorted(rows_of(trajectories), key=lambda row: (row.step.index, row.batch)):
        text = row.step.observation.strip()
        for first, rows in clusters:
            if text and first and SequenceMatcher(None, text, first).ratio() >= ratio:
                rows.append(row)
                break
        else:
            clusters.append((text, [row]))
    return [[row.batch for row in rows] for _, rows in clusters]


def test_empty_observations_of_the_release() -> None:
    """In its contexts an empty text is similar to no other; its GiGPO finds two empty texts equal, and strips none."""
    steps = [Step(k, text, "look", "", "", prompt=f"turn {k}") for k, text in enumerate(["", "a hall", "", "a hall "])]
    group = [Trajectory("1f", steps=tuple(steps))]

    def turns(kind: str, ratio: float, **options: bool) -> list[list[int]]:
        found = cluster(group, kind, ratio, prompts=False, **options)
        return [[row.place for row in anchor.rows] for anchor in found]

    assert turns("similar", 0.95) == [[0], [1, 3], [2]]
    assert turns("similar", 0.95, batch_order=True) == [[0, 2], [1], [3]]
    assert turns("similar", 0.9, batch_order=True) == [[0, 2], [1, 3]]
    assert turns("observation", 0.95) == [[0, 2], [1], [3]]


@pytest.mark.parametrize("seed", range(8))
def test_similar_equals_a_naive_implementation(seed: int) -> None:
    rng = random.Random(seed)
    alphabet = rng.choice(["ab", string.ascii_lowercase, string.ascii_letters + " "])
    length = rng.choice([5, 40, 230])  # difflib's autojunk starts at 200 characters
    bases = ["".join(rng.choices(alphabet, k=length)) for _ in range(4)]

    def varied() -> str:
        text = list(rng.choice(bases))
        for _ in range(rng.choice([0, 0, 1, 2, length // 8])):
            text[rng.randrange(len(text))] = rng.choice(alphabet)
        return "".join(text)[: rng.choice([length, length, length - 2])] if rng.random() > 0.05 else " "

    group = Group([seen(*(varied() for _ in range(6))) for _ in range(6)])
    for ratio in (0.6, 0.95):
        result = [[row.batch for row in anchor.rows] for anchor in cluster(group, "similar", ratio)]
        assert result == naive(group, ratio)


def test_autojunk_can_be_disabled() -> None:
    text = "ab" * 150  # every letter is frequent, so difflib matches nothing after the first difference
    assert len(cluster([seen(text, f"c{text}")], "similar")) == 2
    assert len(cluster([seen(text, f"c{text}")], "similar", autojunk=False)) == 1


@pytest.mark.parametrize("autojunk", [True, False])
def test_two_texts_are_compared_as_by_difflib(autojunk: bool) -> None:
    draw = random.Random(3)
    for _ in range(80):
        first = [draw.choice("abcdefgh \n") for _ in range(draw.randrange(400))]
        changed = list(first)
        for _ in range(draw.randrange(12)):
            place = draw.randrange(len(changed) + 1)
            changed[place : place + draw.randrange(3)] = draw.choice(["", "q", "ab"])
        one, other = f"A{''.join(first)}Z", f"A{''.join(changed)}Z"
        exact = SequenceMatcher(None, other, one, autojunk).ratio()
        for ratio in (0.5, 0.9, 0.95, min(exact, 0.99)):
            groups = cluster([seen(one), seen(other)], "similar", ratio, autojunk=autojunk)
            assert (len(groups) == 1) == (exact >= ratio)


@pytest.mark.slow
def test_long_texts_are_compared_in_bounded_time() -> None:
    """difflib alone takes a minute for these two texts, which differ in every 25th character."""
    text = "".join(chr(0x4E00 + place % 120) for place in range(16_000))
    other = "".join("z" if place % 25 == 0 else letter for place, letter in enumerate(text))
    started = time.process_time()
    assert len(cluster([seen(text), seen(other)], "similar")) == 1
    assert len(cluster([seen(text * 7), seen(other * 7)], "similar")) == 2, "too long to compare"
    assert time.process_time() - started < 25.0


def test_wrong_arguments() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'similar'"):
        cluster(GROUP, "simlar")
    for ratio in (0.0, 1.0, 1.5):
        with pytest.raises(UsageError, match="0 < ratio < 1"):
            cluster(GROUP, "similar", ratio)


# -- the collision report ---------------------------------------------------------------------------------------------


def test_collision_report() -> None:
    panel = [
        # States 1 and 2 have the text "Nothing happens."; state 3 has two texts.
        seen("Nothing happens.", "Nothing happens.", "A", "B", anchors=("s:1", "s:2", "s:3", "s:3")),
        seen("Nothing happens.", "C", anchors=("s:1", "o:c")),
        seen("Nothing happens.", anchors=("s:9",), task="2e"),  # another task: nothing is merged across tasks
    ]
    report = collision_report(panel)
    assert (report.tasks, report.skipped) == (2, 1)
    text = report.observation
    assert (text.anchors, text.merged, text.steps, text.merged_steps) == (4, 1, 6, 3)
    assert (text.pairs, text.merged_pairs) == (3, 1)  # states 1, 2, 3 of one task make three pairs
    assert (text.anchor_rate, text.step_rate, text.pair_rate) == (1 / 4, 1 / 2, 1 / 3)
    assert [(bad.task_id, bad.holds, bad.steps, bad.text) for bad in text.worst] == [("1f", 2, 3, "Nothing happens.")]
    state = report.state
    assert (state.anchors, state.merged, state.steps, state.merged_steps) == (4, 1, 6, 2)
    assert (state.pairs, state.merged_pairs) == (3, 1)
    assert state.worst[0].text == "A"
    table = report.to_markdown()
    assert "| observation | different states | 4 | 1 (25.0%) | 3/6 (50.0%) | 1/3 (33.3%) |" in table
    assert "| 2 | 3 | 1f | Nothing happens. |" in table
    assert "1 steps without a recorded state were left out" in table


def test_collision_report_without_states() -> None:
    report = collision_report([rollout(turn(0, HALL, "look", ""))])
    assert (report.tasks, report.skipped) == (0, 1)
    assert report.observation.anchor_rate == report.state.step_rate == report.state.pair_rate == 0.0
    assert "Worst" not in report.to_markdown()


def test_worst_examples_are_truncated_to_one_line() -> None:
    text = "a | b\n" * 40
    table = collision_report([seen(text, text, anchors=("s:1", "s:2"))]).to_markdown()
    row = next(line for line in table.splitlines() if "a \\| b" in line)
    assert row.endswith("… |")
