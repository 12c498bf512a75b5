"""Compares the native tools and rewards with recordings of the genuine ones, call by call."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentgym_hindsight.envs.tau.data_folder import TABLES, load_desk
from agentgym_hindsight.envs.tau.desk import RESPOND, Desk
from agentgym_hindsight.envs.tau.rewards import evaluate, gold_database
from agentgym_hindsight.envs.tau.store import Database
from agentgym_hindsight.errors import DamagedDataError, MissingDataError
from agentgym_hindsight.short_repr import short_repr

__all__ = ["ParityReport", "check_recordings", "read_recordings"]

_OPENERS: Mapping[str, Any] = {".xz": lzma.open, ".gz": gzip.open}
_STOP = "###STOP###"


@dataclass
class ParityReport:
    """The numbers of a comparison, and the first differences."""

    episodes: int = 0
    calls: int = 0
    hashes: int = 0
    rewards: int = 0
    differences: int = 0
    shown: list[str] = field(default_factory=list)

    def differ(self, episode: Mapping[str, Any], what: str, native: object, recorded: object) -> None:
        """Count a difference. The first twenty are kept in words."""
        self.differences += 1
        if len(self.shown) < 20:
            self.shown.append(
                f"{episode.get('id')} ({episode.get('kind')}), {what}: native {short_repr(native, 300)}, "
                f"recorded {short_repr(recorded, 300)}"
            )

    def summary(self) -> str:
        """The report as text. The last line has the number of differences."""
        lines = [f"- {line}" for line in self.shown]
        if self.differences > len(self.shown):
            lines.append(f"- and {self.differences - len(self.shown)} more")
        lines.append(f"{self.episodes} episodes, {self.hashes} database hashes, {self.rewards} rewards compared")
        return "\n".join([*lines, f"differences: {self.differences} of {self.calls} calls"])


def read_recordings(path: Path) -> Iterator[dict[str, Any]]:
    """The episodes of a recording: JSON lines, also compressed."""
    opener = _OPENERS.get(path.suffix, open)
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                episode = json.loads(line)
                if not isinstance(episode, dict) or not isinstance(episode.get("calls"), list):
                    raise DamagedDataError(
                        f"Expected an episode with calls in {path}, line {number}, got {short_repr(episode, 80)}; "
                        "try a recording of the shape that docs/envs/taubench.md describes."
                    )
                yield episode
    except FileNotFoundError as error:
        raise MissingDataError(f"Expected a recording {path}, got no such file; try another path.") from error
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError, ValueError) as error:
        raise DamagedDataError(
            f"Expected JSON lines in {path}, got {type(error).__name__}: {error}; try the file again."
        ) from error


def check_recordings(folder: Path, paths: list[Path], report: ParityReport | None = None) -> Iterator[ParityReport]:
    """Replay every episode of the recordings. Yields the report, which grows, after each episode."""
    report = ParityReport() if report is None else report
    for path in paths:
        for episode in read_recordings(path):
            domain = episode.get("domain")
            if domain not in TABLES:
                raise DamagedDataError(
                    f"Expected the domain retail or airline in {path}, got {short_repr(domain, 40)}; try another file."
                )
            _replay(load_desk(folder, str(domain)), episode, report)
            yield report


def _replay(desk: Desk, episode: Mapping[str, Any], report: ParityReport) -> None:
    report.episodes += 1
    database = Database(desk.initial)
    said: list[str] = []
    ends_early = "reward" in episode  # in the other episodes no tool ends the episode
    for number, call in enumerate(episode["calls"], 1):
        where = f"call {number} {call['name']}"
        report.calls += 1
        if call["name"] == RESPOND:
            if "content" in call["kwargs"]:  # without it the genuine step raises
                said.append(str(call["kwargs"]["content"]))
            done = _STOP in (call["result"] or "")
        else:
            outcome = desk.call(database, call["name"], call["kwargs"])
            recorded = call["result"] if "raises" not in call else f"raises {call['raises']}"
            native = f"raises {outcome.raises}" if outcome.raises else outcome.text
            if native != recorded:
                report.differ(episode, where, native, recorded)
            done = outcome.ends and ends_early
        if done != bool(call.get("done")):
            report.differ(episode, f"{where}, done", done, bool(call.get("done")))
        if "db_hash" in call:
            _compare_hash(report, episode, f"{where}, hash", database, call["db_hash"])
    if "db_hash" in episode:
        _compare_hash(report, episode, "final hash", database, episode["db_hash"])
    if "reward" in episode:
        _compare_reward(desk, episode, database, said, report)


def _compare_hash(
    report: ParityReport, episode: Mapping[str, Any], where: str, database: Database, recorded: str
) -> None:
    report.hashes += 1
    native = database.hash()
    if native != recorded:
        report.differ(episode, where, native, recorded)


def _compare_reward(
    desk: Desk, episode: Mapping[str, Any], database: Database, said: list[str], report: ParityReport
) -> None:
    report.rewards += 1
    try:
        task = desk.tasks[episode["split"]][episode["task_index"]]
    except (KeyError, IndexError, TypeError):
        raise DamagedDataError(
            f"Expected the task {episode.get('split')}/{episode.get('task_index')} in the data, got no such task; "
            "try the data that the recording was made with."
        ) from None
    evaluation = evaluate(desk, task, database, said, "official")
    if "gold_db_hash" in episode:
        _compare_hash(report, episode, "gold hash", gold_database(desk, task, "official"), episode["gold_db_hash"])
    if "db_match" in episode and evaluation.database_matches != bool(episode["db_match"]):
        report.differ(episode, "database matches", evaluation.database_matches, episode["db_match"])
    if evaluation.reward != episode["reward"]:
        report.differ(episode, "reward", evaluation.reward, episode["reward"])
    info = {key: value for key, value in (episode.get("reward_info") or {}).items() if key != "gt_data_hash"}
    if info and dict(evaluation.official_info) != info:
        report.differ(episode, "parts of the reward", evaluation.official_info, info)
