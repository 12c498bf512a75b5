"""The first page with all runs and files, and the list of a source's tasks or rollouts with filters and search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentgym_hindsight.baselines.evaluation.intervals import wilson
from agentgym_hindsight.baselines.report.plausible import number
from agentgym_hindsight.baselines.report.scales import figure, percent
from agentgym_hindsight.markup import Html, tag
from agentgym_hindsight.viewer.compare import sides_of
from agentgym_hindsight.viewer.layout import chip, crumbs, fold, link, short, table
from agentgym_hindsight.viewer.links import Links
from agentgym_hindsight.viewer.sources import Source

__all__ = ["Filter", "home_html", "list_html", "selected_lines"]

#: Rows of one page.
PAGE = 50
_MOST_SIBLINGS = 24
OUTCOMES = ("won", "lost", "truncated", "broken")
#: What a rollout can have, by the name in links, with its label.
PRESENT = {
    "success": "another rollout of the task won",
    "judge": "a judge's words",
    "hint": "hints",
    "diagnosis": "diagnoses",
    "reflection": "reflections",
    "expert": "expert's actions",
    "tokens": "token data",
    "teacher": "teacher's context",
}
_WON = "SELECT update_, task FROM rollout WHERE outcome = 'won' GROUP BY update_, task"
_SORTS = {
    "file": "line",
    "newest": "line DESC",
    "return": "total DESC, line",
    "worst": "total, line",
    "turns": "turns DESC, line",
    "invalid": "invalid DESC, line",
    "goal": "goal, line",
}


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list shows; the fields are the query of its address."""

    view: str = "tasks"
    outcome: str = ""
    invalid: str = ""
    q: str = ""
    category: str = ""
    policy: str = ""
    update: str = ""
    source: str = ""
    sort: str = "file"
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filter:
        """From the query of an address. What is unknown has its default."""
        given = {
            name: query.get(name, "")[:200].replace("\x00", "") for name in cls.__dataclass_fields__ if name != "page"
        }
        page = query.get("page", "1")
        return cls(
            **{
                **given,
                "view": "rollouts" if given["view"] == "rollouts" else "tasks",
                "outcome": given["outcome"] if given["outcome"] in OUTCOMES else "",
                "source": given["source"] if given["source"] in PRESENT else "",
                "sort": given["sort"] if given["sort"] in _SORTS else "file",
                "invalid": "1" if given["invalid"] else "",
            },
            page=min(10**6, max(1, int(page))) if page.isascii() and page.isdigit() and len(page) < 8 else 1,
        )

    def query(self, **changes: object) -> dict[str, object]:
        """The query of an address, without defaults."""
        values: dict[str, object] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values.update(changes)
        defaults = {"view": "tasks", "sort": "file", "page": 1}
        return {name: value for name, value in values.items() if value != defaults.get(name, "")}

    def condition(self) -> tuple[str, list[Any]]:
        """The WHERE of a query to the index, and its values."""
        tests, values = ["1"], []
        for column in ("outcome", "category", "policy"):
            if given := getattr(self, column):
                tests.append(f"{column} = ?")
                values.append(given)
        if self.update.lstrip("-").isascii() and self.update.lstrip("-").isdigit() and len(self.update) < 12:
            tests.append("update_ = ?")
            values.append(int(self.update))
        if self.invalid:
            tests.append("invalid > 0")
        if self.source == "success":
            tests.append(
                f"(update_, task) IN ({_WON} HAVING count(*) > 1) OR (outcome != 'won' AND (update_, task) IN ({_WON}))"
            )
            tests[-1] = f"({tests[-1]})"
        elif self.source:
            tests.append("instr(has, ?)")
            values.append(f" {self.source} ")
        for word in self.q.lower().split()[:8]:
            tests.append("line IN (SELECT line FROM turn WHERE instr(text, ?))")
            values.append(word)
        return " AND ".join(tests), values


