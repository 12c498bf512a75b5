"""Reads calls that are written as Python, such as the benchmark's answers and recordings, without ``eval``.

The benchmark evaluates them as code. Here the text is parsed, and a small part of the language is computed: literals,
arithmetic with bounds, ``float("nan")`` and its like, and calls of the API, also inside arguments.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from agentgym_hindsight.envs.bfcl.official.calls import ApiObjects, failure_text, render_result
from agentgym_hindsight.envs.tools import ToolCall

__all__ = ["UnreadableError", "read_call", "run_text"]

_BINARY: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: Mapping[type, Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}
_BUILTINS: Mapping[str, Callable[..., Any]] = {"float": float, "int": int, "str": str, "bool": bool, "len": len}
#: Bits of a number, or characters of a text, that arithmetic may make.
_LARGEST = 100_000


class UnreadableError(Exception):
    """A part of Python that is not computed here."""


def read_call(text: str, parameters: Callable[[str], tuple[str, ...]]) -> ToolCall:
    """A call of literals, with its arguments by name. ``parameters``: the names of a function's parameters.

    >>> read_call("sort('a.txt')", lambda name: ("file_name",))
    ToolCall(name='sort', arguments={'file_name': 'a.txt'}, positional=())
    """
    node = ast.parse(text.strip(), mode="eval").body
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise UnreadableError(f"{text} is no call")
    name = node.func.id
    positional = map(ast.literal_eval, node.args)
    named = {str(each.arg): ast.literal_eval(each.value) for each in node.keywords}
    return ToolCall(name, {**dict(zip(parameters(name), positional, strict=False)), **named})


def run_text(objects: ApiObjects, text: str) -> str:
    """The text that the benchmark's executor gives for a call that is written as Python. Never raises."""
    try:
        return render_result(_Evaluation(objects).value(_parsed(text)))
    except Exception as error:
        return failure_text(error)


@lru_cache(maxsize=8192)
def _parsed(text: str) -> ast.expr:
    source = text.lstrip(" \t")  # as eval() does
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compile(source, "<string>", "eval")  # for the errors of the whole compiler; nothing is run
        return ast.parse(source, mode="eval").body


class _Evaluation:
    def __init__(self, objects: ApiObjects) -> None:
        self.objects = objects

    def value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.List):
            return [self.value(each) for each in node.elts]
        if isinstance(node, ast.Tuple):
            return tuple(self.value(each) for each in node.elts)
        if isinstance(node, ast.Set):
            return {self.value(each) for each in node.elts}
        if isinstance(node, ast.Dict):
            if None in node.keys:
                raise UnreadableError("** in a dict")
            return {self.value(key): self.value(each) for key, each in zip(node.keys, node.values, strict=True) if key}
        if isinstance(node, ast.UnaryOp):
            return _UNARY[type(node.op)](self.value(node.operand))
        if isinstance(node, ast.BinOp):
            return _arithmetic(type(node.op), self.value(node.left), self.value(node.right))
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, ast.Name):
            if node.id in _BUILTINS:
                return _BUILTINS[node.id]
            raise NameError(f"name '{node.id}' is not defined")
        raise UnreadableError(f"{type(node).__name__} is not computed here")

    def call(self, node: ast.Call) -> Any:
        if any(isinstance(each, ast.Starred) for each in node.args) or any(each.arg is None for each in node.keywords):
            raise UnreadableError("* or ** in a call")
        if isinstance(node.func, ast.Name):
            name = node.func.id
        elif isinstance(node.func, ast.Attribute):
            name = ast.unparse(node.func)
        else:
            return self.value(node.func)()
        builtin = _BUILTINS.get(name) if name not in self.objects.owners else None
        if builtin is None:
            self.objects.method(name)  # an unknown name is an error before the arguments are computed
        positional = [self.value(each) for each in node.args]
        named = {str(each.arg): self.value(each.value) for each in node.keywords}
        if builtin is not None:
            return builtin(*positional, **named)
        return self.objects.call(name, positional, named)


def _arithmetic(kind: type, left: Any, right: Any) -> Any:
    if kind not in _BINARY:
        raise UnreadableError(f"{kind.__name__} is not computed here")
    size = max(_size(left), 1)
    if kind is ast.Pow and isinstance(right, int) and size * max(right, 1) > _LARGEST:
        raise UnreadableError("a number that is too large")
    if kind is ast.Mult and (_size(left) + _size(right) > _LARGEST or _repeated(left, right) > _LARGEST):
        raise UnreadableError("a value that is too large")
    return _BINARY[kind](left, right)


def _size(value: Any) -> int:
    if isinstance(value, int):
        return value.bit_length()
    return len(value) if isinstance(value, (str, bytes, list, tuple)) else 1


def _repeated(left: Any, right: Any) -> int:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, (str, bytes, list, tuple)) and isinstance(other, int):
            return len(one) * max(other, 0)
    return 0
