from __future__ import annotations

import pickle
import random

import pytest

from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.budget import Budget, approximate_tokens
from agentgym_hindsight.hindsight.context import Section, TeacherContext, compose
from agentgym_hindsight.hindsight.reference_store import ReferenceStore
from agentgym_hindsight.hindsight.render import candidate_action, remove_thinking
from agentgym_hindsight.hindsight.spec import SERL_MODES, ContextOptions, ContextSpec
from agentgym_hindsight.hindsight.trajectory import Group, Step
from tests.hindsight.rollouts import GROUP, HALL, LOSER, ROOM, SECOND_WINNER, TASK, WINNER, prompt, rollout, turn

# -- the golden texts of the twenty released modes, for the loser's first turn ----------------------------------------

SUCCESS = """\
Successful trajectory in the same task, if any:
Step 0
Response:
<action>go east</action>

Step 1
Response:
<action>Take  Lamp</action>"""
FUTURE = """\
Observed future trajectory of the current step:
Step 1
Response:
<action>go west</action>

Step 2
Response:
no tag here"""
IMMEDIATE = """\
Immediate feedback from the current step:
You are in a hall."""
NEXT = """\
next observation after the current step:
Task: find the lamp.
You are in a hall."""
LINES = """\
Immediate feedback from the current step:
action go east, You are in a room.
action look, You are in a hall.
action go west, There is a wall."""
JUDGE = """\
Trajectory Judge:
This rollout failed. It never went east."""

EAST = """\
- action go east, tried 2 times, success count: 2/2, average return: 10.0000
  best outcome: success, reward 10.0000
  worst outcome: success, reward 10.0000"""
LOOK = """\
- action look, tried 1 times, success count: 0/1, average return: 0.0000
  best outcome: failure, reward 0.0000
  worst outcome: failure, reward 0.0000"""
WEST = """\
- action go west, tried 1 times, success count: 0/1, average return: 0.0000
  best outcome: failure, reward 0.0000
  worst outcome: failure, reward 0.0000"""

EAST_IMMEDIATE = """\
  best outcome immediate_feedback:
You are in a room."""
LOOK_IMMEDIATE = """\
  best outcome immediate_feedback:
You are in a hall."""
WEST_IMMEDIATE = """\
  best outcome immediate_feedback:
There is a wall."""
EAST_NEXT = """\
  best outcome next_observation:
Task: find the lamp.
You are in a room."""
LOOK_NEXT = """\
  best outcome next_observation:
Task: find the lamp.
You are in a hall."""
WEST_NEXT = """\
  best outcome next_observation:
Task: find the lamp.
There is a wall."""
EAST_FUTURE = """\
  success future trajectory example:
Step 1
Response:
<action>Take  Lamp</action>"""
LOOK_FUTURE = """\
  failed future trajectory example:
Step 1
Response:
<action>go west</action>

Step 2
Response:
no tag here"""
WEST_FUTURE = """\
  failed future trajectory example:
Step 2
Response:
no tag here"""


def candidates(*shown: tuple[str, str, str]) -> str:
    blocks = ("\n".join(lines) for lines in zip((EAST, LOOK, WEST), *shown, strict=True))
    return "Candidate actions tried from this state:\n" + "\n\n".join(blocks)


I3 = (EAST_IMMEDIATE, LOOK_IMMEDIATE, WEST_IMMEDIATE)
N3 = (EAST_NEXT, LOOK_NEXT, WEST_NEXT)
F3 = (EAST_FUTURE, LOOK_FUTURE, WEST_FUTURE)

GOLDEN = {
    "immediate_feedback": [IMMEDIATE],
    "next_observation": [NEXT],
    "future_trajectory": [FUTURE],
    "successful_sample_or_immediate_feedback": [SUCCESS],
    "successful_sample_immediate_feedback": [SUCCESS, IMMEDIATE],
    "successful_sample_next_observation": [SUCCESS, NEXT],
    "successful_sample_future_trajectory": [SUCCESS, FUTURE],
    "successful_sample_future_trajectory_immediate_feedback": [SUCCESS, FUTURE, IMMEDIATE],
    "successful_sample_future_trajectory_next_observation": [SUCCESS, FUTURE, NEXT],
    "anchor_immediate_feedback": [LINES],
    "anchor_next_observation": [candidates(N3)],
    "anchor_future_trajectory": [candidates(F3)],
    "anchor_successful_sample_or_immediate_feedback": [candidates(), SUCCESS],
    "anchor_successful_sample_immediate_feedback": [candidates(I3), SUCCESS],
    "anchor_successful_sample_next_observation": [candidates(N3), SUCCESS],
    "anchor_successful_sample_future_trajectory": [candidates(F3), SUCCESS],
    "anchor_successful_sample_future_trajectory_immediate_feedback": [candidates(I3, F3), SUCCESS],
    "anchor_successful_sample_future_trajectory_next_observation": [candidates(N3, F3), SUCCESS],
    "judge_current_traj": [JUDGE],
    "judge_current_traj_on_successful_sample": [JUDGE],
}
JUDGEMENTS = [None, "This rollout failed. It never went east.\n", "None of this matters."]


