"""Read recordings of the original as :class:`Trajectory`, for ``hindsight.reference_store.ReferenceStore``.

There are two kinds: transcripts (one episode per line, with the text of every page and the number of the goal), and
logs of the original's web site, which have the addresses of pages but not their contents (``human_logs.py``).
Unreadable lines are reported by number.
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
from agentgym_hindsight.envs.webshop.human_logs import Visit, replayed, visit_of
from agentgym_hindsight.envs.webshop.json_stream import is_gzip
from agentgym_hindsight.envs.webshop.library import Library
from agentgym_hindsight.envs.webshop.session import admissible_clicks, parse_action
from agentgym_hindsight.envs.webshop.shop_types import Goal
from agentgym_hindsight.errors import DamagedDataError, MissingDataError
from agentgym_hindsight.hindsight.jsonl import LineProblem, ReadResult
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
        """A problem with this line. It names the file, because a folder of logs has many."""
        return LineProblem(self.number, f"{self.path.name}: {cause}", self.text[:_EXCERPT])


def read_references(path: str | PathLike[str], library: Library) -> ReadResult:
    """Read any recording: transcripts on the goals of this library, a log, or a folder of logs."""
    path = Path(path)
    if path.is_file():
        for line in _lines(path):
            try:
                first = json.loads(line.text)
            except (ValueError, RecursionError):
                continue
            if isinstance(first, dict) and "goal_index" in first:
                return read_transcripts(path, library.shop.goals)
    return read_human_logs(path, library)


def read_transcripts(path: str | PathLike[str], goals: Sequence[Goal], *, mode: str = "text") -> ReadResult:
    """The episodes of a ``transcripts.jsonl``, plain or gzip. ``goals`` are the recorded goals, in their order.

    ``mode``: the observations to use, "text" or "text_rich". Unreadable lines become problems of the result.
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
                raise ValueError(f"goal {number} has another instruction; try the goals that were recorded with it")
            episode_steps = _episode(episode, mode)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            cause = f"no 'key' {error}" if isinstance(error, KeyError) else str(error)
            problems.append(line.problem(f"Expected an episode with goal_index, start and steps: {cause}"))
            continue
        goal, won = goals[number], bool(episode_steps) and episode_steps[-1].reward == 1.0
        trajectories.append(
            Trajectory(
                task_id=ids[number],
                env_id=_ENV,
                backend="original/official",
                goal=goal.instruction,
                category=goal.category,
                split=official_split(number),
                steps=episode_steps,
                won=won,
                score=episode_steps[-1].reward if episode_steps else 0.0,
                truncated=not (episode["steps"] and episode["steps"][-1]["done"]),
                policy="recorded",
                final_observation=episode_steps[-1].feedback if episode_steps else episode["start"][mode],
                extra={"goal_index": number, "rules": "official"},
            )
        )
    return ReadResult(tuple(trajectories), tuple(problems))


def read_human_logs(path: str | PathLike[str], library: Library, *, mode: str = "text") -> ReadResult:
    """The original's ``user_session_logs``, a file or a folder with one file per session, replayed in our shop.

    A log lists the requested pages. The actions that lead from one page to the next are derived and executed under
    official rules. Inserted steps, which a log does not contain because the user went back in the browser, have
    ``extra["inserted"]``. If no action leads to a page, the trajectory ends as ``broken`` and the line is a problem.
    If the library has a goal with the instruction, that goal is played; otherwise the goal of the log is
    (``extra["goal"] == "log"``).
    """
    problems: list[LineProblem] = []
    trajectories: list[Trajectory] = []
    for file in _files(Path(path)):
        sessions: list[list[tuple[_Line, Visit]]] = []
        for line in _lines(file, problems):
            try:
                visit = visit_of(json.loads(line.text))
            except (ValueError, TypeError, RecursionError) as error:
                problems.append(line.problem(f"Expected a page of the original's log: {error}"))
                continue
            last = sessions[-1][-1][1] if sessions else None
            if last is None or last.session != visit.session or last.page == "done":
                sessions.append([])
            sessions[-1].append((line, visit))
        for visits in sessions:
            trajectory, stop = replayed([visit for _, visit in visits], library, mode)
            if stop is not None:
                line = visits[stop.position][0]
                problems.append(line.problem(f"Expected a page that actions lead to: {stop.reason}"))
                trajectory = trajectory.replace(broken=f"{file.name}, line {line.number}: {stop.reason}")
            trajectories.append(trajectory.replace(env_id=_ENV))
    return ReadResult(tuple(trajectories), tuple(problems))


def _episode(episode: Mapping[str, Any], mode: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    page = episode["start"]
    for number, next_page in enumerate(episode["steps"]):
        action = next_page["action"]
        admissible, next_admissible = _admissible(page["actions"]), _admissible(next_page["actions"])
        observation: str = next_page[mode]
        reward = float(next_page["reward"])
        if not isinstance(action, str) or not isinstance(observation, str):
            raise TypeError(f"step {number} has no text")
        steps.append(
            Step(
                number,
                page[mode],
                action,
                observation,
                f"{observation}\nAdmissible actions: {', '.join(next_admissible)}" if next_admissible else observation,
                admissible,
                reward=reward,
                score=reward,
                action_valid=_is_valid(action, page["actions"]),
                extra={"reward_parts": next_page["reward_parts"]} if "reward_parts" in next_page else {},
            )
        )
        page = next_page
    return tuple(steps)


def _admissible(available: Mapping[str, Any]) -> tuple[str, ...]:
    return () if available["has_search_bar"] else admissible_clicks(available["clickables"])


def _is_valid(action: str, available: Mapping[str, Any]) -> bool:
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
    """The lines that are not blank. A truncated archive gives a problem, or an error if ``problems`` is None."""
    if not path.is_file():
        raise MissingDataError(f"Expected a recording at {path}, found no file; try the whole path.")
    number = 0
    try:
        with gzip.open(path, "rb") if is_gzip(path) else path.open("rb") as file:
            for number, data in enumerate(file, 1):
                if data.strip():
                    yield _Line(path, number, data.decode("utf-8", "replace").strip())
    except (EOFError, OSError, zlib.error) as error:
        cause = f"{path.name}: Expected more lines, got {error!r:.120}; try copying the file again."
        if problems is None:
            raise DamagedDataError(f"{cause} It ends after line {number}.") from error
        problems.append(LineProblem(number + 1, cause, ""))
