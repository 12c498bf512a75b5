"""A question about finished rollouts, and who answers it: a model, a server, or a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar

from agentgym_hindsight.baselines.methods.asking import Ask
from agentgym_hindsight.hindsight.messages import Message
from agentgym_hindsight.names import known_name

__all__ = ["WRITERS", "Question", "Writer", "analyse"]

#: ``scripted`` needs no model: see :mod:`~.scripted`.
Writer = Literal["teacher", "policy", "endpoint", "scripted"]
WRITERS: tuple[str, ...] = ("teacher", "policy", "endpoint", "scripted")

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Question(Protocol[T_co]):
    """One question about a rollout, a turn or a group."""

    @property
    def key(self) -> tuple[object, ...]:
        """What it is about. With the seed and the update it determines the random numbers of the answer."""
        ...

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """The JSON schema of the answer, or ``None`` for plain text. The same for all questions of a call."""
        ...

    def messages(self) -> Sequence[Message]:
        """The prompt. It asks for the form of the answer too, because local models do not get the schema."""
        ...

    def read(self, answer: str) -> T_co:
        """The content of an answer. Any text is accepted; one of another form has no content."""
        ...

    def scripted(self) -> T_co:
        """The answer without a model."""
        ...


def analyse(
    questions: Sequence[Question[T]],
    ask: Ask,
    writer: Writer,
    *,
    max_tokens: int = 512,
    temperature: float = 0.6,
    prompt_tokens: int | None = None,
) -> list[T]:
    """The content of the answers, in order. A question without an answer has the content of an empty one."""
    known_name("analyser", writer, WRITERS)
    if writer == "scripted" or not questions:
        return [question.scripted() for question in questions]
    answers = ask(
        [question.messages() for question in questions],
        who=writer,
        max_tokens=max_tokens,
        temperature=temperature,
        schema=questions[0].schema,
        prompt_tokens=prompt_tokens,
        keys=[question.key for question in questions],
    )
    return [question.read(answer) for question, answer in zip(questions, answers, strict=True)]
