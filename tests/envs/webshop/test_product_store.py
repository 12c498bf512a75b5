"""Products on disk: the same shop as in memory, built once, rebuilt when damaged."""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from agentgym_hindsight.envs.manifests import cache_folder
from agentgym_hindsight.envs.webshop import index_store, library, product_import
from agentgym_hindsight.envs.webshop.catalogue import write_official_files
from agentgym_hindsight.envs.webshop.json_stream import JsonFile
from agentgym_hindsight.envs.webshop.library import Library, open_library
from agentgym_hindsight.envs.webshop.observe import MODES, observe
from agentgym_hindsight.envs.webshop.official_files import read_catalogue
from agentgym_hindsight.envs.webshop.oracle import plan
from agentgym_hindsight.envs.webshop.product_store import ProductStore
from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.errors import DamagedDataError, UnknownNameError
from tests.envs.webshop.tiny_shop import ATTRIBUTES, ITEMS, item

COUNT = 400


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_official_files(tmp_path_factory.mktemp("official"), COUNT)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    forget()


def forget() -> None:
    for cached in (library._shop_data, library._library, library._shop):
        cached.cache_clear()


def store_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Store even small catalogues on disk."""
    forget()
    monkeypatch.setattr(index_store, "MIN_STORED_PRODUCTS", 20)


def small(folder: Path, items: Any = ITEMS, attributes: Any = ATTRIBUTES) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "items_shuffle.json").write_text(json.dumps(items), encoding="utf-8")
    (folder / "items_ins_v2.json").write_text(json.dumps(attributes), encoding="utf-8")
    return folder


def the_store(folder: Path, **choices: Any) -> ProductStore:
    products = read_catalogue(folder, **choices).products
    assert isinstance(products, ProductStore)
    return products


def played(library_: Library, split: str, every: int) -> list[Any]:
    """Outcomes and pages of some goals, along the oracle's actions and a detour."""
    seen: list[Any] = []
    for index in range(0, library_.count(split), every):
        task = library_.task(split, index)
        session = Session(library_.shop, library_.goal(task), library_.rules)
        actions, reward = plan(session)
        seen.append((task, actions, reward, library_.goal(task)))
        for action in (*actions[:1], "click[next >]", "click[< prev]", *actions[1:]):
            outcome = session.act(action)
            seen.append((outcome, session.clickables, session.parts, *(observe(session, mode) for mode in MODES)))
    return seen


