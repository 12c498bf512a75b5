"""The presets of tiny models: settings by env with which a policy from scratch learns in minutes on a CPU.

They replace the defaults of the papers where the user gave no value. A run records all its settings, so a preset is
visible in run.json; the backend's name says which world was played.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agentgym_hindsight.stage import known_env

__all__ = ["TINY", "merged", "tiny_preset"]

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
#: Changes of the preset for other environments, by a part of the id.
#: * WebShop: the bare shop, which is not the benchmark. The prompt calls what is clicked by short names, and the warm
#:   start also predicts the prompts (``prompt_loss``): otherwise a tiny model learns to copy no word of a search in
#:   minutes (docs/benchmarks/training-worlds.md).
#: * AppWorld: six templates with one to three short programs, and other tasks of these templates as the held-out split.
#:   The expert asks for the profile without need, which costs turns: as in ALFWorld, RL removes the habit. There is no
#:   list of actions to draw detours from, so all siblings of the expert's play would be the same.
#: * BFCL: four kinds of the embedded world with one call about a file. The functions are not listed. The prompt marks
#:   paths: from copied names the policy of the quick preset won no unseen task. The expert lists the folder needlessly.
_OTHER_ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "WebShop": {
        "stage": {
            "protocol": "short",
            "settings": {"data": "embedded", "difficulty": "bare", "max_steps": 10},
        },
        "warm": {"tasks": 1200, "siblings": 2, "noise": 0.1, "hindsight": 0.2, "prompt_loss": 1.0},
        "plan": {"prompt_tokens": 512, "response_tokens": 32},
    },
    "AppWorld": {
        "stage": {
            "protocol": "short",
            "settings": {
                "templates": ["ask_artist", "ask_balance", "ask_price", "ask_the_time", "count_tagged", "set_alarm"],
                "held_out": "tasks",
                "max_steps": 4,
            },
        },
        "warm": {
            "tasks": 0,
            "siblings": 1,
            "noise": 0.0,
            "needless_looks": 0.5,
            "hindsight": 0.3,
            "epochs": 8,
            "prompt_loss": 1.0,
        },
        "plan": {"prompt_tokens": 512, "response_tokens": 96},
        "evaluation": {"tasks": 0},
    },
    "TauBench": {
        "stage": {
            "protocol": "short",
            "settings": {
                "backend": "embedded",
                "kinds": ["cancel_order"],
                "user": "scripted-all",
                "introduce": False,
                "max_steps": 6,
            },
        },
        "warm": {
            "tasks": 0,
            "siblings": 1,
            "noise": 0.0,
            "needless_looks": 0.5,
            "hindsight": 0.3,
            "epochs": 5,
            "prompt_loss": 1.0,
        },
        "plan": {"prompt_tokens": 512, "response_tokens": 64},
        "evaluation": {"tasks": 0},
    },
    "BFCL": {
        "stage": {
            "protocol": "short",
            "settings": {
                "kinds": ["read_file+base", "delete_file+base", "make_folder+base", "measure_file+base"],
                "introduce": False,
                "max_steps": 3,
            },
        },
        "warm": {
            "tasks": 0,
            "siblings": 1,
            "noise": 0.0,
            "needless_looks": 0.5,
            "hindsight": 0.3,
            "epochs": 5,
            "prompt_loss": 1.0,
        },
        "plan": {"prompt_tokens": 256, "response_tokens": 48},
        "evaluation": {"tasks": 0},
    },
    # Any other env, such as one of your own.
    "": {"stage": {"settings": {"max_steps": 15}}, "evaluation": {"tasks": 0, "every": 0}},
}
#: Changes for ``--quick``: a run of a few minutes, long enough to see every part of it and a first gain.
_QUICK: dict[str, dict[str, Any]] = {
    "ALFWorld": {
        "warm": {"tasks": 120},
        "plan": {"updates": 4, "save_every": 0},
        "evaluation": {"tasks": 64, "every": 0, "temperatures": [0.4]},
    },
    "WebShop": {
        "warm": {"tasks": 600},
        "plan": {"updates": 4, "save_every": 0},
        "evaluation": {"tasks": 64, "every": 0, "temperatures": [0.4]},
    },
    "AppWorld": {
        "warm": {"epochs": 5},
        "plan": {"updates": 2, "tasks": 4, "siblings": 4, "save_every": 0},
        "evaluation": {"tasks": 32, "every": 0, "temperatures": [0.4]},
    },
    "BFCL": {
        "warm": {"epochs": 3},
        "plan": {"updates": 2, "tasks": 4, "siblings": 4, "save_every": 0},
        "evaluation": {"tasks": 32, "every": 0, "temperatures": [0.4]},
    },
    "TauBench": {
        "plan": {"updates": 2, "tasks": 4, "siblings": 4, "save_every": 0},
        "evaluation": {"tasks": 32, "every": 0, "temperatures": [0.4]},
    },
    "": {
        "warm": {"tasks": 100},
        "plan": {"updates": 2, "tasks": 4, "siblings": 4, "save_every": 0},
        "evaluation": {"tasks": 32, "every": 0, "temperatures": [0.4]},
    },
}
_ALFWORLD = "ALFWorld"


def tiny_preset(env: str, settings: Mapping[str, Any] | None = None, *, quick: bool = False) -> dict[str, Any]:
    """The preset of tiny models for an env (default: ALFWorld), as a new tree of settings.

    ``settings`` are the env's own arguments that were given: what selects tasks of the embedded world is not used for
    other data.

    >>> tiny_preset("webshop")["stage"]["protocol"], tiny_preset("webshop", quick=True)["plan"]["updates"]
    ('short', 4)
    """
    env = known_env(env or _ALFWORLD)
    preset: dict[str, Any] = json.loads(json.dumps(TINY))
    if _ALFWORLD not in env:
        del preset["stage"]["settings"], preset["warm"]
        preset = merged(preset, _of_env(_OTHER_ENVIRONMENTS, env))
        given, chosen = settings or {}, preset["stage"]["settings"]
        if given.get("data", "embedded") != "embedded" or given.get("backend") in ("official", "tau2"):
            for name in ("difficulty", "max_steps", "kinds"):
                chosen.pop(name, None)
        if given.get("backend", "miniature") != "miniature" or "difficulty" in given:
            for name in ("templates", "held_out"):
                chosen.pop(name, None)
    return merged(preset, _of_env(_QUICK, env)) if quick else preset


def _of_env(presets: Mapping[str, dict[str, Any]], env: str) -> dict[str, Any]:
    return next(changes for name, changes in presets.items() if name in env)


def merged(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A tree of settings with the values of another tree in place of its own."""
    result = dict(base)
    for key, value in overrides.items():
        nested = result.get(key)
        # Copy nested mappings too: _set_value writes into them, and the caller's mappings must not change.
        result[key] = (
            merged(nested if isinstance(nested, Mapping) else {}, value) if isinstance(value, Mapping) else value
        )
    return result
