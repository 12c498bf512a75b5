"""Workers as Ray actors, to run the vector env on a cluster."""

from __future__ import annotations

import contextlib
import importlib
import pickle
from collections.abc import Sequence
from typing import Any

from agentgym_hindsight.errors import MissingExtraError
from agentgym_hindsight.vector.transport import Link
from agentgym_hindsight.vector.worker import EnvServer

__all__ = ["RayWorkers"]


class RayWorkers:
    """A transport over Ray: ``HindsightVectorEnv(…, workers=8, transport=RayWorkers(num_cpus=2))``.

    ``options`` are those of an actor (``num_cpus``, ``resources``, ``runtime_env`` …). Call ``ray.init`` first to
    choose the cluster; otherwise Ray starts a local one. Failures are handled as with worker processes. Processes that
    Ray itself started stay until ``ray.shutdown()``.
    """

    def __init__(self, **options: Any) -> None:
        try:
            self._ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise MissingExtraError("ray", "ray", "RayWorkers") from error
        # The vector env replaces a failed actor and marks its rollouts, so Ray must not restart it.
        self._actor = self._ray.remote(EnvServer).options(**{"num_cpus": 1, **options, "max_restarts": 0})

    def start(self, setup: bytes, timeout_s: float) -> Link:
        return _Actor(self._ray, self._actor.remote(setup))

    def ready(self, links: Sequence[_Actor], timeout_s: float) -> list[_Actor]:
        awaited = {link.answers[0]: link for link in links if link.answers}
        if not awaited:
            return []
        timeout = None if timeout_s == float("inf") else timeout_s
        # When an actor is lost, Ray marks its answers as ready, with an error.
        ready_answers, _ = self._ray.wait(list(awaited), num_returns=1, timeout=timeout)
        if ready_answers and len(awaited) > 1:
            ready_answers, _ = self._ray.wait(list(awaited), num_returns=len(awaited), timeout=0)
        return [awaited[answer] for answer in ready_answers]


class _Actor(Link):
    def __init__(self, ray: Any, actor: Any) -> None:
        super().__init__()
        self._ray, self._actor, self._ending = ray, actor, "was ended"
        self.answers: list[Any] = [actor.describe.remote()]

    def send(self, verb: str, share: Sequence[tuple[int, Any]]) -> None:
        self.answers += [self._actor.answer.remote(verb, index, request) for index, request in share]

    def request_close(self) -> None:
        if self._ray.is_initialized():  # otherwise Ray has ended the actor, and the call would restart Ray
            self.answers.append(self._actor.close.remote())

    def terminate(self) -> str:
        with contextlib.suppress(Exception):
            if self._ray.is_initialized():
                self._ray.kill(self._actor, no_restart=True)
        self.answers.clear()
        return self._ending

    def _messages(self) -> list[Any]:
        messages = []
        while self.answers and self._ray.wait(self.answers[:1], timeout=0)[0]:
            try:
                data = self._ray.get(self.answers.pop(0))
            except self._ray.exceptions.RayActorError as error:
                self._ending = f"was lost ({type(error).__name__})"
                raise EOFError from error
            if data is None:  # the answer to request_close()
                raise EOFError
            messages.append(pickle.loads(data))
        return messages
