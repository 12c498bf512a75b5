"""The turns that analysers name as mistakes, and how often these are the turns that cost the most.

HINT-SD trains on the turns that its analyser names, HERO on those with a diagnosis. Their columns ``targets:NAME`` have
-1 at a named turn and 0 at the others of the rollout. Both are asked about failed rollouts only, so that they can be
compared. Beside them: three random turns, and the last turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agentgym_hindsight.baselines.analysers.diagnoses import Diagnosed
from agentgym_hindsight.baselines.analysers.failures import FailedTurns
from agentgym_hindsight.baselines.audit.agreement import mean_of
from agentgym_hindsight.baselines.audit.judge import Answers
from agentgym_hindsight.baselines.audit.moments import PlayedGroup
from agentgym_hindsight.baselines.audit.summary import Figure, bootstrap
from agentgym_hindsight.baselines.audit.turn_table import COST, SAYS, TurnTable
from agentgym_hindsight.baselines.methods.rows import Array
from agentgym_hindsight.hindsight.analyses import Analysis
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.tasks import seeded_int

__all__ = ["TARGETS", "TargetSays", "TargetScore", "analysed", "target_scores"]

#: The beginning of the names of these columns.
TARGETS = "targets:"
_MOST = 3  # turns that HINT-SD's analyser may name, and random ones
_QUESTIONS: Mapping[str, Callable[[Trajectory], Any]] = {
    "hint-sd": lambda rollout: FailedTurns(rollout, _MOST),
    "hero": Diagnosed,
}


def analysed(rollout: Trajectory) -> Trajectory:
    """The rollout with the hints (if it failed) and diagnoses that need no model."""
    hints = {} if rollout.won or not rollout.steps else FailedTurns(rollout, _MOST).scripted()
    written = [Analysis("hint", text, step, "scripted") for step, text in hints.items()]
    diagnoses = Diagnosed(rollout).scripted()
    written += [Analysis("diagnosis", str(each), step, "scripted") for step, each in diagnoses.items()]
    return rollout.replace(analyses=(*rollout.analyses, *written))


class TargetSays:
    """Names the target turns of a group: by scripts, and by a model if there is a client.

    A rollout whose answer names no turn has no targets. ``unreadable`` counts these.
    """

    def __init__(self, client: Answers | None = None, *, max_tokens: int = 512) -> None:
        self.client, self.max_tokens = client, max_tokens
        self.unreadable = 0

    def __call__(self, group: PlayedGroup) -> dict[tuple[int, int], dict[str, float]]:
        """The numbers of the turns of failed rollouts."""
        failed = {
            member: episode.trajectory for member, episode in enumerate(group.episodes) if not episode.trajectory.won
        }
        result: dict[tuple[int, int], dict[str, float]] = {
            (member, step): {} for member, rollout in failed.items() for step in range(len(rollout))
        }
        for member, rollout in failed.items():
            _add(result, member, rollout, "random-turns", _random_turns(rollout))
            _add(result, member, rollout, "last-turn", [len(rollout) - 1])
            for name, question in _QUESTIONS.items():
                _add(result, member, rollout, name, question(rollout).scripted())
        if self.client is not None:
            for name, question in _QUESTIONS.items():
                self._ask(result, failed, name, question)
        return result

    def _ask(
        self,
        result: dict[tuple[int, int], dict[str, float]],
        failed: Mapping[int, Trajectory],
        name: str,
        question: Callable[[Trajectory], Any],
    ) -> None:
        assert self.client is not None
        asked = {member: question(rollout) for member, rollout in failed.items()}
        replies = self.client.answers(
            [each.messages() for each in asked.values()],
            [seeded_int("targets", *each.key) % 2**31 for each in asked.values()],
            max_tokens=self.max_tokens,
            temperature=0.0,
        )
        for (member, each), reply in zip(asked.items(), replies, strict=True):
            turns = {} if reply is None else each.read(reply.text)
            self.unreadable += not turns
            tokens = 0 if reply is None else reply.prompt_tokens + reply.completion_tokens
            _add(result, member, failed[member], f"{name}:endpoint", turns, tokens)


def _random_turns(rollout: Trajectory) -> list[int]:
    order = sorted(
        range(len(rollout)), key=lambda step: seeded_int("random-turns", rollout.task_id, rollout.sibling, step)
    )
    return order[:_MOST]


def _add(
    result: dict[tuple[int, int], dict[str, float]],
    member: int,
    rollout: Trajectory,
    name: str,
    turns: Sequence[int] | Mapping[int, Any],
    tokens: int = 0,
) -> None:
    named = set(turns)
    for step in range(len(rollout)):
        result[member, step][f"{SAYS}{TARGETS}{name}"] = -1.0 if step in named else 0.0
        result[member, step][f"{COST}{TARGETS}{name}"] = tokens / len(rollout)


@dataclass(frozen=True, slots=True)
class TargetScore:
    """How good the named turns of one analyser are, over failed rollouts that have a turn of certainly negative truth.

    * ``named``: named turns of a rollout, in the mean. ``rollouts``: those in which an audited turn was named.
    * ``precision``: the share of the n named turns that are among the n most negative true advantages of the rollout.
    * ``chance``: the same for n turns drawn at random. ``difference``: precision minus chance.
    * ``found``: the share of rollouts in which the most negative turn was named.
    """

    name: str
    rollouts: int
    named: float
    precision: Figure
    chance: Figure
    difference: Figure
    found: Figure

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        figures = ("precision", "chance", "difference", "found")
        return {
            "name": self.name,
            "rollouts": self.rollouts,
            "named": self.named if np.isfinite(self.named) else None,
            **{name: getattr(self, name).as_dict() for name in figures},
        }


def target_scores(table: TurnTable, samples: int = 500, seed: int = 0) -> list[TargetScore]:
    """The score of every column of targets in the table; [] if it has none."""
    audited = table.where(table.audited)
    return [_score(name, audited, samples, seed) for name in audited.names(SAYS + TARGETS)]


def _score(name: str, table: TurnTable, samples: int, seed: int) -> TargetScore:
    says, value, high = (table.column(column) for column in (f"{SAYS}{TARGETS}{name}", "advantage", "high"))
    hits, chance, found, count = (np.full(len(table), np.nan) for _ in range(4))
    for members in _failed_rollouts(table, says):
        if len(members) < 2 or not (high[members] < 0).any():
            continue
        first, truth, named = members[0], value[members], says[members] < 0
        number = int(named.sum())
        count[first], found[first] = number, float(named[truth <= truth.min() + 1e-9].any())
        if number:
            # Turns with equal truth are equally right, but a truth that is not negative is no mistake.
            worst = (truth <= np.sort(truth)[number - 1] + 1e-9) & (truth < 0)
            hits[first], chance[first] = (named & worst).sum() / number, worst.mean()
    tasks = table.task_numbers

    def mean(values: Array) -> Callable[[Array], float]:
        return lambda chosen: mean_of(values[chosen])

    measures = {"precision": hits, "chance": chance, "difference": hits - chance, "found": found}
    figures = bootstrap({key: mean(values) for key, values in measures.items()}, tasks, samples, seed)
    return TargetScore(name, int(np.isfinite(hits).sum()), mean_of(count), **figures)


def _failed_rollouts(table: TurnTable, says: Array) -> list[Array]:
    """The places of the turns of each failed rollout that the analyser was asked about."""
    places: dict[tuple[str, int], list[int]] = {}
    for place, row in enumerate(table.rows):
        if not row["won"] and np.isfinite(says[place]):
            places.setdefault((row["task"], row["member"]), []).append(place)
    return [np.array(members, np.int64) for members in places.values()]
