"""The live variables as plain data, and back: how an interpreter continues in another worker.

Only data leave the worker: a table of *nodes* and the number of each variable's node. A node is a list of a letter and
plain values or numbers of other nodes, so two names of one list stay two names of one list, and a list can contain
itself. No method of the agent's own classes is called. What has no such form is not carried, and its name is listed:
objects of the agent's classes, generators, iterators, lambdas, closures, and the like.

Functions are carried as the source text of their ``def``, whose compilation must equal the function's own code. The
defaults are carried as values: nothing is evaluated again.
"""

from __future__ import annotations

import ast
import builtins
import collections
import datetime
import decimal
import fractions
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from agentgym_hindsight.envs.appworld.sandbox.inside.apis import Api, ApiError, Apis, App
from agentgym_hindsight.envs.appworld.sandbox.inside.modules import AVAILABLE

__all__ = ["decode", "encode"]

_DEPTH, _NODES, _LINKS, _INTEGER = 100, 40_000, 100_000, 2**63
_GIVEN = frozenset(("__name__", "__builtins__", "__doc__", "__package__", "__loader__", "__spec__", "apis"))
_DATED = {datetime.datetime: "datetime", datetime.date: "date", datetime.time: "time"}
_WORDED: dict[type, str] = {decimal.Decimal: "Decimal", fractions.Fraction: "Fraction", complex: "complex"}
_FACTORIES = {"list": list, "dict": dict, "set": set, "int": int, "float": float, "str": str, "tuple": tuple}


class _RefusedError(Exception):
    """A value has no form as data."""


def encode(variables: Mapping[str, Any], sources: Mapping[str, str], apis: Apis | None, limit: int) -> dict[str, Any]:
    """The variables as JSON values of about ``limit`` characters at most."""
    encoder = _Encoder(variables, sources, apis, limit)
    names: dict[str, int] = {}
    lost: list[str] = []
    for name in [key for key in list(variables) if type(key) is str and key not in _GIVEN]:
        mark = encoder.mark()
        try:
            if not name.isidentifier() or len(name) > 200:
                raise _RefusedError
            number = encoder.add(variables[name], 0)
            names[name] = number
        except (_RefusedError, RecursionError):
            encoder.back_to(mark)
            lost.append(name[:200].encode("utf-8", "replace").decode())
    return {"names": names, "nodes": encoder.nodes, "sources": encoder.used_sources, "lost": lost[:1000]}


