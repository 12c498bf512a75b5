"""An LLM judge behind an OpenAI-compatible endpoint: one call per rollout, whose text is the context of every step.

A failed call gives no context and is counted; it never ends a batch. Equal requests are sent once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.chat_client import ChatClient
from agentgym_hindsight.hindsight.chat_server import Answer, Busy, ChatServer, Refused
from agentgym_hindsight.hindsight.judge_cache import AnswerCache, request_key
from agentgym_hindsight.hindsight.judge_prompt import judge_messages, judge_reference, useful_answer
from agentgym_hindsight.hindsight.spec import ContextOptions
from agentgym_hindsight.hindsight.trajectory import Group, Trajectory

__all__ = ["JudgeClient", "JudgeUsage", "Judgement"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The result of one call. ``text`` is None if the judge failed (see ``error``) or gave no useful answer."""

    text: str | None
    error: str = ""
    cached: bool = False


@dataclass(frozen=True, slots=True)
class JudgeUsage:
    """The cost of judging so far.

    * ``calls``: HTTP requests, retries included.
    * ``seconds``: the sum of their durations (more than wall time if they ran in parallel).
    * ``failures``: rollouts without an answer. ``empty``: rollouts whose answer had no content, or repeated the
      request. ``cached``: rollouts that needed no call.
    """

    calls: int = 0
    answers: int = 0
    empty: int = 0
    failures: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


class JudgeClient(ChatClient):
    """A client that requests judgements of finished rollouts from a model.

    * ``base_url``, ``model``, ``api_key_env``, ``timeout``, ``retries``, ``backoff``, ``concurrency``, ``extra_body``:
      as for :class:`~.chat_client.ChatClient`.
    * ``total_timeout``: seconds of a judgement in all, with its retries, pauses and second answer (default: twice
      ``timeout``). A judge that writes without end is busy for no longer.
    * ``max_tokens``, ``retry_max_tokens``: the length of an answer; the second is used if the first was too short.
    * ``cache``: a file for the answers. Without it they are cached in memory.
    * ``options``: how rollouts are shown to the judge, as for :func:`~.context.compose`.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key_env: str = "OPENAI_API_KEY",
        temperature: float = 0.0,
        max_tokens: int = 4096,
        retry_max_tokens: int = 8192,
        timeout: float = 180.0,
        retries: int = 2,
        backoff: float = 1.0,
        total_timeout: float | None = None,
        concurrency: int = 32,
        cache: str | Path | None = None,
        options: ContextOptions | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        if max_tokens < 1:
            raise UsageError(f"Expected max_tokens ≥ 1, got {max_tokens}; try 4096.")
        super().__init__(
            base_url,
            model,
            api_key_env=api_key_env,
            timeout=timeout,
            retries=retries,
            backoff=backoff,
            concurrency=concurrency,
            extra_body=extra_body,
            seconds=lambda seconds: self._count(calls=1, seconds=seconds),
        )
        if total_timeout is not None and total_timeout <= 0:
            raise UsageError(f"Expected total_timeout > 0 seconds, got {total_timeout}; try {2 * timeout:g}.")
        self.total_timeout = 2 * timeout if total_timeout is None else total_timeout
        self.temperature, self.max_tokens, self.retry_max_tokens = temperature, max_tokens, retry_max_tokens
        self.options = options or ContextOptions()
        self.cache = AnswerCache(cache)
        self._usage = JudgeUsage()
        self._lock = Lock()

    @property
    def usage(self) -> JudgeUsage:
        """The cost of all calls of this client so far."""
        return self._usage

    def judge_trajectory(self, trajectory: Trajectory, reference: Trajectory | None = None) -> Judgement:
        """The judgement of one rollout. The judge also sees the successful ``reference``, if given."""
        return self._judge_all([judge_messages(trajectory, reference, self.options)])[0]

    def judge_group(self, group: Group, *, with_success: bool = False) -> tuple[Judgement, ...]:
        """The judgement of every member, in order. ``with_success`` adds a reference to each (``judge:success``)."""
        return self.judge_groups([group], with_success=with_success)[0]

    def judge_groups(self, groups: Iterable[Group], *, with_success: bool = False) -> tuple[tuple[Judgement, ...], ...]:
        """The judgements of many groups, requested in parallel. The result has the shape and order of ``groups``."""
        groups = tuple(groups)
        requests = [
            judge_messages(trajectory, judge_reference(group, member) if with_success else None, self.options)
            for group in groups
            for member, trajectory in enumerate(group)
        ]
        answers = iter(self._judge_all(requests))
        return tuple(tuple(next(answers) for _ in group) for group in groups)

    # -- internal
    # --------------------------------------------------------------------------------------------------------

    def _judge_all(self, requests: Sequence[list[dict[str, str]]]) -> list[Judgement]:
        bodies = [self._body(messages) for messages in requests]
        keys = [request_key(body) for body in bodies]
        known = {key: Judgement(self.cache[key], cached=True) for key in keys if key in self.cache}
        missing = {key: body for key, body in zip(keys, bodies, strict=True) if key not in known}
        self._count(cached=len(keys) - len(missing))  # equal requests of the batch are sent once
        if missing:
            judgements = self._map(self._request_judgement, list(missing.values()))
            for key, judgement in zip(missing, judgements, strict=True):
                known[key] = judgement
                if not judgement.error:
                    self.cache.put(key, judgement.text)
        return [known[key] for key in keys]

    def _request_judgement(self, server: ChatServer, body: dict[str, Any]) -> Judgement:
        started = time.monotonic()
        try:
            answer = self._request_answer(server, body, self.total_timeout)
            if answer.finish == "length" and self.retry_max_tokens > body["max_tokens"]:
                left = self.total_timeout - (time.monotonic() - started)
                with suppress(Busy):  # what was written so far is used, as when the longer answer is cut too
                    answer = self._request_answer(server, {**body, "max_tokens": self.retry_max_tokens}, left)
        except (Busy, Refused) as error:  # this rollout gets no context; the others are not affected
            self._count(failures=1)
            fix = "more retries, a longer timeout or less concurrency"
            if isinstance(error, Refused):
                key = f"the key in ${server.api_key_env}"
                fix = f"checking {key if error.status in (401, 403) else 'the address and the model name'}"
            return Judgement(None, error=f"Expected an answer from {self.model!r}, got {error}; try {fix}.")
        text = useful_answer(answer.text, "\n".join(message["content"] for message in body["messages"]))
        self._count(**{"empty" if text is None else "answers": 1})
        return Judgement(text)

    def _request_answer(self, server: ChatServer, body: Mapping[str, Any], seconds: float) -> Answer:
        answer = server.ask(body, seconds)
        self._count(prompt_tokens=answer.prompt_tokens, completion_tokens=answer.completion_tokens)
        return answer

    def _body(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        return {
            "model": self.model,
            "messages": messages,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            **self.extra_body,
        }

    def _count(self, **increments: float) -> None:
        with self._lock:
            self._usage = replace(
                self._usage, **{name: getattr(self._usage, name) + n for name, n in increments.items()}
            )
