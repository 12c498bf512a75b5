"""The site with unknown addresses, hostile texts, limits and malformed requests."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from flask import Flask

from agentgym_hindsight.envs.webshop.loading import load_products
from agentgym_hindsight.envs.webshop.pages import INDEX
from agentgym_hindsight.envs.webshop.search import build_index
from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.envs.webshop.site.app import create_app
from agentgym_hindsight.envs.webshop.site.option_text import read_options, read_strings
from agentgym_hindsight.envs.webshop.site.sessions import Sessions, new_name
from agentgym_hindsight.errors import UnknownNameError, UsageError
from tests.envs.webshop.fuzz_site import fuzz_site
from tests.envs.webshop.tiny_shop import goal_for, item, tiny_shop, values
from tests.envs.webshop.visitor import Visitor, session_of, visitor_of

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


@pytest.mark.parametrize(
    "address",
    [
        "/fixed_99999",
        "/no.such/page",
        "/favicon.ico",
        "/" + "x" * 65,
        "/search_results/nobody/mug/1",
        "/item_page/nobody/T000000001/mug/1/%7B%7D",
        "/item_sub_page/nobody/T000000001/mug/1/Features/%7B%7D",
        "/done/nobody/T000000001/%7B%7D",
        "/search_results/ann/mug",
        "/search_results/ann/mug/-1",
        "/search_results/ann/mug/0",
        "/search_results/ann/mug/4",
        "/search_results/ann/mug/9999999",
        "/search_results/ann//1",
        "/search_results/ann/+/1",
        f"/search_results/ann/{'m' * 1001}/1",
        "/item_page/ann/NOSUCHASIN/mug/1/%7B%7D",
        "/item_page/ann/T000000001/mug/one/%7B%7D",
        "/item_page/ann/T000000001/mug/1/%7B",
        "/item_page/ann/T000000001/mug/1/open()",
        "/item_page/ann/T000000001/mug/1/%7B%22color%22:%20%22plaid%22%7D",
        "/item_page/ann/T000000001/mug/1/%7B%22taste%22:%20%22red%22%7D",
        f"/item_page/ann/T000000001/mug/1/%7B{'%22color%22:%22red%22,' * 400}%7D",
        "/item_sub_page/ann/T000000001/mug/1/Secrets/%7B%7D",
        "/item_sub_page/ann/T000000001/mug/1",
        "/done/ann/NOSUCHASIN/%7B%7D",
        "/picture/NOSUCHASIN.svg",
        "/picture/T000000001/plaid.svg",
        "/static/nothing.css",
    ],
)
def test_unknown_addresses_get_a_page_with_a_link(app: Flask, address: str) -> None:
    visitor = visitor_of(app)
    visitor.go("/ann")
    before = session_of(app, "ann").state
    visitor.go(address)
    assert visitor.status == 404
    assert visitor.page.links["Start shopping"] == "/"
    assert session_of(app, "ann").state == before
    if address.split("/")[2:3] == ["ann"]:
        visitor.follow("Go on where you were")
        assert visitor.status == 200


def test_a_wrong_form_changes_nothing_and_gets_a_reason(visitor: Visitor, app: Flask) -> None:
    visitor.go("/ann")
    for query, reason in (("", "type what"), ("[]\n", "type what"), ("m" * 1001, "at most 1000")):
        visitor.go("/ann", {"search_query": query})
        assert visitor.status == 400
        assert reason in visitor.page.text
    visitor.search("mug")
    page_address, state = visitor.address, session_of(app, "ann").state
    for name in ("buy now", "no such thing", "search", "x" * 5000, "]", "\0"):
        visitor.go(page_address, {"clickable": name})
        assert visitor.status == 400
        assert visitor.html.count('role="alert"') == 1
        assert session_of(app, "ann").state == state
    visitor.go(page_address, {"clickable": "next >" + "x" * 40_000})
    assert visitor.status == 413


def test_head_does_not_change_the_session(app: Flask) -> None:
    client = app.test_client()
    client.get("/ann")
    assert client.head(f"/done/ann/{MUG}/{{}}").status_code == 200
    assert session_of(app, "ann").state.kind == INDEX


def test_methods(app: Flask) -> None:
    client = app.test_client()
    options = client.options("/ann")
    assert options.status_code == 200
    assert {"GET", "HEAD", "OPTIONS", "POST"} == set(options.headers["Allow"].split(", "))
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "BREW"):
        answer = client.open("/ann", method=method)
        assert answer.status_code == 405
        assert "GET" in answer.headers["Allow"]
        assert "Start shopping" in answer.get_data(as_text=True)
    assert client.post("/picture/T000000001.svg").status_code == 405


def test_headers_forbid_scripts_and_other_servers(app: Flask) -> None:
    client = app.test_client()
    for address in ("/ann", "/nowhere/at/all", f"/picture/{MUG}.svg", "/static/site.css"):
        with client.get(address) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "script-src" not in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    page = client.get("/ann")
    assert page.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in page.headers
    for address in ("/ann", f"/item_page/ann/{MUG}/mug/1/{{}}"):
        html = client.get(address).get_data(as_text=True)
        assert "<script" not in html
        assert "style=" not in html
        assert "http://" not in html.replace("http://www.w3.org/", "")
        assert "https://" not in html


def test_hostile_texts_are_escaped() -> None:
    evil = "<script>alert(1)</script>\"'&"
    products = load_products(
        [
            item(
                "E000000001",
                f"Mug {evil}",
                customization_options={f"Co{evil}lor": values(f"red{evil}", "a[b]")},
                full_description=evil,
                small_description=[evil],
                images=[f"javascript:{evil}"],
            )
        ]
    )
    shop = Shop(products, build_index(products), [goal_for(products[0], instruction=f"Find {evil}")])
    app = create_app(shop)
    visitor = visitor_of(app)
    pages = []
    visitor.go("/ann")
    pages.append(visitor.html)
    visitor.search(f"mug {evil}")
    pages.append(visitor.html)
    visitor.follow("E000000001")
    pages.append(visitor.html)
    axis, (value, other) = next(iter(products[0].options.items()))
    visitor.mark(axis, other)
    visitor.press("Keep my choice")  # refused as for an agent: the grammar splits at the last bracket
    assert visitor.status == 400
    visitor.mark(axis, value)
    visitor.press("Description")
    pages.append(visitor.html)
    visitor.press("< Prev")
    assert session_of(app, "ann").state.options == ((axis, value),)
    pages.append(visitor.html)
    visitor.press("Buy Now")
    pages.append(visitor.html)
    visitor.go(f"/item_page/ann/{quote(evil, safe='')}/mug/1/{{}}")
    pages.append(visitor.html)
    visitor.go("/" + quote(evil, safe=""))
    pages.append(visitor.html)
    for html in pages:
        assert "<script" not in html
        assert "javascript:" not in html
        assert "alert(1)</" not in html


def test_sessions_are_bounded_in_number_and_age(shop: Shop) -> None:
    now = [0.0]
    sessions = Sessions(
        lambda name: Session(shop, shop.goals[0], session_id=name), limit=3, max_age=10, clock=lambda: now[0]
    )
    for name in "abc":
        sessions.find_or_create(name)
    sessions.find("a")
    sessions.find_or_create("d")  # removes b, the least recently used one on the start page
    assert [sessions.find(name) is not None for name in "abcd"] == [True, False, True, True]
    now[0] = 9
    session = sessions.find("a")
    now[0] = 11
    assert len(sessions) == 3
    assert sessions.find("a") is session
    assert len(sessions) == 1
    assert len({new_name() for _ in range(100)}) == 100
    for limit, age in ((0, 10.0), (3, 0.0)):
        with pytest.raises(UsageError, match="limit of at least 1 and a positive max_age"):
            Sessions(lambda name: Session(shop, shop.goals[0]), limit=limit, max_age=age)


def test_an_expired_session_gets_a_page_with_a_link(shop: Shop) -> None:
    visitor = visitor_of(create_app(shop, max_sessions=1))
    visitor.go("/ann")
    visitor.go(f"/done/ann/{MUG}/{{}}")
    page_address = visitor.address
    visitor.go("/bob")  # takes the place of the finished session
    visitor.go(page_address)
    assert visitor.status == 404
    assert "ann" in visitor.page.text
    visitor.follow("Start shopping")
    assert visitor.status == 200


def test_pictures_are_drawings(app: Flask) -> None:
    client = app.test_client()
    plain = client.get(f"/picture/{MUG}.svg")
    assert plain.mimetype == "image/svg+xml"
    assert plain.data == client.get(f"/picture/{MUG}.svg").data
    assert plain.data != client.get(f"/picture/{MUG}/green.svg").data
    assert client.get(f"/picture/{MUG}/%3Cscript.svg").status_code == 404


@pytest.mark.parametrize("form", [json.dumps, repr, str])
def test_written_options_can_be_read(form: object) -> None:
    for options in (
        {},
        {"color": "red"},
        {"a\"b'c\\": "caf\u00e9 \U0001f600\n\x07", "": ""},
        {"size": "8 | 9, {x}: 'y'"},
    ):
        assert read_options(form(options)) == options  # type: ignore[operator]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "}",
        "{}}",
        "[]",
        "{1: 2}",
        "{'a'}",
        "{'a': }",
        "{'a': 'b' 'c': 'd'}",
        "{'a': __import__('os')}",
        "x" * 5000,
        "{" * 4000,
        "{'a': 'b\\'}",
    ],
)
def test_other_texts_are_not_read_as_options(text: str) -> None:
    assert read_options(text) is None


def test_odd_escapes_are_read_as_characters() -> None:
    assert read_options(r"{'a': '\U99999999\ud800\x41'}") == {"a": "\ufffd\ufffdA"}
    assert read_strings("[]") == []


def test_wrong_arguments(shop: Shop) -> None:
    with pytest.raises(UnknownNameError, match="strict"):
        create_app(shop, rules="strikt")
    with pytest.raises(UnknownNameError, match="noun rule"):
        create_app(shop, nouns="none")
    with pytest.raises(UsageError, match="goals"):
        create_app(Shop(shop.products, build_index(shop.products)))
    with pytest.raises(UnknownNameError, match="split"):
        create_app(data="embedded", products=50, split="valid")


@pytest.mark.parametrize("seed", [0, 1])
def test_malformed_requests(seed: int) -> None:
    report = fuzz_site(1000, seed)
    assert report.requests == 1000
    assert not report.wrong
    assert set(report.statuses) <= {200, 303, 308, 400, 404, 405, 413}
