"""The values of a method: parsing from text, writing as text, and errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.baselines.methods import RECIPES, recipe
from agentgym_hindsight.baselines.methods.base import Method, Reweight, Tokens
from agentgym_hindsight.baselines.methods.schedules import Constant, LinearDecay
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.errors import HindsightError, UnknownNameError, UsageError
from agentgym_hindsight.hindsight.spec import SERL_MODES, ContextSpec


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("action", Tokens()),
        ("response", Tokens("response")),
        ("action:released", Tokens("action:released")),
        ("action:released@won", Tokens("action:released", "won")),
        ("action@failed", Tokens("action", "failed")),
        ("response@won", Tokens("response", "won")),
        ("action@invalid", Tokens("action", "invalid")),
    ],
)
def test_tokens(text: str, value: Tokens) -> None:
    assert Tokens.parse(text) == value
    assert str(value) == text
    assert Tokens.parse("action@all") == Tokens()


@pytest.mark.parametrize(
    ("turns", "taken"),
    [
        ("all", {(True, True), (True, False), (False, True), (False, False)}),
        ("failed", {(False, True), (False, False)}),
        ("won", {(True, True), (True, False)}),
        ("invalid", {(True, False), (False, False)}),
    ],
)
def test_turns_of_a_subset(turns: Any, taken: set[tuple[bool, bool]]) -> None:
    both = (True, False)
    assert {(w, v) for w in both for v in both if Tokens("action", turns).takes(won=w, valid=v)} == taken


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("reweight:0.2", Reweight(0.2)),
        ("reweight:0.05", Reweight(0.05)),
        ("reweight:0.2:mean", Reweight(0.2, True)),
        ("reweight:0.123456789", Reweight(0.123456789)),
    ],
)
def test_reweight(text: str, value: Reweight) -> None:
    assert Reweight.parse(text) == value
    assert Reweight.parse(str(value)) == value, "parsing the text gives the same value"
    assert Reweight.parse("reweight") == Reweight()


@pytest.mark.parametrize(
    "given",
    [
        {"what": "success|immediate"},
        {"what": "success+future+next"},
        {"what": ""},
        {"where": "anchor"},
        {"what": "immediate@anchor"},
        {"who": "sync:3"},
        {"who": "ema:0.05"},
        {"who": "ema:0.123456789"},
        {"who": "frozen"},
        {"who": "current"},
        {"tokens": "response@failed"},
        {"how": "reweight:0.3:mean"},
        {"how": "reweight:0.123456789"},
        {"when": "0.3"},
        {"when": "0.7->0/50@11-49"},
        {"when": 0.25},
        {"anchor": "similar"},
        {"anchor": "state"},
        {"clip": 0.3, "dual_clip": None, "entropy": 0, "kl": 0.01, "aux_kl": 1.0, "details": True},
        {"penalty": 0.0, "statistics": "trajectories", "scale": "none"},
    ],
    ids=str,
)
def test_every_value_survives_writing_and_parsing(given: dict[str, Any]) -> None:
    method = recipe("serl").changed(**given)
    plain = json.loads(json.dumps(dict(method.as_dict())))
    assert recipe("serl").changed(**plain) == method
    assert {**plain, **recipe("serl").changed(**plain).as_dict()} == plain, "writing gives the same text"
    assert method != recipe("serl") or given in ({"tokens": "action"},)


@pytest.mark.parametrize("spec", [*dict.fromkeys(SERL_MODES.values())])
def test_every_released_mode_survives_writing_and_parsing(spec: str) -> None:
    method = recipe("serl").changed(what=spec)
    assert str(method.what) == str(ContextSpec.parse(spec))
    assert recipe("serl").changed(**method.as_dict()) == method


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_writing_and_parsing(name: str) -> None:
    method = recipe(name)
    plain = method.as_dict()
    assert method.changed(**plain) == method
    assert all(isinstance(value, (str, int, float, bool, type(None))) for value in plain.values())
    assert {"what", "who", "tokens", "how", "when", "penalty"} <= plain.keys()
    assert "name" not in plain
    assert "credit" not in plain


def test_where_sets_the_place_in_what() -> None:
    serl = recipe("serl")
    assert serl.what is not None
    at_anchors = serl.changed(where="anchor")
    assert str(at_anchors.what) == "immediate@anchor"
    assert str(at_anchors.changed(what="next").what) == "next", "a new spec replaces the old one with its place"
    assert str(serl.changed(what="next", where="anchor").what) == "next@anchor"
    assert str(serl.changed(what="next@anchor", where="anchor").what) == "next@anchor"
    assert "where" not in at_anchors.as_dict()
    with pytest.raises(UsageError, match="one place"):
        serl.changed(what="next@anchor", where="step")
    with pytest.raises(UsageError, match="describe one rollout"):
        serl.changed(what="judge", where="anchor")
    with pytest.raises(UnknownNameError, match="'everywhere'"):
        serl.changed(where="everywhere")


def test_a_place_needs_a_context() -> None:
    with pytest.raises(UnknownNameError, match="'everywhere'"):
        recipe("grpo").changed(where="everywhere")
    with pytest.raises(UsageError, match=r"a context for where='anchor', got none; try what='immediate@anchor'"):
        recipe("grpo").changed(where="anchor")
    assert recipe("grpo").changed(where="step").what is None


@pytest.mark.parametrize(
    "given", [{"where": None}, {"what": 3, "where": "anchor"}, {"what": "success", "where": 3}], ids=str
)
def test_a_place_of_the_wrong_type_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(HindsightError, match="Expected"):
        recipe("serl").changed(**given)


def test_a_method_has_a_teacher_if_it_has_a_context() -> None:
    assert recipe("serl").has_teacher
    assert not recipe("serl").changed(what="").has_teacher
    assert recipe("grpo").changed(what="immediate", when="0.5->0/50").has_teacher


def test_values_need_not_be_text() -> None:
    changed = recipe("serl").changed(
        what=ContextSpec.parse("next"), who=TeacherSpec("frozen"), tokens=Tokens("response"), how=Reweight(0.1),
        when=LinearDecay(0.4, 9), clip=0.1,
    )  # fmt: skip
    assert str(changed.what) == "next"
    assert changed.who == TeacherSpec("frozen")
    assert changed.when(0) == 0.4
    assert changed.clip == 0.1
    assert recipe("serl").changed(when=Constant(0.1)).when(7) == 0.1
    assert recipe("serl").changed() == recipe("serl")


def test_changed_does_not_change_the_recipe() -> None:
    recipe("gigpo").changed(penalty=0.5, omega=2.0)
    assert recipe("gigpo").as_dict()["penalty"] == 0.1
    assert recipe("gigpo").changed(omega=2.0).as_dict()["omega"] == 2.0


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({"what": "imediate"}, UnknownNameError, "immediate"),
        ({"what": "immediate@room"}, UnknownNameError, "step"),
        ({"who": "snyc:10"}, UnknownNameError, "sync"),
        ({"who": "sync:0"}, UsageError, "sync:10"),
        ({"who": "ema:1.5"}, UsageError, "ema:0.05"),
        ({"who": "sync:often"}, UsageError, "sync:10"),
        ({"tokens": "actions"}, UnknownNameError, "action"),
        ({"tokens": "action@lost"}, UnknownNameError, "failed"),
        ({"how": "rewheight"}, UnknownNameError, "reweight"),
        ({"how": "reweight:2"}, UsageError, "0.2"),
        ({"how": "reweight:nan"}, UsageError, "0.2"),
        ({"how": "reweight:much"}, UsageError, "reweight:0.2"),
        ({"how": "reweight:0.2:median"}, UsageError, "reweight:0.2:mean"),
        ({"how": "reweight:0.2:mean:3"}, UsageError, "reweight:0.2:mean"),
        ({"when": "soon"}, UsageError, "0.5->0/50"),
        ({"anchor": "obs"}, UnknownNameError, "observation"),
        ({"clip": 1.5}, UsageError, "0.2"),
        ({"dual_clip": 1.1}, UsageError, "try 3"),
        ({"entropy": -1}, UsageError, "entropy"),
        ({"kl": -0.1}, UsageError, "kl"),
        ({"aux_kl": -0.1}, UsageError, "aux_kl"),
        ({"penalti": 0.1}, UnknownNameError, "penalty"),
        ({"omega": 1.0}, UnknownNameError, "serl"),
    ],
    ids=str,
)
def test_errors_say_what_to_try(given: dict[str, Any], kind: type[HindsightError], said: str) -> None:
    with pytest.raises(kind, match=said):
        recipe("serl").changed(**given)


@pytest.mark.parametrize(
    "given",
    [{"clip": "wide"}, {"entropy": "much"}, {"details": "yes"}, {"kl": None}, {"what": 3}, {"who": [1]}, {"when": True},
     {"anchor": None}, {"dual_clip": "none"}, {"penalty": "much"}, {"what": None, "tokens": 1}],
    ids=str,
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_an_error_of_ours(given: dict[str, Any]) -> None:
    with pytest.raises(HindsightError, match=r"Expected|Unknown"):
        recipe("serl").changed(**given)


@pytest.mark.parametrize("value", [float("nan"), "nan", 10**400], ids=["nan", "text", "beyond a float"])
@pytest.mark.parametrize("name", ["kl", "dual_clip", "penalty"])
def test_a_float_must_be_a_number_in_its_range(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=name):
        recipe("serl").changed(**{name: value})


@pytest.mark.parametrize("given", [{"scale": "variance"}, {"statistics": "row"}], ids=str)
def test_a_name_of_the_credit_is_checked_before_the_first_update(given: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(given))):
        recipe("grpo").changed(**given)


@pytest.mark.parametrize("given", [{"what": "success"}, {"clip": "wide"}, {"details": 1}, {"credit": 3}], ids=str)
def test_a_method_checks_the_types_of_its_values(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(given))):
        Method(**{"name": "mine", "credit": recipe("grpo").credit, **given})


def test_values_of_a_method_change_although_its_credit_is_a_function() -> None:
    method = Method("mine", lambda rows: rows.returns).changed(clip=0.3)
    assert method.clip == 0.3
    with pytest.raises(UnknownNameError, match="penalty"):
        method.changed(penalty=0.1)


def test_whole_number_options_refuse_other_types() -> None:
    assert recipe("hgpo").changed(history=3, alpha=2).as_dict()["history"] == 3
    for given in ({"history": 1.5}, {"base_group": 1}, {"weight_offset": True}):
        with pytest.raises(UsageError, match=next(iter(given))):
            recipe("hgpo").changed(**given)


def test_a_custom_method() -> None:
    method = Method("mine", recipe("rloo").credit)
    assert not method.has_teacher
    assert method.when(0) == 0.0
    assert method.as_dict()["what"] == ""


@pytest.mark.parametrize("when", ["1.5", "-0.5", "1.2->0/50", "1.5@3-4"])
def test_lambda_must_be_between_0_and_1(when: str) -> None:
    with pytest.raises(UsageError, match=r"Expected λ between 0 and 1.*try 0\.5->0/50"):
        recipe("serl").changed(when=when)
