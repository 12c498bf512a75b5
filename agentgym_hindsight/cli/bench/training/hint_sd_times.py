"""``agh bench hint-sd``: updates of HINT-SD on selected turns and with feedback at every turn, on the same rollouts.

The episodes of an update are played once. Then both forms train on them alternately, from copies of the same weights;
no optimizer step is made. The analyser is scripted, so its time is that of templates. Its tokens are those that a model
would read and write: the questions in the policy's tokens, and the scripted answers.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from statistics import median
from typing import Any, NamedTuple

from agentgym_hindsight.baselines.analysers.failures import FailedTurns, FeedbackOnTurn
from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.chat_messages import MessageEncoder
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.quiet import quiet_libraries
from agentgym_hindsight.baselines.training.run import RunSettings
from agentgym_hindsight.baselines.training.start import open_start
from agentgym_hindsight.cli.bench.figures import Row
from agentgym_hindsight.cli.bench.training.speed import StatusLine
from agentgym_hindsight.cli.bench.training.step_times import Replay, StepTime, one_thread
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.messages import Message
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["FORMS", "Form", "Times", "analyser_tokens", "measure", "times_of"]

#: The targets of HINT-SD by the name of the form.
FORMS: Mapping[str, str] = {"selected turns": "multi", "every turn": "dense"}
_SELECTED, _DENSE = FORMS
_LONGEST_QUESTION = 1_000_000  # tokens: questions are counted whole


class Form(NamedTuple):
    """One update: its time, and what the teacher and an analyser read and write."""

    time: StepTime
    target_rows: int
    teacher_tokens: int
    trained_tokens: int


class Times(NamedTuple):
    """The forms by name, the median of the ratios of their times (dense by selected), and the episodes."""

    forms: Mapping[str, Form]
    ratio: float
    update_ratio: float
    episodes: Sequence[Episode]


def measure(
    training: RunSettings, *, updates: int, repeats: int, note: Callable[[str], object] = lambda _: None
) -> list[Row]:
    """All figures, for the model and the stage of ``training``."""
    if updates < 1 or repeats < 1:
        raise UsageError(f"Expected at least one update and one repeat, got {updates} and {repeats}; try 2 and 3.")
    with quiet_libraries(), one_thread():
        model, tokenizer, _ = open_start(training.model, training.stage, training.warm, training.plan, StatusLine(note))
        encoder = PromptEncoder(tokenizer, training.plan.prompt_tokens, training.template)
        found = times_of(training, model, encoder, updates=updates, repeats=repeats, note=note)
        note("tokens of the questions")
        return _rows(training, found, encoder)


def times_of(
    training: RunSettings,
    model: Any,
    encoder: PromptEncoder,
    *,
    updates: int,
    repeats: int,
    note: Callable[[str], object] = lambda _: None,
) -> Times:
    """The means over updates of the medians over repeats."""
    plan = replace(training.plan, mini_batches=1, save_every=0, updates=max(updates, training.plan.updates))
    tasks = training.stage.panel("train", updates * plan.tasks, plan.seed)
    played: dict[int, list[Episode]] = {}
    forms: dict[str, list[Form]] = {name: [] for name in FORMS}
    ratios: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        learners = {
            name: stack.enter_context(
                closing(
                    Replay(
                        copy.deepcopy(model),
                        recipe("hint-sd").changed(targets=targets, analyser="scripted"),
                        training.stage,
                        plan,
                        encoder=encoder,
                        tasks=tasks,
                        output_dir=folder,
                        played=played,
                    )
                )
            )
            for name, targets in FORMS.items()
        }
        for update in range(updates):
            note(f"update {update + 1} of {updates}: playing")
            rollout = learners[_SELECTED].timed(update).rollout
            learners[_DENSE].timed(update)  # warms up; is not counted
            times: dict[str, list[StepTime]] = {name: [] for name in learners}
            for number in range(repeats):
                for name, learner in learners.items():
                    note(f"update {update + 1} of {updates}: {name}, {number + 1} of {repeats}")
                    times[name].append(learner.timed(update)._replace(rollout=rollout))
            for name, learner in learners.items():
                middle = StepTime(*(median(values) for values in zip(*times[name], strict=True)))
                forms[name].append(_form(middle, learner))
            pairs = zip(times[_DENSE], times[_SELECTED], strict=True)
            ratios += [(dense.total / own.total, _apart(dense) / _apart(own)) for dense, own in pairs]
    whole, apart = (median(values) for values in zip(*ratios, strict=True))
    episodes = [episode for each in played.values() for episode in each]
    return Times({name: _mean(each) for name, each in forms.items()}, whole, apart, episodes)


def _apart(time: StepTime) -> float:
    """Seconds without the rollout, which both forms share."""
    return time.total - time.rollout


def _form(time: StepTime, learner: Replay) -> Form:
    targets = [row for part in learner._mini_batches for row in part if row.teacher_ids]
    read = sum(len(row.teacher_ids) + len(row.response_ids) for row in targets)
    return Form(time, len(targets), read, sum(sum(row.chosen) for row in targets))


def _mean(forms: Sequence[Form]) -> Form:
    count = len(forms)
    time = StepTime(*(sum(values) / count for values in zip(*(each.time for each in forms), strict=True)))
    rows, read, trained = (
        round(sum(values) / count)
        for values in zip(
            *((each.target_rows, each.teacher_tokens, each.trained_tokens) for each in forms), strict=True
        )
    )
    return Form(time, rows, read, trained)


def analyser_tokens(rollouts: Sequence[Trajectory], encoder: PromptEncoder) -> dict[str, tuple[int, int, int]]:
    """For each form: the questions about failed rollouts, the tokens of them, and those of the scripted answers."""
    failed = [rollout for rollout in rollouts if not rollout.won and rollout.steps]
    selected = [FailedTurns(rollout) for rollout in failed]
    every = [FeedbackOnTurn(rollout, place) for rollout in failed for place in range(len(rollout))]
    answers: dict[str, list[dict[str, Any]]] = {
        _SELECTED: [
            {"failures": [{"step": place + 1, "feedback": text} for place, text in question.scripted().items()]}
            for question in selected
        ],
        _DENSE: [{"feedback": question.scripted()} for question in every],
    }
    messages = MessageEncoder(encoder)
    asked: dict[str, list[list[Message]]] = {
        _SELECTED: [each.messages() for each in selected],
        _DENSE: [each.messages() for each in every],
    }
    return {
        name: (
            len(chats),
            sum(len(messages.encode(chat, _LONGEST_QUESTION).ids) for chat in chats),
            sum(encoder.count(json.dumps(answer, ensure_ascii=False)) for answer in answers[name]),
        )
        for name, chats in asked.items()
    }


def _rows(training: RunSettings, found: Times, encoder: PromptEncoder) -> list[Row]:
    rollouts = [episode.trajectory for episode in found.episodes]
    failed = sum(not rollout.won for rollout in rollouts)
    turns = sum(len(rollout) for rollout in rollouts)
    rows = [
        Row("policy and world", f"{training.model} on {training.stage.backend()}"),
        Row("rollouts, all updates", f"{len(rollouts)} of {turns} turns in all, {failed} failed"),
    ]
    asked = analyser_tokens(rollouts, encoder)
    for name, form in found.forms.items():
        parts = (form.time.rollout, form.time.rows, form.time.teacher, form.time.update)
        count, read, written = asked[name]
        rows += [
            Row(
                f"{name}: rollout + contexts + teacher's scores + losses",
                f"{' + '.join(f'{part:.3f}' for part in parts)} = {form.time.total:.3f} s",
            ),
            Row("  turns trained, of an update", f"{form.target_rows:,} of {form.time.turns:,.0f}"),
            Row("  tokens that the teacher reads, of an update", f"{form.teacher_tokens:,}"),
            Row("  tokens trained, of an update", f"{form.trained_tokens:,}"),
            Row("  an analyser's questions, all updates", f"{count:,}"),
            Row("  tokens of the questions, and of the scripted answers", f"{read:,} and {written:,}"),
        ]
    selected, dense = found.forms[_SELECTED], found.forms[_DENSE]
    rows += [
        Row("every turn by selected turns: whole update, median of pairs", f"{found.ratio:.2f}×"),
        Row("  without the rollout, which both share", f"{found.update_ratio:.2f}×"),
        Row("  tokens that the teacher reads", _times(dense.teacher_tokens, selected.teacher_tokens)),
        Row("  tokens of the questions", _times(asked[_DENSE][1], asked[_SELECTED][1])),
        Row("  tokens of the answers", _times(asked[_DENSE][2], asked[_SELECTED][2])),
    ]
    return rows


def _times(one: int, other: int) -> str:
    return f"{one / other:.2f}×" if other else "–"
