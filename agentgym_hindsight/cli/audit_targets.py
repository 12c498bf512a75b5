"""The target turns of analysers in ``agh audit``: who names them, and their table."""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.baselines.audit.summary import Figure
from agentgym_hindsight.baselines.audit.targets import TargetSays, TargetScore
from agentgym_hindsight.cli.parsing import server_and_model
from agentgym_hindsight.cli.tables import Grid
from agentgym_hindsight.cli.terminal import SafeConsole

__all__ = ["print_targets", "target_says"]


def target_says(analyser: str | None) -> TargetSays:
    """The scripts, and the model of ``--analyser URL#MODEL`` if it is given."""
    if not analyser:
        return TargetSays()
    from agentgym_hindsight.baselines.training.analyser_client import AnalyserClient

    return TargetSays(AnalyserClient(*server_and_model("--analyser ", analyser)))


def print_targets(out: SafeConsole, scores: Sequence[TargetScore]) -> None:
    """One row for each analyser; nothing if there is no rollout to judge them by."""
    judged = [each for each in scores if each.rollouts]
    if not judged:
        return
    head = ["target turns of", "rollouts", "named", "precision", "by chance", "difference", "worst turn named"]
    rows = [
        [
            each.name,
            str(each.rollouts),
            f"{each.named:.1f}",
            _share(each.precision),
            _share(each.chance),
            _share(each.difference),
            _share(each.found),
        ]
        for each in judged
    ]
    Grid("Target turns against the truth, failed rollouts", head, rows, text_columns=1).print(out)


def _share(figure: Figure) -> str:
    value = f"{100 * figure.value:.0f}%"
    return f"{value} [{100 * figure.low:.0f}, {100 * figure.high:.0f}]" if figure.low == figure.low else value
