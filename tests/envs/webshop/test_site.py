"""The site plays the same game as the env, with forms, links and addresses, and sessions are independent."""

from __future__ import annotations

import re
import threading
from random import Random
from urllib.parse import quote

import pytest
from flask import Flask

from agentgym_hindsight.envs.webshop.library import Library, open_library
from agentgym_hindsight.envs.webshop.loading import load_products
from agentgym_hindsight.envs.webshop.observe import observe
from agentgym_hindsight.envs.webshop.oracle import plan
from agentgym_hindsight.envs.webshop.pages import DONE, INDEX, ITEM, OPTION, RESULTS, SUB
from agentgym_hindsight.envs.webshop.search import build_index
from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.envs.webshop.site.app import create_app
from agentgym_hindsight.envs.webshop.site.sessions import is_name
from tests.envs.webshop.tiny_shop import goal_for, item, tiny_shop
from tests.envs.webshop.visitor import Visitor, same_page, session_of, visitor_of

MUG = "T000000001"


@pytest.fixture(scope="module")
def shop() -> Shop:
    return tiny_shop()


@pytest.fixture
def app(shop: Shop) -> Flask:
    return create_app(shop)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return visitor_of(app)


@pytest.fixture(scope="module")
def library() -> Library:
    return open_library("embedded")


@pytest.mark.parametrize("rules", ["strict", "official"])
def test_a_whole_purchase_by_forms(library: Library, rules: str) -> None:
    app = create_app(library if rules == "strict" else open_library("embedded", rules="official"))
    for number in range(0, 200, 17):
        visitor = visitor_of(app)
        visitor.go(f"/fixed_{number}")
        reference = Session(library.shop, library.shop.goals[number], rules)
        same_page(visitor, reference)
        actions, reward = plan(reference)
        for action in actions:
            target = reference.targets.get(action[len("click[") : -1])
            visitor.do(action, (target.axis, target.value) if target is not None and target.role == OPTION else None)
            assert reference.act(action).valid
            same_page(visitor, reference)
            assert session_of(app, f"fixed_{number}").state == reference.state
        assert reward == 1.0
        assert "1.0" in visitor.page.by_id["reward"]


@pytest.mark.parametrize("rules", ["strict", "official"])
def test_random_actions_have_the_same_effect_as_in_the_engine(shop: Shop, rules: str) -> None:
    app, draw = create_app(shop, rules=rules), Random(7)
    for number in range(len(shop.goals)):
        visitor, reference = visitor_of(app), Session(shop, shop.goals[number], rules)
        visitor.go(f"/fixed_{number}")
        for _ in range(40):
            if reference.done:
                break
            if reference.has_search_bar:
                action = f"search[{draw.choice(['mug', 'clay mug', 'red', 'nothing at all', 'search_results mug'])}]"
            else:
                names = [name for name in reference.targets if name != "search"]
                action = f"click[{draw.choice(names)}]"
            target = reference.targets.get(action[len("click[") : -1])
            choice = (target.axis, target.value) if target is not None and target.role == OPTION else None
            if choice is not None and dict(reference.state.options).get(choice[0]) == choice[1]:
                continue  # a browser cannot choose a chosen option again
            reference.act(action)
            visitor.do(action, choice)
            assert session_of(app, f"fixed_{number}").state == reference.state, action
            same_page(visitor, reference)


def test_every_button_sends_the_marked_options(visitor: Visitor, app: Flask) -> None:
    visitor.go("/fixed_0")
    visitor.search("tall clay mug")
    visitor.follow(MUG)
    visitor.mark("color", "dark green")
    visitor.mark("size", "x-large")
    visitor.press("Features")
    assert "Dishwasher safe" in visitor.page.text
    visitor.press("< Prev")
    assert visitor.page.by_id["chosen"].split() == ["Chosen:", "color:", "dark", "green,", "size:", "x-large."]
    visitor.mark("size", "large")
    visitor.press("Buy Now")
    assert dict(session_of(app, "fixed_0").state.options) == {"color": "dark green", "size": "large"}
    assert "color: dark green, size: large" in visitor.page.by_id["options"]


