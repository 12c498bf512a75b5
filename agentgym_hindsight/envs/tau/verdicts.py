"""The verdict of an episode in words. It contains the answer, so it is only ever hindsight."""

from __future__ import annotations

from agentgym_hindsight.envs.tau.rewards import Evaluation

__all__ = ["verdict_text"]

_MOST_RECORDS, _MOST_CHARACTERS = 8, 300


def verdict_text(evaluation: Evaluation) -> str:
    """Which checks passed, which records differ from the wanted ones, and what was not said."""
    passed, total = evaluation.checks
    lines = [f"Verdict: {passed} of {total} checks passed, reward {evaluation.reward:g}."]
    if evaluation.database_matches:
        lines.append("The records are as wanted.")
    for number, ((table, key), (have, want)) in enumerate(evaluation.differing.items()):
        if number == _MOST_RECORDS:
            lines.append(f"{len(evaluation.differing) - number} more records differ.")
            break
        lines.append(_difference(f"{table}/{key}", have, want))
    for output, said in evaluation.outputs.items():
        lines.append(f"The user was {'told' if said else 'not told'} {output!r}.")
    return "\n".join(lines)


def _difference(place: str, have: str, want: str) -> str:
    """The part in which two texts of a record differ."""
    if not have or not want:
        return f"{place} {'is missing' if not have else 'should not exist'}."
    begin = 0
    while begin < min(len(have), len(want)) and have[begin] == want[begin]:
        begin += 1
    end = 0
    while end < min(len(have), len(want)) - begin and have[-1 - end] == want[-1 - end]:
        end += 1
    begin, end = max(0, begin - 60), max(0, end - 20)
    have, want = have[begin : len(have) - end], want[begin : len(want) - end]
    return f"{place} has …{have[:_MOST_CHARACTERS]}… and should have …{want[:_MOST_CHARACTERS]}…"
