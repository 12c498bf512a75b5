"""Parts of ``agh bench gpu`` for tests of the session: cases that work, fail, crash, hang or start other processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from agentgym_hindsight.cli.bench.gpu.cases import Case, Figures, Run, Skipped


def _case(name: str, measure: Callable[[], Figures], **settings: object) -> Case:
    return Case(name, settings, measure)


def _fails() -> Figures:
    raise ValueError("a bad \x1b[31m shape")


def _memory() -> Figures:
    raise RuntimeError("CUDA error: out of memory")


def _package() -> Figures:
    raise Skipped("vllm is not installed")


def mixed(run: Run) -> Iterator[Case]:
    """Figures, a failure, no memory, no package, figures that are no number; whatever comes first, the rest follows."""
    yield _case("fails", _fails)
    yield _case("memory", _memory)
    yield _case("package", _package)
    yield _case(
        "good", lambda: {"figure": 1.5, "none": float("nan"), "seed": run.seed, "dry": int(run.dry)}, pair=(1, 2)
    )


def counted(run: Run) -> Iterator[Case]:
    """Cases that write down that they were measured."""
    for name in ("one", "two"):

        def measure(name: str = name) -> Figures:
            with Path(os.environ["FAKE_LOG"]).open("a", encoding="utf-8") as file:
                file.write(f"{name}\n")
            if name == "two" and os.environ.get("FAKE_CRASH"):
                print("a kernel crashed", file=sys.stderr, flush=True)
                os._exit(7)
            return {"figure": 2}

        yield Case(name, {"seed": run.seed}, measure)


def hangs(run: Run) -> Iterator[Case]:
    """A case with figures, then one that starts another process and never ends."""
    yield _case("good", lambda: {"figure": 1})

    def hang() -> Figures:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(os.environ["FAKE_LOG"]).write_text(str(child.pid), encoding="utf-8")
        time.sleep(600)
        return {}

    yield _case("hangs", hang)
    yield _case("never", lambda: {"figure": 1})
