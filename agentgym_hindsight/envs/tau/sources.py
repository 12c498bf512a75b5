"""Chooses the records that a desk works with: the benchmark's, or generated ones."""

from __future__ import annotations

import os

from agentgym_hindsight.envs.tau.data_folder import DATA_VARIABLE, has_domain, load_desk
from agentgym_hindsight.envs.tau.desk import Desk
from agentgym_hindsight.errors import MissingDataError, UsageError

__all__ = ["BACKENDS", "open_desk"]

BACKENDS = ("auto", "embedded", "official", "tau2")


def open_desk(domain: str, backend: str, data: str | os.PathLike[str] | None, world_seed: int) -> Desk:
    """The desk of a domain. ``auto`` takes the official data where it is found; a given folder must have it.

    The name of a backend as ``data`` chooses this backend, as in the other envs.
    """
    if data in BACKENDS:
        backend, data = (str(data) if backend == "auto" else backend), None
    if backend == "tau2":
        if data is not None or world_seed:
            raise UsageError(
                "Expected neither data=… nor world_seed=… with backend='tau2', got one; "
                "try TAU2_DATA_DIR with the folder data of its repository."
            )
        from agentgym_hindsight.envs.tau.tau2_desk import tau2_desk

        return tau2_desk(domain)
    folder = data if data is not None else os.environ.get(DATA_VARIABLE) or None
    if backend == "embedded" or (backend == "auto" and data is None and not has_domain(folder, domain)):
        from agentgym_hindsight.envs.tau.embedded import embedded_desk

        return embedded_desk(domain, world_seed)
    if folder is None:
        raise MissingDataError(
            f"Expected the official data of tau-bench, got no ${DATA_VARIABLE} and no data=…; "
            f"try git clone https://github.com/sierra-research/tau-bench and {DATA_VARIABLE}=…/tau-bench, "
            "or backend='embedded'."
        )
    return load_desk(folder, domain)
