"""Names of the modules and objects that docs/generate.py reads: the only place to change when a module moves."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

__all__ = ["INTERNAL", "OBJECTS", "PACKAGE", "REFERENCE", "SUBMODULES", "load"]

PACKAGE = "agentgym_hindsight"

#: Modules of docs/reference.md in their order, below PACKAGE. ``name.*`` means every module of that package with an
#: ``__all__``, sorted; a package in it counts as one module.
REFERENCE = (
    "",
    "errors",
    "hindsight",
    "wrappers",
    "vector",
    "stage",
    "baselines.*",
    "baselines.methods.*",
    "baselines.evaluation.*",
    "baselines.training.*",
    "exports.formats",
    "exports.exact",
    "exports.turn_tokens",
    "exports.session",
    "exports.teacher_gaps",
    "exports.trl_weights",
    "testing",
)

#: Modules that a ``name.*`` leaves out, because no code outside the library should depend on them.
INTERNAL = {
    "baselines.own_modules",
    "baselines.padding",
    "baselines.requirements",
    "baselines.settings",
    "baselines.methods.tensor_checks",
    "baselines.training.callbacks",
    "baselines.training.collating",
    "baselines.training.interrupt",
    "baselines.training.memory",
    "baselines.training.metrics",
    "baselines.training.own_code",
    "baselines.training.preflight",
    "baselines.training.prolonging",
    "baselines.training.run_folder",
    "baselines.training.yaml_file",
    "baselines.training.collectives",
    "baselines.training.quiet",
    "baselines.training.samples",
    "baselines.training.scoring",
    "baselines.training.sharding",
    "baselines.training.single_process",
    "baselines.training.start",
    "baselines.training.teacher_weights",
    "baselines.training.timing",
    "baselines.training.training_rows",
    "baselines.training.trl_config",
    "baselines.training.update_player",
}

#: Modules that a ``name.*`` adds. Their package does not export their names, because they need an extra.
SUBMODULES = ("baselines.policies.endpoint", "baselines.policies.transformers", "baselines.policies.vllm")

#: The objects that a page reads, as ``module:attribute`` below PACKAGE: by page, then by the name that the page's
#: section in sections.py uses. ``every env`` holds those of generate.py.
OBJECTS = {
    "every env": {
        "ENVS": "registration:ENVS",
        "INFO_KEYS": "envs.base:INFO_KEYS",
    },
    "alfworld": {
        "SIZES": "envs.alfworld.embedded:SIZES",
        "AlfworldExtra": "envs.alfworld.game_facts:AlfworldExtra",
        "DIFFICULTIES": "envs.alfworld.layouts:DIFFICULTIES",
        "Difficulty": "envs.alfworld.layouts:Difficulty",
        "OFFICIAL_COUNTS": "envs.alfworld.official:OFFICIAL_COUNTS",
        "REASON_KINDS": "envs.alfworld.reasons:REASON_KINDS",
        "TASK_TYPES": "envs.alfworld.scene:TASK_TYPES",
        "STATIONS": "envs.alfworld.object_types:STATIONS",
        "TASK_SENTENCES": "envs.alfworld.object_types:TASK_SENTENCES",
    },
    "webshop": {
        "RULES_DOC": "envs.webshop.session:__doc__",
        "REWARD_DOC": "envs.webshop.reward:__doc__",
        "WebshopExtra": "envs.webshop.shop_facts:WebshopExtra",
        "REASON_KINDS": "envs.webshop.feedback:REASON_KINDS",
        "open_library": "envs.webshop.library:open_library",
        "UsageError": "errors:UsageError",
    },
    "appworld": {
        "APPS": "envs.appworld.miniature.hamlet:APPS",
        "PER_TEMPLATE": "envs.appworld.miniature.tasks:PER_TEMPLATE",
        "SPLITS": "envs.appworld.miniature.tasks:SPLITS",
        "make": "envs.appworld.miniature.tasks:make",
        "templates": "envs.appworld.miniature.tasks:templates",
    },
    "tau": {
        "TauExtra": "envs.tau.backend:TauExtra",
        "embedded_desk": "envs.tau.embedded:embedded_desk",
        "DOMAINS": "envs.tau.desk:DOMAINS",
    },
    "bfcl": {
        "BfclExtra": "envs.bfcl.backend:BfclExtra",
        "embedded_library": "envs.bfcl.embedded:embedded_library",
    },
}


def load(page: str) -> SimpleNamespace:
    """The objects of a page, as attributes."""
    objects = {}
    for name, path in OBJECTS[page].items():
        module, _, attribute = path.partition(":")
        try:
            objects[name] = getattr(importlib.import_module(f"{PACKAGE}.{module}"), attribute)
        except (ModuleNotFoundError, AttributeError) as error:
            raise SystemExit(f"docs/modules.py: Expected {PACKAGE}.{path} to exist; update OBJECTS. {error}") from None
    return SimpleNamespace(**objects)
