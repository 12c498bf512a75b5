"""A client of one OpenAI-compatible server, for judges and policies.

Sends many chat completions in parallel and repeats them while the server is busy. The API key is read from the
environment at each request and never stored.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, TypeVar

import httpx

from agentgym_hindsight.errors import UsageError

__all__ = ["Answer", "Busy", "ChatServer", "Refused", "retry_after"]

T = TypeVar("T")

_LONGEST_WAIT = 60.0  # a server may request an hour; a training step cannot wait so long


class Answer(NamedTuple):
    """A chat completion. ``finish`` is the finish reason: ``"length"`` if the answer was cut."""

    text: str
    finish: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Busy(Exception):
    """No answer now. The request may succeed if repeated, after ``wait`` seconds if the server named a time."""

    def __init__(self, cause: str, wait: float = 0.0) -> None:
        super().__init__(cause)
        self.wait = wait


class Refused(Exception):
    """The server refuses this request, even if it is repeated. Other requests may succeed."""

    def __init__(self, cause: str, status: int = 0) -> None:
        super().__init__(cause)
        self.status = status


class ChatServer:
    """One model of one server. ``seconds`` is called with the duration of each attempt."""

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key_env: str,
        timeout_s: float,
        retries: int,
        backoff_s: float,
        concurrency: int,
        seconds: Callable[[float], object] = lambda _: None,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise UsageError(f"Expected the server's address, got {base_url!r}; try 'http://localhost:8000/v1'.")
        if not model:
            raise UsageError("Expected the model's name, got ''; try a name that the server lists at /v1/models.")
        for name, value, minimum in (("concurrency", concurrency, 1), ("retries", retries, 0)):
            if value < minimum:
                raise UsageError(f"Expected {name} ≥ {minimum}, got {value}; try {minimum}.")
        if timeout_s <= 0 or backoff_s < 0:
            raise UsageError(
                f"Expected a timeout > 0 and a pause ≥ 0 seconds, got {timeout_s} and {backoff_s}; try 120 and 1."
            )
        self.base_url, self.model, self.api_key_env = base_url.rstrip("/"), model, api_key_env
        self.retries, self.backoff_s, self.concurrency = retries, backoff_s, concurrency
        self._seconds = seconds
        limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        self._http = httpx.Client(timeout=timeout_s, limits=limits, headers={"Content-Type": "application/json"})

    @property
    def host(self) -> str:
        """The host name only: the address may contain a password."""
        return httpx.URL(self.base_url).host

    def close(self) -> None:
        """Close the connections. May be called twice."""
        self._http.close()

    def map(self, work: Callable[[T], Any], items: Sequence[T]) -> list[Any]:
        """Apply ``work`` to every item, ``concurrency`` at once. Results have the order of the items."""
        if self._http.is_closed:
            raise UsageError("Expected an open connection, got a closed one; try making a new one.")
        if not items:
            return []
        pool = ThreadPoolExecutor(min(self.concurrency, len(items)), thread_name_prefix="chat")
        try:
            return list(pool.map(work, items))
        finally:
            pool.shutdown(cancel_futures=True)  # after an interrupt, requests that have not started are not sent

    def ask(self, body: Mapping[str, Any]) -> Answer:
        """One completion, with retries. Raises :class:`Busy` or :class:`Refused` if there is none."""
        key = os.environ.get(self.api_key_env, "").strip()
        for attempt in range(self.retries + 1):
            started = time.monotonic()
            try:
                return self._send_once(body, key)
            except Busy as busy:
                if attempt == self.retries:
                    cause = f"{busy} at each of {attempt + 1} attempts" if attempt else str(busy)
                    raise Busy(_hide_key(key, cause)) from None
                wait = min(max(self.backoff_s * 2**attempt, busy.wait), _LONGEST_WAIT)
            except Refused as refused:
                raise Refused(_hide_key(key, str(refused)), refused.status) from None
            except Exception as error:  # any other error concerns this request only
                raise Refused(_hide_key(key, f"{type(error).__name__} ({error})")) from None
            finally:
                self._seconds(time.monotonic() - started)
            time.sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _send_once(self, body: Mapping[str, Any], key: str) -> Answer:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            # json.dumps escapes lone surrogates, which an observation may contain and httpx's own JSON cannot encode.
            content = json.dumps(body).encode("ascii")
            response = self._http.post(f"{self.base_url}/chat/completions", content=content, headers=headers)
        except httpx.TransportError as error:
            raise Busy(f"{type(error).__name__} ({error})") from error
        status = response.status_code
        if status in (408, 409, 425, 429) or status >= 500:
            raise Busy(f"status {status}", retry_after(response.headers.get("Retry-After", "")))
        if status >= 300:
            raise Refused(f"status {status} ({response.text[:200]})", status)
        try:
            document = response.json()
            choice = document["choices"][0]
            text, finish = _answer_text(choice["message"].get("content")), choice.get("finish_reason") or ""
            if not isinstance(text, str):
                raise TypeError(f"content is {type(text).__name__}")
            usage = document.get("usage") or {}
            token_counts = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise Busy(f"no chat completion ({error!r})") from error
        return Answer(text, finish, *token_counts)


def _hide_key(key: str, cause: str) -> str:
    return cause.replace(key, "***") if key else cause  # servers quote invalid keys in their error messages


def retry_after(value: str) -> float:
    """Seconds from a ``Retry-After`` header, which contains a number of seconds or a date."""
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


def _answer_text(content: Any) -> Any:
    """The text of an answer. Some servers return it as a list of parts."""
    if isinstance(content, list) and content and all(isinstance(part, dict) for part in content):
        return "".join(part.get("text") or "" for part in content)
    return content or ""
