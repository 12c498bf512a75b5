"""The mail app: every mailbox has its own copy of an email; the copies of one conversation share a thread."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.accounts import add_account_apis, authorize
from agentgym_hindsight.envs.appworld.miniature.api import App, Call, matches, newest, view
from agentgym_hindsight.envs.appworld.miniature.parameter_types import Day, Email, Line, Query, Text, quoted
from agentgym_hindsight.envs.appworld.miniature.schema import NOW, Row, Table

__all__ = ["APP"]

Folder = Literal["inbox", "sent", "drafts", "archive", "trash"]

APP = App(
    "mail",
    "Read, write, sort and find emails.",
    Table(
        "mail_emails",
        id=int,
        owner=str,
        thread=int,
        folder=(str, "inbox"),
        sender=str,
        recipients=list,
        subject=str,
        body=str,
        sent_at=(str, NOW),
        read=(bool, False),
        starred=(bool, False),
        labels=(list, []),
        attachments=(list, []),  # of {"name", "content"}
    ),
)
add_account_apis(APP)

_SUMMARY = {
    "email_id": int,
    "thread_id": int,
    "folder": str,
    "sender": str,
    "recipients": [str],
    "subject": str,
    "sent_at": str,
    "read": bool,
    "starred": bool,
    "labels": [str],
}
_EMAIL = {**_SUMMARY, "body": str, "attachments": [str]}
_CONFIRMATION = {"message": str, "email_id": int}


def _view(row: Row, shape: dict[str, Any] = _SUMMARY) -> Row:
    names = [attachment["name"] for attachment in row["attachments"]]
    return view(row, shape, email_id=row["id"], thread_id=row["thread"], attachments=names)


def _own_email(call: Call, email_id: int) -> Row:
    return call.own_row("mail_emails", "email", email_id)


@APP.read([_SUMMARY], paged=True)
def show_emails(
    call: Call,
    folder: Folder = "inbox",
    label: Line | None = None,
    read: bool | None = None,
    starred: bool | None = None,
) -> list[Row]:
    """Emails of a folder, newest first, without their text.

    folder: which folder
    label: only emails with this label
    read: only read ones (true) or unread ones (false)
    starred: only starred ones (true) or others (false)
    """
    return [
        _view(row)
        for row in newest(call.db.rows("mail_emails", owner=call.user, folder=folder), "sent_at")
        if (label is None or label in row["labels"])
        and (read is None or row["read"] == read)
        and (starred is None or row["starred"] == starred)
    ]


@APP.read([_SUMMARY], paged=True)
def search_emails(
    call: Call,
    query: Query = "",
    sender: Email | None = None,
    recipient: Email | None = None,
    since: Day | None = None,
    until: Day | None = None,
) -> list[Row]:
    """Emails of all folders but the trash, newest first.

    query: words that must all occur in subject, text or addresses
    sender: only from this address
    recipient: only to this address
    since: only sent on this day or later
    until: only sent on this day or earlier
    """
    return [
        _view(row)
        for row in newest(call.db.rows("mail_emails", owner=call.user), "sent_at")
        if row["folder"] != "trash"
        and matches(query, row["subject"], row["body"], row["sender"], *row["recipients"])
        and sender in (None, row["sender"])
        and (recipient is None or recipient in row["recipients"])
        and (since is None or row["sent_at"][:10] >= since)
        and (until is None or row["sent_at"][:10] <= until)
    ]


@APP.read(_EMAIL)
def show_email(call: Call, email_id: int) -> Row:
    """An email with its text and the names of its attachments. It stays unread until mark_email_read."""
    return _view(_own_email(call, email_id), _EMAIL)


@APP.read([_EMAIL])
def show_thread(call: Call, thread_id: int) -> list[Row]:
    """All emails of a conversation, oldest first."""
    rows = call.db.rows("mail_emails", owner=call.user, thread=thread_id)
    if not rows:
        raise ApiFailure(404, f"There is no thread with thread_id {thread_id} in your mailbox.")
    return [_view(row, _EMAIL) for row in reversed(newest(rows, "sent_at"))]


@APP.read({"name": str, "content": str})
def show_attachment(call: Call, email_id: int, name: Line) -> Row:
    """The content of an attachment.

    name: as show_email lists it
    """
    attachments: list[Row] = _own_email(call, email_id)["attachments"]
    for attachment in attachments:
        if attachment["name"] == name:
            return attachment
    listed = ", ".join(attachment["name"] for attachment in attachments) or "none"
    raise ApiFailure(404, f"Email {email_id} has no attachment {quoted(name)}; its attachments: {listed}.")


def _attach(call: Call, paths: list[str] | None, token: str | None) -> list[Row]:
    if not paths:
        return []
    if token is None:
        raise ApiFailure(401, "Attachments are files: give files_access_token as well, from apis.files.login.")
    owner = authorize(call.db, "files", token)
    attached = []
    for path in paths:
        file = call.db.find("files_entries", owner=owner, path=path, kind="file")
        if file is None:
            raise ApiFailure(404, f"There is no file {quoted(path)} to attach.")
        attached.append({"name": path.rpartition("/")[2], "content": file["content"]})
    return attached


def _deliver(call: Call, email: Row, copy: Row | None = None) -> int:
    """Put an email into the recipients' inboxes and the sender's sent folder. Return the id of the sender's copy."""
    for recipient in dict.fromkeys(email["recipients"]):
        call.person(recipient)
    shared_values = {**email, "sender": call.user, "sent_at": call.db.now}
    if copy is None:
        own_id = call.db.insert("mail_emails", owner=call.user, folder="sent", read=True, **shared_values)
    else:
        own_id = copy["id"]
        call.db.update("mail_emails", copy, folder="sent", **shared_values)
    for recipient in dict.fromkeys(email["recipients"]):
        call.db.insert("mail_emails", owner=recipient, **shared_values)
    return own_id


