"""The defaults of the papers' released code, as one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentgym_hindsight.baselines import methods as recipes
from agentgym_hindsight.baselines.methods import RECIPES, recipe
from agentgym_hindsight.baselines.methods.anchor_groups import GroupInGroup
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.evidence import Evidence
from agentgym_hindsight.baselines.methods.hgpo import HistoryGroups
from agentgym_hindsight.baselines.methods.rloo import LeaveOneOut
from agentgym_hindsight.baselines.methods.rows import Rows, Values
from agentgym_hindsight.errors import UnknownNameError

#: Parameters of the policy loss, the same for all recipes.
LOSS = {"clip": 0.2, "dual_clip": 3.0, "entropy": 0.001, "kl": 0.0, "aux_kl": 0.0, "anchor": "observation",
        "details": False, "critic": "", "ratio": "token", "reduction": "token", "policy_weight": 1.0}  # fmt: skip
NO_TEACHER = {"what": "", "when": "0"}
#: What all methods share that imitate a teacher and have no policy gradient.
IMITATION = {"what": "", "tokens": "response", "when": "1", "policy_weight": 0.0, "entropy": 0.0, "top_k": 100,
             "importance": None, "penalty": 0.1, "statistics": "rows", "scale": "std"}  # fmt: skip
GATED = {"what": "success", "who": "current", "tokens": "response", "how": "reweight:0.2", "penalty": 0.1,
         "statistics": "rows", "scale": "std"}  # fmt: skip
TABLE: dict[str, dict[str, Any]] = {
    "psp": {
        **NO_TEACHER,
        "penalty": 0.1,
        "gate": 0.1,
        "analyser": "policy",
        "analyser_tokens": 1024,
        "kl": 0.01,
        "entropy": 0.0,
        "scale": "std",
    },
    "sgcd-like": {
        "what": "",
        "who": "current",
        "tokens": "response",
        "when": "0.5->0/50",
        "how": "reweight:0.2",
        "analyser": "policy",
        "analyser_tokens": 256,
    },
    "resd": {
        **IMITATION,
        "who": "ema:0.0001",
        "alpha": 1.0,
        "analyser": "policy",
        "analyser_tokens": 768,
        "reflection": True,
        "buffer": True,
        "playbook_entries": 200,
        "playbook_refresh": 4,
        "floor": 0.2,
        "ceiling": None,
        "success_power": 1.0,
        "failure_power": 1.0,
    },
    "sdpo": {
        **IMITATION,
        "what": "success|immediate",
        "who": "ema:0.05",
        "alpha": 0.5,
        "importance": 2.0,
        "scale": "none",
        "how": "reweight:0.2",
    },
    "sdft": {
        **IMITATION,
        "what": "success",
        "who": "ema:0.02",
        "alpha": 0.0,
        "top_k": None,
        "skip": 0,
        "how": "reweight:0.2",
    },
    "srpo": {
        **IMITATION,
        "what": "success|immediate",
        "who": "ema:0.05",
        "tokens": "response@failed",
        "alpha": 0.5,
        "scale": "none",
        "policy_weight": 1.0,
        "entropy_slope": 1.0,
        "how": "reweight:0.2",
    },
    "sdar": {**GATED, "when": "0.01", "kl": 0.01, "gate_slope": 5.0},
    "opsd": {**GATED, "when": "0.01", "policy_weight": 0.0, "entropy": 0.0},
    "skill-sd": {**GATED, "when": "0.001", "kl": 0.01},
    "hint-sd": {
        **IMITATION,
        "who": "ema:0.001",
        "alpha": 1.0,
        "analyser": "teacher",
        "targets": "multi",
        "most_targets": 3,
        "feedback_at": "turn",
        "analyser_tokens": 512,
    },
    "hero": {
        **IMITATION,
        "who": "ema:0.05",
        "alpha": 0.5,
        "analyser": "policy",
        "shown": "both",
        "analyser_tokens": 1024,
    },
    "grpo": {**NO_TEACHER, "penalty": 0.1, "statistics": "rows", "scale": "std"},
    "rloo": {**NO_TEACHER, "penalty": 0.1, "statistics": "rows"},
    "gigpo": {**NO_TEACHER, "penalty": 0.1, "gamma": 0.95, "omega": 1.0, "scale": "std", "statistics": "rows"},
    "hgpo": {
        **NO_TEACHER,
        "penalty": 0.1,
        "gamma": 0.95,
        "history": 2,
        "alpha": 1.0,
        "weight_offset": 1,
        "base_group": False,
        "scale": "std",
    },
    "crbc": {
        **NO_TEACHER,
        "penalty": 0.1,
        "beta": 0.98,
        "w_group": 1.0,
        "w_step": 5.0,
        "sigma_min": 0.1,
        "depth": None,
        "scale": "std",
        "statistics": "rows",
        "kl": 0.01,
        "entropy": 0.0,
    },
    "pgpo": {
        **NO_TEACHER,
        "penalty": 0.1,
        "gamma": 0.95,
        "potential_gamma": 1.0,
        "alpha": 2.0,
        "beta": 1.0,
        "episode": 0.0,
        "scale": "std",
        "kl": 0.01,
        "entropy": 0.0,
    },
    "graphgpo": {
        **NO_TEACHER,
        "penalty": 0.1,
        "gamma": 0.1,
        "omega": 1.0,
        "reward": 10.0,
        "normalize_distance": False,
        "penalise_graph": False,
        "scale": "std",
        "statistics": "rows",
        "kl": 0.01,
    },
    "ppo": {
        **NO_TEACHER,
        "penalty": 0.1,
        "gamma": 1.0,
        "lam": 1.0,
        "whiten": True,
        "after_end": False,
        "critic": "token",
        "kl": 0.01,
        "entropy": 0.0,
    },
    "turn-ppo": {
        **NO_TEACHER,
        "penalty": 0.1,
        "gamma": 0.99,
        "lam": 0.9,
        "whiten": False,
        "critic": "turn",
        "ratio": "turn",
        "reduction": "turn",
        "kl": 0.001,
        "entropy": 0.0,
    },
    "vetta": {
        **NO_TEACHER,
        "penalty": 0.1,
        "gamma": 0.95,
        "lam": 0.95,
        "token_gamma": 1.0,
        "token_lam": 1.0,
        "alpha": 1.0,
        "whiten": False,
        "critic": "2:turn+token",
        "kl": 0.01,
        "entropy": 0.0,
    },
    "antisd": {
        "what": "success",
        "who": "current",
        "tokens": "response",
        "how": "reweight:0.2",
        "when": "0.5",
        "warmup": 5,
        "low": 0.93,
        "penalty": 0.1,
        "statistics": "rows",
        "scale": "std",
    },
    "factor": {
        "what": "immediate",
        "who": "current",
        "tokens": "action",
        "how": "reweight:0.2",
        "when": "1->0/50",
        "eta": "0.7->0/50@11-49",
        "tau": 1.0,
        "gap_clip": 3.0,
        "penalty": 0.1,
        "aux_kl": 1.0,
        "critic": "2:turn",
    },
    "trial": {
        "what": "future",
        "who": "frozen",
        "tokens": "response",
        "how": "reweight:0.2",
        "when": "0.005@25-1000000000",
        "gap_clip": 2.0,
        "penalty": 0.1,
        "statistics": "rows",
        "scale": "std",
    },
    "agentopsd": {
        "what": "success",
        "who": "current",
        "tokens": "response",
        "how": "reweight:0.2",
        "when": "0.5",
        "belief_decay": 0.95,
        "band": 0.2,
        "penalty": 0.1,
        "statistics": "rows",
        "scale": "std",
        "kl": 0.01,
    },
    "grsd": {
        "what": "success",
        "who": "current",
        "tokens": "response",
        "how": "reweight:0.2",
        "when": "0.5",
        "g_max": 0.2,
        "dead_zone": 0.0,
        "penalty": 0.1,
        "statistics": "rows",
        "scale": "std",
        "kl": 0.01,
    },
    "uniopsd": {
        "what": "success",
        "who": "current",
        "tokens": "response@failed",
        "how": "reweight:0.2",
        "when": "0.5->0/100",
        "kappa": 2.33,
        "always_fuse": False,
        "horizon": 10.0,
        "prior": 0.5,
        "decay": 0.9,
        "weight_clip": 0.2,
        "return_gamma": 0.95,
        "penalty": 0.1,
        "gamma": 0.95,
        "omega": 1.0,
        "statistics": "rows",
        "scale": "none",
        "kl": 0.01,
    },
    "rlsd": {
        "what": "success",
        "who": "current",
        "tokens": "response",
        "how": "reweight:0.2",
        "when": "0.5->0/50",
        "penalty": 0.1,
        "statistics": "rows",
        "scale": "std",
    },
    "serl": {
        "what": "immediate",
        "who": "sync:10",
        "tokens": "action",
        "how": "reweight:0.2",
        "when": "0.5->0/50",
        "penalty": 0.1,
        "statistics": "rows",
        "scale": "std",
    },
}
ROWS = Rows(
    group=[0, 0, 0, 0, 1, 1],
    trajectory=[0, 0, 1, 1, 2, 3],
    place=[0, 1, 0, 1, 0, 0],
    returns=[10.0, 10.0, 0.0, 0.0, 10.0, 0.0],
    rewards=[0.0, 10.0, 0.0, 0.0, 10.0, 0.0],
    invalid=[False, False, True, False, False, False],
    anchors=("hall", "room", "hall", "hall", "hall", "hall"),
)


@pytest.mark.parametrize("name", RECIPES)
def test_released_defaults(name: str) -> None:
    plain = recipe(name).as_dict()
    wanted = {**LOSS, **TABLE[name]}
    assert {key: plain[key] for key in wanted} == wanted
    if TABLE[name]["what"]:
        assert plain == wanted, "the table has every value"


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_has_one_file_with_its_equations(name: str) -> None:
    path = Path(recipes.__file__).parent / f"{name.replace('-', '_')}.py"
    text = path.read_text(encoding="utf-8")
    assert recipe(name).name == name
    assert " = " in text.split('"""')[1], "the docstring has the equations"
    others = [other for other in RECIPES if other != name and f"methods.{other} " in text.split('"""', 2)[2]]
    assert others == [], "a recipe imports no other recipe"
    with_method = {file.stem for file in path.parent.glob("*.py") if "\nMETHOD = " in file.read_text(encoding="utf-8")}
    assert {known.replace("-", "_") for known in RECIPES} == with_method


