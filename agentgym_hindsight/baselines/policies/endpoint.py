"""A model behind an OpenAI-compatible server as a policy: one request per turn, many requests at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from agentgym_hindsight.baselines.policies.base import Reply, TurnView
from agentgym_hindsight.errors import BackendError, UsageError
from agentgym_hindsight.hindsight.chat_server import Busy, ChatServer, Refused
from agentgym_hindsight.hindsight.control_text import break_control_text
from agentgym_hindsight.hindsight.messages import as_messages
from agentgym_hindsight.tasks import seeded_int

__all__ = ["EndpointPolicy"]

_LOG = logging.getLogger(__name__)
#: After this many batches in a row without any answer, the server counts as unavailable: further turns would only
#: record empty replies.
_MAX_UNANSWERED_BATCHES = 3


class EndpointPolicy:
    """Requests the reply of each turn from a chat model.

    * ``base_url``: the address of an OpenAI-compatible server, up to and including ``/v1``; ``model``: its model. A
      user and a password in the address are sent if there is no key, and never shown.
    * ``api_key_env``: the *name* of the environment variable with the key; if it is not set, no key is sent. The
      key is read for each batch and never stored.
    * ``temperature``, ``max_tokens``: sampling temperature and maximum length of a reply.
    * ``concurrency``: number of requests at the same time.
    * ``timeout_s``: time limit of a request, from connecting to the last byte of the reply. ``retries``: how often a
      request is repeated if the server is busy or fails. ``backoff_s``: the first pause before a retry; it doubles each
      time (``Retry-After`` can make it longer).
    * ``seed``: each request has a seed computed from this one, the task, the sibling and the turn. So siblings differ,
      the batch has no influence, and a server that supports seeds gives the same replies again. ``None``: no seed.
    * ``system``: a system message before every prompt.
    * ``extra_body``: further fields of the request. The value ``None`` removes a field, so
      ``{"max_tokens": None, "max_completion_tokens": 512}`` renames one.

    If a request fails after all retries, the turn gets an empty reply, which the env treats as an invalid action, and
    ``failures`` counts it. If no request has ever been answered, if nothing listens at the address any more, or if
    several batches in a row get no answer, :class:`~agentgym_hindsight.errors.BackendError` states the cause. Use one
    instance for many batches and close it, or use it in a ``with`` statement.
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
        if max_tokens < 1 or temperature < 0:
            raise UsageError(
                f"Expected max_tokens ≥ 1 and temperature ≥ 0, got {max_tokens} and {temperature}; try 512 and 0."
            )
        self.server = ChatServer(
            base_url,
            model,
            api_key_env=api_key_env,
            timeout_s=timeout_s,
            retries=retries,
            backoff_s=backoff_s,
            concurrency=concurrency,
        )
        self.model, self.temperature, self.max_tokens = model, temperature, max_tokens
        self.seed, self.system = seed, system
        self.extra_body = dict(extra_body or {})
        #: Number of turns without an answer.
        self.failures = 0
        self._answered, self._unanswered_batches = False, 0

    def __repr__(self) -> str:
        return f"EndpointPolicy({self.model!r} at {self.server.host})"

    @property
    def name(self) -> str:
        return f"endpoint:{self.model}"

    def close(self) -> None:
        """Close the connections. Calling it twice is allowed."""
        self.server.close()

    def __enter__(self) -> EndpointPolicy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def act(self, turns: Sequence[TurnView]) -> list[Reply]:
        answers = self.server.map(self._request, turns)
        self._count([answer for answer in answers if not isinstance(answer, Reply)], len(turns))
        return [answer if isinstance(answer, Reply) else Reply("") for answer in answers]

    # -- private ------------------------------------------------------------------------------------------------------

    def _count(self, errors: Sequence[Exception], requests: int) -> None:
        """Count failed requests; raise :class:`BackendError` if the server seems unavailable."""
        if not requests:
            return
        if errors and not self.failures:
            _LOG.warning("%s: a turn got no answer and is played as an empty reply: %s", self.name, errors[0])
        self.failures += len(errors)
        gone = [error for error in errors if isinstance(error, Busy) and error.is_gone]
        if len(errors) < requests and not gone:
            self._answered, self._unanswered_batches = True, 0
            return
        # A refused request (such as a prompt that is too long) can be the only request of a batch. The server is then
        # available, so the batch does not count as unanswered.
        self._unanswered_batches += all(isinstance(error, Busy) for error in errors)
        # If nothing listens any more, no further turn is played: empty replies would look like lost games.
        if gone or not self._answered or self._unanswered_batches >= _MAX_UNANSWERED_BATCHES:
            first = gone[0] if gone else errors[0]
            raise BackendError(
                f"Expected answers from {self.model!r} at {self.server.host}, got none for {len(errors)} "
                f"turn(s), the first: {first}; try {self._fix(first)}."
            )

    def _fix(self, error: Exception) -> str:
        if isinstance(error, Refused):
            if error.status in (401, 403):
                return f"checking the key in ${self.server.api_key_env}"
            return "checking the address (it usually ends in /v1) and the model's name"
        return "checking that the server runs, a longer timeout, more retries or less concurrency"

    def _request(self, turn: TurnView) -> Reply | Exception:
        try:
            answer = self.server.ask(self._body(turn))
        except (Busy, Refused) as error:  # this turn gets an empty reply, and the batch continues
            return error
        return Reply(answer.text, finished=answer.finish != "length")

    def _body(self, turn: TurnView) -> dict[str, Any]:
        messages = [{"role": "system", "content": self.system}] if self.system else []
        past = [each for prompt, reply in turn.past for each in (prompt, reply.text)]
        roles = ("user", "assistant")
        chat = [{"role": roles[place % 2], "content": text} for place, text in enumerate(past)]
        read = [*chat, *as_messages(turn.messages or turn.observation)]
        messages += [{**each, "content": break_control_text(each["content"])} for each in read]
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }
        if self.seed is not None:
            body["seed"] = seeded_int("endpoint", self.seed, turn.task_id, turn.sibling, turn.step) % 2**31
        body.update(self.extra_body)
        return {name: value for name, value in body.items() if value is not None}
