"""The reward equals values computed by hand."""

from __future__ import annotations

import random
import re
import time
from typing import Any

import pytest

from agentgym_hindsight.envs.webshop.colors import COLORS, normalize_color
from agentgym_hindsight.envs.webshop.loading import load_products
from agentgym_hindsight.envs.webshop.nouns import nouns_of
from agentgym_hindsight.envs.webshop.reward import score, similarity, type_match
from agentgym_hindsight.errors import MissingExtraError, UnknownNameError
from tests.envs.webshop.tiny_shop import ATTRIBUTES, ITEMS, goal_for

MUG, SMALL, HOSE, *_ = load_products(ITEMS, ATTRIBUTES)
WISH = goal_for(
    MUG,
    attributes=("lead free", "dishwasher safe"),
    options=(("color", "dark green"), ("size", "large")),
    price_cap=20.0,
)


def test_a_perfect_purchase_earns_one_under_strict_rules() -> None:
    parts = score(MUG, {"color": "dark green", "size": "large"}, WISH)
    assert (parts.total, parts.r_att, parts.r_option, parts.r_price, parts.r_type) == (1.0, 1.0, 1.0, True, 1.0)
    assert (parts.w_att, parts.w_option, parts.w_price) == (0.4, 0.4, 0.2)
    assert (parts.rules, parts.nouns) == ("strict", "tokens-1")


def test_each_part_of_the_sum() -> None:
    # 2 attributes + 1 of 2 options + price, of 5
    assert score(MUG, {"color": "dark green"}, WISH).total == pytest.approx(4 / 5)
    assert score(MUG, {}, WISH._replace(price_cap=10.0)).total == pytest.approx(2 / 5)
    # the small mug has neither attribute; the type matches by query
    assert score(SMALL, {}, WISH).total == pytest.approx(1 / 5)
    without_options = score(MUG, {}, WISH._replace(options=()))
    assert without_options.total == 1.0
    assert (without_options.r_option, without_options.w_option) == (None, None)
    assert "r_option" not in without_options.official()


def test_attributes_are_searched_in_the_attributes_and_then_in_the_texts() -> None:
    wanted = ("dishwasher safe", "clay", "pint", "hand thrown", "gold rim")
    matches = score(MUG, {}, WISH._replace(attributes=wanted, options=())).attributes
    assert [match.found_in for match in matches] == ["attributes", "title", "bullets", "description", ""]


def test_official_options_match_by_similarity_and_strict_ones_exactly() -> None:
    human = WISH._replace(options=(("", "large"),), human=True)
    assert similarity("large", "x-large") == 100
    assert score(MUG, {"size": "x-large"}, human, "official").r_option == 1.0
    assert score(MUG, {"size": "x-large"}, human, "strict").r_option == 0.0
    wish = WISH._replace(options=(("size", "large"),))
    assert score(MUG, {"color": "large"}, wish, "official").r_option == 1.0  # on any axis
    assert score(MUG, {"color": "large"}, wish, "strict").r_option == 0.0
    # The pair (axis, value) is compared as a whole: its axis lowers the similarity to "x-large".
    assert score(MUG, {"size": "x-large"}, wish, "official").options[0].similarity == 83
    assert score(MUG, {"size": "large size"}, wish, "official").r_option == 1.0


def test_a_pair_of_axis_and_value_becomes_a_colour_only_if_the_value_is_one() -> None:
    # The chosen "dark green" becomes "dark"; the wanted pair does not change, and "dark" is a part of it.
    assert score(MUG, {"color": "dark green"}, WISH, "official").options[0].matched
    # "standard" becomes "tan", but the pair stays "size standard" and cannot match. In a human goal both become "tan".
    chosen = {"size": "standard"}
    paired = score(MUG, chosen, WISH._replace(options=(("size", "standard"),)), "official")
    listed = score(MUG, chosen, WISH._replace(options=(("", "standard"),), human=True), "official")
    assert (paired.r_option, listed.r_option) == (0.0, 1.0)
    assert score(MUG, chosen, WISH._replace(options=(("size", "standard"),)), "strict").r_option == 1.0
    # A pair whose value is a colour becomes the colour; "navy blue" becomes "blue" too.
    blue = WISH._replace(options=(("color", "blue"),))
    assert score(MUG, {"color": "navy blue"}, blue, "official").r_option == 1.0


