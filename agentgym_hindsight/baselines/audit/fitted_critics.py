"""What methods with a critic say of turns: their advantages, with a linear critic on the policy's own states.

Training fits a critic while the policy changes. An audit has one policy and its rollouts, so the critic is fitted to
them: the heads of the method are linear functions of the policy's last hidden states, at the positions at which the
method reads its critic. They are the least-squares solution (with a small ridge) for the returns of the rollouts, as
the method defines them, without bootstrapping. The rollouts of a task are predicted by heads that were fitted to all
other tasks. Nothing is drawn at random, except a fixed projection of states that have more than 256 numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from agentgym_hindsight.baselines.requirements import require_train

require_train("fitting a critic")

import numpy as np  # noqa: E402
import torch  # noqa: E402

from agentgym_hindsight.baselines.audit.turn_table import TurnTable, turn_rows  # noqa: E402
from agentgym_hindsight.baselines.methods import RECIPES, recipe  # noqa: E402
from agentgym_hindsight.baselines.methods.critics import CriticCredit  # noqa: E402
from agentgym_hindsight.baselines.methods.rows import Array, Rows, Values  # noqa: E402
from agentgym_hindsight.baselines.padding import pad_right  # noqa: E402
from agentgym_hindsight.hindsight.trajectory import Group, Step  # noqa: E402

__all__ = ["FittedCritics", "TurnNumbers", "critic_credits"]

#: Numbers of a column, by task, rollout and step.
TurnNumbers = Mapping[tuple[str, int, int], float]

_WIDEST = 256
_RIDGE = 0.01  # of the mean variance of the states' numbers


def critic_credits() -> dict[str, CriticCredit]:
    """The credits of the methods with a critic; as in ``agh credit``, invalid actions have no penalty."""
    found = {name: recipe(name) for name in RECIPES}
    return {
        name: replace(method.credit, penalty=0.0)  # type: ignore[type-var]
        for name, method in found.items()
        if method.critic is not None and isinstance(method.credit, CriticCredit)
    }


class _Seen(NamedTuple):
    """The states of one turn: before the reply (H), before each of its tokens (T, H), after the last one (H)."""

    turn: Array
    tokens: Array
    after: Array


@dataclass(slots=True)
class _Sums:
    """The sums of a least-squares problem: of rows with a first column of ones."""

    squares: Array
    products: Array

    def add(self, states: Array, targets: Array) -> None:
        rows = _with_ones(states)
        self.squares += rows.T @ rows
        self.products += rows.T @ targets


class FittedCritics:
    """Fits critics to rollouts of a :class:`~agentgym_hindsight.baselines.policies.transformers.TransformersPolicy`.

    ``token_budget`` limits the tokens that the model reads at once.
    """

    def __init__(self, policy: Any, *, token_budget: int = 16384) -> None:
        self.policy, self.budget = policy, token_budget
        self._projection: Array | None = None

    def __call__(self, groups: Sequence[Group]) -> dict[str, TurnNumbers]:
        """The numbers of every turn by column; none for conversations, or if there is only one task."""
        steps = [step for group in groups for rollout in group for step in rollout.steps]
        if len(groups) < 2 or not all(step.prompt and not step.extra.get("conversation") for step in steps):
            return {}
        rows = [row for group in groups for row in turn_rows(group)]
        columns = TurnTable(tuple(rows)).as_rows("observation")
        tasks = np.array(columns.group)
        prompts, replies = self._tokens(steps)
        found: dict[str, TurnNumbers] = {}
        for name, credit in critic_credits().items():
            values = self._predicted(credit, columns, tasks, prompts, replies)
            advantages = credit(replace(columns, values=values))
            found[name] = {
                (row["task"], row["member"], row["step"]): float(np.mean(each)) if np.size(each) else 0.0
                for row, each in zip(rows, advantages, strict=True)
            }
        return found

    def cost(self, groups: Sequence[Group]) -> float:
        """The tokens of a turn that the critic reads, in the mean."""
        steps = [step for group in groups for rollout in group for step in rollout.steps]
        prompts, replies = self._tokens(steps)
        return float(np.mean([len(prompt) + len(reply) for prompt, reply in zip(prompts, replies, strict=True)]))

    # -- internal ----------------------------------------------------------------------------------------------------

    def _tokens(self, steps: Sequence[Step]) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        encoder = self.policy.encoder
        return (
            list(encoder.encode_all([step.prompt for step in steps])),
            list(encoder.responses([step.response or step.action for step in steps])),
        )

    def _predicted(
        self,
        credit: CriticCredit,
        columns: Rows,
        tasks: Array,
        prompts: Sequence[tuple[int, ...]],
        replies: Sequence[tuple[int, ...]],
    ) -> Values:
        """The values of all turns by heads that were fitted to other tasks."""
        targets = _returns(credit, columns, [len(reply) for reply in replies])
        sums: dict[tuple[str, int], _Sums] = {}

        def heads() -> Iterator[tuple[str, Callable[[int, _Seen], tuple[Array, Array]]]]:
            if targets.turn is not None:
                turns = targets.turn
                yield "turn", lambda number, seen: (seen.turn[None], turns[number : number + 1])
            if targets.tokens is not None:
                tokens = targets.tokens
                yield "token", lambda number, seen: (seen.tokens, tokens[number])

        chosen = dict(heads())
        for number, seen in self._states(prompts, replies):
            for head, of in chosen.items():
                states, wanted = of(number, seen)
                size = states.shape[1] + 1
                key = head, int(tasks[number])
                sums.setdefault(key, _Sums(np.zeros((size, size)), np.zeros(size))).add(states, wanted)
        weights = {key: _solved([each for other, each in sums.items() if _is_other(key, other)]) for key in sums}
        turn = np.zeros(len(tasks)) if "turn" in chosen else None
        tokens: list[Array] | None = [np.zeros(0)] * len(tasks) if "token" in chosen else None
        after = np.zeros(len(tasks)) if "token" in chosen else None
        for number, seen in self._states(prompts, replies):
            task = int(tasks[number])
            if turn is not None:
                turn[number] = (_with_ones(seen.turn[None]) @ weights["turn", task])[0]
            if tokens is not None and after is not None:
                tokens[number] = _with_ones(seen.tokens) @ weights["token", task]
                after[number] = (_with_ones(seen.after[None]) @ weights["token", task])[0]
        return Values(turn, None if tokens is None else tuple(tokens), after)

    @torch.no_grad()
    def _states(
        self, prompts: Sequence[tuple[int, ...]], replies: Sequence[tuple[int, ...]]
    ) -> Iterator[tuple[int, _Seen]]:
        """The last hidden states of every turn, in batches of turns of about one length."""
        model = self.policy.model
        pad = self.policy.encoder.tokenizer.pad_token_id or 0
        order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]) + len(replies[number]))
        training = model.training
        model.eval()
        try:
            while order:
                batch = [order.pop()]
                longest = len(prompts[batch[0]]) + len(replies[batch[0]])
                while order and (len(batch) + 1) * longest <= self.budget:
                    batch.append(order.pop())
                rows = [[*prompts[number], *replies[number]] for number in batch]
                ids = pad_right(rows, pad, torch.long)
                mask = pad_right([[1] * len(row) for row in rows], 0, torch.long)
                output = model.base_model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device))
                states = output.last_hidden_state.float().cpu().double().numpy()
                for line, number in enumerate(batch):
                    start, end = len(prompts[number]) - 1, len(prompts[number]) + len(replies[number]) - 1
                    kept = self._projected(states[line, start : end + 1])
                    yield number, _Seen(kept[0], kept[:-1], kept[-1])
        finally:
            model.train(training)

    def _projected(self, states: Array) -> Array:
        width = states.shape[1]
        if width <= _WIDEST:
            return states
        if self._projection is None:
            self._projection = np.random.default_rng(0).normal(size=(width, _WIDEST)) / np.sqrt(width)
        projected: Array = states @ self._projection
        return projected


def _returns(credit: CriticCredit, columns: Rows, lengths: Sequence[int]) -> Values:
    """What each head is fitted to: the method's own targets with λ = 1 and values of 0, which are returns."""
    lams = {field.name: 1.0 for field in fields(credit) if field.name in ("lam", "token_lam")}  # type: ignore[arg-type]
    zeros = Values(np.zeros(len(lengths)), tuple(np.zeros(length) for length in lengths), np.zeros(len(lengths)))
    estimate = replace(credit, **lams).estimate(replace(columns, values=zeros))  # type: ignore[type-var]
    tokens = estimate.token_targets
    return Values(
        None if estimate.turn_targets is None else np.asarray(estimate.turn_targets, np.float64),
        None if tokens is None else tuple(np.asarray(each, np.float64) for each in tokens),
    )


def _is_other(key: tuple[str, int], other: tuple[str, int]) -> bool:
    return key[0] == other[0] and key[1] != other[1]


def _with_ones(states: Array) -> Array:
    return np.concatenate([np.ones((len(states), 1)), states], axis=1)


def _solved(sums: Sequence[_Sums]) -> Array:
    """The weights, the intercept first. The intercept has no ridge."""
    squares = np.sum([each.squares for each in sums], axis=0)
    products = np.sum([each.products for each in sums], axis=0)
    count = squares[0, 0]
    variances = np.diag(squares)[1:] / count - (squares[0, 1:] / count) ** 2
    ridge = np.full(len(products), _RIDGE * count * max(float(variances.mean()), 1e-12))
    ridge[0] = 0.0
    solution: Array = np.linalg.lstsq(squares + np.diag(ridge), products, rcond=None)[0]
    return solution
