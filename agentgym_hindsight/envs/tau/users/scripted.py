"""A user that follows a script: the same words for the same questions, without a model."""

from __future__ import annotations

import re
from typing import Any

from agentgym_hindsight.envs.plain_values import reject, row, texts, whole
from agentgym_hindsight.envs.tau.desk import DeskTask
from agentgym_hindsight.envs.tau.users.base import STOP
from agentgym_hindsight.envs.tau.users.facts import facts_of_instruction
from agentgym_hindsight.envs.tau.users.topics import PROOF, TOPICS

__all__ = ["ScriptedUser"]

_CONFIRM = re.compile(
    r"\(?yes\b|\bproceed\b|\bgo ahead\b|\bshall i\b|\bshould i\b|\bdo you (?:want|wish|agree|confirm)\b"
    r"|\bwould you like me\b"
    r"|\bis (?:that|this|it) (?:right|correct|ok|okay|fine)\b|\bconfirm\b"
)
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
    * What the instruction of an official task says beyond its first wish, it says when it is asked for something else.
    * It ends the conversation after a message that reports a result or asks for nothing, and never in a reply that
      confirms something, because the agent acts after that reply.
    * With ``tell_all`` the first message has all facts.

    Scores with this user are not scores of the benchmark, whose users are models.
    """

    name = "scripted"
    not_restorable = ""

    def __init__(self, *, tell_all: bool = False) -> None:
        self.tell_all = tell_all
        self._task: DeskTask | None = None
        self._request = ""
        self._known: dict[str, str] = {}
        self._orders: frozenset[str] = frozenset()
        self._wishes: tuple[str, ...] = ()
        self._told: set[str] = set()
        self._confirmed = 0

    @property
    def state(self) -> str:
        return "|".join([*sorted(self._told), str(self._confirmed)])

    def start(self, task: DeskTask, seed: str) -> str:
        self._learn(task)
        self._told, self._confirmed = set(), 0
        if self.tell_all:
            self._told = {*self._known.values(), *self._wishes}
            return " ".join(dict.fromkeys([self._request, *self._known.values(), *self._wishes]))
        return self._request

    def save(self) -> Any:
        """What it has told, and how often it has confirmed."""
        return tuple(sorted(self._told)), self._confirmed

    def load(self, task: DeskTask, seed: str, state: Any) -> None:
        if task is not self._task:
            self._learn(task)
        told, self._confirmed = state
        self._told = set(told)

    def decode(self, task: DeskTask, state: Any) -> Any:
        told, confirmed = row(state, "world.user", 2)
        self._learn(task)
        said = texts(told, "world.user")
        strange = next((each for each in said if each not in (*self._known.values(), *self._wishes)), None)
        if strange is not None:
            reject("what the user knows", strange, "world.user")
        return said, whole(confirmed, "world.user", 0, 1 << 40)

    def _learn(self, task: DeskTask) -> None:
        self._task = task
        wishes: tuple[str, ...] = ()
        if task.opening:
            opening, facts = task.opening, dict(task.facts)
        else:
            opening, facts, wishes = facts_of_instruction(task)
        self._request, self._known, self._wishes = opening, facts, wishes
        self._orders = frozenset(_ORDER_ID.findall(" ".join([task.instruction, *facts.values(), str(task.actions)])))

    def reply(self, message: str) -> str:
        text = message[:_LONGEST].lower()
        asked = [topic for topic, words in TOPICS.items() if any(word in text for word in words)]
        asks = "?" in text or "please" in text or "need" in text or "provide" in text
        if asks and _CONFIRM.search(text) and not self._only_proof(asked, text):
            return self._confirmation(message)
        if asks and "anything else" not in text and "something else" not in text:
            return self._answer(asked)
        if _DONE.search(text):
            wish = self._next_wish()
            return wish or f"Thank you, that is all. {STOP}"
        return f"I do not understand. {self._request}"

    def close(self) -> None:
        pass

    def _only_proof(self, asked: list[str], text: str) -> bool:
        """Whether the agent asks to confirm who the user is, which needs facts and no yes."""
        return bool(set(asked) & set(PROOF)) and "yes" not in text and "proceed" not in text

    def _confirmation(self, message: str) -> str:
        named = set(_ORDER_ID.findall(message[:_LONGEST]))
        if named and not named & self._orders:
            return "No, that is not what I asked for."
        self._confirmed += 1
        return "Yes, please go ahead."

    def _answer(self, asked: list[str]) -> str:
        known = list(dict.fromkeys(self._known[topic] for topic in asked if topic in self._known))
        if known:
            reply = " ".join(known)
            self._told.update(known, (wish for wish in self._wishes if wish in reply))
            return reply
        if asked:
            return "I do not remember that, or it does not matter to me."
        told = {*self._told, *self._wishes}
        untold = [fact for topic, fact in self._known.items() if topic not in PROOF and fact not in told]
        if untold:
            self._told.add(untold[0])
            return untold[0]
        return self._next_wish() or self._request

    def _next_wish(self) -> str:
        """What the instruction asks for beyond the first message and has not been told; "" if there is nothing."""
        wish = next((wish for wish in self._wishes if wish not in self._told), "")
        self._told.update([wish] if wish else [])
        return wish
