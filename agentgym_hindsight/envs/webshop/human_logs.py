"""From the pages somebody asked the original's site for to the actions that lead there.

A log has one JSON object a line: ``page`` (index, search_results, item_page, item_sub_page, done), ``url``, ``goal``,
and ``content`` with keywords, page, asin and options as far as the page has them. Which sub page it was is in the url
alone.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_plus, urlsplit

from agentgym_hindsight.envs.webshop.goals import goal_ids, recorded_goal
from agentgym_hindsight.envs.webshop.library import Library
from agentgym_hindsight.envs.webshop.observe import observe
from agentgym_hindsight.envs.webshop.pages import INDEX, ITEM, LINK, OPTION, SUB
from agentgym_hindsight.envs.webshop.session import Session, parse_action
from agentgym_hindsight.envs.webshop.shop_types import Goal
from agentgym_hindsight.errors import UnknownNameError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory

__all__ = ["Stuck", "Visit", "replayed", "visits_of"]

_PAGES = ("index", "search_results", "item_page", "item_sub_page", "done")
_CAP = re.compile(r",? and price lower than [\d.]+ dollars")
_FAR = 20  # pages of results: five hold everything a search finds


class Visit(NamedTuple):
    """One line of a log."""

    page: str
    session: str
    query: str = ""
    number: int = 1  # of the page of results
    asin: str = ""
    sub: str = ""
    options: tuple[tuple[str, str], ...] = ()
    goal: Mapping[str, Any] | None = None
    reward: float | None = None


class Stuck(NamedTuple):
    """Which visit no action leads to, and why."""

    place: int
    why: str


def visits_of(record: object) -> Visit:
    """A line of a log. Raises ``ValueError`` where it is none; what only the url tells is taken from there."""
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
        words, number = content.get("keywords", _at(parts, 1)), content.get("page", _at(parts, -1))
        return visit._replace(query=_query(words), number=_number(number))
    asin = content.get("asin", _at(parts, 1))
    if not isinstance(asin, str) or not asin:
        raise ValueError(f"a page {page} without an asin")
    visit = visit._replace(asin=asin.upper(), options=_options(content.get("options", _at(parts, -1))))
    if page == "done":
        reward = record.get("reward")
        return visit._replace(reward=float(reward) if isinstance(reward, (int, float)) else None)
    visit = visit._replace(
        query=_query(content.get("keywords", _at(parts, 2))), number=_number(content.get("page", _at(parts, 3)))
    )
    if page == "item_sub_page":
        if len(parts) < 3:
            raise ValueError(f"a sub page whose url does not say which: {url!r:.80}")
        visit = visit._replace(sub=parts[-2].lower())
    return visit


def replayed(visits: Sequence[Visit], library: Library, mode: str = "text") -> tuple[Trajectory, Stuck | None]:
    """The visits of one session as a trajectory, and where it could not go on."""
    told = next((visit.goal for visit in visits if visit.goal is not None), None)
    try:
        goal, task_id, split = _goal(told, library)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Trajectory(task_id=""), Stuck(0, f"no goal that can be read ({error!r:.80})")
    session = Session(library.shop, goal, "official", session_id=visits[0].session)
    steps: list[Step] = []
    stuck: Stuck | None = None
    for place, visit in enumerate(visits):
        try:
            last = len(steps)
            for action in _actions(session, visit):
                steps.append(_played(session, action, len(steps), mode))
            for number in range(last, len(steps) - 1):  # the last action is what the line tells of
                steps[number] = _inserted(steps[number])
        except _NoWayError as error:
            stuck = Stuck(place, str(error))
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
        stuck,
    )


class _NoWayError(Exception):
    """No action leads to a visit."""


def _actions(session: Session, visit: Visit) -> Iterator[str]:
    """What leads to a visit, one action after the other; each is to be played before the next is asked for."""
    if session.done:
        raise _NoWayError("the purchase was made before")
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
        raise _NoWayError("a search for nothing")
    if not 1 <= number <= _FAR:
        raise _NoWayError(f"page {number} of the results")
    if session.state.query != query:
        if parse_action(f"search[{query}]") != ("search", query):
            raise _NoWayError(f"no action searches for {query!r:.80}")
        yield f"search[{query}]"
    while session.state.kind in (SUB, ITEM):
        yield "click[< prev]"
    while session.state.page != number:
        yield "click[next >]" if session.state.page < number else "click[< prev]"


def _to_item(session: Session, visit: Visit) -> Iterator[str]:
    shop, wanted = session.shop, dict(visit.options)
    product = shop.position.get(visit.asin)
    if product is None:
        raise _NoWayError(f"{visit.asin} is not sold in {shop.name}")
    if session.state.kind == SUB and (visit.page != "item_sub_page" or session.state.sub.lower() != visit.sub):
        yield "click[< prev]"
    here = session.state
    elsewhere = here.kind not in (ITEM, SUB) or here.product != product
    # An option cannot be taken back, only exchanged: whoever had fewer came from the results again.
    if elsewhere or any(axis not in wanted for axis, _ in here.options):
        # The last page's address has no query: it is the one of the pages before.
        query, number = (visit.query, visit.number) if visit.query else (here.query, here.page)
        yield from _to_results(session, query, number)
        link = next(
            (name for name, found in session.targets.items() if found[:1] == (LINK,) and found.product == product), ""
        )
        if not link:
            raise _NoWayError(f"{visit.asin} is not on page {session.state.page} of {session.state.query!r:.80} here")
        yield f"click[{link}]"
    chosen = dict(session.state.options)
    missing = [(axis, value) for axis, value in visit.options if chosen.get(axis) != value]
    if missing and session.state.kind == SUB:
        yield "click[< prev]"
    for axis, value in missing:
        names = (n for n, t in session.targets.items() if t.role == OPTION and (t.axis, t.value) == (axis, value))
        name = next(names, None)
        if name is None:
            raise _NoWayError(f"{visit.asin} has no option {axis}: {value!r:.60}")
        yield f"click[{name}]"


def _played(session: Session, action: str, number: int, mode: str) -> Step:
    before, legal = observe(session, mode), _admissible(session)
    outcome = session.act(action)
    if not outcome.valid:
        raise _NoWayError(f"{action[:80]!r} is not understood on this page")
    after, listed = observe(session, mode), _admissible(session)
    reply = f"{after}\nAdmissible actions: {', '.join(listed)}" if listed else after
    return Step(number, before, action, after, reply, legal, reward=outcome.reward, score=outcome.reward)


def _inserted(step: Step) -> Step:
    return replace(step, extra={"inserted": True})


def _admissible(session: Session) -> tuple[str, ...]:
    if session.has_search_bar:
        return ()
    return tuple(
        f"click[{name}]"
        for name in session.clickables
        if parse_action(f"click[{name}]") == ("click", name) and name != "search"
    )


def _goal(told: Mapping[str, Any] | None, library: Library) -> tuple[Goal, str, str]:
    """The goal, its task id, and its split in the library; "" where the library does not play it."""
    if told is None:
        raise ValueError("no line has a goal")
    key = (str(told["asin"]), _plain(str(told["instruction_text"])))
    number = _known_goals(library).get(key)
    if number is None:
        goal = recorded_goal(told)
        return goal, goal_ids([goal])[0], ""
    try:
        split = library.find(library.ids[number]).split
    except UnknownNameError:  # known and never played: strict rules leave out what nothing fulfils
        split = ""
    return library.shop.goals[number], library.ids[number], split


@lru_cache(maxsize=4)
def _known_goals(library: Library) -> dict[tuple[str, str], int]:
    """By product and wording. The price cap does not count: each load of the original drew another one."""
    return {(goal.asin, _plain(goal.instruction)): n for n, goal in reversed(list(enumerate(library.shop.goals)))}


def _plain(instruction: str) -> str:
    return re.sub(r"\W+", " ", _CAP.sub("", instruction.lower())).strip()


def _at(parts: Sequence[str], place: int) -> str:
    return parts[place] if -len(parts) <= place < len(parts) else ""


def _query(keywords: object) -> str:
    """Keywords are a list, a list as text ("['red', 'shoes']"), or words joined by "+"."""
    if isinstance(keywords, str):
        listed = _literal(keywords)
        keywords = listed if isinstance(listed, list) else [unquote_plus(keywords)]
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
