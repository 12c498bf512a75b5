"""What a teacher says of turns: its gap with every source of hindsight, and the credit that weighted methods give.

The teacher is the policy itself, with hindsight in its prompt. Both need a model of transformers.

* ``gap:SOURCES@PLACE``: the mean over the action's tokens of ``log π(y|x, c) − log π(y|x)``. Positive: with hindsight,
  the action is more probable.
* ``METHOD``: the mean over the response's tokens of the advantage that the method gives to its loss, at the first
  update at which its teacher has strength.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from agentgym_hindsight.baselines.requirements import require_train

require_train("scoring a teacher")

import numpy as np  # noqa: E402
import torch  # noqa: E402

from agentgym_hindsight.baselines.audit.moments import PlayedGroup  # noqa: E402
from agentgym_hindsight.baselines.audit.targets import analysed  # noqa: E402
from agentgym_hindsight.baselines.audit.turn_table import COST, SAYS  # noqa: E402
from agentgym_hindsight.baselines.methods import RECIPES, recipe  # noqa: E402
from agentgym_hindsight.baselines.methods.base import Method  # noqa: E402
from agentgym_hindsight.baselines.methods.batch import Batch, Scores  # noqa: E402
from agentgym_hindsight.baselines.methods.credit import GroupRelative  # noqa: E402
from agentgym_hindsight.baselines.methods.schedules import Constant  # noqa: E402
from agentgym_hindsight.baselines.training.row_credit import add_evidence  # noqa: E402
from agentgym_hindsight.baselines.training.scoring import Scorer, of_logits, without_dropout  # noqa: E402
from agentgym_hindsight.baselines.training.sequences import Sequences  # noqa: E402
from agentgym_hindsight.baselines.training.training_row import TrainingRow  # noqa: E402
from agentgym_hindsight.baselines.training.training_rows import columns_of, group_episodes, make_rows  # noqa: E402
from agentgym_hindsight.hindsight.spec import ContextSpec  # noqa: E402

__all__ = ["SOURCES", "TeacherSays", "teacher_methods"]

#: The contexts whose gaps are measured: each source alone, SERL's two combinations with a success, and the hints and
#: diagnoses that need no model.
SOURCES = (
    "success",
    "future",
    "immediate",
    "next",
    "current",
    "success|immediate",
    "success+immediate",
    "success@anchor",
    "future@anchor",
    "immediate@anchor",
    "next@anchor",
    "success|immediate@anchor",
    "hint",
    "diagnosis",
)
#: Weights on other credits.
COMBINATIONS = ("serl+gigpo", "serl+crbc")
#: Logits of replies that are in memory at once: a quarter of a gigabyte. A single reply may have more.
MOST_LOGITS = 1 << 26
_LATEST_START = 1000  # updates within which a teacher's strength is above 0

Place = tuple[int, int]


def teacher_methods() -> dict[str, Method]:
    """The methods with a teacher, without a critic, whose contexts need no other model's text; and SERL's credits."""
    found = {name: recipe(name) for name in (*RECIPES, *COMBINATIONS)}
    return {
        name: method.changed(penalty=0.0) if hasattr(method.credit, "penalty") else method
        for name, method in found.items()
        if method.has_teacher
        and method.critic is None
        and not (method.writes_contexts or method.replaces_rollouts)
        and not (method.uses_hidden or (method.what is not None and method.what.needs_judge))
    }


class TeacherSays:
    """Scores the groups of a :class:`~agentgym_hindsight.baselines.policies.transformers.TransformersPolicy`."""

    def __init__(
        self,
        policy: Any,
        parser: str,
        *,
        sources: Sequence[str] = SOURCES,
        methods: Mapping[str, Method] | None = None,
        token_budget: int = 16384,
        most_logits: int = MOST_LOGITS,
    ) -> None:
        self.policy, self.parser, self.budget, self.logits = policy, parser, token_budget, most_logits
        gap = Method("gap", GroupRelative(penalty=0.0), when=Constant(0.5))
        # With a KL term the teacher scores turns whose advantage is 0 too.
        self._gaps = {text: replace(gap, what=ContextSpec.parse(text), aux_kl=1.0) for text in sources}
        self._methods = teacher_methods() if methods is None else dict(methods)
        self._memory: dict[str, dict[str, Any]] = {name: {} for name in self._methods}

    def __call__(self, group: PlayedGroup) -> dict[Place, dict[str, float]]:
        """The numbers of every turn by column."""
        episodes = [each._replace(trajectory=analysed(each.trajectory)) for each in group.episodes]
        places = [(member, step) for member, each in enumerate(episodes) for step in range(len(each.replies))]
        result: dict[Place, dict[str, float]] = {place: {} for place in places}
        scored: dict[tuple[tuple[int, ...], tuple[int, ...]], torch.Tensor] = {}
        for text, method in self._gaps.items():
            rows = self._rows(episodes, method)
            self._score(rows, scored)
            for place, row in zip(places, rows, strict=True):
                if row.teacher_logps is not None and any(row.chosen):
                    gaps = row.teacher_logps[:, 0].double() - torch.tensor(row.logprobs, dtype=torch.float64)
                    name = f"gap:{text}"
                    result[place][SAYS + name] = float(gaps[torch.tensor(row.chosen)].mean())
                    result[place][COST + name] = float(len(row.teacher_ids) + len(row.response_ids))
        for name, method in self._methods.items():
            for place, (credit, tokens) in zip(places, self._weighted(name, method, episodes, scored), strict=True):
                result[place][SAYS + name] = credit
                result[place][COST + name] = tokens
        return result

    def _rows(self, episodes: list[Any], method: Method) -> list[TrainingRow]:
        return make_rows(episodes, method, self.policy.encoder, True, parser=self.parser)

    def _score(self, rows: Sequence[TrainingRow], scored: dict[Any, torch.Tensor], plain: bool = False) -> None:
        """Set ``teacher_logps`` (T, 2), log-probabilities and entropies; with ``plain``, after the policy's prompt."""
        pairs = {
            number: (tuple(row.prompt_ids if plain else row.teacher_ids), tuple(row.response_ids))
            for number, row in enumerate(rows)
            if row.teacher_ids
        }
        missing = [pair for pair in dict.fromkeys(pairs.values()) if pair not in scored]
        missing.sort(key=lambda pair: len(pair[0]) + len(pair[1]))
        pad = self.policy.encoder.tokenizer.pad_token_id or 0
        scorer = Scorer(self.policy.temperature or 1.0, nullcontext)
        for batch in self._batches(missing):
            sequences = Sequences.of_rows(batch, pad).to(self.policy.model.device)
            with torch.no_grad(), without_dropout(self.policy.model):
                logits = scorer.logits(self.policy.model, sequences)
                width = logits.shape[1]
                targets = torch.tensor([[*pair[1], *([pad] * (width - len(pair[1])))] for pair in batch])
                mask = torch.tensor([[1] * len(pair[1]) + [0] * (width - len(pair[1])) for pair in batch])
                # In parts of replies, because the entropy needs several copies of the logits.
                part = max(1, self.logits // (len(batch) * logits.shape[2]))
                parts = []
                for start in range(0, width, part):
                    here = slice(start, start + part)
                    logps, entropies = of_logits(logits[:, here].cpu(), targets[:, here], mask[:, here], True)
                    assert entropies is not None
                    parts.append(torch.stack([logps, entropies], -1))
                scores = torch.cat(parts, 1)
            for line, pair in enumerate(batch):
                scored[pair] = scores[line, : len(pair[1])]
        for number, pair in pairs.items():
            if plain:
                rows[number].plain_logps = scored[pair][:, 0]
            else:
                rows[number].teacher_logps = scored[pair]

    def _batches(self, pairs: Sequence[Any]) -> Iterator[list[Any]]:
        """Pairs of prompts and replies, the shortest first, in batches of limited size and limited logits."""
        vocabulary = _vocabulary(self.policy.model)
        batch: list[Any] = []
        for pair in pairs:
            longest = max(len(pair[1]), *(len(reply) for _, reply in batch)) if batch else len(pair[1])
            count = len(batch) + 1
            if batch and (
                count * (len(pair[0]) + len(pair[1])) > self.budget or count * longest * vocabulary > self.logits
            ):
                yield batch
                batch = []
            batch.append(pair)
        if batch:
            yield batch

    def _weighted(
        self, name: str, method: Method, episodes: list[Any], scored: dict[Any, torch.Tensor]
    ) -> list[tuple[float, float]]:
        """The mean advantage over the response's tokens, and the teacher's tokens, of every turn."""
        update = next((u for u in range(_LATEST_START) if method.when(u) > 0), 0)
        lam = method.when(update)
        rows = self._rows(episodes, method)
        self._score(rows, scored)
        if method.compares_teacher:
            self._score(rows, scored, plain=True)
        for row in rows:
            if row.teacher_logps is not None:
                both = row.teacher_logps
                row.teacher_logps, row.teacher_entropies = both[:, 0].contiguous(), both[:, 1].contiguous()
        groups = group_episodes(episodes)
        add_evidence(rows, columns_of(groups, method), method, lam, self._memory[name], None)
        counts = {
            "all_tokens": float(sum(len(row.response_ids) for row in rows)),
            "all_chosen": float(sum(sum(row.chosen) for row in rows if row.teacher_logps is not None)),
            "all_marked": float(sum(sum(row.chosen) for row in rows)),
            "all_turns": float(len(rows)),
            "all_marked_turns": float(sum(any(row.chosen) for row in rows)),
        }
        return [
            (_mean_advantage(row, method, lam, update, self._memory[name], counts), float(_tokens(row))) for row in rows
        ]


def _vocabulary(model: Any) -> int:
    """The number of logits of a token."""
    config: Any = getattr(model, "config", None)
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    return int(getattr(config, "vocab_size", 0) or 1)


def _tokens(row: TrainingRow) -> int:
    return len(row.teacher_ids) + len(row.response_ids) if row.teacher_ids else 0


def _mean_advantage(
    row: TrainingRow,
    method: Method,
    lam: float,
    update: int,
    memory: dict[str, Any],
    counts: Mapping[str, float],
) -> float:
    """The mean over the response's tokens of the advantages that the loss would use."""
    chosen = torch.tensor([row.chosen])
    advantages = torch.tensor([row.advantage]) if row.token_advantages is None else row.token_advantages.float()[None]
    student = torch.tensor([row.logprobs], dtype=torch.float32)
    batch = Batch(
        advantages=advantages,
        tokens=torch.ones_like(chosen),
        chosen=chosen if row.teacher_logps is not None else torch.zeros_like(chosen),
        marked=chosen,
        signals=None if row.signals is None else row.signals.float()[None],
        row_signals=None if row.row_signal is None else torch.tensor([row.row_signal]),
        lam=lam,
        update=update,
        memory=memory,
        **counts,  # type: ignore[arg-type]
    )
    teacher = None if row.teacher_logps is None else Scores(row.teacher_logps.float()[None], _no_logits)
    with torch.no_grad():
        values = method.token_advantages(batch, Scores(student, _no_logits), teacher)
    return float(np.mean(batch.per_token_of(values).double().numpy()))


def _no_logits() -> torch.Tensor:
    raise NotImplementedError("Expected a method whose token weights need no logits; try leaving it out of the audit.")
