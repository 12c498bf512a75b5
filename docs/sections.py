"""The sections of a generated env page that only this env has: facts, rules, splits and reasons, from the code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from modules import load

__all__ = ["SECTIONS", "markdown", "table"]

#: The meaning of each kind; "" if the name says it.
ALFWORLD_REASONS = {
    "empty": "",
    "wrong_case": "the command is legal in lower case",
    "malformed": "the form is wrong: a name without its number, two blanks in a row, …",
    "unknown_verb": "",
    "old_verb": "the verb is that of the other release",
    "unknown_object": "the room has no such receptacle",
    "not_here": "no such object is visible, or the receptacle is elsewhere",
    "closed": "",
    "hands_full": "",
    "hands_empty": "",
    "not_holding": "the agent does not hold this object",
    "already_here": "",
    "already_open": "",
    "already_closed": "",
    "not_openable": "the receptacle has no door",
    "not_pickupable": "the object cannot be taken",
    "cannot_contain": "the receptacle does not accept the object",
    "cannot_treat": "the object cannot be cleaned, heated, cooled, sliced or used",
    "wrong_tool": "",
}

WEBSHOP_REASONS = {
    "empty": "",
    "malformed": "neither `search[…]` nor `click[…]`, or a line break inside the brackets",
    "empty_query": "",
    "empty_target": "",
    "wrong_case": "capitals in the verb, or blanks around it",
    "unknown_verb": "other words before the bracket",
    "search_button": "`click[search]`; use `search[words]`",
    "past_the_end": "`click[next >]` on the last page of results",
    "before_the_start": "`click[< prev]` on the first page of results",
    "finished": "",
    "not_a_search": "a hidden search of the original that fails here (official rules)",
    "absent": "the page has nothing of that name",
}


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in lines)


def markdown(docstring: str) -> str:
    """A docstring as Markdown: double backticks become single ones, and a role becomes the name that it refers to.

    The three backticks around a code block stay.
    """
    text = re.sub(r"(?<!`)``([^`]+)``(?!`)", r"`\1`", docstring)
    return re.sub(r":\w+:`~?([^`]+)`", lambda match: f"`{match.group(1).lstrip('.').rsplit('.', 1)[-1]}`", text)


def reason_table(heading: str, kinds: tuple[str, ...], meanings: dict[str, str]) -> str:
    """The table of an env's reasons; refuses meanings that do not match the env's kinds."""
    if tuple(meanings) != kinds:
        raise SystemExit(f"docs/sections.py: Expected {heading} to have the keys {kinds}, got {tuple(meanings)}.")
    rows = [(f"`{name}`", text) for name, text in meanings.items() if text]
    self_explaining = ", ".join(f"`{name}`" for name, text in meanings.items() if not text)
    return f"{table(('`kind`', 'meaning'), rows)}\n\nThe other kinds mean what their names say: {self_explaining}."


def alfworld_sections(kind: type) -> list[str]:
    package = load("alfworld")
    splits = [(f"`{name}`", package.SIZES.get(name, "–"), package.OFFICIAL_COUNTS[name]) for name in kind.splits]  # type: ignore[attr-defined]
    knobs = [field.name for field in fields(package.Difficulty) if field.name != "name"]
    levels = [(f"`{name}`", *(getattr(level, knob) for knob in knobs)) for name, level in package.DIFFICULTIES.items()]
    types = [
        (
            f"`{name}`",
            package.STATIONS.get(name, ("–", ""))[0],
            f"`{package.TASK_SENTENCES[name][0]}`",
        )
        for name in package.TASK_TYPES
    ]
    return [
        '## What ALFWorld adds: `info["extra"]`\n\n'
        + _EXTRA
        + table(("fact", "meaning"), list(_rst_rows(package.AlfworldExtra.__doc__ or ""))),
        f"## Reasons\n\n{_REASON}a player can know: an object out of sight and an "
        "object that does not exist get the same reason.\n\n"
        + reason_table("ALFWORLD_REASONS", package.REASON_KINDS, ALFWORLD_REASONS),
        "## Splits\n\nTasks of the embedded houses, and games of the complete official release.\n\n"
        + table(("split", "embedded", "official"), splits),
        "## Difficulty\n\nEmbedded houses only. `furniture` is the number of receptacles beside the stations (0: no "
        "limit). All other values are factors on the averages of official rooms. `distractors` are further objects of "
        "the target's type. `traps` can be taken but not put down again.\n\n"
        + table(("`difficulty`", *(f"`{knob}`" for knob in knobs)), levels),
        "## Task types\n\nThe instruction is this sentence or a second wording. The station changes the object.\n\n"
        + table(("`task_types`", "station", "sentence"), types),
    ]


def webshop_sections(kind: type) -> list[str]:
    package = load("webshop")
    sizes = []
    for goals in ("synthetic", "human"):
        for rules in ("strict", "official"):
            library = package.open_library("embedded", goals=goals, rules=rules)
            counts: list[object] = []
            for split in kind.splits:  # type: ignore[attr-defined]
                try:
                    counts.append(library.count(split))
                except package.UsageError:  # a split without goals
                    counts.append("–")
            sizes.append((f"`{goals}`", f"`{rules}`", *counts))
    rules_header = ("situation", '`rules="official"`', '`rules="strict"` (default)')
    return [
        '## What WebShop adds: `info["extra"]`\n\n'
        + _EXTRA
        + table(("fact", "meaning"), list(_rst_rows(package.WebshopExtra.__doc__ or ""))),
        f"## Reasons\n\n{_REASON}the page shows.\n\n"
        + reason_table("WEBSHOP_REASONS", package.REASON_KINDS, WEBSHOP_REASONS),
        "## Two rule sets\n\n`official` reproduces the original with its errors, so that figures can be compared with "
        "published ones. `strict` corrects rules that mislead a learning agent.\n\n"
        + table(rules_header, _rst_table(package.RULES_DOC or "")),
        "## Reward\n\n`r = r_type · (attributes matched + options matched + price within the cap) / "
        "(attributes + options + 1)`\n\n" + table(("part", *rules_header[1:]), _rst_table(package.REWARD_DOC or "")),
        "## Splits\n\nGoals of the embedded shop of 1,000 products (`products=1000`, `shop_seed=0`).\n\n"
        + table(("`goals`", "`rules`", *(f"`{split}`" for split in kind.splits)), sizes),  # type: ignore[attr-defined]
    ]


def appworld_sections(kind: type) -> list[str]:
    package = load("appworld")
    apps = package.APPS.values()
    total, tables = sum(len(app.apis) for app in apps), sum(len(app.tables) for app in apps)
    levels = [
        (level, needs, package.make(name, 0).job.instruction)
        for level, (needs, name) in enumerate(_APPWORLD_LEVELS, start=1)
    ]
    return [
        _APPWORLD_EXTRA,
        f"## Apps\n\nThe miniature world has {total} APIs over {tables} tables, with data of the person and of other "
        f"people. The apps and their numbers of APIs: {', '.join(f'`{app.name}` {len(app.apis)}' for app in apps)}. "
        "`apis.api_docs.show_app_descriptions()` describes each app.",
        "## Splits and tasks\n\nThis is the miniature world. Each split has its own templates and its own worlds. The "
        "template is the category in results. `agh data list --env AppWorld-Hindsight-v0 --split train` prints all "
        "instructions of a split.\n\n" + table(("`difficulty`", "needs", "an instruction"), levels),
        *(_split(name, package.PER_TEMPLATE[name], package.templates(name)) for name in package.SPLITS),
    ]


def tau_sections(kind: type) -> list[str]:
    package = load("tau")
    rows = []
    for domain in package.DOMAINS:
        desk = package.embedded_desk(domain, 0)
        kinds = dict.fromkeys(task.kind for tasks in desk.tasks.values() for task in tasks)
        for name in kinds:
            counts = [sum(task.kind == name for task in desk.tasks[split]) for split in ("train", "valid", "test")]
            opening = next(task.opening for task in desk.tasks["train"] if task.kind == name)
            rows.append((f"`{domain}`", f"`{name}`", *counts, opening))
    return [
        '## What tau-bench adds: `info["extra"]`\n\n'
        + _EXTRA
        + table(("fact", "meaning"), list(_rst_rows(package.TauExtra.__doc__ or ""))),
        "## Embedded tasks\n\nThe kind is the category in results, and `kinds=[…]` selects kinds. No person is in two "
        "splits.\n\n" + table(("domain", "kind", "train", "valid", "test", "a first message"), rows),
    ]


def bfcl_sections(kind: type) -> list[str]:
    package = load("bfcl")
    library = package.embedded_library(0)
    counts: dict[str, dict[str, int]] = {}
    messages: dict[str, str] = {}
    for split in library.splits:
        # The first tasks of a split are one of each kind and category, in the order of the counts.
        for index, ((name, category), count) in enumerate(library.counts(split).items()):
            row = counts.setdefault(name, dict.fromkeys(_BFCL_CATEGORIES, 0))
            row[category] += count
            if name not in messages:
                messages[name] = library.task(split, index).goal.split("\n")[0]
    rows = [(f"`{name}`", *(count or "–" for count in row.values()), messages[name]) for name, row in counts.items()]
    sizes = ", ".join(f"`{split}` {library.count(split):,}" for split in library.splits)
    return [
        '## What BFCL adds: `info["extra"]`\n\n'
        + _EXTRA
        + table(("fact", "meaning"), list(_rst_rows(package.BfclExtra.__doc__ or ""))),
        f"## Embedded tasks\n\nTasks: {sizes}. The kind and the category make the category in results, such as "
        "`send_order+long_context`; `kinds=[…]` selects kinds and categories. The numbers are those of all splits.\n\n"
        + table(("kind", *_BFCL_CATEGORIES, "a first message"), rows),
    ]


def _split(name: str, size: int, templates: Sequence[Any]) -> str:
    """The templates of a split of AppWorld's miniature."""
    ordered = sorted(templates, key=lambda each: (each.difficulty, each.name))
    rows = [(f"`{each.name}`", each.difficulty, _first_line(each.build)) for each in ordered]
    head = f"### `{name}`\n\n{len(rows)} templates, {size} tasks each: {len(rows) * size} tasks.\n\n"
    return head + table(("template", "difficulty", "task"), rows)


