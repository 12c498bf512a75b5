"""``agh bench clients`` measures what is installed and says what is not."""

from __future__ import annotations

import pytest

from agentgym_hindsight.cli.bench import clients
from agentgym_hindsight.stage import Stage


def test_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage("ALFWorld-Hindsight-v0", {"data": "embedded", "difficulty": "bare"}, protocol="plain")
    monkeypatch.setattr(clients, "_STAGES", {"ALFWorld": stage})
    rows = dict(clients.measure(2, 1, 0, lambda _: None))
    assert len(rows) == len(clients._CLIENTS)
    assert rows["ALFWorld: bare env"].endswith(" steps/s")
    for name in ("Episodes", "Session (asyncio)", "TRL's environment"):
        assert "× the time" in rows[f"ALFWorld: {name}"]
