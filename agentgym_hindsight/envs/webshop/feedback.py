"""Feedback on a turn: why an action was refused, what it changed, and at the end the parts of the reward.

:func:`explain` and :func:`changes` use only what the page shows. :func:`describe_reward` and :func:`review` use the
hidden goal; call them only after the end of the episode.
"""

from __future__ import annotations

from typing import NamedTuple

from rapidfuzz import fuzz, process

from agentgym_hindsight.envs.webshop.oracle import best_options
from agentgym_hindsight.envs.webshop.pages import DONE, INDEX, ITEM, PER_PAGE, RESULTS, SUB, State
from agentgym_hindsight.envs.webshop.reward import RewardParts, score
from agentgym_hindsight.envs.webshop.session import Session, parse_action
from agentgym_hindsight.envs.webshop.shop import Shop

__all__ = ["REASON_KINDS", "Better", "Reason", "Review", "changes", "describe_reward", "explain", "review"]

#: Every ``kind`` a reason can have.
REASON_KINDS: tuple[str, ...] = (
    "empty",
    "malformed",
    "empty_query",
    "empty_target",
    "wrong_case",
    "unknown_verb",
    "search_button",
    "past_the_end",
    "before_the_start",
    "finished",
    "not_a_search",
    "absent",
)
_VERBS = ("search", "click")
_LONGEST = 200  # longer than any clickable name; the rest of an action is ignored
_MIN_SIMILARITY = 60
_PAGES = {
    INDEX: "the start page",
    RESULTS: "the results page",
    ITEM: "a product's page",
    SUB: "a product's sub page",
    DONE: "the last page",
}


class Reason(NamedTuple):
    """Why an action is refused. ``nearest`` is the most helpful or most similar legal action, or "" if none fits."""

    kind: str
    text: str
    nearest: str = ""


class Better(NamedTuple):
    """A purchase that was possible, and its reward."""

    asin: str
    options: tuple[tuple[str, str], ...]
    reward: float


class Review(NamedTuple):
    """The evaluation of a finished episode with the hidden goal.

    * ``parts``: the parts of the reward; None if nothing was bought.
    * ``with_other_options``: the last product, with its best options.
    * ``among_seen``: the best of all products on viewed pages, with its best options.
    * ``target_seen``: the first (page, rank) of the wanted product on a results page, or None.
    """

    parts: RewardParts | None
    with_other_options: Better | None
    among_seen: Better | None
    target: str
    target_seen: tuple[int, int] | None
    text: str


def explain(session: Session, action: str) -> Reason | None:
    """Why the current state refuses an action; None if the action is legal."""
    if session.copy().act(action).valid:
        return None
    stripped = action.strip()
    if not stripped:
        return Reason("empty", "The action is empty; actions are search[words] and click[name].", _any_click(session))
    if session.state.kind == DONE and session.strict:
        return Reason("finished", "The purchase is made and the episode is over.")
    name, argument = parse_action(action)
    if argument is None:
        return _malformed_reason(session, stripped[:_LONGEST])
    verb = name.strip().lower()
    if name not in _VERBS and verb in _VERBS:
        return Reason(
            "wrong_case",
            f"The action is called '{verb}', in lower case and with nothing before it, not '{name[:40]}'.",
            _nearest(session, argument) if verb == "click" else f"search[{argument[:_LONGEST]}]",
        )
    if name not in _VERBS:
        return Reason(
            "unknown_verb",
            f"There is no action '{name[:40]}'; actions are search[words] and click[name].",
            _nearest(session, argument),
        )
    if name == "search":  # only a hidden search that fails in the original gets here
        return Reason("not_a_search", "This hidden search does not work here; search for plain words.")
    return _absent_reason(session, argument[:_LONGEST])


def _malformed_reason(session: Session, action: str) -> Reason:
    head = action.partition("[")[0].strip().lower()
    if head == "search" and "[" in action and not action.partition("[")[2].strip("] \t"):
        return Reason("empty_query", "The search is empty; put words into the brackets, such as search[red shoes].")
    if head == "click" and "[" in action and not action.partition("[")[2].strip("] \t"):
        return Reason("empty_target", "Nothing is named to click; put a name into the brackets.", _any_click(session))
    return Reason(
        "malformed", "Actions are written search[words] or click[name], on one line.", _nearest(session, action.lower())
    )


