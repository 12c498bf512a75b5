"""``agh bench conversations``: updates and rollouts of long conversations, with and without shared tokens.

Conversations are made of random tokens, so that all have the same lengths. "Separate rows" are the same rows with
another first token each: no row begins another, and no earlier turns are shared. Both are measured alternately in one
run. No optimizer step is made.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.policies.base import Reply
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.generation import sample, uniforms
from agentgym_hindsight.baselines.policies.kept_cache import Kept
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.quiet import quiet_libraries
from agentgym_hindsight.baselines.training.run import RunSettings
from agentgym_hindsight.baselines.training.start import open_start
from agentgym_hindsight.cli.bench.figures import Row
from agentgym_hindsight.cli.bench.training.speed import StatusLine
from agentgym_hindsight.cli.bench.training.step_times import EveryTurn, Replay, clock, one_thread, worst
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.wrappers.protocols import CONVERSATION

__all__ = ["Shape", "UpdateTime", "measure", "update_times"]

#: Siblings of the one task of an update.
_CONVERSATIONS = 4


@dataclass(frozen=True, slots=True)
class Shape:
    """The number of turns of a conversation, and its tokens: of the first message, of a reply, of the next message."""

    turns: int = 30
    first: int = 120
    reply: int = 12
    message: int = 24


class UpdateTime(NamedTuple):
    """Seconds of an update, with making contexts and prompts, and the tokens that its passes computed."""

    seconds: float
    tokens: float


def measure(
    training: RunSettings, *, turns: int, repeats: int, note: Callable[[str], object] = lambda _: None
) -> list[Row]:
    """All figures, for the model of ``training``."""
    shape, half = Shape(turns), Shape(max(1, turns // 2))
    plan = replace(training.plan, mini_batches=1, save_every=0, tasks=1, siblings=_CONVERSATIONS, prompt_tokens=4096)
    training = replace(training, plan=plan, stage=replace(training.stage, history=CONVERSATION))
    rows = [Row("conversations of an update", f"{_CONVERSATIONS} of {turns} turns, {_length(shape):,} tokens each")]
    with quiet_libraries(), one_thread():
        model, tokenizer, _ = open_start(training.model, training.stage, training.warm, plan, StatusLine(note))
        methods = {
            "grpo": replace(recipe("grpo"), credit=EveryTurn()),
            "serl, teacher on every row": worst(),
        }
        for name, method in methods.items():
            note(f"updates: {name}")
            together, apart, shorter = update_times(
                training, method, model, tokenizer, ((shape, True), (shape, False), (half, True)), repeats
            )
            ratio = f"{apart.seconds / together.seconds:.1f}× as long"
            rows += [
                Row(f"{name}: update", f"{together.seconds:.3f} s, {together.tokens:,.0f} tokens computed"),
                Row(
                    "  as separate rows",
                    f"{apart.seconds:.3f} s, {apart.tokens:,.0f} tokens computed: {ratio}",
                ),
                Row(
                    f"  with {half.turns} turns",
                    f"{shorter.seconds:.3f} s: {turns} turns take {together.seconds / shorter.seconds:.2f}× as long",
                ),
            ]
        note("rollouts")
        kept, plain = _play_times(model, tokenizer, shape, repeats)
        rows += [
            Row("replies of all turns, KV cache kept", f"{kept:.3f} s"),
            Row("  without", f"{plain:.3f} s: {plain / kept:.1f}× as long"),
        ]
    return rows


def update_times(
    training: RunSettings,
    method: Method,
    model: Any,
    tokenizer: Any,
    cases: Sequence[tuple[Shape, bool]],
    repeats: int,
) -> list[UpdateTime]:
    """For each case, a shape and whether tokens are shared, the median time of an update."""
    encoder = PromptEncoder(tokenizer, training.plan.prompt_tokens, training.template)
    found: list[list[UpdateTime]] = [[] for _ in cases]
    with tempfile.TemporaryDirectory() as folder:
        learner = Replay(
            copy.deepcopy(model),
            method,
            training.stage,
            training.plan,
            encoder=encoder,
            tasks=training.stage.panel("train", 1, training.plan.seed),
            output_dir=folder,
            played={},
        )
        with closing(learner):
            for _ in range(repeats + 1):  # the first pass warms up and is not counted
                for place, (shape, shared) in enumerate(cases):
                    learner.played[0] = _episodes(encoder, shape, shared)
                    learner.counted()
                    time = learner.timed(0)
                    found[place].append(UpdateTime(time.total - time.rollout, learner.counted()["tokens_computed"]))
    return [UpdateTime(median(time.seconds for time in times[1:]), times[-1].tokens) for times in found]


def _episodes(encoder: PromptEncoder, shape: Shape, shared: bool) -> list[Episode]:
    """The siblings of a task; every other one won."""
    draw = np.random.default_rng(0)
    vocabulary = len(encoder.tokenizer)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(int(token) for token in draw.integers(vocabulary // 2, vocabulary - 8, count))

    played = []
    for sibling in range(_CONVERSATIONS):
        replies: list[Reply] = []
        steps = []
        ids, past = tokens(shape.first), 0
        for turn in range(shape.turns):
            response = tokens(shape.reply)
            # Another first token: no row begins another, and no two rows share earlier turns.
            own = (8 + sibling * shape.turns + turn) % (vocabulary // 2)
            prompt = ids if shared else (own, *ids[1:])
            replies.append(Reply("look", prompt, response, (-1.0,) * len(response), True, past))
            text = f"You see shelf {turn} and desk {turn + 1}."
            steps.append(Step(turn, text, "look", text, text, anchor=f"{sibling} {turn}", prompt=text, response="look"))
            past = len(ids) + len(response)
            ids = (*ids, *response, *tokens(shape.message))
        won = sibling % 2 == 0
        trajectory = Trajectory(
            "bench", goal="Look.", sibling=sibling, steps=tuple(steps), won=won, score=float(won), policy="bench"
        )
        played.append(Episode(trajectory, tuple(replies)))
    return played


def _play_times(model: Any, tokenizer: Any, shape: Shape, repeats: int) -> tuple[float, float]:
    """Seconds of sampling all turns, with and without kept caches."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(repeats + 1):
        for keeps, seconds in times.items():
            started = clock()
            _play(model, tokenizer, shape, keeps)
            seconds.append(clock() - started)
    kept, plain = (median(times[keeps][1:]) for keeps in (True, False))
    return kept, plain


def _play(model: Any, tokenizer: Any, shape: Shape, keeps: bool) -> None:
    draw = np.random.default_rng(1)
    model.eval()

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(int(token) for token in draw.integers(8, len(tokenizer) - 8, count))

    prompts = [tokens(shape.first) for _ in range(_CONVERSATIONS)]
    kept: list[Kept | None] = [None] * len(prompts)
    for turn in range(shape.turns):
        replies = sample(
            model,
            prompts,
            lambda i, turn=turn: uniforms(shape.reply, "bench", turn, i),  # type: ignore[misc]
            stop=frozenset(),  # every reply has the same length
            pad=tokenizer.pad_token_id,
            max_new_tokens=shape.reply,
            kept=kept if keeps else None,
            keep=kept.__setitem__ if keeps else None,
        )
        prompts = [
            (*prompt, *reply.ids, *tokens(shape.message)) for prompt, reply in zip(prompts, replies, strict=True)
        ]


def _length(shape: Shape) -> int:
    return shape.first + shape.turns * shape.reply + (shape.turns - 1) * shape.message
