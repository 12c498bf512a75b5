"""Official files, valid and invalid."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.envs.webshop.loading import load_annotations, load_products, prices_of
from agentgym_hindsight.envs.webshop.official_files import find_catalogue, read_catalogue, read_json
from agentgym_hindsight.errors import DamagedDataError, MissingDataError, UnknownNameError
from tests.envs.webshop.tiny_shop import ATTRIBUTES, ITEMS, item, values

HUMAN = {
    "T000000001": [
        {"instruction": "a green mug.", "instruction_attributes": ["lead free"], "instruction_options": ["dark green"]}
    ]
}


def write(folder: Path, tag: str = "", **files: Any) -> Path:
    for name, content in {
        "items_shuffle": ITEMS,
        "items_ins_v2": ATTRIBUTES,
        "items_human_ins": HUMAN,
        **files,
    }.items():
        (folder / f"{name}{tag}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_a_product_equals_that_of_the_original_after_loading() -> None:
    product = load_products(ITEMS, ATTRIBUTES)[0]
    assert product.options == {"color": ("dark green", "red", "café"), "size": ("large", "x-large")}
    assert product.query == "mugs"
    assert product.attributes == ("dishwasher safe", "lead free")
    assert (product.prices, product.price_tag, product.price) == ((12.5,), "$12.5", 12.5)
    assert load_products(ITEMS, ATTRIBUTES)[1].options == {"color": ("red | white", "features", "blue")}
    assert load_products([item("X", "Y", small_description="one text")])[0].bullets == ("one text",)
    assert load_products([item("X", "Y")])[0].attributes == ("DUMMY_ATTR",)


def test_odd_asins_and_copies_are_skipped() -> None:
    listed = [item("nan", "a"), item("T0000000011", "b"), item("X", "first"), item("X", "second")]
    assert [product.title for product in load_products(listed)] == ["first"]


def test_listed_prices() -> None:
    assert prices_of("$1,299.00") == ((1299.0,), "$1299.0")
    assert prices_of("$5.00 - $3.00 - $9.00") == ((5.0, 3.0), "$5.0 to $3.0")
    assert prices_of(None) == ((100.0,), "$100.0")


def test_a_price_from_a_range_depends_only_on_the_seed() -> None:
    hose = [load_products(ITEMS, ATTRIBUTES, seed=seed)[2].price for seed in (0, 0, 1)]
    assert hose[0] == hose[1] != hose[2]
    assert all(20 <= price <= 30 for price in hose)
    assert load_products([ITEMS[2]])[0].price == hose[0]  # independent of the other products
    before = random.getstate()
    load_products(ITEMS, ATTRIBUTES)
    assert random.getstate() == before


def test_recorded_prices_are_used_and_must_be_complete() -> None:
    prices = {record["asin"]: 7.0 for record in ITEMS}
    assert {product.price for product in load_products(ITEMS, prices=prices)} == {7.0}
    with pytest.raises(DamagedDataError, match="T000000001"):
        load_products(ITEMS, prices={})


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"name": "no asin"}, "record 1 .*'asin'"),
        ("text", "record 1 .*a str"),
        ({**item("X", "Y"), "name": None}, "record 1 .X. .*'name'"),
        (item("X", "Y", query=3), "'query'"),
        (item("X", "Y", pricing="cheap"), "price like"),
        (item("X", "Y", pricing=4.0), "price like"),
        (item("X", "Y", customization_options={"Color": [{"no": "value"}]}), "customization_options"),
        (item("X", "Y", customization_options=[1]), "customization_options"),
        (item("X", "Y", small_description=[1]), "small_description"),
    ],
)
def test_errors_name_the_wrong_record(record: object, message: str) -> None:
    with pytest.raises(DamagedDataError, match=message) as raised:
        load_products([ITEMS[0], record], source="items_shuffle.json")
    assert "items_shuffle.json" in str(raised.value)
    assert "; try" in str(raised.value)


def test_swapped_files_are_recognised() -> None:
    with pytest.raises(DamagedDataError, match=r"list of products, got a dict.*items_ins_v2"):
        load_products(ATTRIBUTES)
    with pytest.raises(DamagedDataError, match="map an asin"):
        load_products(ITEMS, ITEMS)
    with pytest.raises(DamagedDataError, match="got a list of 1 in record T000000001"):
        load_products(ITEMS, HUMAN)
    with pytest.raises(DamagedDataError, match="no common ASIN"):
        load_products(ITEMS, {"B000000000": {"attributes": []}})
    with pytest.raises(DamagedDataError, match="record T000000001 to be a list"):
        load_annotations(ATTRIBUTES)
    with pytest.raises(DamagedDataError, match="to have an instruction"):
        load_annotations({"X": [{"text": 1}]})
    with pytest.raises(DamagedDataError, match="none that can be used"):
        load_products([])


def test_a_folder_of_official_files(tmp_path: Path) -> None:
    found = read_catalogue(write(tmp_path))
    assert len(found.products) == len(ITEMS)
    assert found.annotations["T000000001"][0].options == ("dark green",)
    assert found.files.tag == ""


def test_the_files_of_one_catalogue_are_chosen(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "_1000", items_shuffle=ITEMS[:4], items_human_ins={})
    (tmp_path / "items_human_ins_1000.json").unlink()
    assert find_catalogue(tmp_path).tag == "1000"
    assert find_catalogue(tmp_path).human == tmp_path / "items_human_ins.json"
    assert len(read_catalogue(tmp_path, tag="").products) == len(ITEMS)
    with pytest.raises(UnknownNameError, match="50"):
        find_catalogue(tmp_path, "50")


def test_compressed_and_renamed_files_are_read(tmp_path: Path) -> None:
    for name, content in {
        "items_shuffle_1000.rebuilt": ITEMS,
        "items_ins_v2_1000": ATTRIBUTES,
        "items_human_ins_for_1000.rebuilt": HUMAN,
    }.items():
        (tmp_path / f"{name}.json.gz").write_bytes(gzip.compress(json.dumps(content).encode()))
    found = read_catalogue(tmp_path)
    assert found.files.tag == "1000"
    assert found.annotations


def test_errors_name_the_missing_files(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="folder"):
        read_catalogue(tmp_path / "nowhere")
    with pytest.raises(MissingDataError, match=r"items_shuffle\*.json"):
        read_catalogue(tmp_path)
    write(tmp_path, "_a")
    (tmp_path / "items_ins_v2_a.json").rename(tmp_path / "items_ins_v2_b.json")
    assert read_catalogue(tmp_path).annotations  # one of each: they belong together
    write(tmp_path, "_c")
    (tmp_path / "items_shuffle_c.json").unlink()
    with pytest.raises(MissingDataError, match="one release"):
        read_catalogue(tmp_path)


@pytest.mark.parametrize("cut", [0, 1, 40])
def test_errors_name_the_truncated_file(tmp_path: Path, cut: int) -> None:
    write(tmp_path)
    path = tmp_path / "items_shuffle.json"
    path.write_bytes(path.read_bytes()[: -cut or 0])
    if cut:
        with pytest.raises(DamagedDataError, match=r"items_shuffle\.json, got an error in line 1, column"):
            read_catalogue(tmp_path)
    packed = tmp_path / "other.json.gz"
    packed.write_bytes(gzip.compress(b"[1, 2, 3]" * 50)[: -cut - 1])
    with pytest.raises(DamagedDataError, match=r"other\.json\.gz"):
        read_json(packed)


def test_binary_data_are_not_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DamagedDataError, match=r"a\.json"):
        read_json(tmp_path / "a.json")
    with pytest.raises(MissingDataError):
        read_json(tmp_path / "b.json")


def test_options_keep_their_order() -> None:
    record = item("X", "Y", customization_options={"Z": values("2", "1"), "A": values("b")})
    assert list(load_products([record])[0].options.items()) == [("z", ("2", "1")), ("a", ("b",))]
