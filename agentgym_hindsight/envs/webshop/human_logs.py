"""Derive actions from the logs of the original's web site, which list the requested pages.

A log has one JSON object per line: ``page`` (index, search_results, item_page, item_sub_page, done), ``url``, ``goal``,
and ``content``, which can have keywords, page, asin and options, depending on the page. Only the ``url`` names the sub
page.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_plus, urlsplit

from agentgym_hindsight.envs.webshop.goals import goal_ids, goal_of
from agentgym_hindsight.envs.webshop.library import Library
from agentgym_hindsight.envs.webshop.observe import observe
from agentgym_hindsight.envs.webshop.pages import INDEX, ITEM, LINK, OPTION, SUB
from agentgym_hindsight.envs.webshop.session import Session, admissible_actions, parse_action
from agentgym_hindsight.envs.webshop.shop_types import Goal
from agentgym_hindsight.errors import UnknownNameError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory

__all__ = ["Stop", "Visit", "replayed", "visit_of"]

_PAGES = ("index", "search_results", "item_page", "item_sub_page", "done")
_CAP = re.compile(r",? and price lower than [\d.]+ dollars")
_MAX_PAGE = 20  # a search has at most five pages of results


class Visit(NamedTuple):
    """One line of a log: a requested page."""

    page: str
    session: str
    query: str = ""
    number: int = 1  # of the results page
    asin: str = ""
    sub: str = ""
    options: tuple[tuple[str, str], ...] = ()
    goal: Mapping[str, Any] | None = None
    reward: float | None = None


class Stop(NamedTuple):
    """The position of the first visit that no action leads to, and the reason."""

    position: int
    reason: str


def visit_of(record: object) -> Visit:
    """The visit of a parsed line, from ``content`` and the url. Raises ``ValueError`` if it is no line of a log."""
    if not isinstance(record, dict) or record.get("page") not in _PAGES:
        got = record.get("page") if isinstance(record, dict) else record
        raise ValueError(f"got page {got!r:.60}, known are {', '.join(_PAGES)}")
    page, url = record["page"], record.get("url")
    parts = [unquote(part) for part in urlsplit(url).path.split("/")[1:]] if isinstance(url, str) else []
    if page != "index":
        parts = parts[1:]  # without the page's name
    content = record.get("content")
    content = content if isinstance(content, dict) else {}
    goal = record.get("goal")
    visit = Visit(page, parts[0] if parts else "", goal=goal if isinstance(goal, dict) else None)
    if page == "index":
        return visit
    if page == "search_results":
        words, number = content.get("keywords", _part_at(parts, 1)), content.get("page", _part_at(parts, -1))
        return visit._replace(query=_query(words), number=_number(number))
    asin = content.get("asin", _part_at(parts, 1))
    if not isinstance(asin, str) or not asin:
        raise ValueError(f"a page {page} without an asin")
    visit = visit._replace(asin=asin.upper(), options=_options(content.get("options", _part_at(parts, -1))))
    if page == "done":
        reward = record.get("reward")
        return visit._replace(reward=float(reward) if isinstance(reward, (int, float)) else None)
    visit = visit._replace(
        query=_query(content.get("keywords", _part_at(parts, 2))),
        number=_number(content.get("page", _part_at(parts, 3))),
    )
    if page == "item_sub_page":
        if len(parts) < 3:
            raise ValueError(f"a sub page whose url does not say which: {url!r:.80}")
        visit = visit._replace(sub=parts[-2].lower())
    return visit


def replayed(visits: Sequence[Visit], library: Library, mode: str = "text") -> tuple[Trajectory, Stop | None]:
    """The visits of one session as a trajectory, and the position at which the replay had to stop, or None."""
    recorded_goal = next((visit.goal for visit in visits if visit.goal is not None), None)
    try:
        goal, task_id, split = _goal(recorded_goal, library)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Trajectory(task_id=""), Stop(0, f"no goal that can be read ({error!r:.80})")
    session = Session(library.shop, goal, "official", session_id=visits[0].session)
    steps: list[Step] = []
    stop: Stop | None = None
    for position, visit in enumerate(visits):
        try:
            first = len(steps)
            for action in _actions(session, visit):
                steps.append(_step(session, action, len(steps), mode))
            for number in range(first, len(steps) - 1):  # the log records only the last of these actions
                steps[number] = replace(steps[number], extra={"inserted": True})
        except _NoActionError as error:
            stop = Stop(position, str(error))
            break
    end = visits[-1]
    recorded = {} if end.reward is None else {"recorded_reward": end.reward}
    score = session.parts.total if session.parts else 0.0
    return (
        Trajectory(
            task_id=task_id,
            backend=f"{library.name.rpartition('/')[0]}/official",
            goal=goal.instruction,
            category=goal.category,
            split=split,
            steps=tuple(steps),
            won=score == 1.0,
            score=score,
            truncated=not session.done,
            policy="human",
            final_observation=observe(session, mode),
            extra={
                "rules": "official",
                "session": visits[0].session,
                "goal": "library" if task_id in library.ids else "log",
                **recorded,
            },
        ),
        stop,
    )


class _NoActionError(Exception):
    """No action leads to a visit."""


def _actions(session: Session, visit: Visit) -> Iterator[str]:
    """The actions that lead to a visit. Execute each one before requesting the next."""
    if session.done:
        raise _NoActionError("the purchase was made before")
    if visit.page == "index":
        if session.state.kind != INDEX:
            yield "click[back to search]"
    elif visit.page == "search_results":
        yield from _to_results(session, visit.query, visit.number)
    else:
        yield from _to_item(session, visit)
        if visit.page == "done":
            yield "click[buy now]"
        elif visit.page == "item_sub_page" and session.state.sub.lower() != visit.sub:
            yield f"click[{visit.sub}]"


def _to_results(session: Session, query: str, number: int) -> Iterator[str]:
    if not query:
        raise _NoActionError("an empty search")
    if not 1 <= number <= _MAX_PAGE:
        raise _NoActionError(f"page {number} of the results")
    if session.state.query != query:
        if parse_action(f"search[{query}]") != ("search", query):
            raise _NoActionError(f"no action searches for {query!r:.80}")
        yield f"search[{query}]"
    while session.state.kind in (SUB, ITEM):
        yield "click[< prev]"
    while session.state.page != number:
        yield "click[next >]" if session.state.page < number else "click[< prev]"


def _to_item(session: Session, visit: Visit) -> Iterator[str]:
    shop, wanted_options = session.shop, dict(visit.options)
    product = shop.position.get(visit.asin)
    if product is None:
        raise _NoActionError(f"{visit.asin} is not in the shop {shop.name!r}")
    if session.state.kind == SUB and (visit.page != "item_sub_page" or session.state.sub.lower() != visit.sub):
        yield "click[< prev]"
    state = session.state
    on_other_page = state.kind not in (ITEM, SUB) or state.product != product
    # An option cannot be deselected. A page with fewer options was reached from the results again.
    if on_other_page or any(axis not in wanted_options for axis, _ in state.options):
        # The address of the last page has no query: use that of the pages before.
        query, number = (visit.query, visit.number) if visit.query else (state.query, state.page)
        yield from _to_results(session, query, number)
        link = next(
            (name for name, target in session.targets.items() if target[:1] == (LINK,) and target.product == product),
            "",
        )
        if not link:
            raise _NoActionError(f"{visit.asin} is not on page {session.state.page} of {session.state.query!r:.80}")
        yield f"click[{link}]"
    chosen = dict(session.state.options)
    missing = [(axis, value) for axis, value in visit.options if chosen.get(axis) != value]
    if missing and session.state.kind == SUB:
        yield "click[< prev]"
    for axis, value in missing:
        names = (n for n, t in session.targets.items() if t.role == OPTION and (t.axis, t.value) == (axis, value))
        name = next(names, None)
        if name is None:
            raise _NoActionError(f"{visit.asin} has no option {axis}: {value!r:.60}")
        yield f"click[{name}]"


def _step(session: Session, action: str, number: int, mode: str) -> Step:
    observation, admissible = observe(session, mode), admissible_actions(session)
    outcome = session.act(action)
    if not outcome.valid:
        raise _NoActionError(f"{action[:80]!r} is not legal on this page")
    next_observation, next_admissible = observe(session, mode), admissible_actions(session)
    next_state_text = (
        f"{next_observation}\nAdmissible actions: {', '.join(next_admissible)}" if next_admissible else next_observation
    )
    return Step(
        number,
        observation,
        action,
        next_observation,
        next_state_text,
        admissible,
        reward=outcome.reward,
        score=outcome.reward,
    )


def _goal(record: Mapping[str, Any] | None, library: Library) -> tuple[Goal, str, str]:
    """The goal of a log, its task id, and its split in the library ("" if the library has no such task)."""
    if record is None:
        raise ValueError("no line has a goal")
    key = (str(record["asin"]), _normalized(str(record["instruction_text"])))
    number = _goals_by_wording(library).get(key)
    if number is None:
        goal = goal_of(record)
        return goal, goal_ids([goal])[0], ""
    try:
        split = library.find(library.ids[number]).split
    except UnknownNameError:  # strict rules leave out unreachable goals
        split = ""
    return library.shop.goals[number], library.ids[number], split


@lru_cache(maxsize=4)
def _goals_by_wording(library: Library) -> dict[tuple[str, str], int]:
    """(ASIN, wording without the price cap) -> number of the goal. Every load of the original draws other caps."""
    return {(goal.asin, _normalized(goal.instruction)): n for n, goal in reversed(list(enumerate(library.shop.goals)))}


def _normalized(instruction: str) -> str:
    return re.sub(r"\W+", " ", _CAP.sub("", instruction.lower())).strip()


def _part_at(parts: Sequence[str], index: int) -> str:
    return parts[index] if -len(parts) <= index < len(parts) else ""


def _query(keywords: object) -> str:
    """Keywords are a list, a list as text ("['red', 'shoes']"), or words joined by "+"."""
    if isinstance(keywords, str):
        parsed = _literal(keywords)
        keywords = parsed if isinstance(parsed, list) else [unquote_plus(keywords)]
    if not isinstance(keywords, (list, tuple)):
        raise ValueError(f"keywords {keywords!r:.60}")
    return " ".join(map(str, keywords)).lower()


def _number(page: object) -> int:
    if isinstance(page, (int, str)) and str(page).strip().isdecimal():
        return int(page)
    raise ValueError(f"page {page!r:.60}")


def _options(options: object) -> tuple[tuple[str, str], ...]:
    if isinstance(options, str):
        options = _literal(options) if options else {}
    if not isinstance(options, dict):
        raise ValueError(f"options {options!r:.60}")
    return tuple((str(axis).lower(), str(value).lower()) for axis, value in options.items())


def _literal(text: str) -> Any:
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
