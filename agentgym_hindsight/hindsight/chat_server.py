"""A client of one OpenAI-compatible server, for judges and policies.

Sends many chat completions in parallel and repeats them while the server is busy. The API key is read from the
environment at each request and never stored. The server is not trusted: its replies are limited in time and size, and a
key that it echoes is hidden.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, TypeVar

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.http_client import HttpClient, HttpConnectError, HttpError, HttpReply
from agentgym_hindsight.printable import printable_line
from agentgym_hindsight.redaction import hide

__all__ = ["Answer", "Busy", "ChatServer", "Refused", "retry_after"]

T = TypeVar("T")

_LONGEST_WAIT = 60.0  # a server may request an hour; a training step cannot wait so long
#: Bytes of a reply. An answer of 100,000 tokens is about 0.5 MB, and parsed JSON can need thirty times its size.
_LARGEST_REPLY = 1 << 23
_SCANNED, _SHOWN = 1 << 16, 200  # bytes of a refusal that are searched for the key, and characters in an error
_SHORTEST_TIME = 0.001  # seconds of an attempt that begins at the end of its time
_SHORTEST_KEY = 16  # a shorter "key" such as EMPTY may be a word of an answer


class Answer(NamedTuple):
    """A chat completion. ``finish`` is the finish reason: ``"length"`` if the answer was cut."""

    text: str
    finish: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Busy(Exception):
    """No answer now. The request may succeed if repeated, after ``wait`` seconds if the server named a time.

    ``is_gone``: nothing listens at the server's address.
    """

    def __init__(self, cause: str, wait: float = 0.0, *, is_gone: bool = False) -> None:
        super().__init__(cause)
        self.wait, self.is_gone = wait, is_gone


class Refused(Exception):
    """The server refuses this request, even if it is repeated. Other requests may succeed."""

    def __init__(self, cause: str, status: int = 0) -> None:
        super().__init__(cause)
        self.status = status


class ChatServer:
    """One model of one server.

    * ``base_url``: may contain a user and a password. They are sent if there is no key, and never shown.
    * ``timeout_s``: limits an attempt from connecting to the last byte of the reply.
    * ``seconds``: is called with the duration of each attempt.
    """

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
        if not model:
            raise UsageError("Expected the model's name, got ''; try a name that the server lists at /v1/models.")
        for name, value, minimum in (("concurrency", concurrency, 1), ("retries", retries, 0)):
            if value < minimum:
                raise UsageError(f"Expected {name} ≥ {minimum}, got {value}; try {minimum}.")
        if timeout_s <= 0 or backoff_s < 0:
            raise UsageError(
                f"Expected a timeout > 0 and a pause ≥ 0 seconds, got {timeout_s} and {backoff_s}; try 120 and 1."
            )
        self._http = HttpClient(base_url, connections=concurrency)
        #: The address without user and password.
        self.base_url = self._http.url
        self.model, self.api_key_env, self.timeout_s = model, api_key_env, timeout_s
        self.retries, self.backoff_s, self.concurrency = retries, backoff_s, concurrency
        self._seconds = seconds

    @property
    def host(self) -> str:
        """The host name only."""
        return self._http.host

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

    def ask(self, body: Mapping[str, Any], seconds: float | None = None) -> Answer:
        """One completion, with retries. Raises :class:`Busy` or :class:`Refused` if there is none.

        ``seconds`` limits the time of all attempts together, with the pauses between them.
        """
        ends = math.inf if seconds is None else time.monotonic() + seconds
        key = os.environ.get(self.api_key_env, "").strip()
        secrets = (key, self._http.password.reveal())
        for attempt in range(self.retries + 1):
            started = time.monotonic()
            try:
                return self._send_once(body, key, secrets, max(min(self.timeout_s, ends - started), _SHORTEST_TIME))
            except Busy as busy:
                wait = min(max(self.backoff_s * 2**attempt, busy.wait), _LONGEST_WAIT)
                is_late = time.monotonic() + wait >= ends
                if attempt == self.retries or is_late:
                    cause = f"{busy} at each of {attempt + 1} attempts" if attempt else str(busy)
                    cause += f", and no time left of {seconds:g} s" if is_late else ""
                    raise Busy(hide(cause, *secrets), is_gone=busy.is_gone) from None
            except Refused as refused:
                raise Refused(hide(str(refused), *secrets), refused.status) from None
            except Exception as error:  # any other error concerns this request only
                raise Refused(hide(f"{type(error).__name__} ({error})", *secrets)) from None
            finally:
                self._seconds(time.monotonic() - started)
            time.sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _send_once(self, body: Mapping[str, Any], key: str, secrets: Sequence[str], seconds: float) -> Answer:
        if not (key.isascii() and key.isprintable()):
            raise Refused(f"a key in ${self.api_key_env} with characters that are not printable ASCII")
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        try:
            reply = self._http.request(
                "POST",
                "/chat/completions",
                json.dumps(body).encode("ascii"),  # escapes lone surrogates, which an observation may contain
                headers,
                seconds=seconds,
                most_bytes=_LARGEST_REPLY,
            )
        except HttpError as error:
            raise Busy(str(error), is_gone=isinstance(error, HttpConnectError)) from error
        status = reply.status
        if status in (408, 409, 425, 429) or status >= 500:
            raise Busy(f"status {status}", retry_after(reply.headers.get("retry-after", "")))
        if status >= 300:
            # Hidden before it is cut: the rest of a key that was cut in two would not be recognised.
            text = hide(reply.body[:_SCANNED].decode("utf-8", "replace"), *secrets)
            raise Refused(f"status {status} ({printable_line(text, _SHOWN)})", status)
        if not reply.complete:
            raise Refused(f"a reply of more than {_LARGEST_REPLY:,} bytes")
        answer = _parsed(reply)
        return answer._replace(text=hide(answer.text, *(secret for secret in secrets if len(secret) >= _SHORTEST_KEY)))


def _parsed(reply: HttpReply) -> Answer:
    try:
        document = json.loads(reply.body)
        choice = document["choices"][0]
        text, finish = _answer_text(choice["message"].get("content")), choice.get("finish_reason") or ""
        if not isinstance(text, str):
            raise TypeError(f"content is {type(text).__name__}")
        usage = document.get("usage") or {}
        token_counts = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        # Messages of other errors quote the reply, and may cut a key in it in two.
        cause = str(error) if isinstance(error, json.JSONDecodeError | KeyError) else type(error).__name__
        raise Busy(f"no chat completion ({cause})") from error
    return Answer(text, str(finish), *token_counts)


def retry_after(value: str) -> float:
    """Seconds from a ``Retry-After`` header, which contains a number of seconds or a date."""
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    now = datetime.now(timezone.utc)
    return max((date.replace(tzinfo=date.tzinfo or timezone.utc) - now).total_seconds(), 0.0)


def _answer_text(content: Any) -> Any:
    """The text of an answer. Some servers return it as a list of parts."""
    if isinstance(content, list) and content and all(isinstance(part, dict) for part in content):
        return "".join(part.get("text") or "" for part in content)
    return content or ""
