from __future__ import annotations

from dataclasses import replace

from agentgym_hindsight.hindsight.reference_store import ReferenceStore
from agentgym_hindsight.hindsight.resolve import hindsight_now, reference_for, resolve, resolve_episode
from agentgym_hindsight.hindsight.sources import Provenance
from agentgym_hindsight.hindsight.trajectory import Group, Step, render_steps
from tests.hindsight.rollouts import GROUP, HALL, LOSER, SECOND_WINNER, WINNER
from tests.toy import CorridorEnv


def text(feedback: object) -> str | None:
    return None if feedback is None else str(feedback.text)  # type: ignore[attr-defined]


def test_three_sources_are_known_after_a_step() -> None:
    growing = list(LOSER.steps[:1])
    now = hindsight_now(LOSER.steps[0], growing)
    growing.append(LOSER.steps[1])  # the env continues before the text is read
    assert now.known == ("immediate_feedback", "next_observation", "current_trajectory")
    assert text(now.immediate_feedback) == HALL
    assert now.immediate_feedback is not None
    assert now.immediate_feedback.detail == "You have seen it all."
    assert text(now.next_observation) == f"{HALL}\nActions: look"
    assert text(now.current_trajectory) == render_steps(LOSER.steps[:1])


def test_the_future_is_known_at_the_end() -> None:
    episode = resolve_episode(LOSER.steps)
    assert [text(h.future_trajectory) for h in episode] == [
        render_steps(LOSER.steps[1:]),
        render_steps(LOSER.steps[2:]),
        "",  # known, but empty
    ]
    assert {text(h.current_trajectory) for h in episode} == {render_steps(LOSER.steps)}
    assert [h.successful_trajectory for h in episode] == [None] * 3
    assert [h.immediate_feedback.step for h in episode if h.immediate_feedback] == [0, 1, 2]
    assert resolve_episode(()) == ()


def test_another_member_gives_the_success() -> None:
    resolved = resolve(GROUP)
    assert [len(member) for member in resolved] == [2, 3, 2]
    expected = [SECOND_WINNER, WINNER, WINNER]
    for member, reference in zip(resolved, expected, strict=True):
        for hindsight in member:
            assert text(hindsight.successful_trajectory) == render_steps(reference.steps)
            assert hindsight.successful_trajectory is not None
            assert hindsight.successful_trajectory.provenance is Provenance.SIBLING


def test_a_winner_is_no_reference_for_itself() -> None:
    mixed_group = Group([WINNER, LOSER])
    assert resolve(mixed_group)[0][0].successful_trajectory is None
    assert text(resolve(mixed_group, own_success=True)[0][0].successful_trajectory) == render_steps(WINNER.steps)
    store = ReferenceStore()
    store.add(mixed_group)  # the store returns the winner's own rollout
    assert resolve(mixed_group, store)[0][0].successful_trajectory is None
    assert reference_for(Group([WINNER]), 0, store, own_success=True) == (WINNER, Provenance.SIBLING)


def test_a_store_is_used_if_no_member_won() -> None:
    store = ReferenceStore()
    store.add(SECOND_WINNER)
    group = Group([LOSER])
    assert reference_for(group, 0, store) == (SECOND_WINNER, Provenance.STORE)
    assert reference_for(Group([LOSER, WINNER]), 0, store) == (WINNER, Provenance.SIBLING)
    expert = ReferenceStore()
    expert.add(SECOND_WINNER.replace(policy="expert"))
    feedback = resolve(group, expert)[0][0].successful_trajectory
    assert feedback is not None
    assert feedback.provenance is Provenance.EXPERT
    assert reference_for(group, 0, ReferenceStore())[0] is None


def test_a_transcript_is_rendered_once_for_all_steps(monkeypatch: object) -> None:
    class Counted(str):
        renders = 0

        def __format__(self, spec: str) -> str:
            Counted.renders += 1
            return str(self)

    steps = tuple(Step(i, Counted("x"), "look", "", "") for i in range(3))
    group = Group([replace(WINNER, steps=steps), LOSER])
    resolved = resolve(group)[1]
    assert {text(h.successful_trajectory) for h in resolved} == {render_steps(steps)}
    assert Counted.renders == 3 + 3  # once here, once for the three steps of the loser


def test_an_env_returns_the_same_hindsight() -> None:
    env = CorridorEnv(max_steps=3)
    env.reset(seed=1)
    infos = [env.step("west")[4] for _ in range(3)]
    assert infos[0]["hindsight"].episode == ()
    assert infos[-1]["hindsight"].episode == resolve_episode(env.trajectory().steps)
