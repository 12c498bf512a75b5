"""Files and folders. Paths are absolute, or relative to the open folder, which is private."""

from __future__ import annotations

from typing import Any

from agentgym_hindsight.envs.bfcl.embedded.functions import Api, RefusedError
from agentgym_hindsight.envs.bfcl.embedded.records import Record, Records
from agentgym_hindsight.short_repr import short_repr

__all__ = ["DRIVE", "ITEMS", "OPEN"]

DRIVE = Api("Drive")
ITEMS, OPEN = "drive.items", "_drive.open"
_MOST_PATH, _MOST_FILE, _MOST_ITEMS = 200, 6_000, 2_000
_PATH = "Absolute, or relative to the open folder"


def _here(records: Records) -> str:
    opened = records.get(OPEN, "folder")
    return str(opened["path"]) if opened else "/"


def _absolute(records: Records, path: str) -> str:
    if not path or len(path) > _MOST_PATH:
        raise RefusedError(f"a path has 1 to {_MOST_PATH} characters, got {len(path)}")
    parts = [] if path.startswith("/") else [part for part in _here(records).split("/") if part]
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _existing(records: Records, path: str, kind: str = "") -> tuple[str, Record]:
    place = _absolute(records, path)
    record: Record | None = {"kind": "folder"} if place == "/" else records.get(ITEMS, place)
    if record is None:
        raise RefusedError(f"there is no {kind or 'file or folder'} {short_repr(place, 120)}", _near(records, place))
    if kind and record["kind"] != kind:
        raise RefusedError(f"{short_repr(place, 120)} is a {record['kind']} and no {kind}")
    return place, record


def _near(records: Records, place: str) -> str:
    name = place.rsplit("/", 1)[1]
    found = [path for path, _ in records.rows(ITEMS) if path.rsplit("/", 1)[1] == name]
    return f"{name} is at {', '.join(found[:5])}." if found else f"Nothing on the drive is called {name}."


def _free(records: Records, place: str) -> str:
    """The place, if something can be put there."""
    if len(place) > _MOST_PATH:
        raise RefusedError(f"the path {short_repr(place, 120)} would be too long")
    if place == "/" or records.get(ITEMS, place) is not None:
        raise RefusedError(f"{short_repr(place, 120)} exists already")
    folder = place.rsplit("/", 1)[0] or "/"
    if folder != "/":
        _existing(records, folder, "folder")
    if sum(1 for _ in records.rows(ITEMS)) >= _MOST_ITEMS:
        raise RefusedError(f"the drive is full: it has {_MOST_ITEMS} items")
    return place


def _inside(records: Records, folder: str) -> list[tuple[str, Record]]:
    begin = "/" if folder == "/" else f"{folder}/"
    return [(path, record) for path, record in records.rows(ITEMS) if path.startswith(begin)]


def _with_contents(records: Records, place: str, record: Record) -> list[tuple[str, Record]]:
    return [(place, record), *(_inside(records, place) if record["kind"] == "folder" else [])]


def _joined(folder: str, name: str) -> str:
    return f"/{name}" if folder == "/" else f"{folder}/{name}"


@DRIVE.function("Open a folder. Relative paths then begin in it.", path=f"{_PATH}; '..' is the folder above")
def open_folder(records: Records, path: str) -> dict[str, Any]:
    place, _ = _existing(records, path, "folder")
    if place != _here(records):
        records.put(OPEN, "folder", {"path": place})
    return {"open": place}


@DRIVE.function("List what is in a folder; without a path, in the open folder.", path=_PATH)
def list_folder(records: Records, path: str = ".") -> dict[str, Any]:
    place, _ = _existing(records, path, "folder")
    depth = 1 if place == "/" else place.count("/") + 1
    shown = [(each, record) for each, record in _inside(records, place) if each.count("/") == depth]
    names = {
        kind: [each.rsplit("/", 1)[1] for each, record in shown if record["kind"] == kind]
        for kind in ("folder", "file")
    }
    return {"folder": place, "folders": names["folder"], "files": names["file"]}


@DRIVE.function("Make an empty folder.", path=_PATH)
def make_folder(records: Records, path: str) -> dict[str, Any]:
    place = _free(records, _absolute(records, path))
    records.put(ITEMS, place, {"kind": "folder"})
    return {"made": place}


@DRIVE.function("Write a text file. A file that exists is replaced.", path=_PATH, text="The whole text")
def write_file(records: Records, path: str, text: str) -> dict[str, Any]:
    place = _absolute(records, path)
    if place == "/" or (records.get(ITEMS, place) or {}).get("kind") == "folder":
        raise RefusedError(f"{short_repr(place, 120)} is a folder and no file")
    if records.get(ITEMS, place) is None:
        _free(records, place)
    records.put(ITEMS, place, {"kind": "file", "text": text})
    return {"written": place, "lines": len(text.splitlines())}