def test_every_released_mode_has_a_golden_text() -> None:
    assert list(SERL_MODES) == list(GOLDEN)
    assert len(SERL_MODES) == 20


@pytest.mark.parametrize("mode", SERL_MODES)
def test_golden(mode: str) -> None:
    context = compose(SERL_MODES[mode], GROUP, judgements=JUDGEMENTS)[1][0]
    assert context is not None
    text = "\n\n".join(GOLDEN[mode])
    assert context.text == text
    assert context.prompt(prompt(HALL)) == f"{TASK}\n{HALL}\n\n{text}\n\nCorrectly solve the current task.\n"
    assert not context.truncated


def test_observation_action_format() -> None:
    options = ContextOptions(trajectory_format="observation_action")
    context = compose("success", GROUP, options=options)[1][0]
    assert context is not None
    assert context.text == (
        "Successful trajectory in the same task, if any:\n"
        "Step 0\nObservation:\nTask: find the lamp.\nYou are in a hall.\nAction:\n<action>go east</action>\n\n"
        "Step 1\nObservation:\nTask: find the lamp.\nYou are in a room.\nAction:\n<action>Take  Lamp</action>"
    )


def texts(spec: str, group: Group = GROUP, **more: object) -> list[list[str | None]]:
    composed = compose(spec, group, **more)  # type: ignore[arg-type]
    return [[None if context is None else context.text for context in member] for member in composed]


def test_without_a_required_part_there_is_no_context() -> None:
    assert [[text is None for text in member] for member in texts("future")] == [
        [False, True],
        [False, False, True],
        [False, True],
    ]
    assert texts("success+immediate")[1][2] is None  # the environment gave no reply
    assert texts("immediate")[1][2] is None
    losing_group = Group([LOSER])
    assert all(text is None for text in texts("success+next", losing_group)[0])


def test_the_first_alternative_that_exists_is_used() -> None:
    losing_group = Group([LOSER])
    assert texts("success|immediate", losing_group)[0] == [IMMEDIATE, IMMEDIATE.replace(HALL, "There is a wall."), None]
    assert texts("success+future|immediate", losing_group)[0][0] == IMMEDIATE
    assert texts("success+future|immediate")[1][0] == f"{SUCCESS}\n\n{FUTURE}"


def test_a_winner_is_no_reference_for_itself() -> None:
    group = Group([WINNER, LOSER])
    assert texts("success", group) == [[None, None], [SUCCESS] * 3]
    own = ContextOptions(dont_reprompt_on_self_success=False)
    assert texts("success", group, options=own) == [[SUCCESS] * 2, [SUCCESS] * 3]
    # The reference of the first winner is the next one.
    assert texts("success")[0][0] == SUCCESS.replace("Take  Lamp", "take lamp")


def test_a_store_gives_the_success_if_no_member_won() -> None:
    store = ReferenceStore()
    store.add(WINNER)
    assert texts("success", Group([LOSER]), references=store)[0][0] == SUCCESS
    assert texts("success", Group([WINNER]), references=store)[0][0] is None  # it is the same rollout


def test_broken_winners_do_not_count() -> None:
    group = Group([WINNER.replace(broken="the worker died"), LOSER])
    assert texts("success", group)[1][0] is None
    assert "success count: 0/1" in str(texts("next@anchor", group)[1][0])


def test_thinking_can_be_kept() -> None:
    with_thinking = texts("success", options=ContextOptions(remove_thinking=False))[1][0]
    assert with_thinking is not None
    assert "<think>East\nit is.</think>\n<action>go east</action>" in with_thinking
    assert remove_thinking("<think>a</think>b<think>c</think> d") == "bd"
    assert remove_thinking("<think>never closed") == "<think>never closed"


def test_step_limits() -> None:
    limits = ContextOptions(max_traj_context_steps=1, max_future_context_steps=1)
    assert texts("success+future", options=limits)[1][0] == (
        "Successful trajectory in the same task, if any:\n"
        "Step 0\nResponse:\n<action>go east</action>\n\n... 1 more steps omitted.\n\n"
        "Observed future trajectory of the current step:\n"
        "Step 1\nResponse:\n<action>go west</action>\n\n... 1 more steps omitted."
    )


