"""A taskset and an environment for verifiers' v1 stack. For verifiers>=0.4,<0.5 (run with 0.4.0).

verifiers imports plugins by the name of a top-level module: write one that imports :class:`HindsightTaskset` and
:class:`HindsightEnv` from here and names both in ``__all__``. Its name is the id of the taskset, and
``--env.taskset.environment`` names the environment of this library. Tasks are grouped by their content id. The trace
has the result as rewards and metrics, and under ``info["agentgym_hindsight"]`` the whole rollout, which
:func:`~agentgym_hindsight.exports.exact.from_document` reads. Hindsight is never part of a prompt.

The defaults are those of a local run: the harness ``null``, which only talks, in a subprocess; it needs ``uv``. A
broken rollout stops its trace with ``environment_broken`` and has no reward.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentgym_hindsight.exports.clients import missing_client
from agentgym_hindsight.exports.exact import OURS, to_document, visible
from agentgym_hindsight.exports.session import Session, Turn
from agentgym_hindsight.hindsight.control_text import break_control_text
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import Task as OwnTask

try:
    import verifiers.v1 as vf
    from pydantic import Field
except ImportError as error:
    raise missing_client("verifiers", "verifiers>=0.4,<0.5", error) from error

__all__ = ["HindsightEnv", "HindsightTaskset"]


class HindsightData(vf.TaskData):  # type: ignore[misc]
    """A task of this library, and the stage on which it is played."""

    own_task: dict[str, str]
    stage: dict[str, Any]


class HindsightTask(vf.Task[HindsightData]):  # type: ignore[misc]
    """A task whose key is its content id: rollouts of equal keys are siblings."""

    @property
    def key(self) -> str:
        return str(self.data.own_task["id"])


class HindsightTasksetConfig(vf.TasksetConfig):  # type: ignore[misc]
    """Which tasks are loaded: the arguments of :class:`~agentgym_hindsight.stage.Stage`, and a panel."""

    environment: str = "ALFWorld-Hindsight-v0"
    settings: dict[str, Any] = Field(default_factory=dict)
    protocol: str = "plain"
    reward: str = "10-won"
    split: str = "train"
    tasks: int = 0
    """The number of tasks in the order of the seed; 0: all of the split."""
    seed: int = 0


class HindsightEnvConfig(vf.EnvConfig):  # type: ignore[misc]
    """One agent, the player, on this machine."""

    player: vf.AgentConfig = vf.AgentConfig.model_validate(
        {"harness": {"id": "null"}, "runtime": {"type": "subprocess"}}
    )


class HindsightTaskset(vf.Taskset[HindsightTask, HindsightTasksetConfig]):  # type: ignore[misc]
    """The tasks of a split."""

    def load(self) -> Iterator[HindsightTask]:
        config = self.config
        stage = Stage(config.environment, config.settings, protocol=config.protocol, reward=config.reward)
        for task in stage.panel(config.split, config.tasks, config.seed):
            data = visible({"own_task": task.to_dict(), "stage": stage.as_dict()})
            yield HindsightTask(
                HindsightData(id=task.id, name=f"{config.environment}#{task.id}", prompt=None, **data), config.task
            )


class HindsightEnv(vf.Env[HindsightEnvConfig]):  # type: ignore[misc]
    """The environment speaks first; each reply of the player is its action."""

    async def run(self, task: Any, agents: Any) -> None:
        """Play one rollout."""
        own = OwnTask.from_dict(task.data.own_task)
        async with Session(Stage(**task.data.stage), own.split) as session:
            turn = await session.reset(own, policy="verifiers")
            async with agents.player.interaction(task) as chat:
                while not turn.over:
                    segment = await chat.turn(break_control_text(visible(turn.text)))
                    if segment.terminated:
                        break
                    turn = await session.step(segment.last_reply)
                if not turn.over:  # a limit of verifiers: hindsight must be complete
                    turn = await session.cut()
                self._record(chat.trace, session, turn)

    @staticmethod
    def _record(trace: Any, session: Session, turn: Turn) -> None:
        rollout = session.trajectory
        trace.info[OURS] = visible(to_document(rollout))
        trace.record_metrics(
            {"won": float(rollout.won), "score": rollout.score, "turns": len(rollout), "broken": bool(turn.broken)}
        )
        if turn.broken:
            trace.stop("environment_broken")
        else:
            trace.record_reward("return", rollout.total_reward)
