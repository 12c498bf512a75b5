"""Parse AppWorld's replies: whether a program failed, the cause, and the results of the tests.

Of a failed test only the *requirement* is read. Its ``trace`` contains the expected values, which neither the agent nor
a teacher may see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from agentgym_hindsight.errors import WorkerError

__all__ = ["Verdict", "cause_of", "failed", "read_verdict"]

_FAILED = "Execution failed. Traceback:"
_NO_CODE = "No code available to execute."
_PASSES_WITHOUT_ACTION = "no_op_pass"  # AppWorld's label of a test that passes if the agent does nothing


class Verdict(NamedTuple):
    """The requirements of a task that hold (``passes``) and that do not (``failures``)."""

    passes: tuple[str, ...]
    failures: tuple[str, ...]
    begun: bool = True  # a requirement holds that would fail if the agent did nothing

    @property
    def score(self) -> float:
        """The share of the requirements that hold.

        >>> Verdict(("a", "b", "c"), ("d",)).score, Verdict((), ()).score
        (0.75, 0.0)
        """
        total = len(self.passes) + len(self.failures)
        return len(self.passes) / total if total else 0.0

    @property
    def reward(self) -> float:
        """The score, or 0 if nothing was done for it: ending at once must give no reward.

        >>> Verdict(("a", "b"), ("c", "d")).reward, Verdict(("a", "b"), ("c", "d"), begun=False).reward
        (0.5, 0.0)
        """
        return self.score if self.begun else 0.0

    @property
    def won(self) -> bool:
        """All requirements hold."""
        return bool(self.passes) and not self.failures

    def closed(self) -> Verdict:
        """The counts without the requirements, for splits whose requirements are hidden."""
        return Verdict(("(not told)",) * len(self.passes), ("(not told)",) * len(self.failures), self.begun)

    def describe(self) -> str:
        """The requirements, one per line."""
        lines = [f"{len(self.passes)} of {len(self.passes) + len(self.failures)} requirements hold."]
        lines += [f"Passed: {text}" for text in self.passes]
        lines += [f"Failed: {text}" for text in self.failures]
        return "\n".join(lines)


def read_verdict(tracker: object) -> Verdict:
    """Parse AppWorld's test tracker, in the form that its ``to_dict`` returns.

    >>> read_verdict({"passes": [{"requirement": "a"}], "failures": [{"requirement": "b", "trace": "secret"}]})
    Verdict(passes=('a',), failures=('b',), begun=True)
    """
    if not isinstance(tracker, Mapping):
        raise WorkerError(f"Expected AppWorld's test results, got {type(tracker).__name__}; try a new server.")
    passes, failures = _requirements(tracker, "passes"), _requirements(tracker, "failures")
    total = tracker.get("num_tests")
    if isinstance(total, int) and total > len(passes) + len(failures):
        # A check that crashes ends the evaluation. Checks that did not run count as failures.
        missing = total - len(passes) - len(failures)
        failures = (*failures, *("(a requirement that could not be checked)",) * missing)
    labels = [row.get("label") for row in tracker["passes"] if isinstance(row, Mapping)]
    return Verdict(passes, failures, not failures or any(label != _PASSES_WITHOUT_ACTION for label in labels))


def _requirements(tracker: Mapping[str, Any], name: str) -> tuple[str, ...]:
    rows = tracker.get(name)
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise WorkerError(
            f"Expected a list of {name} in AppWorld's test results, got {type(rows).__name__}; try a new server."
        )
    return tuple(str(row.get("requirement", "")) if isinstance(row, Mapping) else "" for row in rows)


def failed(output: str) -> bool:
    """Whether a program did not run to its end, according to its output.

    >>> failed("Execution failed. Traceback:\\nZeroDivisionError: division by zero"), failed("Execution successful.")
    (True, False)
    """
    return output.startswith(_FAILED) or output == _NO_CODE


def cause_of(output: str) -> str:
    """The line of a failed program's output that names the cause; for a refused API call, status and message.

    >>> cause_of('Execution failed. Traceback:\\n  File "<python-input>", line 1\\nNameError: no h')
    'NameError: no h'
    >>> cause_of('Execution failed. Traceback:\\nException: Response status code is 401:\\n{"message":"No."}')
    'Exception: Response status code is 401: {"message":"No."}'
    """
    if not failed(output):
        return ""
    lines = [line.strip() for line in output.removeprefix(_FAILED).splitlines() if line.strip()]
    if not lines:
        return "The program failed without a message."
    for place in range(len(lines) - 1, -1, -1):
        if "Response status code is" in lines[place] or lines[place].startswith("Syntax error in line"):
            return " ".join(lines[place:])
    return lines[-1]
