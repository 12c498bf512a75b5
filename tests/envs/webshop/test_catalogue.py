"""The embedded shop is stable, has the official schema, and has the statistics and difficulty of the official 1,000."""

from __future__ import annotations

import json
import string
import sys
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from statistics import mean
from time import process_time
from typing import Any

import pytest

from agentgym_hindsight.envs.webshop.catalogue import (
    attribute_record,
    embedded_products,
    human_record,
    item_record,
    review_record,
    write_official_files,
)
from agentgym_hindsight.envs.webshop.goals import human_goals, recorded_goals, synthetic_goals
from agentgym_hindsight.envs.webshop.loading import load_annotations, option_value
from agentgym_hindsight.envs.webshop.official_files import read_catalogue
from agentgym_hindsight.envs.webshop.oracle import plan
from agentgym_hindsight.envs.webshop.reward import option_matches, score
from agentgym_hindsight.envs.webshop.search import build_index
from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.envs.webshop.shop_types import RULES, Goal, Product
from agentgym_hindsight.envs.webshop.vocabulary import departments
from agentgym_hindsight.errors import UsageError

#: The result of "search the instruction, buy the first hit, choose nothing" on the official 1,000 products, with their
#: 6,910 synthetic goals and the prices of one run of the original; see test_the_real_figures.
REAL_SCORE, REAL_SUCCESS = 52.2, 1.3

ITEM_TYPES: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "product_information": dict,
    "brand": str,
    "brand_url": str,
    "full_description": str,
    "pricing": str,
    "list_price": str,
    "availability_quantity": (int, type(None)),
    "availability_status": str,
    "images": list,
    "product_category": str,
    "average_rating": (float, str),
    "small_description": list,
    "total_reviews": int,
    "total_answered_questions": (int, str),
    "model": str,
    "customization_options": (dict, str),
    "seller_id": str,
    "seller_name": str,
    "fulfilled_by_amazon": str,
    "fast_track_message": str,
    "aplus_present": str,
    "asin": str,
    "category": str,
    "query": str,
    "page": int,
    "small_description_old": str,
}


@pytest.fixture(scope="module")
def products() -> tuple[Product, ...]:
    return embedded_products(1000, seed=0)


@pytest.fixture(scope="module")
def items() -> list[dict[str, Any]]:
    return [item_record(0, index) for index in range(1000)]


@pytest.fixture(scope="module")
def human(products: tuple[Product, ...]) -> tuple[Goal, ...]:
    records = {product.asin: human_record(0, index) for index, product in enumerate(products)}
    return human_goals(products, load_annotations(records))


def rule_agent(products: Sequence[Product], goals: Sequence[Goal]) -> tuple[float, float]:
    """Mean score and success rate of the rule, in per cent, under official rules."""
    index = build_index(products)
    totals = [score(products[index.search(goal.instruction, 1)[0]], {}, goal, "official").total for goal in goals]
    return 100 * mean(totals), 100 * mean(total == 1.0 for total in totals)


def test_the_beginning_of_a_catalogue_does_not_depend_on_its_length(products: tuple[Product, ...]) -> None:
    assert embedded_products(1200, seed=0)[:1000] == products
    assert embedded_products(1, seed=0) == products[:1]
    assert embedded_products(50, seed=1) != products[:50]
    late = item_record(0, 99_999)  # does not need the products before it
    assert late["asin"] not in {product.asin for product in products}


def test_records_are_the_same_on_every_machine(items: list[dict[str, Any]]) -> None:
    digest = sha256()
    for index, item in enumerate(items):
        records = [item, attribute_record(0, index), human_record(0, index)]
        digest.update(json.dumps(records, ensure_ascii=False).encode())
    assert digest.hexdigest()[:32] == "fd826ec424140211dd388441dd9dc949"


def test_items_have_every_key_of_the_official_schema(items: list[dict[str, Any]]) -> None:
    for item in items:
        assert list(item) == list(ITEM_TYPES)
        wrong = {key: item[key] for key, kind in ITEM_TYPES.items() if not isinstance(item[key], kind)}
        assert not wrong, item["asin"]
        assert item["images"]
        assert all(isinstance(image, str) for image in item["images"])
        assert all(isinstance(bullet, str) for bullet in item["small_description"])
        if item["customization_options"]:
            for axis, choices in item["customization_options"].items():
                assert axis in ("Color", "Size", "Style", "Flavor Name", "Fit Type", "Scent")
                assert len(choices) > 1
                assert all(isinstance(choice["value"], str) and choice["value"] for choice in choices)


