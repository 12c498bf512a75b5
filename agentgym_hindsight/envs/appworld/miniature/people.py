"""The people of Hamlet: names, addresses, and relationships to the supervisor."""

from __future__ import annotations

from typing import NamedTuple

from agentgym_hindsight.envs.appworld.miniature.wordlists import listed
from agentgym_hindsight.envs.draws import SeededDraws

__all__ = ["CITY", "Person", "draw_people", "password"]

CITY = "Hamlet"

_FIRST = listed(
    "Ada Alba Amos Anouk Arlo Bela Bruno Cato Cleo Dara Dino Edda Elio Enid Ezra Fay Finn Flora Gus Hal Hedy Ida "
    "Igor Ines Iris Ivo Jana Joss Juno Kai Kira Lars Lena Leo Lina Luca Mae Mara Milo Mina Nell Nico Nils Nora Odo "
    "Olga Otis Pia Quin Rafa Remy Rosa Ruth Saul Sven Tara Theo Tove Uma Vera Vito Wanda Wim Xena Yara Yves Zeno "
    "Zora"
)
_LAST = listed(
    "Abel Arden Bax Birk Brandt Calder Corbin Dahl Delmar Egan Elm Faber Fenn Garrick Glade Hale Hollis Irwin "
    "Jarvis Keel Kirby Lark Lund Marsh Merrow Nash Norden Oaks Orton Pell Quill Reed Roth Sable Stroud Thorne Tull "
    "Upton Vance Voss Wexler Wren Yarrow Zell"
)
_STREETS = listed(
    "Acorn Lane, Bell Row, Canal Walk, Copper Street, Ferry Road, Garden Close, Harbour View, Juniper Way, Lantern "
    "Street, Mill Lane, Orchard Road, Pepper Alley, Quarry Hill, Station Street, Tanner Row, Willow Court"
)
_WORDS = listed(
    "amber anchor basil birch cedar cobalt comet copper coral ember fable fern garnet hazel indigo ivory jasper "
    "kelp linen maple nectar onyx opal pebble quartz raven saffron sorrel topaz umber velvet willow"
)

# relationship to the supervisor, lowest and highest number of people
_ROLES = (
    ("parent", 2, 2),
    ("sibling", 1, 2),
    ("roommate", 2, 3),
    ("manager", 1, 1),
    ("coworker", 3, 4),
    ("friend", 3, 4),
    ("neighbor", 1, 1),
    ("", 1, 1),  # a person who is not a contact
)
_FAMILY = ("parent", "sibling")


class Person(NamedTuple):
    """A person of Hamlet. ``relationships`` are those to the supervisor; the supervisor has none."""

    email: str
    first_name: str
    last_name: str
    phone_number: str
    birthday: str
    street: str
    registered_on: str
    relationships: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


def draw_people(seed: int, year: int) -> list[Person]:
    """Draw all people, the supervisor first. First names, phone numbers and email addresses are unique."""
    draws = SeededDraws("hamlet", "people", seed)
    roles = [""]
    for role, low, high in _ROLES:
        roles += [role] * (low + draws.below(high - low + 1))
    firsts, lasts = draws.sample(_FIRST, len(roles)), draws.sample(_LAST, len(roles))
    streets, numbers = draws.sample(_STREETS, len(_STREETS)), set[str]()
    home = f"{2 + draws.below(80)} {streets[0]}"
    people = []
    for index, role in enumerate(roles):
        last = lasts[0] if role in _FAMILY else lasts[index]
        number = f"{5_550_000 + draws.below(9_999)}"
        while number in numbers:
            number = f"{5_550_000 + draws.below(9_999)}"
        numbers.add(number)
        age = 50 + draws.below(20) if role == "parent" else 22 + draws.below(20)
        street = home if index == 0 or role == "roommate" else f"{2 + draws.below(80)} {draws.pick(streets[1:])}"
        people.append(
            Person(
                email=f"{firsts[index]}.{last}@hamlet.example".lower(),
                first_name=firsts[index],
                last_name=last,
                phone_number=number,
                birthday=f"{year - age}-{1 + draws.below(12):02}-{1 + draws.below(28):02}",
                street=street,
                registered_on=f"{year - 3 + draws.below(2)}-{1 + draws.below(12):02}-{1 + draws.below(28):02}",
                relationships=_related(role, draws),
            )
        )
    return people


def _related(role: str, draws: SeededDraws) -> tuple[str, ...]:
    also_friend = role in ("roommate", "coworker") and draws.chance(0.3)
    if not role:
        return ()
    return tuple(sorted((role, "friend"))) if also_friend else (role,)


def password(seed: int, app: str) -> str:
    """Return the supervisor's password in an app."""
    draws = SeededDraws("hamlet", "password", seed, app)
    return f"{draws.pick(_WORDS)}-{draws.pick(_WORDS)}-{100 + draws.below(900)}"