def _new_thread(call: Call) -> int:
    return max((row["thread"] for row in call.db.rows("mail_emails")), default=0) + 1


def _require_recipient(recipients: list[str]) -> list[str]:
    if not recipients:
        raise ApiFailure(422, "Expected at least one recipient, got an empty list.")
    return recipients


@APP.write(_CONFIRMATION)
def send_email(
    call: Call,
    recipients: list[Email],
    subject: Line,
    body: Text,
    attachments: list[Line] | None = None,
    files_access_token: str | None = None,
) -> Row:
    """Send a new email.

    recipients: email addresses
    attachments: paths of files in the files app
    files_access_token: access token of the files app, needed for attachments
    """
    email = {
        "recipients": _require_recipient(recipients),
        "subject": subject,
        "body": body,
        "attachments": _attach(call, attachments, files_access_token),
        "thread": _new_thread(call),
    }
    return {"message": f"Sent to {', '.join(recipients)}.", "email_id": _deliver(call, email)}


@APP.write(_CONFIRMATION)
def reply_to_email(call: Call, email_id: int, body: Text, reply_all: bool = False) -> Row:
    """Answer an email, in its thread.

    reply_all: also to its other recipients
    """
    row = _own_email(call, email_id)
    if row["folder"] == "drafts":
        raise ApiFailure(409, f"Email {email_id} is a draft; use send_draft.")
    to = row["recipients"] if row["sender"] == call.user else [row["sender"]]
    if reply_all:
        to = [address for address in dict.fromkeys([*to, *row["recipients"]]) if address != call.user]
    subject = row["subject"] if row["subject"].startswith("Re: ") else f"Re: {row['subject']}"
    own_id = _deliver(call, {"recipients": to, "subject": subject, "body": body, "thread": row["thread"]})
    return {"message": f"Sent to {', '.join(to)}.", "email_id": own_id}


@APP.write(_CONFIRMATION)
def forward_email(call: Call, email_id: int, recipients: list[Email], comment: Text = "") -> Row:
    """Send an email on to others, with its attachments.

    comment: text put before the forwarded one
    """
    row = _own_email(call, email_id)
    quote = f"Forwarded from {row['sender']}, {row['sent_at']}:\n{row['body']}"
    email = {
        "recipients": _require_recipient(recipients),
        "subject": f"Fwd: {row['subject']}",
        "body": f"{comment}\n\n{quote}" if comment else quote,
        "attachments": row["attachments"],
        "thread": row["thread"],
    }
    return {"message": f"Forwarded to {', '.join(recipients)}.", "email_id": _deliver(call, email)}


@APP.write(_CONFIRMATION)
def create_draft(call: Call, recipients: list[Email], subject: Line, body: Text) -> Row:
    """Write an email without sending it."""
    email_id = call.db.insert(
        "mail_emails",
        owner=call.user,
        thread=_new_thread(call),
        folder="drafts",
        sender=call.user,
        recipients=recipients,
        subject=subject,
        body=body,
        read=True,
    )
    return {"message": "Draft created.", "email_id": email_id}


