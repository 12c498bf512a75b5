"""``agh methods``: every training method with its paper, its values, its evidence and its page."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rich.table import Table

from agentgym_hindsight.baselines.methods import RECIPES, about, recipe
from agentgym_hindsight.cli.shared import output


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="show the values of one method")
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def run(options: argparse.Namespace) -> int:
    names = [options.name] if options.name else list(RECIPES)
    if options.json:
        print(json.dumps([_facts(name) for name in names], indent=2))
        return 0
    if options.name:
        facts = _facts(options.name)
        table = Table("value", "default", title=f"{facts['name']}: {facts['summary']}", title_justify="left")
        for key, value in facts["values"].items():
            table.add_row(key, json.dumps(value))
        output().print(table)
        output().print(f"{facts['paper']} · evidence: {facts['evidence']} · {facts['page']}", highlight=False)
        return 0
    table = Table("name", "needs", "paper", "evidence", "what it does")
    for name in names:
        facts = _facts(name)
        table.add_row(name, facts["needs"], facts["paper"], facts["evidence"], facts["summary"])
    output().print(table)
    return 0


def _facts(name: str) -> dict[str, Any]:
    method, known = recipe(name), about(name)
    needs = [part for part, is_needed in (("teacher", method.has_teacher), ("critic", method.critic)) if is_needed]
    return {
        "name": known.name,
        "summary": known.summary,
        "paper": known.paper,
        "evidence": known.evidence,
        "needs": " + ".join(needs) or "no model",
        "page": known.page,
        "values": dict(method.as_dict()),
    }