@pytest.mark.parametrize(
    ("name", "given", "wanted"),
    [
        ("grpo", {}, GroupRelative()(ROWS)),
        ("serl", {"penalty": 0.7}, GroupRelative(penalty=0.7)(ROWS)),
        ("rlsd", {"statistics": "trajectories"}, GroupRelative(statistics="trajectories")(ROWS)),
        ("grpo", {"scale": "none"}, GroupRelative(scale="none")(ROWS)),
        ("rloo", {}, LeaveOneOut()(ROWS)),
        ("rloo", {"penalty": 0.7, "statistics": "trajectories"},
         LeaveOneOut(penalty=0.7, statistics="trajectories")(ROWS)),
        ("gigpo", {}, GroupInGroup()(ROWS)),
        (
            "gigpo",
            {"penalty": 0.7, "gamma": 0.5, "omega": 0.3, "scale": "none", "statistics": "trajectories"},
            GroupInGroup(penalty=0.7, gamma=0.5, omega=0.3, scale="none", statistics="trajectories")(ROWS),
        ),
        ("hgpo", {}, HistoryGroups()(ROWS)),
        (
            "hgpo",
            {"penalty": 0.7, "gamma": 0.5, "history": 1, "alpha": 2.0, "weight_offset": 0, "base_group": True,
             "scale": "none"},
            HistoryGroups(penalty=0.7, gamma=0.5, history=1, alpha=2.0, weight_offset=0, base_group=True,
                          scale="none")(ROWS),
        ),
    ],
)  # fmt: skip
def test_every_option_reaches_the_credit(name: str, given: dict[str, Any], wanted: Any) -> None:
    assert np.array_equal(recipe(name).changed(**given).credit(ROWS), wanted)
    if given:
        assert not np.array_equal(recipe(name).credit(ROWS), wanted)


def test_lambda_decays_to_zero() -> None:
    for name in ("serl", "rlsd"):
        when = recipe(name).when
        assert [when(k) for k in (0, 25, 49, 50, 149)] == [0.5, 0.25, pytest.approx(0.01), 0.0, 0.0]
    assert not any(recipe(name).has_teacher for name in ("grpo", "rloo", "gigpo", "hgpo"))


def test_an_unknown_recipe() -> None:
    with pytest.raises(UnknownNameError, match="serl"):
        recipe("sarl")


@pytest.mark.parametrize("name", RECIPES)
def test_a_process_without_rows_gives_an_empty_result(name: str) -> None:
    """In a run of several processes all make the same calls, also one whose rollouts all broke."""
    nothing = Rows([], [], [], [], [], [], (), (), (), [], Values(np.zeros(0), (), np.zeros(0)))  # type: ignore[arg-type]
    method, evidence = recipe(name), Evidence([], [], [], [])
    assert len(method.credit(nothing)) == 0
    if method.weights_updates:
        assert list(method.update_advantages(nothing, np.zeros(0), evidence, 0.5, {})) == []
    assert method.update_signals(nothing, np.zeros(0), evidence, 0.5, {}) in (None, [])
