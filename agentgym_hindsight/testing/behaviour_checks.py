"""Checks of how the world behaves: determinism, tasks, anchors, legal and illegal actions, the limit."""

from __future__ import annotations

from typing import Any

from agentgym_hindsight.envs.base import INFO_KEYS
from agentgym_hindsight.errors import ConformanceError
from agentgym_hindsight.testing.env_under_test import NONSENSE, TURN_CAP, EnvUnderTest, Episode, PlayedTurn, show

__all__ = [
    "check_admissible",
    "check_anchors",
    "check_determinism",
    "check_nonsense",
    "check_odd_actions",
    "check_task_identity",
    "check_task_replay",
    "check_truncation",
    "check_unknown_task",
]

_ODD_ACTIONS = (
    "",
    " ",
    "\n\t\r\x00",
    "naïve ☕ 日本語 العربية 👩‍🚀",
    "e\u0301\u200b\u202e",
    "\ud800",  # half a surrogate pair: what a byte-level tokenizer can emit
    "{}[]()<>%s%d\\'\"$`",
    "x" * 100_000,
)


def check_determinism(tested: EnvUnderTest) -> None:
    """Two envs with one seed play the same, info included, over several episodes."""
    for number, (ours, theirs) in enumerate(zip(tested.episodes, tested.play_episodes(tested.twin()), strict=True), 1):
        different = _first_difference(ours, theirs)
        if different:
            raise ConformanceError(
                f"Expected two envs with seed {tested.seed} to play the same, got another {different} in episode "
                f"{number}; try drawing everything from the seed and the task, nothing from time, ids or dict order."
            )


def check_task_identity(tested: EnvUnderTest) -> None:
    """A task id means one task: one goal, one first observation; and it stays through the episode."""
    seen: dict[str, tuple[str, Any]] = {}
    twin = tested.twin()
    starts = [(played.info, played.observation) for played in tested.episodes]
    for shift in range(3):
        observation, info = twin.reset(seed=tested.seed + shift)
        starts.append((info, observation))
    for info, observation in starts:
        known = seen.setdefault(info["task_id"], (info["goal"], observation))
        if known != (info["goal"], observation):
            raise ConformanceError(
                f"Expected task {info['task_id']} to be one task, got two goals or first observations for it; "
                "try making the id from the task's content (tasks.content_hash)."
            )
    for played in tested.episodes:
        for where, info in played.infos():
            if (info["task_id"], info["goal"]) != (played.info["task_id"], played.info["goal"]):
                raise ConformanceError(
                    f"Expected task_id and goal to stay through an episode, got others from {where}; "
                    "try keeping them from reset()."
                )


def check_task_replay(tested: EnvUnderTest) -> None:
    """``reset(options={"task_id": …})`` gives the task back, on this env and on a fresh one."""
    for env, which in ((tested.twin(), "a fresh env"), (tested.env, "the same env")):
        for played in tested.episodes:
            task_id = played.info["task_id"]
            try:
                again = tested.replay(env, played, options={"task_id": task_id})
            except Exception as error:
                raise ConformanceError(
                    f"Expected reset(options={{'task_id': {task_id!r}}}) to replay that task on {which}, got "
                    f"{error!r}; try Backend.find."
                ) from error
            different = _first_difference(played, again)
            if different:
                raise ConformanceError(
                    f"Expected reset(options={{'task_id': {task_id!r}}}) and the same actions to replay the episode on "
                    f"{which}, got another {different}; try keeping nothing of the world from one episode to the next."
                )


def check_unknown_task(tested: EnvUnderTest) -> None:
    """A task id that does not exist is refused, not replaced."""
    try:
        tested.twin().reset(options={"task_id": "no-such-task-id"})
    except Exception:
        return
    raise ConformanceError(
        "Expected an error from reset(options={'task_id': 'no-such-task-id'}), got an episode; "
        "try errors.UnknownNameError."
    )


def check_anchors(tested: EnvUnderTest) -> None:
    """Anchors do not depend on the env object, and they tell states apart."""
    moved = any(turn.action != NONSENSE for played in tested.episodes for turn in played.turns)
    if moved and len({info["anchor"] for played in tested.episodes for _, info in played.infos()}) < 2:
        raise ConformanceError(
            "Expected anchors to tell states apart, got one key for every state of every episode; "
            "try a hash of what can change (tasks.content_hash)."
        )
    twin = tested.twin()
    for played in tested.episodes:
        # Two passes: what is left of the first must not colour the second.
        for _ in range(2):
            again = tested.replay(twin, played, options={"task_id": played.info["task_id"]})
            for (where, ours), (_, theirs) in zip(played.infos(), again.infos(), strict=False):
                if ours["anchor"] != theirs["anchor"]:
                    raise ConformanceError(
                        f"Expected equal states to have equal anchors in two envs, got {ours['anchor']!r} and "
                        f"{theirs['anchor']!r} from {where}; try a canonical key without ids, counters or hash()."
                    )