def test_details_add_the_reason() -> None:
    options = ContextOptions(details=True)
    assert texts("immediate", options=options)[1][0] == f"{IMMEDIATE} (You have seen it all.)"
    assert "action look, You are in a hall. (You have seen it all.)" in str(
        texts("immediate@anchor", options=options)[1][0]
    )


def test_next_falls_back_to_the_state_of_the_env() -> None:
    assert texts("next")[0][1] == "next observation after the current step:\nYou took the lamp.\nActions: look"


def test_current_is_the_whole_rollout_of_the_member() -> None:
    text = texts("current+immediate")[0][1]
    assert text is not None
    assert text.startswith("Whole trajectory of the current attempt:\nStep 0\nResponse:\n<action>go east</action>")
    assert text.endswith("You took the lamp.")


def test_judgements() -> None:
    assert texts("judge", judgements=[None, " ", "Fine."]) == [[None] * 2, [None] * 3, ["Trajectory Judge:\nFine."] * 2]
    assert texts("judge|immediate", judgements=[None] * 3)[1][0] == IMMEDIATE
    with pytest.raises(UsageError, match="judge's texts"):
        compose("judge", GROUP)
    with pytest.raises(UsageError, match="one judgement per member"):
        compose("judge", GROUP, judgements=["a"])


# -- anchors ----------------------------------------------------------------------------------------------------------


def test_an_anchor_block_needs_no_success() -> None:
    losing_group = Group([LOSER])
    block = texts("success+next@anchor", losing_group)[0][0]
    assert block == "Candidate actions tried from this state:\n" + "\n\n".join(
        f"{head}\n{following}" for head, following in ((LOOK, LOOK_NEXT), (WEST, WEST_NEXT))
    )
    feedback = texts("success|immediate@anchor", losing_group)[0][0]
    assert feedback == "Candidate actions tried from this state:\n" + "\n\n".join(
        f"{head}\n{reply}" for head, reply in ((LOOK, LOOK_IMMEDIATE), (WEST, WEST_IMMEDIATE))
    )


def test_members_of_an_anchor_share_the_block_but_not_the_success() -> None:
    first, loser, second = compose("success|immediate@anchor", Group([WINNER, LOSER, LOSER]))
    assert loser[0] == second[0] == loser[1]
    assert first[0] is not None
    assert "immediate_feedback:" in first[0].text  # the only winner has no other success as reference
    assert first[0].sources == ("candidates",)
    assert loser[0] is not None
    assert "immediate_feedback:" not in loser[0].text


def test_a_single_turn_is_an_anchor_of_one() -> None:
    text = texts("immediate@anchor")[1][2]
    assert text is None  # it has no feedback
    assert "- action no tag here, tried 1 times" in str(texts("next@anchor")[1][2])
    assert "(no future trajectory after this action)" in str(texts("future@anchor")[1][2])


def test_best_and_worst_outcomes() -> None:
    group = Group(
        [
            rollout(turn(0, HALL, "go", "a"), turn(1, HALL, "go", "b"), turn(2, "x", "stay", "c", 1.0)),
            rollout(turn(0, HALL, "go", "d"), turn(1, "y", "win", "e", 10.0), won=True),
            rollout(turn(0, HALL, "go", "f"), turn(1, HALL, "go", "g", -1.0)),
            rollout(turn(0, HALL, "go", "h"), turn(1, HALL, "go", "i", -1.0)),
        ]
    )
    assert texts("success+immediate+next+future@anchor", group)[1][0] == (
        "Candidate actions tried from this state:\n"
        "- action go, tried 7 times, success count: 1/7, average return: 1.1429\n"
        "  best outcome: success, reward 10.0000\n"
        "  worst outcome: failure, reward -1.0000\n"
        "  best outcome immediate_feedback:\nd\n"
        "  worst outcome immediate_feedback:\ni\n"  # ties: the latest step, then the highest index
        "  best outcome next_observation:\nTask: find the lamp.\ny\n"
        "  worst outcome next_observation:\ni\nActions: look\n"
        "  success future trajectory example:\nStep 1\nResponse:\nwin\n"
        "  failed future trajectory example:\n(no future trajectory after this action)"
    )
    only_failures = Group([group[0], group[2]])
    block = texts("immediate+next@anchor", only_failures)[0][0]
    assert block is not None
    assert "  best outcome immediate_feedback:\na\n" in block  # ties: the earliest step, then the lowest index


