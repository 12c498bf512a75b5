"""A user that follows a script: the same words for the same questions, without a model."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agentgym_hindsight.envs.tau.desk import DeskTask
from agentgym_hindsight.envs.tau.users.base import STOP
from agentgym_hindsight.envs.tau.users.facts import facts_of_instruction

__all__ = ["TOPICS", "ScriptedUser"]

#: Words of a question for each topic of a fact, in the order in which facts are told.
TOPICS: Mapping[str, tuple[str, ...]] = {
    "user_id": ("user id", "customer id", "member id", "username"),
    "email": ("email", "e-mail"),
    "name": ("your name", "full name", "first name", "last name", "who am i speaking", "identity", "and name"),
    "zip": ("zip", "postal"),
    "order": ("order",),
    "reservation": ("reservation", "booking", "confirmation number"),
    "reason": ("reason", "why"),
    "item": ("item", "product", "variant", "option"),
    "address": ("address", "ship", "where"),
    "payment": ("payment", "refund", "pay", "card", "method"),
    "route": ("origin", "destination", "route", "airport", "from where", "fly"),
    "date": ("date", "day", "when"),
    "cabin": ("cabin", "class"),
    "passengers": ("passenger", "travel"),
    "bags": ("bag", "luggage", "suitcase"),
    "insurance": ("insurance",),
}
_CONFIRM = re.compile(
    r"\(?yes\b|\bproceed\b|\bgo ahead\b|\bshall i\b|\bshould i\b|\bdo you (?:want|wish|agree|confirm)\b"
    r"|\bwould you like me\b"
    r"|\bis (?:that|this|it) (?:right|correct|ok|okay|fine)\b|\bconfirm\b"
)
_PROOF = ("user_id", "email", "name", "zip")
_DONE = re.compile(
    r"\b(?:done|complete[d]?|processed|cancel+ed|changed|updated|modified|booked|returned|exchanged|requested|refunded"
    r"|sent|sorry|cannot|can't|unable|not possible|not allowed|anything else|have a (?:nice|good|great)|goodbye"
    r"|transfer|answer|total|costs?|price|status)\b"
)
_ORDER_ID = re.compile(r"#W\d+")
_LONGEST = 20_000  # characters of a message that are read


class ScriptedUser:
    """Tells its request first and facts when asked for their topic.

    * Asked for a fact that it does not have, it says so.
    * It says yes to a question for confirmation, and no if the question names only orders that are not its own.
    * It ends the conversation after a message that reports a result or asks for nothing, and never in a reply that
      confirms something, because the agent acts after that reply.
    * With ``tell_all`` the first message has all facts.

    Scores with this user are not scores of the benchmark, whose users are models.
    """

    name = "scripted"

    def __init__(self, *, tell_all: bool = False) -> None:
        self.tell_all = tell_all
        self._request = ""
        self._known: dict[str, str] = {}
        self._orders: frozenset[str] = frozenset()
        self._told: set[str] = set()
        self._confirmed = 0

    @property
    def state(self) -> str:
        return "|".join([*sorted(self._told), str(self._confirmed)])

    def start(self, task: DeskTask, seed: str) -> str:
        opening, facts = (task.opening, dict(task.facts)) if task.opening else facts_of_instruction(task)
        self._request, self._known = opening, facts
        self._orders = frozenset(_ORDER_ID.findall(" ".join([task.instruction, *facts.values(), str(task.actions)])))
        self._told, self._confirmed = set(), 0
        if self.tell_all:
            self._told = set(facts)
            return " ".join([opening, *facts.values()])
        return opening

    def reply(self, message: str) -> str:
        text = message[:_LONGEST].lower()
        asked = [topic for topic, words in TOPICS.items() if any(word in text for word in words)]
        asks = "?" in text or "please" in text or "need" in text or "provide" in text
        if asks and _CONFIRM.search(text) and not self._only_proof(asked, text):
            return self._confirmation(message)
        if asks and "anything else" not in text:
            return self._answer(asked)
        if _DONE.search(text):
            return f"Thank you, that is all. {STOP}"
        return f"I do not understand. {self._request}"

    def close(self) -> None:
        pass

    def _only_proof(self, asked: list[str], text: str) -> bool:
        """Whether the agent asks to confirm who the user is, which needs facts and no yes."""
        return bool(set(asked) & set(_PROOF)) and "yes" not in text and "proceed" not in text

    def _confirmation(self, message: str) -> str:
        named = set(_ORDER_ID.findall(message[:_LONGEST]))
        if named and not named & self._orders:
            return "No, that is not what I asked for."
        self._confirmed += 1
        return "Yes, please go ahead."

    def _answer(self, asked: list[str]) -> str:
        known = [topic for topic in asked if topic in self._known]
        if known:
            self._told.update(known)
            return " ".join(self._known[topic] for topic in known)
        if asked:
            return "I do not remember that, or it does not matter to me."
        rest = [topic for topic in self._known if topic not in self._told and topic not in _PROOF]
        if rest:
            self._told.add(rest[0])
            return self._known[rest[0]]
        return self._request
