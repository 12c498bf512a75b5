"""Two runs or policies on the tasks that both played, and two rollouts side by side from where they part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentgym_hindsight.baselines.evaluation.paired import paired_difference
from agentgym_hindsight.baselines.report.scales import figure, percent
from agentgym_hindsight.markup import Html, tag
from agentgym_hindsight.viewer.layout import chip, crumbs, link, short, table
from agentgym_hindsight.viewer.links import Links
from agentgym_hindsight.viewer.rollouts import Rollout
from agentgym_hindsight.viewer.sources import Source
from agentgym_hindsight.viewer.task_view import first_difference
from agentgym_hindsight.viewer.worlds import action_html, action_line, reply_html

__all__ = [
    "Side",
    "compare_html",
    "compare_position",
    "compared_rollouts",
    "difference_html",
    "difference_position",
    "sides_of",
]

_PAGE, _CONTEXT = 100, 3


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: a source, or one policy of it."""

    source: Source
    policy: str = ""

    @property
    def name(self) -> str:
        return f"{self.source.name} {self.policy}".strip()

    @property
    def key(self) -> str:
        """Its name in addresses."""
        return f"{self.source.slug}|{self.policy}" if self.policy else self.source.slug

    def outcomes(self) -> dict[str, list[tuple[int, str, str]]]:
        """By task: line, outcome and goal of its rollouts. What is not "won" did not win."""
        query = "SELECT task, line, outcome, goal FROM rollout"
        query += " WHERE policy = ? ORDER BY line" if self.policy else " ORDER BY line"
        found: dict[str, list[tuple[int, str, str]]] = {}
        for task, line, outcome, goal in self.source.rows(query, [self.policy] if self.policy else []):
            found.setdefault(str(task), []).append((int(line), str(outcome), str(goal)))
        return found


def sides_of(sources: Sequence[Source]) -> list[Side]:
    """What can be compared: every source, or its policies where it has several."""
    sides = []
    for source in sources:
        policies = [str(policy) for (policy,) in source.rows("SELECT DISTINCT policy FROM rollout LIMIT 6")]
        several = [Side(source, policy) for policy in policies]
        sides += several if len(several) > 1 else [Side(source)]
    return sides


def compared_rollouts(first: Side, second: Side) -> list[tuple[int, int]]:
    """For every task of both, the lines of the two rollouts that its row in the comparison opens."""
    one, other = first.outcomes(), second.outcomes()
    return [_pair(one[task], other[task]) for task in one if task in other]


def compare_position(first: Side, second: Side, links: Links) -> Html:
    return crumbs((links.home(), "runs"), (None, f"{first.name} and {second.name}"))