_EXTRA = "Facts are attributes and keys. Each is computed when it is first read.\n\n"
_REASON = (
    'The reason of a refused action has `kind`, `text` and `nearest` ("" or a helpful legal action); the last two are '
    'also in `info["hindsight"].immediate_feedback.detail`. They depend only on what '
)

_BFCL_CATEGORIES = ("base", "miss_func", "miss_param", "long_context")

#: What the tasks of levels 1 to 3 need, and the template whose first task is the example.
_APPWORLD_LEVELS = (
    ("one app and one lookup", "send_money"),
    ("several apps or many pages", "accept_requests_of_roommates"),
    ("conditions, sums and several apps", "split_costs"),
)

#: The block checks its own keys: it runs after the example at the top of the page.
_APPWORLD_EXTRA = """## What AppWorld adds: `info["extra"]`

```python
assert set(info["extra"]) == {
    "backend",  # "miniature/hamlet", or "official/…" for AppWorld itself
    "sandbox",  # the mechanism that confines the code, see docs/sandbox.md
    "template",  # the kind of task
    "difficulty",  # 1 to 3
    "error",  # "", or why the code did not finish: syntax, exception, timeout, memory, died, protocol
    "replaced",  # True if the interpreter was replaced: variables are lost
    "calls",  # API calls of this turn
    "changes",  # what changed in this turn, by table
    "evaluation",  # the verdict of the checks; "" until the task is completed
    "example_actions",  # some legal actions, which only read: there is no list of all
}
```

Do not show `changes` to a policy: it contains facts that the agent has to find. Use it for teachers and analysis."""

