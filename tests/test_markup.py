from __future__ import annotations

from agentgym_hindsight.markup import Html, join, tag

HOSTILE = "</td><script>alert(1)</script>\x1b[31m\u202e\ud800\ufffe"


def test_text_is_escaped_and_markup_is_not() -> None:
    cell = tag("td", HOSTILE, Html("<br>"), title='"x" & <y>')
    assert "<script>" not in cell
    assert "\\x1b[31m\\u202e\\ud800\\ufffe" in cell
    assert cell.startswith('<td title="&quot;x&quot; &amp; &lt;y&gt;">')
    assert cell.endswith("<br></td>")
    assert cell.encode("utf-8")


def test_attributes_and_elements_without_an_end() -> None:
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert (
        tag("p", class_="a", data_name="b", hidden=True, id=None, open=False)
        == '<p class="a" data-name="b" hidden></p>'
    )
    assert tag("line", x=1.0, y=0.005) == '<line x="1" y="0.01"></line>'


def test_parts_are_joined() -> None:
    assert join(["a", 1, Html("<b>")], " ") == "a 1 <b>"
    assert isinstance(join([]), Html)
