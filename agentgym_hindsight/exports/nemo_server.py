"""A resources server for NeMo Gym's ``gymnasium_agent``. For nemo-gym>=0.7,<0.8 (run with 0.7.0).

NeMo Gym needs Python 3.13.14 or newer. Rows carry ``task_id`` (or ``split`` and ``index``) as columns. A server
configuration names the stage:

    entrypoint: app.py    # from agentgym_hindsight.exports.nemo_server import run; run()
    stage: {env: ALFWorld-Hindsight-v0, settings: {data: embedded}, protocol: plain}

Only the ``info`` of the last turn reaches the result of a rollout: it has the trajectory, as JSON that
:func:`~agentgym_hindsight.exports.exact.from_exact_text` reads. Infos of earlier turns are empty, because hindsight
must not reach the model. Set the agent's ``max_steps``, 10 by default, to at least the env's: the agent does not say
that its limit is reached, so the trajectory of such a rollout is lost. Its env is closed all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, ClassVar

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.exports.clients import missing_client
from agentgym_hindsight.exports.exact import exact_text, visible
from agentgym_hindsight.exports.session import Session, Turn
from agentgym_hindsight.exports.task_finder import TaskFinder
from agentgym_hindsight.hindsight.control_text import break_control_text
from agentgym_hindsight.stage import Stage

try:
    from fastapi import Request
    from nemo_gym.base_resources_server import BaseResourcesServerConfig
    from nemo_gym.server_utils import SESSION_ID_KEY
    from pydantic import Field, PrivateAttr
    from resources_servers.gymnasium import GymnasiumServer, extract_text
except ImportError as error:
    raise missing_client("nemo-gym", "nemo-gym>=0.7,<0.8", error) from error

__all__ = ["HindsightServer", "HindsightServerConfig", "run"]

#: What ``step`` gives: observation, reward, terminated, truncated, info.
Answer = tuple[str, float, bool, bool, dict[str, Any]]
#: The agent sends the second key with each step, and asks ``/close`` at the end, if ``/reset`` says so.
_ABILITIES = {"supports_explicit_close": True, "supports_step_idempotency": True}
_REQUEST_KEY = "_ng_step_request_id"


class HindsightServerConfig(BaseResourcesServerConfig):  # type: ignore[misc]
    """The stage, the split of rows that name none, the time limit of a turn, and how long an env waits for a step.

    Times are seconds. A session that asked for nothing in ``idle_s`` is forgotten at the next reset of any session:
    an agent that was killed closes none. Choose more than the slowest reply of the model takes.
    """

    stage: dict[str, Any] = Field(default_factory=dict)
    split: str = "train"
    timeout_s: float | None = None
    idle_s: float = Field(default=3600.0, gt=0)


@dataclass
class _Rollout:
    """The env of a session, and the last step: NeMo Gym sends a step again if the connection was lost."""

    session: Session
    request: str = ""
    answer: asyncio.Task[Answer] | None = None
    last_used: float = field(default_factory=lambda: monotonic())

    @property
    def busy(self) -> bool:
        """Whether a step is being done."""
        return self.answer is not None and not self.answer.done()


class HindsightServer(GymnasiumServer):  # type: ignore[misc]
    """Each session of NeMo Gym has an env of its own, closed at the end of its rollout."""

    ray_enabled: ClassVar[bool] = False
    config: HindsightServerConfig
    _finders: dict[str, TaskFinder] = PrivateAttr(default_factory=dict)

    def setup_webserver(self) -> Any:
        """The routes of the base class, and ``/close``."""
        app = super().setup_webserver()
        app.post("/close")(self._close_endpoint)
        return app

    async def reset(self, metadata: Mapping[str, Any], session_id: str | None = None) -> tuple[str, dict[str, Any]]:
        """Start the task of the row."""
        await self._forget(session_id)
        await self._forget_idle()
        stage = Stage(**self.config.stage)
        split = str(metadata.get("split") or self.config.split)
        task: Any = metadata.get("task_id")
        if task is None and metadata.get("index") is not None:
            finder = self._finders.setdefault(split, TaskFinder(stage, split))
            task = await asyncio.to_thread(finder.task, split, int(metadata["index"]))
        session = Session(stage, split, timeout_s=self.config.timeout_s)
        try:
            turn = await session.reset(task, policy="nemo-gym")
        except BaseException:
            await session.close()
            raise
        self.session_state[session_id] = _Rollout(session)
        return self._text(turn), dict(_ABILITIES)

    async def step(self, action: Any, metadata: Mapping[str, Any], session_id: str | None = None) -> Answer:
        """Do the text of the model's response as one reply. A step that is sent again is not done again."""
        rollout = self.session_state.get(session_id)
        if rollout is None:
            raise UsageError(
                "Expected a session that was reset, got an unknown one, or one that was idle for longer than idle_s = "
                f"{self.config.idle_s:g} s; try /reset first, or a longer idle_s."
            )
        rollout.last_used = monotonic()
        request = str(metadata.get(_REQUEST_KEY) or "")
        if rollout.answer is None or not request or request != rollout.request:
            rollout.request = request
            rollout.answer = asyncio.ensure_future(self._play(rollout.session, extract_text(action)))
        # NeMo Gym cancels a handler whose client has gone; the env must not stop in the middle of a step.
        answer: Answer = await asyncio.shield(rollout.answer)
        rollout.last_used = monotonic()
        return answer

    async def close_session(self, session_id: str | None) -> None:
        """Close the env of a session. Its last answer is kept for a step that is sent again, until ``/close``."""
        rollout = self.session_state.get(session_id)
        if rollout is not None:
            await rollout.session.close()
            if not rollout.request:
                self.session_state.pop(session_id, None)

    async def _close_endpoint(self, request: Request) -> dict[str, bool]:
        await self._forget(request.session.get(SESSION_ID_KEY))
        return {"closed": True}

    async def _forget(self, session_id: str | None) -> None:
        rollout = self.session_state.pop(session_id, None)
        if rollout is not None:
            await rollout.session.close()

    async def _forget_idle(self) -> None:
        since = monotonic() - self.config.idle_s
        idle = [key for key, rollout in self.session_state.items() if rollout.last_used < since and not rollout.busy]
        for key in idle:
            await self._forget(key)

    async def _play(self, session: Session, text: str) -> Answer:
        # A rollout that broke in its start is over already.
        turn = Turn("", over=True) if session.over else await session.step(text)
        if not turn.over:
            return self._text(turn), turn.reward, False, False, {}
        rollout = session.trajectory
        info = {"won": rollout.won, "score": rollout.score, "broken": rollout.broken, "trajectory": exact_text(rollout)}
        return self._text(turn), turn.reward, not rollout.truncated, rollout.truncated, visible(info)

    @staticmethod
    def _text(turn: Turn) -> str:
        return break_control_text(visible(turn.text))


def run() -> None:
    """Start the server, as NeMo Gym's ``app.py`` of a resources server does."""
    HindsightServer.run_webserver()
