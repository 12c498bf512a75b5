"""A row of a training batch: one turn with its sampled tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from agentgym_hindsight.baselines.methods.teacher_prompts import ChatContext
from agentgym_hindsight.hindsight.context import TeacherContext
from agentgym_hindsight.hindsight.trajectory import Step

__all__ = ["TrainingRow"]


@dataclass(slots=True)
class TrainingRow:
    """One turn. ``episode`` and ``group`` count the episodes and groups of an update.

    ``chosen`` marks the response tokens that the teacher may weight. ``context`` is the hindsight in the teacher's
    prompt ``teacher_ids``, and ``teacher_logps`` are its log-probabilities of the response; they are ``None`` if there
    is no context, or if the teacher does not score the row.
    """

    episode: int
    group: int
    step: Step
    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    chosen: tuple[bool, ...]
    advantage: float = 0.0
    #: Advantages of the tokens, if they differ; ``advantage`` is then their mean.
    token_advantages: Tensor | None = field(default=None, repr=False)
    #: The critic's values before the update and their targets, by name.
    values: dict[str, Any] = field(default_factory=dict, repr=False)
    targets: dict[str, Any] = field(default_factory=dict, repr=False)
    #: Gap and Â/A of every token, as they were used in the loss.
    used: tuple[Tensor, Tensor] | None = field(default=None, repr=False)
    context: TeacherContext | ChatContext | None = None
    teacher_ids: tuple[int, ...] = ()
    #: Whether the teacher's prompt lost text to the limit.
    context_cut: bool = False
    #: Whether ``response_ids`` and ``logprobs`` were sampled after another prompt than ``prompt_ids``.
    other_prompt: bool = False
    teacher_logps: Tensor | None = field(default=None, repr=False)
    teacher_entropies: Tensor | None = field(default=None, repr=False)
    #: The teacher's log-probabilities without the context, for methods that compare both.
    plain_logps: Tensor | None = field(default=None, repr=False)
    #: The policy's entropies, of the pass that has the gradient. For recorded rollouts only.
    entropies: Tensor | None = field(default=None, repr=False)
    signals: Tensor | None = field(default=None, repr=False)
    row_signal: float | None = None
    old_logps: Tensor | None = field(default=None, repr=False)
    #: In a conversation: the number of prompt tokens that are earlier turns, and the message after them if it is not
    #: the step's.
    past_tokens: int = 0
    message: str = ""
    #: The positions of the row in the update's batch, if that is filled and reordered as in SERL's release.
    positions: tuple[int, ...] = ()

    @property
    def teacher_reads_past(self) -> bool:
        """Whether the teacher's prompt begins with the same earlier turns of a conversation, and goes on after them."""
        past = self.past_tokens
        return 0 < past < len(self.teacher_ids) and self.teacher_ids[:past] == self.prompt_ids[:past]
