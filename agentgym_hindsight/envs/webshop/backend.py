"""The WebShop backend: starts tasks, executes actions and gives the oracle's actions."""

from __future__ import annotations

from functools import partial
from typing import Any

from agentgym_hindsight.envs.base import Turn
from agentgym_hindsight.envs.libraries import LibraryBackend
from agentgym_hindsight.envs.webshop.feedback import changes, describe_reward, explain
from agentgym_hindsight.envs.webshop.history import History
from agentgym_hindsight.envs.webshop.library import Library
from agentgym_hindsight.envs.webshop.nouns import DEFAULT_NOUNS, NOUN_RULES
from agentgym_hindsight.envs.webshop.observe import MODES, observe, observe_released
from agentgym_hindsight.envs.webshop.oracle import next_action, plan
from agentgym_hindsight.envs.webshop.pages import State
from agentgym_hindsight.envs.webshop.saved_state import Saved, decoded
from agentgym_hindsight.envs.webshop.session import Session, admissible_actions
from agentgym_hindsight.envs.webshop.shop_facts import WebshopExtra, state_key
from agentgym_hindsight.errors import ResetNeededError, UnknownNameError, UsageError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.names import known_name
from agentgym_hindsight.tasks import Task

__all__ = ["SEARCH_BUTTON", "TEXTS", "NativeBackend"]

#: Whose texts the pages have: ours, or those of the released code of verl-agent, GiGPO and SERL.
TEXTS = ("default", "verl-agent")
SEARCH_BUTTON = "click[search]"


class NativeBackend(LibraryBackend):
    """A backend on the shop of a library. Any number of backends share one library."""

    library: Library

    def __init__(
        self,
        library: Library,
        *,
        mode: str = "text",
        nouns: str = DEFAULT_NOUNS,
        num_prev_obs: int = 0,
        num_prev_actions: int = 0,
        texts: str = TEXTS[0],
    ) -> None:
        texts = known_name("kind of texts", texts, TEXTS)
        if texts != TEXTS[0] and mode not in ("text", "quoted"):
            raise UsageError(
                f"Expected observation_mode 'text' with texts={texts!r}, which has its own pages, got {mode!r}; "
                "try leaving one of them out."
            )
        if mode not in MODES:
            raise UnknownNameError("observation mode", mode, MODES)
        if nouns not in NOUN_RULES:
            raise UnknownNameError("noun rule", nouns, NOUN_RULES)
        self.library, self.mode, self.nouns, self.texts = library, mode, nouns, texts
        self._history = History(num_prev_obs, num_prev_actions)
        self._session: Session | None = None
        self._shared_facts: dict[str, Any] = {
            "backend": self.name,
            "rules": library.rules,
            "nouns": nouns,
            "goals": library.kind,
        }

    def start(self, task: Task) -> Turn:
        session = self._session = self._new_session(task)
        return Turn(
            self._history.start(self._page(session)),
            self._admissible(session),
            state=state_key(session),
            extra=WebshopExtra(self._shared_facts, session),
        )

    def act(self, action: str) -> Turn:
        session = self.session
        before = session.state
        valid, reward, done = session.act(action)
        refused = None if valid else action
        return Turn(
            self._history.after(action, self._page(session)),
            self._admissible(session),
            valid,
            reward == 1.0,
            reward,
            reward,
            done,
            state_key(session),
            partial(_detail, session, before, session.state, refused),
            WebshopExtra(self._shared_facts, session, before if valid else None, refused, done),
        )

    def _page(self, session: Session) -> str:
        return observe(session, self.mode) if self.texts == TEXTS[0] else observe_released(session)

    def _admissible(self, session: Session) -> tuple[str, ...]:
        if self.texts != TEXTS[0] and session.has_search_bar:
            return (SEARCH_BUTTON,)  # listed by the release, although it does nothing
        return admissible_actions(session)

    @property
    def session(self) -> Session:
        """The current session."""
        if self._session is None:
            raise ResetNeededError("Expected a started session, got none; try start(task) first.")
        return self._session

    def expert_action(self) -> str:
        return next_action(self.session)

    def demonstration(self, task: Task) -> Trajectory | None:
        """The oracle's rollout from the start of the task; None if it does not earn the full reward."""
        session = self._new_session(task)
        actions, reward = plan(session)
        if reward != 1.0:
            return None
        steps: list[Step] = []
        history = self._history.copy()
        observation = history.start(self._page(session))
        for action in actions:
            previous_observation, key, admissible = observation, state_key(session), self._admissible(session)
            previous_state = session.state
            outcome = session.act(action)
            observation = history.after(action, self._page(session))
            next_admissible = self._admissible(session)
            steps.append(
                Step(
                    len(steps),
                    previous_observation,
                    action,
                    observation,
                    f"{observation}\nAdmissible actions: {', '.join(next_admissible)}"
                    if next_admissible
                    else observation,
                    admissible,
                    f"s:{key}",
                    f"s:{state_key(session)}",
                    outcome.reward,
                    outcome.reward,
                    True,
                    _detail(session, previous_state, session.state, None),
                )
            )
        return self.solved(task, steps, observation)

    def close(self) -> None:
        self._session = None

    # -- snapshots ------------------------------------------------------------------------------------------------

    def snapshot(self, turn: Turn) -> Saved:
        """The page, the products that were seen, the history of the observation, and the last move."""
        session = self.session
        before, refused = turn.extra.last_move if isinstance(turn.extra, WebshopExtra) else (None, None)
        return session.state, tuple(session.seen.items()), *self._history.saved(), before, refused

    def restore(self, task: Task, world: Saved, turn: Turn) -> Turn:
        """Set a new session to a state that :meth:`snapshot` returned. Earlier infos keep their own session."""
        state, seen, pages, actions, before, refused = world
        session = self._session = self._new_session(task)
        session.state, session.seen = state, dict(seen)
        self._history.load(pages, actions)
        extra = WebshopExtra(self._shared_facts, session, before, refused, turn.terminated)
        return turn._replace(extra=extra)

    def decode(self, task: Task, world: Any) -> Saved:
        """The state of :meth:`snapshot` from JSON."""
        return decoded(self._new_session(task), world)

    def _new_session(self, task: Task) -> Session:
        library = self.library
        return Session(library.shop, library.goal(task), library.rules, nouns=self.nouns)


def _detail(session: Session, before: State, after: State, refused: str | None) -> str:
    if refused is None:
        return changes(session.shop, before, after) if after.parts is None else describe_reward(after.parts)
    earlier = session.copy()
    earlier.state = before
    reason = explain(earlier, refused)
    if reason is None:
        return ""
    return f"{reason.text} Nearest legal action: {reason.nearest}." if reason.nearest else reason.text
