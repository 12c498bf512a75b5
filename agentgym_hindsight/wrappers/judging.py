"""Feedback of a judge at the end of an episode."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

import gymnasium as gym

from agentgym_hindsight.envs.plain_values import row
from agentgym_hindsight.envs.plain_values import text as text_value
from agentgym_hindsight.errors import JudgeError, UnknownNameError, UsageError
from agentgym_hindsight.hindsight.sources import Feedback, Hindsight, Provenance
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.wrappers.base import StepResult, TextWrapper, annotate, final_hindsight, require_record
from agentgym_hindsight.wrappers.snapshots import RestoreInner, require_argument

__all__ = ["Judge", "JudgeFeedback"]

_WHEN = ("episode", "failure")
_log = logging.getLogger(__name__)


class Judge(Protocol):
    """An object that judges a rollout.

    The answer is a text, ``None``, or a :class:`~agentgym_hindsight.hindsight.judge.Judgement`.
    """

    def judge_trajectory(self, trajectory: Trajectory, reference: Trajectory | None = None) -> Any: ...


class _ClientReference:
    """Contains a client in the constructor arguments. An env spec is deep-copied; the client must not be."""

    def __init__(self, client: Judge) -> None:
        self.client = client

    def __deepcopy__(self, memo: dict[int, Any]) -> _ClientReference:
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ClientReference) and self.client is other.client

    def __hash__(self) -> int:
        return id(self.client)


class JudgeFeedback(TextWrapper):
    """Replaces the current trajectory by a judge's text, in the terminal hindsight and its ``.episode``.

    The feedback has the provenance ``JUDGE``. The last recorded step has the text as ``extra["judge"]``. If the judge
    fails or gives no text, nothing changes: the failure is logged and counted in ``failures``.

    Args:
        client: a judge, or a mapping of :class:`~agentgym_hindsight.hindsight.judge.JudgeClient` arguments, which keeps
            the env's spec writable as JSON.
        every: ``"episode"``, or ``"failure"`` for episodes that were not won.

    >>> import gymnasium as gym, agentgym_hindsight
    >>> class Terse:
    ...     def judge_trajectory(self, trajectory, reference=None):
    ...         return f"This rollout {'succeeded' if trajectory.won else 'failed'}."
    >>> env = JudgeFeedback(gym.make("ALFWorld-Hindsight-v0", data="embedded", max_steps=1), Terse())
    >>> obs, info = env.reset(seed=0)
    >>> env.step("look")[-1]["hindsight"].current_trajectory
    Feedback('This rollout failed.', judge, step=0)
    """

    judges_episodes = True

    def __init__(self, env: gym.Env[str, str], client: Judge | Mapping[str, Any] | Any, every: str = "episode") -> None:
        if every not in _WHEN:
            raise UnknownNameError("time to judge", every, _WHEN)
        judge: Any = client.client if isinstance(client, _ClientReference) else client
        saved_client: Any = _ClientReference(judge)
        if isinstance(judge, Mapping):
            saved_client = dict(judge)
            judge = _client(saved_client)
        if not callable(getattr(judge, "judge_trajectory", None)):
            raise UsageError(
                f"Expected a judge with judge_trajectory(trajectory, reference=None), got {type(judge).__name__}; "
                "try agentgym_hindsight.hindsight.judge.JudgeClient."
            )
        super().__init__(env, client=saved_client, every=every)
        require_record(env, "JudgeFeedback")
        self.client: Judge = judge
        self.every = every
        self.failures = 0
        self._text = ""  # of the judge on the present episode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        self._text = ""
        return self.env.reset(seed=seed, options=options)

    def snapshot_state(self) -> Any:
        """The judge's text, for :func:`~agentgym_hindsight.wrappers.snapshot_of`. ``failures`` counts on."""
        return self.every, self._text

    def restore_state(self, state: Any, restore_inner: RestoreInner) -> tuple[str, dict[str, Any]]:
        """Set what :meth:`snapshot_state` returned, and the env inside."""
        every, judged = row(state, "wrappers.JudgeFeedback", 2)
        require_argument(self, "every", self.every, every)
        saved = text_value(judged, "wrappers.JudgeFeedback")
        observation, info = restore_inner()
        self._text = saved
        return observation, info | {"hindsight": _with_judgement(info["hindsight"], saved)} if saved else info

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if isinstance(self._saved_kwargs["client"], dict):
            del state["client"]  # contains a lock; __setstate__ makes it again from its arguments
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "client" not in state:
            self.client = _client(self._saved_kwargs["client"])

    def step(self, action: str) -> StepResult:
        observation, reward, terminated, truncated, info = self.env.step(action)
        over = terminated or truncated
        self._text = ""
        if over and not (self.every == "failure" and info["won"]):
            text = self._judge(truncated and not terminated)
            if text:
                self._text = text
                annotate(self.env, extra={"judge": text})
                hindsight = final_hindsight(self.env, info["hindsight"], over)
                info = info | {"hindsight": _with_judgement(hindsight, text)}
        return observation, float(reward), terminated, truncated, info

    def _judge(self, truncated: bool) -> str:
        """The judge's text, stripped; "" if it failed or gave none. A judge must never break an episode."""
        try:
            answer = self.client.judge_trajectory(self.get_wrapper_attr("trajectory")(truncated=truncated))
            if getattr(answer, "error", ""):
                raise JudgeError(answer.error)
            text = getattr(answer, "text", answer)
            if text is not None and not isinstance(text, str):
                raise JudgeError(f"Expected text from the judge, got {type(text).__name__}; try returning a str.")
            return (text or "").strip()
        except Exception as error:
            self.failures += 1
            _log.warning("no judge feedback for this episode: %s: %s", type(error).__name__, error)
            return ""


def _client(arguments: Mapping[str, Any]) -> Judge:
    from agentgym_hindsight.hindsight.judge import JudgeClient  # imports an HTTP client, so only when needed

    try:
        return JudgeClient(**arguments)
    except TypeError as error:
        raise UsageError(f"Expected arguments of JudgeClient, got {', '.join(arguments)} ({error}).") from error


def _with_judgement(hindsight: Hindsight, text: str) -> Hindsight:
    def replaced(each: Hindsight) -> Hindsight:
        current = each.current_trajectory
        return each.replace(
            current_trajectory=Feedback(text, Provenance.JUDGE, current.step if current is not None else 0)
        )

    last = replaced(hindsight)
    if not hindsight.is_final:
        return last
    return last.with_episode(lambda: tuple(replaced(each) for each in hindsight.episode))
