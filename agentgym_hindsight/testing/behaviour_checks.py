"""Checks of the env's behaviour: determinism, tasks, anchors, valid and invalid actions, the step limit."""

from __future__ import annotations

from typing import Any

from agentgym_hindsight.envs.base import INFO_KEYS
from agentgym_hindsight.envs.extra import example_actions
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
    "first_difference",
]

_ODD_ACTIONS = (
    "",
    " ",
    "\n\t\r\x00",
    "naïve ☕ 日本語 العربية 👩‍🚀",
    "e\u0301\u200b\u202e",
    "\ud800",  # half of a surrogate pair, which a byte-level tokenizer can produce
    "{}[]()<>%s%d\\'\"$`",
    "x" * 100_000,
)


def check_determinism(tested: EnvUnderTest) -> None:
    """Two envs with one seed give the same episodes, info included."""
    for number, (first, second) in enumerate(zip(tested.episodes, tested.play_episodes(tested.twin()), strict=True), 1):
        different = first_difference(first, second)
        if different:
            raise ConformanceError(
                f"Expected two envs with seed {tested.seed} to play the same, got another {different} in episode "
                f"{number}; try deriving everything from the seed and the task, not from time, ids or dict order."
            )


def check_task_identity(tested: EnvUnderTest) -> None:
    """One task id means one task, with one goal and one first observation. It does not change during an episode."""
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
                    f"Expected task_id and goal to stay the same in an episode, got others from {where}; "
                    "try keeping the values of reset()."
                )


def check_task_replay(tested: EnvUnderTest) -> None:
    """``reset(options={"task_id": …})`` gives the same task again, on this env and on a new one."""
    for env, env_name in ((tested.twin(), "a fresh env"), (tested.env, "the same env")):
        for played in tested.episodes:
            task_id = played.info["task_id"]
            try:
                replayed = tested.replay(env, played, options={"task_id": task_id})
            except Exception as error:
                raise ConformanceError(
                    f"Expected reset(options={{'task_id': {task_id!r}}}) to replay that task on {env_name}, got "
                    f"{error!r}; try Backend.find."
                ) from error
            different = first_difference(played, replayed)
            if different:
                raise ConformanceError(
                    f"Expected reset(options={{'task_id': {task_id!r}}}) and the same actions to replay the episode on "
                    f"{env_name}, got another {different}; try clearing all state of the world in reset()."
                )


def check_unknown_task(tested: EnvUnderTest) -> None:
    """An unknown task id raises an error; no other task is played instead."""
    try:
        tested.twin().reset(options={"task_id": "no-such-task-id"})
    except Exception:
        return
    raise ConformanceError(
        "Expected an error from reset(options={'task_id': 'no-such-task-id'}), got an episode; "
        "try errors.UnknownNameError."
    )


def check_anchors(tested: EnvUnderTest) -> None:
    """Equal states have equal anchors in every env, and different states have different anchors."""
    moved = any(_moves(tested, before, turn) for played in tested.episodes for before, turn in played.states())
    if moved and len({info["anchor"] for played in tested.episodes for _, info in played.infos()}) < 2:
        raise ConformanceError(
            "Expected different anchors for different states, got one key for every state of every episode; "
            "try a hash of everything that can change (tasks.content_hash)."
        )
    twin = tested.twin()
    for played in tested.episodes:
        # Two passes: state left over from the first pass must not change the second.
        for _ in range(2):
            replayed = tested.replay(twin, played, options={"task_id": played.info["task_id"]})
            for (where, first_info), (_, second_info) in zip(played.infos(), replayed.infos(), strict=False):
                if first_info["anchor"] != second_info["anchor"]:
                    raise ConformanceError(
                        f"Expected equal states to have equal anchors in two envs, got {first_info['anchor']!r} and "
                        f"{second_info['anchor']!r} from {where}; try a canonical key without ids, counters or hash()."
                    )


def _moves(tested: EnvUnderTest, before: dict[str, Any], turn: PlayedTurn) -> bool:
    """Whether an action was meant to change the state. The examples of a world may only read."""
    only_example = turn.action in example_actions(before.get("extra")) and turn.action not in tested.actions
    return turn.action != NONSENSE and not only_example


def check_admissible(tested: EnvUnderTest) -> None:
    """Actions listed as admissible are valid."""
    for played in tested.episodes:
        for before, turn in played.states():
            if turn.action in before["admissible_actions"] and not turn.info["action_valid"]:
                raise ConformanceError(
                    f"Expected the admissible action {turn.action!r} to be valid, got action_valid=False; "
                    "try listing only actions that the world accepts in this state (none if the set is open)."
                )


def check_nonsense(tested: EnvUnderTest) -> None:
    """An action that no world understands counts as a turn, and as invalid if the valid actions are listed.

    If a parser checks only the format, the env's validity is in ``env_action_valid``. If a parser replaces the
    action by the nearest listed one, the parser's validity counts.
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
            "try marking refused actions (if the set of actions is open, list none)."
        )


def check_odd_actions(tested: EnvUnderTest) -> None:
    """Empty, very long, non-ASCII and invalid texts count as turns and raise no error."""
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
    """An episode without a useful action is truncated at the step limit, and has the hindsight of every step."""
    env = tested.twin()
    limit = env.get_wrapper_attr("max_steps") if env.has_wrapper_attr("max_steps") else None
    cap = TURN_CAP if limit is None else limit + 1
    played = tested.play(env, lambda turn, info: NONSENSE, seed=tested.seed, cap=cap)
    if not played.over:
        raise ConformanceError(
            f"Expected an episode of only {NONSENSE!r} to be truncated, got {len(played.turns)} steps without "
            "an end; try truncated=True at max_steps."
        )
    last = played.turns[-1]
    if last.terminated:
        return  # the world has terminated the episode, so there is nothing to truncate
    if limit is not None and len(played.turns) != limit:
        raise ConformanceError(f"Expected truncation after max_steps = {limit}, got it after {len(played.turns)}.")
    if len(last.info["hindsight"].episode) != len(played.turns):
        raise ConformanceError(
            f"Expected the hindsight of all {len(played.turns)} steps at truncation, got "
            f"{len(last.info['hindsight'].episode)}; try handling truncation like termination."
        )


def _step(tested: EnvUnderTest, env: Any, action: str) -> PlayedTurn:
    try:
        return PlayedTurn(action, *env.step(tested.respond(action)))
    except Exception as error:
        raise ConformanceError(
            f"Expected a reply to the action {show(action, 30)}, got {error!r}; "
            "try the same reply as to any action that the world does not understand."
        ) from error


def first_difference(first: Episode, second: Episode) -> str:
    """The first difference between two episodes as text; "" if they are equal."""
    if first.observation != second.observation:
        return "first observation"
    for (where, info), (_, other) in zip(first.infos(), second.infos(), strict=False):
        changed = [key for key in info if key not in other or info[key] != other[key]]
        changed += [key for key in other if key not in info]
        if changed:
            return f"info[{changed[0]!r}] from {where}"
    for number, (turn, other_turn) in enumerate(zip(first.turns, second.turns, strict=False), 1):
        for name in ("action", "observation", "reward", "terminated", "truncated"):
            if getattr(turn, name) != getattr(other_turn, name):
                return f"{name} at step {number}"
    return "" if len(first.turns) == len(second.turns) else "length"
