"""The facts in a task's instruction, for a user that follows a script."""

from __future__ import annotations

import re

from agentgym_hindsight.envs.tau.desk import DeskTask

__all__ = ["facts_of_instruction", "first_person"]

_SENTENCE = re.compile(r"(?<=[.!?;])\s+")
# Bounded lengths, and only at the beginning of a word: otherwise a long word would be scanned from each character.
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}")
_ZIP = re.compile(r"\b\d{5}\b")
_USER_ID = re.compile(r"\b[a-z]+_[a-z]+_\d+\b")
_NAME = re.compile(r"\b(?:You are|Your name is|You're) ([A-Z][\w'-]+ [A-Z][\w'-]+)")
_PERSONS = (
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


def facts_of_instruction(task: DeskTask) -> tuple[str, dict[str, str]]:
    """The request, and the facts by topic, of a task that has only an instruction."""
    text = task.instruction[:_LONGEST]
    facts: dict[str, str] = {"user_id": f"My user id is {task.user_id}."} if _USER_ID.search(text) else {}
    for topic, pattern, form in (
        ("email", _EMAIL, "My email is {}."),
        ("name", _NAME, "My name is {}."),
        ("zip", _ZIP, "My zip code is {}."),
    ):
        found = pattern.search(text)
        if found:
            facts[topic] = form.format(found[found.lastindex or 0])
    request = []
    for sentence in _SENTENCE.split(text.strip()):
        if _NAME.match(sentence) or _USER_ID.search(sentence) or _MANNER.search(sentence):
            continue
        request.append(first_person(sentence.strip()))
    return " ".join(request) or first_person(text), facts
