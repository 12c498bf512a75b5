"""Runs the parts of ``agh bench gpu``, each in a process of its own, which is ended at the part's time limit.

A process of its own returns all memory of the device, and a crash in a kernel ends only its part. Every result is saved
as soon as it is there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from agentgym_hindsight.cli.bench.gpu.parts import Part
from agentgym_hindsight.cli.bench.gpu.records import Record, read_records, same_place, write_records
from agentgym_hindsight.printable import printable_line

__all__ = ["Session"]

_CHILD = "agentgym_hindsight.cli.bench.gpu.child"
_POLL = 0.1
#: The end of the log of a part that failed.
_LOG_LETTERS = 600
#: The process stops to begin cases this long before it is ended.
_MARGIN = 5.0
#: No part reaches for the network.
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    "TOKENIZERS_PARALLELISM": "false",
}


class Session:
    """Runs parts and keeps their records, in the file ``out`` if it is given.

    ``note`` gets one line about what is being measured.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        dry: bool = False,
        out: str | Path | None = None,
        fresh: bool = False,
        note: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.seed, self.dry, self.out, self.note = seed, dry, out, note
        self.records: list[Record] = [] if out is None or fresh else read_records(out)

    def run(self, part: Part) -> list[Record]:
        """The records of a part: of this call, and of earlier ones with the same settings on this machine."""
        self.note(part.name)
        seen: list[Record] = []
        started = time.monotonic()
        begun: dict[str, Any] | None = None
        here: dict[str, Any] = {}
        ended = ""
        with tempfile.TemporaryDirectory() as folder:
            for message in self._messages(part, Path(folder)):
                kind = message.pop("kind")
                if kind == "machine":
                    here = message["machine"]
                elif kind == "begin":
                    begun = message
                    self.note(f"{part.name}: {message['case']}")
                elif kind == "result":
                    begun = None
                    seen.append(self._keep(Record(part.name, machine=here, **message)))
                else:
                    ended = message["reason"]
        if ended:
            where = begun or {"case": "", "settings": {"seed": self.seed, "dry": self.dry}}
            seconds = round(time.monotonic() - started, 3)
            seen.append(self._keep(Record(part.name, machine=here, error=ended, seconds=seconds, **where)))
        elif not seen or all(record.case for record in seen):  # an earlier failure of the whole part is over
            self._forget(part.name)
        return [record for record in self.records if record.part == part.name and record.machine == here]

    # -- private ------------------------------------------------------------------------------------------------------

    def _keep(self, record: Record) -> Record:
        """Add a record in place of the earlier one of its case, and save the file."""
        self.records = [each for each in self.records if not same_place(each, record)] + [record]
        self._save()
        return record

    def _forget(self, part: str) -> None:
        """Drop the records that say why a part gave no result."""
        before = len(self.records)
        self.records = [each for each in self.records if each.case or each.part != part]
        if len(self.records) < before:
            self._save()

    def _save(self) -> None:
        if self.out is not None:
            write_records(self.out, self.records)

    def _messages(self, part: Part, folder: Path) -> Iterator[dict[str, Any]]:
        """The messages of the process; the last one says why it ended, if it did not end well."""
        messages, log = folder / "messages.jsonl", folder / "log.txt"
        messages.touch()
        seconds = part.minutes * 60
        job = {
            "cases": part.cases,
            "seed": self.seed,
            "dry": self.dry,
            "seconds": seconds - _MARGIN,
            "messages": str(messages),
            "done": [each.as_dict() for each in self.records if each.part == part.name and each.is_measured],
        }
        work = folder / "work"
        work.mkdir()
        read = 0
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", _CHILD],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=work,
                env=_environment(),
                start_new_session=True,  # so that processes that it starts are ended with it
            )
            limit = time.monotonic() + seconds
            try:
                assert process.stdin is not None
                with suppress(BrokenPipeError):  # it ended before it read the job; its log says why
                    process.stdin.write(json.dumps(job).encode())
                    process.stdin.close()
                while True:
                    status = process.poll()
                    for message in _new_lines(messages, read):
                        read += 1
                        yield message
                    if status is not None or time.monotonic() > limit:
                        break
                    time.sleep(_POLL)
            finally:
                _end(process)
        if status is None:
            yield {"kind": "end", "reason": f"the part's time limit of {part.minutes:g} minutes was reached"}
        elif status:
            yield {"kind": "end", "reason": f"the process ended with status {status}: {_tail(log)}"}


def _environment() -> dict[str, str]:
    """The environment of the process; it imports what this process can import."""
    path = os.pathsep.join(os.path.abspath(each) for each in sys.path)
    one = os.environ.get("CUDA_VISIBLE_DEVICES", "0")  # with several, transformers would use all of them
    return {**os.environ, **_OFFLINE, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": one.partition(",")[0]}


def _new_lines(path: Path, read: int) -> Sequence[dict[str, Any]]:
    """The whole lines after the first ``read``."""
    *lines, _ = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[read:]]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and those that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").strip()
    return printable_line(text[-_LOG_LETTERS:]) or "nothing was printed"
