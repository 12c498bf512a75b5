"""Questions of a method to a model behind an OpenAI-compatible server. A question that fails has no answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from agentgym_hindsight.hindsight.chat_client import ChatClient
from agentgym_hindsight.hindsight.chat_server import Answer, Busy, ChatServer, Refused
from agentgym_hindsight.hindsight.control_text import break_control_text
from agentgym_hindsight.hindsight.messages import Message

__all__ = ["AnalyserClient"]

_LOG = logging.getLogger(__name__)


class AnalyserClient(ChatClient):
    """A client of one model.

    * ``base_url``, ``model``, ``api_key_env``, ``timeout``, ``retries``, ``backoff``, ``concurrency``, ``extra_body``:
      as for :class:`~agentgym_hindsight.hindsight.chat_client.ChatClient`.
    * ``seeds``: whether a request has a seed, so that a server which supports seeds gives the same answer again.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key_env: str = "OPENAI_API_KEY",
        timeout: float = 180.0,
        retries: int = 2,
        backoff: float = 1.0,
        concurrency: int = 16,
        seeds: bool = True,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            base_url,
            model,
            api_key_env=api_key_env,
            timeout=timeout,
            retries=retries,
            backoff=backoff,
            concurrency=concurrency,
            extra_body=extra_body,
        )
        self.seeds = seeds
        self._has_warned = False

    def answers(
        self,
        chats: Sequence[Sequence[Message]],
        seeds: Sequence[int],
        *,
        max_tokens: int,
        temperature: float,
        schema: Mapping[str, Any] | None = None,
    ) -> list[Answer | None]:
        """The answer to every chat, requested in parallel; ``None`` where a request failed."""
        bodies = [
            self._body(chat, seed, max_tokens, temperature, schema) for chat, seed in zip(chats, seeds, strict=True)
        ]
        replies = self._map(_reply, bodies)
        errors = [reply for reply in replies if not isinstance(reply, Answer)]
        if errors and not self._has_warned:
            self._has_warned = True
            _LOG.warning(
                "%d of %d questions to %r got no answer, the first: %s. They are answered by an empty text.",
                len(errors),
                len(replies),
                self,
                errors[0],
            )
        return [reply if isinstance(reply, Answer) else None for reply in replies]

    def _body(
        self,
        chat: Sequence[Message],
        seed: int,
        max_tokens: int,
        temperature: float,
        schema: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{**message, "content": break_control_text(message["content"])} for message in chat],
            "temperature": temperature,
            "max_tokens": max_tokens,
        }
        if self.seeds:
            body["seed"] = seed
        if schema is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema)}}
        body.update(self.extra_body)
        return {name: value for name, value in body.items() if value is not None}


def _reply(server: ChatServer, body: Mapping[str, Any]) -> Answer | Exception:
    try:
        return server.ask(body)
    except (Busy, Refused) as error:
        return error
