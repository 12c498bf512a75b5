"""An OpenEnv server over any environment of this library. For openenv>=0.10,<0.11 (run with 0.10.0).

* A session is a WebSocket; each has an env of its own. ``reset`` takes ``task_id``, or ``split`` and ``index``; without
  them, the next task of the seeded order. The routes of tasks list splits and tasks.
* The observation is the text that an agent reads. Clients such as verifiers put the whole observation into the prompt,
  so hindsight, the anchor, the expert's action and the trajectory stand in the **state** (``client.state()``).
* A broken rollout ends with ``done``; the state has the reason.
* An action is text. Control tokens in observations are broken by a space, because clients tokenize them in a chat.

``agh serve --openenv ENV`` starts it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from inspect import signature
from socket import socket
from typing import Any, ClassVar

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.exports.clients import missing_client
from agentgym_hindsight.exports.exact import to_document, visible
from agentgym_hindsight.exports.session import Episodes, Turn
from agentgym_hindsight.exports.task_finder import TaskFinder
from agentgym_hindsight.exports.web_guard import WebGuard
from agentgym_hindsight.hindsight.control_text import break_control_text
from agentgym_hindsight.hindsight.info import plain_info
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import Task

try:
    from openenv.core.env_server import Action, Environment, Observation, State, create_fastapi_app

    if "state_cls" not in signature(create_fastapi_app).parameters:  # so is 0.4, which verifiers[openenv] brings
        raise ImportError("its servers have no state of a class")
except ImportError as error:
    raise missing_client("openenv", "openenv>=0.10,<0.11", error) from error

__all__ = [
    "HindsightAction",
    "HindsightEnvironment",
    "HindsightObservation",
    "HindsightState",
    "create_openenv_app",
    "run_server",
]

#: Keys of ``info`` that the state has, besides the hindsight.
_STATE_KEYS = ("goal", "admissible_actions", "action_valid", "won", "score", "anchor", "expert_action", "task_id")
_MOST_LISTED = 1000  # tasks of a split in one answer


class HindsightAction(Action):  # type: ignore[misc]
    """One reply of the agent. With exactly one required field, clients pass a model's reply as it is."""

    action: str


class HindsightObservation(Observation):  # type: ignore[misc]
    """What an agent may read: the text of the turn. Nothing else is added."""

    text: str


class HindsightState(State):  # type: ignore[misc]
    """What a trainer reads: never part of a prompt.

    ``hindsight`` has the five sources of the last action. ``trajectory`` is the rollout so far, as
    :func:`~agentgym_hindsight.exports.exact.from_document` reads it. ``broken`` is "" or why the env failed.
    """

    task_id: str = ""
    goal: str = ""
    admissible_actions: tuple[str, ...] = ()
    action_valid: bool = True
    won: bool = False
    score: float = 0.0
    anchor: str = ""
    expert_action: str = ""
    over: bool = False
    broken: str = ""
    hindsight: dict[str, Any] | None = None
    trajectory: dict[str, Any] | None = None


