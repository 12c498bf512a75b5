"""The files app: a file system for each user. Paths begin with "/" and are the keys of the entries."""

from __future__ import annotations

from typing import Annotated, Any

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.accounts import add_account_apis
from agentgym_hindsight.envs.appworld.miniature.api import App, Call, matches, view
from agentgym_hindsight.envs.appworld.miniature.parameter_types import Query, Rule, Text, quoted
from agentgym_hindsight.envs.appworld.miniature.schema import NOW, Row, Table

__all__ = ["APP"]


def _is_path(value: str) -> bool:
    parts = value.split("/")
    return (
        len(value) <= 200
        and value.startswith("/")
        and value.isprintable()
        and (value == "/" or all(part.strip() not in ("", ".", "..") for part in parts[1:]))
    )


Path = Annotated[str, Rule("a path such as /documents/list.txt", _is_path)]

APP = App(
    "files",
    "Directories and text files of your own.",
    Table(
        "files_entries",
        key=("owner", "path"),
        owner=str,
        path=str,
        kind=(str, "file"),  # or directory; the root is not stored
        content=(str, ""),
        created_at=(str, NOW),
    ),
)
add_account_apis(APP)

_SUMMARY = {"path": str, "kind": str, "size": int, "created_at": str}
_FILE = {**_SUMMARY, "content": str}
_CONFIRMATION = {"message": str, "path": str}


def _view(row: Row, shape: dict[str, Any] = _SUMMARY) -> Row:
    return view(row, shape, size=len(row["content"]))


def _entry(call: Call, path: str, kind: str | None = None) -> Row:
    row = call.db.find("files_entries", owner=call.user, path=path)
    if row is None:
        raise ApiFailure(404, f"There is no {kind or 'file or directory'} {quoted(path)}.")
    if kind is not None and row["kind"] != kind:
        raise ApiFailure(409, f"{quoted(path)} is a {row['kind']}, not a {kind}.")
    return row


def _entries_below(call: Call, path: str) -> list[Row]:
    """All entries below a directory, at any depth."""
    prefix = "/" if path == "/" else f"{path}/"
    return [row for row in call.db.rows("files_entries", owner=call.user) if row["path"].startswith(prefix)]


def _make_path_free(call: Call, path: str, overwrite: bool = False) -> None:
    """Raise a failure if nothing can be stored at this path. With ``overwrite``, delete a file that has this path."""
    parent = path.rpartition("/")[0]
    if path == "/":
        raise ApiFailure(409, "'/' is the root directory and exists.")
    if parent:
        _entry(call, parent, "directory")
    existing = call.db.find("files_entries", owner=call.user, path=path)
    if existing is None:
        return
    if existing["kind"] == "directory" or not overwrite:
        hint = " Use overwrite=True to replace it." if existing["kind"] == "file" else ""
        raise ApiFailure(409, f"There is a {existing['kind']} {quoted(path)} already.{hint}")
    call.db.delete("files_entries", existing)


@APP.read([_SUMMARY], paged=True)
def show_directory(call: Call, path: Path = "/", recursive: bool = False) -> list[Row]:
    """What is in a directory, by path.

    recursive: also what is in its directories
    """
    if path != "/":
        _entry(call, path, "directory")
    depth = path.rstrip("/").count("/") + 1
    return [_view(row) for row in _entries_below(call, path) if recursive or row["path"].count("/") == depth]


@APP.read([_SUMMARY], paged=True)
def search_files(call: Call, query: Query, directory: Path = "/") -> list[Row]:
    """Files whose path or content contains all words of the query, by path.

    directory: where to look, at any depth
    """
    if directory != "/":
        _entry(call, directory, "directory")
    return [
        _view(row)
        for row in _entries_below(call, directory)
        if row["kind"] == "file" and matches(query, row["path"], row["content"])
    ]


@APP.read(_FILE)
def show_file(call: Call, path: Path) -> Row:
    """A file with its content."""
    return _view(_entry(call, path, "file"), _FILE)


@APP.read({"exists": bool, "kind": (str, None)})
def check_path(call: Call, path: Path) -> Row:
    """Whether there is a file or a directory at a path."""
    if path == "/":
        return {"exists": True, "kind": "directory"}
    row = call.db.find("files_entries", owner=call.user, path=path)
    return {"exists": row is not None, "kind": row["kind"] if row else None}


@APP.write(_CONFIRMATION)
def create_file(call: Call, path: Path, content: Text = "", overwrite: bool = False) -> Row:
    """Write a new file. Its directory must exist.

    overwrite: replace a file that is there
    """
    _make_path_free(call, path, overwrite)
    call.db.insert("files_entries", owner=call.user, path=path, content=content)
    return {"message": f"Created {path}.", "path": path}


