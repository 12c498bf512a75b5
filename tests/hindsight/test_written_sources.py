"""Hints, diagnoses and other analyses as sources of the context language."""

from __future__ import annotations

import pytest

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.analyses import ANALYSIS_KINDS, Analysis, analysis_text
from agentgym_hindsight.hindsight.context import TITLES, compose
from agentgym_hindsight.hindsight.spec import SOURCES, WRITTEN, ContextSpec
from agentgym_hindsight.hindsight.trajectory import Group, Trajectory
from tests.hindsight.rollouts import GROUP, LOSER

HINTED = LOSER.replace(
    analyses=(
        Analysis("hint", "Open it first.", step=1, analyser="teacher"),
        Analysis("hint", " Look twice. ", step=1),
        Analysis("hint", "Look twice.", step=1),
        Analysis("diagnosis", "Not needed.", step=0),
        Analysis("reflection", "I was too fast."),
        Analysis("judge", "Bad."),
    )
)


def members(rollout: Trajectory) -> Group:
    return Group([rollout if each is LOSER else each for each in GROUP])


def place(group: Group) -> int:
    return [each.task_id == HINTED.task_id and each.analyses != () for each in group].index(True)


def test_every_kind_but_the_judge_s_is_a_source_with_a_title() -> None:
    assert set(WRITTEN) == set(ANALYSIS_KINDS) - {"judge"}
    assert set(WRITTEN) < set(SOURCES) <= set(TITLES)


def test_a_hint_is_the_context_of_its_turn_and_of_no_other() -> None:
    group = members(HINTED)
    contexts = compose("hint", group)
    own = place(group)
    assert [context is not None for context in contexts[own]] == [turn == 1 for turn in range(len(HINTED))]
    assert contexts[own][1] is not None
    assert contexts[own][1].text == "Hint for the current step:\nOpen it first.\nLook twice."
    assert all(context is None for member, row in enumerate(contexts) if member != own for context in row)


def test_an_analysis_of_the_whole_rollout_is_in_every_context() -> None:
    group = members(HINTED)
    contexts = compose("reflection", group)[place(group)]
    assert [context.text for context in contexts if context] == ["Reflection on the attempt:\nI was too fast."] * len(
        HINTED
    )


def test_combinations_need_what_they_name() -> None:
    group = members(HINTED)
    own = place(group)
    both = compose("hint+success", group)[own]
    assert both[1] is not None
    assert both[1].sources == ("success", "hint")
    assert both[0] is None
    either = compose("hint|diagnosis", group)[own]
    assert [context.sources if context else () for context in either[:2]] == [("diagnosis",), ("hint",)]
    assert all(context is None for context in compose("playbook|skill", group)[own])


def test_without_analyses_nothing_changes() -> None:
    for spec in ("success|immediate", "success+future+immediate", "current"):
        assert compose(spec, members(HINTED)) == compose(spec, GROUP)
    assert all(context is None for row in compose("hint", GROUP) for context in row)


def test_specs_are_values() -> None:
    assert str(ContextSpec.parse("hint+success")) == "success+hint"
    with pytest.raises(UsageError, match="try @step"):
        ContextSpec.parse("success+hint@anchor")
    with pytest.raises(UsageError, match="did you mean 'hint'"):
        ContextSpec.parse("hints")


def test_what_a_method_keeps_can_be_composed_in_the_same_update() -> None:
    """Skills that PSP writes before the contexts are made, for example."""
    pytest.importorskip("trl", reason="needs the extra [train]")
    from agentgym_hindsight.baselines.methods import recipe
    from agentgym_hindsight.baselines.methods.scripted_ask import ScriptedAsk
    from agentgym_hindsight.baselines.training.asker import Asker

    seen: list[Group] = []
    group = Group(each.replace(sibling=number) for number, each in enumerate(GROUP))
    loser = next(each for each in group if not each.won)

    def composing(what: ContextSpec, groups: object) -> list[object]:
        assert isinstance(groups, (list, tuple))
        seen.extend(groups)
        return [[list(row) for row in compose(what, group)] for group in groups]

    ask = Asker.silent().hook(composing, [group])  # type: ignore[arg-type]
    spec = ContextSpec.parse("skill")
    assert all(each is None for row in ask.compose(spec, [group])[0] for each in row)
    assert seen == [group]
    ask.keep(loser, "skill", "Lamps are in the hall.")
    contexts = ask.compose(spec, [group])[0]
    with_text = [row for row in contexts if all(row)]
    assert len(with_text) == 1
    assert with_text[0][0] is not None
    assert "Lamps are in the hall." in with_text[0][0].text
    scripted = ScriptedAsk(recipe("serl"))
    scripted.keep(loser, "skill", "Lamps are in the hall.")
    assert scripted.compose(spec, [group])[0] == contexts


def test_texts_of_a_turn() -> None:
    assert analysis_text(HINTED, "hint", 1) == "Open it first.\nLook twice."
    assert analysis_text(HINTED, "hint", 0) == analysis_text(HINTED, "skill", 1) == ""
    assert analysis_text(HINTED, "reflection", 7) == "I was too fast."