def _draft(call: Call, email_id: int) -> Row:
    row = _own_email(call, email_id)
    if row["folder"] != "drafts":
        raise ApiFailure(409, f"Email {email_id} is no draft; it is in {row['folder']}.")
    return row


@APP.write(_CONFIRMATION)
def update_draft(
    call: Call,
    email_id: int,
    recipients: list[Email] | None = None,
    subject: Line | None = None,
    body: Text | None = None,
) -> Row:
    """Change a draft; what is not given stays."""
    given = {"recipients": recipients, "subject": subject, "body": body}
    call.db.update("mail_emails", _draft(call, email_id), **{k: v for k, v in given.items() if v is not None})
    return {"message": "Draft changed.", "email_id": email_id}


@APP.write(_CONFIRMATION)
def send_draft(call: Call, email_id: int) -> Row:
    """Send a draft as it is."""
    row = _draft(call, email_id)
    email = {name: row[name] for name in ("recipients", "subject", "body", "attachments", "thread")}
    _require_recipient(row["recipients"])
    return {"message": f"Sent to {', '.join(row['recipients'])}.", "email_id": _deliver(call, email, row)}


@APP.write(_CONFIRMATION)
def mark_email_read(call: Call, email_id: int, read: bool = True) -> Row:
    """Mark an email as read.

    read: false marks it as unread
    """
    call.db.update("mail_emails", _own_email(call, email_id), read=read)
    return {"message": f"Marked as {'read' if read else 'unread'}.", "email_id": email_id}


@APP.write(_CONFIRMATION)
def star_email(call: Call, email_id: int, starred: bool = True) -> Row:
    """Put a star on an email.

    starred: false takes it away
    """
    call.db.update("mail_emails", _own_email(call, email_id), starred=starred)
    return {"message": "Starred." if starred else "The star is taken away.", "email_id": email_id}


@APP.write(_CONFIRMATION)
def move_email(call: Call, email_id: int, folder: Literal["inbox", "archive", "trash"]) -> Row:
    """Move an email to another folder. Sent emails can be archived or thrown away, drafts only thrown away."""
    row = _own_email(call, email_id)
    if row["folder"] == folder:
        raise ApiFailure(409, f"Email {email_id} is in {folder} already.")
    if row["folder"] == "drafts" and folder != "trash":
        raise ApiFailure(409, f"Email {email_id} is a draft and can only be moved to trash.")
    call.db.update("mail_emails", row, folder=folder)
    return {"message": f"Moved to {folder}.", "email_id": email_id}


@APP.write(_CONFIRMATION)
def delete_email(call: Call, email_id: int) -> Row:
    """Delete an email for good, from any folder; move_email(folder='trash') keeps it."""
    call.db.delete("mail_emails", _own_email(call, email_id))
    return {"message": "Deleted.", "email_id": email_id}


@APP.read([{"label": str, "emails": int}])
def show_labels(call: Call) -> list[Row]:
    """All labels in your mailbox, and how many emails have each."""
    labels = [label for row in call.db.rows("mail_emails", owner=call.user) for label in row["labels"]]
    return [{"label": label, "emails": emails} for label, emails in sorted(Counter(labels).items())]


@APP.write(_CONFIRMATION)
def add_label(call: Call, email_id: int, label: Line) -> Row:
    """Put a label on an email."""
    row = _own_email(call, email_id)
    if label in row["labels"]:
        raise ApiFailure(409, f"Email {email_id} has the label {quoted(label)} already.")
    call.db.update("mail_emails", row, labels=sorted([*row["labels"], label]))
    return {"message": f"Labelled {label}.", "email_id": email_id}


@APP.write(_CONFIRMATION)
def remove_label(call: Call, email_id: int, label: Line) -> Row:
    """Take a label off an email."""
    row = _own_email(call, email_id)
    if label not in row["labels"]:
        listed = ", ".join(row["labels"]) or "none"
        raise ApiFailure(404, f"Email {email_id} has no label {quoted(label)}; its labels: {listed}.")
    call.db.update("mail_emails", row, labels=[known for known in row["labels"] if known != label])
    return {"message": f"Label {label} taken off.", "email_id": email_id}
