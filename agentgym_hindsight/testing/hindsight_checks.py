"""Checks of the five sources: when each is known, and what it contains."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from agentgym_hindsight.errors import ConformanceError
from agentgym_hindsight.hindsight.sources import Feedback, Hindsight, Provenance
from agentgym_hindsight.testing.env_under_test import NONSENSE, EnvUnderTest, Episode, show

__all__ = [
    "check_episode",
    "check_future",
    "check_no_leak",
    "check_recorded",
    "check_source_times",
    "check_sources_differ",
]

_AT_ONCE = ("immediate_feedback", "next_observation", "current_trajectory")
_MARKED_TURNS = 6
_SEARCHED_TURNS = 25  # transcripts grow with every turn, so searching all of a long episode is quadratic


def check_source_times(tested: EnvUnderTest) -> None:
    """No source is known on reset, three are known after a step, and the future is not known before the end."""
    for played in tested.episodes:
        if played.info["hindsight"].known:
            raise ConformanceError(
                f"Expected no hindsight from reset(), got {', '.join(played.info['hindsight'].known)}; try Hindsight()."
            )
        for number, turn in enumerate(played.turns):
            hindsight = turn.info["hindsight"]
            unknown = [name for name in _AT_ONCE if getattr(hindsight, name) is None]
            if unknown:
                raise ConformanceError(
                    f"Expected {', '.join(_AT_ONCE)} after step {number + 1}, got None for {', '.join(unknown)}; "
                    "try hindsight.resolve.hindsight_now."
                )
            for name, feedback in hindsight:
                if feedback is None:
                    continue
                if type(feedback) is not Feedback:
                    raise ConformanceError(f"Expected {name} as Feedback, got {type(feedback).__name__}.")
                if name in _AT_ONCE and feedback.step != number:
                    raise ConformanceError(
                        f"Expected {name} after step {number + 1} to describe step {number} (from 0), got "
                        f"{feedback.step}; try Feedback(…, step=index)."
                    )
            last = number + 1 == len(played.turns)
            if not last and (hindsight.future_trajectory is not None or hindsight.episode):
                raise ConformanceError(
                    f"Expected the future only at the end, got it after step {number + 1} of {len(played.turns)}; "
                    "try setting future_trajectory only in the terminal hindsight's episode."
                )


def check_sources_differ(tested: EnvUnderTest) -> None:
    """No two sources have the same text at every step of an episode."""
    for played in tested.episodes:
        sources = played.turns[-1].info["hindsight"].episode
        if len(sources) < 2:
            continue
        lists_actions = any(info["admissible_actions"] for _, info in played.infos())
        for first, second in combinations(Hindsight.SOURCES, 2):
            if not lists_actions and (first, second) == ("immediate_feedback", "next_observation"):
                continue  # if the set of actions is open, the next state may be just the reply
            won = played.turns[-1].info["won"]
            if won and (first, second) == ("current_trajectory", "successful_trajectory"):
                continue  # a winner may have played the expert's actions
            pairs = [(each[first], each[second]) for each in sources]
            if all(a is not None and b is not None and a.text == b.text for a, b in pairs):
                raise ConformanceError(
                    f"Expected five different sources, got the same text for {first} and {second} at every step; "
                    "try the definitions in hindsight.sources."
                )


def check_episode(tested: EnvUnderTest) -> None:
    """The terminal hindsight has one entry per step: the sources known earlier, unchanged, and the delayed ones."""
    for played in tested.episodes:
        hindsights = [turn.info["hindsight"] for turn in played.turns]
        episode = hindsights[-1].episode
        if type(episode) is not tuple or len(episode) != len(hindsights):
            raise ConformanceError(
                f"Expected a Hindsight for each of the {len(hindsights)} steps in the terminal hindsight's episode, "
                f"got {len(episode)}; try hindsight.with_episode(resolve_episode(steps)), and max_steps or "
                "gymnasium.make(…, max_episode_steps=…) instead of a TimeLimit of your own."
            )
        for number, (earlier, final) in enumerate(zip(hindsights, episode, strict=True)):
            for name in ("current_trajectory", "future_trajectory"):
                if final[name] is None:
                    raise ConformanceError(f"Expected {name} of step {number} in the terminal episode, got None.")
            for name in ("immediate_feedback", "next_observation"):
                if earlier[name] != final[name]:
                    raise ConformanceError(
                        f"Expected an unchanged {name} of step {number}, got {show(final[name])} in the terminal "
                        f"episode instead of {show(earlier[name])}."
                    )


def check_future(tested: EnvUnderTest) -> None:
    """The future of a step has only later steps, and the current trajectory is the whole rollout."""
    if tested.env.has_wrapper_attr("nearest") and tested.env.get_wrapper_attr("nearest"):
        return  # the marks are not listed, so the parser would replace them by listed actions
    played = _play_marked(tested)
    episode = played.turns[-1].info["hindsight"].episode
    count = min(len(episode), _MARKED_TURNS)
    for number in range(count):
        future = _text(episode[number].future_trajectory)
        # Search only the action lines: a reply may quote its action (a traceback shows the failed line).
        if any(_marker(number) in line for line in future.splitlines() if line.startswith("Action: ")):
            raise ConformanceError(
                f"Expected the future of step {number} to begin after it, got its own action; try steps[k + 1:]."
            )
        later = [other for other in range(number + 1, count) if _marker(other) not in future]
        if later:
            raise ConformanceError(
                f"Expected the future of step {number} to contain every later step, got none of step {later[0]}; "
                "try steps[k + 1:]."
            )
        current = episode[number].current_trajectory
        if current is None or current.provenance is Provenance.JUDGE:
            continue  # a judge's text replaces it
        missing = [other for other in range(count) if _marker(other) not in current.text]
        if missing:
            raise ConformanceError(
                f"Expected the whole rollout as current_trajectory at the end, got no step {missing[0]} in it; "
                "try render_steps(steps)."
            )
    if episode and _text(episode[-1].future_trajectory):
        raise ConformanceError(
            f"Expected an empty future of the last step, got {show(_text(episode[-1].future_trajectory))}."
        )


def check_no_leak(tested: EnvUnderTest) -> None:
    """The observation contains no privileged text."""
    # The reason of a refused action is privileged too, and the episodes may contain no refusal.
    refused = tested.play(tested.twin(), lambda turn, info: NONSENSE, seed=tested.seed, cap=3)
    for played in (*tested.episodes, refused):
        for number, turn in enumerate(played.turns[:_SEARCHED_TURNS]):
            for name, text in _privileged_texts(turn.info["hindsight"]):
                if text and text in turn.observation:
                    raise ConformanceError(
                        f"Expected no hindsight in the observation of step {number + 1}, got its {name} "
                        f"({show(text, 60)}); try keeping it only in info['hindsight']."
                    )


def check_recorded(tested: EnvUnderTest) -> None:
    """If the env records its episode, the record has the values that reset and step returned."""
    env = tested.twin()
    if not env.has_wrapper_attr("trajectory"):
        return
    played = tested.play(env, tested.choose_action, seed=tested.seed)
    record, last = env.get_wrapper_attr("trajectory")(), played.turns[-1]
    expected: dict[str, Any] = {
        "task_id": last.info["task_id"],
        "goal": last.info["goal"],
        "won": last.info["won"],
        "score": last.info["score"],
        "truncated": last.truncated and not last.terminated,  # a TimeLimit may report both
        "actions": tuple(turn.action for turn in played.turns),
        "rewards": tuple(turn.reward for turn in played.turns),
        "action_valid": tuple(turn.info["action_valid"] for turn in played.turns),
        "anchors": tuple(turn.info["anchor"] for turn in played.turns),
    }
    recorded = {
        **{name: getattr(record, name) for name in ("task_id", "goal", "won", "score", "truncated", "actions")},
        "rewards": tuple(step.reward for step in record.steps),
        "action_valid": tuple(step.action_valid for step in record.steps),
        "anchors": tuple(step.next_anchor for step in record.steps),
    }
    for name, value in expected.items():
        if recorded[name] != value:
            raise ConformanceError(
                f"Expected trajectory() to record {name} = {show(value)}, got {show(recorded[name])}; "
                "try recording in step() what step() returns (wrappers: annotate)."
            )


def _privileged_texts(hindsight: Hindsight) -> list[tuple[str, str]]:
    delayed = ("current_trajectory", "future_trajectory", "successful_trajectory")
    texts = [(name, _text(hindsight[name])) for name in delayed]
    if hindsight.immediate_feedback is not None:
        texts.append(("reason (detail)", hindsight.immediate_feedback.detail))
    return texts


def _play_marked(tested: EnvUnderTest) -> Episode:
    """Play an episode whose first actions are unique marks, so that a text can be searched for each action."""
    return tested.play(
        tested.twin(),
        lambda turn, info: _marker(turn) if turn < _MARKED_TURNS else tested.choose_action(turn, info),
        seed=tested.seed,
    )


def _marker(turn: int) -> str:
    return f"zzmark{turn}zz"


def _text(feedback: Feedback | None) -> str:
    return "" if feedback is None else feedback.text
