"""The backend that plays the original AppWorld benchmark."""

from __future__ import annotations

import ast
import os
from collections.abc import Sequence

from agentgym_hindsight.envs.appworld.example_actions import EXAMPLE_ACTIONS
from agentgym_hindsight.envs.appworld.official.changes import Changes
from agentgym_hindsight.envs.appworld.official.ground_truth import is_open, reference_program
from agentgym_hindsight.envs.appworld.official.replies import Verdict, cause_of, failed
from agentgym_hindsight.envs.appworld.official.task_files import OfficialTasks, task_name
from agentgym_hindsight.envs.appworld.official.world_interface import OfficialWorld
from agentgym_hindsight.envs.appworld.official.world_pool import Lease
from agentgym_hindsight.envs.appworld.official.world_source import WorldSource, shared_source
from agentgym_hindsight.envs.base import Extra, Turn
from agentgym_hindsight.envs.libraries import LibraryBackend
from agentgym_hindsight.errors import BackendError, ResetNeededError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.tasks import Task, content_hash

__all__ = ["OfficialBackend"]


class OfficialBackend(LibraryBackend):
    """Plays AppWorld's tasks in AppWorld's environment.

    * ``root``: the folder whose ``data`` holds the tasks (default: ``$APPWORLD_ROOT``, the installed one, or the
      working folder).
    * ``urls``: servers that run already (default: ``$APPWORLD_SERVERS``). Without them, servers are started.
    * ``servers``: the largest number of started servers; each takes 0.6 to 0.7 GB. Backends with equal settings share
      them.
    * ``in_process``: use no server, but one world in this process, whose clock then stands still.
    * ``seconds``: the time limit of one program. ``starting``: the time limit until a server responds at all.
    * ``wait``: the time limit until a world is free.
    * ``source``: a source of worlds to use instead of these settings.

    A server that dies or hangs during an episode ends that episode with a :class:`WorkerError`. The next episode has a
    new server.
    """

    library: OfficialTasks

    def __init__(
        self,
        *,
        root: str | os.PathLike[str] | None = None,
        urls: Sequence[str] | None = None,
        servers: int | None = None,
        in_process: bool = False,
        seconds: int = 100,
        starting: float = 300.0,
        wait: float = 300.0,
        source: WorldSource | None = None,
    ) -> None:
        self._source = source or shared_source(
            root, urls, servers, in_process=in_process, seconds=seconds, starting=starting, wait=wait
        )
        self._source.join(self)
        self.library = OfficialTasks(self._source.root, self.name)
        self._demonstrations: dict[str, Trajectory | None] = {}
        self._task: Task | None = None
        self._lease: Lease | None = None
        self._verdict: Verdict | None = None
        self._bound: frozenset[str] = frozenset()
        self._outputs = ""
        self._seen: Changes | None = None

    @property
    def name(self) -> str:
        """``official/<version of the package>``."""
        return f"official/{self._source.version}"

    def start(self, task: Task) -> Turn:
        self._release()
        self._task, self._verdict = task, None
        self._bound, self._outputs = frozenset(), ""
        self._lease, opening = self._source.pool.opened(task_name(task))
        self._seen = self._changes()
        return Turn(opening.observation, state=self._state(), extra=self._extra())

    def act(self, action: str) -> Turn:
        world, task = self._world, self._task
        try:
            output = world.execute(action)
            completed = world.task_completed()
        except BackendError:
            self._release(broken=True)
            raise
        valid = not failed(output)
        self._bound |= _names_bound(action)
        self._outputs = content_hash(self._outputs, output)
        before, self._seen = self._seen, self._changes()
        state = self._state()
        detail = _describe(output, valid, before, self._seen)
        if not completed:
            return Turn(output, valid=valid, state=state, detail=detail, extra=self._extra())
        verdict = self.finish()
        if self._is_open:
            detail = "\n".join(part for part in (detail, verdict.describe()) if part)
        assert task is not None  # start() was called, because there is a world
        return Turn(
            output, (), valid, verdict.won, verdict.score, verdict.reward, True, state, detail, self._extra(verdict)
        )

    def finish(self) -> Verdict:
        """End the episode in its present state: evaluate once and give the world back. Also for truncated episodes."""
        if self._verdict is None:
            world = self._world
            try:
                verdict = world.evaluate()
            except BackendError:
                self._release(broken=True)
                raise
            self._verdict = verdict if self._is_open else verdict.closed()
            self._release()
        return self._verdict

    def conclude(self) -> str:
        """The evaluation as text, after the end of the episode; "" on test splits, whose requirements are hidden."""
        if self._verdict is None and self._lease is None:
            return ""  # the server failed: there is no world to evaluate
        verdict = self.finish()
        return verdict.describe() if self._is_open else ""

    def expert_action(self) -> str:
        """The reference solution before the first action of a train or dev task; otherwise ""."""
        task = self._task
        if task is None or self._outputs or not is_open(task.split):
            return ""
        return reference_program(self._source.root, task.split, task_name(task))

    def demonstration(self, task: Task) -> Trajectory | None:
        """The reference solution, played in a separate world; None on test splits or if it does not win."""
        if not is_open(task.split):
            return None
        if task.id not in self._demonstrations:
            self._demonstrations[task.id] = self._demonstrate(task)
        return self._demonstrations[task.id]

    def close(self) -> None:
        self._release()
        self._source.leave(self)

    def _demonstrate(self, task: Task) -> Trajectory | None:
        program = reference_program(self._source.root, task.split, task_name(task))
        lease, opening = self._source.pool.opened(task_name(task))
        with lease:
            before = _state_key(lease.world.changes(), "", frozenset())
            output = lease.world.execute(program)
            completed = lease.world.task_completed()
            after = _state_key(lease.world.changes(), content_hash("", output), _names_bound(program))
            if failed(output) or not completed or not lease.world.evaluate().won:
                return None
        step = Step(0, opening.observation, program, output, output, (), f"s:{before}", f"s:{after}", 1.0, 1.0, True)
        return self.solved(task, [step], output)

    def _release(self, *, broken: bool = False) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.give_back(broken=broken)

    @property
    def _world(self) -> OfficialWorld:
        if self._lease is None:
            raise ResetNeededError("Expected an episode in AppWorld, got none; try start(task) first.")
        return self._lease.world

    @property
    def _is_open(self) -> bool:
        """Whether the split's ground truth may be shown."""
        return self._task is not None and is_open(self._task.split)

    def _changes(self) -> Changes | None:
        return None if self._lease is None else self._lease.world.changes()

    def _state(self) -> str:
        return _state_key(self._seen, self._outputs, self._bound)

    def _extra(self, verdict: Verdict | None = None) -> Extra:
        task = self._task
        assert task is not None
        return Extra(
            backend=self.name,
            world=self._source.kind,
            appworld_task=task_name(task),
            difficulty=task.category,
            example_actions=EXAMPLE_ACTIONS,
            verdict=verdict if self._is_open else None,
        )


def _state_key(changes: Changes | None, outputs: str, bound: frozenset[str]) -> str:
    """A hash of the change logs and the bound names.

    At URLs, where the logs cannot be read, the outputs replace them.
    """
    return content_hash(outputs if changes is None else changes.key, *sorted(bound))


def _describe(output: str, valid: bool, before: Changes | None, after: Changes | None) -> str:
    changed = after.since(before).describe() if before is not None and after is not None else ""
    if not valid:
        return f"{cause_of(output)} Before that: {changed}" if changed else cause_of(output)
    return changed


def _names_bound(code: str) -> frozenset[str]:
    """The global names that a program binds: the part of its variables that is visible from outside."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    found: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
            continue  # names bound in its body are local
        if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found.update((name.asname or name.name.partition(".")[0]) for name in node.names)
        waiting.extend(ast.iter_child_nodes(node))
    return frozenset(found)
