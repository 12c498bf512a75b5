"""The mapping under ``info["extra"]``: facts of one backend about one turn, computed when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from agentgym_hindsight.short_repr import short_repr

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Extra", "example_actions"]


class Extra(Mapping[str, Any]):
    """A backend's own facts about one turn, read as attributes or as a mapping. It is immutable.

    A value that is a function is called when it is read for the first time, and the result is cached. A fact that is
    never read costs nothing. The function must hold its own copy of the state that it describes, because the env may
    change its state before the function is called.

    >>> extra = Extra(backend="demo", size=lambda: 3)
    >>> extra.size, extra["backend"], sorted(extra)
    (3, 'demo', ['backend', 'size'])

    A backend with many computed facts passes three things: a dict of values, which all turns of an episode share; a
    table of functions; and the argument of these functions. Neither dict is changed or copied.

    >>> extra = Extra({"backend": "demo"}, {"double": lambda number: 2 * number}, 21)
    >>> extra.double, extra.at(4).double
    (42, 8)

    A pickled copy is a plain ``Extra`` in which every fact is computed.
    """

    __slots__ = ("_argument", "_computed", "_facts", "_table")
    _facts: Mapping[str, Any]
    _table: Mapping[str, Callable[[Any], Any]]
    _argument: Any
    _computed: dict[str, Any]

    def __init__(
        self,
        facts: Mapping[str, Any] | None = None,
        table: Mapping[str, Callable[[Any], Any]] | None = None,
        argument: Any = None,
        /,
        **more: Any,
    ) -> None:
        self._set({**(facts or {}), **more} if more or facts is None else facts, table or {}, argument)

    def _set(self, facts: Mapping[str, Any], table: Mapping[str, Callable[[Any], Any]], argument: Any) -> None:
        set_attribute = object.__setattr__
        set_attribute(self, "_facts", facts)
        set_attribute(self, "_table", table)
        set_attribute(self, "_argument", argument)
        set_attribute(self, "_computed", {})

    def at(self, argument: Any) -> Self:
        """The same facts, with the table's functions called on another argument."""
        copy = object.__new__(type(self))
        copy._set(self._facts, self._table, argument)
        return copy

    def after_thought(self) -> Extra:
        """The facts after a turn in which the agent only wrote a thought: without the facts about the last command."""
        return self

    def __getitem__(self, name: str) -> Any:
        if name in self._computed:
            return self._computed[name]
        if name in self._table:
            value = self._table[name](self._argument)
        else:
            value = self._facts[name]
            if not callable(value):
                return value
            value = value()
        self._computed[name] = value
        return value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copy and pickle look for special methods before the slots are filled
            raise AttributeError(name)
        if name not in self:
            raise AttributeError(f"Expected one of {', '.join(self)} in info['extra'], got {name!r}.")
        return self[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Extra is read-only.")

    def __contains__(self, name: object) -> bool:
        return name in self._table or name in self._facts

    def __iter__(self) -> Iterator[str]:
        return iter((*self._facts, *self._table))

    def __len__(self) -> int:
        return len(self._facts) + len(self._table)

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Extra, (dict(self),)

    def __repr__(self) -> str:
        # One short line. Facts that were not read yet stay uncomputed: an info is often printed.
        facts = ", ".join(f"{name}={self._shown(name)}" for name in self)
        return f"Extra({facts})"

    def _shown(self, name: str) -> str:
        if name in self._computed:
            return short_repr(self._computed[name], 60)
        if name in self._table or callable(self._facts[name]):
            return "…"
        return short_repr(self._facts[name], 60)


def example_actions(extra: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Legal actions that a world with an open set of actions names under ``info["extra"]``; () if it names none.

    >>> example_actions(Extra(example_actions=("search[red hat]",))), example_actions(Extra(backend="demo"))
    (('search[red hat]',), ())
    """
    return tuple(extra.get("example_actions", ())) if isinstance(extra, Mapping) else ()
