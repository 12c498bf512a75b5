"""Split a text into words by Unicode's word boundaries (UAX #29) and emoji sequences (UTS #51), like Lucene.

For shop pages this means: joiners do not end a word (``.`` and ``'`` between two letters or two digits, ``:`` between
letters, ``,`` and ``;`` between digits, ``_`` between any of them). Every emoji is one word, also ``®`` and ``™``, and
so is each Han or Hiragana character. No word is longer than 255 UTF-16 units.

Short ASCII text, the most common case, is matched directly. Other text is first mapped to one class letter per
character, and the grammar is matched on these letters, because a regular expression over the classes of thousands of
characters would be unreadable.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator

__all__ = ["MAX_WORD", "words"]

#: Lucene cuts longer words here and continues after the cut.
MAX_WORD = 255

# Class letters: L letter, B Hebrew letter, N digit, K Katakana, E connector, H one-character word (Han, Hiragana),
# S south-east Asian, P emoji, Q emoji that takes a skin tone, M skin tone, F flag letter, C enclosing keycap,
# X other mark or format character (also the tags of flags), V emoji selector, Z zero-width joiner, O other.
# The joiners : . , ' " and the keycap bases # * are class letters for themselves and characters of the same class.
_ASCII: dict[int, str] = dict.fromkeys(range(128), "O")
_ASCII.update({ord(letter): "L" for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"})
_ASCII.update({ord(digit): "N" for digit in "0123456789"})
_ASCII.update({ord("_"): "E", ord(";"): ","})
_ASCII.update({ord(sign): sign for sign in ":.,'\"#*"})

_RANGES = {
    ":": "B7 387 55F 5F4 2027 FE13 FE55 FF1A",
    ".": "2018-2019 2024 FE52 FF07 FF0E",
    ",": "37E 589 60C-60D 66C 7F8 2044 FE10 FE14 FE50 FE54 FF0C FF1B",
    "E": "202F 203F-2040 2054 FE33-FE34 FE4D-FE4F FF3F",
    "Z": "200D",
    "V": "FE0F",
    "C": "20E3",
    "F": "1F1E6-1F1FF",
    "M": "1F3FB-1F3FF",
    "X": "200C FF9E-FF9F",
    "O": "200B 3006 17000-187F7 18800-18CD5 18D00-18D08 1B170-1B2FB",
    "N": "66B",
    "B": "5D0-5EA 5EF-5F2 FB1D FB1F-FB28 FB2A-FB36 FB38-FB3C FB3E FB40-FB41 FB43-FB44 FB46-FB4F",
    "K": "3031-3035 309B-309C 30A0-30FA 30FC-30FF 31F0-31FF 32D0-32FE 3300-3357 FF66-FF9D 1AFF0-1AFF3 1AFF5-1AFFB "
    "1AFFD-1AFFE 1B000 1B120-1B122 1B164-1B167",
    "H": "2E80-2E99 2E9B-2EF3 2F00-2FD5 3005 3007 3021-3029 3038-303B 3041-3096 309D-309F 3400-4DBF 4E00-9FFF "
    "F900-FA6D FA70-FAD9 16FE2-16FE3 16FF0-16FF1 1B001-1B11F 1B150-1B152 1F200 20000-2A6DF 2A700-2EBE0 "
    "2F800-2FA1D 30000-3134A",
    "S": "E01-E3A E40-E4E E81-E82 E84 E86-E8A E8C-EA3 EA5 EA7-EBD EC0-EC4 EC6 EC8-ECD EDC-EDF 1000-103F 1050-108F "
    "109A-109F 1780-17D3 17D7 17DC-17DD 1950-196D 1970-1974 1980-19AB 19B0-19C9 19DA 19DE-19DF 1A20-1A5E "
    "1A60-1A7C 1AA0-1AAD A9E0-A9EF A9FA-A9FE AA60-AAC2 AADB-AADF 11700-1171A 1171D-1172B 1173A-1173B 1173F-11746",
    # Letters by the standard's list, with another general category. Some are emoji as well; as letters they give at
    # least as long a word, so only the letter class is needed.
    "L": "2C2-2C5 2D2-2D7 2DE-2DF 2E5-2EB 2ED 2EF-2FF 55A-55C 55E 58A 5F3 2139 24B6-24E9 A708-A716 A720-A721 "
    "A789-A78A AB5B 1F130-1F149 1F150-1F169 1F170-1F189",
    "Q": "261D 26F9 270A-270D 1F385 1F3C2-1F3C4 1F3C7 1F3CA-1F3CC 1F442-1F443 1F446-1F450 1F466-1F478 1F47C "
    "1F481-1F483 1F485-1F487 1F48F 1F491 1F4AA 1F574-1F575 1F57A 1F590 1F595-1F596 1F645-1F647 1F64B-1F64F 1F6A3 "
    "1F6B4-1F6B6 1F6C0 1F6CC 1F90C 1F90F 1F918-1F91F 1F926 1F930-1F939 1F93C-1F93E 1F977 1F9B5-1F9B6 1F9B8-1F9B9 "
    "1F9BB 1F9CD-1F9CF 1F9D1-1F9DD 1FAC3-1FAC5 1FAF0-1FAF6",
    "P": "A9 AE 203C 2049 2122 2194-2199 21A9-21AA 231A-231B 2328 2388 23CF 23E9-23F3 23F8-23FA 25AA-25AB 25B6 25C0 "
    "25FB-25FE 2600-2605 2607-2612 2614-2685 2690-2705 2708-2712 2714 2716 271D 2721 2728 2733-2734 2744 2747 274C "
    "274E 2753-2755 2757 2763-2767 2795-2797 27A1 27B0 27BF 2934-2935 2B05-2B07 2B1B-2B1C 2B50 2B55 3030 303D 3297 "
    "3299 1F000-1F0FF 1F10D-1F10F 1F12F 1F16C-1F16F 1F18E 1F191-1F19A 1F1AD-1F1E5 1F201-1F20F 1F21A 1F22F "
    "1F232-1F23A 1F23C-1F23F 1F249-1F3FA 1F400-1F53D 1F546-1F64F 1F680-1F6FF 1F774-1F77F 1F7D5-1F7FF 1F80C-1F80F "
    "1F848-1F84F 1F85A-1F85F 1F888-1F88F 1F8AE-1F8FF 1F90C-1F93A 1F93C-1F945 1F947-1FAFF 1FC00-1FFFD",
}
# Classes by general category, for characters that are not in the ranges above.
_CATEGORIES = {"Lu": "L", "Ll": "L", "Lt": "L", "Lm": "L", "Lo": "L", "Nl": "L", "Nd": "N", "Pc": "E", "Cf": "X"}
_CATEGORIES.update({"Mn": "X", "Mc": "X", "Me": "X"})


def _spans_by_start() -> list[tuple[int, int, str]]:
    spans = []
    for letter, text in _RANGES.items():
        for part in text.split():
            first, _, last = part.partition("-")
            spans.append((int(first, 16), int(last or first, 16), letter))
    return sorted(spans, key=lambda span: (span[0], -span[1]))


_SPANS = _spans_by_start()
_STARTS = [span[0] for span in _SPANS]


class _Classes(dict[int, str]):
    """Code point -> class letter, computed at the first use of a character."""

    def __missing__(self, code: int) -> str:
        # Small ranges lie inside wide ones (skin tones inside emoji). Of all that contain the code, the innermost
        # starts last.
        letters = (letter for first, last, letter in reversed(_SPANS[: bisect_right(_STARTS, code)]) if code <= last)
        letter = self[code] = next(letters, "") or _CATEGORIES.get(unicodedata.category(chr(code)), "O")
        return letter


_classes = _Classes(_ASCII)


def _grammar() -> re.Pattern[str]:
    extend = "[XVZCM]*"  # marks and format characters belong to the character before them
    # In emoji the selector has its own position, and a joiner belongs to the next emoji if there is one.
    inner = "(?:[XCM]|Z(?!Z{0,255}[PQ]|M))*"
    digit, kana, link = (f"[{each}]{extend}" for each in "NKE")
    # Hebrew words may contain a quotation mark and end with an apostrophe.
    letter = f"(?:B{extend}'{extend}(?![LB])|B{extend}\"{extend}(?=B)|[LB]{extend})"
    runs = (
        f"(?:{kana}(?:(?:{link})*{kana})*"
        f"|(?:{digit}(?:(?:[.,']{extend})?{digit})*|{letter}(?:(?:[:.']{extend})?{letter})*)+)"
    )
    word = f"(?:{link})*{runs}(?:(?:{link})+{runs})*(?:{link})*"
    # An emoji may have a skin tone or a selector, and may be joined to the next.
    emoji_part = f"(?:Z{{0,255}}[PQ]{inner}V?|(?:Z{{0,255}}Q{inner})?M{inner})"
    emoji = f"{emoji_part}(?:Z{emoji_part})*|[#*]{inner}V?C{inner}|F{extend}F{extend}"
    # Connectors alone are not a word. They are matched as a whole so that a long row is scanned only once.
    return re.compile(f"{word}|{emoji}|S{extend}(?:S{extend})*|H{extend}|(?P<none>(?:{link})+)")


_GRAMMAR = _grammar()
_WINDOW = 8 * MAX_WORD
_MARGIN = 2 * MAX_WORD  # more than the lookahead of the grammar
_RUNS = "(?:[A-Za-z]+(?:[.:'][A-Za-z]+)*|[0-9]+(?:[.,;'][0-9]+)*)+"
_PLAIN = re.compile(f"_*{_RUNS}(?:_+{_RUNS})*_*|_+")


def _limit(text: str, start: int) -> int:
    """The last possible end of a word that starts at ``start``. Characters beyond the basic plane count two units."""
    end, remaining = start, MAX_WORD
    while end < len(text):
        remaining -= 2 if ord(text[end]) > 0xFFFF else 1
        if remaining < 0:
            break
        end += 1
    return end


def _next(classes: str, position: int) -> re.Match[str] | None:
    """The next word. The end of a word that will be cut is not searched: it can be 100,000 characters away."""
    match = _GRAMMAR.search(classes, position, position + _WINDOW)
    if match and (match.end() < position + _WINDOW - _MARGIN or match.end() - match.start() > 2 * MAX_WORD):
        return match
    return _GRAMMAR.search(classes, position)


def _spans(text: str) -> Iterator[str]:
    classes = text.translate(_classes)
    position = 0
    while match := _next(classes, position):
        start, position = match.span()
        if position - start > MAX_WORD // 2 and (limit := _limit(text, start)) < position:
            cut = _GRAMMAR.match(classes, start, limit)
            position = cut.end() if cut else start + 1
            if cut is None:
                continue
            match = cut
        if match["none"] is None:
            yield text[start:position]


def words(text: str) -> list[str]:
    """The words of a text, in order and unchanged.

    >>> words("Wi-Fi 2.4GHz, men's size:8.5 (100% cotton) ❤️")
    ['Wi', 'Fi', '2.4GHz', "men's", 'size', '8.5', '100', 'cotton', '❤️']
    """
    if text.isascii() and len(text) <= MAX_WORD:
        return [word for word in _PLAIN.findall(text) if word.strip("_")]
    return list(_spans(text))
