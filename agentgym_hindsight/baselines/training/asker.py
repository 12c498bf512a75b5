"""The ``ask`` of a method's hooks: who answers, with which random numbers, in which order over the processes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from agentgym_hindsight.baselines.methods.asking import Ask, Asked, Prompt
from agentgym_hindsight.baselines.policies.base import Reply
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.chat_messages import MessageEncoder
from agentgym_hindsight.baselines.training.analyser_client import AnalyserClient
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.analyses import Analysis
from agentgym_hindsight.hindsight.context import TeacherContext
from agentgym_hindsight.hindsight.messages import Message, as_messages
from agentgym_hindsight.hindsight.spec import ContextSpec
from agentgym_hindsight.hindsight.trajectory import Group, Trajectory
from agentgym_hindsight.tasks import content_hash, seeded_int

__all__ = ["AskFigures", "Asker", "HookAsk", "check_who"]

Compose = Callable[[ContextSpec, Sequence[Group]], list[list[list[TeacherContext | None]]]]
#: Who answers, the temperature and the length: what one call of a model has in common.
_Round = tuple[str, float, int]


@dataclass(slots=True)
class AskFigures:
    """The questions of one process in an update."""

    prompts: int = 0
    prompt_tokens: int = 0
    tokens: int = 0
    failures: int = 0


class Asker:
    """Answers the questions of one process's hooks, and keeps what they want to keep.

    Where generating is a collective call (``together``), processes meet for every question: each says what it asks,
    and all enter the same calls of the models. A process whose hook has returned takes part with :meth:`drain` until
    the hooks of all processes have returned. An endpoint needs no meeting.

    * ``answering``: opens the policy or the teacher, ``(who, temperature, seed, max_tokens)``.
    * ``gather``: the values of all processes.
    * ``most_tokens``: of prompt and answer together, if the engine has such a limit (vLLM).
    """

    def __init__(
        self,
        encoder: PromptEncoder | None,
        answering: Callable[[str, float, object, int], AbstractContextManager[Any]] | None,
        *,
        seed: int = 0,
        gather: Callable[[list[Any]], list[Any]] = lambda values: values,
        together: bool = False,
        has_teacher: bool = True,
        analyser: AnalyserClient | None = None,
        most_tokens: int | None = None,
        timed: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.encoder, self._answering, self._gather = encoder, answering, gather
        self._seed, self._together, self._timed = seed, together, timed
        self._has_teacher, self.analyser, self._most_tokens = has_teacher, analyser, most_tokens
        self.begin(0, {})

    @classmethod
    def silent(cls) -> Asker:
        """An asker without a model: for methods whose contexts nobody writes."""
        return cls(None, None)

    def begin(self, update: int, memory: MutableMapping[str, Any]) -> None:
        """Start an update: its figures and the texts that it keeps are empty."""
        self.update, self.memory = update, memory
        self.figures = AskFigures()
        self.kept: dict[tuple[str, int], list[Analysis]] = {}
        self._asked: Counter[tuple[str, str]] = Counter()

    def hook(self, compose: Compose, groups: Sequence[Group]) -> HookAsk:
        """The argument ``ask`` of a hook that gets these groups."""
        return HookAsk(self, compose, groups)

    def drain(self) -> None:
        """Take part in the questions of other processes until all hooks have returned."""
        if self._together:
            while self._round(None, [], [])[0]:
                pass

    def ask(self, prompts: Sequence[Prompt], asked: Asked) -> list[str]:
        """The answers; see :class:`~agentgym_hindsight.baselines.methods.asking.Ask`."""
        self._check(prompts, asked)
        if not prompts:
            return []
        who, max_tokens, temperature = asked.who, asked.max_tokens, float(asked.temperature)
        chats = [as_messages(prompt) for prompt in prompts]
        places = self._places(who, chats, asked.keys)
        self.figures.prompts += len(chats)
        with self._timed():
            if who == "endpoint":
                return self._from_endpoint(chats, places, max_tokens, temperature, asked.schema)
            assert self.encoder is not None
            limit = asked.prompt_tokens or self.encoder.max_tokens
            if self._most_tokens is not None:
                limit = min(limit, self._most_tokens - max_tokens)
            encoder = MessageEncoder(self.encoder)
            replies = self._replies(
                (who, temperature, max_tokens), [encoder.encode(c, limit).ids for c in chats], places
            )
        self.figures.prompt_tokens += sum(len(reply.prompt_ids) for reply in replies)
        self.figures.tokens += sum(len(reply.response_ids) for reply in replies)
        return [reply.text for reply in replies]

    # -- private ------------------------------------------------------------------------------------------------------

    def _check(self, prompts: Sequence[Prompt], asked: Asked) -> None:
        asked.check(prompts)
        who, max_tokens = asked.who, asked.max_tokens
        if max_tokens < 1 or asked.temperature < 0 or (asked.prompt_tokens is not None and asked.prompt_tokens < 1):
            raise UsageError(
                f"Expected max_tokens ≥ 1, temperature ≥ 0 and prompt_tokens ≥ 1, got {max_tokens}, "
                f"{float(asked.temperature)} and {asked.prompt_tokens}; try 256, 1.0 and None."
            )
        check_who(who, has_server=self.analyser is not None, has_teacher=self._has_teacher)
        if who != "endpoint" and self._answering is None:
            raise UsageError(f"Expected a model that answers as {who!r}, got none; try ask in a trainer.")
        if who != "endpoint" and self._most_tokens is not None and max_tokens >= self._most_tokens:
            raise UsageError(
                f"Expected max_tokens below {self._most_tokens}, the length of vLLM's engine, got {max_tokens}; "
                "try plan.trl.vllm_max_model_length=…"
            )

    def _places(
        self, who: str, chats: Sequence[Sequence[Message]], keys: Sequence[object] | None
    ) -> list[tuple[Any, ...]]:
        """What determines the random numbers of each answer, besides the seed and the update."""
        places = []
        for index, chat in enumerate(chats):
            key = content_hash(json.dumps(chat)) if keys is None else str(keys[index])
            places.append((who, key, self._asked[who, key]))
            self._asked[who, key] += 1
        return places

    def _from_endpoint(
        self,
        chats: Sequence[Sequence[Message]],
        places: Sequence[tuple[Any, ...]],
        max_tokens: int,
        temperature: float,
        schema: Mapping[str, Any] | None,
    ) -> list[str]:
        assert self.analyser is not None
        seeds = [seeded_int("ask", self._seed, self.update, *place) % 2**31 for place in places]
        answers = self.analyser.answers(chats, seeds, max_tokens=max_tokens, temperature=temperature, schema=schema)
        self.figures.failures += sum(answer is None for answer in answers)
        self.figures.prompt_tokens += sum(answer.prompt_tokens for answer in answers if answer is not None)
        self.figures.tokens += sum(answer.completion_tokens for answer in answers if answer is not None)
        return ["" if answer is None else answer.text for answer in answers]

    def _replies(self, asked: _Round, prompts: list[tuple[int, ...]], places: list[tuple[Any, ...]]) -> list[Reply]:
        return self._round(asked, prompts, places)[1] if self._together else self._generate(asked, prompts, places)

    def _round(
        self, asked: _Round | None, prompts: list[tuple[int, ...]], places: list[tuple[Any, ...]]
    ) -> tuple[bool, list[Reply]]:
        """One meeting of all processes: whether any of them asked, and the answers to this process."""
        wanted = sorted({each for each in self._gather([asked]) if each is not None})
        replies: list[Reply] = []
        for each in wanted:
            mine = each == asked
            answers = self._generate(each, prompts if mine else [], places if mine else [])
            replies = answers if mine else replies
        return bool(wanted), replies

    def _generate(self, asked: _Round, prompts: list[tuple[int, ...]], places: list[tuple[Any, ...]]) -> list[Reply]:
        assert self._answering is not None
        who, temperature, max_tokens = asked
        with self._answering(who, temperature, f"ask:{self._seed}:{self.update}", max_tokens) as policy:
            if not prompts:
                return []
            replies: list[Reply] = policy.generate(prompts, places)
            return replies


def check_who(who: str, *, has_server: bool, has_teacher: bool) -> None:
    """Raise if nobody can answer as ``who``."""
    if who == "endpoint" and not has_server:
        raise UsageError(
            "Expected a server for who='endpoint', got none; "
            "try --set analyser.base_url=http://127.0.0.1:8000/v1 --set analyser.model=NAME."
        )
    if who == "teacher" and not has_teacher:
        raise UsageError(
            "Expected a method with a teacher for who='teacher', got one without; "
            "try who='policy', or a method that has contexts."
        )


def with_kept(groups: Sequence[Group], kept: Mapping[tuple[str, int], Sequence[Analysis]]) -> list[Group]:
    """The groups with the analyses that were kept in this update, by task and sibling."""
    return [
        Group(
            rollout.replace(analyses=(*rollout.analyses, *found))
            if (found := kept.get((rollout.task_id, rollout.sibling)))
            else rollout
            for rollout in group
        )
        for group in groups
    ]


class HookAsk(Ask):
    """What a hook gets as ``ask``."""

    def __init__(self, asker: Asker, compose: Compose, groups: Sequence[Group]) -> None:
        self._asker, self._compose = asker, compose
        self._rollouts = {(rollout.task_id, rollout.sibling) for group in groups for rollout in group}
        self.update, self.memory = asker.update, asker.memory

    def answers(self, prompts: Sequence[Prompt], asked: Asked) -> list[str]:
        return self._asker.ask(prompts, asked)

    def compose(self, what: ContextSpec, groups: Sequence[Group]) -> list[list[list[TeacherContext | None]]]:
        kept = self._asker.kept
        return self._compose(what, with_kept(groups, kept) if kept else groups)

    def keep(
        self, rollout: Trajectory, kind: str, text: str, *, step: int | None = None, analyser: str = "policy"
    ) -> None:
        place = rollout.task_id, rollout.sibling
        if place not in self._rollouts or (step is not None and step >= len(rollout)):
            raise UsageError(
                f"Expected a rollout of this update, and one of its turns or None, got {rollout!r} and step={step}; "
                "try a member of groups."
            )
        client = self._asker.analyser
        name = f"endpoint:{client.model}" if analyser == "endpoint" and client is not None else analyser
        self._asker.kept.setdefault(place, []).append(Analysis(kind, text, step, name))
