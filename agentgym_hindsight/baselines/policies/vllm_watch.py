"""A watch over the process of a vLLM engine: without it, a call waits forever for a process that was killed.

The kernel kills a process when memory is used up. vLLM 0.32 notices and sets ``engine_dead``, but sends nothing to the
caller of ``LLM.generate``, which waits for the next output.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

__all__ = ["watched"]

_SECONDS = 0.5  # between two looks


@contextmanager
def watched(llm: Any) -> Iterator[None]:
    """Make a call of ``llm`` in the block raise vLLM's ``EngineDeadError`` if the engine's process ends."""
    core = getattr(getattr(llm, "llm_engine", None), "engine_core", None)
    resources, outputs = getattr(core, "resources", None), getattr(core, "outputs_queue", None)
    if resources is None or outputs is None:  # an engine in this process
        yield
        return
    done = Event()

    def watch() -> None:
        while not done.wait(_SECONDS):
            if getattr(resources, "engine_dead", False):
                outputs.put(ConnectionError("the process of the engine has ended"))
                return

    thread = Thread(target=watch, name="vllm-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