@pytest.mark.parametrize("rules", ["official", "strict"])
@pytest.mark.parametrize("goals", ["human", pytest.param("synthetic", marks=pytest.mark.slow)])
def test_the_same_shop_as_in_memory(official: Path, monkeypatch: pytest.MonkeyPatch, rules: str, goals: str) -> None:
    choices: dict[str, Any] = {"data": official, "rules": rules, "goals": goals, "seed": 4}
    split = "test" if rules == "official" else "train"  # in official order, the first 500 goals are for testing
    expected = open_library(**choices)
    assert isinstance(expected.shop.products, tuple)
    store_on_disk(monkeypatch)
    store = open_library(**choices)
    assert isinstance(store.shop.products, ProductStore)
    assert (store.shop.goals, store.ids) == (expected.shop.goals, expected.ids)
    assert store._goal_numbers == expected._goal_numbers
    every = max(1, expected.count(split) // 20)
    assert played(store, split, every) == played(expected, split, every)
    queries = [goal.instruction for goal in expected.shop.goals[:200]]
    queries += ["<c> garden", "<c> none", "<r>", "<a> x", "<c>"]
    queries += [f"<q> {goal.query}" for goal in expected.shop.goals[:5]]
    for query in queries:
        assert store.shop.search(query, debug=True) == expected.shop.search(query, debug=True)
    forget()  # another start: goals and their reachability come from the cache
    monkeypatch.setattr("agentgym_hindsight.envs.webshop.cached_goals.human_goals", None)
    monkeypatch.setattr(library, "_reachable", None)
    again = open_library(**choices)
    assert (again.shop.goals, again._goal_numbers) == (expected.shop.goals, expected._goal_numbers)


def test_a_sequence_of_products(official: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_catalogue(official, seed=3).products
    store_on_disk(monkeypatch)
    store = the_store(official, seed=3)
    assert len(store) == COUNT
    assert tuple(store) == expected
    assert (store[5], store[-1]) == (expected[5], expected[-1])
    assert (store[3:9:2], store[::-70]) == (expected[3:9:2], expected[::-70])
    assert store[5] is store[5]
    with pytest.raises(IndexError):
        store[COUNT]
    assert all(store.position[product.asin] == place for place, product in enumerate(expected))
    assert len(store.position) == COUNT
    for absent in ("", "B0", "B0ZZZZZZZZ", "B0ZZZZZZZZZZZZZ", f"{expected[0].asin}\0", "É"):
        assert absent not in store.position
    assert tuple(pickle.loads(pickle.dumps(store))) == expected
    assert f"{COUNT} products" in repr(store)


def test_seeds_and_recorded_prices_share_one_store(official: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prices = {product.asin: 5.0 for product in read_catalogue(official).products}
    store_on_disk(monkeypatch)
    stores = [the_store(official), the_store(official, seed=1), the_store(official, prices=prices)]
    assert len({store.folder for store in stores}) == 1
    assert len({store.key for store in stores}) == 3
    assert {product.price for product in stores[2]} == {5.0}
    prices.popitem()
    with pytest.raises(DamagedDataError, match="recorded price for every product"):
        the_store(official, prices=prices)


def test_the_store_is_built_once_and_found_by_content(
    official: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store_on_disk(monkeypatch)
    the_store(official)
    monkeypatch.setattr(product_import, "_write", None)
    store = the_store(official)
    moved = tmp_path / "elsewhere"
    shutil.copytree(official, moved)
    assert the_store(moved).folder == store.folder
    monkeypatch.setattr(product_import, "files_fingerprint", None)
    assert the_store(official).fingerprint == store.fingerprint  # the files are not even read again


def test_changed_files_get_another_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store_on_disk(monkeypatch)
    first = the_store(small(tmp_path / "shop"))
    second = the_store(small(tmp_path / "shop", [*ITEMS, item("T000000999", "New")]))
    assert (len(first), len(second)) == (len(ITEMS), len(ITEMS) + 1)


@pytest.mark.parametrize("name", ["records.bin", "starts.npy", "asins.npy", "dictionary.bin", "products.json"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_store_is_rebuilt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, damage: str) -> None:
    store_on_disk(monkeypatch)
    folder = small(tmp_path / "shop")
    store = the_store(folder)
    whole = tuple(store)
    path = store.folder / name
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else data[:-9] + b"\x07" * 9)
    assert tuple(the_store(folder)) == whole


def test_damage_while_the_store_is_in_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store_on_disk(monkeypatch)
    folder = small(tmp_path / "shop")
    store = the_store(folder)
    with (store.folder / "records.bin").open("r+b") as file:
        file.write(b"\0" * 40)
    with pytest.raises(DamagedDataError, match=r"product 0 of .*starting again"):
        store[0]
    assert the_store(folder)[0].title == "Tall Clay Mug"


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store_on_disk(monkeypatch)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_CACHE", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="held in memory"):
        products = read_catalogue(small(tmp_path / "shop")).products
    assert [product.asin for product in products] == [record["asin"] for record in ITEMS]


def test_odd_records(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    odd_products = [
        item("É1", "Lone \ud800 half", full_description="a\u2028b\0"),
        item("nan", "left out"),
        item("B" * 11, "left out"),
        item("É1", "a copy"),
    ]
    folder = small(tmp_path / "shop", [*odd_products, *ITEMS])
    expected = read_catalogue(folder).products
    assert isinstance(expected, tuple)
    store_on_disk(monkeypatch)
    store = the_store(folder)
    assert tuple(store) == expected
    assert store.position["É1"] == 0


@pytest.mark.parametrize(
    ("items", "attributes", "message"),
    [
        ([*ITEMS, {"name": "x"}], ATTRIBUTES, rf"record {len(ITEMS)} of .*items_shuffle\.json.*'asin'"),
        ([*ITEMS, item("X", "x", pricing="dear")], ATTRIBUTES, rf"record {len(ITEMS)} \(X\).*price"),
        (ITEMS, [1], r"an object in .*items_ins_v2\.json.*got a list; try the items_ins_v2"),
        (ITEMS, {"T000000001": 3}, "record T000000001"),
        (ITEMS, {"Z": {}}, "no common ASIN"),
        ([item("nan", "x")] * 30, {}, "none that can be used"),
    ],
)
def test_wrong_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, items: Any, attributes: Any, message: str
) -> None:
    store_on_disk(monkeypatch)
    with pytest.raises(DamagedDataError, match=message):
        read_catalogue(small(tmp_path / "shop", items, attributes))
    assert [path.name for path in (cache_folder() / "webshop-products").iterdir()] == []  # no incomplete folder is left


@pytest.mark.parametrize("packed", [False, True])
def test_a_truncated_file(official: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, packed: bool) -> None:
    store_on_disk(monkeypatch)
    monkeypatch.setitem(JsonFile.__init__.__kwdefaults__, "chunk", 1 << 14)  # smaller than the file
    items = (official / "items_shuffle.json").read_bytes()
    name = "items_shuffle.json.gz" if packed else "items_shuffle.json"
    cut = gzip.compress(items)[:-9999] if packed else items[:-9999]
    (tmp_path / name).write_bytes(cut)
    shutil.copy(official / "items_ins_v2.json", tmp_path)
    with pytest.raises(DamagedDataError, match=r"items_shuffle\.json.*record 3\d\d \(after 'B0\w{8}'\).*cut off"):
        read_catalogue(tmp_path)


def test_an_env_on_disk(official: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_on_disk(monkeypatch)
    env: Any = gym.make("WebShop-Hindsight-v0", data=str(official), goals="human", split="test", expert=True)
    env.reset(seed=1)
    won = False
    for _ in range(15):
        *_, over, _, info = env.step(env.unwrapped.backend.expert_action())
        won = info["won"]
        if over:
            break
    assert won
    with pytest.raises(UnknownNameError):
        env.unwrapped.backend.library.shop.product("none")
