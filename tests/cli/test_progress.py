"""Progress in a log: one line per step that matters, a line every 30 seconds, no escapes; a bar in a terminal."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable

import pytest
from rich.console import Console
from rich.progress import Progress

from agentgym_hindsight.cli.progress import LineProgress, progress_display


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Log(io.StringIO):
    """A file that counts its flushes."""

    flushed = 0

    def flush(self) -> None:
        self.flushed += 1
        super().flush()

    @property
    def lines(self) -> list[str]:
        return self.getvalue().splitlines()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def made(log: Log, clock: Clock) -> Callable[..., LineProgress]:
    """Lines without the thread, so that only the clock of the test matters."""
    return lambda *every_step: LineProgress(Console(file=log), every_step=every_step, clock=clock)


def test_one_line_per_step_where_steps_matter(made: Callable[..., LineProgress], log: Log, clock: Clock) -> None:
    progress = made("serl")
    line = progress.add_task("serl", total=3, note="")
    for update in range(3):
        clock.now += 7
        progress.update(line, advance=0, note=f"update {update + 1}, 10 turns played")
        progress.update(line, advance=1, note=f"success {update}%")
    assert log.lines == [
        "[0:00:00] serl: 0 of 3",
        "[0:00:07] serl: 1 of 3, success 0%",
        "[0:00:14] serl: 2 of 3, success 1%",
        "[0:00:21] serl: 3 of 3, success 2%",
    ]
    assert log.flushed == 4


def test_other_steps_write_at_most_every_thirty_seconds(
    made: Callable[..., LineProgress], log: Log, clock: Clock
) -> None:
    progress = made()
    line = progress.add_task("warm start", total=1000)
    for step in range(1000):
        clock.now += 0.125
        progress.update(line, advance=1, note=f"loss {step}")
    times = [text.split("]")[0] for text in log.lines]
    assert times == ["[0:00:00", "[0:00:30", "[0:01:00", "[0:01:30", "[0:02:00", "[0:02:05"]
    assert log.lines[-1] == "[0:02:05] warm start: 1000 of 1000, loss 999"


def test_a_note_without_a_step_is_written_when_a_line_is_due(
    made: Callable[..., LineProgress], log: Log, clock: Clock
) -> None:
    progress = made("serl")
    line = progress.add_task("serl", total=2)
    for _ in range(560):
        clock.now += 0.125
        progress.update(line, note=f"update 1, {clock.now:.0f} turns played")
    assert [text.split("] ")[1] for text in log.lines[1:]] == [
        "serl: 0 of 2, update 1, 30 turns played",
        "serl: 0 of 2, update 1, 60 turns played",
    ]


def test_a_line_is_written_although_nothing_is_reported(log: Log) -> None:
    with LineProgress(Console(file=log), seconds=0.2) as progress:
        progress.add_task("loading", total=1)
        deadline = time.monotonic() + 30
        while len(log.lines) < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert {text.split("] ")[1] for text in log.lines} == {"loading: 0 of 1"}
    assert len(log.lines) >= 4
    count = len(log.lines)
    time.sleep(0.5)
    assert len(log.lines) == count, "no line after the end"
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_a_log_whose_reader_is_gone_does_not_end_the_work() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            if threading.current_thread() is not threading.main_thread():
                raise BrokenPipeError
            return super().write(text)

    with LineProgress(Console(file=Closed()), seconds=0.05) as progress:
        line = progress.add_task("loading", total=2)
        time.sleep(0.3)
        progress.advance(line)


def test_messages_and_hostile_names_contain_no_control_characters(made: Callable[..., LineProgress], log: Log) -> None:
    progress = made()
    progress.add_task("a\x1b[2J\rb", total=1, note="\x9b31m")
    progress.console.print("failed:\x1b]0;title\x07 [red]x[/red]\nsecond line", soft_wrap=True, markup=False)
    assert log.lines == [
        "[0:00:00] a\\x1b[2J\\rb: 0 of 1, \\x9b31m",
        "[0:00:00] failed:\\x1b]0;title\\x07 [red]x[/red]",
        "second line",
    ]


def test_characters_that_the_log_cannot_encode() -> None:
    raw = io.BytesIO()
    progress = LineProgress(Console(file=io.TextIOWrapper(raw, encoding="ascii")))
    progress.add_task("serl", total=1, note="λ 0.50")
    assert raw.getvalue() == b"[0:00:00] serl: 0 of 1, \\u03bb 0.50\n"


def test_threads_write_whole_lines(log: Log) -> None:
    progress = LineProgress(Console(file=log), every_step=["runs"])
    line = progress.add_task("runs", total=400)
    workers = [threading.Thread(target=lambda: [progress.advance(line) for _ in range(100)]) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [text.split("runs: ")[1] for text in log.lines] == [f"{done} of 400" for done in range(401)]


def test_only_a_terminal_that_may_show_escapes_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Console(file=io.StringIO(), force_terminal=True, force_interactive=True)
    assert isinstance(progress_display(terminal), Progress)
    assert isinstance(progress_display(Console(file=io.StringIO())), LineProgress)
    monkeypatch.setenv("NO_COLOR", "1")
    assert isinstance(progress_display(terminal), LineProgress)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress_display(Console(file=io.StringIO(), force_terminal=True)), LineProgress)
