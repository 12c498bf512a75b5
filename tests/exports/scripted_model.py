"""A chat server whose replies are fixed, for clients that ask a model over HTTP. It keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ScriptedModel(ThreadingHTTPServer):
    """The reply to a chat with n replies in it is the n-th of ``replies``; after the last one, the last."""

    daemon_threads = True

    def __init__(self, replies: Sequence[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies = list(replies)
        self.asked: list[list[dict[str, Any]]] = []

    @property
    def url(self) -> str:
        """The base address for clients of OpenAI's API."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def answer(self, messages: list[dict[str, Any]]) -> str:
        self.asked.append(messages)
        turn = sum(message["role"] == "assistant" for message in messages)
        return self.replies[min(turn, len(self.replies) - 1)]


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedModel

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = self.server.answer(body["messages"])
        head = {"id": "chat", "created": 0, "model": body["model"]}
        if body.get("stream"):
            chunk = {**head, "object": "chat.completion.chunk"}
            parts: list[dict[str, Any]] = [
                {"delta": {"role": "assistant", "content": text}, "finish_reason": None},
                {"delta": {}, "finish_reason": "stop"},
            ]
            events = [json.dumps({**chunk, "choices": [{"index": 0, **part}]}) for part in parts]
            self._send("text/event-stream", "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]))
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            self._send(
                "application/json",
                json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage}),
            )

    def _send(self, kind: str, text: str) -> None:
        data = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Requests are kept, not printed."""


@contextmanager
def scripted_model(replies: Sequence[str]) -> Iterator[ScriptedModel]:
    """A server of :class:`ScriptedModel` that runs in a thread."""
    server = ScriptedModel(replies)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
