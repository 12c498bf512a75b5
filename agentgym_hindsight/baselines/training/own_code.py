"""Code of the user's own in a run, ``module:NAME``: tried before the warm start, and named in run.json.

A method, protocol or parser of one's own may fail only when it is first called, after minutes. So it is called once
with small inputs before anything else is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.rows import Rows, Values
from agentgym_hindsight.baselines.own_modules import file_hashes, is_ours, stage_imports
from agentgym_hindsight.baselines.training.own_hooks import try_hooks
from agentgym_hindsight.baselines.training.resampling import check_resampling
from agentgym_hindsight.baselines.training.run_settings import RunSettings
from agentgym_hindsight.baselines.training.tiny import is_tiny
from agentgym_hindsight.errors import HindsightError, UsageError
from agentgym_hindsight.names import is_import_name
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.wrappers import PromptState, format_response, parse_response
from agentgym_hindsight.wrappers.protocols import is_template_name, make_protocol

__all__ = ["changed_modules", "check_own_code", "imported_names", "module_hashes"]

_UPDATES = 10_000  # λ is checked at so many updates at most


def imported_names(settings: RunSettings) -> list[str]:
    """The ``module:NAME`` of everything that the settings import, sorted."""
    method = settings.method
    given = (*method.imported_from.split("+"), str(method.as_dict()["when"]))
    names = {name for name in given if is_import_name(name)}
    return sorted(names | stage_imports(settings.stage))


def module_hashes(settings: RunSettings) -> dict[str, str]:
    """A hash of the file of each module that is not of this library and has a part of the run: module → hash."""
    method = settings.method
    return file_hashes([*imported_names(settings), _module_of(method.credit), _module_of(method.when)])


def changed_modules(before: object, settings: RunSettings) -> list[str]:
    """The modules whose code differs from that at the start of the run (``code`` in run.json)."""
    now = module_hashes(settings)
    old = before if isinstance(before, dict) else {}
    return [name for name in now if name in old and old[name] != now[name]]


def _module_of(part: Any) -> str:
    return str(part.__module__ if hasattr(part, "__qualname__") else type(part).__module__)


def check_own_code(settings: RunSettings) -> None:
    """Call the parts that are not of this library with small inputs. Raises if one fails or gives a wrong result."""
    method, stage = settings.method, settings.stage
    if not is_ours(_module_of(method.credit)):
        with torch.random.fork_rng(devices=[]):
            _try_credit(method)
    check_resampling(method, stage)
    if method.replaces_rollouts or method.writes_contexts:
        try_hooks(method, has_server=settings.analyser is not None)
    if not is_ours(_module_of(method.when)):
        for update in range(min(settings.plan.updates, _UPDATES)):
            _tried("λ of the method", method.name, lambda update=update: method.check_strength(update))  # type: ignore[misc]
    if is_import_name(stage.protocol) and not is_template_name(stage.protocol):
        _tried("the protocol", stage.protocol, lambda: _try_protocol(stage))
    if is_import_name(stage.parser):
        _tried("the parser", stage.parser, lambda: [parse_response(text, stage.parser) for text in ("", "look", "<a>")])
    if is_tiny(settings.model):  # expert play writes actions in the format of the parser
        format_response("look", stage.parser)


def _try_protocol(stage: Stage) -> None:
    protocol = make_protocol(stage.protocol, history=stage.history)
    for history in ((), [("A room.", "look")]):
        makes = protocol.follow_up if history and protocol.conversation else protocol.render
        prompt = makes(PromptState("find the mug", "A room.", ("look", "wait"), history))
        if not isinstance(prompt, str):
            raise UsageError(
                f"Expected the prompt as text from {makes.__name__} of {stage.protocol!r}, "
                f"got {type(prompt).__name__}; try returning a str."
            )


def _try_credit(method: Method) -> None:
    """Two groups of two rollouts; one turn was invalid, and one rollout has two turns."""
    rows = Rows(
        group=np.array([0, 0, 0, 1, 1]),
        trajectory=np.array([0, 0, 1, 2, 3]),
        place=np.array([0, 1, 0, 0, 0]),
        returns=np.array([10.0, 10.0, 0.0, 0.0, 10.0]),
        rewards=np.array([0.0, 10.0, 0.0, 0.0, 10.0]),
        invalid=np.array([False, False, True, False, False]),
        anchors=("room", "hall", "room", "room", "room"),
        actions=("north", "take mug", "eat", "take mug", "north"),
        next_anchors=("hall", "end", "room", "end", "end"),
        won=np.array([True, True, False, False, True]),
        values=Values(np.zeros(5), tuple(np.zeros(2) for _ in range(5)), np.zeros(5)),
    )
    with np.errstate(all="ignore"):  # NaN and infinity are named below
        advantages = _tried("the credit of the method", method.name, lambda: method.credit(rows))
    if isinstance(advantages, list):  # one array per row, with an advantage per token
        lengths = [np.shape(each) for each in advantages]
        shape: Any = (len(rows),) if lengths == [(2,)] * len(rows) else lengths
        numbers = np.concatenate([np.ravel(each) for each in advantages]) if lengths else np.zeros(0)
    else:
        shape = tuple(advantages.shape) if hasattr(advantages, "shape") else type(advantages).__name__
        numbers = np.asarray(advantages) if hasattr(advantages, "shape") else np.zeros(0)
    if shape != (len(rows),):
        raise UsageError(
            f"Expected one advantage per row, an array ({len(rows)},), from the credit of {method.name!r}, "
            f"got {shape}; try returning an array of the shape of rows.returns."
        )
    if not bool(np.isfinite(numbers).all()):
        raise UsageError(
            f"Expected finite advantages from the credit of {method.name!r}, got {numbers.tolist()}; "
            "try adding 1e-6 to what it divides by."
        )


def _tried(part: str, name: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except HindsightError:
        raise
    except Exception as error:
        raise UsageError(
            f"Expected {part} {name!r} to work on a small example, got {type(error).__name__}: {error}."
        ) from error
