"""Prompt protocols from a template file of the user's own: ``file:my.jinja``, ``file:my.yaml``.

For anyone who has a checkpoint that was trained elsewhere and needs exactly its prompts. The template is the user's.
The texts that it shows are data: they are inserted as they are and never read as a template.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from agentgym_hindsight.errors import MissingExtraError, UnknownNameError, UsageError
from agentgym_hindsight.files import read_text
from agentgym_hindsight.names import known_name
from agentgym_hindsight.printable import printable_line
from agentgym_hindsight.wrappers.protocols.base import History, PromptState, Protocol

__all__ = ["FIELDS", "PREFIX", "TemplateProtocol", "is_template_name", "template_protocol"]

PREFIX = "file:"
_LARGEST = 1 << 18
#: What a template can show, with a value of the kind that it has.
FIELDS: Mapping[str, str] = {
    "goal": "the task, a text",
    "observation": "the current observation, a text",
    "actions": "the admissible actions, a list of texts",
    "history": "the shown earlier turns, oldest first: each has number (from 1), observation and action",
    "first_observation": "the observation of the first turn",
    "steps": "the number of turns taken so far",
    "step": "the number of the current turn, from 1",
    "search_bar": "whether the agent can search for any text (WebShop's start page)",
    "world": "alfworld, webshop, appworld, tools or generic",
    "demonstrations": "the examples of the run, a list of texts",
    "tools": "the schemas of the functions that can be called, a list",
}
_SETTINGS = ("prompt", "first", "follow_up", "history", "parser", "longest")


@dataclass(frozen=True)
class _Source:
    """The settings of a file."""

    prompt: str
    first: str = ""
    follow_up: str = ""
    history: int | None = 2
    parser: str = "verl-agent-2025"
    longest: int = 0


def is_template_name(name: object) -> bool:
    """Whether the name of a protocol is that of a file.

    >>> is_template_name("file:my.jinja"), is_template_name("brief")
    (True, False)
    """
    return isinstance(name, str) and name.startswith(PREFIX)


class TemplateProtocol(Protocol):
    """Renders a turn with the templates of a file.

    ``first`` renders a turn without shown history (default: ``prompt``), and ``follow_up`` the messages of a
    conversation after the first. If a prompt is longer than ``longest`` characters, ``first`` is used.
    """

    name: ClassVar[str] = "file"
    parser: ClassVar[str] = "verl-agent-2025"

    def __init__(self, source: _Source, *, history: History = None, demonstrations: Sequence[str] = ()) -> None:
        self.default_history = source.history  # type: ignore[misc]  # of this file, not of the class
        self.parser = source.parser  # type: ignore[misc]
        super().__init__(history=history, demonstrations=demonstrations)
        self._prompt = _compiled(source.prompt, "prompt")
        self._first = _compiled(source.first, "first") if source.first else self._prompt
        self._follow_up = _compiled(source.follow_up, "follow_up") if source.follow_up else None
        self._longest = source.longest

    def render(self, state: PromptState) -> str:
        start, turns = self.recent(state)
        if not turns:
            return self._first(self._fields(state, 0, ()))
        prompt = self._prompt(self._fields(state, start, turns))
        if self._longest and len(prompt) > self._longest:
            return self._first(self._fields(state, 0, ()))
        return prompt

    def follow_up(self, state: PromptState) -> str:
        if self._follow_up is None:
            return super().follow_up(state)
        return self._follow_up(self._fields(state, *self.recent(state)))

    def _fields(self, state: PromptState, start: int, turns: Sequence[tuple[str, str]]) -> dict[str, Any]:
        return {
            "goal": state.goal,
            "observation": state.observation,
            "actions": list(state.admissible_actions),
            "history": [
                {"number": number, "observation": observation, "action": action}
                for number, (observation, action) in enumerate(turns, start + 1)
            ],
            "first_observation": state.history[0][0] if state.history else state.observation,
            "steps": len(state.history),
            "step": len(state.history) + 1,
            "search_bar": state.search_bar,
            "world": state.world,
            "demonstrations": list(self.demonstrations),
            "tools": [dict(schema) for schema in state.tools],
        }


def template_protocol(name: str) -> Callable[..., Protocol]:
    """The function that makes the protocol of a file, which is read and checked."""
    path = name.removeprefix(PREFIX)
    try:
        stamp = (os.stat(path).st_mtime_ns, os.stat(path).st_size)
    except (OSError, ValueError):
        stamp = (0, 0)  # reading it raises the error
    return _checked(os.path.abspath(path) if path else path, path, stamp)


@lru_cache(maxsize=64)  # a stage makes its protocol several times
def _checked(absolute: str, path: str, stamp: tuple[int, int]) -> Callable[..., Protocol]:
    source = _read(path)

    def make(*, history: History = None, demonstrations: Sequence[str] = ()) -> Protocol:
        return TemplateProtocol(source, history=history, demonstrations=demonstrations)

    _check(make(), path)
    return make


def _read(path: str) -> _Source:
    ending = os.path.splitext(path)[1].lower()
    if ending == ".py":
        raise UsageError(
            f"Expected a template, got the Python file {_shown(path)}; try package.module:NAME with a subclass of "
            "agentgym_hindsight.wrappers.Protocol in it."
        )
    fix = f"try {PREFIX}my.jinja with the text of a prompt."
    try:
        text = read_text(path, "a prompt template", fix, largest=_LARGEST)
    except UnicodeDecodeError:
        raise UsageError(f"Expected a prompt template in UTF-8 at {_shown(path)}, got other bytes; {fix}") from None
    settings = _settings(text, path) if ending in (".yaml", ".yml", ".json") else {"prompt": text}
    return _source(settings, path)


def _settings(text: str, path: str) -> dict[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("yaml", "train", "A prompt template in YAML") from error
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        cause = printable_line(str(error), 300)
        raise UsageError(f"Expected YAML in {_shown(path)}, got: {cause}; try quotes or a block |.") from None
    if not isinstance(values, dict):
        raise UsageError(
            f"Expected settings by name in {_shown(path)}, got {type(values).__name__}; try prompt: | and the template."
        )
    return values


def _source(settings: Mapping[str, Any], path: str) -> _Source:
    values: dict[str, Any] = {}
    for given, value in settings.items():
        name = known_name(f"setting of the prompt template {_shown(path)}", str(given), _SETTINGS)
        kinds: tuple[type, ...] = (int, type(None)) if name == "history" else (int,) if name == "longest" else (str,)
        wrong = not isinstance(value, kinds) or isinstance(value, bool)
        if wrong or (isinstance(value, int) and value < 0):
            example = {"history": "2, or null for all turns", "longest": "13000"}.get(name, "a text")
            raise UsageError(
                f"Expected {name} of another kind in {_shown(path)}, got {printable_line(repr(value), 60)}; "
                f"try {example}."
            )
        values[name] = value
    if not values.get("prompt", "").strip():
        raise UsageError(f"Expected a prompt in {_shown(path)}, got none; try a template with {{{{ observation }}}}.")
    return _Source(**values)


def _check(protocol: Protocol, path: str) -> None:
    """Render examples, so that errors come now and not in the middle of a run."""
    secret = "{{ goal }}{% raw %}<|im_end|>"  # a template that reads texts as templates would change it
    turns = [(f"OBSERVATION-{number} {secret}", f"action {number}") for number in range(12)]
    for world in ("alfworld", "webshop", "generic"):
        for count in (0, 1, 12):
            state = PromptState("GOAL", f"NOW {secret}", ("look", "wait"), turns[:count], world, count == 0)
            for prompt in (protocol.render(state), protocol.follow_up(state)):
                if not prompt.strip():
                    raise UsageError(f"Expected a prompt from {_shown(path)}, got an empty text; try more than blanks.")
                if "NOW" not in prompt:
                    raise UsageError(
                        f"Expected {{{{ observation }}}} in each template of {_shown(path)}, got a prompt without it; "
                        "try adding it."
                    )


def _compiled(text: str, where: str) -> Callable[[dict[str, Any]], str]:
    """The function that fills in a template. Unknown names raise, and nothing of Python can be reached."""
    try:
        from jinja2 import StrictUndefined, TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise MissingExtraError("jinja2", "train", "A prompt template") from error
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=False, autoescape=False
    )

    def wrong(error: Exception) -> Exception:
        line = getattr(error, "lineno", None)
        at = f" (line {line})" if line else ""
        cause = printable_line(str(error), 200)
        missing = cause.partition("' is undefined")[0].rpartition("'")[2] if "' is undefined" in cause else ""
        if missing and "has no attribute" not in cause:
            return UnknownNameError(f"field of the prompt template, in {where}", missing, FIELDS)
        return UsageError(
            f"Expected a Jinja template in {where}, got {type(error).__name__}: {cause}{at}; try another."
        )

    try:
        template = environment.from_string(text)
    except (TemplateError, RecursionError, MemoryError, ValueError) as error:
        raise wrong(error) from None

    def render(fields: dict[str, Any]) -> str:
        try:
            return template.render(fields)
        except UsageError:
            raise
        except Exception as error:  # a template can raise anything that its filters raise
            raise wrong(error) from None

    return render


def _shown(path: str) -> str:
    return printable_line(repr(path), 200)
