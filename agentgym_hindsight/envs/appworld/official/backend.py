"""The genuine benchmark behind the standard face."""

from __future__ import annotations

import ast
import os
from collections.abc import Sequence

from agentgym_hindsight.envs.appworld.official.changes import Changes
from agentgym_hindsight.envs.appworld.official.ground_truth import is_open, reference_program
from agentgym_hindsight.envs.appworld.official.world_source import WorldSource, shared_source
from agentgym_hindsight.envs.appworld.official.world_pool import Lease
from agentgym_hindsight.envs.appworld.official.replies import Verdict, cause_of, failed
from agentgym_hindsight.envs.appworld.official.task_files import OfficialTasks, task_name
from agentgym_hindsight.envs.appworld.official.world_interface import OfficialWorld
from agentgym_hindsight.envs.base import Extra, Turn
from agentgym_hindsight.envs.libraries import LibraryBackend
from agentgym_hindsight.errors import BackendError, ResetNeededError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.tasks import Task, content_hash

__all__ = ["OfficialBackend"]


class OfficialBackend(LibraryBackend):
    """Plays AppWorld's own tasks in AppWorld's own environment.

    * ``root``: the folder whose ``data`` holds the tasks (default: ``$APPWORLD_ROOT``, the installed one, or here).
    * ``urls``: servers that run already (default: ``$APPWORLD_SERVERS``); else servers of our own are started.
    * ``servers``: how many of our own at most; each takes 0.6 to 0.7 GB. Backends with equal settings share them.
    * ``in_process``: no server, one world in this process, whose clock then stands still.
    * ``seconds``: how long one program may run. ``starting``: how long a server may take to answer at all.

    A server that dies or hangs in mid-episode ends that episode with a :class:`WorkerError`; the next one has a fresh
    server.
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
        detail = _told(output, valid, before, self._seen)
        if not completed:
            return Turn(output, valid=valid, state=state, detail=detail, extra=self._extra())
        verdict = self.finish()
        shown = "\n".join(part for part in (detail, verdict.describe()) if part) if self._may_tell else detail
        assert task is not None  # there is a world, so there was a start
        return Turn(
            output, (), valid, verdict.won, verdict.score, verdict.reward, True, state, shown, self._extra(verdict)
        )

    def finish(self) -> Verdict:
        """End the episode as it stands: evaluate once, give the world back. An env that truncates may call this."""
        if self._verdict is None:
            world = self._world
            try:
                verdict = world.evaluate()
            except BackendError:
                self._release(broken=True)
                raise
            self._verdict = verdict if self._may_tell else verdict.closed()
            self._release()
        return self._verdict

    def conclude(self) -> str:
        """The evaluation in words, once the episode is over; "" on test splits, of which nothing may be told."""
        if self._verdict is None and self._lease is None:
            return ""  # it broke: there is nothing left to evaluate
        verdict = self.finish()
        return verdict.describe() if self._may_tell else ""

    def expert_action(self) -> str:
        """The reference solution before the first action of a train or dev task, else nothing."""
        task = self._task
        if task is None or self._outputs or not is_open(task.split):
            return ""
        return reference_program(self._source.root, task.split, task_name(task))

    def demonstration(self, task: Task) -> Trajectory | None:
        """The reference solution played in a world of its own; None on test splits, or where it does not win."""
        if not is_open(task.split):
            return None
        if task.id not in self._demonstrations:
            self._demonstrations[task.id] = self._demonstrate(task)
        return self._demonstrations[task.id]

    def close(self) -> None:
        self._release()
        self._source.leave(self)

    # -- inside -------------------------------------------------------------------------------------------------

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
    def _may_tell(self) -> bool:
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
            verdict=verdict if self._may_tell else None,
        )


def _state_key(changes: Changes | None, outputs: str, bound: frozenset[str]) -> str:
    """What was written and which names are bound; over a network, where the first is hidden, what was answered."""
    return content_hash(outputs if changes is None else changes.key, *sorted(bound))


def _told(output: str, valid: bool, before: Changes | None, after: Changes | None) -> str:
    changed = after.since(before).describe() if before is not None and after is not None else ""
    if not valid:
        return f"{cause_of(output)} Before that: {changed}" if changed else cause_of(output)
    return changed


def _names_bound(code: str) -> frozenset[str]:
    """Names a program binds: what can be told from outside of the variables that live on."""
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
            continue  # what is bound inside stays inside
        if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found.update((name.asname or name.name.partition(".")[0]) for name in node.names)
        waiting.extend(ast.iter_child_nodes(node))
    return frozenset(found)
