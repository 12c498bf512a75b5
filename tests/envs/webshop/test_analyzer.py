"""Words, stop words and stems follow the published rules."""

from __future__ import annotations

import random

import pytest

from agentgym_hindsight.envs.webshop.analyzer import STOP_WORDS, chunk_terms, chunks, terms
from agentgym_hindsight.envs.webshop.porter import stem
from agentgym_hindsight.envs.webshop.wordbreak import MAX_WORD, words
from tests.growth import LINEAR, growth

# The examples of the paper (M. F. Porter, An algorithm for suffix stripping, 1980), each passed through all steps.
PORTER = {
    "step 1a": "caresses caress, ponies poni, ties ti, caress caress, cats cat",
    "step 1b": "feed feed, agreed agre, plastered plaster, bled bled, motoring motor, sing sing",
    "step 1b, repaired": "conflated conflat, troubled troubl, sized size, hopping hop, tanned tan, falling fall, "
    "hissing hiss, fizzed fizz, failing fail, filing file",
    "step 1c": "happy happi, sky sky",
    "step 2": "relational relat, conditional condit, rational ration, valenci valenc, hesitanci hesit, "
    "digitizer digit, radicalli radic, differentli differ, vileli vile, analogousli analog, vietnamization vietnam, "
    "predication predic, operator oper, feudalism feudal, decisiveness decis, hopefulness hope, callousness callous, "
    "formaliti formal, sensitiviti sensit, sensibiliti sensibl",
    "step 3": "triplicate triplic, formative form, formalize formal, electriciti electr, electrical electr, "
    "hopeful hope, goodness good",
    "step 4": "revival reviv, allowance allow, inference infer, airliner airlin, gyroscopic gyroscop, "
    "adjustable adjust, defensible defens, irritant irrit, replacement replac, adjustment adjust, dependent depend, "
    "adoption adopt, homologou homolog, communism commun, activate activ, angulariti angular, homologous homolog, "
    "effective effect, bowdlerize bowdler",
    "step 5": "probate probat, rate rate, cease ceas, controll control, roll roll",
    "whole chains": "generalizations gener, oscillators oscil",
    "y": "by by, say sai, toy toi, enjoyment enjoy, syzygy syzygi, yes ye",
    "the author's later rules": "conformabli conform, archaeology archaeolog, apology apolog",
    "one or two letters": "s s, is is, as as",
    "other characters count as consonants": "1080s 1080, 4ied 4i, 2xl 2xl, a1ing a1",
    "shop words": "shoes shoe, batteries batteri, wireless wireless, dresses dress, machine machin, sleeves sleev",
}


