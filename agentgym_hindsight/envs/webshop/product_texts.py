"""Titles, bullets and descriptions of the products of the embedded shop, from sentences written for it."""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.envs.webshop.seeds import Draws
from agentgym_hindsight.envs.webshop.vocabulary import Property, words

__all__ = ["bullets_of", "description_of", "maker_of", "title_of"]

_SYLLABLES = words(
    "ba|bel|cor|dan|del|dor|el|fen|fi|gal|ha|hol|in|jo|ka|kel|lan|lo|lu|mar|mi|mon|na|nor|o|pel|qui|ra|rin|sa|sel|"
    "tam|tor|u|va|vel|wen|xi|ya|zan|zo"
)
_ENDINGS = words("ra|na|ta|lo|mo|va|lia|nor|den|wick|fell|mere|bor|zeth|rowen|mund|thel|nia|quil|lume")

_SENTENCES: dict[str, tuple[str, ...]] = {
    "is": (
        "This {noun} is {text}, which you notice from the first day.",
        "It is {text} and stays that way for a long time.",
        "Because it is {text}, it asks for very little attention.",
        "You wanted something {text}, and that is what we made.",
        "Being {text} was the first thing on our list when we designed it.",
        "The whole {noun} is {text}, not only the parts you see.",
        "Customers tell us they came back because it is {text}.",
        "{Text} by design, so nothing needs to be changed at home.",
    ),
    "with": (
        "Made with {text} for a result that lasts.",
        "It comes with {text} and needs nothing else.",
        "We chose {text} after trying many other ways.",
        "With {text} this {noun} holds up to everyday life.",
        "The secret is {text}, used generously.",
        "{Text} makes the difference between good and very good.",
        "Every piece has {text}, checked before it is packed.",
        "Thanks to {text} it feels better than it costs.",
    ),
    "for": (
        "Just right for {text}.",
        "A good choice for {text} and much more.",
        "Many of our customers use this {noun} for {text}.",
        "Made for {text}, welcome everywhere else.",
        "Whether for {text} or as a present, it is always a pleasure.",
        "Suitable for {text} at any time of the year.",
        "It was made with {text} in mind.",
        "Nothing works better for {text} in our experience.",
    ),
    "any": (
        "Please check the measurements before you order.",
        "If anything is not as you hoped, write to us and we will make it right within one day.",
        "The package includes one {noun} and a short guide.",
        "A lovely present for birthdays, weddings, holidays and housewarming parties.",
        "We test every {noun} by hand before it leaves the workshop.",
        "The color may look a little different on your screen because of lighting.",
        "Keep it in a cool and dry place, away from the sun.",
        "Our small team has been working on this {noun} for more than {number} years.",
        "Choose the version that suits you from the list above.",
        "It fits into every home, from the kitchen to the bedroom and the garage.",
        "Wipe it with a damp cloth and let it dry in the air.",
        "Simple shapes and careful work give it a quiet elegance.",
        "You will find room for it even where there is little space.",
        "Our {noun} has been compared with {number} others and came out on top.",
        "Take it to the office, on a journey or to the gym.",
        "No tools are needed and the steps are explained with pictures.",
        "Ask us anything, we answer on weekends too.",
        "What you see is what you get, without hidden costs.",
        "The edges are smooth and the surface is pleasant to touch.",
        "Men, women, teens and grandparents like it equally well.",
        "Delivered in a strong box that can be used again.",
        "Allow a difference of about one inch because it is measured by hand.",
        "We believe that good things do not have to be expensive.",
        "Perfect in spring, summer, autumn and winter.",
        "About the {topic}: the pictures show every detail.",
        "We gave the {topic} a lot of thought.",
        "Other shops forget the {topic}, we do not.",
        "A word on the {topic}, since many of you have asked.",
        "Kind to the {topic} and simple to look after.",
        "People mention the {topic} first.",
    ),
}
_HEADLINES = words(
    "WHAT YOU GET|MADE TO LAST|EVERYDAY COMFORT|CAREFUL WORK|GOOD TO KNOW|A THOUGHTFUL PRESENT|OUR PROMISE|MANY USES|"
    "SIZE AND FIT|CARE|THE DETAILS|WHY PEOPLE LIKE IT|READY WHEN YOU ARE|SIMPLE AND CLEVER|AFTER YOU ORDER"
)
_EXTRAS = words(
    "Great Gift Idea|Upgraded Version|for Women and Men|for Adults|New Season|Present for Mom|"
    "Present for Dad|Indoor Outdoor|"
    "All Occasions|Holiday Surprise|Pack of 1|Value Bundle|Multi Purpose|Modern Look|Travel Friendly|"
    "Party Favor|Everyday Use|"
    "Improved Formula|Deluxe Edition|Small Business|Family Size|Trendy Design|Summer Must Have|"
    "Winter Warm|Compact Build|"
    "Professional Quality|Girls Boys Teens|Our Best Seller|Limited Run|Ships Flat|Twin Set|Sample Size|Starter Choice"
)
#: Names of series and motifs. They distinguish titles of otherwise equal products.
_THEMES = words(
    "Aurora|Harvest|Meadow|Harbor|Canyon|Willow|Juniper|Orchard|Lantern|Compass|Pebble|Summit|Prairie|"
    "Lagoon|Ember|Comet|"
    "Nomad|Voyager|Pioneer|Atlas|Zenith|Nimbus|Tundra|Savanna|Mosaic|Cascade|Horizon|Twilight|Solstice|"
    "Equinox|Bohemian|"
    "Retro|Nautical|Tropical|Nordic|Alpine|Urban|Cottage|Vintage|Minimal|Baroque|Gothic|Victorian|"
    "Industrial|Abstract|"
    "Panda|Sloth|Giraffe|Hedgehog|Penguin|Turtle|Raven|Sparrow|Koala|Llama|Otter|Badger|Lynx|Heron|Falcon|Dolphin|"
    "Magnolia|Lotus|Peony|Tulip|Fern|Poppy|Dahlia|Iris|Clover|Maple|Birch|Cedar|Bamboo|Acorn|Cactus|Orchid|Thistle|"
    "Galaxy|Nebula|Meteor|Rocket|Planet|Eclipse|Stardust|Lunar|Solar|Orbit|Pixel|Turbo|Quantum|Sonic|Vector|Matrix|"
    "Vineyard|Bakery|Bistro|Picnic|Carnival|Circus|Jazz|Melody|Opera|Ballet|Poetry|Origami|Safari|Rodeo|"
    "Regatta|Marathon|"
    "Grandma|Uncle|Teacher|Nurse|Captain|Princess|Pirate|Wizard|Dragon|Unicorn|Mermaid|Fairy|Ninja|"
    "Samurai|Viking|Cowboy"
)


