"""An environment for SkyRL's generator. For skyrl-gym>=0.4,<0.5 (run with 0.4.0).

    register_skyrl("alfworld", Stage("alfworld", {"data": "embedded"}, protocol="plain"))

and rows with ``env_class: alfworld`` and ``task_id`` (or ``split`` and ``index``) as a column.

SkyRL drops the metadata of each turn. The trajectory comes out through ``get_metrics``, as JSON under ``trajectory``,
which :func:`~agentgym_hindsight.exports.exact.from_exact_text` reads; aggregates leave texts out. A broken rollout ends
with the reward 0 and the metric ``broken`` 1: SkyRL has no rollout without a reward.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.exports.clients import missing_client
from agentgym_hindsight.exports.exact import exact_text, visible
from agentgym_hindsight.exports.session import Episodes, Turn
from agentgym_hindsight.hindsight.control_text import break_control_text
from agentgym_hindsight.stage import Stage

try:
    from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput
    from skyrl_gym.envs.registration import register
except ImportError as error:
    raise missing_client("skyrl-gym", "skyrl-gym>=0.4,<0.5", error) from error

__all__ = ["SkyRLEnvironment", "register_skyrl"]

_STAGES: dict[str, tuple[Stage, str, int]] = {}


class SkyRLEnvironment(BaseTextEnv):  # type: ignore[misc]
    """One rollout. :func:`register_skyrl` names its stage."""

    name: ClassVar[str] = ""

    def __init__(self, env_config: Any = None, extras: Mapping[str, Any] | None = None, *, stage_name: str) -> None:
        super().__init__()
        row = dict(extras or {})
        stage, split, seed = _STAGES[stage_name]
        self._row, self._split = row, str(row.get("split") or split)
        self._episodes = Episodes(stage, self._split, seed=int(row.get("seed") or seed))
        self.max_turns = int(row.get("max_turns") or 0)
        self._turn: Turn | None = None

    def init(self, prompt: Any) -> tuple[list[dict[str, str]], dict[str, Any]]:
        """Start the task of the row. The first message of the world replaces the last message of the row's prompt."""
        task: Any = self._row.get("task_id")
        if task is None and self._row.get("index") is not None:
            task = self._episodes.stage.panel(self._split)[int(self._row["index"])]
        self._turn = self._episodes.reset(task)
        earlier = [dict(message) for message in prompt or () if message.get("role") == "system"]
        return [*earlier, *self._messages(self._turn)], {}

    def step(self, action: str) -> BaseTextEnvStepOutput:
        """Do one reply of the model."""
        if self._turn is None:
            raise UsageError("Expected init() first, got step() before it; try env.init(prompt).")
        self.turns += 1
        if self._turn.over:  # it broke in its start
            return self._output(self._turn)
        self._turn = turn = self._episodes.step(action)
        if not turn.over and 0 < self.max_turns <= self.turns:
            self._turn = self._episodes.cut()  # the generator stops here, so hindsight must be complete now
            return self._output(Turn("", turn.reward, over=True))
        return self._output(turn)

    def get_metrics(self) -> dict[str, Any]:
        """The result, and the whole rollout as JSON."""
        if self._turn is None:
            return {}
        rollout = self._episodes.trajectory
        return {
            "won": float(rollout.won),
            "score": rollout.score,
            "broken": float(bool(rollout.broken)),
            "turns": len(rollout),
            "trajectory": exact_text(rollout),
        }

    def close(self) -> None:
        self._episodes.close()

    def _output(self, turn: Turn) -> BaseTextEnvStepOutput:
        return BaseTextEnvStepOutput(
            observations=[] if turn.over else self._messages(turn), reward=turn.reward, done=turn.over, metadata={}
        )

    @staticmethod
    def _messages(turn: Turn) -> list[dict[str, str]]:
        return [{"role": "user", "content": break_control_text(visible(turn.text))}]


def register_skyrl(name: str, stage: Stage, split: str = "train", *, seed: int = 0) -> None:
    """Register a stage under a name, for the column ``env_class``. Call it in every process that makes environments."""
    _STAGES[name] = (stage, split, seed)
    register(id=name, entry_point=f"{__name__}:SkyRLEnvironment", kwargs={"stage_name": name})