def test_the_home_address_creates_a_session(visitor: Visitor) -> None:
    visitor.go("/")
    first = visitor.address
    visitor.go("/")
    assert first != visitor.address
    assert is_name(first[1:])
    assert visitor.status == 200
    assert "search_query" in visitor.page.forms[0].fields
    assert "Instruction:" in visitor.page.by_id["instruction-text"]


def test_a_name_determines_the_goal(shop: Shop) -> None:
    apps = (create_app(shop), create_app(shop))
    for name, goal in (("fixed_3", 3), ("anna-fixed_8", 8), ("fixed_run2_5", 5)):
        visitor_of(apps[0]).go(f"/{name}")
        assert session_of(apps[0], name).goal == shop.goals[goal]
    drawn = set()
    for number in range(40):
        goals = []
        for app in apps:
            visitor_of(app).go(f"/somebody{number}")
            goals.append(session_of(app, f"somebody{number}").goal.instruction)
        assert goals[0] == goals[1]
        drawn.add(goals[0])
    assert len(drawn) > 4


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("/search_results/ann/clay+mug/2", RESULTS),
        ("/search_results/ann/['clay', 'mug']/1", RESULTS),
        (f"/item_page/ann/{MUG}/clay+mug/1/%7B%7D", ITEM),
        (f"/item_page/ann/{MUG}/clay+mug/1", ITEM),
        (f"/item_page/ann/{MUG}/1/2/cup mug/1/{{'color': 'caf\\xe9', 'size': 'large'}}", ITEM),
        (f"/item_sub_page/ann/{MUG}/clay+mug/1/Features/%7B%22color%22:%20%22red%22%7D", SUB),
        (f"/item_sub_page/ann/{MUG}/clay+mug/1/Attributes/{{}}", SUB),
        (f"/done/ann/{MUG}/{{'color': 'red'}}", DONE),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_deep_links(app: Flask, address: str, kind: str, method: str) -> None:
    visitor = visitor_of(app)
    visitor.go("/ann")
    visitor.go(quote(address, safe="/%+"), method=method)
    assert visitor.status == 200
    session = session_of(app, "ann")
    assert session.state.kind == kind
    same_page(visitor, session)
    if kind in (ITEM, SUB):
        assert session.shop.products[session.state.product].asin == MUG
        visitor.press("< Prev")  # the button for the page before works
        assert session.state.kind == (RESULTS if kind == ITEM else ITEM)


def test_buttons_act_from_their_own_page_in_every_tab(app: Flask) -> None:
    visitor, other = visitor_of(app), visitor_of(app)
    visitor.go("/ann")
    visitor.search("mug")
    other.go(visitor.address)
    visitor.follow(visitor.page.products[0])
    other.press("Next >")
    assert "Page 2" in other.page.text


@pytest.mark.parametrize(
    "query", ["1/2 cup", "a//b", "..", ".", "c++ mug", "100% mug?", "mug #1", "/", "caf\u00e9 \u2615", "\\mug"]
)
def test_the_address_of_any_search_can_be_reloaded(app: Flask, query: str) -> None:
    visitor = visitor_of(app)
    visitor.go("/ann")
    visitor.search(query)
    reference = Session(session_of(app, "ann").shop, session_of(app, "ann").goal)
    reference.act(f"search[{query}]")
    same_page(visitor, reference)
    visitor.go(visitor.address)  # reload
    assert session_of(app, "ann").state == reference.state
    for asin in visitor.page.products[:1]:
        visitor.follow(asin)
        assert session_of(app, "ann").state.query == query
        visitor.press("< Prev")
        assert session_of(app, "ann").state.hits == reference.state.hits


def test_the_purchase_is_final_and_the_goal_can_be_restarted(visitor: Visitor, app: Flask) -> None:
    visitor.go("/ann")
    visitor.go(f"/done/ann/{MUG}/{{}}")
    done = visitor.address
    score = session_of(app, "ann").state
    for address in ("/search_results/ann/mug/1", f"/item_page/ann/{MUG}/mug/1/{{}}", "/done/ann/T000000002/{}"):
        visitor.go(address)
        assert visitor.address.startswith("/done/ann/T000000001/")
        assert session_of(app, "ann").state == score
    visitor.go(done, {"clickable": "buy now"})
    assert visitor.status == 400
    visitor.go("/ann")
    assert session_of(app, "ann").state.kind == INDEX


