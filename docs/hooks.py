"""Hook of mkdocs.yml: adapts Markdown that is written for GitHub to the site."""

from __future__ import annotations

import posixpath
import re
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((\.\./[^)\s#]*)(?:#[^)\s]*)?\)")
_TABLE_ROW = re.compile(r"^\|.*\|$", re.MULTILINE)
_CODE_SPAN = re.compile(r"`[^`\n]+`")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Replace links out of docs/, and unescape ``|`` in the code spans of tables.

    The site has no page for ``[text](../../configs/a.yaml)``, and a strict build refuses the link: it becomes
    ``text (`configs/a.yaml`)``. GitHub needs ``\\|`` in a table's code span, where Python-Markdown shows the backslash.
    """
    folder = posixpath.dirname(page.file.src_uri)
    markdown = _LINK.sub(lambda link: _outside(folder, link) or link.group(), markdown)
    return _TABLE_ROW.sub(
        lambda row: _CODE_SPAN.sub(lambda span: span.group().replace(r"\|", "|"), row.group()), markdown
    )


def _outside(folder: str, link: re.Match[str]) -> str:
    """The replacement of a link that leads out of docs/; "" for other links."""
    path = posixpath.normpath(posixpath.join("docs", folder, link.group(2)))
    if path.startswith("docs/"):
        return ""
    text = link.group(1).strip("`")
    return f"`{path}`" if path.endswith(text) else f"{text} (`{path}`)"