def _absent_reason(session: Session, argument: str) -> Reason:
    state = session.state
    page_name = _PAGES[state.kind]
    if argument == "search":
        words = "search[words] searches." if state.kind == INDEX else "search[words] searches, from any page."
        return Reason("search_button", f"The search button is not clicked: {words}")
    if argument == "next >" and state.kind == RESULTS:
        pages = max(1, -(-len(state.hits) // PER_PAGE))
        return Reason(
            "past_the_end",
            f"Page {state.page} is the last: {len(state.hits)} results fill {pages} page(s).",
            "click[< prev]" if state.page > 1 else "click[back to search]",
        )
    if argument == "< prev" and state.kind == RESULTS:
        return Reason("before_the_start", "This is page 1; no page comes before it.", _any_click(session))
    nearest = _nearest(session, argument)
    hint = f" The nearest is '{nearest[6:-1]}'." if nearest else ""
    return Reason("absent", f"'{argument}' is not on {page_name}, so it cannot be clicked.{hint}", nearest)


def _nearest(session: Session, text: str) -> str:
    names = [name for name in session.clickables if name != "search" and "[" not in name]
    match = process.extractOne(text, names, scorer=fuzz.ratio, score_cutoff=_MIN_SIMILARITY)
    return f"click[{match[0]}]" if match else ""


def _any_click(session: Session) -> str:
    return next((f"click[{name}]" for name in session.clickables if name != "search" and "[" not in name), "")


def changes(shop: Shop, before: State, after: State) -> str:
    """The change from one state to the next, in words."""
    if after.kind == INDEX:
        return "Back on the start page; the search, the product and the chosen options are forgotten."
    if after.kind == RESULTS:
        return _results_changes(before, after)
    if after.kind == DONE:
        return "Bought; the episode is over."
    if after.kind == SUB:
        return f"{after.sub} of the product, {'shown again' if before == after else 'shown'}."
    if before.kind == SUB:
        return f"Back on the product's page; {_choice(shop, after)}."
    if before.product != after.product or before.kind != ITEM:
        rank = before.shown.index(after.product) + 1 if after.product in before.shown else 0
        opened = f"Opened hit {rank} of page {before.page}" if rank else "Opened a product"
        again = " again" if after.product in before.opened else ""
        return f"{opened}{again}; {_choice(shop, after)}."
    if before.options == after.options:
        return f"Nothing changed: that was chosen before; {_choice(shop, after)}."
    previous_options = dict(before.options)
    axis, value = next((axis, value) for axis, value in after.options if previous_options.get(axis) != value)
    replaced_value = f" instead of {previous_options[axis]}" if axis in previous_options else ""
    return f"{axis}={value} selected{replaced_value}; {_still_unset(shop, after) or 'every option is chosen'}."


def _results_changes(before: State, after: State) -> str:
    count = len(after.hits)
    hits = f"{count} hit{'' if count == 1 else 's'}"
    if before.query == after.query and before.kind != INDEX:
        if before.kind != RESULTS:
            return f"Back on page {after.page} of the results; the chosen options are forgotten."
        if before.page == after.page:
            return f"Nothing changed: the same search found the same {hits}."
        empty_note = "" if after.shown else f"; it is empty, {hits} end before it"
        return f"Page {after.page} of the results{empty_note}."
    return (
        f"{hits}; page 1 shows the first {len(after.shown)}." if count else "0 hits; no product has any of the words."
    )


def _choice(shop: Shop, state: State) -> str:
    chosen = ", ".join(f"{axis}={value}" for axis, value in state.options)
    unset = _still_unset(shop, state)
    if not shop.products[state.product].options:
        return "it has no options"
    return "; ".join(part for part in (f"{chosen} selected" if chosen else "", unset) if part)


def _still_unset(shop: Shop, state: State) -> str:
    unset = [axis for axis in shop.products[state.product].options if axis not in dict(state.options)]
    return f"{', '.join(unset)} still unset" if unset else ""


def review(session: Session) -> Review:
    """Evaluate the episode of this session with the hidden goal."""
    state, shop, goal = session.state, session.shop, session.goal
    last_product = _best_purchase(session, state.product) if state.product >= 0 else None
    purchases = [_best_purchase(session, position) for position in dict.fromkeys((*session.seen, *state.opened))]
    best = max(purchases, key=lambda better: better.reward, default=None)
    target = shop.position.get(goal.asin, -1)
    result = Review(state.parts, last_product, best, goal.asin, session.seen.get(target), "")
    return result._replace(text=_review_text(result))


def _best_purchase(session: Session, position: int) -> Better:
    product = session.shop.products[position]
    options = best_options(product, session.goal, session.rules)
    parts = score(product, options, session.goal, session.rules, session.nouns)
    return Better(product.asin, tuple(options.items()), parts.total)


def _review_text(result: Review) -> str:
    parts = result.parts
    lines = ["Nothing was bought: reward 0." if parts is None else describe_reward(parts)]
    earned = 0.0 if parts is None else parts.total
    better = result.with_other_options
    if better is not None and better.reward > earned:
        with_options = f" with {_pairs(better.options)}" if better.options else ""
        lines.append(f"The same product{with_options} would have earned {better.reward:.3f}.")
    best = result.among_seen
    if best is not None and best.reward > max(earned, better.reward if better else 0.0):
        with_options = f" with {_pairs(best.options)}" if best.options else ""
        lines.append(f"Of the products seen, {best.asin}{with_options} would have earned {best.reward:.3f}.")
    if result.target_seen is None:
        lines.append(f"The wanted product, {result.target}, was on no page that was viewed.")
    else:
        page, rank = result.target_seen
        lines.append(f"The wanted product, {result.target}, was hit {rank} of page {page}.")
    return " ".join(lines)


def describe_reward(parts: RewardParts) -> str:
    """The parts of a purchase's reward, in words: attributes, options, price, type. Reveals the hidden goal."""
    lines = [f"Reward {parts.total:.3f} ({parts.rules} rules, noun rule {parts.nouns})."]
    for attribute in parts.attributes:
        where = f"found in {attribute.found_in}" if attribute.matched else "missing"
        lines.append(f"Attribute '{attribute.wanted}': {where}.")
    for option in parts.options:
        axis = f"{option.axis}=" if option.axis else ""
        choice = f"chosen '{option.chosen}' (similarity {option.similarity})" if option.chosen else "nothing chosen"
        lines.append(f"Option {axis}'{option.wanted}': {choice}, {'matched' if option.matched else 'not matched'}.")
    within = "within" if parts.r_price else "above"
    if parts.price_cap < 1_000_000:
        lines.append(f"Price {parts.price:.2f}: {within} the cap of {parts.price_cap:.2f}.")
    query = "same search category" if parts.query_match else "other search category"
    lines.append(f"Type factor {parts.r_type:g}: {query}, title score {parts.title_score:.2f}.")
    return " ".join(lines)


def _pairs(options: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{axis}={value}" for axis, value in options)
