"""Turn text into index terms: split into words, drop a possessive 's, lower-case, drop stop words, stem."""

from __future__ import annotations

from itertools import chain

from agentgym_hindsight.envs.webshop.porter import stem
from agentgym_hindsight.envs.webshop.wordbreak import words

__all__ = ["ANALYZER", "STOP_WORDS", "chunk_terms", "chunks", "terms"]

#: Version of the term rules. It is part of the key of every stored index: change it when any term changes.
ANALYZER = "english-1"

_STOP_WORDS = """
a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was
will with
"""
#: Lucene's English list.
STOP_WORDS = frozenset(_STOP_WORDS.split())
_APOSTROPHES = "'’＇"
_NARROW_SPACE = "\u202f"  # whitespace for str.split, a connector like "_" for the word boundaries
_MAX_CACHED_LENGTH = 64
_CACHE_SIZE = 1 << 18


def chunks(text: str) -> list[str]:
    """Parts of a text that do not split a word. Parts repeat often, so their terms can be cached."""
    return text.split() if _NARROW_SPACE not in text else [text]


def chunk_terms(chunk: str) -> tuple[str, ...]:
    """The terms of one chunk."""
    return tuple(term for term in map(_term, words(chunk)) if term)


class _TermCache(dict[str, tuple[str, ...]]):
    """Chunk -> its terms. Cleared when full, and long chunks are not stored, so that queries cannot fill the memory."""

    def __missing__(self, chunk: str) -> tuple[str, ...]:
        result = chunk_terms(chunk)
        if len(chunk) <= _MAX_CACHED_LENGTH:
            if len(self) >= _CACHE_SIZE:
                self.clear()
            self[chunk] = result
        return result


def _lower(letter: str) -> str:
    # Exactly one character: str.lower() turns "İ" into two, and its result for "Σ" depends on the neighbours.
    return letter.lower()[:1]


def _term(word: str) -> str:
    if word[-1] in "sS" and word[-2:-1] and word[-2] in _APOSTROPHES:
        word = word[:-2]
    word = word.lower() if word.isascii() else "".join(map(_lower, word))
    return "" if word in STOP_WORDS else stem(word)


_cache = _TermCache()


def terms(text: str) -> list[str]:
    """The terms of a text in order, with repetitions.

    >>> terms("The women's running shoes")
    ['women', 'run', 'shoe']
    """
    return list(chain.from_iterable(map(_cache.__getitem__, chunks(text))))
