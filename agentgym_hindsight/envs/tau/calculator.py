"""The calculator: arithmetic without ``eval``, with the results and errors that Python's evaluation gives.

The expression is parsed by Python's own parser and the tree is computed here, so errors of the syntax and of values
have Python's texts. Only numbers, ``+ - * / // **`` and parentheses get this far. A result that would take too long to
compute is refused.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

__all__ = ["calculate", "is_refused"]

_ALPHABET = "0123456789+-*/(). "
_LEGAL = frozenset(_ALPHABET)
_MOST_CHARACTERS = 10_000
_MOST_BITS = 100_000  # of a whole number: floats end at 1,024
_TOO_LONG = "Error: the expression is too long"
_TOO_LARGE = "int too large to convert to float"  # Python's answer after computing it, if it is not divided again

_BINARY: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}


def is_refused(answer: str) -> bool:
    """Whether an answer of :func:`calculate` says that Python would take too long.

    >>> is_refused(calculate("9 ** 9 ** 9 ** 9")), is_refused(calculate("1 / 0"))
    (True, False)
    """
    return answer in (_TOO_LONG, f"Error: {_TOO_LARGE}")


def calculate(expression: Any) -> str:
    """The result, rounded to two places, as text; or ``Error: …``.

    >>> calculate("2 * (3 + 4)"), calculate("7 // 0"), calculate("2 ** 9 ** 9 ** 9")
    ('14.0', 'Error: integer division or modulo by zero', 'Error: int too large to convert to float')
    """
    if isinstance(expression, str):
        if not _LEGAL.issuperset(expression):
            return "Error: invalid characters in expression"
    elif not all(part in _ALPHABET for part in expression):
        return "Error: invalid characters in expression"
    else:  # a list or mapping whose texts are parts of the alphabet
        return "Error: eval() arg 1 must be a string, bytes or code object"
    if len(expression) > _MOST_CHARACTERS:
        return _TOO_LONG
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "2(3)" gives a SyntaxWarning
            tree = ast.parse(expression.lstrip(" "), "<string>", "eval")
        return str(round(float(_value(tree.body)), 2))
    except (RecursionError, MemoryError):
        return _TOO_LONG
    except Exception as error:
        return f"Error: {error}"


def _value(tree: ast.expr) -> Any:
    """The value of a tree. A chain of operators is deep on its left side, which is walked in a loop."""
    pending: list[ast.BinOp] = []
    while isinstance(tree, ast.BinOp):
        pending.append(tree)
        tree = tree.left
    value: Any
    if isinstance(tree, ast.Constant):
        value = tree.value
    elif isinstance(tree, ast.UnaryOp):
        inner = _value(tree.operand)
        value = -inner if isinstance(tree.op, ast.USub) else +inner
    elif isinstance(tree, ast.Call):
        _call(tree)
    else:
        value = ()  # the only other expression of these characters is "()"; "..." is a constant
    for node in reversed(pending):
        right = _value(node.right)
        _check_size(type(node.op), value, right)
        value = _BINARY[type(node.op)](value, right)
    return value


def _call(tree: ast.Call) -> NoReturn:
    """Raise Python's error of a call: it reads "2(3)" as one, of a number. Without commas there is one argument."""
    called = _value(tree.func)
    for argument in tree.args:
        if isinstance(argument, ast.Starred):
            given = _value(argument.value)
            if not isinstance(given, tuple):
                raise TypeError(f"{called} argument after * must be an iterable, not {type(given).__name__}")
        else:
            _value(argument)
    for keyword in tree.keywords:
        kind = type(_value(keyword.value)).__name__
        raise TypeError(f"{called} argument after ** must be a mapping, not {kind}")
    raise TypeError(f"'{type(called).__name__}' object is not callable")


def _check_size(kind: type[ast.AST], left: Any, right: Any) -> None:
    if not isinstance(left, int) or not isinstance(right, int):
        return
    bits = left.bit_length()
    if kind is ast.Pow:
        if right > 0 and left not in (-1, 0, 1) and bits * right > _MOST_BITS:
            raise OverflowError(_TOO_LARGE)
    elif kind is ast.Mult and bits + right.bit_length() > _MOST_BITS:
        raise OverflowError(_TOO_LARGE)
