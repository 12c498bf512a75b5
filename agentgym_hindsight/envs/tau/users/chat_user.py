"""Users that are models: they play the role that the benchmark gives them, in a conversation seen from their side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentgym_hindsight.envs.plain_values import reject, texts
from agentgym_hindsight.envs.tau.desk import DeskTask
from agentgym_hindsight.envs.tau.users.base import GREETING, STOP
from agentgym_hindsight.errors import BackendError, UsageError
from agentgym_hindsight.hindsight.chat_server import Busy, ChatServer, Refused
from agentgym_hindsight.short_repr import short_repr
from agentgym_hindsight.tasks import content_hash, seeded_int

__all__ = ["ChatUser", "Complete", "endpoint_user"]

#: Messages with roles, and a seed, to the text of the next message.
Complete = Callable[[list[dict[str, str]], int], str]

_LONGEST = 10_000  # characters of a message
_ROLE = """You play a customer who writes to the agent of a company. What you want:
{instruction}

- Write one message at a time, in short plain sentences, as the customer.
- Tell only what is needed for the present step, not everything at once.
- Never invent what is not stated above. If the agent asks for it, say that you do not remember or do not have it.
- Use your own words instead of repeating the lines above, and keep to the character that they describe.
- When your goal is reached, write a message of only {stop}, which ends the conversation."""


class ChatUser:
    """A user whose messages come from a function of the conversation.

    The roles are those of the benchmark: a system message with the instruction, the agent's messages as ``user``, the
    customer's as ``assistant``; the agent's first message is a greeting.

    A restored user has the same messages. What it says next is the same if the function is one of the messages alone.
    """

    not_restorable = ""

    def __init__(self, name: str, complete: Complete, close: Callable[[], None] = lambda: None) -> None:
        self.name, self._complete, self._close = name, complete, close
        self._messages: list[dict[str, str]] = []
        self._seed = ""

    @property
    def state(self) -> str:
        return content_hash(*(message["content"] for message in self._messages[1:]))

    def start(self, task: DeskTask, seed: str) -> str:
        self._messages, self._seed = [_role(task)], seed
        return self.reply(GREETING)

    def reply(self, message: str) -> str:
        self._messages.append({"role": "user", "content": message[:_LONGEST]})
        seed = seeded_int("user", self._seed, len(self._messages)) % 2**31
        text = self._complete(list(self._messages), seed)
        if not isinstance(text, str) or not text.strip():
            raise BackendError(f"Expected a message from the user {self.name}, got {short_repr(text, 60)}; try again.")
        text = text.strip()[:_LONGEST]
        self._messages.append({"role": "assistant", "content": text})
        return text

    def save(self) -> Any:
        """The texts of the conversation, in turn of the agent and the user."""
        return tuple(message["content"] for message in self._messages[1:])

    def load(self, task: DeskTask, seed: str, state: Any) -> None:
        roles = ("user", "assistant")
        said = [{"role": roles[number % 2], "content": content} for number, content in enumerate(state)]
        self._messages, self._seed = [_role(task), *said], seed

    def decode(self, task: DeskTask, state: Any) -> Any:
        said = texts(state, "world.user")
        if not said or len(said) % 2:
            reject("messages of the agent and the user in turn", said, "world.user")
        return said

    def close(self) -> None:
        self._close()


def _role(task: DeskTask) -> dict[str, str]:
    return {"role": "system", "content": _ROLE.format(instruction=task.instruction, stop=STOP)}


def endpoint_user(address: str, *, api_key_env: str = "OPENAI_API_KEY", temperature: float = 1.0) -> ChatUser:
    """A user behind an OpenAI-compatible server, given as ``URL#MODEL``."""
    url, _, model = address.rpartition("#")
    if not url or not model:
        raise UsageError(
            "Expected user='endpoint:URL#MODEL', got no URL or no model; try 'endpoint:http://localhost:8000/v1#my-model'."
        )
    server = ChatServer(url, model, api_key_env=api_key_env, timeout_s=120.0, retries=3, backoff_s=1.0, concurrency=1)

    def complete(messages: list[dict[str, str]], seed: int) -> str:
        body: dict[str, Any] = {
            "model": model,
            "messages": messages,
            "temperature": temperature,
            "max_tokens": 512,
            "seed": seed,
        }
        try:
            return server.ask(body).text
        except (Busy, Refused) as error:
            raise BackendError(
                f"Expected an answer of the user {model!r} at {server.host}, got {error}; "
                "try checking that the server runs."
            ) from error

    return ChatUser(f"endpoint:{model}", complete, server.close)
