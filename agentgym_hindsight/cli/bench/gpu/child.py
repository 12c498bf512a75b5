"""The process that measures one part: ``python -m agentgym_hindsight.cli.bench.gpu.child``.

It reads the job from standard input and appends its messages, as JSON lines, to the file that the job names. Whatever
libraries print goes to standard output and standard error, which the parent keeps as a log.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agentgym_hindsight.cli.bench.gpu.cases import Case, Result, Run, results
from agentgym_hindsight.names import import_object

__all__ = ["main", "measure"]


def main() -> int:
    """Measure the job of standard input."""
    measure(json.load(sys.stdin))
    return 0


def measure(job: Mapping[str, Any]) -> None:
    """Measure the cases of a part.

    The job has ``cases`` (the name of the function), ``seed``, ``dry``, ``seconds``, ``messages`` (a file) and
    ``done``: the records whose cases are left out.
    """
    messages = Path(job["messages"])

    def send(kind: str, **values: Any) -> None:
        with messages.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **values}, allow_nan=False) + "\n")

    from agentgym_hindsight.cli.bench.gpu.device import machine

    here = machine()
    send("machine", machine=here)
    done = [(each["case"], each["settings"]) for each in job["done"] if each["machine"] == here]

    def is_done(case: Case) -> bool:
        return (case.name, json.loads(json.dumps(case.settings))) in done

    run = Run(job["seed"], job["dry"], job["seconds"])
    cases = import_object("part", job["cases"])(run)
    for result in results(cases, run, is_done, lambda case: send("begin", case=case.name, settings=case.settings)):
        send("result", **_plain(result))


def _plain(result: Result) -> dict[str, Any]:
    """The result without numbers that JSON does not have."""
    values = asdict(result)
    values["figures"] = {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values["figures"].items()
    }
    return values


if __name__ == "__main__":
    raise SystemExit(main())