@APP.write(_CONFIRMATION)
def update_file(call: Call, path: Path, content: Text) -> Row:
    """Replace the content of a file."""
    call.db.update("files_entries", _entry(call, path, "file"), content=content)
    return {"message": f"Changed {path}.", "path": path}


@APP.write(_CONFIRMATION)
def append_to_file(call: Call, path: Path, text: Text) -> Row:
    """Add text at the end of a file, as it is: begin it with a line break where a new line is meant."""
    row = _entry(call, path, "file")
    new_content = row["content"] + text
    if len(new_content) > 20_000:
        raise ApiFailure(422, "Expected a file of at most 20000 characters; this would make it longer.")
    call.db.update("files_entries", row, content=new_content)
    return {"message": f"Changed {path}.", "path": path}


@APP.write(_CONFIRMATION)
def delete_file(call: Call, path: Path) -> Row:
    """Delete a file."""
    call.db.delete("files_entries", _entry(call, path, "file"))
    return {"message": f"Deleted {path}.", "path": path}


@APP.write(_CONFIRMATION)
def move_file(call: Call, source: Path, destination: Path, overwrite: bool = False) -> Row:
    """Move or rename a file.

    source: path of the file
    destination: its new path, file name included
    overwrite: replace a file that is there
    """
    row = _entry(call, source, "file")
    _check_different(source, destination)
    _make_path_free(call, destination, overwrite)
    call.db.delete("files_entries", row)
    call.db.insert("files_entries", **{**row, "path": destination})
    return {"message": f"Moved {source} to {destination}.", "path": destination}


@APP.write(_CONFIRMATION)
def copy_file(call: Call, source: Path, destination: Path, overwrite: bool = False) -> Row:
    """Copy a file.

    source: path of the file
    destination: path of the copy, file name included
    overwrite: replace a file that is there
    """
    row = _entry(call, source, "file")
    _check_different(source, destination)
    _make_path_free(call, destination, overwrite)
    call.db.insert("files_entries", owner=call.user, path=destination, content=row["content"])
    return {"message": f"Copied {source} to {destination}.", "path": destination}


@APP.write(_CONFIRMATION)
def create_directory(call: Call, path: Path, parents: bool = False) -> Row:
    """Make a directory.

    parents: also make the directories above it that are missing
    """
    if parents:
        parts = path.split("/")[1:-1]
        for depth in range(1, len(parts) + 1):
            parent = "/" + "/".join(parts[:depth])
            if call.db.find("files_entries", owner=call.user, path=parent) is None:
                call.db.insert("files_entries", owner=call.user, path=parent, kind="directory")
    _make_path_free(call, path)
    call.db.insert("files_entries", owner=call.user, path=path, kind="directory")
    return {"message": f"Created {path}.", "path": path}


@APP.write(_CONFIRMATION)
def delete_directory(call: Call, path: Path, recursive: bool = False) -> Row:
    """Delete a directory.

    recursive: with all that is in it; otherwise it must be empty
    """
    row = _entry(call, path, "directory")
    entries = _entries_below(call, path)
    if entries and not recursive:
        raise ApiFailure(409, f"{quoted(path)} is not empty; recursive=True deletes the {len(entries)} inside as well.")
    for entry in (*entries, row):
        call.db.delete("files_entries", entry)
    return {"message": f"Deleted {path}.", "path": path}


@APP.write(_CONFIRMATION)
def move_directory(call: Call, source: Path, destination: Path) -> Row:
    """Move or rename a directory with all that is in it.

    source: path of the directory
    destination: its new path
    """
    row = _entry(call, source, "directory")
    _check_different(source, destination)
    if destination.startswith(f"{source}/"):
        raise ApiFailure(409, f"{quoted(source)} cannot be moved into itself.")
    _make_path_free(call, destination)
    for entry in (row, *_entries_below(call, source)):
        new_path = destination + entry["path"][len(source) :]
        if not _is_path(new_path):
            raise ApiFailure(422, f"Expected paths of at most 200 characters, got one of {len(new_path)}.")
        call.db.delete("files_entries", entry)
        call.db.insert("files_entries", **{**entry, "path": new_path})
    return {"message": f"Moved {source} to {destination}.", "path": destination}


def _check_different(source: str, destination: str) -> None:
    if source == destination:
        raise ApiFailure(409, f"Source and destination are the same path {quoted(source)}.")
