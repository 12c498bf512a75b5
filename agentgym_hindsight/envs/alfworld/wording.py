"""Parse a command that is not in the game's syntax: find the verb of the game and the names that it probably means.

This module only uses text. It has no access to a house, so it cannot reveal anything about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import NamedTuple

__all__ = ["ParsedCommand", "closest_name", "parse_command", "without_articles"]


class ParsedCommand(NamedTuple):
    """The parts of a command."""

    verb: str  # a verb of the game ("put" for putting down in both releases), or ""
    verb_words: str  # the words of the command that are read as the verb
    names: tuple[str, ...]


#: Verb of the game -> the words that players use for it, including itself.
_SYNONYMS = {
    "go": "go to|go|goto|walk to|walk|move to|enter|head to|navigate to|approach|visit|return to|travel to|go back to",
    "open": "open",
    "close": "close|shut",
    "take": "take|pick up|pick|get|grab|fetch|collect|retrieve|pickup",
    "put": "put|put down|move|place|drop|insert|set down|set|leave|lay|store|stow",
    "clean": "clean|wash|rinse|wipe",
    "heat": "heat|heat up|microwave|cook|warm|warm up|bake",
    "cool": "cool|cool down|chill|refrigerate|freeze",
    "slice": "slice|cut|chop|cut up",
    "use": "use|turn on|turn off|turn|toggle|switch|switch on|switch off|activate|light",
    "examine": "examine|inspect|check|read|look at|look in|look inside|look into|look on|search|study|observe",
    "look": "look|look around|look about",
    "inventory": "inventory|check inventory|show inventory|inv|i",
    "help": "help",
}
_VERB_OF = {verb_words: verb for verb, listed in _SYNONYMS.items() for verb_words in listed.split("|")}
_WORDS = [verb_words for verb_words in _VERB_OF if " " not in verb_words and len(verb_words) > 2]

_ARTICLES = frozenset(("the", "a", "an", "my", "some"))
#: Words between two names, or after the last one.
_LINKS = frozenset(
    (
        *("to", "from", "in", "on", "in/on", "into", "onto", "inside", "with", "using", "at", "under", "by", "near"),
        *("off", "out", "of", "up", "down", "back", "and", "it"),
    )
)
_ALIASES = {"sink": "sinkbasin", "refrigerator": "fridge"}
_LONGEST_NAME = 40  # the longest of the official names has 21 letters


def without_articles(command: str) -> str:
    """A command without articles, and with ``put`` for ``put down``: ``take the book 1`` -> ``take book 1``."""
    words = [word for word in command.rstrip(" .!").split(" ") if word not in _ARTICLES]
    if words[:2] == ["put", "down"]:
        del words[1]
    return " ".join(words)


def parse_command(command: str) -> ParsedCommand:
    """Split a command in lower case into verb and names."""
    words = without_articles(command).split(" ")
    verb, size = "", 1
    for size in (3, 2, 1):
        verb = _VERB_OF.get(" ".join(words[:size]), "")
        if verb and len(words) >= size:
            break
    if not verb:
        similar = get_close_matches(words[0][:_LONGEST_NAME], _WORDS, n=1, cutoff=0.75)
        verb, size = (_VERB_OF[similar[0]] if similar else ""), 1
    names: list[list[str]] = [[]]
    for word in words[size:]:
        if word in _LINKS:
            names.append([])
        else:
            names[-1].append(word)
    return ParsedCommand(verb, " ".join(words[:size]), tuple(" ".join(name)[:_LONGEST_NAME] for name in names if name))


def closest_name(name: str, known: Sequence[str]) -> str:
    """The entry of ``known`` that ``name`` most likely means: equal, equal without its number, or a misspelling.

    A given number must match: "mug 2" is not a misspelling of "mug 1".
    """
    if name in known:
        return name
    compact = name.replace(" ", "")
    kind = compact.rstrip("0123456789")
    number = compact[len(kind) :]
    if not kind:
        return ""
    candidates = [candidate for candidate in known if not number or candidate.rpartition(" ")[2] == number]
    for matches in (str.__eq__, str.endswith):  # a lamp is a desklamp too
        matching = [candidate for candidate in candidates if matches(_kind(candidate), kind)]
        if matching:
            return min(matching, key=_order)
    kind = _ALIASES.get(kind, kind)
    similar = get_close_matches(kind, {_kind(candidate): None for candidate in candidates}, n=1, cutoff=0.75)
    return min(
        (candidate for candidate in candidates if similar and _kind(candidate) == similar[0]), key=_order, default=""
    )


def _kind(name: str) -> str:
    return name.rpartition(" ")[0] or name


def _order(name: str) -> tuple[int, str]:
    return len(name), name
