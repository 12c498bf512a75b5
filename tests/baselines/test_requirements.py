"""Without the extra ``[train]``, every module of the baselines imports or names the pip command."""

from __future__ import annotations

import subprocess
import sys

#: Imports every module without the packages of ``[train]`` and prints what is wrong.
CODE = """
import importlib, pkgutil, sys

TRAIN = ("torch", "transformers", "trl")
sys.modules.update(dict.fromkeys(TRAIN))  # None: an import raises ModuleNotFoundError
import agentgym_hindsight.baselines as baselines
from agentgym_hindsight.errors import MissingExtraError
from agentgym_hindsight.installation import pip_command

CURE = f"try: {pip_command('train')}"
PREFIX = baselines.__name__ + "."
NEED_TRAIN = tuple(PREFIX + name for name in (
    "methods.batch", "methods.divergences", "methods.signals", "methods.tensor_checks",
    "training", "padding", "policies.generation", "policies.kept_cache", "audit.remembered", "audit.teachers",
    "audit.fitted_critics",
))


def check(name):
    try:
        importlib.import_module(name)
    except MissingExtraError as error:
        if not name.startswith(NEED_TRAIN):
            print(name, "needs", error.package)
        elif CURE not in str(error):
            print(name, "does not name the pip command:", error)
    except Exception as error:
        print(name, "raises", repr(error))
    else:
        if name.startswith(NEED_TRAIN):
            print(name, "imports although it needs the extra")


def found(path, prefix):
    for module in pkgutil.iter_modules(path, prefix):
        yield module.name
        if module.ispkg:  # not walk_packages: it imports the packages
            yield from found([path[0] + "/" + module.name.rpartition(".")[2]], module.name + ".")


names = list(found(baselines.__path__, PREFIX))
if len(names) < 50:
    print("only", len(names), "modules found")
for name in [*names, "agentgym_hindsight.stage"]:
    check(name)

from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy

try:
    TransformersPolicy.load("some-model")
except MissingExtraError as error:
    if CURE not in str(error):
        print("TransformersPolicy.load does not name the pip command:", error)
loaded = [name for name in TRAIN if sys.modules.get(name) is not None]
if loaded:
    print("loaded:", *loaded)
"""


def test_modules_import_without_train_or_name_the_pip_command() -> None:
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("", "", 0)