def maker_of(rng: Draws) -> str:
    """An invented maker: two or three syllables and an ending, long enough not to match a real company by chance."""
    name = "".join(rng.pick(_SYLLABLES) for _ in range(2 + rng.below(2))) + rng.pick(_ENDINGS)
    return name.upper() if rng.chance(0.4) else name.capitalize()


def title_of(rng: Draws, maker: str, nouns: Sequence[str], properties: Sequence[Property], tail: Sequence[str]) -> str:
    """A title in the style of sellers: maker, noun, then search words up to a drawn length."""
    length = rng.weighted(((7, 10), (11, 18), (15, 18), (18, 16), (21, 14), (24, 12), (28, 10), (33, 2)))
    heads = [p for p in properties if p.relation == "is"]
    first = [heads.pop(0).text.title()] if heads and rng.chance(0.5) else []
    themes = rng.sample(_THEMES, 3 + rng.below(4))
    start = [maker, *themes[:1], *first, nouns[0]]
    parts = [p.text.title() if p.relation == "is" else f"{p.relation} {p.text.title()}" for p in properties]
    parts = rng.sample([part for part in parts if part not in first], len(parts))
    motifs = [" ".join(themes[index : index + 2]) for index in range(1, len(themes), 2)]
    others = [*nouns[1:], *motifs, _code(rng), *rng.sample(_EXTRAS, 3)]
    parts += rng.sample(others, len(others))
    count = sum(len(word.split()) for word in (*start, *tail))
    title = " ".join(start)
    separator = rng.pick((", ", ", ", " - ", " "))
    for part in parts:
        if count >= length:
            break
        title += separator + part
        count += len(part.split())
        separator = rng.pick((", ", ", ", " ", " | "))
    return ", ".join((title, *tail))


def _code(rng: Draws) -> str:
    """A model number."""
    return f"{rng.pick('ABCDEFGHKLMNPRSTVWXZ')}{rng.pick('ABCDEFGHKLMNPRSTVWXZ')}{10 + rng.below(990)}"


def bullets_of(
    rng: Draws, noun: str, topics: Sequence[str], early: Sequence[Property], late: Sequence[Property]
) -> list[str]:
    """One to eight bullets. Only the first is indexed: it may name an ``early`` property, the others ``late`` ones."""
    count = rng.weighted(((1, 10), (3, 6), (4, 10), (5, 54), (6, 8), (7, 8), (8, 2)))
    terse = rng.chance(0.3)  # bullets of one or two words, as clothes often have
    bullets = []
    first = rng.pick(early) if early and rng.chance(0.5) else None
    for index in range(count):
        property_ = first if not index else late[index - 1] if index <= len(late) else None
        if terse:
            bullets.append(property_.text.capitalize() if property_ else _sentence(rng, noun, topics, None))
            continue
        head = property_.text.upper() if property_ and rng.chance(0.6) else rng.pick(_HEADLINES)
        text = " ".join(
            [
                _sentence(rng, noun, topics, property_),
                *(_sentence(rng, noun, topics, None) for _ in range(rng.below(3))),
            ]
        )
        bullets.append(f"{head} - {text}")
    return bullets


def description_of(rng: Draws, title: str, noun: str, topics: Sequence[str], properties: Sequence[Property]) -> str:
    """A description; empty for 30 % of the products, as in the official catalogue."""
    if rng.chance(0.3):
        return ""
    if rng.chance(0.08):
        return title
    count = rng.weighted(((1, 8), (3, 14), (5, 16), (8, 22), (12, 18), (18, 14), (28, 5)))
    named: list[Property | None] = [p for p in properties if rng.chance(0.8)]
    named += [None] * max(0, count - len(named))
    return " ".join(_sentence(rng, noun, topics, property_) for property_ in named[:count])


def _sentence(rng: Draws, noun: str, topics: Sequence[str], property_: Property | None) -> str:
    template = rng.pick(_SENTENCES[property_.relation if property_ else "any"])
    text = property_.text if property_ else ""
    return template.format(
        noun=noun, text=text, Text=text.capitalize(), topic=rng.pick(topics), number=3 + rng.below(27)
    )
