"""The settings of a run from a recipe, a YAML file and ``NAME=VALUE`` texts; later ones override earlier ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.combined import combine, terms_of
from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.baselines.settings import SettingError, build, checked, mapping
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.run_settings import EvaluationSettings, RunSettings
from agentgym_hindsight.baselines.training.tiny import is_tiny
from agentgym_hindsight.baselines.training.warm_start import WarmStart
from agentgym_hindsight.baselines.training.yaml_file import read_yaml
from agentgym_hindsight.errors import DamagedDataError, MissingDataError, UnknownNameError, UsageError
from agentgym_hindsight.names import known_name
from agentgym_hindsight.stage import Stage, known_env

__all__ = ["TINY", "configure", "dump_configuration", "load_configuration", "shipped_configurations"]

_CONFIGS = Path(__file__).parents[1] / "configs"

#: The preset of tiny models, in place of the paper's settings.
#: * Short prompts, bare houses, short episodes, a large learning rate, and one task type: as much as a tiny policy can
#:   learn in minutes (``stage.settings.task_types=null`` plays all six types).
#: * The warm start imitates an expert that makes needless looks. They cost turns in every house, so a policy that drops
#:   them in the training houses also wins more in unseen ones. Warm starts without such a habit gained nothing in
#:   minutes (docs/benchmarks/training-tiny.md).
#: * No penalty for invalid actions: in a group without a success only the penalty causes variance, and dividing by the
#:   std cancels its size. A policy that seldom succeeds then learns to avoid invalid actions and nothing else.
#: * A temperature below 1: at 1 the siblings of a tiny policy differ mostly in misspelt words.
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
    "warm": {"tasks": 400, "needless_looks": 0.75, "hindsight": 1.0},
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
    "evaluation": {"tasks": 200, "every": 10, "temperatures": [0.0, 0.4]},
}
#: Settings of the preset for other environments. Prompts with code and its output need another protocol.
_OTHER_ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "AppWorld": {
        "stage": {"protocol": "code", "settings": {"max_steps": 6}},
        "plan": {"prompt_tokens": 768, "response_tokens": 80},
        "evaluation": {"tasks": 0, "every": 0},
    },
    "": {"stage": {"settings": {"max_steps": 15}}, "evaluation": {"tasks": 0, "every": 0}},
}
_ALFWORLD = "ALFWorld"
_DEEPEST = 32  # levels of a setting's name

#: Settings that are themselves dataclasses.
_PARTS: dict[str, type] = {"stage": Stage, "plan": Plan, "evaluation": EvaluationSettings, "warm": WarmStart}


def configure(name: str, given: Mapping[str, Any] | None = None, settings: Sequence[str] = ()) -> RunSettings:
    """The settings of a recipe: defaults, then ``given`` (a configuration file), then ``NAME=VALUE`` texts.

    ``name`` is a recipe of this library, or ``package.module:NAME`` for a :class:`~.base.Method` of your own.
    The defaults are the paper's; for a tiny model :data:`TINY` overrides them.

    >>> run = configure("serl", settings=["plan.updates=3", "method.what=success|immediate", "method.penalty=0"])
    >>> run.plan.updates, str(run.method.what), run.method.credit.penalty, run.stage.protocol
    (3, 'success|immediate', 0.0, 'brief')
    """
    tree = _merged({}, {key: value for key, value in (given or {}).items() if key != "recipe"})
    for text in settings:
        path, equals, value = text.partition("=")
        if not equals or not path:
            raise UsageError(f"Expected NAME=VALUE, got {text!r}; try plan.updates=40.")
        _set_value(tree, path.split("."), _value(value))
    given_method = mapping(tree.get("method", {}), "method")
    defaults = combine(recipe(name), *terms_of(given_method.get("plus", ())))
    if isinstance(tree.get("method"), dict):
        tree["method"].pop("plus", None)
    tree = _with_preset(tree, defaults)
    known = {each.name for each in fields(RunSettings)}
    for key in tree:
        if key not in known:
            raise UnknownNameError("setting", key, known)
    parts: dict[str, Any] = {key: build(kind, mapping(tree.pop(key, {}), key), key) for key, kind in _PARTS.items()}
    values = mapping(tree.pop("method", {}), "method")
    try:
        method = defaults.changed(**values)
    except SettingError as error:
        raise error.within("method") from None
    _check_teacher(defaults, method)
    return RunSettings(method=method, **parts, **checked(RunSettings, tree, ""))


def _with_preset(tree: dict[str, Any], method: Method) -> dict[str, Any]:
    """The settings, with the preset of their model as defaults. The default model is a tiny one."""
    model = tree.setdefault("model", "tiny:S")
    if not isinstance(model, str):
        raise UsageError(f"Expected model as a name, got {model!r}; try tiny:S.")
    if not is_tiny(model):
        return tree
    preset = json.loads(json.dumps(TINY))
    preset["method"]["analyser"] = "scripted"  # a tiny policy cannot write analyses
    # A method of one's own need not have the options of our credits.
    known = {key.rpartition(".")[2] for key in method.as_dict()}  # terms have their values as NAME.value
    preset["method"] = {key: value for key, value in preset["method"].items() if key in known}
    env = known_env(str(mapping(tree.get("stage", {}), "stage").get("env", _ALFWORLD)))
    if _ALFWORLD not in env:
        del preset["stage"]["settings"], preset["warm"]
        preset = _merged(preset, next(other for name, other in _OTHER_ENVIRONMENTS.items() if name in env))
    return _merged(preset, tree)


def _check_teacher(defaults: Method, method: Method) -> None:
    """Reject teacher options when the method has no teacher, and a teacher whose λ is always 0."""
    if not method.has_teacher:
        ignored = [
            name for name in ("who", "tokens", "how", "aux_kl") if getattr(method, name) != getattr(defaults, name)
        ]
        if ignored:
            raise UsageError(
                f"Expected a teacher for the option {ignored[0]}, got {defaults.name} without one; "
                "try --what immediate."
            )
    elif not defaults.has_teacher and str(method.when) == str(defaults.when):
        raise UsageError(f"Expected a λ for the teacher, got none in {defaults.name}; try --when '0.5->0/50' as well.")


def shipped_configurations() -> dict[str, Path]:
    """The configuration files of this package: name → path."""
    return {path.stem: path for path in sorted(_CONFIGS.glob("*.yaml"))}


def load_configuration(source: str | Path) -> dict[str, Any]:
    """Read a YAML file of settings: a path, or the name of a shipped configuration such as ``serl_alfworld_7b``."""
    require_train("reading a configuration file")
    shipped = shipped_configurations()
    path = Path(source)
    if not path.exists():
        try:
            path = shipped[known_name("configuration", str(source), shipped)]
        except UnknownNameError:
            raise MissingDataError(
                f"Expected a configuration file or the name of a shipped one, got {str(source)!r}; "
                f"try one of: {', '.join(shipped)}."
            ) from None
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise DamagedDataError(f"Expected settings by name in {path}, got {type(document).__name__}; try recipe: serl.")
    return document


def dump_configuration(name: str, training: RunSettings) -> str:
    """The whole configuration as YAML that :func:`load_configuration` reads.

    A schedule of your own that has no text form is left out: the method of this name has it.
    """
    require_train("writing a configuration")
    import yaml

    plain = json.loads(json.dumps(training.as_dict(), default=list))
    try:
        training.method.changed(when=plain["method"]["when"])
    except UsageError:
        del plain["method"]["when"]
    plain["plan"]["seed"] = training.plan.seed
    text: str = yaml.safe_dump({"recipe": name, **plain}, sort_keys=False, allow_unicode=True, width=100)
    return text


def _merged(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in overrides.items():
        nested = merged.get(key)
        # Copy nested mappings too: _set_value writes into them, and the caller's mappings must not change.
        merged[key] = (
            _merged(nested if isinstance(nested, Mapping) else {}, value) if isinstance(value, Mapping) else value
        )
    return merged


def _set_value(tree: dict[str, Any], path: list[str], value: Any) -> None:
    if len(path) > _DEEPEST:
        raise UsageError(f"Expected a setting, got a name of {len(path)} parts; try plan.updates=40.")
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise UsageError(f"Expected {key} to contain settings, got {tree!r}; try another name.")
    tree[path[-1]] = value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
    except RecursionError:
        raise UsageError(f"Expected a value with a few levels, got {text[:40]!r}…; try a smaller one.") from None
