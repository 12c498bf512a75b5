"""The judge's reference rollout, and the answers that count."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.hindsight.judge_prompt import judge_reference, useful_answer
from agentgym_hindsight.hindsight.trajectory import Group, Step, Trajectory
from tests.release.released_code import needs_release, released

pytestmark = [needs_release, pytest.mark.slow]

ANSWERS = (
    "none",
    "None",
    " N/A ",
    "na",
    "No comment",
    "no judgment",
    "no judge",
    "",
    " \n",
    "It failed.",
    " It won.\n",
)
#: Answers that we also take for empty, because small models give them.
OURS = ("None.", "**None**", "null", "Trajectory Judge:", "<think>Hm.</think>", "no judgement")


def random_group(rng: random.Random, number: int) -> Group:
    """One to six rollouts with rewards of their turns and refused actions."""
    members = []
    for sibling in range(rng.randint(1, 6)):
        steps = tuple(
            Step(index, "", "", "", "", reward=rng.choice((0.0, 0.25, -1.0, 1 / 3)), action_valid=rng.random() < 0.7)
            for index in range(rng.randint(1, 8))
        )
        members.append(Trajectory(f"t{number}", steps=steps, won=rng.random() < 0.4, sibling=sibling))
    return Group(members)


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Any:
    def say(what: str, compared: int, different: int) -> None:
        with capsys.disabled():
            print(f"\n{what}: {compared} compared, {different} differ")

    return say


def test_the_reference_of_the_judge(report: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = released("recipe/serl/privileged_context.py")
    seen: list[int | None] = []

    def build(*, successful_reference: Any = None, **_: Any) -> str:
        seen.append(successful_reference and successful_reference.traj_uid)
        return ""

    monkeypatch.setattr(theirs, "_build_trajectory_judge_user_prompt", build)
    rng, ours = random.Random(0), []
    for number in range(2_000):
        group = random_group(rng, number)
        ours += [(found := judge_reference(group, member)) and found.sibling for member in range(len(group))]
        theirs._collect_rollout_judge_tasks(
            contexts={m: SimpleNamespace(uid=0, traj_uid=m, success=each.won) for m, each in enumerate(group)},
            uid_to_traj_indices={0: list(range(len(group)))},
            mode="judge_current_traj_on_successful_sample",
            judge_include_feedback=True,
        )
    different = sum(a != b for a, b in zip(ours, seen, strict=True))
    report("reference rollouts of the judge", len(seen), different)
    assert len(set(seen)) > 3
    assert not different


def test_the_answers_of_the_judge(report: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = released("recipe/serl/privileged_context.py")
    limits = ("timeout", "request_retries", "max_tokens", "retry_max_tokens", "temperature")
    config = {f"judge_{name}": 1 for name in limits}
    monkeypatch.setattr(theirs, "print", lambda *_: None, raising=False)  # it reports every empty answer
    monkeypatch.setattr(theirs.requests, "RequestException", OSError, raising=False)

    def of_release(answer: str) -> str | None:
        monkeypatch.setattr(theirs, "chat_completion_text", lambda **_: answer)
        found: str | None = theirs._call_remote_judge(system_prompt="", user_prompt="", cfg=config, failure_label="")
        return found

    different = [answer for answer in ANSWERS if useful_answer(answer) != of_release(answer)]
    report("answers of the judge", len(ANSWERS), len(different))
    assert not different
    assert [(useful_answer(answer), bool(of_release(answer))) for answer in OURS] == [(None, True)] * len(OURS)
