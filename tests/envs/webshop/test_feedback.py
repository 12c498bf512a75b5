"""Feedback on a turn: reasons, changes and reviews."""

from __future__ import annotations

import pytest

from agentgym_hindsight.envs.webshop.feedback import REASON_KINDS, changes, explain, review
from agentgym_hindsight.envs.webshop.session import Session
from tests.envs.webshop.tiny_shop import goal_for, tiny_shop

SHOP = tiny_shop()
MUG = SHOP.products[0]
WISH = goal_for(MUG, attributes=("lead free",), options=(("color", "dark green"), ("size", "large")), price_cap=20.0)
OPEN = ("search[tall clay mug]", "click[t000000001]")


def after(*actions: str, rules: str = "strict") -> Session:
    session = Session(SHOP, WISH, rules)
    for action in actions:
        session.act(action)
    return session


@pytest.mark.parametrize(
    ("done", "action", "kind", "nearest"),
    [
        ((), "", "empty", ""),
        (OPEN, "  ", "empty", "click[back to search]"),
        ((), "i will search for mugs", "malformed", ""),
        (OPEN, "buy now", "malformed", "click[buy now]"),
        ((), "search[]", "empty_query", ""),
        (OPEN, "click[ ]", "absent", ""),
        (OPEN, "click[]", "empty_target", "click[back to search]"),
        (OPEN, "CLICK[Buy Now]", "wrong_case", "click[buy now]"),
        ((), "Search[mug]", "wrong_case", "search[mug]"),
        (OPEN, "buy[buy it now]", "unknown_verb", "click[buy now]"),
        ((), "click[search]", "search_button", ""),
        (OPEN, "click[x large]", "absent", "click[x-large]"),
        (OPEN, "click[t000000002]", "absent", ""),
        (("search[hose]",), "click[next >]", "past_the_end", "click[back to search]"),
        (("search[hose]",), "click[< prev]", "before_the_start", "click[back to search]"),
        ((*OPEN, "click[buy now]"), "search[mug]", "finished", ""),
    ],
)
def test_a_refused_action_gets_a_reason(done: tuple[str, ...], action: str, kind: str, nearest: str) -> None:
    session = after(*done)
    reason = explain(session, action)
    assert reason is not None
    assert (reason.kind, reason.nearest) == (kind, nearest)
    assert reason.kind in REASON_KINDS
    assert reason.text.endswith((".", "?"))
    if reason.nearest:
        assert session.act(reason.nearest).valid


def test_a_legal_action_has_no_reason() -> None:
    assert explain(after(), "search[mug]") is None
    assert explain(after(*OPEN), "click[Red]") is None
    broken = explain(after(rules="official"), "search[<a> x]")
    assert broken is not None
    assert broken.kind == "not_a_search"


@pytest.mark.parametrize(
    "action", ["x" * 100_000, "click[" + "x" * 100_000 + "]", "\ud800[\ud800]", "\0", "a[b]" * 999]
)
def test_odd_actions_get_a_short_reason(action: str) -> None:
    for done in ((), OPEN, ("search[mug]",)):
        reason = explain(after(*done), action)
        assert reason is not None
        assert len(reason.text) < 500


@pytest.mark.parametrize(
    ("done", "action", "start"),
    [
        ((), "search[clay mug]", "23 hits; page 1 shows the first 10."),
        ((), "search[hose]", "1 hit; page 1 shows the first 1."),
        ((), "search[zebra]", "0 hits; no product has any of the words."),
        (("search[clay mug]",), "search[clay mug]", "Nothing changed: the same search found the same 23 hits."),
        (("search[clay mug]",), "click[next >]", "Page 2 of the results."),
        (OPEN[:1], OPEN[1], "Opened hit 1 of page 1; color, size still unset."),
        (("search[hose]",), "click[t000000003]", "Opened hit 1 of page 1; it has no options."),
        (OPEN, "click[large]", "size=large selected; color still unset."),
        (
            (*OPEN, "click[red]", "click[large]"),
            "click[dark green]",
            "color=dark green selected instead of red; every ",
        ),
        (
            (*OPEN, "click[red]"),
            "click[red]",
            "Nothing changed: that was chosen before; color=red selected; size still",
        ),
        (OPEN, "click[features]", "Features of the product, shown."),
        ((*OPEN, "click[features]"), "click[< prev]", "Back on the product's page; color, size still unset."),
        ((*OPEN, "click[red]"), "click[< prev]", "Back on page 1 of the results; the chosen options are forgotten."),
        ((*OPEN, "click[< prev]"), "click[t000000001]", "Opened hit 1 of page 1 again; color, size still unset."),
        (OPEN, "click[back to search]", "Back on the start page; "),
        (OPEN, "click[buy now]", "Bought; the episode is over."),
    ],
)
def test_changes_describe_the_effect_of_an_action(done: tuple[str, ...], action: str, start: str) -> None:
    session = after(*done)
    before = session.state
    assert session.act(action).valid
    assert changes(SHOP, before, session.state).startswith(start)


def test_changes_mention_a_page_past_the_end() -> None:
    session = after("search[hose]", rules="official")
    before = session.state
    session.act("click[next >]")
    assert changes(SHOP, before, session.state) == "Page 2 of the results; it is empty, 1 hit end before it."


def test_the_review_of_a_purchase() -> None:
    result = review(after(*OPEN, "click[red]", "click[buy now]"))
    assert result.parts is not None
    assert result.parts.total == pytest.approx(2 / 4)
    assert result.with_other_options is not None
    assert result.with_other_options.reward == 1.0
    assert dict(result.with_other_options.options) == {"color": "dark green", "size": "large"}
    assert (result.target, result.target_seen) == ("T000000001", (1, 1))
    for part in ("Reward 0.500", "'lead free': found in attributes", "chosen 'red'", "nothing chosen", "cap of 20.00"):
        assert part in result.text


def test_reviews_of_a_wrong_purchase_and_of_no_purchase() -> None:
    result = review(after("search[tall small clay mug]", "click[t000000002]", "click[buy now]"))
    assert result.among_seen is not None
    assert result.among_seen.asin == "T000000001"
    assert "Of the products seen, T000000001 with color=dark green, size=large would have earned 1.000" in result.text
    nothing = review(after("search[hose]"))
    assert nothing.parts is None
    assert nothing.target_seen is None
    assert "was on no page that was viewed" in nothing.text
    assert review(after()).among_seen is None
