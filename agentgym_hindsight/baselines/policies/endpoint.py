"""A model behind an OpenAI-compatible server as a policy: one request a turn, many turns side by side."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from agentgym_hindsight.baselines.policies.base import Reply, TurnView
from agentgym_hindsight.errors import BackendError, UsageError
from agentgym_hindsight.hindsight.chat_server import Busy, ChatServer, Refused
from agentgym_hindsight.tasks import seeded_int

__all__ = ["EndpointPolicy"]

_LOG = logging.getLogger(__name__)
#: Batches without a single answer after which the server counts as gone: going on would only record silence.
_SILENT_BATCHES = 3


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
        #: Turns that got no answer.
        self.failures = 0
        self._answered, self._silent = False, 0

    def __repr__(self) -> str:
        return f"EndpointPolicy({self.model!r} at {self.server.host})"

    @property
    def name(self) -> str:
        return f"endpoint:{self.model}"

    def close(self) -> None:
        """Close the connections; closing twice does no harm."""
        self.server.close()

    def __enter__(self) -> EndpointPolicy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def act(self, turns: Sequence[TurnView]) -> list[Reply]:
        answers = self.server.map(self._ask, turns)
        self._count([answer for answer in answers if not isinstance(answer, Reply)], len(turns))
        return [answer if isinstance(answer, Reply) else Reply("") for answer in answers]

    # -- inside -------------------------------------------------------------------------------------------------------

    def _count(self, errors: Sequence[Exception], asked: int) -> None:
        """One failure is data; a server that answers nobody is not."""
        if not asked:
            return
        if errors and not self.failures:
            _LOG.warning("%s: a turn got no answer and is played as an empty reply: %s", self.name, errors[0])
        self.failures += len(errors)
        if len(errors) < asked:
            self._answered, self._silent = True, 0
            return
        # A refused request (a prompt that is too long, say) may be the only one left of a batch: that is no silence.
        self._silent += all(isinstance(error, Busy) for error in errors)
        if not self._answered or self._silent >= _SILENT_BATCHES:
            raise BackendError(
                f"Expected answers from {self.model!r} at {self.server.host}, got none for {asked} "
                f"turn(s), the first: {errors[0]}; try {self._cure(errors[0])}."
            )

    def _cure(self, error: Exception) -> str:
        if isinstance(error, Refused):
            if error.status in (401, 403):
                return f"checking the key in ${self.server.api_key_env}"
            return "checking the address (it ends in /v1, as a rule) and the model's name"
        return "checking that the server runs, a longer timeout, more retries or less concurrency"

    def _ask(self, turn: TurnView) -> Reply | Exception:
        try:
            answer = self.server.ask(self._body(turn))
        except (Busy, Refused) as error:  # one turn goes without a reply, the batch goes on
            return error
        return Reply(answer.text, finished=answer.finish != "length")

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
