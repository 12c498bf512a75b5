"""The table of checks, and the function that runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, overload

import gymnasium as gym

from agentgym_hindsight.errors import ConformanceError, UsageError
from agentgym_hindsight.testing import (
    api_checks,
    behaviour_checks,
    convention_checks,
    hindsight_checks,
    snapshot_checks,
)
from agentgym_hindsight.testing.env_under_test import EnvUnderTest, NotOffered, NotPlayable

__all__ = ["CHECKS", "ConformanceReport", "Finding", "check_hindsight_env"]

#: Every check by name, in the order in which problems should be fixed. The docstring of a check states its rule. A
#: check raises ConformanceError.
CHECKS: tuple[tuple[str, Callable[[EnvUnderTest], None]], ...] = (
    ("episodes play", api_checks.check_episodes_play),
    ("info keys", api_checks.check_info_keys),
    ("info types", api_checks.check_info_types),
    ("info keys are constant", api_checks.check_constant_keys),
    ("info values", api_checks.check_info_values),
    ("step types", api_checks.check_step_types),
    ("gymnasium", api_checks.check_gymnasium),
    ("reset needed", api_checks.check_reset_needed),
    ("source times", hindsight_checks.check_source_times),
    ("terminal episode", hindsight_checks.check_episode),
    ("future", hindsight_checks.check_future),
    ("sources differ", hindsight_checks.check_sources_differ),
    ("no leak", hindsight_checks.check_no_leak),
    ("record", hindsight_checks.check_recorded),
    ("determinism", behaviour_checks.check_determinism),
    ("global generators", api_checks.check_global_rng),
    ("task identity", behaviour_checks.check_task_identity),
    ("task replay", behaviour_checks.check_task_replay),
    ("unknown task", behaviour_checks.check_unknown_task),
    ("anchors", behaviour_checks.check_anchors),
    ("admissible actions", behaviour_checks.check_admissible),
    ("nonsense", behaviour_checks.check_nonsense),
    ("odd actions", behaviour_checks.check_odd_actions),
    ("truncation", behaviour_checks.check_truncation),
    ("early calls", convention_checks.check_early_calls),
    ("example action", convention_checks.check_example_action),
    ("panel", convention_checks.check_panel),
    ("time limit", convention_checks.check_time_limit),
    ("pickling", api_checks.check_pickling),
    ("spec", api_checks.check_spec),
    ("snapshots", snapshot_checks.check_snapshots),
)


class Finding(NamedTuple):
    """One failed check, and how to fix the problem."""

    check: str
    message: str


@dataclass(frozen=True, slots=True)
class ConformanceReport:
    """The result of :func:`check_hindsight_env`: the checks that passed, that failed, and that could not run.

    ``absent`` names optional parts of the standard that the env does not offer, and why: they were not checked.
    """

    passed: tuple[str, ...]
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...]
    absent: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return not self.findings

    def __str__(self) -> str:
        lines = [f"{len(self.passed)} passed, {len(self.findings)} failed, {len(self.skipped)} could not run"]
        lines += [f"- {finding.check}: {finding.message}" for finding in self.findings]
        lines += [f"- {name}: could not run, no episode can be played" for name in self.skipped]
        lines += [f"- {finding.check}: not offered, so not checked: {finding.message}" for finding in self.absent]
        return "\n".join(lines)


@overload
def check_hindsight_env(
    env: gym.Env[Any, Any] | Callable[[], gym.Env[Any, Any]],
    *,
    episodes: int = 3,
    seed: int = 0,
    respond: Callable[[str], str] | None = None,
    actions: Sequence[str] = (),
    report: Literal[False] = False,
) -> None: ...
@overload
def check_hindsight_env(
    env: gym.Env[Any, Any] | Callable[[], gym.Env[Any, Any]],
    *,
    episodes: int = 3,
    seed: int = 0,
    respond: Callable[[str], str] | None = None,
    actions: Sequence[str] = (),
    report: Literal[True],
) -> ConformanceReport: ...
def check_hindsight_env(
    env: gym.Env[Any, Any] | Callable[[], gym.Env[Any, Any]],
    *,
    episodes: int = 3,
    seed: int = 0,
    respond: Callable[[str], str] | None = None,
    actions: Sequence[str] = (),
    report: bool = False,
) -> ConformanceReport | None:
    """Check that an env follows the standard of this library. Raises ConformanceError for the first problem.

    The env may be of this library or another, wrapped or not. It is reset and played, but never closed.

    Args:
        env: an env, or a function that makes one. A second env is made from the spec; without a spec the env is copied.
        episodes: the number of episodes. Only the first reset gets the seed.
        seed: the seed of the first reset and of the choice of actions.
        respond: converts an action to the input of the env; the default is the ``format_response`` of an
            :class:`~agentgym_hindsight.wrappers.ActionParser` in the stack.
        actions: actions to play in states that list no admissible action and have no expert action, instead of
            ``info["extra"].example_actions``.
        report: return all problems as a :class:`ConformanceReport` instead of raising the first.

    >>> import gymnasium as gym, agentgym_hindsight
    >>> check_hindsight_env(gym.make("ALFWorld-Hindsight-v0", data="embedded", max_steps=8))
    """
    if episodes < 1:
        raise UsageError(f"Expected at least one episode to check, got {episodes}; try 3.")
    if isinstance(actions, str):
        raise UsageError(f"Expected actions as a sequence of texts, got {actions!r}; try a list.")
    if not isinstance(env, gym.Env) and not callable(env):
        raise UsageError(f"Expected a gymnasium.Env or a function that makes one, got {env!r}; try gym.make(id).")
    tested = EnvUnderTest(env, episodes=episodes, seed=seed, respond=respond, actions=actions)
    passed: list[str] = []
    findings: list[Finding] = []
    skipped: list[str] = []
    absent: list[Finding] = []
    for name, check in CHECKS:
        try:
            check(tested)
        except ConformanceError as error:
            if not report:
                raise
            if isinstance(error, NotPlayable) and findings:
                skipped.append(name)
            else:
                findings.append(Finding(name, str(error)))
        except NotOffered as missing:
            absent.append(Finding(name, str(missing)))
        except Exception as error:
            # If an env breaks one rule, checks that depend on this rule can raise other errors.
            message = f"Expected the check {name!r} to run, got {type(error).__name__}: {error}"
            if not report:
                raise ConformanceError(message) from error
            findings.append(Finding(name, message))
        else:
            passed.append(name)
    return ConformanceReport(tuple(passed), tuple(findings), tuple(skipped), tuple(absent)) if report else None