@DRIVE.function("Add a line at the end of a file.", path=_PATH, line="The line")
def add_line(records: Records, path: str, line: str) -> dict[str, Any]:
    place, record = _existing(records, path, "file")
    text = f"{record['text']}\n{line}" if record["text"] else line
    if len(text) > _MOST_FILE:
        raise RefusedError(f"the file would have more than {_MOST_FILE} characters")
    records.edit(ITEMS, place)["text"] = text
    return {"written": place, "lines": len(text.splitlines())}


@DRIVE.function("Show the text of a file.", path=_PATH)
def read_file(records: Records, path: str) -> dict[str, Any]:
    place, record = _existing(records, path, "file")
    return {"path": place, "text": record["text"]}


def _transfer(records: Records, path: str, target: str, keep: bool) -> str:
    place, record = _existing(records, path)
    if target == place or target.startswith(f"{place}/") or place == "/":
        raise RefusedError(f"{short_repr(place, 120)} cannot be put at {short_repr(target, 120)}")
    _free(records, target)
    items = _with_contents(records, place, record)
    if keep and sum(1 for _ in records.rows(ITEMS)) + len(items) > _MOST_ITEMS:
        raise RefusedError(f"the drive is full: it has {_MOST_ITEMS} items")
    if any(len(target) + len(each) - len(place) > _MOST_PATH for each, _ in items):
        raise RefusedError("a path would be too long")
    for each, inner in items:
        if not keep:
            records.remove(ITEMS, each)
        records.put(ITEMS, target + each[len(place) :], dict(inner))
    return target


@DRIVE.function("Move a file, or a folder with its contents, into a folder.", path=_PATH, folder="The other folder")
def move_item(records: Records, path: str, folder: str) -> dict[str, Any]:
    into, _ = _existing(records, folder, "folder")
    name = _absolute(records, path).rsplit("/", 1)[1]
    return {"moved_to": _transfer(records, path, _joined(into, name), keep=False)}


@DRIVE.function("Copy a file, or a folder with its contents, into a folder.", path=_PATH, folder="The other folder")
def copy_item(records: Records, path: str, folder: str) -> dict[str, Any]:
    into, _ = _existing(records, folder, "folder")
    name = _absolute(records, path).rsplit("/", 1)[1]
    return {"copied_to": _transfer(records, path, _joined(into, name), keep=True)}


@DRIVE.function("Give a file or folder another name. It stays in its folder.", path=_PATH, name="The new name")
def rename_item(records: Records, path: str, name: str) -> dict[str, Any]:
    place, _ = _existing(records, path)
    if not name or "/" in name or name in (".", ".."):
        raise RefusedError(f"a name is a text without '/', got {short_repr(name, 60)}")
    return {"renamed_to": _transfer(records, place, _joined(place.rsplit("/", 1)[0] or "/", name), keep=False)}


@DRIVE.function("Delete a file, or a folder that is empty.", path=_PATH)
def delete_item(records: Records, path: str) -> dict[str, Any]:
    place, record = _existing(records, path)
    if place == "/" or (record["kind"] == "folder" and _inside(records, place)):
        raise RefusedError(f"the folder {short_repr(place, 120)} is not empty")
    records.remove(ITEMS, place)
    return {"deleted": place}


@DRIVE.function("Find the files and folders whose names contain a text.", text="The text, in any case")
def find_items(records: Records, text: str) -> dict[str, Any]:
    wanted = text.casefold()
    found = [path for path, _ in records.rows(ITEMS) if wanted in path.rsplit("/", 1)[1].casefold()]
    return {"found": found[:100], "more": max(0, len(found) - 100)}


@DRIVE.function("Find the lines of a file that contain a text.", path=_PATH, text="The text, in any case")
def search_lines(records: Records, path: str, text: str) -> dict[str, Any]:
    _, record = _existing(records, path, "file")
    wanted = text.casefold()
    lines = enumerate(record["text"].splitlines(), 1)
    return {"lines": [{"line": number, "text": line} for number, line in lines if wanted in line.casefold()]}


@DRIVE.function("Count the lines, words and characters of a file.", path=_PATH)
def measure_file(records: Records, path: str) -> dict[str, Any]:
    _, record = _existing(records, path, "file")
    text = record["text"]
    return {"lines": len(text.splitlines()), "words": len(text.split()), "characters": len(text)}


@DRIVE.function("Put the lines of a file into alphabetical order.", path=_PATH)
def sort_file(records: Records, path: str) -> dict[str, Any]:
    place, record = _existing(records, path, "file")
    lines = sorted(record["text"].splitlines())
    records.edit(ITEMS, place)["text"] = "\n".join(lines)
    return {"sorted": place, "lines": len(lines)}