def test_human_goals_match_any_axis_under_strict_rules() -> None:
    wish = WISH._replace(options=(("", "Dark Green"), ("", "x/y")), human=True)
    matches = score(MUG, {"color": "dark green", "size": "x | y"}, wish, "strict").options
    assert [match.matched for match in matches] == [True, True]
    missing = score(MUG, {"color": "red"}, wish, "strict").options[0]
    assert (missing.chosen, missing.matched) == ("red", False)


@pytest.mark.parametrize(
    ("title", "changes", "r_type"),
    [
        ("Tall Clay Mug", {}, 1.0),
        ("Tall Clay Mug", {"query": "x"}, 1.0),  # category
        ("Tall Clay Mug", {"query": "x", "product_category": "x"}, 1.0),  # title
        ("One Two Three Four Mug", {"query": "x", "product_category": "x"}, 0.5),  # 1 of 5 is not above 0.2
        ("A B C D E F G H I J K Mug", {"query": "x", "product_category": "x"}, 0.1),  # 1 of 11
        ("Garden Hose", {}, 0.0),  # no word in common overrides query and category
        ("and of 12", {"query": "x", "product_category": "x"}, 0.5),  # a title without nouns counts as 0.2
    ],
)
def test_the_type_factor(title: str, changes: dict[str, Any], r_type: float) -> None:
    assert type_match(MUG, WISH._replace(title=title, **changes)).r_type == r_type


def test_a_title_with_a_repeated_noun_scores_less_than_one_against_itself() -> None:
    product = MUG._replace(title="Mug and Mug Rug")
    assert type_match(product, goal_for(product)).title_score == pytest.approx(2 / 3)


def test_categories_match_by_two_common_parts() -> None:
    assert type_match(MUG, WISH._replace(query="x", product_category="Kitchen › Home")).category_match
    assert not type_match(MUG, WISH._replace(query="x", product_category="Home › Home")).category_match


@pytest.mark.parametrize(
    ("value", "color"),
    [("standard", "tan"), ("washed", "ash"), ("wired", "red"), ("dark green", "dark"), ("x-large", "x-large")],
)
def test_colours_are_found_inside_words(value: str, color: str) -> None:
    assert normalize_color(value) == color


def test_the_colour_table_is_ordered_and_complete() -> None:
    assert (len(COLORS), list(COLORS)) == (102, sorted(set(COLORS)))


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [("x-large", "xx-large", 93), ("5x-large", "3x-large", 88), ("", "red", 0), ("ÄÖ red!", "Red", 100)],
)
def test_similarity_is_token_set_ratio(one: str, other: str, alike: int) -> None:
    assert similarity(one, other) == alike


def test_noun_rules() -> None:
    assert nouns_of("I want 2 of the USB-C cables's for A 4K TV") == ("i", "want", "usb-c", "cables's", "4k", "tv")
    with pytest.raises(UnknownNameError):
        nouns_of("x", "tagger")


def test_without_spacy_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from agentgym_hindsight.envs.webshop import nouns

    monkeypatch.setitem(sys.modules, "spacy", None)
    nouns._tagger.cache_clear()
    with pytest.raises(MissingExtraError, match="spacy"):
        nouns_of("a title nobody asked for yet", "spacy")


def test_nouns_are_found_as_by_one_pattern() -> None:
    """The one pattern takes seconds for a number of 10,000 digits."""
    pattern = re.compile(r"[\w'.-]*[^\W\d_][\w'.-]*")
    draw = random.Random(0)
    for _ in range(20_000):
        title = "".join(draw.choice(" -'._b1\u00e9\u00b2\u0663\u2461,") for _ in range(draw.randrange(14)))
        assert list(nouns_of(title)) == [word.lower() for word in pattern.findall(title)], ascii(title)


def test_long_options_are_compared_in_bounded_time() -> None:
    started = time.process_time()
    assert similarity("a" * 1_000_000, "b" * 1_000_000) == 0
    assert time.process_time() - started < 2.0
