"""Conformance checks of any env, including your own, in one call.

>>> import gymnasium as gym, agentgym_hindsight
>>> from agentgym_hindsight.testing import check_hindsight_env
>>> print(check_hindsight_env(gym.make("ALFWorld-Hindsight-v0", data="embedded", max_steps=8), report=True))
31 passed, 0 failed, 0 could not run
"""

from __future__ import annotations

from agentgym_hindsight.testing.conformance import CHECKS, ConformanceReport, Finding, check_hindsight_env

__all__ = ["CHECKS", "ConformanceReport", "Finding", "check_hindsight_env"]
