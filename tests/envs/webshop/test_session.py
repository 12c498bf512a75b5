"""The official and the strict rules of the shop."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agentgym_hindsight.envs.webshop.loading import load_products
from agentgym_hindsight.envs.webshop.pages import State
from agentgym_hindsight.envs.webshop.search import build_index
from agentgym_hindsight.envs.webshop.session import Session, parse_action
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.errors import UnknownNameError, UsageError
from tests.envs.webshop.tiny_shop import goal_for, item, tiny_shop, values

SHOP = tiny_shop()
MUG, SMALL, HOSE, LAMP, TWIN = SHOP.products[:5]


def play(actions: Sequence[str], rules: str = "official", shop: Shop = SHOP) -> Session:
    """A session after legal actions."""
    session = Session(shop, goal_for(shop.products[0]), rules)
    for action in actions:
        assert session.act(action).valid, action
    return session


OPEN_MUG = ["search[tall clay mug]", "click[t000000001]"]


def test_actions_are_split_as_by_the_originals_expression() -> None:
    assert parse_action("search[Red Shoes] now") == ("search", "red shoes")
    assert parse_action("search[a[b]") == ("search[a", "b")
    assert parse_action("search[a] [b]") == ("search[a] ", "b")
    assert parse_action("search[a]]") == ("search", "a]")
    assert parse_action("look\nsearch[a]") == ("look\nsearch[a]", None)
    for action in ("", "search", "search[]", "[x]", "search[a\nb]"):
        assert parse_action(action) == (action, None)


@pytest.mark.parametrize("rules", ["official", "strict"])
@pytest.mark.parametrize(
    "action", ["", "foo", "search", "search[]", "Search[x]", "CLICK[search]", "click[search]", "click[buy now]", "a[b]"]
)
def test_a_refused_action_changes_nothing(action: str, rules: str) -> None:
    session = play([], rules)
    assert session.act(action) == (False, 0.0, False)
    assert session.state == State()


def test_the_pages_of_a_search() -> None:
    session = play(["search[clay mug]"])
    assert (session.state.kind, session.state.page, len(session.state.hits)) == ("results", 1, 23)
    asins = [SHOP.products[position].asin.lower() for position in session.state.shown]
    assert session.clickables == ("back to search", "next >", *asins)
    session.act("click[next >]")
    assert session.clickables[:3] == ("back to search", "< prev", "next >")
    assert len(session.state.shown) == 10


def test_only_strict_results_end() -> None:
    session = play(["search[clay mug]", *["click[next >]"] * 6])
    assert (session.state.page, session.state.shown) == (7, ())
    assert session.clickables == ("back to search", "< prev", "next >")
    strict = play(["search[clay mug]", "click[next >]", "click[next >]"], "strict")
    assert "next >" not in strict.clickables
    assert not strict.act("click[next >]").valid
    assert play(["search[zebra]"], "strict").clickables == ("back to search",)
    assert play(["search[zebra]"]).clickables == ("back to search", "next >")


def test_a_search_is_legal_on_every_page() -> None:
    for actions in ([], ["search[mug]"], OPEN_MUG, [*OPEN_MUG, "click[features]"]):
        for rules in ("official", "strict"):
            session = play([*actions, "search[Garden HOSE]"], rules)
            assert (session.state.kind, session.state.query) == ("results", "garden hose")
            assert (session.state.product, session.state.options) == (-1, ())


def test_options_can_be_replaced_but_not_deselected() -> None:
    session = play([*OPEN_MUG, "click[red]", "click[large]", "click[dark green]"])
    assert session.state.options == (("color", "dark green"), ("size", "large"))
    session.act("click[dark green]")
    assert session.state.options == (("color", "dark green"), ("size", "large"))


def test_back_and_previous_buttons() -> None:
    session = play(["search[clay mug]", "click[next >]"])
    product = session.clickables[3]
    for action in (f"click[{product}]", "click[description]"):
        session.act(action)
    assert session.state.kind == "sub"
    assert session.clickables == ("back to search", "< prev")
    session.act("click[< prev]")
    assert session.state.kind == "item"
    session.act("click[< prev]")
    assert (session.state.kind, session.state.page) == ("results", 2)
    assert len(session.state.opened) == 1
    session.act("click[back to search]")
    assert session.state == State()
    assert session.clickables == ("search",)


def test_options_are_kept_on_sub_pages_and_dropped_on_the_results_page() -> None:
    session = play([*OPEN_MUG, "click[red]", "click[reviews]", "click[< prev]"])
    assert session.state.options == (("color", "red"),)
    session.act("click[< prev]")
    assert session.state.options == ()


def test_buying_ends_the_episode() -> None:
    session = play(OPEN_MUG)
    assert session.act("click[Buy Now]") == (True, 1.0, True)  # the argument is lower-cased
    assert session.done
    assert session.parts is not None
    assert session.clickables == ()
    assert not session.act("click[back to search]").valid
    assert session.copy().act("search[mug]").valid  # a quirk of the original
    strict = play([*OPEN_MUG, "click[buy now]"], "strict")
    assert not strict.act("search[mug]").valid


def test_official_button_names_take_precedence_over_options() -> None:
    # "features" is an option of this product and the name of a button: the button is pressed.
    session = play(["search[small clay mug]", "click[t000000002]"])
    assert session.clickables.count("features") == 1
    session.act("click[features]")
    assert (session.state.kind, session.state.options) == ("sub", ())
    # A value on two axes selects on the last one.
    session = play(["search[twin clay mug]", "click[t000000005]", "click[red]"])
    assert session.state.options == (("outside", "red"),)


def test_strict_names_are_unambiguous() -> None:
    session = play(["search[small clay mug]", "click[t000000002]", "click[color: features]"], "strict")
    assert session.state.options == (("color", "features"),)
    session = play(
        ["search[twin clay mug]", "click[t000000005]", "click[inside: red]", "click[outside: red]"], "strict"
    )
    assert session.state.options == (("inside", "red"), ("outside", "red"))
    assert not session.act("click[red]").valid
    session.act("click[blue]")
    assert session.state.options == (("inside", "blue"), ("outside", "red"))


def test_a_page_name_in_a_query_changes_official_navigation() -> None:
    session = play(["search[tall mug search_results]", "click[t000000001]", "click[< prev]"])
    assert (session.state.kind, session.state.page, session.state.shown) == ("results", 0, ())
    session = play(["search[tall mug item_page]", "click[t000000001]", "click[features]", "click[< prev]"])
    assert session.state.kind == "results"
    strict = play(["search[tall mug item_page]", "click[t000000001]", "click[features]", "click[< prev]"], "strict")
    assert strict.state.kind == "item"


def test_hidden_searches() -> None:
    assert len(play(["search[<c> garden]"]).state.hits) == len(SHOP.products)
    assert [SHOP.products[n].asin for n in play(["search[<q> hoses]"]).state.hits] == [HOSE.asin]
    drawn = play(["search[<r>]"]).state.hits
    assert sorted(drawn) == list(range(len(SHOP.products)))
    assert drawn == play(["search[<r>]"]).state.hits
    for broken in ("search[<a> clay]", "search[<c>]"):  # the original fails on them
        assert not play([]).act(broken).valid
    assert len(play(["search[<c> garden]"], "strict").state.hits) == 1


def test_sessions_share_only_the_shop() -> None:
    one, other = play(OPEN_MUG), play(["search[hose]"])
    state_before = other.state
    one.act("click[red]")
    assert other.state == state_before
    copied = one.copy()
    copied.act("click[buy now]")
    assert not one.done
    assert one.seen == copied.seen
    assert one.seen[0][0] == 1


def test_unknown_names_raise_errors() -> None:
    with pytest.raises(UnknownNameError, match="strict"):
        Session(SHOP, goal_for(MUG), "strickt")
    with pytest.raises(UnknownNameError):
        SHOP.product("T999999999")
    with pytest.raises(UsageError):
        Shop((), SHOP.index)


def test_under_official_rules_an_option_value_can_go_back_or_buy() -> None:
    listed = [
        item("A", "mug", customization_options={"Way": values("< prev", "Buy Now", "Next >", "Attributes", "Search")})
    ]
    products = load_products(listed)
    shop = Shop(products, build_index(products))
    start = ["search[mug]", "click[a]"]
    assert play([*start, "click[next >]"], shop=shop).state.options == (("way", "next >"),)
    assert play([*start, "click[< prev]"], shop=shop).state.kind == "results"
    assert play([*start, "click[attributes]"], shop=shop).state.kind == "sub"
    assert play([*start, "click[buy now]"], shop=shop).done
    assert not play(start, shop=shop).act("click[search]").valid
    assert play([*start, "click[way: search]", "click[way: buy now]"], "strict", shop).state.options == (
        ("way", "buy now"),
    )
