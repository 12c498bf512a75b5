"""A resources server for NeMo Gym's ``gymnasium_agent``. For nemo-gym>=0.7,<0.8 (written against 0.7.0).

NeMo Gym needs Python 3.13.14 or newer. Rows carry ``task_id`` (or ``split`` and ``index``) as columns. A server
configuration names the stage:

    entrypoint: app.py    # from agentgym_hindsight.exports.nemo_server import run; run()
    stage: {env: ALFWorld-Hindsight-v0, settings: {data: embedded}, protocol: plain}

Only the ``info`` of the last turn reaches the result of a rollout: it has the trajectory, as JSON that
:func:`~agentgym_hindsight.exports.exact.from_exact_text` reads. Infos of earlier turns are empty, because hindsight
must not reach the model. Set the agent's ``max_steps``, 10 by default, to at least the env's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.exports.clients import missing_client
from agentgym_hindsight.exports.exact import exact_text, visible
from agentgym_hindsight.exports.session import Session, Turn
from agentgym_hindsight.hindsight.control_text import break_control_text
from agentgym_hindsight.stage import Stage

try:
    from nemo_gym.base_resources_server import BaseResourcesServerConfig
    from pydantic import Field
    from resources_servers.gymnasium import GymnasiumServer, extract_text
except ImportError as error:
    raise missing_client("nemo-gym", "nemo-gym>=0.7,<0.8", error) from error

__all__ = ["HindsightServer", "HindsightServerConfig", "run"]


class HindsightServerConfig(BaseResourcesServerConfig):  # type: ignore[misc]
    """The stage, the split of rows that name none, and the time limit of a turn in seconds."""

    stage: dict[str, Any] = Field(default_factory=dict)
    split: str = "train"
    timeout_s: float | None = None


class HindsightServer(GymnasiumServer):  # type: ignore[misc]
    """Each session of NeMo Gym has an env of its own, closed at the end of its rollout."""

    config: HindsightServerConfig

    async def reset(self, metadata: Mapping[str, Any], session_id: str | None = None) -> tuple[str, dict[str, Any]]:
        """Start the task of the row."""
        await self.close_session(session_id)
        stage = Stage(**self.config.stage)
        split = str(metadata.get("split") or self.config.split)
        task: Any = metadata.get("task_id")
        if task is None and metadata.get("index") is not None:
            task = stage.panel(split)[int(metadata["index"])]
        session = Session(stage, split, timeout_s=self.config.timeout_s)
        turn = await session.reset(task, policy="nemo-gym")
        self.session_state[session_id] = session
        return self._text(turn), {}

    async def step(
        self, action: Any, metadata: Mapping[str, Any], session_id: str | None = None
    ) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Do the text of the model's response as one reply."""
        session = self.session_state.get(session_id)
        if session is None:
            raise UsageError("Expected a session that was reset, got an unknown one; try /reset first.")
        # A rollout that broke in its start is over already.
        turn = Turn("", over=True) if session.over else await session.step(extract_text(action))
        if not turn.over:
            return self._text(turn), turn.reward, False, False, {}
        rollout = session.trajectory
        info = {"won": rollout.won, "score": rollout.score, "broken": rollout.broken, "trajectory": exact_text(rollout)}
        return self._text(turn), turn.reward, not rollout.truncated, rollout.truncated, visible(info)

    async def close_session(self, session_id: str | None) -> None:
        """Close the env of a session."""
        session = self.session_state.pop(session_id, None)
        if session is not None:
            await session.close()

    @staticmethod
    def _text(turn: Turn) -> str:
        return break_control_text(visible(turn.text))


def run() -> None:
    """Start the server, as NeMo Gym's ``app.py`` of a resources server does."""
    HindsightServer.run_webserver()
