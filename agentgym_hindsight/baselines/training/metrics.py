"""What happened in an update, as numbers: for logs, curves and warnings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from agentgym_hindsight.baselines.methods import signals
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.padding import pad_right
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.training_rows import TrainingRow

__all__ = ["Measured", "measure"]

#: Token weights are counted in bins of a fortieth between these.
_LOW, _HIGH, _BINS = 0.5, 1.5, 40


@dataclass(slots=True)
class Measured:
    """``record`` goes to metrics.jsonl; episodes and rows of this process are there to draw samples from."""

    record: dict[str, Any]
    episodes: Sequence[Episode] = field(default=(), repr=False)
    rows: Sequence[TrainingRow] = field(default=(), repr=False)
    lam: float = 0.0


def measure(
    episodes: Sequence[Episode],
    rows: Sequence[TrainingRow],
    method: Method,
    lam: float,
    gather: Callable[[list[Any]], list[Any]] = lambda values: values,
) -> Measured:
    """Sums over the processes' episodes and rows, then shares and means."""
    sums: dict[str, Any] = {}
    for part in gather([_sums(episodes, rows, method, lam)]):
        for key, value in part.items():
            if isinstance(value, list):
                sums[key] = [a + b for a, b in zip(sums.get(key, [0.0] * len(value)), value, strict=True)]
            else:
                sums[key] = sums.get(key, 0.0) + value
    return Measured(_record(sums, lam, method.has_teacher), episodes, rows, lam)


def _sums(episodes: Sequence[Episode], rows: Sequence[TrainingRow], method: Method, lam: float) -> dict[str, Any]:
    whole = [episode.trajectory for episode in episodes if not episode.trajectory.broken]
    steps = [step for trajectory in whole for step in trajectory.steps]
    repeats = sum(
        now.action == before.action and now.anchor == before.anchor
        for trajectory in whole
        for before, now in zip(trajectory.steps, trajectory.steps[1:], strict=False)
    )
    returns: dict[str, set[float]] = {}
    for trajectory in whole:
        returns.setdefault(trajectory.task_id, set()).add(trajectory.total_reward)
    sums: dict[str, Any] = {
        "episodes": len(episodes),
        "broken": len(episodes) - len(whole),
        "whole": len(whole),
        "won": sum(trajectory.won for trajectory in whole),
        "score": sum(trajectory.score for trajectory in whole),
        "return": sum(trajectory.total_reward for trajectory in whole),
        "truncated": sum(trajectory.truncated for trajectory in whole),
        "steps": len(steps),
        "invalid": sum(not step.action_valid for step in steps),
        "repeats": repeats,
        "groups": len(returns),
        "flat": sum(len(values) == 1 for values in returns.values()),
        "rows": len(rows),
        "tokens": sum(len(row.response_ids) for row in rows),
        "prompt_tokens": sum(len(row.prompt_ids) for row in rows),
        "advantage_abs": sum(abs(row.advantage) for row in rows),
        "chosen": sum(sum(row.chosen) for row in rows),
        "parse_failures": sum(not any(row.chosen) for row in rows) if method.has_teacher else 0,
        "contexts": sum(row.context is not None for row in rows),
        "teacher_tokens": sum(len(row.teacher_ids) + len(row.response_ids) for row in rows if row.teacher_ids),
        "logprob": -sum(sum(row.logprobs) for row in rows),
    }
    for source in sorted({name for row in rows if row.context is not None for name in row.context.sources}):
        sums[f"source:{source}:rows"] = 0.0
    taught = [row for row in rows if row.teacher_logps is not None]
    histogram = torch.zeros(_BINS)
    if taught:
        gaps, weights, factors, chosen = _weigh(taught, method, lam)
        edge = method.how.clip - 1e-6
        clipped = ((weights - 1).abs() >= edge) & chosen
        histogram = torch.histc(factors[chosen].clamp(_LOW, _HIGH).float(), _BINS, _LOW, _HIGH)
        # A row's sums: tokens, those at a bound, gap, its size, factor.
        columns = (chosen, clipped, gaps * chosen, gaps.abs() * chosen, factors * chosen)
        told = torch.stack([column.double().sum(-1) for column in columns], -1).tolist()
        for row, (tokens, bound, total, size, factor) in zip(taught, told, strict=True):
            assert row.context is not None
            parts = {"weighed": tokens, "clipped": bound, "gap": total, "gap_abs": size, "factor": factor,
                     f"{_way(row)}_tokens": tokens, f"{_way(row)}_factor": factor}  # fmt: skip
            for source in row.context.sources:
                for key, value in (("rows", 1.0), ("tokens", tokens), ("gap", total), ("abs", size)):
                    parts[f"source:{source}:{key}"] = value
            for key, value in parts.items():
                sums[key] = sums.get(key, 0.0) + value
    sums["weights"] = histogram.tolist()
    return sums