@pytest.mark.parametrize("step", PORTER)
def test_porter(step: str) -> None:
    for pair in PORTER[step].split(", "):
        word, expected = pair.split()
        assert stem(word) == expected, word


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("size:large a:b", ["size:large", "a:b"]),
        ("size:8.5 1:2", ["size", "8.5", "1", "2"]),
        ("e.g. u.s.a v2.0 2.0v 10.5in", ["e.g", "u.s.a", "v2.0", "2.0v", "10.5in"]),
        ("1,000 1;2 a,b a;b 1,a", ["1,000", "1;2", "a", "b", "a", "b", "1", "a"]),
        ("a.1 1.a a'1", ["a", "1", "1", "a", "a", "1"]),
        ("5'2\"x7'4\" 19.7x31.5in", ["5'2", "x7'4", "19.7x31.5in"]),
        ("men's o'clock 'quoted' rock'n'roll", ["men's", "o'clock", "quoted", "rock'n'roll"]),
        ("don’t a‘b", ["don’t", "a‘b"]),
        ("wi-fi a/b c&d e+f g@h.com", ["wi", "fi", "a", "b", "c", "d", "e", "f", "g", "h.com"]),
        ("snake_case _a_ __ _1_b a_1 ___", ["snake_case", "_a_", "_1_b", "a_1"]),
        ("", []),
        (" \t\n ", []),
        ("!?-–—…“”【】", []),
        ("café naïve Ω Ñandú", ["café", "naïve", "Ω", "Ñandú"]),
        ("cafe\u0301 a\u200db", ["cafe\u0301", "a\u200db"]),  # marks and joiners belong to the character before them
        ("\u0301a", ["a"]),
        ("x\u00a0y x\u202fy", ["x", "y", "x\u202fy"]),  # of the no-break spaces, only the narrow one connects
        ("½ x² 10℃ №5", ["x", "10", "5"]),
        ("x：y １２，３", ["x：y", "１２，３"]),
        ("口味 米饭abc", ["口", "味", "米", "饭", "abc"]),
        ("ひらカタカナ", ["ひ", "ら", "カタカナ"]),
        ("カナabc カナ_abc", ["カナ", "abc", "カナ_abc"]),
        ("한국어", ["한국어"]),
        ("ประเทศไทย a", ["ประเทศไทย", "a"]),
        ("שלום' צה\"ל", ["שלום'", 'צה"ל']),
        ("❤ ❤️ ✔✔ ★☆", ["❤", "❤️", "✔", "✔", "★"]),
        ("brand® name™ ©2020", ["brand", "®", "name", "™", "©", "2020"]),
        ("👍🏽 👨‍👩‍👧 ❤️‍🔥 🏳️‍🌈", ["👍🏽", "👨‍👩‍👧", "❤️‍🔥", "🏳️‍🌈"]),
        ("🇺🇸🇬🇧 🇺", ["🇺🇸", "🇬🇧"]),
        ("1️⃣ #️⃣ # *", ["1️⃣", "#️⃣"]),
        ("🏽", ["🏽"]),
        ("ok👌cool", ["ok", "👌", "cool"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize("text", ["a" * 600, "é" * 600, "a_" * 300, "x." * 300, "1,2" * 200])
def test_long_words_are_cut(text: str) -> None:
    found = words(text)
    assert max(map(len, found)) <= MAX_WORD
    assert len(found[0]) >= MAX_WORD - 1


def test_cut_at_the_limit_by_utf16_units() -> None:
    assert [len(word) for word in words("b" * 256 + " c")] == [255, 1, 1]
    bold = "\U0001d41a"  # a mathematical letter of two units
    assert [len(word) for word in words(bold * 200)] == [127, 73]


def test_ascii_and_other_text_agree() -> None:
    """The direct expression for ASCII and the class letters define the same grammar."""
    rng = random.Random(5)
    for _ in range(3000):
        text = "".join(rng.choice("abZ019_.:,;'\"-# *\t") for _ in range(rng.randrange(1, 24)))
        assert words(text) == words(f"{text} “")


def test_chunks_have_the_terms_of_the_text() -> None:
    rng = random.Random(6)
    letters = "aS1_.:'’ \u00a0\u202f\u2009\u200d\u0301❤️👍🏽é口カ®"
    for _ in range(3000):
        text = "".join(rng.choice(letters) for _ in range(rng.randrange(1, 20)))
        assert [term for chunk in chunks(text) for term in chunk_terms(chunk)] == list(chunk_terms(text)), ascii(text)


@pytest.mark.parametrize(
    ("head", "unit"), [("", "_"), ("", "\u200d"), ("#", "\u0301"), ("❤", "\u200d"), ("", "a'"), ("", "🇺")]
)
def test_the_time_is_linear_in_the_length_of_the_text(head: str, unit: str) -> None:
    assert growth(lambda size: words(head + unit * size + "é"), 12_500) < LINEAR


def test_terms() -> None:
    assert terms("It's the DRESS’s best") == ["dress", "best"]  # 's is removed before stop words
    assert terms("ladies' ladies's ladies'S") == ["ladi"] * 3
    assert terms("Running RUNS run") == ["run"] * 3
    assert terms("İstanbul ΣΑΣ") == ["istanbul", "σασ"]  # lower-cased letter by letter: no dot above, no final sigma
    assert terms("to be or not to be") == []
    assert len(STOP_WORDS) == 33


def test_cached_terms_are_equal() -> None:
    text = "Women's High-Heel shoes, size:8.5 ❤️"
    assert terms(text) == terms(text) == ["women", "high", "heel", "shoe", "size", "8.5", "❤️"]
