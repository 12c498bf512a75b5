"""The nouns of a title. The type test of the reward compares the nouns of two titles.

The original uses spaCy's tagger. The default here needs no model: every token with a letter is a noun, except 35
closed-class words. Rules have versions, and every result names its rule; do not mix scores of two rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from agentgym_hindsight.errors import MissingExtraError, UnknownNameError

__all__ = ["DEFAULT_NOUNS", "NOUN_RULES", "TAGGERS", "nouns_of"]

#: The default rule.
DEFAULT_NOUNS = "tokens-1"

# Two patterns, because one pattern that also asks for a letter is quadratic on a long number.
_TOKEN, _LETTER = re.compile(r"[\w'.-]+"), re.compile(r"[^\W\d_]")
_CLOSED_WORDS = """
    a an the and or but nor of for with without in on at to from by as into onto over under per via
    is are be was were it its this that these those
"""
_CLOSED = frozenset(_CLOSED_WORDS.split())
#: Models of spaCy. The first one that is installed is used.
TAGGERS = ("en_core_web_sm", "en_core_web_lg", "en_core_web_md")
_NOUNS = frozenset({"NOUN", "PROPN"})


def _by_token(title: str) -> list[str]:
    tokens = filter(_LETTER.search, _TOKEN.findall(title))
    return [word for word in map(str.lower, tokens) if word not in _CLOSED]


def _by_spacy(title: str) -> list[str]:
    return [str(token.text).lower() for token in _tagger()(title) if token.pos_ in _NOUNS]


@lru_cache(maxsize=1)
def _tagger() -> Any:
    try:
        import spacy
    except ImportError:
        raise MissingExtraError("spacy", "spacy", "The noun rule 'spacy'") from None
    for model in TAGGERS:
        if spacy.util.is_package(model):
            return spacy.load(model)
    why = "The noun rule 'spacy' needs a model too (python -m spacy download en_core_web_sm) and"
    raise MissingExtraError(TAGGERS[0], "spacy", why)


#: Name -> rule. Tokens keep their order and repetitions, because the score divides by the length of a list.
NOUN_RULES: dict[str, Callable[[str], list[str]]] = {DEFAULT_NOUNS: _by_token, "spacy": _by_spacy}


def nouns_of(title: str, rule: str = DEFAULT_NOUNS) -> tuple[str, ...]:
    """The nouns of a title, lower-cased, in order, with repetitions.

    >>> nouns_of("Mens D.O.N. Issue 2 Sneakers - Off White")
    ('mens', 'd.o.n.', 'issue', 'sneakers', 'off', 'white')
    """
    if rule not in NOUN_RULES:
        raise UnknownNameError("noun rule", rule, NOUN_RULES)
    return _nouns(title, rule)


@lru_cache(maxsize=65536)
def _nouns(title: str, rule: str) -> tuple[str, ...]:
    return tuple(NOUN_RULES[rule](title))