def _way(row: TrainingRow) -> str:
    """Whether the row's tokens are to become likelier, less likely, or neither (A = 0, asked for a KL term alone)."""
    return "up" if row.advantage > 0 else "down" if row.advantage < 0 else "still"


def token_weights(row: TrainingRow, method: Method, lam: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gap, w and Â/A of every token of one row (T); the student's side is what the tokens were drawn with."""
    width = len(row.response_ids)
    if row.teacher_logps is None:
        return torch.zeros(width), torch.ones(width), torch.ones(width)
    gaps, weights, factors, _ = _weigh([row], method, lam)
    return gaps[0], weights[0], factors[0]


def _weigh(
    rows: Sequence[TrainingRow], method: Method, lam: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same of many rows at once, and which tokens are weighed (B, T): a row at a time takes far longer."""
    said = pad_right([row.teacher_logps for row in rows], 0.0, torch.float32)
    drawn = pad_right([row.logprobs for row in rows], 0.0, torch.float32)
    chosen = pad_right([row.chosen for row in rows], False, torch.bool)
    advantages = torch.tensor([row.advantage for row in rows])
    gaps = signals.gap(said, drawn)
    clip, mean_one = method.how.clip, method.how.mean_one
    weights = signals.weights(advantages, gaps, chosen, clip=clip)
    blended = signals.reweight(advantages, gaps, chosen, lam, clip=clip, mean_one=mean_one)
    factors = torch.where(advantages[:, None] == 0, 1.0, blended / advantages[:, None])
    return gaps, weights, factors, chosen


def _record(sums: dict[str, Any], lam: float, has_teacher: bool) -> dict[str, Any]:
    def share(part: str, whole: str) -> float:
        return sums.get(part, 0.0) / sums[whole] if sums.get(whole) else 0.0

    record: dict[str, Any] = {
        "success": share("won", "whole"),
        "score": share("score", "whole"),
        "return": share("return", "whole"),
        "episodes": sums["episodes"],
        "broken": sums["broken"],
        "truncated": share("truncated", "whole"),
        "episode_turns": share("steps", "whole"),
        "invalid": share("invalid", "steps"),
        "repetition": share("repeats", "steps"),
        "rows": sums["rows"],
        "response_tokens": sums["tokens"],
        "response_length": share("tokens", "rows"),
        "prompt_tokens": sums["prompt_tokens"],
        "rollout_tokens": sums["tokens"] + sums["prompt_tokens"],
        "groups_without_variance": share("flat", "groups"),
        "advantage_abs": share("advantage_abs", "rows"),
        "surprise": share("logprob", "tokens"),
    }
    if has_teacher:
        record.update(
            {
                "lambda": lam,
                "context_available": share("contexts", "rows"),
                "action_tokens": share("chosen", "tokens"),
                "parse_failures": share("parse_failures", "rows"),
                "teacher_tokens": sums["teacher_tokens"],
            }
        )
    if sums.get("weighed"):
        width = (_HIGH - _LOW) / _BINS
        record.update(
            {
                "clipped": share("clipped", "weighed"),
                "gap": share("gap", "weighed"),
                "gap_abs": share("gap_abs", "weighed"),
                "weight_mean": share("factor", "weighed"),
                # Told only where there are such tokens: a mean of none is no 0.
                **{
                    f"weight_{way}": share(f"{way}_factor", f"{way}_tokens")
                    for way in ("up", "down")
                    if sums.get(f"{way}_tokens")
                },
                "weights": {
                    "edges": [round(_LOW + i * width, 6) for i in range(_BINS + 1)],
                    "counts": sums["weights"],
                },
                "gap_by_source": {
                    name: {
                        "mean": share(f"source:{name}:gap", f"source:{name}:tokens"),
                        "abs": share(f"source:{name}:abs", f"source:{name}:tokens"),
                        "rows": sums[f"source:{name}:rows"],
                    }
                    for name in sorted(
                        {key.split(":", 1)[1].rpartition(":")[0] for key in sums if key[:7] == "source:"}
                    )
                },
            }
        )
    return record
