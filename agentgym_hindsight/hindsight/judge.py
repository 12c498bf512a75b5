"""An LLM judge over an OpenAI-compatible endpoint: one call a rollout, its text the context of every step.

A call that fails gives no context and is counted; it never ends a batch. Same requests are asked once.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Lock
from typing import Any

import httpx

from agentgym_hindsight.errors import JudgeError, UsageError
from agentgym_hindsight.hindsight.judge_cache import AnswerCache, request_key
from agentgym_hindsight.hindsight.judge_prompt import judge_messages, judge_reference, useful_answer
from agentgym_hindsight.hindsight.spec import ContextOptions
from agentgym_hindsight.hindsight.trajectory import Group, Trajectory

__all__ = ["JudgeClient", "JudgeUsage", "Judgement", "answer_text", "retry_after"]

_LONGEST_WAIT = 60.0  # a server may ask for an hour; a training step cannot wait so long


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of one rollout's call. ``text`` is None where the judge failed (see ``error``) or said nothing."""

    text: str | None
    error: str = ""
    cached: bool = False


@dataclass(frozen=True, slots=True)
class JudgeUsage:
    """What judging has cost so far.

    ``calls`` counts HTTP requests, retries included; ``seconds`` adds up their waiting time (more than the clock's
    where they ran side by side); ``failures`` counts rollouts left without an answer, ``empty`` those whose answer
    said nothing, ``cached`` those that needed no call.
    """

    calls: int = 0
    answers: int = 0
    empty: int = 0
    failures: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


class _Again(Exception):
    """The request may succeed if repeated, after ``wait`` seconds if the server named a time."""

    def __init__(self, cause: str, wait: float = 0.0) -> None:
        super().__init__(cause)
        self.wait = wait


