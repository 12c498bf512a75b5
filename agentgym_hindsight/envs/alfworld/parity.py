"""Compare the native engine with the genuine one: both play the same game, and every turn is compared.

The comparison covers the text, the reward, done, won and the ordered list of admissible commands. The commands that are
played depend only on the seed and the game, so a report is the same for any number of worker processes.
"""

from __future__ import annotations

import multiprocessing
import signal
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from os import PathLike, fspath
from pathlib import Path
from random import Random
from typing import NamedTuple

from agentgym_hindsight.envs.alfworld.fuzz import Expert, commands_for
from agentgym_hindsight.envs.alfworld.gamefile import read_game
from agentgym_hindsight.envs.alfworld.genuine import GenuinePlay
from agentgym_hindsight.envs.alfworld.native import House, Play
from agentgym_hindsight.errors import HindsightError, MissingDataError, UsageError, WorkerError

__all__ = ["Difference", "GameReport", "ParityReport", "compare_game", "find_games", "run_parity"]

_VALUE_LENGTH = 200


class Difference(NamedTuple):
    """One field in which the engines differ at one turn; turn 0 is the reset."""

    file: str
    turn: int
    command: str
    field: str
    native: str
    genuine: str

    def __str__(self) -> str:
        return (
            f"{self.file} turn {self.turn} {self.command!r}: {self.field}\n"
            f"  native:  {self.native}\n  genuine: {self.genuine}"
        )


class GameReport(NamedTuple):
    """The result of one game. ``turns`` includes the reset; ``error`` says why a game could not be compared."""

    file: str
    turns: int
    won: bool
    differences: tuple[Difference, ...]
    error: str = ""


class ParityReport(NamedTuple):
    """The results of all games, in the order in which the games were given."""

    games: tuple[GameReport, ...]
    interrupted: bool = False

    @property
    def turns(self) -> int:
        return sum(game.turns for game in self.games)

    @property
    def differences(self) -> tuple[Difference, ...]:
        return tuple(difference for game in self.games for difference in game.differences)

    @property
    def errors(self) -> tuple[str, ...]:
        return tuple(f"{game.file}: {game.error}" for game in self.games if game.error)

    @property
    def agrees(self) -> bool:
        """Whether at least one turn was compared and no difference, error or interruption occurred."""
        return self.turns > 0 and not self.differences and not self.errors and not self.interrupted

    def summary(self) -> str:
        """All differences, then the counts; the last line is ``differences: D of T turns``."""
        lines = [str(difference) for difference in self.differences]
        lines += [f"not compared: {error}" for error in self.errors]
        won = sum(game.won for game in self.games)
        lines.append(f"games: {len(self.games)} compared, {won} of them won on the way")
        if self.interrupted:
            lines.append("interrupted: the games above are those that were finished")
        lines.append(f"differences: {len(self.differences)} of {self.turns} turns")
        return "\n".join(lines)


def compare_game(
    path: str | PathLike[str], seed: int = 0, turns: int = 40, expert: Expert | None = None, name: str = ""
) -> GameReport:
    """Play one game in both engines for ``turns`` commands. ``name`` is the name of the game in the report.

    The report ends with the first turn that differs: after it the engines are in different states, and all later turns
    would differ too.
    """
    path, name = fspath(path), name or fspath(path)
    scene = read_game(path)
    native = Play(House(scene))
    random = Random(f"{seed}:{zlib.crc32(scene.name.encode())}:{scene.task_text}")
    walkthrough = list(scene.walkthrough)
    differences: list[Difference] = []
    won = False
    turn = 0
    with GenuinePlay(path) as genuine:
        for turn in range(turns + 1):
            command = commands_for(native, random, expert, walkthrough) if turn else ""
            if turn:
                native.step(command)
                genuine.step(command)
            else:
                native.reset()
                genuine.reset()
            won = won or native.won
            differences += _compare(name, turn, command, native, genuine)
            if differences:
                break
    return GameReport(name, turn + 1, won, tuple(differences))


def _compare(name: str, turn: int, command: str, native: Play, genuine: GenuinePlay) -> Iterator[Difference]:
    for field, native_value, genuine_value in (
        ("observation", native.observation, genuine.observation),
        ("won", native.won, genuine.won),
        ("reward", int(native.won), genuine.reward),
        ("done", native.won, genuine.done),
        ("admissible", native.admissible, genuine.admissible),
    ):
        if native_value != genuine_value:
            shown = repr(native_value), repr(genuine_value)
            if (
                isinstance(native_value, tuple)
                and isinstance(genuine_value, tuple)
                and set(native_value) != set(genuine_value)
            ):
                shown = (
                    f"only here: {sorted(set(native_value) - set(genuine_value))}",
                    f"only here: {sorted(set(genuine_value) - set(native_value))}",
                )
            yield Difference(
                name, turn, command[:_VALUE_LENGTH], field, shown[0][:_VALUE_LENGTH], shown[1][:_VALUE_LENGTH]
            )


