"""Instructions of the embedded shop: the synthetic one, and sentences like those that people write."""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.envs.webshop.seeds import Draws
from agentgym_hindsight.envs.webshop.vocabulary import Property, words

__all__ = ["human_request", "instruction_of"]

_OPENINGS = words(
    "i am looking for|i'm looking for|i need|i want|i would like|i'd like to buy|i want to buy|"
    "looking for|please find|show me|"
    "can you find me|could you find|help me find|i am trying to find|i am in need of|get me|hello, i need|"
    "my sister asked me for|for my new place i need|i am shopping for"
)


def instruction_of(query: str, properties: Sequence[Property]) -> str:
    """The synthetic instruction: properties before the noun, the query, then "with …" and "for …"."""
    groups = {
        relation: ", ".join(p.attribute for p in properties if p.relation == relation)
        for relation in ("is", "with", "for")
    }
    parts = ["Find me", groups["is"], query]
    parts += [f"{relation} {groups[relation]}" for relation in ("with", "for") if groups[relation]]
    return " ".join(part for part in parts if part)


def human_request(rng: Draws, noun: str, properties: Sequence[Property], options: Sequence[tuple[str, str]]) -> str:
    """One or two sentences that name the properties and the options, in varied wording."""
    texts: dict[str, list[str]] = {"is": [], "with": [], "for": []}
    for property_ in properties:
        texts[property_.relation].append(property_.text)
    opening, heads, with_, for_ = rng.pick(_OPENINGS), texts["is"], texts["with"], texts["for"]
    heads_last = rng.chance(0.35)  # "… that is easy to clean" instead of "an easy to clean …"
    noun_phrase = " ".join([*([] if heads_last else [", ".join(heads)] if heads else []), noun.lower()])
    text = f"{opening} {_article(rng, noun_phrase)}"
    is_, has, comes, it = ("are", "have", "come", "them") if _plural(noun) else ("is", "has", "comes", "it")
    if heads_last and heads:
        text += f" that {is_} {_joined(heads)}"
    if with_:
        text += f" {rng.pick(('with', 'made with', f'that {has}', f'that {comes} with'))} {_joined(with_)}"
    if for_:
        text += f" {rng.pick(('for', 'suitable for', 'i can use for', 'good for'))} {_joined(for_)}"
    option_texts = [_option_text(rng, axis.lower(), value) for axis, value in options]
    if not option_texts:
        return text + "."
    form = rng.below(3)
    if form == 0:
        return f"{text}, {_joined(option_texts)}."
    if form == 1:
        return f"{text}. please make sure to get {it} {_joined(option_texts)}."
    return f"{text}, and i want {it} {_joined(option_texts)}."


def _option_text(rng: Draws, axis: str, value: str) -> str:
    if axis == "color":
        return rng.pick((f"in {value}", f"in the color {value}", f"{value} colored", f"in {value} color"))
    if axis == "size":
        return rng.pick((f"in size {value}", f"in the size {value}", f"size {value}", f"{value} in size"))
    if axis in ("flavor name", "scent"):
        word = axis.removesuffix(" name")
        return rng.pick((f"with {value} {word}", f"{value} {word}", f"in the {word} {value}"))
    if axis == "fit type":
        return rng.pick((f"in the {value} fit", f"with a fit for {value}"))
    return rng.pick((f"in the {axis} {value}", f"{axis} {value}", f"as {axis} {value}"))


def _article(rng: Draws, noun_phrase: str) -> str:
    if _plural(noun_phrase):
        return rng.pick(("some ", "")) + noun_phrase
    return ("an " if noun_phrase[0] in "aeiou" else "a ") + noun_phrase


def _plural(noun: str) -> bool:
    return noun.endswith("s") and not noun.endswith("ss")


def _joined(parts: Sequence[str]) -> str:
    return " and ".join(parts) if len(parts) < 3 else f"{', '.join(parts[:-1])} and {parts[-1]}"
