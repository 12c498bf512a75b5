"""What a teacher thinks of recorded tokens: the seam through which every trainer gets the gaps of hindsight.

A trainer gives one function, ``teacher_logps(prompts, response_ids)``: the log-probability of every token of each
response after its prompt. Contexts, prompts, masks and the order of the rows are made here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agentgym_hindsight.baselines.masks import Decode, action_tokens
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.exports.turn_tokens import TurnTokens
from agentgym_hindsight.hindsight.context import ContextOptions, ContextSpec, compose
from agentgym_hindsight.hindsight.messages import prompt_messages
from agentgym_hindsight.hindsight.resolve import ReferenceSource
from agentgym_hindsight.hindsight.trajectory import Trajectory, group_by_task

__all__ = ["TeacherLogps", "TurnGaps", "teacher_gaps", "teacher_prompts"]

#: Messages of a chat, which the trainer's own chat template turns into ids.
Prompt = list[dict[str, str]]


class TeacherLogps(Protocol):
    """The log-probability of every token of each response after its prompt, without gradient.

    Rows are independent and may be computed in any batches. The teacher is the policy itself, a copy of it, or another
    model with the same tokenizer.
    """

    def __call__(
        self, prompts: Sequence[Prompt], response_ids: Sequence[Sequence[int]]
    ) -> Sequence[Sequence[float]]: ...


@dataclass(frozen=True, slots=True)
class TurnGaps:
    """The gap of each token of a turn, and whether it is weighed. Both are all zero for a turn without a context."""

    gaps: tuple[float, ...]
    mask: tuple[bool, ...]


def teacher_prompts(
    trajectories: Sequence[Trajectory],
    what: str | ContextSpec = "success+immediate@anchor",
    *,
    store: ReferenceSource | None = None,
    options: ContextOptions | None = None,
) -> list[list[Prompt | None]]:
    """For each turn of each rollout, the teacher's prompt: the policy's own, with the context in its last message.

    ``None`` where there is no context. Broken rollouts have none, and are no reference for others. ``what``, ``store``
    and ``options`` are those of :func:`~agentgym_hindsight.hindsight.context.compose`.
    """
    prompts: list[list[Prompt | None]] = [[None] * len(each.steps) for each in trajectories]
    whole = [number for number, each in enumerate(trajectories) if not each.broken]
    numbers: dict[str, list[int]] = {}
    for number in whole:
        numbers.setdefault(trajectories[number].task_id, []).append(number)
    for group in group_by_task(trajectories[number] for number in whole):
        contexts = compose(what, group, references=store, options=options)
        for number, of_turns in zip(numbers[group.task_id], contexts, strict=True):
            for place, context in enumerate(of_turns):
                if context is not None:
                    messages = prompt_messages(trajectories[number], place)
                    messages[-1]["content"] = context.prompt(messages[-1]["content"])
                    prompts[number][place] = messages
    return prompts


def teacher_gaps(
    trajectories: Sequence[Trajectory],
    teacher_logps: TeacherLogps,
    *,
    decode: Decode,
    parser: str,
    what: str | ContextSpec = "success+immediate@anchor",
    student_logps: Sequence[Sequence[Sequence[float]]] | None = None,
    store: ReferenceSource | None = None,
    options: ContextOptions | None = None,
) -> list[list[TurnGaps]]:
    """For each turn of each rollout, the gap ``log π_T − log π_θ`` of its tokens, and the mask of the action tokens.

    The tokens are those that the turns record (see :mod:`~agentgym_hindsight.exports.turn_tokens`). ``student_logps``,
    by rollout and turn, replace their recorded log-probabilities, which are those of the sampling distribution: with a
    temperature other than 1, give the teacher's the same temperature, or use the trainer's own. ``decode`` gives the
    text of ids without special tokens; ``parser`` is that of the stage. All turns with a context are asked in one call.

    Multiply the gaps into advantages by :func:`~agentgym_hindsight.baselines.methods.signals.reweight`.
    """
    prompts = teacher_prompts(trajectories, what, store=store, options=options)
    found: list[list[TurnGaps]] = []
    asked: list[tuple[int, int, tuple[int, ...], tuple[float, ...]]] = []
    for number, trajectory in enumerate(trajectories):
        blank = []
        for place, step in enumerate(trajectory.steps):
            tokens = TurnTokens.of(step)
            ids, count = tokens.response_ids, len(tokens.response_ids)
            blank.append(TurnGaps((0.0,) * count, (False,) * count))
            if not ids or prompts[number][place] is None:
                continue
            student = tokens.logprobs if student_logps is None else tuple(map(float, student_logps[number][place]))
            if len(student) != count:
                raise UsageError(
                    f"Expected {count} log-probabilities of the student at turn {place} of rollout {number}, got "
                    f"{len(student)}; try student_logps=…, or an engine that returns log-probabilities."
                )
            asked.append((number, place, ids, student))
        found.append(blank)
    if not asked:
        return found
    given = [prompts[number][place] for number, place, _, _ in asked]
    answers = teacher_logps([each for each in given if each is not None], [list(ids) for _, _, ids, _ in asked])
    if len(answers) != len(asked):
        raise UsageError(f"Expected {len(asked)} rows of teacher_logps, got {len(answers)}; try one row a prompt.")
    for (number, place, ids, student), row in zip(asked, answers, strict=True):
        teacher = [float(value) for value in row]
        if len(teacher) != len(ids):
            raise UsageError(
                f"Expected {len(ids)} log-probabilities of the teacher at turn {place} of rollout {number}, got "
                f"{len(teacher)}; try one value a token of the response, without padding."
            )
        gaps = tuple(of_teacher - of_student for of_teacher, of_student in zip(teacher, student, strict=True))
        step = trajectories[number].steps[place]
        mask = action_tokens(decode, ids, parser=parser, span=step.action_span)
        found[number][place] = TurnGaps(gaps, tuple(mask))
    return found
