"""Compares calls and verdicts with recordings of the benchmark's own executor and checkers."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentgym_hindsight.envs.bfcl.official.checks import IRRELEVANT, OfficialCheck
from agentgym_hindsight.envs.bfcl.official.episode import OfficialEpisode
from agentgym_hindsight.envs.bfcl.official.library import OfficialLibrary
from agentgym_hindsight.errors import DamagedDataError, MissingDataError, UnknownNameError
from agentgym_hindsight.short_repr import short_repr

__all__ = ["ParityReport", "check_recordings", "read_recordings", "verdict_of"]

_OPENERS: Mapping[str, Any] = {".xz": lzma.open, ".gz": gzip.open}


@dataclass
class ParityReport:
    """The numbers of a comparison, and the first differences."""

    episodes: int = 0
    calls: int = 0
    results: int = 0
    verdicts: int = 0
    differences: int = 0
    versions: set[str] = field(default_factory=set)
    shown: list[str] = field(default_factory=list)

    def differ(self, episode: Mapping[str, Any], what: str, ours: object, recorded: object) -> None:
        """Count a difference. The first twenty are kept in words."""
        self.differences += 1
        if len(self.shown) < 20:
            self.shown.append(
                f"{episode.get('id')} ({episode.get('kind')}), {what}: here {short_repr(ours, 300)}, "
                f"recorded {short_repr(recorded, 300)}"
            )

    def summary(self) -> str:
        """The report as text. The last line has the number of differences."""
        lines = [f"- {line}" for line in self.shown]
        if self.differences > len(self.shown):
            lines.append(f"- and {self.differences - len(self.shown)} more")
        lines.append(f"played with {', '.join(sorted(self.versions)) or 'no package'}")
        lines.append(f"{self.episodes} episodes, {self.results} results and {self.verdicts} verdicts compared")
        return "\n".join([*lines, f"differences: {self.differences} of {self.calls} calls"])


def read_recordings(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a recording: JSON lines, also compressed."""
    opener = _OPENERS.get(path.suffix, open)
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                episode = json.loads(line)
                if not isinstance(episode, dict) or not isinstance(episode.get("turns", episode.get("steps")), list):
                    raise DamagedDataError(
                        f"Expected a record with turns or steps in {path}, line {number}, got "
                        f"{short_repr(episode, 80)}; try a recording of the shape that docs/envs/bfcl.md describes."
                    )
                yield episode
    except FileNotFoundError as error:
        raise MissingDataError(f"Expected a recording {path}, got no such file; try another path.") from error
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError, ValueError) as error:
        raise DamagedDataError(
            f"Expected JSON lines in {path}, got {type(error).__name__}: {error}; try the file again."
        ) from error


def check_recordings(
    library: Callable[[str], OfficialLibrary], paths: list[Path], report: ParityReport | None = None
) -> Iterator[ParityReport]:
    """Replay every record. ``library``: the library of a version. Yields the report, which grows, after each record."""
    report = ParityReport() if report is None else report
    for path in paths:
        for episode in read_recordings(path):
            opened = library(str(episode.get("version")))
            report.versions.add(opened.contents.package.name)
            try:
                entry = opened.entry(str(episode.get("entry_id")))
            except UnknownNameError as error:
                raise DamagedDataError(
                    f"Expected a row of the benchmark in {path}, got {error}; try the package that it was made with."
                ) from None
            _replay(opened.open(entry), episode, report, path)
            yield report


def _replay(played: OfficialEpisode, episode: Mapping[str, Any], report: ParityReport, path: Path) -> None:
    report.episodes += 1
    turns = episode.get("turns", episode.get("steps"))
    answer = played.entry.answer
    if not isinstance(turns, list) or len(turns) != len(answer):
        raise DamagedDataError(
            f"Expected {len(answer)} turns of {episode.get('id')} in {path}, got {short_repr(turns, 80)}; "
            "try the package that it was made with."
        )
    checks = []
    try:
        for number, turn in enumerate(turns):
            for place, (text, recorded) in enumerate(_calls(turn), 1):
                report.calls += 1
                ours = played.run_text(text)
                if recorded is not None:
                    report.results += 1
                    if ours != recorded:
                        report.differ(episode, f"turn {number}, call {place} {short_repr(text, 80)}", ours, recorded)
            checks.append(played.end_turn())
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedDataError(
            f"Expected calls in {episode.get('id')} of {path}, got {type(error).__name__}: {error}; "
            "try a recording of the shape that docs/envs/bfcl.md describes."
        ) from error
    recorded_verdict = episode.get("verdict")
    if isinstance(recorded_verdict, Mapping):
        report.verdicts += 1
        verdict = verdict_of(checks)
        for part in ("multi_turn_checker", "irrelevance_checker", "valid"):
            if part in recorded_verdict and verdict[part] != _in_order(recorded_verdict[part]):
                report.differ(episode, part, verdict[part], recorded_verdict[part])


def _calls(turn: Any) -> Iterator[tuple[str, str | None]]:
    """The calls of a turn with their recorded results, if there are any."""
    for item in turn:
        if isinstance(item, Mapping):
            yield str(item["call"]), str(item["result"])
        else:
            for text in item:
                yield str(text), None


def verdict_of(checks: list[OfficialCheck]) -> dict[str, Any]:
    """The verdict of a conversation in the benchmark's form: the first failure of each of its two checkers."""
    failed = [check for check in checks if not check.passed]
    state = next((check for check in failed if check.failure != IRRELEVANT), None)
    irrelevant = next((check for check in failed if check.failure == IRRELEVANT), None)
    return {
        "multi_turn_checker": _part(state),
        "irrelevance_checker": _part(irrelevant),
        "valid": state is None and irrelevant is None,
    }


def _in_order(part: Any) -> Any:
    """A recorded part with its attributes sorted: the checker's order has no meaning."""
    if isinstance(part, Mapping) and isinstance(part.get("differing_attributes"), list):
        return {**part, "differing_attributes": sorted(map(str, part["differing_attributes"]))}
    return part


def _part(check: OfficialCheck | None) -> dict[str, Any]:
    if check is None:
        return {"valid": True}
    if check.raised:
        return {"valid": None, "raises": check.raised}
    part: dict[str, Any] = {"valid": False, "error_type": check.failure, "error_message": check.message}
    if check.attributes:
        part["differing_attributes"] = sorted(check.attributes)
    if check.missing:
        part["missing_items"] = list(check.missing)
    return part