class _Encoder:
    def __init__(self, variables: Mapping[str, Any], sources: Mapping[str, str], apis: Apis | None, limit: int) -> None:
        self._variables, self._sources, self._apis, self._room = variables, sources, apis, limit
        self.nodes: list[Any] = []
        self.used_sources: dict[str, str] = {}
        self._numbers: dict[int, int] = {}  # id of a value that a variable keeps alive -> its node
        self._order: list[int] = []  # the ids, by node
        self._links = 0

    def mark(self) -> tuple[int, int, int]:
        return len(self.nodes), self._room, self._links

    def back_to(self, mark: tuple[int, int, int]) -> None:
        count, self._room, self._links = mark
        for identity in self._order[count:]:
            del self._numbers[identity]
        del self.nodes[count:], self._order[count:]

    def add(self, value: Any, depth: int) -> int:
        known = self._numbers.get(id(value))
        if known is not None:
            return known
        if depth > _DEPTH or len(self.nodes) >= _NODES:
            raise _RefusedError
        number = self._numbers[id(value)] = len(self.nodes)
        self.nodes.append(None)
        self._order.append(id(value))
        node = self._node(value, depth + 1)
        self._room -= 16 + 8 * len(node) + sum(len(part) for part in node if type(part) is str)
        self._links += len(node)
        if self._room < 0 or self._links > _LINKS:
            raise _RefusedError
        self.nodes[number] = node
        return number

    def _node(self, value: Any, depth: int) -> list[Any]:
        kind = type(value)
        if value is None or kind is bool:
            return ["n", value]
        if kind is int:
            if -_INTEGER <= value < _INTEGER:
                return ["n", value]
            if value.bit_length() > 1 << 16:
                raise _RefusedError
            return ["i", format(value, "x")]
        if kind is float:
            return ["f", value.hex()]
        if kind is str:
            return self._text(value)
        if kind in (bytes, bytearray):
            return ["b" if kind is bytes else "y", value.hex()]
        letters: dict[Any, str] = {list: "l", tuple: "t", set: "s", frozenset: "z", collections.deque: "q"}
        many = letters.get(kind)
        if many is not None:
            return self._many(many, value, depth)
        names: dict[Any, str] = {dict: "", collections.OrderedDict: "OrderedDict", collections.Counter: "Counter"}
        if kind in names:
            name = names[kind]
            return ["m", name, *self._pairs(value, depth)]
        if kind is collections.defaultdict:
            factory = next((name for name, each in _FACTORIES.items() if each is value.default_factory), None)
            if factory is None:
                raise _RefusedError
            return ["m", factory, *self._pairs(value, depth)]
        return self._rare(kind, value, depth)

    def _text(self, value: str) -> list[Any]:
        if len(value) > self._room:
            raise _RefusedError
        try:
            value.encode()
        except UnicodeEncodeError:  # the channel carries no lone surrogates
            return ["u", value.encode("utf-8", "surrogatepass").hex()]
        return ["n", value]

    def _many(self, letter: str, value: Any, depth: int) -> list[Any]:
        if len(value) > _LINKS or (letter == "q" and value.maxlen is not None):
            raise _RefusedError
        items = list(value)
        node = [letter, *(self.add(item, depth) for item in items)]
        if letter in "sz":
            # The order of a set depends on its history. All items have been found to be plain here, so no code of the
            # agent hashes them.
            again = list(set(items) if letter == "s" else frozenset(items))
            if any(one is not two for one, two in zip(items, again, strict=True)):
                raise _RefusedError
        return node

    def _pairs(self, value: Mapping[Any, Any], depth: int) -> list[int]:
        if len(value) > _LINKS:
            raise _RefusedError
        # An OrderedDict has an order of its own. The type is exact here, so the method is that of the library.
        return [self.add(part, depth) for pair in list(value.items()) for part in pair]

    def _rare(self, kind: type, value: Any, depth: int) -> list[Any]:
        if kind in _DATED:
            if value.__class__ is kind and getattr(value, "tzinfo", None) not in (None, datetime.timezone.utc):
                raise _RefusedError
            return ["d", _DATED[kind], value.isoformat(), getattr(value, "fold", 0)]
        if kind is datetime.timedelta:
            return ["w", value.days, value.seconds, value.microseconds]
        if value is datetime.timezone.utc:
            return ["d", "utc", "", 0]
        if kind in _WORDED:
            return ["x", _WORDED[kind], repr(value) if kind is complex else str(value)]
        if kind is range:
            if not all(-_INTEGER <= part < _INTEGER for part in (value.start, value.stop, value.step)):
                raise _RefusedError
            return ["r", value.start, value.stop, value.step]
        if kind is re.Pattern and type(value.pattern) is str:
            return ["p", self.add(value.pattern, depth), value.flags]
        if kind is Apis and value is self._apis:
            return ["A"]
        if kind is App:
            return ["A", _name(value._app)]
        if kind is Api:
            return ["A", _name(value._app), _name(value._api)]
        if kind is ModuleType:
            return ["M", _module_name(value)]
        if kind is FunctionType and value.__globals__ is self._variables:
            return self._function(value, depth)
        if kind in (FunctionType, BuiltinFunctionType, MethodType, type):
            return _imported(value)
        raise _RefusedError

    def _function(self, value: FunctionType, depth: int) -> list[Any]:
        code = value.__code__
        file, name = code.co_filename, code.co_name
        if type(file) is not str or file not in self._sources or value.__closure__ or value.__dict__:
            raise _RefusedError
        if value.__name__ != name or value.__qualname__ != name or value.__module__ != "__main__":
            raise _RefusedError
        source = self._sources[file]
        made = _definition(source, file, name, code.co_firstlineno)
        if made is None or made[1] != code:
            raise _RefusedError
        if file not in self.used_sources:
            self._text(source)
            self._room -= len(source)
            self.used_sources[file] = source
        values = (value.__defaults__, value.__kwdefaults__, value.__annotations__, value.__doc__)
        return ["F", file, name, code.co_firstlineno, *(self.add(each, depth) for each in values)]


def _name(value: Any) -> str:
    if type(value) is not str or len(value) > 200:
        raise _RefusedError
    return value


def _module_name(value: ModuleType) -> str:
    for name, module in list(sys.modules.items()):
        if module is value and type(name) is str and name != "os" and name.partition(".")[0] in AVAILABLE:
            return name
    if value is not sys.modules.get("os") and value.__dict__.get("__name__") == "os":
        return "os"  # the one that the agent imports, which has only paths
    raise _RefusedError


def _imported(value: Any) -> list[Any]:
    """A function or class of a module that can be imported, found by its name there."""
    owner = value.__func__ if type(value) is MethodType else value
    if type(owner) not in (FunctionType, BuiltinFunctionType, type):
        raise _RefusedError
    name, module = owner.__name__, owner.__module__
    if value is ApiError:
        return ["a", "", "ApiError"]
    if type(name) is not str or type(module) is not str:
        raise _RefusedError
    for place in (module, module.lstrip("_")):
        known = place == "builtins" or place.partition(".")[0] in AVAILABLE
        if known and place in sys.modules and sys.modules[place].__dict__.get(name) is value:
            return ["a", place, name]
    raise _RefusedError


