"""Recordings of the original as :class:`Trajectory`, for ``hindsight.store.ReferenceStore``.

Two kinds: transcripts (an episode a line, every page written out, goals by number) and the logs of the original's web
site, which say where people went and not what they saw (``humanlogs.py``). What cannot be read is told by line.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from agentgym_hindsight.envs.webshop.goals import goal_ids, official_split
from agentgym_hindsight.envs.webshop.human_logs import Visit, replayed, visits_of
from agentgym_hindsight.envs.webshop.library import Library
from agentgym_hindsight.envs.webshop.session import parse_action
from agentgym_hindsight.envs.webshop.shop_types import Goal
from agentgym_hindsight.errors import DamagedDataError, MissingDataError
from agentgym_hindsight.hindsight.storage import LineProblem, ReadResult
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory

__all__ = ["read_human_logs", "read_references", "read_transcripts"]

_ENV = "WebShop-Hindsight-v0"
_EXCERPT = 80
_SUFFIXES = (".jsonl", ".jsonl.gz", ".log", ".json")


class _Line(NamedTuple):
    path: Path
    number: int  # from 1
    text: str

    def problem(self, cause: str) -> LineProblem:
        """What is wrong with it; the path too, because a folder of logs has many."""
        return LineProblem(self.number, f"{self.path.name}: {cause}", self.text[:_EXCERPT])


def read_references(path: str | PathLike[str], library: Library) -> ReadResult:
    """Whatever recording ``path`` is: transcripts on this library's goals, a log, or a folder of logs."""
    path = Path(path)
    if path.is_file():
        for line in _lines(path):
            try:
                first = json.loads(line.text)
            except ValueError:
                continue
            if isinstance(first, dict) and "goal_index" in first:
                return read_transcripts(path, library.shop.goals)
    return read_human_logs(path, library)


def read_transcripts(path: str | PathLike[str], goals: Sequence[Goal], *, mode: str = "text") -> ReadResult:
    """The episodes of a ``transcripts.jsonl``, plain or gzip. ``goals`` are those they were played on, in their order.

    ``mode``: "text" or "text_rich", the observations to take. A line that cannot be read is a problem of the result.
    """
    ids = goal_ids(goals)
    trajectories: list[Trajectory] = []
    problems: list[LineProblem] = []
    for line in _lines(Path(path), problems):
        try:
            episode = json.loads(line.text)
            number = episode["goal_index"]
            if not isinstance(number, int) or not 0 <= number < len(goals):
                raise ValueError(f"goal_index {number!r}, but there are {len(goals)} goals")
            if goals[number].instruction not in episode["start"]["text"]:
                raise ValueError(f"goal {number} is another one; try the goals that were recorded with it")
            found = _episode(episode, mode)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            cause = f"no 'key' {error}" if isinstance(error, KeyError) else str(error)
            problems.append(line.problem(f"Expected an episode with goal_index, start and steps: {cause}"))
            continue
        goal, won = goals[number], bool(found) and found[-1].reward == 1.0
        trajectories.append(
            Trajectory(
                task_id=ids[number],
                env_id=_ENV,
                backend="original/official",
                goal=goal.instruction,
                category=goal.category,
                split=official_split(number),
                steps=found,
                won=won,
                score=found[-1].reward if found else 0.0,
                truncated=not (episode["steps"] and episode["steps"][-1]["done"]),
                policy="recorded",
                final_observation=found[-1].feedback if found else episode["start"][mode],
                extra={"goal_index": number, "rules": "official"},
            )
        )
    return ReadResult(tuple(trajectories), tuple(problems))


def read_human_logs(path: str | PathLike[str], library: Library, *, mode: str = "text") -> ReadResult:
    """The original's ``user_session_logs``: a file, or a folder with a file a session, replayed in our shop.

    The logs say which page was asked for when. The actions that lead from one page to the next are found and played
    under official rules; steps that had to be put in (somebody went back in the browser, which leaves no line) say so
    in ``extra["inserted"]``. Where no action leads on, the trajectory ends as ``broken`` and the line is a problem. An
    instruction the library knows is played as its goal; any other as the log has it (``extra["goal"] == "log"``).
    """
    problems: list[LineProblem] = []
    trajectories: list[Trajectory] = []
    for file in _files(Path(path)):
        sessions: list[list[tuple[_Line, Visit]]] = []
        for line in _lines(file, problems):
            try:
                visit = visits_of(json.loads(line.text))
            except (ValueError, TypeError, RecursionError) as error:
                problems.append(line.problem(f"Expected a page of the original's log: {error}"))
                continue
            last = sessions[-1][-1][1] if sessions else None
            if last is None or last.session != visit.session or last.page == "done":
                sessions.append([])
            sessions[-1].append((line, visit))
        for visits in sessions:
            found, stuck = replayed([visit for _, visit in visits], library, mode)
            if stuck is not None:
                line = visits[stuck.place][0]
                problems.append(line.problem(f"Expected a page that actions lead to: {stuck.why}"))
                found = found.replace(broken=f"{file.name}, line {line.number}: {stuck.why}")
            trajectories.append(found.replace(env_id=_ENV))
    return ReadResult(tuple(trajectories), tuple(problems))


def _episode(episode: Mapping[str, Any], mode: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    before = episode["start"]
    for number, after in enumerate(episode["steps"]):
        action, legal, next_legal = after["action"], _admissible(before["actions"]), _admissible(after["actions"])
        shown: str = after[mode]
        reward = float(after["reward"])
        if not isinstance(action, str) or not isinstance(shown, str):
            raise TypeError(f"step {number} has no text")
        steps.append(
            Step(
                number,
                before[mode],
                action,
                shown,
                f"{shown}\nAdmissible actions: {', '.join(next_legal)}" if next_legal else shown,
                legal,
                reward=reward,
                score=reward,
                action_valid=_understood(action, before["actions"]),
                extra={"reward_parts": after["reward_parts"]} if "reward_parts" in after else {},
            )
        )
        before = after
    return tuple(steps)


def _admissible(available: Mapping[str, Any]) -> tuple[str, ...]:
    if available["has_search_bar"]:
        return ()
    actions = ((name, f"click[{name}]") for name in available["clickables"])
    return tuple(action for name, action in actions if name != "search" and parse_action(action) == ("click", name))


def _understood(action: str, available: Mapping[str, Any]) -> bool:
    name, argument = parse_action(action)
    if name == "click":
        return argument in available["clickables"] and argument != "search"
    return name == "search" and bool(argument)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and file.name.endswith(_SUFFIXES))
        if files:
            return files
    elif path.is_file():
        return [path]
    raise MissingDataError(
        f"Expected a recording or a folder of logs (*.jsonl) at {path}, found none; "
        "try the transcripts.jsonl.gz of a recording, or the user_session_logs of the original's site."
    )


def _lines(path: Path, problems: list[LineProblem] | None = None) -> Iterator[_Line]:
    """The lines that hold something. A cut archive ends in a problem, or an error where none are collected."""
    if not path.is_file():
        raise MissingDataError(f"Expected a recording at {path}, found no file; try the whole path.")
    with path.open("rb") as head:
        packed = head.read(2) == b"\x1f\x8b"
    number = 0
    try:
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            for number, data in enumerate(file, 1):
                if data.strip():
                    yield _Line(path, number, data.decode("utf-8", "replace").strip())
    except (EOFError, OSError, zlib.error) as error:
        cause = f"{path.name}: Expected more lines, got {error!r:.120}; try copying the file anew."
        if problems is None:
            raise DamagedDataError(f"{cause} It breaks off after line {number}.") from error
        problems.append(LineProblem(number + 1, cause, ""))