def selected_lines(source: Source, chosen: Filter, most: int) -> list[int]:
    """The lines of the rollouts that a filter selects, in its order."""
    where, values = chosen.condition()
    query = f"SELECT line FROM rollout WHERE {where} ORDER BY {_SORTS[chosen.sort]} LIMIT ?"  # own words
    return [int(line) for (line,) in source.rows(query, [*values, most])]


def home_html(sources: Sequence[Source], links: Links) -> Html:
    """All sources with their counts, and a form to compare two of them."""
    rows = []
    for source in sources:
        rollouts, tasks, turns, won, policies, env = _totals(source)
        low, high = wilson(won, rollouts) if rollouts else (0.0, 1.0)
        share = f"{percent(won / rollouts)} [{percent(low)}, {percent(high)}]" if rollouts else ""
        run = source.run()
        what = "file of rollouts"
        if run is not None:
            latest = run.metrics[-1] if run.metrics else {}
            success = number(latest, "success")
            what = f"training of {short(run.recipe, 40)}, seed {short(run.seed, 12)}, {len(run.metrics)} updates"
            what += f", success {percent(success)}" if success is not None else ""
        rows.append(
            [
                link(links.source(source.slug), short(source.name, 60)),
                what,
                str(tasks),
                str(rollouts),
                str(turns),
                share,
                short(policies, 60),
                short(env, 40),
            ]
        )
    head = ["run or file", "what it is", "tasks", "rollouts", "turns", "won, 95 % interval", "policy", "environment"]
    parts = [tag("h1", "Runs and rollouts"), table(head, rows, class_="list", name="Runs and files")]
    if not sources:
        parts = [
            tag("h1", "Runs and rollouts"),
            tag("p", "No rollouts here yet. This page shows them when they are written."),
        ]
    elif not links.exported:
        parts.append(_compare_form(sources))
    return tag("div", *parts)


def _totals(source: Source) -> tuple[int, int, int, int, str, str]:
    query = (
        "SELECT count(*), count(DISTINCT task), total(turns), total(outcome = 'won'), "
        "(SELECT group_concat(policy, ', ') FROM (SELECT DISTINCT policy FROM rollout LIMIT 4)), min(env) FROM rollout"
    )
    found = source.rows(query)
    if not found:
        return 0, 0, 0, 0, "", ""
    rollouts, tasks, turns, won, policies, env = found[0]
    return int(rollouts), int(tasks), int(turns), int(won), str(policies or ""), str(env or "")


def _compare_form(sources: Sequence[Source]) -> Html:
    choices = [(side.key, side.name) for side in sides_of(sources)]
    if len(choices) < 2:
        return Html("")
    selects = [
        tag(
            "label",
            f"{label} ",
            tag(
                "select",
                *(
                    tag("option", short(text, 60), value=value, selected=place == index)
                    for place, (value, text) in enumerate(choices)
                ),
                name_=name,
            ),
        )
        for index, (name, label) in enumerate((("a", "first"), ("b", "second")))
    ]
    return tag(
        "form",
        tag("h2", "Compare on the same tasks"),
        *selects,
        tag("button", "Compare"),
        action="/compare",
        class_="filters",
    )


def list_html(source: Source, chosen: Filter, links: Links) -> Html:
    """The tasks or rollouts of a source that the filter selects."""
    where, values = chosen.condition()
    count, tasks = (
        source.rows(f"SELECT count(*), count(DISTINCT update_ || ' ' || task) FROM rollout WHERE {where}", values)
        or [(0, 0)]
    )[0]
    total = int(count if chosen.view == "rollouts" else tasks)
    body = _rollouts(source, chosen, links) if chosen.view == "rollouts" else _tasks(source, chosen, links)
    views = [
        link(
            links.source(source.slug, **chosen.query(view=view, page=1)),
            view,
            class_="tab",
            aria_current="true" if view == chosen.view else None,
        )
        for view in ("tasks", "rollouts")
    ]
    head = tag("h1", short(source.name, 100))
    signs = " Numbers are siblings: ✓ won, ✗ lost, … truncated, ⚠ broken." if chosen.view == "tasks" else ""
    counted = tag("p", f"{count} rollouts of {tasks} tasks.{signs}", class_="soft")
    pages = _pages(source, chosen, total, links)
    problems = source.rows("SELECT line, cause FROM problem ORDER BY line LIMIT 100")
    skipped = (
        [
            fold(
                f"{len(problems)} lines cannot be read",
                tag("ul", *(tag("li", f"line {line}: {cause}") for line, cause in problems)),
            )
        ]
        if problems
        else []
    )
    if not count:
        body = tag(
            "p", "No rollout fits these filters. ", link(links.source(source.slug), "Show all"), class_="callout"
        )
    return tag(
        "div",
        head,
        _form(source, chosen),
        tag("nav", *views, class_="tabs", aria_label="View"),
        counted,
        body,
        pages,
        *skipped,
    )