def find_games(data: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[Path]:
    """The game files below a folder, sorted; or the given files, unchanged."""
    if not isinstance(data, (str, PathLike)):
        return [Path(path) for path in data]
    root = Path(data)
    if root.is_file():
        return [root]
    found = sorted(root.rglob("game.tw-pddl"))
    if not found:
        raise MissingDataError(
            f"Expected game.tw-pddl files under {root}, found none; try the folder json_2.1.1 that "
            "alfworld-download creates, or unpack the data first."
        )
    return found


def run_parity(
    data: str | PathLike[str] | Iterable[str | PathLike[str]],
    games: int | None = None,
    seed: int = 0,
    turns_per_game: int = 40,
    workers: int = 1,
    expert: Expert | None = None,
    progress: bool = False,
) -> ParityReport:
    """Compare ``games`` random games (None: all) in ``workers`` processes; the seed determines which games.

    Ctrl-C ends the run; the report then has the finished games and is marked ``interrupted``. With more than one
    worker, ``expert`` must be a module-level function.
    """
    if workers < 1 or turns_per_game < 1 or (games is not None and games < 1):
        raise UsageError(
            f"Expected workers, turns_per_game and games of at least 1, got {workers}, {turns_per_game}, {games}; "
            "try larger numbers."
        )
    files = find_games(data)
    if games is not None and games < len(files):
        files = sorted(Random(seed).sample(files, games))
    names = _short_names(files)
    jobs = [(fspath(file), seed, turns_per_game, expert, name) for file, name in zip(files, names, strict=True)]
    finished: dict[str, GameReport] = {}
    interrupted = False
    reports = _in_this_process(jobs) if workers == 1 else _in_workers(jobs, workers)
    try:
        for report in _with_progress(reports, len(jobs), progress):
            finished[report.file] = report
    except KeyboardInterrupt:
        interrupted = True
    return ParityReport(tuple(finished[name] for name in names if name in finished), interrupted)


_Job = tuple[str, int, int, "Expert | None", str]


def _work(job: _Job) -> GameReport:
    path, seed, turns, expert, name = job
    try:
        return compare_game(path, seed, turns, expert, name)
    except HindsightError as error:
        return GameReport(name, 0, False, (), f"{type(error).__name__}: {error}")


def _in_this_process(jobs: list[_Job]) -> Iterator[GameReport]:
    for job in jobs:
        yield _work(job)


def _in_workers(jobs: list[_Job], workers: int) -> Iterator[GameReport]:
    """The reports in the order in which they finish. At most one job waits in the pool, so that Ctrl-C acts quickly.

    Processes are spawned, not forked, because the C libraries of the genuine engine are not safe to fork.
    """
    context = multiprocessing.get_context("spawn")
    waiting = iter(jobs)
    pool = ProcessPoolExecutor(min(workers, len(jobs)), context, initializer=_ignore_interrupt)
    running: set[Future[GameReport]] = set()
    try:
        for job in waiting:
            running.add(pool.submit(_work, job))
            if len(running) > workers:
                finished, running = wait(running, return_when="FIRST_COMPLETED")
                yield from (future.result() for future in finished)
        while running:
            finished, running = wait(running, return_when="FIRST_COMPLETED")
            yield from (future.result() for future in finished)
    except BrokenProcessPool as error:
        raise WorkerError(
            "A worker process of the parity run died (out of memory, or killed); try fewer workers."
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _ignore_interrupt() -> None:
    """Ignore Ctrl-C in a worker: the terminal sends it to all processes, and only the parent should handle it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _with_progress(reports: Iterator[GameReport], total: int, progress: bool) -> Iterator[GameReport]:
    if not progress:
        yield from reports
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("parity"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    turns = differences = 0
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        for report in reports:
            turns += report.turns
            differences += len(report.differences)
            bar.update(task, advance=1, description=f"{differences} differences in {turns} turns")
            yield report


def _short_names(files: list[Path]) -> list[str]:
    """The last three folders of each file; the whole paths if two short names would be equal."""
    short = ["/".join(file.parts[-4:-1]) or str(file) for file in files]
    return short if len(set(short)) == len(files) else [str(file) for file in files]