def test_attributes_and_requests_follow_the_official_schema(items: list[dict[str, Any]]) -> None:
    for index, item in enumerate(items):
        known = attribute_record(0, index)
        assert set(known) in ({"attributes"}, {"attributes", "instruction", "instruction_attributes"})
        assert set(known.get("instruction_attributes", ())) <= set(known["attributes"])
        assert len(set(known["attributes"])) == len(known["attributes"])
        for request in human_record(0, index):
            assert set(request) == {
                *("asin", "instruction", "attributes", "options", "instruction_attributes", "instruction_options"),
                *("assignment_id", "worker_id"),
            }
            assert request["asin"] == item["asin"]
            assert request["instruction_attributes"]
            assert set(request["instruction_attributes"]) <= set(known["attributes"])
            offered = {
                option_value(choice["value"])
                for choices in dict(item["customization_options"] or {}).values()
                for choice in choices
            }
            assert set(map(option_value, request["instruction_options"])) <= offered
        assert set(review_record(0, index)) == {"asin", "average_rating", "reviews"}


def test_asins_are_legal_and_no_two_products_are_equal() -> None:
    many = embedded_products(3000, seed=0)
    letters = set(string.ascii_uppercase + string.digits)
    assert all(len(product.asin) == 10 and set(product.asin) <= letters for product in many)
    assert len({product.asin for product in many}) == len(many)
    assert len({product._replace(asin="", image="", options=()).__repr__() for product in many}) == len(many)
    assert len({product.title for product in many}) == len(many)
    assert all(len(set(values)) == len(values) for product in many for values in product.options.values())


def test_statistics_are_those_of_the_official_products(
    products: tuple[Product, ...], items: list[dict[str, Any]]
) -> None:
    def near(found: float, official: float, share: float = 0.15) -> bool:
        return abs(found - official) <= share * official

    categories = Counter(product.category for product in products)
    official = {"beauty": 238, "electronics": 229, "garden": 216, "fashion": 200, "grocery": 117}
    assert set(categories) == set(official)
    assert all(abs(categories[name] - count) <= 5 for name, count in official.items())
    assert near(len({product.query for product in products}), 246, 0.1)
    assert near(mean(len(product.title.split()) for product in products), 18)
    assert near(sum(not product.description for product in products), 301)
    axes = Counter(len(product.options) for product in products)
    assert all(near(axes[number], count) for number, count in ((0, 577), (1, 245), (2, 165)))
    assert 5 <= axes[3] <= 25
    names = Counter(axis for product in products for axis in product.options)
    assert [name for name, _ in names.most_common(2)] == ["color", "size"]
    assert set(names) == {"color", "size", "style", "flavor name", "fit type", "scent"}
    assert near(mean(len(p.options["size"]) for p in products if "size" in p.options), 5.5)
    assert near(mean(len(p.options["color"]) for p in products if "color" in p.options), 6.2)
    assert 25 <= max(len(values) for product in products for values in product.options.values()) <= 50
    assert near(sum(not item["pricing"] for item in items), 89, 0.3)
    assert near(sum(item["pricing"].count("$") == 2 for item in items), 93, 0.3)
    assert near(mean(len(product.attributes) for product in products), 2.83)
    assert near(sum(not product.attributes for product in products), 185)
    assert near(len({attribute for product in products for attribute in product.attributes}), 598, 0.25)
    depths = Counter(len(product.product_category.split(" › ")) for product in products)
    assert (depths[4] + depths[5]) / len(products) > 0.7
    assert near(sum(bool(product.instruction) for product in products), 415, 0.1)


def test_families_have_near_duplicates(products: tuple[Product, ...]) -> None:
    """They have the same kind and axes, similar attributes and other prices, so that caps and attributes matter."""
    groups: dict[tuple[str, tuple[str, ...]], list[Product]] = {}
    for product in products:
        if product.attributes:
            groups.setdefault((product.product_category, tuple(product.options)), []).append(product)
    near_duplicates = sum(
        len(set(one.attributes) & set(other.attributes)) >= 2 and one.price != other.price
        for group in groups.values()
        for place, one in enumerate(group)
        for other in group[:place]
    )
    assert near_duplicates > 100


def test_as_many_goals_as_the_official_thousand(products: tuple[Product, ...], human: tuple[Goal, ...]) -> None:
    assert 900 <= len(human) <= 1200
    assert len({goal.instruction for goal in human}) > 0.97 * len(human)
    assert 4000 <= len(synthetic_goals(products)) <= 8000  # official: 6,910 goals of 415 products


@pytest.mark.parametrize("rules", RULES)
def test_every_goal_can_be_reached(products: tuple[Product, ...], human: tuple[Goal, ...], rules: str) -> None:
    synthetic = synthetic_goals(products)
    goals = (*synthetic[:600], *human[:400])
    shop = Shop(products, build_index(products), goals)
    failed = [goal.instruction for goal in goals if plan(Session(shop, goal, rules))[1] != 1.0]
    assert not failed


def test_no_option_value_becomes_a_colour_under_official_rules() -> None:
    options = {pair for product in embedded_products(2000, seed=3) for pair in _pairs(product)}
    for axis, value in options:
        goal = Goal("", "", (), ((axis, value),), 1e6, "", "", "", "")
        assert option_matches({axis: value}, goal, "official")[0].matched, (axis, value)