def _definition(source: str, file: str, name: str, line: int) -> tuple[CodeType, CodeType] | None:
    """Code that executes only this ``def``, without its defaults and annotations, and the code of the function."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == name and statement.lineno == line:
            if statement.decorator_list:
                return None
            arguments = statement.args
            arguments.defaults, arguments.kw_defaults = [], [None] * len(arguments.kwonlyargs)
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            for each in every:
                if each is not None:
                    each.annotation = None
            statement.returns = None
            program = compile(ast.Module([statement], []), file, "exec", dont_inherit=True)
            inner = next(part for part in program.co_consts if isinstance(part, CodeType))
            return program, inner
    return None


def decode(
    state: Mapping[str, Any],
    variables: dict[str, Any],
    sources: dict[str, str],
    apis: Apis | None,
    import_module: Callable[[str], ModuleType],
) -> None:
    """Set the variables from :func:`encode`. Raises anything if the state is not one of :func:`encode`."""
    sources.update({str(name): str(text) for name, text in state["sources"].items()})
    decoder = _Decoder(state["nodes"], variables, sources, apis, import_module)
    made = {str(name): decoder.value(number) for name, number in state["names"].items()}
    decoder.fill()
    variables.update((name, value) for name, value in made.items() if name not in _GIVEN)


class _Decoder:
    """Makes the containers that can change first, then the values, and fills the containers last."""

    def __init__(
        self,
        nodes: Sequence[Sequence[Any]],
        variables: dict[str, Any],
        sources: Mapping[str, str],
        apis: Apis | None,
        import_module: Callable[[str], ModuleType],
    ) -> None:
        self._nodes, self._variables, self._sources = nodes, variables, sources
        self._apis, self._import = apis, import_module
        self._made: dict[int, Any] = {}
        self._open: set[int] = set()
        for number, node in enumerate(nodes):
            if node[0] in ("l", "s", "q"):
                self._made[number] = {"l": list, "s": set, "q": collections.deque}[node[0]]()
            elif node[0] == "m":
                self._made[number] = self._mapping(node[1])
            elif node[0] == "F":
                self._made[number] = self._function(node)

    def value(self, number: int) -> Any:
        if number not in self._made:
            if number in self._open or number < 0:
                raise ValueError("nodes in a circle")
            self._open.add(number)
            self._made[number] = self._simple(self._nodes[number])
        return self._made[number]

    def fill(self) -> None:
        for number, node in enumerate(self._nodes):
            letter = node[0]
            if letter in ("l", "q"):
                self._made[number].extend(map(self.value, node[1:]))
            elif letter == "s":
                self._made[number].update(map(self.value, node[1:]))
            elif letter == "m":
                parts = list(map(self.value, node[2:]))
                for key, value in zip(parts[::2], parts[1::2], strict=True):
                    self._made[number][key] = value
            elif letter == "F":
                function = self._made[number]
                values = map(self.value, node[4:])
                function.__defaults__, function.__kwdefaults__, function.__annotations__, function.__doc__ = values

    @staticmethod
    def _mapping(name: str) -> dict[Any, Any]:
        if name in _FACTORIES:
            return collections.defaultdict(_FACTORIES[name])
        kinds: dict[str, type] = {"": dict, "OrderedDict": collections.OrderedDict, "Counter": collections.Counter}
        made: dict[Any, Any] = kinds[name]()
        return made

    def _function(self, node: Sequence[Any]) -> FunctionType:
        made = _definition(self._sources[node[1]], node[1], node[2], node[3])
        if made is None:
            raise ValueError("no such function")
        bound: dict[str, Any] = {}
        exec(made[0], self._variables, bound)  # a def without defaults: binds a function and runs nothing else
        function: FunctionType = bound[node[2]]
        return function

    def _simple(self, node: Sequence[Any]) -> Any:
        letter, *parts = node
        if letter == "n":
            return parts[0]
        if letter == "i":
            return int(parts[0], 16)
        if letter == "f":
            return float.fromhex(parts[0])
        if letter == "u":
            return bytes.fromhex(parts[0]).decode("utf-8", "surrogatepass")
        if letter in "by":
            data = bytes.fromhex(parts[0])
            return data if letter == "b" else bytearray(data)
        if letter == "t":
            return tuple(map(self.value, parts))
        if letter == "z":
            return frozenset(map(self.value, parts))
        if letter == "r":
            return range(*parts)
        if letter == "w":
            return datetime.timedelta(*parts)
        if letter == "d":
            return _moment(*parts)
        if letter == "x":
            kinds: dict[str, Callable[[str], Any]] = {
                "Decimal": decimal.Decimal,
                "Fraction": fractions.Fraction,
                "complex": complex,
            }
            return kinds[parts[0]](parts[1])
        if letter == "p":
            return re.compile(self.value(parts[0]), parts[1])
        if letter == "A":
            value: Any = self._apis
            for name in parts:
                value = getattr(value, name)
            return value
        if letter == "M":
            return self._module(parts[0])
        if letter == "a":
            module, name = parts
            if not module:
                return ApiError
            return vars(builtins if module == "builtins" else self._module(module))[name]
        raise ValueError("a node of another kind")

    def _module(self, name: str) -> ModuleType:
        """A module, if the agent's own ``import`` would give it."""
        module = self._import(name)
        if name == "os":
            return module
        if name == "os.path":
            path: ModuleType = module.path
            return path
        return sys.modules[name]


def _moment(kind: str, text: str, fold: int) -> Any:
    if kind == "utc":
        return datetime.timezone.utc
    kinds: dict[str, Any] = {name: each for each, name in _DATED.items()}
    made = kinds[kind].fromisoformat(text)
    return made.replace(fold=fold) if fold else made
