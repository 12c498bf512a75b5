"""The table of checks, in the order in which they are worth mending, and the call that runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, overload

import gymnasium as gym

from agentgym_hindsight.errors import ConformanceError, UsageError
from agentgym_hindsight.testing import behaviour, frame, hindsight
from agentgym_hindsight.testing.env_under_test import EnvUnderTest, NotPlayable

__all__ = ["CHECKS", "ConformanceReport", "Finding", "check_hindsight_env"]

#: Every check by name. A check reads like the sentence in its docstring and raises ConformanceError.
CHECKS: tuple[tuple[str, Callable[[EnvUnderTest], None]], ...] = (
    ("episodes play", frame.check_episodes_play),
    ("info keys", frame.check_info_keys),
    ("info types", frame.check_info_types),
    ("info keys are constant", frame.check_constant_keys),
    ("info values", frame.check_info_values),
    ("step types", frame.check_step_types),
    ("gymnasium", frame.check_gymnasium),
    ("reset needed", frame.check_reset_needed),
    ("source times", hindsight.check_source_times),
    ("terminal episode", hindsight.check_episode),
    ("future", hindsight.check_future),
    ("sources differ", hindsight.check_sources_differ),
    ("no leak", hindsight.check_no_leak),
    ("record", hindsight.check_recorded),
    ("determinism", behaviour.check_determinism),
    ("global generators", frame.check_global_rng),
    ("task identity", behaviour.check_task_identity),
    ("task replay", behaviour.check_task_replay),
    ("unknown task", behaviour.check_unknown_task),
    ("anchors", behaviour.check_anchors),
    ("admissible actions", behaviour.check_admissible),
    ("nonsense", behaviour.check_nonsense),
    ("odd actions", behaviour.check_odd_actions),
    ("truncation", behaviour.check_truncation),
    ("pickling", frame.check_pickling),
    ("spec", frame.check_spec),
)


class Finding(NamedTuple):
    """One check that failed, and how to mend it."""

    check: str
    message: str


@dataclass(frozen=True, slots=True)
class ConformanceReport:
    """What :func:`check_hindsight_env` found: the checks that passed, those that failed, those that could not run."""

    passed: tuple[str, ...]
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        lines = [f"{len(self.passed)} passed, {len(self.findings)} failed, {len(self.skipped)} could not run"]
        lines += [f"- {finding.check}: {finding.message}" for finding in self.findings]
        lines += [f"- {name}: could not run, no episode can be played" for name in self.skipped]
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
    """Certify that an env keeps the standard of this library. Raises ConformanceError with the first thing to mend.

    Any env will do, of this library or not, bare or wrapped. The env is played and reset, never closed.

    Args:
        env: an env, or a function that makes one. An env is built again from its spec, without one it is copied.
        episodes: how many are played; the first is seeded.
        seed: for those episodes and the choice of actions.
        respond: turns an action into what the env wants to be given; by default the ``format_response`` of an
            :class:`~agentgym_hindsight.wrappers.ActionParser` in the stack.
        actions: what to do where no admissible action is listed and no expert asked: without them, only nonsense is
            played there, and a world that does not move shows little.
        report: return everything found as a :class:`ConformanceReport` instead of raising the first.

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
        except Exception as error:
            # An env that breaks one rule may break the tools of the checks that build on it.
            message = f"Expected the check {name!r} to run, got {type(error).__name__}: {error}"
            if not report:
                raise ConformanceError(message) from error
            findings.append(Finding(name, message))
        else:
            passed.append(name)
    return ConformanceReport(tuple(passed), tuple(findings), tuple(skipped)) if report else None
