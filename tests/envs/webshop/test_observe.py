"""The observations of all pages, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser

import pytest

from agentgym_hindsight.envs.webshop.loading import load_products
from agentgym_hindsight.envs.webshop.observe import MODES, observe
from agentgym_hindsight.envs.webshop.oracle import next_action
from agentgym_hindsight.envs.webshop.page_contents import options_json
from agentgym_hindsight.envs.webshop.pages import visible
from agentgym_hindsight.envs.webshop.search import build_index
from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.errors import UnknownNameError
from tests.envs.webshop.tiny_shop import goal_for, item, tiny_shop

SHOP = tiny_shop()
WISH = goal_for(SHOP.products[0], instruction="Find me a <tall> mug")
OPEN = ["search[tall clay mug]", "click[t000000001]"]


def page(actions: Sequence[str], mode: str, rules: str = "official") -> str:
    session = Session(SHOP, WISH, rules)
    for action in actions:
        assert session.act(action).valid, action
    return observe(session, mode)


def test_the_start_page() -> None:
    assert page([], "text") == "WebShop [SEP] Instruction: [SEP] Find me a <tall> mug [SEP] Search"
    assert page([], "text_rich") == "WebShop\nInstruction: \nFind me a <tall> mug\n[button] Search [button_]\n"
    assert page([], "url") == "http://127.0.0.1:3000/0"


def test_results() -> None:
    text = page(["search[garden hose]"], "text")
    assert text == (
        "Instruction: [SEP] Find me a <tall> mug [SEP] Back to Search [SEP] Page 1 (Total results: 1) [SEP] Next > "
        "[SEP] T000000003 [SEP] Garden Hose [SEP] $20.0 to $30.0"
    )
    assert page(["search[garden hose]", "click[t000000003]", "click[< prev]"], "text_rich") == (
        "Instruction:\nFind me a <tall> mug\n[button] Back to Search [button_]\nPage 1 (Total results: 1)\n"
        "[button] Next > [button_]\n\n[clicked button] T000000003 [clicked button_]\nGarden Hose\n$20.0 to $30.0\n"
    )
    assert page(["search[garden hose]"], "url") == "http://127.0.0.1:3000/search_results/0/garden+hose/1"
    assert "Next >" not in page(["search[garden hose]"], "text", "strict")


def test_a_product() -> None:
    assert page(OPEN, "text") == (
        "Instruction: [SEP] Find me a <tall> mug [SEP] Back to Search [SEP] < Prev [SEP] color [SEP] dark green [SEP] "
        "red [SEP] café [SEP] size [SEP] large [SEP] x-large [SEP] Tall Clay Mug [SEP] Price: $12.5 [SEP] Rating: N.A. "
        "[SEP] Description [SEP] Features [SEP] Reviews [SEP] Buy Now"
    )


def test_official_text_hides_choices_and_rich_text_shows_those_that_json_does_not_escape() -> None:
    chosen = [*OPEN, "click[large]", "click[red]"]
    assert page(chosen, "text") == page(OPEN, "text")
    rich = page(chosen, "text_rich")
    assert rich.startswith("You have clicked large.\nYou have clicked red.\nInstruction:\n")
    assert "  [clicked button] red [clicked button_]\n  [button] café [button_]\n" in rich
    lost = page([*OPEN, "click[café]"], "text_rich")
    assert "clicked" not in lost
    quoted = page(['search[clay mug tall "red"]', "click[t000000001]"], "text_rich")
    assert "You have clicked red." in quoted  # the original takes a quoted word of the query for a choice
    assert page(chosen, "url").endswith('/T000000001/tall+clay+mug/1/{"size": "large", "color": "red"}')


@pytest.mark.parametrize("mode", ["text", "text_rich", "html"])
def test_strict_pages_show_choices_in_every_mode(mode: str) -> None:
    assert page([*OPEN, "click[café]"], mode, "strict") != page(OPEN, mode, "strict")
    if mode == "text":
        assert "[SEP] café (selected) [SEP]" in page([*OPEN, "click[café]"], mode, "strict")


def test_sub_pages() -> None:
    head = "Instruction: [SEP] Find me a <tall> mug [SEP] Back to Search [SEP] < Prev"
    assert page([*OPEN, "click[description]"], "text") == f"{head} [SEP] Hand thrown and lead free."
    assert page([*OPEN, "click[features]"], "text") == f"{head} [SEP] Dishwasher safe [SEP] Holds a pint"
    assert page([*OPEN, "click[features]"], "text_rich").endswith("\n Dishwasher safe \n Holds a pint \n")
    assert page([*OPEN, "click[reviews]"], "text") == head
    assert page(["search[hose]", "click[t000000003]", "click[description]"], "text") == head
    assert page([*OPEN, "click[red]", "click[reviews]"], "url").endswith("/Reviews/{'color': 'red'}")


def test_the_last_page_has_the_score_but_not_the_goal() -> None:
    bought = [*OPEN, "click[red]", "click[buy now]"]
    assert page(bought, "text") == (
        "Thank you for shopping with us! [SEP] Your code: [SEP] None [SEP] (Paste it in your MTurk interface.) [SEP] "
        'Purchased [SEP] asin [SEP] T000000001 [SEP] options [SEP] {"color": "red"} [SEP] attrs [SEP] None [SEP] '
        "category [SEP] None [SEP] query [SEP] None [SEP] product category [SEP] None [SEP] Target [SEP] asin [SEP] "
        "options [SEP] attrs [SEP] price upper [SEP] instuction text [SEP] category [SEP] product category "
        "[SEP] query [SEP] Goal [SEP] None [SEP] Reward [SEP] Your score (min 0.0, max 1.0) [SEP] 1.0 "
        "[SEP] Reward Details [SEP] None"
    )
    assert page(bought, "url") == "http://127.0.0.1:3000/done/0/T000000001/{'color': 'red'}"


def test_options_json_is_sorted_and_escaped() -> None:
    assert options_json([("b", "x & y's"), ("a", "<é>")]) == (
        '{"a": "\\u003c\\u00e9\\u003e", "b": "x \\u0026 y\\u0027s"}'
    )


def test_blank_texts_are_shown_as_on_a_parsed_page() -> None:
    assert [visible(text) for text in ("", "  ", " \n ", " x ", "\u00a0")] == ["", " ", "", " x ", "\u00a0"]
    products = load_products([item("A", "mug", small_description=["", "  a", "b\nc"], full_description=" \n")])
    session = Session(Shop(products, build_index(products)), goal_for(products[0]), "official")
    for action in ("search[mug]", "click[a]", "click[features]"):
        session.act(action)
    assert observe(session, "text").endswith("< Prev [SEP]  [SEP] a [SEP] b\nc")
    session.act("click[< prev]")
    session.act("click[description]")
    assert observe(session, "text").endswith("[SEP] < Prev")


class _Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def ids(self) -> set[str | None]:
        return {attributes.get("id") for _, attributes in self.found}


def test_html_is_well_formed_and_has_the_originals_ids() -> None:
    start = _Elements(page([], "html"))
    assert {"instruction-text", "search_input"} <= start.ids()
    assert ("h4", {}) in start.found
    results = _Elements(page(["search[clay mug]", "click[next >]"], "html"))
    assert sum(attributes.get("class") == "product-link" for _, attributes in results.found) == 10
    product = _Elements(page([*OPEN, "click[red]"], "html"))
    radios = [attributes for tag, attributes in product.found if tag == "input"]
    assert [radio["value"] for radio in radios if "checked" in radio] == ["red"]
    assert {radio["name"] for radio in radios} == {"color", "size"}
    done = _Elements(page([*OPEN, "click[buy now]"], "html"))
    assert {"reward", "asin", "options", "goal", "reward_info"} <= done.ids()
    for made in (start, results, product, done):
        assert not made.open
        assert made.found[0] == ("html", {"lang": "en"})
    assert "<tall>" not in page([], "html")


def test_observations_do_not_depend_on_hidden_fields_of_the_goal() -> None:
    product = SHOP.products[0]
    plain = goal_for(product, price_cap=20.0)
    secret = plain._replace(
        attributes=("zzattribute",),
        options=(("zzaxis", "zzvalue"),),
        price_cap=0.5,
        category="zzcategory",
        query="zzquery",
        title="zztitle",
        product_category="zzpart",
        asin="ZZASIN",
    )
    actions = ["foo", *OPEN, "click[red]", "click[features]", "click[< prev]", "click[nothing]"]
    for rules in ("official", "strict"):
        for mode in MODES:
            one, other = Session(SHOP, plain, rules), Session(SHOP, secret, rules)
            for action in actions:
                one.act(action)
                other.act(action)
                assert observe(one, mode) == observe(other, mode)
            one.act("click[buy now]")
            other.act("click[buy now]")
            last = observe(other, mode).lower()
            assert "zz" not in last
            assert one.parts is not None
            assert other.parts is not None
            assert other.parts.total == 0.0
            # Except for the score, the last page is the same too.
            assert last.replace("0.0", "1.0") == observe(one, mode).lower().replace("0.0", "1.0")
            assert not next_action(other)


def test_an_unknown_mode_raises_an_error() -> None:
    with pytest.raises(UnknownNameError, match="text_rich"):
        observe(Session(SHOP, WISH), "text_ritch")