def test_candidates_come_in_batch_order() -> None:
    # By step index, the second member has the first turn in the hall. In the batch, the first member's row comes first.
    late = rollout(turn(0, ROOM, "<action>go back</action>", HALL), turn(1, HALL, "<action>b</action>", "B"))
    early = rollout(turn(0, HALL, "<action>a</action>", "A"))
    lines = texts("immediate@anchor", Group([late, early]))[1][0]
    assert lines == "Immediate feedback from the current step:\naction b, B\naction a, A"


def test_equal_feedback_appears_once() -> None:
    again = rollout(turn(0, HALL, "<action>LOOK</action>", HALL), turn(1, HALL, "<action> look </action>", "Dark."))
    assert texts("immediate@anchor", Group([again, again]))[0][0] == (
        f"Immediate feedback from the current step:\naction look, {HALL}\naction look, Dark."
    )


def test_state_anchors_separate_equal_texts() -> None:
    turns = [turn(i, "Nothing happens.", f"<action>{i}</action>", "x", anchor=f"s:{i}") for i in range(2)]
    group = Group([rollout(*turns)])
    assert texts("immediate@anchor", group)[0][0] == "Immediate feedback from the current step:\naction 0, x"
    by_text = texts("immediate@anchor", group, options=ContextOptions(anchor="observation"))[0][0]
    assert by_text == "Immediate feedback from the current step:\naction 0, x\naction 1, x"


@pytest.mark.parametrize(
    ("response", "action", "span", "expected"),
    [
        ("<think>a</think><ACTION> Go\n East </ACTION>", "x", None, "go east"),
        ("<action></action>", "x", None, "(empty action)"),
        ("", "Go East", None, "go east"),
        ("I  Go East", "x", None, "i go east"),
        ('Let me see. {"name": "go"}', "x", (12, 26), '{"name": "go"}'),
        ("<action>unclosed", "x", (8, 16), "<action>unclosed"),  # as in the release
        ("", "", None, "(empty action)"),
    ],
)
def test_candidate_action(response: str, action: str, span: tuple[int, int] | None, expected: str) -> None:
    step = Step(0, "", action, "", "", response=response, action_span=span)
    assert candidate_action(step, ContextOptions()) == expected


# -- specs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", SERL_MODES)
def test_specs_round_trip(mode: str) -> None:
    spec = ContextSpec.parse(SERL_MODES[mode])
    assert str(spec) == SERL_MODES[mode]
    assert ContextSpec.parse(str(spec)) == spec


def test_spec_properties() -> None:
    spec = ContextSpec.parse(" next + success | judge:success @ step ")
    assert str(spec) == "success+next|judge:success"
    assert spec.needs_judge
    assert spec.judge_sees_success
    assert not ContextSpec.parse("judge").judge_sees_success


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("sucess", "did you mean 'success'"),
        ("success@ancor", "did you mean 'anchor'"),
        ("success@", "place of a context"),
        ("", "context source"),
        ("success||next", "context source"),
        ("judge@anchor", "try @step"),
        ("current+success@anchor", "try @step"),
        ("judge+judge:success", "one kind of judge"),
    ],
)
def test_bad_specs(text: str, error: str) -> None:
    with pytest.raises(UsageError, match=error):
        ContextSpec.parse(text)
    with pytest.raises(UsageError, match="at least one source"):
        ContextSpec(())


