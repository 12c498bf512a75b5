"""Commands for testing an engine: legal ones, expert ones, and invalid text of the kind that language models write.

They depend only on a random generator and on the state of the native engine, so the same seed gives the same commands
on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from agentgym_hindsight.envs.alfworld.native import House, Play

__all__ = ["Expert", "commands_for"]

#: A function from a game in progress to the expert's next command, or None if there is none.
Expert = Callable[[Play], "str | None"]

_ONE_NAME = ("go to {r}", "open {r}", "close {r}", "examine {r}", "examine {t}", "use {t}", "look at {r}", "take {t}")
_TWO_NAMES = (
    "take {t} from {r}",
    "move {t} to {r}",
    "put {t} in/on {r}",
    "put {t} in {r}",
    "heat {t} with {r}",
    "cool {t} with {r}",
    "clean {t} with {r}",
    "slice {t} with {t2}",
    "slice {t} with {r}",
)
_NONSENSE = (
    "",
    " ",
    "\t\n",
    "help",
    "look",
    "inventory",
    "Look",
    "INVENTORY",
    "look around",
    "go",
    "go to",
    "take",
    "examine",
    "xyzzy",
    "go to nowhere 1",
    "take a mug from the table",
    "think: I should find a mug.",
    "go to cabinet 1; open cabinet 1",
    "go to cabinet \uff11",
    "gö to cabinet 1",
    "去 cabinet 1",
    "\U0001f6aa",
    "\u00a0look\u00a0",
    "look\u200b",
    "look\x00",
    "None",
    "move  to ",
    "{r} [o] #look.feedback#",
)


def commands_for(play: Play, random: Random, expert: Expert | None, walkthrough: list[str]) -> str:
    """The next command: 50 % legal, 20 % from the expert, 30 % fuzz.

    Legal commands that change something are preferred; without this, most commands would be ``examine`` or ``go to``.
    """
    choice = random.random()
    if choice < 0.5:
        return _legal(play, random)
    if choice < 0.7:
        return _expert(play, random, expert, walkthrough)
    return _fuzz(play, random)


def _legal(play: Play, random: Random) -> str:
    admissible = play.admissible
    effective = [
        command for command in admissible if not command.startswith(("go to ", "examine ", "look", "inv", "help"))
    ]
    if effective and random.random() < 0.7:
        return random.choice(effective)
    return random.choice(admissible)


def _expert(play: Play, random: Random, expert: Expert | None, walkthrough: list[str]) -> str:
    command = expert(play) if expert is not None else None
    if command is None:
        command = walkthrough.pop(0) if walkthrough else None
    return _legal(play, random) if command is None else command


def _fuzz(play: Play, random: Random) -> str:
    house = play.house
    choice = random.random()
    if choice < 0.25:
        return random.choice(_NONSENSE)
    if choice < 0.75:
        return _filled_template(house, random)
    command = random.choice(play.admissible)
    return random.choice(
        (
            command.upper(),
            command.title(),
            f"  {command}\n",
            f"\u2003{command}\t",
            command.replace(" ", "  "),
            command[:-1],
            command + " please",
            command.replace("move ", "put ").replace(" to ", " in/on "),
        )
    )


def _filled_template(house: House, random: Random) -> str:
    template = random.choice(_ONE_NAME if random.random() < 0.4 else _TWO_NAMES)
    things, places = house.thing_names or [""], house.place_names or [""]
    return template.format(r=random.choice(places), t=random.choice(things), t2=random.choice(things))
