from __future__ import annotations

import copy
import pickle

import pytest

from agentgym_hindsight.errors import UnknownNameError
from agentgym_hindsight.hindsight.sources import Feedback, FeedbackSource, Hindsight, Provenance

FIVE = (
    "immediate_feedback",
    "next_observation",
    "current_trajectory",
    "future_trajectory",
    "successful_trajectory",
)


def test_there_are_exactly_five_sources() -> None:
    assert tuple(source.value for source in FeedbackSource) == FIVE == Hindsight.SOURCES
    assert tuple(name for name, _ in Hindsight()) == FIVE
    assert Hindsight().known == ()


def test_text_is_rendered_once_at_the_first_access() -> None:
    calls: list[str] = []

    def render() -> str:
        calls.append("rendered")
        return "text"

    feedback = Feedback(render, detail=render)
    assert calls == []
    assert feedback.text == feedback.text == feedback.detail == "text"
    assert len(calls) == 2


def test_feedback_is_immutable() -> None:
    feedback = Feedback("text")
    with pytest.raises(AttributeError, match="immutable"):
        feedback.text = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="immutable"):
        del feedback.step


def test_feedback_is_a_value() -> None:
    one = Feedback(lambda: "text", Provenance.SIBLING, 3, lambda: "why")
    two = Feedback("text", Provenance.SIBLING, 3, "why")
    assert one == two
    assert hash(one) == hash(two)
    assert one != Feedback("text", Provenance.STORE, 3, "why")
    assert one != "text"
    assert pickle.loads(pickle.dumps(Feedback(lambda: "text"))) == Feedback("text")
    assert copy.deepcopy(two) == two
    assert repr(two) == "Feedback('text', sibling, step=3, detail='why')"


def test_reprs_are_one_short_line() -> None:
    long = Feedback("word\n" * 5000, step=3, detail="word\n" * 5000)
    hindsight = Hindsight(*[long] * 5).with_episode((Hindsight(*[long] * 5),) * 50)
    for value in (long, hindsight):
        assert len(repr(value)) < 600
        assert repr(value).isprintable()
    assert repr(hindsight).endswith(", final)")
    unread = Hindsight(immediate_feedback=Feedback("Done."), current_trajectory=Feedback(lambda: "text"))
    assert repr(unread) == "Hindsight(immediate_feedback='Done.', current_trajectory=…)"
    assert unread.current_trajectory is not None
    assert unread.current_trajectory.text == "text"
    assert repr(unread) == "Hindsight(immediate_feedback='Done.', current_trajectory='text')"


def test_hindsight_by_name_and_by_source() -> None:
    feedback = Feedback("text")
    hindsight = Hindsight(next_observation=feedback)
    assert hindsight["next_observation"] is hindsight[FeedbackSource.NEXT_OBSERVATION] is feedback
    assert hindsight.known == ("next_observation",)
    with pytest.raises(UnknownNameError, match="did you mean 'next_observation'"):
        hindsight["next_observations"]
    with pytest.raises(UnknownNameError, match="feedback source"):
        hindsight.replace(judge=feedback)


def test_hindsight_is_a_value() -> None:
    hindsight = Hindsight(immediate_feedback=Feedback("a", step=1), future_trajectory=Feedback(""))
    assert pickle.loads(pickle.dumps(hindsight)) == hindsight
    assert hash(hindsight) == hash(pickle.loads(pickle.dumps(hindsight)))
    with pytest.raises(AttributeError):
        hindsight.immediate_feedback = None  # type: ignore[misc]


def test_the_episode_is_not_one_of_the_five_sources() -> None:
    calls: list[int] = []

    def episode() -> tuple[Hindsight, ...]:
        calls.append(1)
        return (Hindsight(), Hindsight(immediate_feedback=Feedback("b")))

    plain = Hindsight(immediate_feedback=Feedback("b"))
    last = plain.with_episode(episode)
    assert plain.episode == ()
    assert (plain.is_final, last.is_final) == (False, True)
    assert calls == []
    assert last == plain  # equality compares only the five sources
    changed = last.replace(successful_trajectory=Feedback("s"))
    assert len(last.episode) == len(changed.episode) == 2
    assert last.episode is last.episode
    back = pickle.loads(pickle.dumps(changed))
    assert back == changed
    assert back.episode == changed.episode
