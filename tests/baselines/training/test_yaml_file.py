"""A configuration file is read quickly or refused quickly, and every refusal names the file and the place."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

pytest.importorskip("yaml", reason="needs the extra [train]")

from agentgym_hindsight.baselines.training.yaml_file import read_yaml
from agentgym_hindsight.errors import DamagedDataError


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "run.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


#: Nine levels of nine aliases: 397 bytes, half a billion values if expanded. configure() copied them for 18 s.
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{own}: &{own} [{','.join([f'*{below}'] * 9)}]\n" for below, own in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n + 1}: &a{n + 1} {{<<: [*a{n}, *a{n}]}}\n" for n in range(30))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(LAUGHS, "more than 10,000 values, aliases expanded", id="nested aliases"),
        pytest.param(MERGES, "more than 10,000 values, aliases expanded", id="nested merge keys"),
        pytest.param("a: &a [*a]\n", r"an alias that contains itself, \*a \(line 1", id="an alias of itself"),
        pytest.param("a: &a {b: {c: *a}}\n", r"an alias that contains itself", id="an alias of its parent"),
        pytest.param("[" * 100_000, "more than 32 levels", id="nested lists"),
        pytest.param("{a: " * 50_000, "more than 32 levels", id="nested mappings"),
        pytest.param("- " * 100_000, "more than 32 levels", id="nested blocks"),
        pytest.param("? " * 100_000, "more than 32 levels", id="nested keys"),
        pytest.param("a: [" + "a," * 100_000, "more than 10,000 values", id="many values"),
        pytest.param("a: " + "9" * 100_000, "a number of 100,000 characters", id="a long number"),
        pytest.param("a: 1" + ":1" * 100_000, "a number of 200,001 characters", id="a long base-60 number"),
        pytest.param("a: !!int '1" + ":1" * 100_000 + "'", "a number of", id="a long quoted number"),
        pytest.param("a: " + "9" * 999, r"settings as plain YAML|integer", id="a number that no one can read"),
        pytest.param("a: 1\n" * 60_000, "at most 256 KiB", id="a large file"),
        pytest.param("a: !!python/object/apply:os.system ['id']", "the tag .*os.system", id="a tag of Python"),
        pytest.param("a: !mine 3", "the tag !mine", id="an own tag"),
        pytest.param("plan:\n  updates: 3\n  updates: 4\n", r"the name 'updates' twice \(line 3, column 3", id="twice"),
        pytest.param("plan: {tasks: 3}\nplan: {updates: 4}\n", "the name 'plan' twice", id="a part twice"),
        pytest.param("a: 2001-99-99", "month must be in", id="no date"),
        pytest.param("a: 1\n---\nb: 2\n", "found another document", id="two documents"),
        pytest.param("a: *nothing", "undefined alias", id="an undefined alias"),
        pytest.param("? [a]\n: b", "unhashable", id="a list as a name"),
        pytest.param("a: [1", r"expected ',' or '\]'.*line 1", id="not closed"),
        pytest.param("a: \x1b[2J", "special characters", id="an escape"),
        pytest.param(b"recipe: serl\nmodel: \xff\xfe", r"UTF-8 in .*line 2", id="not UTF-8"),
        pytest.param("a: b".encode("utf-16"), "UTF-8", id="UTF-16"),
    ],
)
def test_a_damaged_or_hostile_file_is_refused_quickly(text: str | bytes, message: str, tmp_path: Path) -> None:
    if message.startswith("settings as"):
        assert read_yaml(written(tmp_path, text)) == {"a": int("9" * 999)}
        return
    path = written(tmp_path, text)
    begin = time.process_time()
    with pytest.raises(DamagedDataError, match=message) as caught:
        read_yaml(path)
    assert time.process_time() - begin < 8, "the slowest takes 0.5 s"
    assert str(path) in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("text", ["a: " + "x" * 250_000, "a: |\n" + " x\n" * 80_000, "a: b" + "\n\n c" * 50_000])
def test_long_texts_are_read_in_a_few_seconds(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    begin = time.process_time()
    assert len(read_yaml(path)["a"]) >= 100_000
    assert time.process_time() - begin < 15, "the slowest takes 1.3 s"


def test_pipes_devices_and_folders_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(DamagedDataError, match="no regular file"):
            read_yaml(path)


def test_aliases_of_reasonable_size_are_plain_values(tmp_path: Path) -> None:
    text = "base: &base {tasks: 3, siblings: 4}\nplan: {<<: *base, tasks: 5}\nmore: [*base, *base]\nnone: !!null ''\n"
    base = {"tasks": 3, "siblings": 4}
    expected = {"base": base, "plan": {"tasks": 5, "siblings": 4}, "more": [base, base], "none": None}
    assert read_yaml(written(tmp_path, text)) == expected
    assert read_yaml(written(tmp_path, b"\xef\xbb\xbfa: \xc3\xa4")) == {"a": "ä"}, "a byte order mark is no content"
