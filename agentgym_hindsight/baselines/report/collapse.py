"""Signs that a run has collapsed, each as one sentence with its figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agentgym_hindsight.baselines.report.lines import Line, evaluated, kinds_of
from agentgym_hindsight.baselines.report.plausible import number
from agentgym_hindsight.baselines.report.runs import Run
from agentgym_hindsight.baselines.report.statistics import mean

__all__ = ["CollapseWarning", "collapse_warnings"]


@dataclass(frozen=True, slots=True)
class CollapseWarning:
    """One sign of collapse in one run."""

    line: str
    seed: str
    sign: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.line}, seed {self.seed}: {self.sentence}"


def collapse_warnings(line: Line) -> tuple[CollapseWarning, ...]:
    """All signs in all seeds of a line. Shares are means of the last five updates, so one unusual batch gives none."""
    return tuple(
        CollapseWarning(line.name, run.seed, sign, sentence) for run in line.runs for sign, sentence in _signs(run)
    )


def _signs(run: Run) -> Iterator[tuple[str, str]]:
    if (share := _tail(run, "groups_without_variance")) is not None and share > 0.6:
        yield "groups", f"{share:.0%} of the groups of the last five updates had no variance and gave no gradient."
    entropy = run.tail("entropy", len(run.metrics))
    if len(entropy) > 1 and entropy[-1] < 0.1 * entropy[0]:
        yield (
            "entropy",
            f"entropy fell from {entropy[0]:.3g} to {entropy[-1]:.3g}, less than a tenth of its first value.",
        )
    elif entropy and entropy[-1] < 0.02:
        yield "entropy", f"entropy is {entropy[-1]:.3g}, below 0.02: the policy hardly varies its replies."
    if (share := _tail(run, "repetition")) is not None and share > 0.5:
        yield "repetition", f"{share:.0%} of the steps of the last five updates repeat the previous action."
    yield from _success_drops(run)
    if (share := _tail(run, "invalid")) is not None and share > 0.3:
        yield "invalid", f"{share:.0%} of the actions of the last five updates were invalid."
    with_teacher = [row for row in run.metrics if (number(row, "lambda") or 0.0) > 0]
    context = [value for row in with_teacher if (value := number(row, "context_available")) is not None]
    yield from _imitation(run, context)
    # A method that names single turns gives the others no context on purpose.
    if context and mean(context) < 0.5 and not _names_turns(run):
        yield (
            "context",
            f"only {mean(context):.0%} of the rows had a context for the teacher although λ was above 0; "
            "hindsight changed nothing in the others.",
        )


def _imitation(run: Run, context: Sequence[float]) -> Iterator[tuple[str, str]]:
    """Signs that a teacher has little to do with hindsight: no context, a context that was cut, the initial weights."""
    empty = sum(value == 0 for value in context)
    if empty and (_names_turns(run) or empty == len(context)):
        yield (
            "targets",
            f"{empty} of {len(context)} updates had no context for the teacher, which then changed nothing.",
        )
    if (share := _tail(run, "context_cut")) is not None and share > 0.1:
        yield "cut", f"{share:.0%} of the teacher's prompts of the last five updates lost text to the limit."
    method = run.settings.get("method")
    who = str(method.get("who", "")) if isinstance(method, Mapping) else ""
    kind, _, rate = who.partition(":")
    if kind == "ema" and context:
        try:
            share = (1 - min(max(float(rate), 0.0), 1.0)) ** len(run.metrics)
        except ValueError:  # a file may contain anything
            return
        if share > 0.5:
            yield (
                "teacher",
                f"after {len(run.metrics)} updates, {share:.0%} of the initial policy was still in the teacher {who}.",
            )


def _names_turns(run: Run) -> bool:
    """Whether an analyser of the method decides which turns have a context."""
    method = run.settings.get("method")
    names = method if isinstance(method, Mapping) else {}
    return any(str(name).rpartition(".")[2] == "analyser" for name in names)


def _tail(run: Run, key: str) -> float | None:
    values = run.tail(key)
    return mean(values) if values else None


def _success_drops(run: Run) -> Iterator[tuple[str, str]]:
    has_evaluations = False
    for kind in kinds_of([run]):
        points = [(update, result.micro.success, result.micro.rollouts) for update, _, result in evaluated(run, kind)]
        has_evaluations |= len(points) > 1
        best, last = max(points, key=lambda point: point[1]), points[-1]
        if best[1] - last[1] > 0.1 + 1e-9:
            yield (
                "success",
                f"success ({' '.join(filter(None, (kind[1], kind[0])))}) ended at {last[1]:.1%}, "
                f"{100 * (best[1] - last[1]):.0f} points below its best of {best[1]:.1%} after {best[0]} updates "
                f"({last[2]} games).",
            )
    if has_evaluations:
        return  # an evaluation is better evidence than training batches
    success = run.tail("success", len(run.metrics))
    means = [mean(success[end - 5 : end]) for end in range(5, len(success) + 1)]
    if means and max(means) - means[-1] > 0.1 + 1e-9:
        yield (
            "success",
            f"success in training ended at {means[-1]:.1%}, {100 * (max(means) - means[-1]):.0f} points below its best "
            f"of {max(means):.1%} (means of five updates).",
        )