@pytest.mark.parametrize("wrong", [{"trajectory_format": "xml"}, {"anchor": "text"}, {"max_traj_context_steps": -1}])
def test_bad_options(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ContextOptions(**wrong)  # type: ignore[arg-type]


# -- budgets ----------------------------------------------------------------------------------------------------------


def words(text: str) -> int:
    return len(text.split())


def test_a_budget_cuts_bodies_and_marks_the_cut() -> None:
    long = rollout(*(turn(i, HALL, f"<action>go {i}</action>", "x " * 50, 1.0) for i in range(30)), won=True)
    group = Group([long, long])
    (whole, *_), _ = compose("success+immediate", group)
    (cut, *_), _ = compose("success+immediate", group, budget=Budget(60, words))
    assert whole is not None
    assert cut is not None
    assert cut.truncated
    assert [section.title for section in cut.sections] == [section.title for section in whole.sections]
    assert sum(words(section.body) for section in cut.sections) <= 60
    assert all("characters left out …]" in section.body for section in cut.sections)
    text = cut.prompt("  the task  ")
    assert text.startswith("the task\n\nSuccessful trajectory")
    assert text.endswith("\n\nCorrectly solve the current task.\n")


def test_long_sections_get_what_short_ones_do_not_need() -> None:
    short, long = Budget(20, words).share(["a b", "w " * 100])
    assert short == "a b"
    assert 15 <= words(long) <= 18


@pytest.mark.parametrize("truncation", ["tail", "middle"])
def test_the_marker_counts_the_removed_characters(truncation: str) -> None:
    body = "".join(chr(97 + i % 26) for i in range(400))
    budget = Budget(100, len, truncation)  # type: ignore[arg-type]
    shown = budget.cut(body, 100)
    assert len(shown) <= 100
    head, marker, *tail = shown.split("\n")
    assert body.startswith(head)
    assert marker == f"[… {400 - len(head) - sum(map(len, tail))} characters left out …]"
    assert bool(tail) == (truncation == "middle")
    assert body.endswith("".join(tail))
    assert budget.cut(body, 0) == "[… 400 characters left out …]"  # never below the marker
    assert budget.cut("fits", 100) == "fits"
    assert budget.cut("too long by far", 2) == "too long by far"  # but shorter than the marker


def test_a_limit_bounds_the_whole_prompt() -> None:
    sections = (Section("success", "s " * 500), Section("next", "n " * 10))
    context = TeacherContext(sections, sections, Budget(10_000, words))
    text = context.prompt("the task " * 20, limit=150)
    assert 140 <= words(text) <= 150
    assert "n n n n n n n n n n" in text
    tight = context.prompt("the task " * 200, limit=50)  # the task is longer than the limit and is not cut
    assert tight.count("the task") == 200
    assert context.prompt("x", limit=10**6) == context.prompt("x")
    approximate = TeacherContext(sections, sections).prompt("x", limit=100)
    assert approximate_tokens(approximate) <= 100


def test_a_limit_holds_if_parts_have_fewer_tokens_than_the_whole() -> None:
    sections = (Section("success", "s" * 997), Section("next", "n" * 997))
    context = TeacherContext(sections, sections, Budget(10_000, lambda text: len(text) // 100))
    for limit in range(5, 20):
        assert len(context.prompt("x" * 99, limit=limit)) // 100 <= limit


def test_right_raw_cuts_as_the_release_does() -> None:
    group = Group([WINNER, LOSER])
    raw = compose("success", group, budget=Budget(80, len, "right_raw"))[1][0]
    assert raw is not None
    whole = compose("success", group)[1][0]
    assert whole is not None
    assert raw.text == whole.text
    assert raw.prompt("the task") == whole.prompt("the task")[:80]
    assert raw.prompt("the task", limit=20) == whole.prompt("the task")[:20]
    assert compose("success", group, budget=Budget(9999, len, "right_raw"))[1][0].prompt("a") == whole.prompt("a")  # type: ignore[union-attr]


def test_bad_budgets() -> None:
    with pytest.raises(UsageError, match="at least one token"):
        Budget(0)
    with pytest.raises(UnknownNameError, match="did you mean 'middle'"):
        Budget(5, truncation="midle")  # type: ignore[arg-type]


def test_earlier_messages_are_kept() -> None:
    context = compose("immediate", GROUP)[1][0]
    assert context is not None
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt(HALL)}]
    assert context.messages(chat) == [chat[0], {"role": "user", "content": context.prompt(prompt(HALL))}]


def test_compose_is_deterministic_and_pure() -> None:
    specs = [spec for mode, spec in SERL_MODES.items() if not mode.startswith("judge")]
    assert [texts(spec) for spec in specs] == [texts(spec) for spec in specs]
    assert texts("success", Group([SECOND_WINNER, LOSER]))[1][0] == SUCCESS.replace("Take  Lamp", "take lamp")
    assert ROOM in str(texts("next")[2][0])


def test_a_budget_is_kept_with_few_token_counts() -> None:
    calls: list[int] = []

    def count(text: str) -> int:
        calls.append(len(text))
        return words(text)

    rng = random.Random(0)
    for _ in range(50):
        body = " ".join("w" * rng.randint(1, 30) for _ in range(rng.randint(60, 3000)))
        tokens = rng.randint(8, 50)
        calls.clear()
        shown = Budget(tokens, count, "middle").cut(body, tokens)
        assert tokens - 6 <= words(shown) <= tokens
        assert len(calls) < 16
    group = Group([WINNER.replace(steps=WINNER.steps * 30), LOSER.replace(steps=LOSER.steps * 30)])
    calls.clear()
    compose("success+immediate", group, budget=Budget(200, count))
    longest = max(calls)
    assert calls.count(longest) == 1


def test_contexts_can_be_pickled() -> None:
    composed = compose("success+next", GROUP, budget=Budget(30))
    assert pickle.loads(pickle.dumps(composed)) == composed
