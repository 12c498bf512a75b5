"""The sections of a generated env page that only this env has: facts, rules, splits and reasons, from the code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields

from modules import load

__all__ = ["SECTIONS", "markdown", "table"]

ALFWORLD_REASONS = {
    "empty": "the command is empty or blank",
    "wrong_case": "the command would be legal in lower case",
    "malformed": "the verb is right, its form is wrong, or there are too many blanks",
    "unknown_verb": "the game has no such verb",
    "old_verb": "the command uses the wording of the other release for putting something down",
    "unknown_object": "the room has no such receptacle",
    "not_here": "the agent is not at that receptacle, or no such object is visible",
    "closed": "the receptacle is closed",
    "hands_full": "the agent already holds an object, or the object cannot be used while it is held",
    "hands_empty": "the agent holds nothing",
    "not_holding": "the agent holds another object, or does not hold the object to examine",
    "already_here": "the agent is already at that place",
    "already_open": "the door is already open",
    "already_closed": "the door is already closed",
    "not_openable": "the receptacle has no door",
    "not_pickupable": "the object cannot be taken",
    "cannot_contain": "the receptacle does not accept this object",
    "cannot_treat": "the object cannot be cleaned, heated, cooled, sliced or switched on",
    "wrong_tool": "the receptacle or tool cannot do this",
}

WEBSHOP_REASONS = {
    "empty": "the action is empty or blank",
    "malformed": "the action is neither `search[…]` nor `click[…]`, or has more than one line",
    "empty_query": "`search[]`",
    "empty_target": "`click[]`",
    "wrong_case": "the verb has capitals, or text stands before it",
    "unknown_verb": "another word stands before the bracket",
    "search_button": "`click[search]`; use `search[words]`",
    "past_the_end": "`click[next >]` on the last page of results",
    "before_the_start": "`click[< prev]` on the first page of results",
    "finished": "the purchase is already made",
    "not_a_search": "a hidden search of the original that fails on this page (official rules)",
    "absent": "the page has nothing of that name",
}


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in lines)


def markdown(docstring: str) -> str:
    """A docstring as Markdown: double backticks become single ones, a role becomes the name that it refers to."""
    text = re.sub(r"``([^`]+)``", r"`\1`", docstring)
    return re.sub(r":\w+:`~?([^`]+)`", lambda match: f"`{match.group(1).lstrip('.').rsplit('.', 1)[-1]}`", text)


def reason_table(heading: str, kinds: tuple[str, ...], meanings: dict[str, str]) -> str:
    """The table of an env's reasons; refuses meanings that do not match the env's kinds."""
    if tuple(meanings) != kinds:
        raise SystemExit(f"docs/sections.py: Expected {heading} to have the keys {kinds}, got {tuple(meanings)}.")
    return table(("`kind`", "why the action did nothing"), [(f"`{name}`", text) for name, text in meanings.items()])


def alfworld_sections(kind: type) -> list[str]:
    package = load("alfworld")
    splits = [(f"`{name}`", package.SIZES.get(name, "–"), package.OFFICIAL_COUNTS[name]) for name in kind.splits]  # type: ignore[attr-defined]
    knobs = [field.name for field in fields(package.Difficulty) if field.name != "name"]
    levels = [(f"`{name}`", *(getattr(level, knob) for knob in knobs)) for name, level in package.DIFFICULTIES.items()]
    types = [
        (
            f"`{name}`",
            package.STATIONS.get(name, ("–", ""))[0],
            "<br>".join(f"`{text}`" for text in package.TASK_SENTENCES[name]),
        )
        for name in package.TASK_TYPES
    ]
    return [
        '## What ALFWorld adds: `info["extra"]`\n\n'
        + _EXTRA
        + table(("fact", "meaning"), list(_rst_rows(package.AlfworldExtra.__doc__ or ""))),
        "## Splits\n\nTasks of the embedded houses, and games of the complete official release.\n\n"
        + table(("split", "embedded", "official"), splits),
        "## Difficulty\n\nEmbedded houses only. The values are factors on the averages of official rooms, except "
        "`furniture`, the number of receptacles beside the stations (0: no limit).\n\n"
        + table(("`difficulty`", *(f"`{knob}`" for knob in knobs)), levels)
        + "\n\n`distractors` are further objects of the target's type. `traps` are objects that can be taken but not "
        "put down again.",
        "## Task types\n\nEach type has two sentences. The station is the receptacle that changes the object.\n\n"
        + table(("`task_types`", "station", "sentences"), types),
        '## Reasons\n\n`info["extra"].reason` is `None` or has `kind`, `text` and `nearest`, a legal command that is '
        "close to the refused one. A reason depends only on what a player can know: an object out of sight and an "
        "object that does not exist get the same reason.\n\n"
        + reason_table("ALFWORLD_REASONS", package.REASON_KINDS, ALFWORLD_REASONS),
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
    both = ("situation", '`rules="official"`', '`rules="strict"` (default)')
    return [
        '## What WebShop adds: `info["extra"]`\n\n'
        + _EXTRA
        + table(("fact", "meaning"), list(_rst_rows(package.WebshopExtra.__doc__ or "")))
        + "\n\n`reward_parts` and `review` reveal the hidden goal, so they are `None` until the episode has ended.",
        "## Two rule sets\n\nEvery result names its rule set. `official` keeps every quirk of the original, so "
        "that figures can be compared with published ones. `strict` corrects rules that mislead a learning agent.\n\n"
        + table(both, _rst_table(package.RULES_DOC or ""))
        + "\n\nBoth accept `search[…]` on every page, also on pages without a search bar.",
        "## Reward\n\n`r = r_type · (attributes matched + options matched + price within the cap) / "
        "(attributes + options + 1)`\n\n" + table(("part", *both[1:]), _rst_table(package.REWARD_DOC or "")),
        "## Splits\n\nGoals of the embedded shop of 1,000 products (`products=1000`, `shop_seed=0`).\n\n"
        + table(("`goals`", "`rules`", *(f"`{split}`" for split in kind.splits)), sizes),  # type: ignore[attr-defined]
        '## Reasons\n\n`info["extra"].reason` is `None` or has `kind`, `text` and `nearest`, a legal action that is '
        "close to the refused one. A reason depends only on what the page shows.\n\n"
        + reason_table("WEBSHOP_REASONS", package.REASON_KINDS, WEBSHOP_REASONS),
    ]


def appworld_sections(kind: type) -> list[str]:
    package = load("appworld")
    sizes, splits = package.PER_TEMPLATE, package.SPLITS
    apps = [(f"`{app.name}`", len(app.apis), app.description) for app in package.APPS.values()]
    found = sorted(package.templates(), key=lambda each: (splits.index(each.split), each.difficulty, each.name))
    rows = [
        (
            f"`{each.name}`",
            each.split,
            each.difficulty,
            _first_line(each.build),
            package.make(each.name, 0).job.instruction,
        )
        for each in found
    ]
    counts = {split: len(package.templates(split)) for split in splits}
    tables = sum(len(app.tables) for app in package.APPS.values())
    return [
        f"## Apps\n\nThe miniature world has {sum(row[1] for row in apps)} APIs over {tables} tables.\n\n"
        + table(("app", "APIs", "purpose"), apps),
        "## Splits and tasks\n\nThese are the splits of the miniature world. Each split has its own templates and its "
        "own worlds.\n\n"
        + table(
            ("split", "templates", "tasks of each template", "tasks"),
            [(f"`{split}`", count, sizes[split], count * sizes[split]) for split, count in counts.items()],
        ),
        "Difficulty 1 needs one app and one lookup; 2 several apps or many pages; 3 conditions, sums and several apps. "
        'The template is the category in results. `templates=["set_alarm"]` or `difficulty=1` selects a part of the '
        "tasks.\n\n" + table(("template", "split", "difficulty", "task", "example"), rows),
    ]


_EXTRA = "Facts are attributes and keys. Each is computed at its first access.\n\n"

#: The sections that only one env has, by the name of the env's folder.
SECTIONS: dict[str, Callable[[type], list[str]]] = {
    "alfworld": alfworld_sections,
    "webshop": webshop_sections,
    "appworld": appworld_sections,
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
            rows[-1] = [f"{before} {more}".strip() for before, more in zip(rows[-1], cells, strict=True)]
        else:
            rows.append(cells)
    return [tuple(map(markdown, row)) for row in rows]
