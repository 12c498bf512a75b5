from __future__ import annotations

import time

import pytest

from agentgym_hindsight.printable import printable, printable_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢字 👩‍🚀\n\tnext", "plain é 漢字 👩‍🚀\n\tnext"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("pay \u202ednuoserp", "pay \\u202ednuoserp"),
        ("a\rb", "a\\rb"),
        ("a\r\nb", "a\nb"),
        ("\udcff", "\\udcff"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert printable(text) == shown
    printable(text).encode()


def test_a_line_is_cut_and_has_no_breaks() -> None:
    assert printable_line(" a \n\n b ") == "a b"
    assert printable_line("x" * 50, 10) == "x" * 9 + "…"
    assert printable_line("exactly", 7) == "exactly"


def test_a_short_line_of_a_huge_text_is_quick() -> None:
    started = time.process_time()  # CPU time, so that other processes have no effect
    assert printable_line("\x1b " * 10_000_000, 20).startswith("\\x1b")
    assert time.process_time() - started < 0.5