def _tasks(source: Source, chosen: Filter, links: Links) -> Html:
    """One row a task with its siblings; those that the filter selects are marked."""
    where, values = chosen.condition()
    order = {
        "file": "min(line)",
        "newest": "max(line) DESC",
        "return": "avg(total) DESC",
        "worst": "avg(total)",
        "turns": "avg(turns) DESC",
        "invalid": "sum(invalid) DESC",
        "goal": "goal",
    }[chosen.sort]
    query = (
        f"SELECT update_, task, goal, category, total(outcome = 'won'), count(*), avg(total), avg(turns), sum(invalid) "
        f"FROM rollout WHERE {where} GROUP BY update_, task ORDER BY {order}, min(line) LIMIT {PAGE} OFFSET ?"
    )
    found = source.rows(query, [*values, PAGE * (chosen.page - 1)])
    members = _members(source, where, values, [(int(row[0]), str(row[1])) for row in found])
    rows = []
    for update, task, goal, category, won, count, total, turns, invalid in found:
        chips = [
            link(
                links.rollout(source.slug, int(line)),
                chip(str(outcome), sibling, brief=True),
                title=f"sibling {sibling}: {outcome}, {length} turns",
                class_="sibling" if selected else "sibling off",
            )
            for line, outcome, sibling, length, selected in members.get((update, task), [])[:_MOST_SIBLINGS]
        ]
        name = link(links.task(source.slug, str(task), int(update)), short(str(goal) or f"task {task}", 110))
        rows.append(
            [
                name,
                *([str(update)] if source.is_run else []),
                tag("span", *chips, class_="chips"),
                f"{int(won)} of {count}",
                figure(float(total or 0)),
                figure(float(turns or 0)),
                str(invalid),
                short(str(category), 40),
            ]
        )
    head = [
        "task",
        *(["update"] if source.is_run else []),
        "rollouts",
        "won",
        "mean return",
        "mean turns",
        "invalid",
        "type",
    ]
    return table(head, rows, class_="list", name="Tasks")


def _members(
    source: Source, where: str, values: list[Any], tasks: list[tuple[int, str]]
) -> dict[tuple[int, str], list[tuple[Any, ...]]]:
    """The rollouts of some tasks, with whether the filter selects them. One query, so that a search scans once."""
    marks = ", ".join(["(?, ?)"] * len(tasks))
    query = (
        f"SELECT update_, task, line, outcome, sibling, turns, {where} FROM rollout "
        f"WHERE (update_, task) IN (VALUES {marks})"
    )
    members: dict[tuple[int, str], list[tuple[Any, ...]]] = {}
    if tasks:
        for update, task, *facts in source.rows(
            f"{query} ORDER BY line", [*values, *(each for pair in tasks for each in pair)]
        ):
            members.setdefault((update, task), []).append(tuple(facts))
    return members