def test_only_the_last_page_reveals_the_goal(shop: Shop) -> None:
    goal = goal_for(shop.products[0], attributes=("secret attribute",), instruction="Buy something")
    one_goal = Shop(shop.products, build_index(shop.products), [goal])
    for reveal in (True, False):
        visitor = visitor_of(create_app(one_goal, reveal=reveal))
        for address in ("/ann", "/search_results/ann/clay/1", f"/item_page/ann/{MUG}/clay/1/{{}}"):
            visitor.go(address)
            assert "secret" not in visitor.html
        visitor.press("Buy Now")
        assert ("secret attribute" in visitor.page.by_id["reward_info"]) == reveal
        assert {"reward", "asin", "options", "goal", "reward_info"} <= set(visitor.page.by_id)


def test_prices_have_two_decimals_on_every_page() -> None:
    products = load_products(
        [
            item("P000000001", "Plain Mug", pricing="$25"),
            item("P000000002", "Two Mugs", pricing="$7.5 - $1,011.38"),
            item("P000000003", "Unpriced Mug", pricing=""),
        ]
    )
    priced = Shop(products, build_index(products), [goal_for(products[0])])
    visitor = visitor_of(create_app(priced))
    visitor.go("/ann")
    visitor.search("mug")
    pages = [visitor.html]
    for product in products:
        visitor.go(f"/item_page/ann/{product.asin}/mug/1/{{}}")
        pages.append(visitor.html)
    visitor.press("Buy Now")
    pages.append(visitor.html)
    text = "\n".join(pages)
    shown = set(re.findall(r"\$[\d.]+(?: to \$[\d.]+)?", text))
    assert shown == {"$25.00", "$7.50 to $1011.38", "$100.00", "$50.00"}  # $50.00: the limit of the goal
    session = Session(priced, priced.goals[0])
    session.act("search[plain]")
    assert "$25.0 " in f"{observe(session)} ", "the env's pages stay those of the original"


@pytest.mark.parametrize(("total", "look"), [(0.0, "none"), (0.5, "part"), (1.0, "all")])
def test_only_a_full_score_looks_like_a_success(app: Flask, total: float, look: str) -> None:
    visitor = visitor_of(app)
    visitor.go("/ann")
    visitor.go(f"/done/ann/{MUG}/{{}}")
    session = session_of(app, "ann")
    assert session.state.parts is not None
    session.state = session.state._replace(parts=session.state.parts._replace(total=total))
    visitor.go(visitor.address)
    assert f'<h3 id="reward" class="{look}"' in visitor.html
    with app.test_client().get("/static/site.css") as answer:
        sheet = answer.get_data(as_text=True)
    colors = dict(re.findall(r"#reward(?:\.(\w+))? pre \{[^}]*?\bcolor: ([^;]+);", sheet))
    assert colors == {"all": "var(--main)", "none": "var(--warn-ink)"}


def test_concurrent_sessions_are_independent(library: Library) -> None:
    """Concurrent visitors with different goals each get the result of the engine."""
    app = create_app(library)
    wrong: list[str] = []

    def shopping(number: int) -> None:
        try:
            visitor, reference = visitor_of(app), Session(library.shop, library.shop.goals[number])
            for _ in range(2):
                reference = Session(library.shop, library.shop.goals[number])
                visitor.go(f"/fixed_{number}")
                for action in plan(reference)[0]:
                    target = reference.targets.get(action[len("click[") : -1])
                    option = target is not None and target.role == OPTION
                    visitor.do(action, (target.axis, target.value) if target is not None and option else None)
                    reference.act(action)
                    same_page(visitor, reference)
                    assert reference.done or reference.goal.instruction in visitor.page.text
        except BaseException as error:
            wrong.append(f"{number}: {error!r}")

    threads = [threading.Thread(target=shopping, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
