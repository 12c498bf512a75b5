"""The common part of clients of one model behind an OpenAI-compatible server, for judges and analysers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeVar

from agentgym_hindsight.hindsight.chat_server import ChatServer
from agentgym_hindsight.redaction import Secret

__all__ = ["ChatClient"]

T = TypeVar("T")


class ChatClient:
    """A model of a server. Connections are open during a batch only.

    * ``base_url``, ``model``: the server, up to and including ``/v1``. A user and a password in the address are sent if
      there is no key, and never shown.
    * ``api_key_env``: the *name* of the environment variable with the key. If it is not set, no key is sent. The key is
      read at each batch and never stored.
    * ``timeout``, ``retries``, ``backoff``: seconds of a request, from connecting to the last byte of the answer;
      number of retries if the server is busy or fails; the first pause, doubled each time (``Retry-After`` makes it
      longer).
    * ``concurrency``: number of parallel calls.
    * ``extra_body``: more fields of the request. ``{"chat_template_kwargs": {"enable_thinking": False}}`` disables
      thinking in vLLM and SGLang.
    * ``seconds``: is called with the duration of each attempt.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key_env: str,
        timeout: float,
        retries: int,
        backoff: float,
        concurrency: int,
        extra_body: Mapping[str, Any] | None,
        seconds: Callable[[float], object] = lambda _: None,
    ) -> None:
        self._connection: dict[str, Any] = {
            "api_key_env": api_key_env,
            "timeout_s": timeout,
            "retries": retries,
            "backoff_s": backoff,
            "concurrency": concurrency,
            "seconds": seconds,
        }
        self._address, self.model = Secret(base_url), model
        self.extra_body = dict(extra_body or {})
        with closing(self._server()) as server:  # validates the arguments now and not at the first rollout
            self._host, self._base_url = server.host, server.base_url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r} at {self._host})"

    @property
    def base_url(self) -> str:
        """The address of the server, without user and password."""
        return self._base_url

    def _map(self, work: Callable[[ChatServer, T], Any], items: Sequence[T]) -> list[Any]:
        """Apply ``work`` to the open server and every item, in parallel."""
        with closing(self._server()) as server:
            return server.map(lambda item: work(server, item), items)

    def _server(self) -> ChatServer:
        return ChatServer(self._address.reveal(), self.model, **self._connection)
