"""Progress of long commands: a bar in a terminal, lines in a log.

A log gets one line when a task begins, one when it ends, and while it lasts one line every 30 seconds, also if nothing
is reported. For tasks whose steps matter, such as the updates of a training, it gets one line a step. Lines contain no
escapes and no carriage returns, and each is flushed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from agentgym_hindsight.printable import printable, printable_line

__all__ = ["LineProgress", "progress_display"]

_SECONDS = 30.0
_WIDTH = 300


def progress_display(console: Console, *, every_step: Collection[str] = ()) -> Progress | LineProgress:
    """A progress display for the console: a bar in a terminal, else lines.

    ``every_step`` names the tasks that write a line at every step into a log. Both kinds have the methods of rich's
    ``Progress`` that commands use: ``add_task`` (with ``note=``), ``update``, ``advance``, ``console.print``.
    """
    # NO_COLOR asks for no escapes, and a bar is drawn with them. A dumb terminal cannot move its cursor.
    if not console.is_interactive or os.environ.get("NO_COLOR"):
        return LineProgress(console, every_step=every_step)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeRemainingColumn(),
        console=console,
    )


class _Task:
    def __init__(self, name: str, total: float, completed: float, note: str) -> None:
        self.name, self.total, self.completed, self.note = name, total, completed, note

    def __str__(self) -> str:
        note = f", {self.note.lstrip('; ')}" if self.note else ""
        return printable_line(f"{self.name}: {self.completed:g} of {self.total:g}{note}", _WIDTH)


class LineProgress:
    """Writes progress as lines. Safe to use from several threads."""

    def __init__(
        self,
        console: Console,
        *,
        every_step: Collection[str] = (),
        seconds: float = _SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console = _Lines(self)
        self._file, self._every_step, self._seconds, self._clock = console.file, every_step, seconds, clock
        self._tasks: dict[TaskID, _Task] = {}
        self._latest: _Task | None = None
        self._started = self._written = clock()
        self._lock, self._end = threading.RLock(), threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> LineProgress:
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def start(self) -> None:
        """Start to write a line whenever nothing was written for 30 seconds."""
        if self._thread is None:
            self._started = self._written = self._clock()
            self._thread = threading.Thread(target=self._repeat, name="progress", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop. No line is written afterwards."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def add_task(self, description: str, total: float = 1, completed: float = 0, note: str = "") -> TaskID:
        """Begin a task."""
        with self._lock:
            number = TaskID(len(self._tasks))
            self._tasks[number] = self._latest = _Task(description, total, completed, note)
            self._write(str(self._latest))
        return number

    def update(self, task_id: TaskID, *, advance: float = 0, note: str | None = None) -> None:
        """Make steps, and change the note; without steps, only a line that is due is written."""
        with self._lock:
            task = self._latest = self._tasks[task_id]
            task.completed += advance
            task.note = task.note if note is None else note
            is_end = advance > 0 and task.completed >= task.total
            if is_end or (advance > 0 and task.name in self._every_step) or self._due():
                self._write(str(task))

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Make steps."""
        self.update(task_id, advance=advance)

    def say(self, text: str) -> None:
        """Write a message."""
        with self._lock:
            self._write(printable(text))

    def _repeat(self) -> None:
        # Woken more often than lines are due, because an update may have written one in between.
        while not self._end.wait(self._seconds / 10):
            try:
                with self._lock:
                    if self._latest is not None and self._due():
                        self._write(str(self._latest))
            except (OSError, ValueError):  # the reader of a pipe is gone, or the file is closed
                return

    def _due(self) -> bool:
        return self._clock() - self._written >= self._seconds

    def _write(self, text: str) -> None:
        self._written = self._clock()
        minutes, seconds = divmod(int(self._written - self._started), 60)
        hours, minutes = divmod(minutes, 60)
        encoding = getattr(self._file, "encoding", None) or "utf-8"
        line = f"[{hours}:{minutes:02}:{seconds:02}] {text}\n"
        self._file.write(line.encode(encoding, "backslashreplace").decode(encoding))
        self._file.flush()


class _Lines:
    """The ``console`` of a :class:`LineProgress`: messages between the lines."""

    def __init__(self, progress: LineProgress) -> None:
        self._progress = progress

    def print(self, text: str, **_: Any) -> None:
        self._progress.say(text)
