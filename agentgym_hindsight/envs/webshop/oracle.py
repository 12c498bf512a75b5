"""The oracle: actions from the hidden goal, from any state of an episode.

It searches with the first wording (instruction, query and attributes, title …) that finds the product, turns pages to
it, opens it, chooses the options and buys. Every plan is executed to determine its reward.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agentgym_hindsight.envs.webshop.pages import DONE, INDEX, ITEM, LINK, OPTION, PER_PAGE, RESULTS
from agentgym_hindsight.envs.webshop.reward import option_matches
from agentgym_hindsight.envs.webshop.session import Session, move
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.envs.webshop.shop_types import Goal, Product

__all__ = ["best_options", "best_query", "next_action", "plan"]

#: An upper bound on the length of a plan: five pages of results, an option on each axis.
_MAX_ACTIONS = 60
_NO_QUERY = str.maketrans("[]\n\r", "    ")


def next_action(session: Session) -> str:
    """The next action; "" after the purchase, or if no wording finds the product."""
    state, shop = session.state, session.shop
    target = shop.position.get(session.goal.asin, -1)
    if state.kind == DONE or target < 0:
        return ""
    if state.kind == INDEX:
        query = best_query(shop, session.goal)
        return f"search[{query}]" if query else ""
    if state.product == target:
        return _towards_purchase(session) if state.kind == ITEM else "click[< prev]"
    if target not in state.hits:
        return "click[back to search]"
    if state.kind != RESULTS:
        return "click[< prev]"
    page = state.hits.index(target) // PER_PAGE + 1
    if page != state.page:
        return "click[next >]" if page > state.page else "click[< prev]"
    names = (name for name, link in session.targets.items() if link.role == LINK and link.product == target)
    return next((f"click[{name}]" for name in names), "")


def plan(session: Session) -> tuple[tuple[str, ...], float]:
    """The oracle's actions from the current state to the purchase, and the reward of executing them.

    There are no actions if the product cannot be found. The session itself does not change.
    """
    copied = session.copy()
    actions = []
    for _ in range(_MAX_ACTIONS):
        action = next_action(copied)
        if not action:
            break
        actions.append(action)
        outcome = copied.act(action)
        if outcome.done:
            return tuple(actions), outcome.reward
        if not outcome.valid:
            break
    return (), 0.0


def best_query(shop: Shop, goal: Goal) -> str:
    """The first wording that finds the goal's product, or ""."""
    target = shop.position.get(goal.asin, -1)
    for query in _queries(goal):
        if target in (shop.search(query) or ()):
            return query
    return ""


def best_options(product: Product, goal: Goal, rules: str) -> dict[str, str]:
    """A greedy choice of options: on each axis, the value that meets most of the remaining options of the goal."""
    chosen: dict[str, str] = {}
    remaining = set(range(len(goal.options)))
    for axis, values in product.options.items():
        best: tuple[tuple[int, bool], str, set[int]] = ((0, False), "", set())
        for value in values:
            met = _met({axis: value}, goal, rules) & remaining
            # Among equally good values, prefer one that the goal names literally.
            quality = (len(met), any(goal.options[n] in ((axis, value), ("", value)) for n in met))
            if quality > best[0]:
                best = (quality, value, met)
        if best[2]:
            chosen[axis] = best[1]
            remaining -= best[2]
    return chosen


def _met(chosen: Mapping[str, str], goal: Goal, rules: str) -> set[int]:
    return {number for number, match in enumerate(option_matches(chosen, goal, rules)) if match.matched}


def _towards_purchase(session: Session) -> str:
    product = session.shop.products[session.state.product]
    chosen = dict(session.state.options)
    for axis, value in best_options(product, session.goal, session.rules).items():
        if chosen.get(axis) != value:
            for name, target in session.targets.items():
                if target.role == OPTION and (target.axis, target.value) == (axis, value):
                    action = f"click[{name}]"
                    if _chooses(session, action, axis, value):
                        return action
    return "click[buy now]"


def _chooses(session: Session, action: str, axis: str, value: str) -> bool:
    """Whether a click selects the option. In the original, an option called "features" opens the sub page instead."""
    after = move(session.shop, session.goal, session.state, action, session.strict, session.nouns)
    return after is not None and (axis, value) in after.options


def _queries(goal: Goal) -> Iterator[str]:
    wordings = (
        goal.instruction,
        " ".join((goal.query, *goal.attributes)),
        goal.title,
        f"{goal.query} {goal.title}",
        " ".join(goal.title.split()[:6]),
    )
    for wording in wordings:
        # A query must not contain brackets, which the action grammar splits, or start like a hidden search ("<r>").
        query = " ".join(wording.translate(_NO_QUERY).lower().split()).lstrip("<")
        if query:
            yield query
