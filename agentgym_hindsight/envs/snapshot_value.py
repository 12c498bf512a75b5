"""A moment of an episode as a value: :class:`Snapshot`, and its forms as JSON and as bytes."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from agentgym_hindsight.envs.plain_values import flag, mapping, number, reject, row, text, texts, whole
from agentgym_hindsight.errors import SchemaError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.short_repr import short_repr
from agentgym_hindsight.tasks import Task

__all__ = ["SNAPSHOT_SCHEMA", "SNAPSHOT_VERSION", "Snapshot"]

SNAPSHOT_SCHEMA = "agentgym-hindsight/snapshot"
SNAPSHOT_VERSION = 1
_MAGIC = b"agentgym-hindsight/snapshot\n"
_LARGEST = 256 << 20  # bytes of JSON: far more than a snapshot has, and bounded for a file that was made to expand
_WORD = 2**128  # above every seed

#: Observation, admissible actions, valid, won, score, reward, terminated, state: a turn without its lazy parts.
TurnValues = tuple[str, tuple[str, ...], bool, bool, float, float, bool, str]
#: The caller's seed, the seed of the task order, the position in it, whether the order has begun.
Draws = tuple["int | None", int, int, bool]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Snapshot:
    """A moment of an episode: everything that later observations, rewards and infos depend on.

    It is made by ``env.unwrapped.snapshot()`` or :func:`~agentgym_hindsight.wrappers.snapshot_of` and never changes, so
    any number of envs can continue from it. ``task`` and ``steps`` are the task and the turns so far; ``settings`` are
    the arguments of the env, which an env that restores it must share. ``lost`` names what could not be carried over,
    such as variables of an interpreter; in most worlds it is empty.

    :meth:`to_bytes` and :meth:`to_json` are for files and other machines. Both are plain data, which :meth:`from_bytes`
    and :meth:`from_json` check. A snapshot can be pickled too, for processes of your own. As with every pickle, never
    unpickle one that comes from elsewhere.

    >>> import gymnasium as gym, agentgym_hindsight
    >>> env = gym.make("ALFWorld-Hindsight-v0", data="embedded")
    >>> _ = env.reset(seed=0)
    >>> snapshot = env.unwrapped.snapshot()
    >>> Snapshot.from_bytes(snapshot.to_bytes()).task == snapshot.task
    True
    """

    settings: Mapping[str, Any]
    task: Task
    steps: tuple[Step, ...]
    turn: TurnValues
    anchor: str
    over: bool
    draws: Draws
    random: tuple[int | None, Mapping[str, Any]] | None  # of Gymnasium's generator: the seed and the state
    world: Any  # of the backend: tuples, texts and numbers
    situation: Any = None  # a copy of the env's; None: it follows from the steps
    wrappers: tuple[tuple[str, Any], ...] = ()  # class and state of each wrapper that has one, innermost first
    lost: tuple[str, ...] = ()
    loaded: bool = False  # ``world`` and ``wrappers`` come from JSON and are not checked yet

    def __repr__(self) -> str:
        lost = f", lost: {short_repr(', '.join(self.lost), 60)}" if self.lost else ""
        over = ", over" if self.over else ""
        return f"Snapshot({short_repr(self.task.id, 40)[1:-1]}, step {len(self.steps)}{over}{lost})"

    @property
    def step(self) -> int:
        """The number of turns taken."""
        return len(self.steps)

    def replace(self, **changes: Any) -> Snapshot:
        """A copy with other values of some fields."""
        return replace(self, **changes)

    def to_json(self) -> str:
        """The snapshot as JSON."""
        from agentgym_hindsight.hindsight.codec import dump_trajectory  # most programs store no snapshot

        document = {
            "schema": SNAPSHOT_SCHEMA,
            "version": SNAPSHOT_VERSION,
            "settings": dict(self.settings),
            "task": self.task.to_dict(),
            "steps": dump_trajectory(Trajectory(self.task.id, steps=self.steps)),
            "turn": self.turn,
            "anchor": self.anchor,
            "over": self.over,
            "draws": self.draws,
            "random": self.random,
            "world": self.world,
            "wrappers": self.wrappers,
            "lost": self.lost,
        }
        return json.dumps(document, allow_nan=False, separators=(",", ":"), default=_plain)

    @classmethod
    def from_json(cls, document: str) -> Snapshot:
        """Read :meth:`to_json`. Raises :class:`~agentgym_hindsight.errors.SchemaError`.

        What only the world can check, such as numbers of things, is checked by ``restore``.
        """
        try:
            value = json.loads(document, parse_constant=_refuse_constant)
        except (ValueError, RecursionError, TypeError) as error:
            raise SchemaError(f"Expected a snapshot as JSON, got {error}; try Snapshot.to_json().") from error
        if not isinstance(value, dict) or value.get("schema") != SNAPSHOT_SCHEMA:
            raise SchemaError(f"Expected schema {SNAPSHOT_SCHEMA!r}, got another document; try Snapshot.to_json().")
        if value.get("version") != SNAPSHOT_VERSION or isinstance(value["version"], bool):
            raise SchemaError(
                f"Expected snapshot version {SNAPSHOT_VERSION}, got {short_repr(value.get('version'), 40)}; "
                "try a matching release."
            )
        return _checked(cls, value)

    def to_bytes(self) -> bytes:
        """The JSON, compressed."""
        return _MAGIC + zlib.compress(self.to_json().encode("ascii"))

    @classmethod
    def from_bytes(cls, data: bytes) -> Snapshot:
        """Read :meth:`to_bytes`. Raises :class:`~agentgym_hindsight.errors.SchemaError`."""
        if not isinstance(data, bytes | bytearray | memoryview) or not bytes(data[: len(_MAGIC)]) == _MAGIC:
            raise SchemaError("Expected the bytes of a snapshot, got others; try Snapshot.to_bytes().")
        reader = zlib.decompressobj()
        try:
            document = reader.decompress(bytes(data[len(_MAGIC) :]), _LARGEST).decode("ascii")
        except (zlib.error, UnicodeDecodeError) as error:
            raise SchemaError(f"Expected the bytes of a snapshot, got damaged ones ({error}).") from error
        if not reader.eof:
            raise SchemaError("Expected the bytes of a whole snapshot, got a part of one or too many.")
        return cls.from_json(document)


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} in a snapshot")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name}, which is not a JSON number")


def _checked(cls: type[Snapshot], value: dict[str, Any]) -> Snapshot:
    from agentgym_hindsight.hindsight.codec import load_trajectory

    settings = mapping(value.get("settings"), "settings")
    for name, setting in settings.items():
        if setting is not None and type(setting) not in (str, int, float, bool):
            reject("text, a number, true, false or null", setting, f"settings.{short_repr(name, 40)}")
    task = Task.from_dict(mapping(value.get("task"), "task"))
    steps = load_trajectory(text(value.get("steps"), "steps")).steps
    turn = row(value.get("turn"), "turn", 8)
    draws = row(value.get("draws"), "draws", 4)
    return cls(
        settings,
        task,
        steps,
        (
            text(turn[0], "turn.observation"),
            texts(turn[1], "turn.admissible_actions"),
            flag(turn[2], "turn.valid"),
            flag(turn[3], "turn.won"),
            number(turn[4], "turn.score"),
            number(turn[5], "turn.reward"),
            flag(turn[6], "turn.terminated"),
            text(turn[7], "turn.state"),
        ),
        text(value.get("anchor"), "anchor"),
        flag(value.get("over"), "over"),
        (
            None if draws[0] is None else whole(draws[0], "draws.seed", 0, _WORD),
            whole(draws[1], "draws.order_seed", 0, _WORD),
            whole(draws[2], "draws.position", 0, _WORD),
            flag(draws[3], "draws.begun"),
        ),
        _checked_generator(value.get("random")),
        value.get("world"),
        None,
        tuple(
            (text(entry[0], "wrappers"), entry[1])
            for entry in (row(entry, "wrappers", 2) for entry in row(value.get("wrappers"), "wrappers"))
        ),
        texts(value.get("lost"), "lost"),
        loaded=True,
    )


def _checked_generator(value: Any) -> tuple[int | None, Mapping[str, Any]] | None:
    """The state of NumPy's PCG64, which NumPy itself checks little."""
    if value is None:
        return None
    seed, state = row(value, "random", 2)
    state = mapping(state, "random.state")
    inner = mapping(state.get("state"), "random.state.state")
    if state.get("bit_generator") != "PCG64":
        reject("PCG64", state.get("bit_generator"), "random.state.bit_generator")
    return (
        None if seed is None else whole(seed, "random.seed", -1, 2**128),
        {
            "bit_generator": "PCG64",
            "state": {name: whole(inner.get(name), f"random.state.{name}", 0, 2**128) for name in ("state", "inc")},
            "has_uint32": whole(state.get("has_uint32"), "random.has_uint32", 0, 2),
            "uinteger": whole(state.get("uinteger"), "random.uinteger", 0, 2**32),
        },
    )
