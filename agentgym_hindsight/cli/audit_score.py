"""``agh audit score FILE --credit module:NAME``: how well a credit of one's own agrees with a measured truth."""

from __future__ import annotations

import argparse

from agentgym_hindsight.baselines.audit.credits import credit_methods, credits_of, own_credit
from agentgym_hindsight.baselines.audit.summary import Score, score
from agentgym_hindsight.baselines.audit.turn_table import ANCHORS, SAYS, TurnTable
from agentgym_hindsight.cli.audit_files import truth_file
from agentgym_hindsight.cli.audit_tables import print_scores
from agentgym_hindsight.cli.terminal import output, print_json
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.names import import_object, known_name

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Print the score of ``--credit``, or of all columns and credits if there is none."""
    if options.score[0].casefold() != "score" or len(options.score) != 2:
        raise UsageError(
            f"Expected agh audit score FILE, got {' '.join(options.score)!r}; try agh audit score turns.parquet."
        )
    file = truth_file(options.score[1])
    anchor = known_name("kind of anchor in an audit", options.anchor, ANCHORS)
    table = TurnTable.load(file)
    reference = known_name("column of the audit", options.reference, table.names(SAYS))
    scores: list[Score] = []
    if options.credit:
        credit = import_object("credit", options.credit)
        scores.append(score(table, own_credit(table, credit, anchor, options.credit), options.credit, reference))
        # For comparison, the reference as it is in the file.
        scores.append(score(table, table.column(SAYS + reference), reference, reference))
    else:
        stored = {name: table.column(SAYS + name) for name in table.names(SAYS)}
        for name, values in {**stored, **credits_of(table, credit_methods())}.items():
            scores.append(score(table, values, name, reference))
        scores.sort(key=lambda each: -each.spearman.value)
    if options.json:
        print_json({"file": str(file), "reference": reference, "scores": [each.as_dict() for each in scores]})
    else:
        print_scores(output(), scores, reference)
    return 0
