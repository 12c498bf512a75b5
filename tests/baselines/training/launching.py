"""Starts training scripts in one or several processes, with or without sharded weights, on CPUs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

_ZERO = {"ACCELERATE_USE_DEEPSPEED": "true", "DS_ACCELERATOR": "cpu", "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "1"}
#: The environment variables that ``accelerate launch`` sets for each kind of sharding.
_ENVIRONMENTS: dict[str | None, dict[str, str]] = {
    None: {"ACCELERATE_USE_CPU": "true"},
    "fsdp2": {
        "ACCELERATE_USE_CPU": "true",
        "ACCELERATE_USE_FSDP": "true",
        "FSDP_VERSION": "2",
        "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
        "FSDP_TRANSFORMER_CLS_TO_WRAP": "Qwen3DecoderLayer",
        "FSDP_RESHARD_AFTER_FORWARD": "true",
    },
    "zero2": {**_ZERO, "ACCELERATE_DEEPSPEED_ZERO_STAGE": "2"},
    "zero3": {**_ZERO, "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3", "ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL": "true"},
}


def launch(command: Sequence[str], processes: int, sharding: str | None = None, seconds: float = 300) -> str:
    """Run Python with these arguments in every process, and return the output. A failure fails the test.

    After ``seconds`` the processes count as deadlocked.
    """
    environment = {
        **os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT),
        **_ENVIRONMENTS[sharding],
    }  # fmt: skip
    # Without MPI, ``accelerate launch --cpu --num_processes 2`` starts a single process and prints no warning.
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes), "--master_addr", "127.0.0.1"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        launcher += ["--master_port", str(free.getsockname()[1])]
    with subprocess.Popen(
        [sys.executable, *(launcher if processes > 1 else []), *command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that all processes of a deadlock can be killed together
    ) as child:
        try:
            output = child.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            pytest.fail(f"{processes} processes are deadlocked:\n{child.communicate()[0][-6000:]}")
    assert child.returncode == 0, output[-20000:]
    return output


def assume_gpus() -> None:
    """Let accelerate shard weights on CPUs. torch does so too; accelerate only if it assumes GPUs."""
    from accelerate import PartialState
    from accelerate.utils import DistributedType

    original = PartialState.__init__

    def as_gpus(state: PartialState, *args: object, **kwargs: object) -> None:
        original(state, *args, **kwargs)
        if state.distributed_type == DistributedType.MULTI_CPU:
            state.distributed_type = DistributedType.MULTI_GPU

    PartialState.__init__ = as_gpus


def leave_processes(accelerator: object) -> None:
    """End the process without ending the process group, when all processes have come here.

    gloo's threads can abort a process that destroys its group or exits as usual ("terminate called without an active
    exception"), with all results written.
    """
    accelerator.wait_for_everyone()  # type: ignore[attr-defined]
    if accelerator.num_processes > 1:  # type: ignore[attr-defined]
        time.sleep(0.5)  # until the others have left the barrier too
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
