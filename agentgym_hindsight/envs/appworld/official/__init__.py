"""The original AppWorld benchmark. Needs the ``appworld`` package and its data."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.official.backend import OfficialBackend

__all__ = ["OfficialBackend"]
