"""JSON files are read record by record."""

from __future__ import annotations

import gzip
import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.envs.webshop.catalogue import write_official_files
from agentgym_hindsight.envs.webshop.json_stream import JsonFile, estimated_records
from agentgym_hindsight.errors import DamagedDataError, MissingDataError

RECORDS: list[Any] = [
    {"asin": "A", "text": 'a "quoted" \\ é 😀 \n'},
    12345.678,
    -7,
    "],{",
    [],
    {"": [[1], {"x": None}]},
    True,
    {},
    "x" * 300,
]


def items(path: Path, chunk: int = 1 << 20) -> list[Any]:
    with JsonFile(path, chunk=chunk) as file:
        return list(file.items())


def pairs(path: Path, chunk: int = 1 << 20) -> list[tuple[str, Any]]:
    with JsonFile(path, chunk=chunk) as file:
        return list(file.pairs())


def written(folder: Path, text: str | bytes, name: str = "a.json", packed: bool = False) -> Path:
    data = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(gzip.compress(data) if packed else data)
    return folder / name


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("style", [{}, {"indent": 2}, {"ensure_ascii": False}, {"separators": (",", ":")}])
def test_records_are_equal_to_those_of_json_loads(
    tmp_path: Path, chunk: int, packed: bool, style: dict[str, Any]
) -> None:
    listed = written(tmp_path, f" \r\n{json.dumps(RECORDS, **style)}\n\n", packed=packed)
    assert items(listed, chunk) == RECORDS
    mapping = {f'key "{n}" é': record for n, record in enumerate(RECORDS)}
    mapped = written(tmp_path, json.dumps(mapping, **style), packed=packed)
    assert pairs(mapped, chunk) == list(mapping.items())


def test_empty_files(tmp_path: Path) -> None:
    assert items(written(tmp_path, " [ ] ")) == []
    assert pairs(written(tmp_path, "{}")) == []


def test_every_truncation_raises_an_error_with_file_and_record(tmp_path: Path) -> None:
    text = json.dumps([{"asin": f"B{n}", "x": [1, "two"]} for n in range(4)])
    for end in range(len(text)):
        with pytest.raises(DamagedDataError, match=r"a\.json.*(empty|cut off|downloading)") as raised:
            items(written(tmp_path, text[:end]), chunk=16)
        if end > 1:
            assert f"record {text[:end].count('}')}" in str(raised.value) or text[:end].endswith("}, ")
    mapping = json.dumps({f"B{n}": {"x": n} for n in range(4)})
    for end in range(len(mapping)):
        with pytest.raises(DamagedDataError, match=r"a\.json"):
            pairs(written(tmp_path, mapping[:end]), chunk=16)


def test_a_truncated_archive(tmp_path: Path) -> None:
    path = written(tmp_path, json.dumps([{"asin": str(random.Random(n).random())} for n in range(500)]), packed=True)
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(DamagedDataError, match=r"a\.json.*record \d+.*downloading it again"):
        items(path, chunk=1024)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1}, {"b" 2}, {"c": 3}]', r"record 1.*delimiter"),
        ('[{"a": 1} {"b": 2}]', r"record 1, character 10.*',' or '\]'"),
        ("[1, 2] 3", "end of the file"),
        ("[1, 2}", "',' or"),
        ('{"a": 1}', "a list.*got an object; turn"),
        ('"a"', "got a text"),
        ("nonsense", "got 'n'"),
        (" ", "empty file"),
        (b'["\xff"]', "UnicodeDecodeError"),
        ("[" * 200_000, "record 0"),
    ],
)
def test_broken_files(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DamagedDataError, match=message), JsonFile(path) as file:
        list(file.items("turn to another"))
    with pytest.raises(DamagedDataError, match=r"a\.json"):
        pairs(path if text != '{"a": 1}' else written(tmp_path, "[]"))


def test_broken_objects(tmp_path: Path) -> None:
    for text, message in (("{1: 2}", "a key in quotes"), ('{"a" 1}', "':' after a key"), ('{"a": 1, "b": [}', "'b'")):
        with pytest.raises(DamagedDataError, match=message):
            pairs(written(tmp_path, text))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="no file at"):
        JsonFile(tmp_path / "a.json")
    assert estimated_records(tmp_path / "a.json") == 0


def test_an_error_in_the_middle_does_not_read_the_rest(tmp_path: Path) -> None:
    path = written(tmp_path, '[{"a" 1}' + ',{"a": 1}' * 200_000 + "]")
    with JsonFile(path, chunk=4096) as file:
        with pytest.raises(DamagedDataError, match="record 0"):
            list(file.items())
        assert file.share < 0.1


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, json.dumps([{"text": "word " * 200}] * 8000))
    assert path.stat().st_size > 7_000_000
    tracemalloc.start()
    try:
        with JsonFile(path, chunk=1 << 16) as file:
            assert sum(1 for _ in file.items()) == 8000
        assert tracemalloc.get_traced_memory()[1] < 1_500_000
    finally:
        tracemalloc.stop()


def test_estimates(tmp_path: Path) -> None:
    folder = write_official_files(tmp_path, 600)
    path = folder / "items_shuffle.json"
    assert 440 < estimated_records(path) < 800
    packed = written(tmp_path, path.read_bytes(), "items.json.gz", packed=True)
    assert 280 < estimated_records(packed) < 1200
    assert estimated_records(written(tmp_path, "[1, 2, 3]")) == 3
    assert estimated_records(written(tmp_path, '{"a": 1}')) == 0
