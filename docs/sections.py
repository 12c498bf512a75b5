"""What docs/generate.py says of one env alone: its facts, rules, splits and reasons, taken from the code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields

__all__ = ["SECTIONS", "markdown", "table"]

REASON_MEANING = {
    "empty": "nothing but blanks",
    "wrong_case": "legal, were it in lower case",
    "malformed": "the right verb in the wrong form, or too many blanks",
    "unknown_verb": "a verb the game does not have",
    "old_verb": "the other release's way to put something down",
    "unknown_object": "a receptacle the room does not have",
    "not_here": "not at that receptacle, or no such thing in sight",
    "closed": "the receptacle is closed",
    "hands_full": "something is in the hands already, or the thing cannot be used while it is held",
    "hands_empty": "nothing is in the hands",
    "not_holding": "something else is in the hands, or what is examined is not held",
    "already_here": "the agent stands there",
    "already_open": "the door is open",
    "already_closed": "the door is closed",
    "not_openable": "the receptacle has no door",
    "not_pickupable": "the thing cannot be taken",
    "cannot_contain": "this receptacle does not accept this thing",
    "cannot_treat": "the thing cannot be cleaned, heated, cooled, sliced or switched on",
    "wrong_tool": "the receptacle or the tool does not do that",
}

SHOP_REASON_MEANING = {
    "empty": "nothing but blanks",
    "malformed": "neither `search[…]` nor `click[…]`, or more than one line",
    "empty_query": "`search[]`",
    "empty_target": "`click[]`",
    "wrong_case": "the right verb in capitals, or with something before it",
    "unknown_verb": "another word before the bracket",
    "search_button": "`click[search]`: words are searched with `search[words]`",
    "past_the_end": "`click[next >]` on the last page of results",
    "before_the_start": "`click[< prev]` on the first page of results",
    "finished": "the purchase is made",
    "not_a_search": "a hidden search of the original that breaks there (official rules)",
    "absent": "nothing of that name is on the page",
}


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in lines)


def markdown(docstring: str) -> str:
    """A docstring as Markdown: double backticks become single ones, roles become the name they point at."""
    text = re.sub(r"``([^`]+)``", r"`\1`", docstring)
    return re.sub(r":\w+:`~?([^`]+)`", lambda match: f"`{match.group(1).lstrip('.').rsplit('.', 1)[-1]}`", text)


def alfworld_sections(kind: type) -> list[str]:
    from agentgym_hindsight.envs.alfworld.embedded import SIZES
    from agentgym_hindsight.envs.alfworld.game_facts import AlfworldExtra
    from agentgym_hindsight.envs.alfworld.layouts import DIFFICULTIES, Difficulty
    from agentgym_hindsight.envs.alfworld.object_types import STATIONS, TASK_SENTENCES
    from agentgym_hindsight.envs.alfworld.official import OFFICIAL_COUNTS
    from agentgym_hindsight.envs.alfworld.reasons import REASON_KINDS
    from agentgym_hindsight.envs.alfworld.scene import TASK_TYPES

    if tuple(REASON_MEANING) != REASON_KINDS:
        raise SystemExit("docs/generate.py: REASON_MEANING and REASON_KINDS differ; mend REASON_MEANING.")
    splits = [(f"`{name}`", SIZES.get(name, "–"), OFFICIAL_COUNTS[name]) for name in kind.splits]  # type: ignore[attr-defined]
    knobs = [field.name for field in fields(Difficulty) if field.name != "name"]
    levels = [(f"`{name}`", *(getattr(level, knob) for knob in knobs)) for name, level in DIFFICULTIES.items()]
    types = [
        (f"`{name}`", STATIONS.get(name, ("–", ""))[0], "<br>".join(f"`{text}`" for text in TASK_SENTENCES[name]))
        for name in TASK_TYPES
    ]
    reasons = [(f"`{name}`", meaning) for name, meaning in REASON_MEANING.items()]
    return [
        '## What ALFWorld adds: `info["extra"]`\n\nFacts are attributes and keys, worked out when looked at.\n\n'
        + table(("fact", "meaning"), list(_rst_rows(AlfworldExtra.__doc__ or ""))),
        "## Splits\n\nTasks in the embedded houses, and games in the whole official release.\n\n"
        + table(("split", "embedded", "official"), splits),
        "## Difficulty\n\nEmbedded houses only. Factors on what official rooms hold on average.\n\n"
        + table(("`difficulty`", *(f"`{knob}`" for knob in knobs)), levels)
        + "\n\n`distractors` are further things of the target's own type; `traps` can be taken and never be put down.",
        "## Task types\n\nEach has two sentences. The station is where the thing has to be changed.\n\n"
        + table(("`task_types`", "station", "sentences"), types),
        '## Reasons\n\n`info["extra"].reason` is `None` or has `kind`, `text` and `nearest`, a legal command near to '
        "the one given. It speaks only of what a player can know: a thing out of sight and a thing that does not exist "
        f"get the same answer.\n\n{table(('`kind`', 'what stands in the way'), reasons)}",
    ]


def webshop_sections(kind: type) -> list[str]:
    from agentgym_hindsight.envs.webshop import reward, session
    from agentgym_hindsight.envs.webshop.feedback import REASON_KINDS
    from agentgym_hindsight.envs.webshop.library import open_library
    from agentgym_hindsight.envs.webshop.shop_facts import WebshopExtra
    from agentgym_hindsight.errors import UsageError

    if tuple(SHOP_REASON_MEANING) != REASON_KINDS:
        raise SystemExit("docs/generate.py: SHOP_REASON_MEANING and REASON_KINDS differ; mend SHOP_REASON_MEANING.")
    sizes = []
    for goals in ("synthetic", "human"):
        for rules in ("strict", "official"):
            library = open_library("embedded", goals=goals, rules=rules)
            counts: list[object] = []
            for split in kind.splits:  # type: ignore[attr-defined]
                try:
                    counts.append(library.count(split))
                except UsageError:  # a split without goals
                    counts.append("–")
            sizes.append((f"`{goals}`", f"`{rules}`", *counts))
    reasons = [(f"`{name}`", meaning) for name, meaning in SHOP_REASON_MEANING.items()]
    both = ("situation", '`rules="official"`', '`rules="strict"` (default)')
    return [
        '## What WebShop adds: `info["extra"]`\n\nFacts are attributes and keys, worked out when looked at.\n\n'
        + table(("fact", "meaning"), list(_rst_rows(WebshopExtra.__doc__ or "")))
        + "\n\n`reward_parts` and `review` hold what the goal hides: they are `None` until the episode is over.",
        "## Two rule sets\n\nEvery result names its rule set. `official` is the original to its last quirk, for "
        "figures that can be compared with published ones; `strict` mends what misleads an agent that learns.\n\n"
        + table(both, _rst_table(session.__doc__ or ""))
        + "\n\nBoth understand `search[…]` on every page, whether or not it shows a search bar.",
        "## Reward\n\n`r = r_type · (attributes matched + options matched + price within the cap) / "
        "(attributes + options + 1)`\n\n" + table(("part", *both[1:]), _rst_table(reward.__doc__ or "")),
        "## Splits\n\nGoals of the embedded shop of 1,000 products (`products=1000`, `shop_seed=0`).\n\n"
        + table(("`goals`", "`rules`", *(f"`{split}`" for split in kind.splits)), sizes),  # type: ignore[attr-defined]
        '## Reasons\n\n`info["extra"].reason` is `None` or has `kind`, `text` and `nearest`, a legal action near to '
        "the one given. It speaks only of what the page shows.\n\n"
        + table(("`kind`", "what stands in the way"), reasons),
    ]


def appworld_sections(kind: type) -> list[str]:
    from agentgym_hindsight.envs.appworld.miniature.hamlet import APPS
    from agentgym_hindsight.envs.appworld.miniature.tasks import PER_TEMPLATE, SPLITS, make, templates

    apps = [(f"`{app.name}`", len(app.apis), app.description) for app in APPS.values()]
    found = sorted(templates(), key=lambda each: (SPLITS.index(each.split), each.difficulty, each.name))
    rows = [
        (f"`{each.name}`", each.split, each.difficulty, _asked(each.build), make(each.name, 0).job.instruction)
        for each in found
    ]
    sizes = [
        (f"`{split}`", len(templates(split)), PER_TEMPLATE[split], len(templates(split)) * PER_TEMPLATE[split])
        for split in SPLITS
    ]
    tables = sum(len(app.tables) for app in APPS.values())
    return [
        f"## Apps\n\nOf the miniature world: {sum(row[1] for row in apps)} APIs over {tables} tables.\n\n"
        + table(("app", "APIs", "what it is for"), apps),
        "## Splits and tasks\n\nOf the miniature world. No template serves two splits, and each split has worlds of "
        "its own.\n\n" + table(("split", "templates", "tasks of each", "tasks"), sizes),
        "Difficulty: 1 is one app and one look, 2 some apps or many pages, 3 conditions, sums and several apps. The "
        'template is the category of a result, and `templates=["set_alarm"]` or `difficulty=1` plays some alone.\n\n'
        + table(("template", "split", "difficulty", "what it is", "for example"), rows),
    ]


def _asked(build: Callable[..., object]) -> str:
    """The first line of a template's docstring."""
    return markdown((build.__doc__ or "").strip().split("\n")[0])


#: What only one env has, by the folder it lives in.
SECTIONS: dict[str, Callable[[type], list[str]]] = {
    "alfworld": alfworld_sections,
    "webshop": webshop_sections,
    "appworld": appworld_sections,
}


def _rst_rows(docstring: str) -> Iterator[tuple[str, str]]:
    """The rows of the simple table in a docstring."""
    lines = inspect.cleandoc(docstring).splitlines()
    begin, end = (number for number, line in enumerate(lines) if line.startswith("==="))
    for line in lines[begin + 1 : end]:
        name, _, meaning = line.partition("  ")
        yield markdown(name.strip()), markdown(meaning.strip())


def _rst_table(docstring: str) -> list[tuple[str, ...]]:
    """The body of the simple table with a header in a docstring; a line without its first or last cell goes on."""
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
