"""A run's settings from a recipe, a YAML file and single values by dotted name: the last word wins."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.run import Examination, Training
from agentgym_hindsight.baselines.training.warm_start import WarmStart
from agentgym_hindsight.errors import DamagedDataError, MissingDataError, UnknownNameError, UsageError
from agentgym_hindsight.stage import Stage

__all__ = ["TINY", "configure", "dump_configuration", "load_configuration"]

#: What a tiny policy takes in place of the paper's settings: short prompts, bare houses, short episodes, large steps,
#: and one type of task, as much as it can learn in minutes (``stage.settings.task_types=null`` is all six).
#: It begins as the pupil of a player who dawdles: a habit that costs turns in every house, so that what reinforcement
#: has to find holds everywhere. One that began at the best it could do gained nothing in minutes (training-tiny.md).
#: No penalty: in a group without a win the deviation it is divided by is its own, however small it is, and a policy
#: that seldom wins learns to do nothing wrong and nothing at all.
#: A temperature below 1: at 1 a tiny policy's siblings differ in garbled words most of all.
TINY: dict[str, Any] = {
    "stage": {
        "protocol": "brief",
        "settings": {
            "data": "embedded",
            "difficulty": "bare",
            "task_types": ["look_at_obj_in_light"],
            "max_steps": 10,
        },
    },
    "warm": {"tasks": 400, "dawdle": 0.75, "hindsight": 1.0},
    "plan": {
        "updates": 40,
        "tasks": 8,
        "siblings": 8,
        "learning_rate": 5e-4,
        "temperature": 0.7,
        "prompt_tokens": 640,
        "response_tokens": 16,
        "context_tokens": 160,
        "save_every": 10,
        "keep": 1,
    },
    "method": {"penalty": 0.0},
    "examination": {"tasks": 200, "every": 10, "temperatures": [0.0, 0.4]},
}
#: What takes the place of the house's settings in other worlds: prompts of code and output need another protocol.
_ELSEWHERE: dict[str, dict[str, Any]] = {
    "AppWorld": {
        "stage": {"protocol": "code", "settings": {"max_steps": 6}},
        "plan": {"prompt_tokens": 768, "response_tokens": 80},
        "examination": {"tasks": 0, "every": 0},
    },
    "": {"stage": {"settings": {"max_steps": 15}}, "examination": {"tasks": 0, "every": 0}},
}
_ALFWORLD = "ALFWorld"

_PARTS: dict[str, type] = {"stage": Stage, "plan": Plan, "examination": Examination, "warm": WarmStart}
_PLAIN: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "template": (dict,),
    "train_tasks": (int,),
    "samples_every": (int,),
    "peft": (dict, type(None)),
    "judge": (dict, type(None)),
}


def configure(name: str, given: Mapping[str, Any] | None = None, settings: Sequence[str] = ()) -> Training:
    """The run of a recipe: defaults, then ``given`` (a configuration file), then ``NAME=VALUE`` texts.

    The paper's numbers are the defaults; a tiny model takes :data:`TINY` first.

    >>> run = configure("serl", settings=["plan.updates=3", "method.what=success|immediate", "method.penalty=0"])
    >>> run.plan.updates, str(run.method.what), run.method.credit.penalty, run.stage.protocol
    (3, 'success|immediate', 0, 'brief')
    """
    tree = _merged({}, {key: value for key, value in (given or {}).items() if key != "recipe"})
    for text in settings:
        path, equals, value = text.partition("=")
        if not equals or not path:
            raise UsageError(f"Expected NAME=VALUE, got {text!r}; try plan.updates=40.")
        _put(tree, path.split("."), _value(value))
    model = tree.get("model", "tiny:S")
    if not isinstance(model, str):
        raise UsageError(f"Expected model as a name, got {model!r}; try tiny:S.")
    if model.startswith("tiny:"):
        preset = json.loads(json.dumps(TINY))
        env = str(_mapping(tree.get("stage", {}), "stage").get("env", _ALFWORLD))
        if _ALFWORLD not in env:
            del preset["stage"]["settings"], preset["warm"]
            preset = _merged(preset, next(other for name, other in _ELSEWHERE.items() if name in env))
        tree = _merged(preset, tree)
    known = {*_PARTS, *_PLAIN, "method"}
    for key in tree:
        if key not in known:
            raise UnknownNameError("setting", key, known)
    parts = {key: _build(kind, tree.get(key, {}), key) for key, kind in _PARTS.items()}
    method = _mapping(tree.get("method", {}), "method")
    plain = {key: tree[key] for key in _PLAIN if key in tree}
    for key, value in plain.items():
        if not isinstance(value, _PLAIN[key]):
            kinds = " or ".join(kind.__name__ for kind in _PLAIN[key])
            raise UsageError(f"Expected {key} as {kinds}, got {value!r}; try leaving it out.")
    chosen = recipe(name).changed(**method)
    _check_teacher(recipe(name), chosen)
    return Training(method=chosen, **parts, **{**plain, "model": model})


def _check_teacher(own: Method, chosen: Method) -> None:
    """What is said to a teacher that nobody asks would be lost without a word."""
    if chosen.what is None:
        lost = [name for name in ("who", "tokens", "how", "aux_kl") if getattr(chosen, name) != getattr(own, name)]
        if lost:
            raise UsageError(f"Expected {lost[0]} of a teacher, got {own.name} without one; try --what immediate.")
    elif own.what is None and str(chosen.when) == str(own.when):
        raise UsageError(f"Expected a λ with a teacher, got none in {own.name}; try --when '0.5->0/50' as well.")


def load_configuration(path: str | Path) -> dict[str, Any]:
    """Read a YAML file of settings."""
    require_train("reading a configuration file")
    import yaml

    path = Path(path)
    if not path.is_file():
        raise MissingDataError(
            f"Expected a configuration file at {path}, found nothing; try configs/serl_alfworld_7b.yaml."
        )
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise DamagedDataError(f"Expected YAML in {path}, got: {str(error).splitlines()[0]}.") from error
    if not isinstance(document, dict):
        raise DamagedDataError(f"Expected settings by name in {path}, got {type(document).__name__}; try recipe: serl.")
    return document


def dump_configuration(name: str, training: Training) -> str:
    """The whole configuration as YAML that :func:`load_configuration` reads."""
    require_train("writing a configuration")
    import yaml

    plain = json.loads(json.dumps(training.as_dict(), default=list))
    plain["plan"]["seed"] = training.plan.seed
    text: str = yaml.safe_dump({"recipe": name, **plain}, sort_keys=False, allow_unicode=True, width=100)
    return text


def _build(kind: type, values: Any, name: str) -> Any:
    assert is_dataclass(kind)
    known = {each.name: each for each in fields(kind)}
    values = _mapping(values, name)
    for key, value in values.items():
        if key not in known:
            raise UnknownNameError(f"setting of {name}", key, known)
        default = known[key].default
        if isinstance(default, float) and isinstance(value, str):
            value = _number(value)  # YAML reads 1e-6, without a point, as text
        if default is not MISSING and default is not None and not isinstance(value, _like(default)):
            raise UsageError(f"Expected {name}.{key} as {type(default).__name__} (such as {default!r}), got {value!r}.")
        if isinstance(default, tuple):
            values[key] = tuple(value)
        elif isinstance(default, float):
            values[key] = float(value)
        elif default is MISSING:  # a mapping of its own factory
            values[key] = _mapping(value, f"{name}.{key}")
    return kind(**values)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _like(default: Any) -> tuple[type, ...]:
    if isinstance(default, bool):
        return (bool,)
    if isinstance(default, float):
        return (float, int)
    return (list, tuple) if isinstance(default, tuple) else (type(default),)


def _mapping(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"Expected settings by name for {name}, got {value!r}; try {name}.NAME=VALUE.")
    return dict(value)


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        # Mappings are copied all the way down: single values are put into them, and what was given is not ours.
        merged[key] = (
            _merged(below if isinstance(below, Mapping) else {}, value) if isinstance(value, Mapping) else value
        )
    return merged


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise UsageError(f"Expected {key} to hold settings, got {tree!r}; try another name.")
    tree[path[-1]] = value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
