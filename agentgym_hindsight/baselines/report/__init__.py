"""``agh report``: one self-contained page about finished and killed runs. It only reads files and needs no extra."""

from __future__ import annotations

from agentgym_hindsight.baselines.report.page import Report, is_report, write_report
from agentgym_hindsight.baselines.report.runs import Run, read_run, read_runs
from agentgym_hindsight.baselines.report.statistics import Estimate, t_interval

__all__ = ["Estimate", "Report", "Run", "is_report", "read_run", "read_runs", "t_interval", "write_report"]
