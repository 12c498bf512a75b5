"""A model behind an OpenAI-compatible server as a policy: one request a turn, many turns side by side."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from agentgym_hindsight.baselines.policies.base import Reply, TurnView
from agentgym_hindsight.errors import BackendError, UsageError

# The judge talks to the same servers: what a message and a Retry-After look like is known there.
from agentgym_hindsight.hindsight.judge import answer_text, retry_after
from agentgym_hindsight.tasks import seeded_int

__all__ = ["EndpointPolicy"]

_LOG = logging.getLogger(__name__)
_LONGEST_WAIT = 60.0
#: Batches without a single answer after which the server counts as gone: going on would only record silence.
_SILENT_BATCHES = 3


class _Again(Exception):
    """The request may succeed if repeated, after ``wait`` seconds if the server named a time."""

    def __init__(self, cause: str, wait: float = 0.0) -> None:
        super().__init__(cause)
        self.wait = wait


class _Refused(Exception):
    """The server will not answer this request however often it is asked; the others it may."""


class EndpointPolicy:
    """Asks a chat model for each turn's reply.

    * ``base_url``, ``model``: an OpenAI-compatible server, up to and including ``/v1``.
    * ``api_key_env``: the *name* of the environment variable that holds the key; without it no key is sent. The key is
      read at each batch and kept nowhere.
    * ``temperature``, ``max_tokens``: how a reply is drawn, and how long it may be.
    * ``concurrency``: requests under way at once.
    * ``timeout_s``, ``retries``, ``backoff_s``: how long to wait for a reply; how often to repeat a request that met a
      busy or broken server; the first pause, doubled each time (``Retry-After`` makes it longer).
    * ``seed``: sent with each request, mixed with the task, the sibling and the turn, so that siblings differ and the
      batch does not matter; servers that honour seeds then repeat themselves. ``None`` sends none.
    * ``system``: a system message before every prompt.
    * ``extra_body``: what the server wants besides; a value of ``None`` leaves that key out, so
      ``{"max_tokens": None, "max_completion_tokens": 512}`` renames one.

    A turn whose request finally fails gets an empty reply, which the env takes for an invalid action, and is counted in
    ``failures``. Where nothing was ever answered, or nothing any more, :class:`~agentgym_hindsight.errors.BackendError`
    says why. Keep it open over many batches and close it, or use it in a ``with`` statement.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key_env: str = "OPENAI_API_KEY",
        temperature: float = 0.0,
        max_tokens: int = 512,
        concurrency: int = 16,
        timeout_s: float = 120.0,
        retries: int = 3,
        backoff_s: float = 1.0,
        seed: int | None = None,
        system: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise UsageError(f"Expected the server's address, got {base_url!r}; try 'http://localhost:8000/v1'.")
        if not model:
            raise UsageError("Expected the model's name, got ''; try one the server lists at /v1/models.")
        for name, value, least in (
            ("max_tokens", max_tokens, 1),
            ("concurrency", concurrency, 1),
            ("retries", retries, 0),
        ):
            if value < least:
                raise UsageError(f"Expected {name} ≥ {least}, got {value}.")
        if timeout_s <= 0 or backoff_s < 0 or temperature < 0:
            raise UsageError(
                "Expected timeout_s > 0, backoff_s ≥ 0 and temperature ≥ 0, got "
                f"{timeout_s}, {backoff_s} and {temperature}; try 120, 1 and 0."
            )
        self.base_url, self.model, self.api_key_env = base_url.rstrip("/"), model, api_key_env
        self.temperature, self.max_tokens, self.seed, self.system = temperature, max_tokens, seed, system
        self.concurrency, self.retries, self.backoff_s = concurrency, retries, backoff_s
        self.extra_body = dict(extra_body or {})
        #: Turns that got no answer.
        self.failures = 0
        self._answered, self._silent = False, 0
        limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        self._http = httpx.Client(timeout=timeout_s, limits=limits, headers={"Content-Type": "application/json"})

    def __repr__(self) -> str:
        return f"EndpointPolicy({self.model!r} at {httpx.URL(self.base_url).host})"  # an address may hold a password

    @property
    def name(self) -> str:
        return f"endpoint:{self.model}"

    def close(self) -> None:
        """Close the connections; closing twice does no harm."""
        self._http.close()

    def __enter__(self) -> EndpointPolicy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def act(self, turns: Sequence[TurnView]) -> list[Reply]:
        if not turns:
            return []
        if self._http.is_closed:
            raise UsageError("Expected an open policy, got a closed one; try making it anew.")
        key = os.environ.get(self.api_key_env, "").strip()
        pool = ThreadPoolExecutor(min(self.concurrency, len(turns)), thread_name_prefix="endpoint")
        try:
            answers = list(pool.map(lambda turn: self._ask(self._body(turn), key), turns))
        finally:
            pool.shutdown(cancel_futures=True)  # an interrupt does not wait for requests that have not begun
        self._count([answer for answer in answers if not isinstance(answer, Reply)], len(turns))
        return [answer if isinstance(answer, Reply) else Reply("") for answer in answers]

    # -- inside -------------------------------------------------------------------------------------------------------

    def _count(self, errors: Sequence[Exception], asked: int) -> None:
        """One failure is data; a server that answers nobody is not."""
        if errors and not self.failures:
            _LOG.warning("%s: a turn got no answer and is played as an empty reply: %s", self.name, errors[0])
        self.failures += len(errors)
        if len(errors) < asked:
            self._answered, self._silent = True, 0
            return
        # A refused request (a prompt that is too long, say) may be the only one left of a batch: that is no silence.
        self._silent += all(isinstance(error, _Again) for error in errors)
        if not self._answered or self._silent >= _SILENT_BATCHES:
            raise BackendError(
                f"Expected answers from {self.model!r} at {httpx.URL(self.base_url).host}, got none for {asked} "
                f"turn(s), the first: {errors[0]}; try {self._cure(errors[0])}."
            )

    def _cure(self, error: Exception) -> str:
        if "status 401" in str(error) or "status 403" in str(error):
            return f"checking the key in ${self.api_key_env}"
        if isinstance(error, _Refused):
            return "checking the address (it ends in /v1, as a rule) and the model's name"
        return "checking that the server runs, a longer timeout, more retries or less concurrency"

    def _ask(self, body: Mapping[str, Any], key: str) -> Reply | Exception:
        try:
            for attempt in range(self.retries + 1):
                try:
                    return self._once(body, key)
                except _Again as again:
                    if attempt == self.retries:
                        return _Again(f"{again} at each of {attempt + 1} attempt(s)")
                    wait = min(max(self.backoff_s * 2**attempt, again.wait), _LONGEST_WAIT)
                time.sleep(wait)
        except Exception as error:  # whatever it is: one turn goes without a reply, the batch goes on
            cause = str(error) if isinstance(error, _Refused) else f"{type(error).__name__} ({error})"
            return _Refused(cause.replace(key, "***") if key else cause)  # servers quote bad keys
        raise AssertionError("unreachable: the last attempt returns")

    def _once(self, body: Mapping[str, Any], key: str) -> Reply:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            # Escaped here: an observation may hold a lone surrogate, which httpx's own JSON could not encode.
            content = json.dumps(body).encode("ascii")
            response = self._http.post(f"{self.base_url}/chat/completions", content=content, headers=headers)
        except httpx.TransportError as error:
            raise _Again(f"{type(error).__name__} ({error})") from error
        status = response.status_code
        if status in (408, 409, 425, 429) or status >= 500:
            raise _Again(f"status {status}", retry_after(response.headers.get("Retry-After", "")))
        if status >= 300:
            raise _Refused(f"status {status} ({response.text[:200]})")
        try:
            choice = response.json()["choices"][0]
            text, finish = answer_text(choice["message"].get("content")), choice.get("finish_reason")
            if not isinstance(text, str):
                raise TypeError(f"content is {type(text).__name__}")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise _Again(f"no chat completion ({error!r})") from error
        return Reply(text, finished=finish != "length")

    def _body(self, turn: TurnView) -> dict[str, Any]:
        messages = [{"role": "system", "content": self.system}] if self.system else []
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [*messages, {"role": "user", "content": turn.observation}],
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }
        if self.seed is not None:
            body["seed"] = seeded_int("endpoint", self.seed, turn.task_id, turn.sibling, turn.step) % 2**31
        body.update(self.extra_body)
        return {name: value for name, value in body.items() if value is not None}