class JudgeClient:
    """Asks a model for its judgement of finished rollouts.

    * ``base_url``, ``model``: an OpenAI-compatible server, up to and including ``/v1``.
    * ``api_key_env``: the *name* of the environment variable that holds the key; without it no key is sent. The key is
      read at each batch and kept nowhere.
    * ``max_tokens``, ``retry_max_tokens``: the answer's length; the second where the first was too short.
    * ``timeout``, ``retries``, ``backoff``: seconds to wait for an answer; how often to repeat a call that met a busy
      or broken server; the first pause, doubled each time (``Retry-After`` makes it longer).
    * ``concurrency``: calls under way at once.
    * ``cache``: a file that keeps the answers; without it they are kept in memory.
    * ``options``: how rollouts are shown to the judge, as for :func:`~.context.compose`.
    * ``extra_body``: what a server wants besides; thinking is switched off in vLLM and SGLang with
      ``{"chat_template_kwargs": {"enable_thinking": False}}``.
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
        concurrency: int = 32,
        cache: str | Path | None = None,
        options: ContextOptions | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise UsageError(f"Expected the judge's address, got {base_url!r}; try 'http://localhost:8000/v1'.")
        for name, value, least in (
            ("max_tokens", max_tokens, 1),
            ("retries", retries, 0),
            ("concurrency", concurrency, 1),
        ):
            if value < least:
                raise UsageError(f"Expected {name} ≥ {least}, got {value}.")
        if timeout <= 0 or backoff < 0:
            raise UsageError(f"Expected timeout > 0 and backoff ≥ 0, got {timeout} and {backoff}; try 180 and 1.")
        self.base_url, self.model, self.api_key_env = base_url.rstrip("/"), model, api_key_env
        self.temperature, self.max_tokens, self.retry_max_tokens = temperature, max_tokens, retry_max_tokens
        self.timeout, self.retries, self.backoff, self.concurrency = timeout, retries, backoff, concurrency
        self.options = options or ContextOptions()
        self.extra_body = dict(extra_body or {})
        self.cache = AnswerCache(cache)
        self._usage = JudgeUsage()
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"JudgeClient({self.model!r} at {httpx.URL(self.base_url).host})"  # an address may hold a password

    @property
    def usage(self) -> JudgeUsage:
        """What judging has cost so far, over all calls of this client."""
        return self._usage

    def judge_trajectory(self, trajectory: Trajectory, reference: Trajectory | None = None) -> Judgement:
        """The judgement of one rollout, beside a successful ``reference`` if given."""
        return self._ask_all([judge_messages(trajectory, reference, self.options)])[0]

    def judge_group(self, group: Group, *, with_success: bool = False) -> tuple[Judgement, ...]:
        """The judgement of every member, in order; ``with_success`` shows a winner beside each (``judge:success``)."""
        return self.judge_groups([group], with_success=with_success)[0]

    def judge_groups(self, groups: Iterable[Group], *, with_success: bool = False) -> tuple[tuple[Judgement, ...], ...]:
        """The judgements of many groups, asked side by side: the shape of ``groups``, in their order."""
        groups = tuple(groups)
        requests = [
            judge_messages(trajectory, judge_reference(group, member) if with_success else None, self.options)
            for group in groups
            for member, trajectory in enumerate(group)
        ]
        answers = iter(self._ask_all(requests))
        return tuple(tuple(next(answers) for _ in group) for group in groups)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _ask_all(self, requests: Sequence[list[dict[str, str]]]) -> list[Judgement]:
        bodies = [self._body(messages) for messages in requests]
        keys = [request_key(body) for body in bodies]
        known = {key: Judgement(self.cache[key], cached=True) for key in keys if key in self.cache}
        asked = {key: body for key, body in zip(keys, bodies, strict=True) if key not in known}
        self._count(cached=len(keys) - len(asked))  # copies within the batch are asked once
        if asked:
            fresh = self._ask_fresh(list(asked.values()))
            for key, judgement in zip(asked, fresh, strict=True):
                known[key] = judgement
                if not judgement.error:
                    self.cache.put(key, judgement.text)
        return [known[key] for key in keys]

    def _ask_fresh(self, bodies: Sequence[dict[str, Any]]) -> list[Judgement]:
        key = os.environ.get(self.api_key_env, "").strip()
        workers = min(self.concurrency, len(bodies))
        limits = httpx.Limits(max_connections=workers, max_keepalive_connections=workers)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        with httpx.Client(headers=headers, timeout=self.timeout, limits=limits) as http:
            pool = ThreadPoolExecutor(workers, thread_name_prefix="judge")
            try:
                return list(pool.map(lambda body: self._ask(http, body, key), bodies))
            finally:
                pool.shutdown(cancel_futures=True)  # an interrupt does not wait for calls that have not begun

    def _ask(self, http: httpx.Client, body: dict[str, Any], key: str) -> Judgement:
        try:
            text, finish = self._request(http, body)
            if finish == "length" and self.retry_max_tokens > body["max_tokens"]:
                text, _ = self._request(http, {**body, "max_tokens": self.retry_max_tokens})
        except Exception as error:  # whatever it is: one rollout goes without a context, the batch goes on
            self._count(failures=1)
            cause = str(error) or type(error).__name__
            return Judgement(None, error=cause.replace(key, "***") if key else cause)  # servers quote bad keys
        answer = useful_answer(text)
        self._count(**{"empty" if answer is None else "answers": 1})
        return Judgement(answer)

    def _request(self, http: httpx.Client, body: Mapping[str, Any]) -> tuple[str, str]:
        """The answer's text and why it ended, however many attempts that takes."""
        for attempt in range(self.retries + 1):
            started = time.monotonic()
            try:
                return self._once(http, body)
            except _Again as again:
                if attempt == self.retries:
                    raise JudgeError(
                        f"Expected an answer from {self.model!r}, got {again} at each of {attempt + 1} attempts; "
                        "try more retries, a longer timeout or less concurrency."
                    ) from again
                wait = min(max(self.backoff * 2**attempt, again.wait), _LONGEST_WAIT)
            finally:
                self._count(calls=1, seconds=time.monotonic() - started)
            time.sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _once(self, http: httpx.Client, body: Mapping[str, Any]) -> tuple[str, str]:
        try:
            # Escaped here: a rollout may hold a lone surrogate, which httpx's own JSON could not encode.
            response = http.post(f"{self.base_url}/chat/completions", content=json.dumps(body).encode("ascii"))
        except httpx.TransportError as error:
            raise _Again(f"{type(error).__name__} ({error})") from error
        status = response.status_code
        if status in (408, 409, 425, 429) or status >= 500:
            raise _Again(f"status {status}", retry_after(response.headers.get("Retry-After", "")))
        if status >= 300:
            cure = f"the key in ${self.api_key_env}" if status in (401, 403) else "the address and the model's name"
            said = response.text[:200]
            raise JudgeError(
                f"Expected an answer from {self.model!r}, got status {status} ({said}); try checking {cure}."
            )
        try:
            document = response.json()
            choice = document["choices"][0]
            text, finish = answer_text(choice["message"].get("content")), choice.get("finish_reason") or ""
            if not isinstance(text, str):
                raise TypeError(f"content is {type(text).__name__}")
            usage = document.get("usage") or {}
            spent = {name: int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")}
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise _Again(f"no chat completion ({error!r})") from error
        self._count(**spent)
        return text, finish

    def _body(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        return {
            "model": self.model,
            "messages": messages,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            **self.extra_body,
        }

    def _count(self, **more: float) -> None:
        with self._lock:
            self._usage = replace(self._usage, **{name: getattr(self._usage, name) + n for name, n in more.items()})


def retry_after(value: str) -> float:
    """Seconds from a ``Retry-After`` header, which holds a number of them or a date."""
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return 0.0
    now = datetime.now(timezone.utc)
    return max((date.replace(tzinfo=date.tzinfo or timezone.utc) - now).total_seconds(), 0.0)


def answer_text(content: Any) -> Any:
    """The answer's text: some servers give it as a list of parts."""
    if isinstance(content, list) and content and all(isinstance(part, dict) for part in content):
        return "".join(part.get("text") or "" for part in content)
    return content or ""
