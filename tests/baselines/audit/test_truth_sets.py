"""The truth sets beside the docs can be read, and are what their page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentgym_hindsight.baselines.audit.agreement import spearman
from agentgym_hindsight.baselines.audit.credits import credit_methods, credits_of
from agentgym_hindsight.baselines.audit.summary import truth_of
from agentgym_hindsight.baselines.audit.turn_table import TurnTable

pytest.importorskip("pyarrow")

DOCS = Path(__file__).parents[3] / "docs" / "benchmarks"
PAGE = (DOCS / "audit-alfworld.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "column"), [("warm", 1), ("serl", 5)])
def test_the_credits_of_a_truth_set_have_the_correlations_of_the_page(name: str, column: int) -> None:
    file = DOCS / f"audit-alfworld-{name}.parquet"
    assert file.stat().st_size < 300_000
    table = TurnTable.load(file)
    audited = table.audited
    turns = re.findall(r"\| audited turns, tasks \| (\d+), (\d+) \| (\d+), (\d+) \|", PAGE)[0]
    counts = turns[:2] if name == "warm" else turns[2:]
    assert (str(audited.sum()), str(len(table.tasks))) == counts
    truth = truth_of(table.where(audited))
    shown = {
        cells[1].strip(" `"): cells
        for line in PAGE.splitlines()
        if (cells := line.split("|"))[0] == "" and len(cells) > 9
    }
    for credit, values in credits_of(table, credit_methods()).items():
        printed = float(shown[credit][column + 1].split()[0].replace("−", "-"))
        assert spearman(values[audited], truth.value) == pytest.approx(printed, abs=0.006), credit
