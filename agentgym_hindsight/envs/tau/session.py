"""One conversation: the agent's calls and messages, the user's replies, and the verdict at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentgym_hindsight.envs.tau.changes import record_changes, refusal
from agentgym_hindsight.envs.tau.desk import RESPOND, Desk, DeskTask, Outcome
from agentgym_hindsight.envs.tau.rewards import Evaluation, evaluate, gold_database
from agentgym_hindsight.envs.tau.saved_session import SavedSession
from agentgym_hindsight.envs.tau.store import Database
from agentgym_hindsight.envs.tau.users.base import STOP, User
from agentgym_hindsight.envs.tools import ToolAction, ToolCall, function_names, named_result
from agentgym_hindsight.envs.tools.schemas import parameters_of
from agentgym_hindsight.tasks import content_hash

__all__ = ["MOST_TEXT", "Reply", "Session"]

#: Characters of the results of one action after which its further calls are not run.
MOST_TEXT = 200_000


@dataclass
class Reply:
    """What came back: the text for the agent, whether all was accepted, and what hindsight knows about it."""

    text: str
    valid: bool = True
    done: bool = False
    reasons: list[str] = field(default_factory=list)
    changes: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    error: str = ""


class Session:
    """A conversation about one task. With ``saved`` it goes on from a moment that :meth:`save` returned.

    A verdict is not restored: call :meth:`evaluate` again, which has the same result.
    """

    def __init__(
        self, desk: Desk, task: DeskTask, user: User, rules: str, seed: str, saved: SavedSession | None = None
    ) -> None:
        self.desk, self.task, self.user, self.rules = desk, task, user, rules
        self.database = Database(desk.initial)
        self.names = function_names(desk.schemas)
        #: Everything the agent did, as (name, arguments).
        self.actions: list[tuple[str, Mapping[str, Any]]] = []
        self.done = False
        #: The changed records as JSON after the last call: what a call changes is found by comparison with it.
        self._remembered: dict[tuple[str, str], str] = {}
        self._acted: int | None = None  # number of the agent's actions; the verdict adds those of the reference
        self.opening = ""
        if saved is None:
            self.opening = user.start(task, seed)
        else:
            self._load(saved, seed)

    @property
    def said(self) -> list[str]:
        """The agent's messages to the user."""
        return [str(arguments["content"]) for name, arguments in self.actions if name == RESPOND]

    def act(self, action: ToolAction) -> Reply:
        """Run the calls in their order, or send the message. A call that ends the episode is the last."""
        if action.error:
            return Reply(action.error, valid=False, error=action.error, reasons=[f"Not read as a call: {action.error}"])
        if not action.calls:
            return self._respond(action.message)
        reply, texts = Reply(""), []
        size = 0
        for number, call in enumerate(action.calls):
            if size > MOST_TEXT:
                reply.valid = False
                texts.append(f"The answer is too long: {len(action.calls) - number} more calls were not run.")
                break
            outcome = self._call(call, reply)
            texts.append(named_result(call.name, "(no answer)" if outcome.raises else outcome.text))
            size += len(texts[-1])
            if outcome.ends or self.done:
                self.done = reply.done = True
                break
        reply.text = "\n".join(texts)
        return reply

    def _respond(self, message: str) -> Reply:
        self.actions.append((RESPOND, {"content": message}))
        answer = self.user.reply(message)
        self.done = STOP in answer
        return Reply(f"User: {answer}", done=self.done)

    def _call(self, call: ToolCall, reply: Reply) -> Outcome:
        arguments = dict(call.arguments)
        if call.name == RESPOND and isinstance(arguments.get("content"), str):  # the benchmark's name of a message
            answer = self._respond(arguments["content"])
            return Outcome(answer.text, ends=answer.done)
        arguments |= self._positional(call)
        self.actions.append((call.name, arguments))
        outcome = self.desk.call(self.database, call.name, arguments, self.rules)
        if outcome.failed:
            reply.valid = False
            reply.error = reply.error or outcome.text
            reply.reasons.append(refusal(call, outcome, self.database, self.names))
        self._note_changes(reply)
        return outcome

    def _positional(self, call: ToolCall) -> dict[str, Any]:
        """Arguments by position, under the names of the parameters. What does not fit stays an unknown name."""
        if not call.positional:
            return {}
        schema = next((each for each in self.desk.schemas if each["function"]["name"] == call.name), None)
        names = [] if schema is None else list(parameters_of(schema)[0])
        names += [f"argument {number}" for number in range(len(names) + 1, len(call.positional) + 1)]
        return dict(zip(names, call.positional, strict=False))

    def _note_changes(self, reply: Reply) -> None:
        for table, key in self.database.take_touched():
            place = table, key
            known = self._remembered.get(place)
            before = self.database.initial.tables[table].get(key, {}) if known is None else json.loads(known)
            after = self.database.tables[table].own[key]
            lines = tuple(record_changes(before, after))
            if lines:
                reply.changes[place] = (*reply.changes.get(place, ()), *lines)
            self._remembered[place] = json.dumps(after)

    @property
    def state_key(self) -> str:
        """A key of the state: the changes to the records, and how far the user has told its story."""
        return content_hash(self.database.anchor, self.user.state, str(self.done))

    def evaluate(self) -> Evaluation:
        """The verdict on the present state.

        Under official rules the benchmark's environment holds the reference's end state afterwards, with the reference
        calls appended to the agent's: a second evaluation would compare the reference with itself. The same happens
        here. Strict rules leave the state as it is.
        """
        evaluation = evaluate(self.desk, self.task, self.database, self.said, self.rules)
        if self._acted is None:
            self._acted = len(self.actions)
        if self.rules == "official" and not self.desk.keeps_state:
            self.database = gold_database(self.desk, self.task, self.rules)
            self.actions.extend(self.task.actions)
        return evaluation

    def save(self) -> SavedSession:
        """The present moment: the agent's records and actions, and the user's state."""
        return (
            tuple((*place, text) for place, text in self._remembered.items()),
            tuple(self.actions[: self._acted]),
            self.user.save(),
            self.done,
            self._acted is not None,
        )

    def _load(self, saved: SavedSession, seed: str) -> None:
        records, actions, user, self.done, _ = saved
        for table, key, text in records:
            self.database[table].insert(key, json.loads(text))
            self._remembered[table, key] = text
        self.database.take_touched()
        self.actions = list(actions)
        self.user.load(self.task, seed, user)