def check_admissible(tested: EnvUnderTest) -> None:
    """Actions listed as admissible are legal."""
    for played in tested.episodes:
        for before, turn in played.states():
            if turn.action in before["admissible_actions"] and not turn.info["action_valid"]:
                raise ConformanceError(
                    f"Expected the admissible action {turn.action!r} to be legal, got action_valid=False; "
                    "try listing only what the world accepts in this state (an open set is listed as empty)."
                )


def check_nonsense(tested: EnvUnderTest) -> None:
    """An action no world understands is survived, and marked where the legal actions are listed.

    A parser whose protocol judges the format alone leaves the world's verdict in ``env_action_valid``; one that plays
    the nearest listed action has a verdict of its own.
    """
    env = tested.twin()
    _, info = env.reset(seed=tested.seed)
    listed = info["admissible_actions"]
    turn = _step(tested, env, NONSENSE)
    nearest = env.has_wrapper_attr("nearest") and env.get_wrapper_attr("nearest")
    accepted = turn.info["action_valid"] if nearest else turn.info.get("env_action_valid", turn.info["action_valid"])
    if listed and accepted:
        raise ConformanceError(
            f"Expected action_valid=False for {NONSENSE!r}, which is not in the admissible list, got True; "
            "try marking what the world refused (an open set is listed as empty)."
        )


def check_odd_actions(tested: EnvUnderTest) -> None:
    """Empty, enormous, foreign and broken texts are turns like any other."""
    env = tested.twin()
    env.reset(seed=tested.seed)
    for action in _ODD_ACTIONS:
        turn = _step(tested, env, action)
        wrong = [key for key, kind in INFO_KEYS.items() if type(turn.info.get(key)) is not kind]
        if wrong:
            raise ConformanceError(f"Expected the standard info after the action {show(action, 30)}, got {wrong}.")
        if turn.terminated or turn.truncated:
            env.reset(seed=tested.seed)


def check_truncation(tested: EnvUnderTest) -> None:
    """Doing nothing useful ends the episode at the limit, truncated, with its hindsight."""
    env = tested.twin()
    limit = env.get_wrapper_attr("max_steps") if env.has_wrapper_attr("max_steps") else None
    cap = TURN_CAP if limit is None else limit + 1
    played = tested.play(env, lambda turn, info: NONSENSE, seed=tested.seed, cap=cap)
    if not played.over:
        raise ConformanceError(
            f"Expected an episode of nothing but {NONSENSE!r} to be truncated, got {len(played.turns)} steps without "
            "an end; try truncated=True at max_steps."
        )
    last = played.turns[-1]
    if last.terminated:
        return  # a world may end over nonsense: nothing to truncate
    if limit is not None and len(played.turns) != limit:
        raise ConformanceError(f"Expected truncation after max_steps = {limit}, got it after {len(played.turns)}.")
    if len(last.info["hindsight"].episode) != len(played.turns):
        raise ConformanceError(
            f"Expected the hindsight of all {len(played.turns)} steps at truncation, got "
            f"{len(last.info['hindsight'].episode)}; try treating truncation as an end like any other."
        )


def _step(tested: EnvUnderTest, env: Any, action: str) -> PlayedTurn:
    try:
        return PlayedTurn(action, *env.step(tested.respond(action)))
    except Exception as error:
        raise ConformanceError(
            f"Expected the action {show(action, 30)} to be survived, got {error!r}; "
            "try answering it like any action the world does not understand."
        ) from error


def _first_difference(ours: Episode, theirs: Episode) -> str:
    """Where two episodes part, in words; "" if they are equal."""
    if ours.observation != theirs.observation:
        return "first observation"
    for (where, a), (_, b) in zip(ours.infos(), theirs.infos(), strict=False):
        changed = [key for key in a if key not in b or a[key] != b[key]] + [key for key in b if key not in a]
        if changed:
            return f"info[{changed[0]!r}] from {where}"
    for number, (one, other) in enumerate(zip(ours.turns, theirs.turns, strict=False), 1):
        for name in ("action", "observation", "reward", "terminated", "truncated"):
            if getattr(one, name) != getattr(other, name):
                return f"{name} at step {number}"
    return "" if len(ours.turns) == len(theirs.turns) else "length"
