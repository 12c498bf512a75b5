"""A prompt of short names, for small models: what can be clicked is called by its name or by its number on the page."""

from __future__ import annotations

from typing import ClassVar

from agentgym_hindsight.wrappers.protocols.base import PromptState, Protocol
from agentgym_hindsight.wrappers.protocols.short_conversation import conversation_text, shortened
from agentgym_hindsight.wrappers.short_names import short_name, short_names

__all__ = ["Short"]

_SEPARATOR = " [SEP] "
_SELECTED = " (selected)"


class Short(Protocol):
    """Task, the last ``history`` actions (4), the page or observation, and the admissible actions that it lacks.

    Of a WebShop page, the instruction is left out, because the task line has it. A product of a list is one part,
    which ends with its number: "red hat $9.99 [1]". AppWorld's first observation, which explains the APIs, is left out.
    Where actions are tool calls, the prompt has what the user said so far, the names of the functions that were called,
    and the beginning of the last result; the task line, the policy and the list of functions are left out. Ids, names,
    paths, days and numbers are marked: "@2 #W12". In a call in Python's notation ``@2`` stands for the value.

    The answer is ``<action>…</action>`` with an admissible action, with the name alone instead of ``click[name]``, or
    with the number of a product. ``search[words]`` is a search.

    >>> print(Short().render(PromptState("find the mug", "A room.", ("look", "go to desk 1"))))
    Task: find the mug
    Now: A room.
    Can: look; go to desk 1
    """

    name = "short"
    parser = "short"
    default_history: ClassVar[int | None] = 4

    def render(self, state: PromptState) -> str:
        if state.world == "tools":
            return self.examples() + conversation_text(state)
        _, turns = self.recent(state)
        lines = [f"Task: {state.goal}"] if state.goal else []
        if turns:
            # The number of a product is not known any more; its ASIN says that a product was opened.
            lines.append(f"Done: {'; '.join(short_name(action) for _, action in turns)}")
        return self.examples() + "\n".join([*lines, *_situation(state)])

    def follow_up(self, state: PromptState) -> str:
        if state.world == "tools":
            return shortened(state.observation)
        return "\n".join(_situation(state))


def _situation(state: PromptState) -> list[str]:
    """The page or observation, and the admissible actions that it lacks."""
    lines: list[str] = []
    names = short_names(state.admissible_actions)
    parts = state.observation.split(_SEPARATOR)
    is_page = len(parts) > 1 or _unquoted(state.observation) != state.observation
    if state.world == "appworld" and state.goal and state.goal in state.observation:
        pass  # AppWorld's first observation: the task again, and how APIs are documented
    elif not is_page:
        lines.append(f"Now: {state.observation.strip()}")
    else:
        lines.append(f"Now: {' / '.join(_page(_after_instruction(parts, state.goal), names))}")
    others = [*names.values()]
    if state.search_bar:
        others.append("search[words]")
    if others:
        lines.append(f"Can: {'; '.join(others)}")
    return lines


def _page(parts: list[str], names: dict[str, str]) -> list[str]:
    """The parts of a page, in lower case as in actions. The actions that they contain are removed from ``names``."""
    lines: list[str] = []
    product: list[str] = []  # the number, then the title of a listed product, whose price follows
    for part in parts:
        text = _unquoted(part.strip()).lower()
        action = f"click[{text.removesuffix(_SELECTED)}]"
        name = names.pop(action, "")
        if name.isdecimal() and name != text:
            product = [f"[{name}]"]
        elif product:
            product.append(text)
            if len(product) > 2:
                lines.append(f"{' '.join(product[1:])} {product[0]}")
                product = []
        elif text:
            lines.append(text)
    return lines


def _after_instruction(parts: list[str], goal: str) -> list[str]:
    for position, part in enumerate(parts[:3]):
        if part.strip() == goal.strip():
            return parts[position + 1 :]
    return parts


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == "'" else text
