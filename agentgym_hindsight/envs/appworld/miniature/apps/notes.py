"""The notes app: titled texts with tags."""

from __future__ import annotations

from collections import Counter

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.accounts import add_account_apis
from agentgym_hindsight.envs.appworld.miniature.api import App, Call, matches, view
from agentgym_hindsight.envs.appworld.miniature.parameter_types import Line, Query, Text, quoted
from agentgym_hindsight.envs.appworld.miniature.schema import NOW, Row, Table

__all__ = ["APP"]

APP = App(
    "notes",
    "Write notes down, tag them and find them again.",
    Table(
        "notes_notes",
        id=int,
        owner=str,
        title=str,
        content=(str, ""),
        tags=(list, []),
        pinned=(bool, False),
        created_at=(str, NOW),
    ),
)
add_account_apis(APP)

_SUMMARY = {"note_id": int, "title": str, "tags": [str], "pinned": bool, "created_at": str}
_NOTE = {**_SUMMARY, "content": str}
_CONFIRMATION = {"message": str, "note_id": int}


def _own_note(call: Call, note_id: int) -> Row:
    return call.own_row("notes_notes", "note", note_id)


@APP.read([_SUMMARY], paged=True)
def show_notes(call: Call, query: Query = "", tag: Line | None = None, pinned: bool | None = None) -> list[Row]:
    """Your notes without their text: pinned ones first, then newest first.

    query: words that must all occur in title or content
    tag: only notes with this tag
    pinned: only pinned ones (true) or others (false)
    """
    rows = call.db.rows("notes_notes", owner=call.user)
    return [
        view(row, _SUMMARY, note_id=row["id"])
        for row in sorted(rows, key=lambda row: (row["pinned"], row["created_at"], row["id"]), reverse=True)
        if matches(query, row["title"], row["content"])
        and (tag is None or tag in row["tags"])
        and (pinned is None or row["pinned"] == pinned)
    ]


@APP.read(_NOTE)
def show_note(call: Call, note_id: int) -> Row:
    """A note with its text."""
    return view(_own_note(call, note_id), _NOTE, note_id=note_id)


@APP.write(_CONFIRMATION)
def create_note(
    call: Call, title: Line, content: Text = "", tags: list[Line] | None = None, pinned: bool = False
) -> Row:
    """Write a new note."""
    note_id = call.db.insert(
        "notes_notes", owner=call.user, title=title, content=content, tags=sorted(set(tags or [])), pinned=pinned
    )
    return {"message": "Note created.", "note_id": note_id}


@APP.write(_CONFIRMATION)
def update_note(
    call: Call,
    note_id: int,
    title: Line | None = None,
    content: Text | None = None,
    tags: list[Line] | None = None,
) -> Row:
    """Change a note; what is not given stays.

    content: the whole new text, in place of the one before
    tags: all tags, in place of the ones before
    """
    given = {"title": title, "content": content, "tags": None if tags is None else sorted(set(tags))}
    call.db.update("notes_notes", _own_note(call, note_id), **{k: v for k, v in given.items() if v is not None})
    return {"message": "Note changed.", "note_id": note_id}


@APP.write(_CONFIRMATION)
def append_to_note(call: Call, note_id: int, text: Text) -> Row:
    """Add a line at the end of a note."""
    row = _own_note(call, note_id)
    new_content = f"{row['content']}\n{text}" if row["content"] else text
    if len(new_content) > 20_000:
        raise ApiFailure(422, "Expected a note of at most 20000 characters; this would make it longer.")
    call.db.update("notes_notes", row, content=new_content)
    return {"message": "Note changed.", "note_id": note_id}


@APP.write(_CONFIRMATION)
def delete_note(call: Call, note_id: int) -> Row:
    """Delete a note."""
    call.db.delete("notes_notes", _own_note(call, note_id))
    return {"message": "Note deleted.", "note_id": note_id}


@APP.write(_CONFIRMATION)
def pin_note(call: Call, note_id: int, pinned: bool = True) -> Row:
    """Pin a note to the top.

    pinned: false unpins it
    """
    call.db.update("notes_notes", _own_note(call, note_id), pinned=pinned)
    return {"message": "Pinned." if pinned else "Unpinned.", "note_id": note_id}


@APP.read([{"tag": str, "notes": int}])
def show_tags(call: Call) -> list[Row]:
    """All your tags, and how many notes have each."""
    tags = [tag for row in call.db.rows("notes_notes", owner=call.user) for tag in row["tags"]]
    return [{"tag": tag, "notes": notes} for tag, notes in sorted(Counter(tags).items())]


@APP.write(_CONFIRMATION)
def add_tag(call: Call, note_id: int, tag: Line) -> Row:
    """Put a tag on a note."""
    row = _own_note(call, note_id)
    if tag in row["tags"]:
        raise ApiFailure(409, f"Note {note_id} has the tag {quoted(tag)} already.")
    call.db.update("notes_notes", row, tags=sorted([*row["tags"], tag]))
    return {"message": f"Tagged {tag}.", "note_id": note_id}


@APP.write(_CONFIRMATION)
def remove_tag(call: Call, note_id: int, tag: Line) -> Row:
    """Take a tag off a note."""
    row = _own_note(call, note_id)
    if tag not in row["tags"]:
        raise ApiFailure(404, f"Note {note_id} has no tag {quoted(tag)}; its tags: {', '.join(row['tags']) or 'none'}.")
    call.db.update("notes_notes", row, tags=[known for known in row["tags"] if known != tag])
    return {"message": f"Tag {tag} taken off.", "note_id": note_id}