def _rollouts(source: Source, chosen: Filter, links: Links) -> Html:
    where, values = chosen.condition()
    first = chosen.q.lower().split()[:1]
    hit = "(SELECT min(place) FROM turn WHERE turn.line = rollout.line AND instr(text, ?))" if first else "0"
    query = (
        f"SELECT line, outcome, goal, sibling, turns, invalid, total, policy, category, update_, {hit} FROM rollout "
        f"WHERE {where} ORDER BY {_SORTS[chosen.sort]} LIMIT {PAGE} OFFSET ?"
    )
    rows = []
    for line, outcome, goal, sibling, turns, invalid, total, policy, category, update, place in source.rows(
        query, [*first, *values, PAGE * (chosen.page - 1)]
    ):
        turn = int(place or 0) + 1
        name = link(links.rollout(source.slug, int(line), turn), short(str(goal) or f"line {line}", 110))
        found = tag("span", f" turn {turn}", class_="soft") if first else ""
        rows.append(
            [
                tag("span", name, found),
                chip(str(outcome)),
                str(sibling),
                *([str(update)] if source.is_run else []),
                str(turns),
                str(invalid),
                figure(float(total or 0)),
                short(str(policy), 30),
                short(str(category), 40),
            ]
        )
    head = [
        "goal",
        "outcome",
        "sibling",
        *(["update"] if source.is_run else []),
        "turns",
        "invalid",
        "return",
        "policy",
        "type",
    ]
    return table(head, rows, class_="list", name="Rollouts")


def _pages(source: Source, chosen: Filter, total: int, links: Links) -> Html:
    last = max(1, -(-total // PAGE))
    if last == 1:
        return Html("")
    parts = []
    for page, name, rel in ((chosen.page - 1, "← previous", "prev"), (chosen.page + 1, "next →", "next")):
        if 1 <= page <= last:
            parts.append(link(links.source(source.slug, **chosen.query(page=page)), name, rel=rel, class_="button"))
    return tag("nav", f"Page {chosen.page} of {last} ", *parts, class_="moves", aria_label="Pages")


def _form(source: Source, chosen: Filter) -> Html:
    """The filters. Their state is the address of the page."""
    categories = [
        str(value) for (value,) in source.rows("SELECT DISTINCT category FROM rollout ORDER BY 1 LIMIT 60") if value
    ]
    policies = [
        str(value) for (value,) in source.rows("SELECT DISTINCT policy FROM rollout ORDER BY 1 LIMIT 30") if value
    ]
    updates = [
        str(value)
        for (value,) in source.rows("SELECT DISTINCT update_ FROM rollout WHERE update_ >= 0 ORDER BY 1 LIMIT 400")
    ]
    fields = [
        tag(
            "label",
            "search ",
            tag(
                "input",
                type="search",
                name_="q",
                value=chosen.q,
                placeholder="words of goal, action, reply",
                id="search",
            ),
        ),
        _select("outcome", "outcome", [(name, name) for name in OUTCOMES], chosen.outcome),
        _select("source", "has", list(PRESENT.items()), chosen.source),
        _select("category", "type", [(each, each) for each in categories], chosen.category),
        _select("policy", "policy", [(each, each) for each in policies], chosen.policy) if len(policies) > 1 else "",
        _select("update", "update", [(each, each) for each in updates], chosen.update) if updates else "",
        _select("sort", "sort", [(each, each) for each in _SORTS], chosen.sort, empty=False),
        tag(
            "label",
            tag("input", type="checkbox", name_="invalid", value="1", checked=bool(chosen.invalid)),
            " invalid actions",
        ),
        tag("input", type="hidden", name_="view", value=chosen.view),
        tag("button", "Show"),
        tag("a", "Clear", href=f"/s/{source.slug}", class_="button"),
    ]
    return tag("form", *fields, method="get", action=f"/s/{source.slug}", class_="filters", role="search")


def _select(name: str, label: str, choices: Sequence[tuple[str, str]], chosen: str, *, empty: bool = True) -> Html:
    options = [tag("option", "any", value="")] if empty else []
    options += [tag("option", short(text, 60), value=value, selected=value == chosen) for value, text in choices]
    return tag("label", f"{label} ", tag("select", *options, name_=name))


def list_position(source: Source, links: Links) -> Html:
    """Where the list is."""
    return crumbs((links.home(), "runs"), (None, source.name))
