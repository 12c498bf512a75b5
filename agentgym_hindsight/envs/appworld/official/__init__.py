"""The genuine AppWorld benchmark, where the ``appworld`` package and its data are installed."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.official.backend import OfficialBackend

__all__ = ["OfficialBackend"]