def _pairs(product: Product) -> list[tuple[str, str]]:
    return [(axis, value) for axis, values in product.options.items() for value in values]


def test_as_hard_as_the_official_thousand(products: tuple[Product, ...]) -> None:
    points, success = rule_agent(products, synthetic_goals(products))
    assert abs(points - REAL_SCORE) < 5
    assert abs(success - REAL_SUCCESS) < 2


@pytest.mark.slow
def test_other_seeds_are_about_as_hard() -> None:
    catalogues = [embedded_products(1000, seed) for seed in (1, 2, 3)]
    points = [rule_agent(catalogue, synthetic_goals(catalogue)[::8])[0] for catalogue in catalogues]
    assert abs(mean(points) - REAL_SCORE) < 5


@pytest.mark.slow
def test_the_real_figures(shared: Path) -> None:
    folder = shared / "data" / "webshop"
    if not (folder / "goals_prices.json.gz").is_file():
        pytest.skip(f"no official products: {folder} is not there (set AGENTGYM_HINDSIGHT_SHARED)")
    points, success = rule_agent(*recorded(folder))
    assert points == pytest.approx(REAL_SCORE, abs=0.1)
    assert success == pytest.approx(REAL_SUCCESS, abs=0.1)


def recorded(folder: Path) -> tuple[Sequence[Product], Sequence[Goal]]:
    """The official 1,000 products with the goals and prices of one run of the original."""
    recording = recorded_goals(folder / "goals_prices.json.gz")
    return read_catalogue(folder, prices=recording.prices).products, recording.goals


def test_written_files_can_be_read_as_official_files(tmp_path: Path) -> None:
    folder = write_official_files(tmp_path / "shop", n=300, seed=2)
    assert sorted(path.name for path in folder.iterdir()) == [
        *("items_human_ins.json", "items_ins_v2.json", "items_shuffle.json", "reviews.json"),
    ]
    catalogue = read_catalogue(folder, seed=2)
    assert catalogue.products == embedded_products(300, seed=2)
    asked = {product.asin for index, product in enumerate(catalogue.products) if human_record(2, index)}
    assert {asin for asin, requests in catalogue.annotations.items() if requests} == asked
    reviews = json.loads((folder / "reviews.json").read_text(encoding="utf-8"))
    assert [review["asin"] for review in reviews] == [product.asin for product in catalogue.products]


def test_the_tables_are_complete() -> None:
    rows = [row for category in departments().values() for row in category]
    assert len({kind.query for row in rows for kind in row.kinds}) == sum(len(row.kinds) for row in rows) > 246
    for row in rows:
        assert len({spoken.attribute for spoken in row.properties}) == len(row.properties) >= 12
        assert row.topics
        assert all(kind.low < kind.high and kind.nouns for kind in row.kinds)


@pytest.mark.parametrize("n", [0, -3, 2.5])
def test_a_catalogue_has_at_least_one_product(n: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="try n=1000"):
        embedded_products(n)
    with pytest.raises(UsageError, match="at least one product"):
        write_official_files(tmp_path, n=n)


def test_making_a_product_takes_less_than_20_times_its_copy_as_json() -> None:
    making = copying = 0.0
    for index in range(20_000, 20_600):
        started = process_time()
        records = [item_record(5, index), attribute_record(5, index)]
        made = process_time()
        for _ in range(3):
            json.loads(json.dumps(records, ensure_ascii=False))
        making, copying = making + made - started, copying + (process_time() - made) / 3
    assert making < 20 * copying


@pytest.mark.slow
def test_a_hundred_thousand_products() -> None:
    many = embedded_products(100_000, seed=0)
    assert len({product.asin for product in many}) == len(many) == 100_000
    assert many[:50] == embedded_products(50, seed=0)


if __name__ == "__main__":
    shops = {"official 1,000": recorded(Path(sys.argv[1]))} if len(sys.argv) > 1 else {}
    for number in range(int(sys.argv[2]) if len(sys.argv) > 2 else 4):
        made = embedded_products(1000, number)
        shops[f"embedded, seed {number}"] = (made, synthetic_goals(made))
    for name, stock in shops.items():
        points, success = rule_agent(*stock)
        print(f"{name}: {len(stock[1])} goals, score {points:.2f}, success {success:.2f} %")
    made, asked = embedded_products(1000, 0), [human_record(0, index) for index in range(1000)]
    people = human_goals(made, load_annotations({listed[0]["asin"]: listed for listed in asked if listed}))
    everything = (*synthetic_goals(made), *people)
    sold = Shop(made, build_index(made), everything)
    for rule_set in RULES:
        won = sum(plan(Session(sold, goal, rule_set))[1] == 1.0 for goal in everything)
        print(f"oracle, embedded, seed 0, {rule_set} rules: {won} of {len(everything)} goals")
