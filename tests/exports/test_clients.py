"""What is said when a client is missing, or there in a version of another interface."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest

from agentgym_hindsight.exports.clients import MissingClientError


def test_an_older_openenv_is_named_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """verifiers[openenv] brings openenv 0.4, whose servers take no class of the state."""
    old = ModuleType("openenv.core.env_server")
    for name in ("Action", "Environment", "Observation", "State"):
        setattr(old, name, type(name, (), {}))
    old.create_fastapi_app = lambda env, action_cls, observation_cls, env_name=None: None  # type: ignore[attr-defined]
    for name in ("openenv", "openenv.core"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "openenv.core.env_server", old)
    monkeypatch.delitem(sys.modules, "agentgym_hindsight.exports.openenv_server", raising=False)
    with pytest.raises(MissingClientError, match=r"Expected openenv>=0\.10,<0\.11, got .*; try: pip install 'openenv"):
        importlib.import_module("agentgym_hindsight.exports.openenv_server")
