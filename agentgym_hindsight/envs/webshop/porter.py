"""Porter's stemmer of 1980, from its published description, with two later rules from its author's programs.

The two rules are ``bli`` -> ``ble`` (the paper has ``abli`` -> ``able``) and ``logi`` -> ``log``. The stemmer of the
original shop has both. Words of one or two letters do not change. Every character that is not a vowel letter counts as
a consonant, also a digit.
"""

from __future__ import annotations

__all__ = ["stem"]

_VOWELS = frozenset("aeiou")

# Suffixes of steps 2 to 4 by their last letter but one, longer ones first: only the longest match counts.
_STEP_2: dict[str, tuple[tuple[str, str], ...]] = {
    "a": (("ational", "ate"), ("tional", "tion")),
    "c": (("enci", "ence"), ("anci", "ance")),
    "e": (("izer", "ize"),),
    "g": (("logi", "log"),),
    "l": (("bli", "ble"), ("alli", "al"), ("entli", "ent"), ("ousli", "ous"), ("eli", "e")),
    "o": (("ization", "ize"), ("ation", "ate"), ("ator", "ate")),
    "s": (("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous")),
    "t": (("aliti", "al"), ("iviti", "ive"), ("biliti", "ble")),
}
_STEP_3: dict[str, tuple[tuple[str, str], ...]] = {
    "t": (("icate", "ic"), ("iciti", "ic")),
    "v": (("ative", ""),),
    "z": (("alize", "al"),),
    "a": (("ical", "ic"),),
    "u": (("ful", ""),),
    "s": (("ness", ""),),
}
_STEP_4: dict[str, tuple[str, ...]] = {
    "a": ("al",),
    "c": ("ance", "ence"),
    "e": ("er",),
    "i": ("ic",),
    "l": ("able", "ible"),
    "n": ("ant", "ement", "ment", "ent"),
    "o": ("sion", "tion", "ou"),
    "s": ("ism",),
    "t": ("ate", "iti"),
    "u": ("ous",),
    "v": ("ive",),
    "z": ("ize",),
}


def _shape(word: str) -> str:
    """The word as a sequence of ``c`` and ``v``. ``y`` is a vowel after a consonant, otherwise a consonant."""
    shape = ""
    for letter in word:
        vowel = letter in _VOWELS or (letter == "y" and shape[-1:] == "c")
        shape += "v" if vowel else "c"
    return shape


def _measure(shape: str) -> int:
    """Porter's m: the number of times a vowel is followed by a consonant."""
    return shape.count("vc")


def _short(word: str, shape: str) -> bool:
    """Porter's *o: the word ends with consonant, vowel, consonant, and the last is not w, x or y."""
    return shape.endswith("cvc") and word[-1] not in "wxy"


def _double(word: str, shape: str) -> bool:
    return word[-1:] == word[-2:-1] and shape[-1:] == "c"


def _step_1a(word: str) -> str:
    if not word.endswith("s"):
        return word
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith("ies"):
        return word[:-2]
    return word if word.endswith("ss") else word[:-1]


def _step_1b(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(_shape(word[:-3])) > 0 else word
    for suffix in ("ed", "ing"):
        if word.endswith(suffix):
            base = word[: -len(suffix)]
            shape = _shape(base)
            return _repair(base, shape) if "v" in shape else word
    return word


def _repair(word: str, shape: str) -> str:
    """Restore the final ``e`` after ``-ed`` or ``-ing`` was removed, or remove a doubled letter."""
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    if _double(word, shape):
        return word if word[-1] in "lsz" else word[:-1]
    return word + "e" if _measure(shape) == 1 and _short(word, shape) else word


def _replace_suffix(word: str, table: dict[str, tuple[tuple[str, str], ...]]) -> str:
    for suffix, replacement in table.get(word[-2:-1], ()):
        if word.endswith(suffix):
            base = word[: -len(suffix)]
            return base + replacement if _measure(_shape(base)) > 0 else word
    return word


def _step_4(word: str) -> str:
    for suffix in _STEP_4.get(word[-2:-1], ()):
        if word.endswith(suffix):
            # -ion is removed only after s or t, which stay.
            base = word[:-3] if suffix.endswith("ion") else word[: -len(suffix)]
            return base if _measure(_shape(base)) > 1 else word
    return word


def _step_5(word: str) -> str:
    shape = _shape(word)
    measure = _measure(shape)
    if word.endswith("e") and (measure > 1 or (measure == 1 and not _short(word[:-1], shape[:-1]))):
        word, shape = word[:-1], shape[:-1]
    if word.endswith("l") and measure > 1 and _double(word, shape):
        word = word[:-1]
    return word


def stem(word: str) -> str:
    """The stem of a lower-cased word.

    >>> [stem(word) for word in ("shoes", "cushioned", "relational", "hopping", "feed")]
    ['shoe', 'cushion', 'relat', 'hop', 'feed']
    """
    if len(word) <= 2:
        return word
    word = _step_1b(_step_1a(word))
    if word.endswith("y") and "v" in _shape(word[:-1]):
        word = word[:-1] + "i"  # step 1c
    return _step_5(_step_4(_replace_suffix(_replace_suffix(word, _STEP_2), _STEP_3)))