def compare_html(first: Side, second: Side, links: Links, page: int = 1) -> Html:
    """The paired difference over all tasks of both, and every task, those that differ most first.

    An exported file has all of them on one page.
    """
    one, other = first.outcomes(), second.outcomes()
    tasks = [task for task in one if task in other]
    head = tag("h1", short(first.name, 60), tag("span", " compared with ", class_="soft"), short(second.name, 60))
    if not tasks:
        return tag(
            "div",
            head,
            tag(
                "p", "They have no task in common. Play both on one panel: agh rollout --panel FILE.", class_="callout"
            ),
        )
    wins = {task: [outcome == "won" for _, outcome, _ in one[task]] for task in tasks}
    reference = {task: [outcome == "won" for _, outcome, _ in other[task]] for task in tasks}
    difference = paired_difference(wins, reference)
    mean_one, mean_other = (_mean([_mean(each[task]) for task in tasks]) for each in (wins, reference))
    sentence = tag(
        "p",
        f"Success over the {len(tasks)} tasks of both: ",
        tag("b", percent(mean_one)),
        " and ",
        tag("b", percent(mean_other)),
        ". Paired difference: ",
        tag("b", f"{_signed(100 * difference.mean)} points"),
        f", 95 % interval {_signed(100 * difference.low)} to {_signed(100 * difference.high)}.",
        class_="callout",
    )
    left_out = len(one) + len(other) - 2 * len(tasks)
    note = tag("p", f"{left_out} tasks that only one of them played are left out.", class_="soft") if left_out else ""
    rows = []
    difference_of = {task: _mean(wins[task]) - _mean(reference[task]) for task in tasks}
    ordered = sorted(tasks, key=lambda task: -abs(difference_of[task]))
    size = len(ordered) if links.exported else _PAGE
    last = -(-len(ordered) // size)
    page = min(max(page, 1), last)
    for task in ordered[size * (page - 1) : size * page]:
        delta = difference_of[task]
        pair = _pair(one[task], other[task])
        names = (f"{first.source.slug}:{pair[0]}", f"{second.source.slug}:{pair[1]}")  # as Rollout.name
        rows.append(
            [
                link(links.difference(*names), short(one[task][0][2] or task, 100)),
                _share(wins[task]),
                _share(reference[task]),
                tag(
                    "b" if delta else "span",
                    f"{_signed(100 * delta)}",
                    class_="good" if delta > 0 else "bad" if delta < 0 else "soft",
                ),
                tag(
                    "span",
                    *(
                        link(links.rollout(first.source.slug, line), chip(outcome))
                        for line, outcome, _ in one[task][:12]
                    ),
                    class_="chips",
                ),
                tag(
                    "span",
                    *(
                        link(links.rollout(second.source.slug, line), chip(outcome))
                        for line, outcome, _ in other[task][:12]
                    ),
                    class_="chips",
                ),
            ]
        )
    columns = [
        "task (opens where they part)",
        "first",
        "second",
        "difference, points",
        f"rollouts: {short(first.name, 24)}",
        f"rollouts: {short(second.name, 24)}",
    ]
    pages = [
        link(links.compare(a=first.key, b=second.key, page=number), name, rel=rel, class_="button")
        for number, name, rel in ((page - 1, "← previous", "prev"), (page + 1, "next →", "next"))
        if 1 <= number <= last
    ]
    moves = tag("nav", f"Page {page} of {last} ", *pages, class_="moves", aria_label="Pages") if last > 1 else ""
    return tag("div", head, sentence, note, table(columns, rows, class_="list", name="Tasks of both"), moves)


def _pair(one: list[tuple[int, str, str]], other: list[tuple[int, str, str]]) -> tuple[int, int]:
    """The lines of two rollouts of which one won, if there are any; else of the first ones."""
    for line, outcome, _ in one:
        for second, second_outcome, _ in other:
            if (outcome == "won") != (second_outcome == "won"):
                return line, second
    return one[0][0], other[0][0]


def _mean(values: list[bool] | list[float]) -> float:
    return sum(values) / len(values)


def _share(won: list[bool]) -> str:
    return f"{sum(won)} of {len(won)}"


def _signed(value: float) -> str:
    return f"+{figure(value)}" if value > 0 else figure(value)


def difference_position(first: Rollout, second: Rollout, links: Links) -> Html:
    trajectory = first.trajectory
    task = None if first.problem else links.task(first.source.slug, first.task, first.update)
    return crumbs(
        (links.home(), "runs"),
        (links.source(first.source.slug), first.source.name),
        (task, trajectory.goal or trajectory.task_id),
        (None, "two rollouts"),
    )


def difference_html(first: Rollout, second: Rollout, links: Links, whole: bool = False) -> Html:
    """Two rollouts side by side: where they part, some turns before it, and the turns after it."""
    one, other = first.trajectory, second.trajectory
    place = first_difference(one, other)
    same_task = (
        "" if one.task_id == other.task_id else tag("p", "These are rollouts of different tasks.", class_="note")
    )
    if place is None:
        verdict = "No turn differs."
    elif place >= min(len(one.steps), len(other.steps)):
        verdict = f"The first {place} turns are equal; then only one of them goes on."
    elif _same(one.steps[place].action, other.steps[place].action):
        verdict = f"They part at turn {place + 1}: the observations differ."
    else:
        verdict = f"They part at turn {place + 1}: the actions differ."
    heads = [
        tag(
            "th",
            link(
                links.rollout(each.source.slug, each.line, (place or 0) + 1),
                f"{each.source.name}, sibling {each.trajectory.sibling}",
            ),
            chip(each.trajectory.outcome),
            tag("span", short(each.trajectory.policy, 30), class_="soft"),
            scope="col",
        )
        for each in (first, second)
    ]
    begin = 0 if whole or place is None else max(0, place - _CONTEXT)
    end = max(len(one.steps), len(other.steps)) if whole else min(max(len(one.steps), len(other.steps)), begin + 20)
    rows = []
    for number in range(begin, end):
        parted = place is not None and number >= place
        cells = [_cell(each, number, links, full=number == place) for each in (first, second)]
        rows.append(
            tag(
                "tr",
                tag("th", str(number + 1), scope="row"),
                *cells,
                class_="parted" if number == place else "after" if parted else None,
                data_row=True,
            )
        )
    hidden = begin + max(len(one.steps), len(other.steps)) - end
    address = links.difference(first.name, second.name)
    more = (
        tag("p", f"{hidden} more turns. ", link(f"{address}&whole=1", "Show all turns")) if hidden and address else ""
    )
    return tag(
        "div",
        tag("h1", short(one.goal or one.task_id, 120)),
        tag("p", verdict, class_="callout"),
        same_task,
        tag(
            "div",
            tag(
                "table",
                tag("thead", tag("tr", tag("th", "turn", scope="col"), *heads)),
                tag("tbody", *rows),
                class_="sides",
            ),
            class_="wide",
            tabindex="0",
            role="region",
            aria_label="Turns side by side",
        ),
        more,
    )


def _same(one: str, other: str) -> bool:
    return " ".join(one.lower().split()) == " ".join(other.lower().split())


def _cell(rollout: Rollout, place: int, links: Links, full: bool) -> Html:
    steps = rollout.trajectory.steps
    if place >= len(steps):
        return tag("td", "(it has ended)" if place == len(steps) else "", class_="soft")
    step = steps[place]
    address = links.rollout(rollout.source.slug, rollout.line, place + 1)
    if not full:
        return tag(
            "td",
            link(address, tag("code", action_line(step.action, 100))),
            tag("p", short(step.feedback, 140), class_="soft"),
        )
    invalid = "" if step.action_valid else tag("span", "invalid action", class_="chip bad")
    return tag(
        "td",
        link(address, "turn in full"),
        invalid,
        action_html(rollout.trajectory, place),
        reply_html(rollout.trajectory, place),
    )
