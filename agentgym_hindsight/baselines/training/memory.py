"""How much memory this process has held at most."""

from __future__ import annotations

from pathlib import Path

__all__ = ["peak_memory_mb"]


def peak_memory_mb() -> float:
    """MiB of the GPU, or without one of this process."""
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated()) / 2**20
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # Not ru_maxrss, where there is a choice: a process inherits its parent's peak there.
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)
