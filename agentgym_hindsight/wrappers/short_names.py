"""Short names of actions: ``click[red]`` is "red", and the click on a product is its number on the page."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["named_action", "short_name", "short_names"]

_CLICK, _END = "click[", "]"
_DIGITS = 6  # of a number
_ASIN = 10  # characters


def short_name(action: str) -> str:
    """The name in ``click[name]``; other actions are their own names."""
    return action[len(_CLICK) : -len(_END)] if action.startswith(_CLICK) and action.endswith(_END) else action


def short_names(admissible: Sequence[str]) -> dict[str, str]:
    """Action -> short name. Products, whose names are ASINs, are numbered from 1.

    >>> short_names(("click[next >]", "click[b0is281c3b]", "click[b07v3l9yqs]"))
    {'click[next >]': 'next >', 'click[b0is281c3b]': '1', 'click[b07v3l9yqs]': '2'}
    """
    names: dict[str, str] = {}
    products = 0
    for action in admissible:
        name = short_name(action)
        if _is_asin(name):
            products += 1
            name = str(products)
        names[action] = name
    return names


def named_action(text: str, admissible: Sequence[str]) -> str:
    """The admissible action that a text means: the action itself, its name, or its number; else the text.

    >>> named_action("2", ("click[next >]", "click[b0is281c3b]", "click[b07v3l9yqs]"))
    'click[b07v3l9yqs]'
    >>> named_action("next >", ("click[next >]",)), named_action("red", ("click[next >]",))
    ('click[next >]', 'red')
    """
    if text in admissible:
        return text
    if (click := f"{_CLICK}{text}{_END}") in admissible:
        return click
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        return text
    return next((action for action, name in short_names(admissible).items() if name == text), text)


def _is_asin(name: str) -> bool:
    return len(name) == _ASIN and name.isascii() and name.isalnum() and any(map(str.isdigit, name)) and " " not in name