class HindsightEnvironment(Environment[HindsightAction, HindsightObservation, HindsightState]):  # type: ignore[misc]
    """One session. :func:`create_openenv_app` makes the subclass for a stage."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    # Shared by all sessions of one app.
    _stage: ClassVar[Stage]
    _split: ClassVar[str]
    _seed: ClassVar[int]
    _tasks: ClassVar[TaskFinder]

    def __init__(self) -> None:
        super().__init__()
        self._episodes = Episodes(self._stage, self._split, seed=self._seed)
        self._turn: Turn | None = None
        self._episode_id: str | None = None

    def reset(
        self,
        seed: int | None = None,
        episode_id: str | None = None,
        task_id: str | None = None,
        split: str | None = None,
        index: int | None = None,
    ) -> HindsightObservation:
        """Start a rollout of the task with this id, or of the task of a split at an index."""
        self._turn = None
        if task_id is not None and (split is not None or index is not None):
            raise UsageError("Expected either task_id, or split and index, got both; try task_id alone.")
        task: Task | str | None = task_id
        if split is not None or index is not None:
            task = self._tasks.task(self._split if split is None else split, 0 if index is None else index)
        if seed is not None:
            self._episodes.seed = seed
        self._episode_id = episode_id
        self._turn = self._episodes.reset(task)
        return self._observation(self._turn)

    def step(self, action: HindsightAction, timeout_s: float | None = None) -> HindsightObservation:
        """Do one action. ``timeout_s`` is the client's affair: an env in this process cannot be interrupted."""
        self._turn = self._episodes.step(action.action)
        return self._observation(self._turn)

    @property
    def state(self) -> HindsightState:
        """The state of the rollout; empty before the first reset."""
        turn = self._turn
        if turn is None:
            return HindsightState()
        info: Mapping[str, Any] = turn.info
        plain = plain_info({key: info[key] for key in (*_STATE_KEYS, "hindsight") if key in info})
        rollout = self._episodes.trajectory
        return HindsightState(
            episode_id=self._episode_id,
            step_count=len(rollout),
            over=turn.over,
            broken=visible(turn.broken),
            trajectory=visible(to_document(rollout)),
            **visible({"task_id": rollout.task_id, **plain}),
        )

    def close(self) -> None:
        self._episodes.close()

    # -- the tasks ----------------------------------------------------------------------------------------------------

    def list_splits(self) -> list[str]:
        """The splits of the env."""
        return list(self._tasks.splits)

    def num_tasks(self, split: str) -> int:
        """The number of tasks of a split."""
        return self._tasks.count(split)

    def get_task(self, split: str, index: int) -> dict[str, str]:
        """A task of a split. Its ``id`` is the ``task_id`` of ``reset``."""
        task: dict[str, str] = visible(self._tasks.task(split, index).to_dict())
        return task

    def get_task_range(self, split: str, start: int | None = None, stop: int | None = None) -> list[dict[str, str]]:
        """The tasks of a split from ``start`` to before ``stop``, at most a thousand."""
        indices = range(*slice(start, stop).indices(self.num_tasks(split)))
        return [self.get_task(split, index) for index in indices[:_MOST_LISTED]]

    def list_tasks(self, split: str) -> list[dict[str, str]]:
        """The first thousand tasks of a split."""
        return self.get_task_range(split)

    @staticmethod
    def _observation(turn: Turn) -> HindsightObservation:
        text = turn.text if not turn.broken else "The episode is over: the environment broke down."
        return HindsightObservation(
            text=break_control_text(visible(text)), done=turn.over, reward=None if turn.broken else turn.reward
        )


def create_openenv_app(
    stage: Stage,
    split: str = "train",
    *,
    seed: int = 0,
    sessions: int = 64,
    hosts: Collection[str] | None = ("localhost", "127.0.0.1", "[::1]"),
) -> Any:
    """The ASGI app of a server, for uvicorn. ``sessions`` is the largest number at a time.

    ``hosts`` are the names that requests may use for the server; ``None``: any. A request that a page of another site
    makes in a browser is refused.
    """
    if sessions < 1:
        raise UsageError(f"Expected at least one session, got {sessions}; try 64.")
    kind = type(
        "HindsightEnvironment",
        (HindsightEnvironment,),
        {"_stage": stage, "_split": split, "_seed": seed, "_tasks": TaskFinder(stage, split), "__module__": __name__},
    )
    name = stage.env.rpartition(":")[2]
    app = create_fastapi_app(
        kind,
        HindsightAction,
        HindsightObservation,
        env_name=name,
        max_concurrent_envs=sessions,
        state_cls=HindsightState,
    )
    app.title = f"{name} (agentgym_hindsight)"
    app.add_middleware(WebGuard, hosts=None if hosts is None else frozenset(hosts))
    return app


def run_server(app: Any, listener: socket, *, log: bool = False) -> None:
    """Serve the app on a socket that listens, until Ctrl-C. ``log`` prints a line for each request."""
    import uvicorn  # a dependency of openenv

    level = "info" if log else "error"
    uvicorn.Server(uvicorn.Config(app, log_level=level, access_log=log)).run(sockets=[listener])
