"""The facts in a task's instruction, for a user that follows a script."""

from __future__ import annotations

import re

from agentgym_hindsight.envs.tau.desk import DeskTask
from agentgym_hindsight.envs.tau.users.topics import PROOF, TOPICS

__all__ = ["facts_of_instruction", "first_person"]

_SENTENCE = re.compile(r"(?<=[.!?;])\s+")
# Bounded lengths, and only at the beginning of a word: otherwise a long word would be scanned from each character.
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}")
_ZIP = re.compile(r"\b\d{5}\b")
_USER_ID = re.compile(r"\b[a-z]+_[a-z]+_\d+\b")
_NAME = re.compile(r"\b(?:[Yy]ou are|[Yy]our name is|You name is|[Yy]ou're) ([A-Z][\w'-]+ [A-Z][\w'-]+)")
_OWN_NAME = re.compile(r"([a-z]+)_([a-z]+)_\d+")
_WISH = re.compile(
    r"\b(?:want|wish|like to|need|cancel|return|exchange|change|modify|book|upgrade|add|know|ask|get|remove|switch)\b"
)
_PERSONS = (
    (r"\byou name is\b", "my name is"),
    (r"\byou are\b", "I am"),
    (r"\byou're\b", "I am"),
    (r"\byou've\b", "I have"),
    (r"\byou'd\b", "I would"),
    (r"\byou'll\b", "I will"),
    (r"\byourself\b", "myself"),
    (r"\byours\b", "mine"),
    (r"\byour\b", "my"),
    (r"\byou\b", "I"),
)
#: Sentences that tell the user how to behave, which no user would say.
_MANNER = re.compile(
    r"\b(?:you are|you're) (?:a |an |very |quite )?[a-z-]+(?:, [a-z-]+)*(?:,? and [a-z-]+)?[.;]?$"
    r"|reactive to the agent|will not say|do not (?:mention|reveal|provide)|don't (?:mention|reveal)"
    r"|unless (?:the agent )?ask",
    re.IGNORECASE,
)


_LONGEST = 20_000  # characters of an instruction that are read


def first_person(text: str) -> str:
    """An instruction as the user would say it.

    >>> first_person("You want to return your lamp.")
    'I want to return my lamp.'
    """
    for pattern, words in _PERSONS:
        text = re.sub(pattern, words, text, flags=re.IGNORECASE)
    return text[:1].upper() + text[1:]


def facts_of_instruction(task: DeskTask) -> tuple[str, dict[str, str], tuple[str, ...]]:
    """The first message, the facts by topic, and the further wishes, of a task that has only an instruction.

    A fact of a topic is every sentence that has one of its words. Every user knows the name in its user id.
    """
    text = task.instruction[:_LONGEST]
    facts: dict[str, str] = {"user_id": f"My user id is {task.user_id}."} if _USER_ID.search(text) else {}
    own_name = _OWN_NAME.fullmatch(task.user_id)
    for topic, found, form in (
        ("email", _EMAIL.search(text), "My email is {}."),
        ("name", _NAME.search(text), "My name is {}."),
        ("zip", _ZIP.search(text), "My zip code is {}."),
    ):
        if found:
            facts[topic] = form.format(found[found.lastindex or 0])
    if "name" not in facts and own_name:
        facts["name"] = f"My name is {own_name[1].capitalize()} {own_name[2].capitalize()}."
    told = [
        first_person(sentence.strip())
        for sentence in _SENTENCE.split(text.strip())
        if not (_NAME.match(sentence) or _USER_ID.search(sentence) or _MANNER.search(sentence))
    ] or [first_person(text)]
    for topic, words in TOPICS.items():
        fitting = [sentence for sentence in told if any(word in sentence.lower() for word in words)]
        if topic not in PROOF and fitting:
            facts[topic] = " ".join(fitting)
    first = next((number for number, sentence in enumerate(told) if _WISH.search(sentence)), 0) + 1
    return " ".join(told[:first]), facts, tuple(told[first:])