#: The sections that only one env has, by the name of the env's folder.
SECTIONS: dict[str, Callable[[type], list[str]]] = {
    "alfworld": alfworld_sections,
    "webshop": webshop_sections,
    "appworld": appworld_sections,
    "tau": tau_sections,
    "bfcl": bfcl_sections,
}


def _first_line(build: Callable[..., object]) -> str:
    """The first line of a template's docstring, as Markdown."""
    return markdown((build.__doc__ or "").strip().split("\n")[0])


def _rst_rows(docstring: str) -> Iterator[tuple[str, str]]:
    """The rows of the reStructuredText simple table in a docstring."""
    lines = inspect.cleandoc(docstring).splitlines()
    begin, end = (number for number, line in enumerate(lines) if line.startswith("==="))
    for line in lines[begin + 1 : end]:
        name, _, meaning = line.partition("  ")
        yield markdown(name.strip()), markdown(meaning.strip())


def _rst_table(docstring: str) -> list[tuple[str, ...]]:
    """The body of the simple table with a header in a docstring.

    A line without a first or a last cell continues the row above it.
    """
    lines = inspect.cleandoc(docstring).splitlines()
    _, begin, end = (number for number, line in enumerate(lines) if line.startswith("==="))
    starts = [match.start() for match in re.finditer("=+", lines[begin])]
    rows: list[list[str]] = []
    for line in lines[begin + 1 : end]:
        cells = [line[start:stop].strip() for start, stop in zip(starts, [*starts[1:], None], strict=True)]
        if rows and not (cells[0] and cells[-1]):
            rows[-1] = [f"{above} {more}".strip() for above, more in zip(rows[-1], cells, strict=True)]
        else:
            rows.append(cells)
    return [tuple(map(markdown, row)) for row in rows]
