"""The reason for the reply "Nothing happens."

The genuine engine gives no reason. :func:`explain` examines a command in the state *before* it is executed and gives
one sentence that says why it is refused. The sentence only uses what a player can know: the receptacles of the first
text, what is in sight at the present location, and what is in the hands. A thing out of sight and a thing that does not
exist give the same reason, and nothing in a closed receptacle is revealed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from agentgym_hindsight.envs.alfworld.native import Play
from agentgym_hindsight.envs.alfworld.sight import STATIONS, Sight, is_legal
from agentgym_hindsight.envs.alfworld.wording import closest_name, parse_command, without_articles

__all__ = ["REASON_KINDS", "Reason", "explain"]

#: All values of ``Reason.kind``.
REASON_KINDS: tuple[str, ...] = (
    "empty",
    "wrong_case",
    "malformed",
    "unknown_verb",
    "old_verb",
    "unknown_object",
    "not_here",
    "closed",
    "hands_full",
    "hands_empty",
    "not_holding",
    "already_here",
    "already_open",
    "already_closed",
    "not_openable",
    "not_pickupable",
    "cannot_contain",
    "cannot_treat",
    "wrong_tool",
)

#: Only this many characters of a command are compared. No legal command is half as long.
_LONGEST = 120


class Reason(NamedTuple):
    """Why a command is refused. ``nearest`` is a legal command that helps or that is most likely meant; else ""."""

    kind: str
    text: str
    nearest: str = ""


def explain(play: Play, command: str) -> Reason | None:
    """The reason why a command is refused in the present state; None if it is legal."""
    stripped = command.strip()
    if is_legal(play, stripped):
        return None
    if not stripped:
        return Reason("empty", "The command is empty; try 'look'.", "look")
    situation = _Situation(play)
    tidy = " ".join(stripped[:_LONGEST].split())
    low = tidy.lower()
    if len(stripped) <= _LONGEST and situation.may_offer(low):
        kind = "wrong_case" if tidy != low else "malformed"
        what = "Commands are written in lower case" if kind == "wrong_case" else "Words are separated by one blank"
        return Reason(kind, f"{what}: '{low}'.", low)
    reason = situation.diagnose(low)
    if reason.nearest and situation.may_offer(reason.nearest):
        return reason
    return reason._replace(nearest=situation.likely_command(low))


class _Situation(Sight):
    """Finds the reason why a command is refused."""

    def diagnose(self, command: str) -> Reason:
        """The reason why a command is not legal. The command is in lower case, with single spaces."""
        plain = without_articles(command)
        if plain != command and self.may_offer(plain):
            return Reason("malformed", f"Write it as '{plain}'.", plain)
        reason = self.diagnose_form(plain)
        if reason:
            return reason
        words, (verb, verb_words, _) = plain.split(" "), parse_command(plain)
        form = self.form(words[0])
        if form and (verb_words == words[0] or self.form(verb) == form):
            return Reason("malformed", f"Write it as '{form}'.", form)
        if verb:
            return Reason("unknown_verb", f"The game does not know '{verb_words[:40]}'; write '{self.form(verb)}'.")
        return Reason(
            "unknown_verb", f"The game does not know '{words[0][:40]}'; its verbs are {', '.join(self.verbs())}."
        )

    def diagnose_form(self, command: str) -> Reason | None:
        """The reason for a command in one of the known forms; None for another form."""
        for pattern, diagnose in _FORMS:
            match = pattern.fullmatch(command)
            if match:
                return diagnose(self, *match.groups())
        return None

    def likely_command(self, command: str) -> str:
        """The legal command that is most likely meant, or the first step towards it, or ""."""
        completed, in_sight = self.complete(command)
        if in_sight and self.may_offer(completed):
            return completed
        reason = self.diagnose_form(completed) if completed else None
        return reason.nearest if reason and self.may_offer(reason.nearest) else ""

    def verbs(self) -> list[str]:
        verbs = ["go to", "open", "close", "take", self.put, "clean", "heat", "cool", "slice", "use", "examine"]
        return verbs + self.house.common_commands

    def form(self, verb: str) -> str:
        forms = {
            "go": "go to (receptacle)",
            "open": "open (receptacle)",
            "close": "close (receptacle)",
            "take": "take (object) from (receptacle)",
            "put": f"{self.put} (object) {self.into} (receptacle)",
            "move": f"{self.put} (object) {self.into} (receptacle)",
            "clean": "clean (object) with (sinkbasin)",
            "heat": "heat (object) with (microwave)",
            "cool": "cool (object) with (fridge)",
            "slice": "slice (object) with (knife)",
            "use": "use (object)",
            "examine": "examine (receptacle or object in hand)",
            "look": "look",
            "inventory": "inventory",
        }
        if "help" in self.house.common_commands:
            forms["help"] = "help"
        return forms.get(verb, "")

    # Checks that several commands share. Each returns the first reason that applies, or None.

    def check_location(self, name: str) -> Reason | None:
        number = self.place(name)
        if number < 0:
            example = closest_name(name, [self.name(n) for n in range(len(self.house.place_names))])
            if example.rpartition(" ")[0] == name:
                return Reason("malformed", f"Every name has a number: write '{example}', say, for '{name}'.")
            return Reason(
                "unknown_object", f"There is no receptacle '{name}' in this room; the opening text names all."
            )
        if number not in self.places_here:
            return Reason("not_here", f"You are not at the {name}; go there first.", f"go to {name}")
        return None

    def check_open(self, name: str) -> Reason | None:
        if self.place(name) in self.reachable:
            return None
        return Reason("closed", f"The {name} is closed; open it first.", f"open {name}")

    def check_held(self, name: str) -> Reason | None:
        if name == "it":
            return Reason("malformed", "Things are called by their names, not 'it'.")
        if self.place(name) >= 0:
            return Reason("not_pickupable", f"The {name} is a receptacle and cannot be carried.")
        if not self.held:
            place = next((n for n in self.reachable if self.thing_in(self.state.contents[n], name) >= 0), -1)
            take = f"take {name} from {self.name(place)}" if place >= 0 else ""
            return Reason("hands_empty", f"You are not carrying anything; take the {name} first.", take)
        if self.held != name:
            return Reason("not_holding", f"You are carrying the {self.held}, not the {name}.")
        return None

    # One method for each form of command.

    def go(self, name: str) -> Reason:
        reason = self.check_location(name)
        if reason is None:
            return Reason("already_here", f"You are already at the {name}.", f"examine {name}")
        return reason

    def open_or_close(self, verb: str, name: str) -> Reason:
        number = self.place(name)
        reason = self.check_location(name)
        if reason:
            return reason
        if not self.house.openable >> number & 1:
            return Reason("not_openable", f"The {name} has no door to {verb}.", f"examine {name}")
        state = "open" if verb == "open" else "closed"
        return Reason(f"already_{state}", f"The {name} is already {state}.", f"examine {name}")

    def take(self, thing: str, place: str) -> Reason:
        reason = self.check_location(place) or self.check_open(place)
        if reason:
            return reason
        if self.held:
            return Reason("hands_full", f"You are already carrying the {self.held}; put it down first.", self.drop())
        inside = self.state.contents[self.place(place)]
        if self.thing_in(inside, thing) < 0:
            corrected = f"take {closest_name(thing, self.things(inside))} from {place}"
            if self.may_offer(corrected):
                return Reason("malformed", f"Write it as '{corrected}'.", corrected)
            return Reason("not_here", f"You do not see a {thing} at the {place}.", f"examine {place}")
        return Reason("not_pickupable", f"The {thing} cannot be picked up.")

    def put_down(self, verb: str, thing: str, word: str, place: str) -> Reason:
        correct = f"{self.put} {thing} {self.into} {place}"
        if (verb, word) != (self.put, self.into) and is_legal(self.play, correct):
            return Reason("old_verb", f"This version of the game writes it '{correct}'.", correct)
        reason = self.check_held(thing) or self.check_location(place) or self.check_open(place)
        return reason or Reason("cannot_contain", f"The {place} does not accept the {thing}.")

    def treat(self, verb: str, thing: str, place: str) -> Reason:
        station_type = STATIONS[verb]
        stations = {"clean": self.house.washers, "heat": self.house.heaters, "cool": self.house.coolers}[verb]
        reason = self.check_held(thing)
        if reason:
            return reason
        number = self.place(place)
        if number >= 0 and not stations >> number & 1:
            return Reason("wrong_tool", f"The {place} cannot {verb} anything; that takes a {station_type}.")
        reason = self.check_location(place)
        if reason:
            return reason
        return Reason("cannot_treat", f"The {thing} cannot be {verb}ed.")

    def slice(self, thing: str, knife: str) -> Reason:
        message = f"The {knife} does not cut; slicing takes a knife or a butterknife in your hands."
        if self.place(knife) >= 0:
            return Reason("wrong_tool", message)
        number = self.thing_in(self.visible, knife)
        if number >= 0 and not self.house.knives >> number & 1:
            return Reason("wrong_tool", message)
        reason = self.check_held(knife)
        if reason:
            return reason
        number = self.thing_in(self.visible, thing)
        if number < 0:
            return Reason("not_here", f"You do not see a {thing} here.")
        return Reason("cannot_treat", f"The {thing} cannot be sliced.")

    def use(self, thing: str) -> Reason:
        if thing == self.held:
            return Reason("cannot_treat", f"The {thing} cannot be used; only lamps are, where they stand.")
        if self.thing_in(self.visible, thing) < 0:
            corrected = f"use {closest_name(thing, self.things(self.visible))}"
            if self.may_offer(corrected):
                return Reason("malformed", f"Write it as '{corrected}'.", corrected)
            reason = self.check_location(thing) if self.place(thing) >= 0 else None
            if reason or self.place(thing) < 0:
                return reason or Reason("not_here", f"You do not see a {thing} here.")
        return Reason("cannot_treat", f"The {thing} has no switch.")

    def examine(self, name: str) -> Reason:
        if self.place(name) >= 0:
            reason = self.check_location(name)
            if reason:
                return reason
        return Reason(
            "not_holding",
            f"You are not carrying the {name}; only what you hold and the receptacle before you can be examined.",
        )


#: The form of each command -> the method that finds the reason. ``put_down`` handles the verbs of both releases.
_FORMS: tuple[tuple[re.Pattern[str], Callable[..., Reason]], ...] = (
    (re.compile(r"go to (.+)"), _Situation.go),
    (re.compile(r"(open|close) (.+)"), _Situation.open_or_close),
    (re.compile(r"take (.+?) from (.+)"), _Situation.take),
    (re.compile(r"(put) (.+?) (in/on|in|on|into|onto) (.+)"), _Situation.put_down),
    (re.compile(r"(move) (.+?) (to) (.+)"), _Situation.put_down),
    (re.compile(r"(clean|heat|cool) (.+?) with (.+)"), _Situation.treat),
    (re.compile(r"slice (.+?) with (.+)"), _Situation.slice),
    (re.compile(r"use (.+)"), _Situation.use),
    (re.compile(r"examine (.+)"), _Situation.examine),
)
