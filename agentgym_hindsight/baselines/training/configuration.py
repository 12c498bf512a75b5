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
from agentgym_hindsight.baselines.training.presets import TINY, merged, tiny_preset
from agentgym_hindsight.baselines.training.run_settings import EvaluationSettings, RunSettings
from agentgym_hindsight.baselines.training.tiny import is_tiny
from agentgym_hindsight.baselines.training.warm_start import WarmStart
from agentgym_hindsight.baselines.training.yaml_file import read_yaml
from agentgym_hindsight.errors import DamagedDataError, MissingDataError, UnknownNameError, UsageError
from agentgym_hindsight.names import known_name
from agentgym_hindsight.stage import Stage

__all__ = ["TINY", "composed_name", "configure", "dump_configuration", "load_configuration", "shipped_configurations"]

_CONFIGS = Path(__file__).parents[1] / "configs"

_DEEPEST = 32  # levels of a setting's name

#: Settings that are themselves dataclasses.
_PARTS: dict[str, type] = {"stage": Stage, "plan": Plan, "evaluation": EvaluationSettings, "warm": WarmStart}


def configure(
    name: str, given: Mapping[str, Any] | None = None, settings: Sequence[str] = (), *, quick: bool = False
) -> RunSettings:
    """The settings of a recipe: defaults, then ``given`` (a configuration file), then ``NAME=VALUE`` texts.

    ``name`` is a recipe of this library, or ``package.module:NAME`` for a :class:`~.base.Method` of your own. With
    ``credit`` in ``given`` it has the credit of another method, as ``serl+crbc`` has.
    The defaults are the paper's; for a tiny model the preset of its env overrides them (:mod:`.presets`). ``quick``
    takes the preset of a few minutes.

    >>> run = configure("serl", settings=["plan.updates=3", "method.what=success|immediate", "method.penalty=0"])
    >>> run.plan.updates, str(run.method.what), run.method.credit.penalty, run.stage.protocol
    (3, 'success|immediate', 0.0, 'brief')
    """
    name = composed_name(name, (given or {}).get("credit"))
    tree = merged({}, {key: value for key, value in (given or {}).items() if key not in ("recipe", "credit")})
    for text in settings:
        path, equals, value = text.partition("=")
        if not equals or not path:
            raise UsageError(f"Expected NAME=VALUE, got {text!r}; try plan.updates=40.")
        _set_value(tree, path.split("."), _value(value))
    given_method = mapping(tree.get("method", {}), "method")
    defaults = combine(recipe(name), *terms_of(given_method.get("plus", ())))
    if isinstance(tree.get("method"), dict):
        tree["method"].pop("plus", None)
    tree = _with_preset(tree, defaults, quick)
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


def composed_name(name: str, credit: object) -> str:
    """The name of a method with the credit of another; without one, the name itself.

    >>> composed_name("serl+gigpo", "crbc"), composed_name("serl+gigpo", None)
    ('serl+crbc', 'serl+gigpo')
    """
    if credit is None:
        return name
    if not isinstance(credit, str) or not credit:
        raise UsageError(f"Expected credit as the name of a method, got {credit!r}; try crbc.")
    return f"{str(name).partition('+')[0]}+{credit}"


def _with_preset(tree: dict[str, Any], method: Method, quick: bool) -> dict[str, Any]:
    """The settings, with the preset of their model and env as defaults. The default model is a tiny one."""
    model = tree.setdefault("model", "tiny:S")
    if not isinstance(model, str):
        raise UsageError(f"Expected model as a name, got {model!r}; try tiny:S.")
    if not is_tiny(model):
        if quick:
            raise UsageError(f"Expected a tiny model for --quick, got {model!r}; try --model tiny:S.")
        return _with_warm_start(tree)
    stage = mapping(tree.get("stage", {}), "stage")
    preset = tiny_preset(str(stage.get("env", "")), mapping(stage.get("settings", {}), "stage.settings"), quick=quick)
    preset["method"]["analyser"] = "scripted"  # a tiny policy cannot write analyses
    # A method of one's own need not have the options of our credits.
    known = {key.rpartition(".")[2] for key in method.as_dict()}  # terms have their values as NAME.value
    preset["method"] = {key: value for key, value in preset["method"].items() if key in known}
    return merged(preset, tree)


def _with_warm_start(tree: dict[str, Any]) -> dict[str, Any]:
    """The settings of a model that is not tiny. Setting a value of the warm start turns it on.

    The printed configuration of a run without a warm start has all values at their defaults.
    """
    given = mapping(tree.get("warm", {}), "warm")
    defaults = WarmStart().as_dict()
    if not given.get("always", any(value != defaults.get(name) for name, value in given.items())):
        return tree
    adapters = tree.get("peft") if "peft" not in given else given["peft"]
    preset = {
        "always": True,
        "tasks": 256,
        "siblings": 1,
        "micro": 4,
        "learning_rate": 2e-4 if adapters else 2e-5,
        **({"peft": adapters} if adapters else {}),
    }
    return merged({"warm": preset}, tree)


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
