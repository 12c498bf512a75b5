"""The genuine ALFWorld engine with the interface of the native one: the reference for the native engine.

It consists of the same parts as the games of ``AlfredTWEnv``: textworld's PDDL environment inside alfworld's
demangler, without the batching and the step limit. Text and commands are therefore those of ``AlfredTWEnv``. A reset
takes one to two seconds, a step about 45 ms. The native engine does not need this module.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agentgym_hindsight.errors import BackendError, MissingDataError, MissingExtraError, ResetNeededError

__all__ = ["GenuinePlay"]

_DATA = "ALFWORLD_DATA"

#: textworld 1.7.0 evaluates its grammar with ``locals().update``, which has no effect from this Python version on.
_BROKEN_SINCE = (3, 13)


class GenuinePlay:
    """One game file in the genuine engine."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.observation = ""
        self.won = False
        self.reward = 0
        self.done = False
        self.admissible: tuple[str, ...] = ()
        self._env: Any = None
        self._started = False
        if not os.path.isfile(self.path):
            raise MissingDataError(
                f"Expected a game file, found nothing at {self.path}; try the path of a game.tw-pddl file."
            )

    def reset(self) -> str:
        """Restart the game and return its opening text."""
        try:
            if self._env is None:
                self._env = _open(self.path)
            self._store(self._env.reset(), 0, False)
        except (MissingExtraError, BackendError):
            raise
        except Exception as error:
            raise self._failure("reset", error) from error
        self._started = True
        return self.observation

    def step(self, command: str) -> str:
        """Execute a command and return the reply."""
        if not self._started:
            raise ResetNeededError("Expected reset() before step(), got step(); try reset() first.")
        try:
            self._store(*self._env.step(command))
        except Exception as error:
            raise self._failure(f"step({command[:80]!r})", error) from error
        return self.observation

    def close(self) -> None:
        """Close the engine; a later reset starts a new one."""
        env, self._env, self._started = self._env, None, False
        if env is not None:
            env.close()

    def __enter__(self) -> GenuinePlay:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _store(self, state: Any, reward: int, done: bool) -> None:
        self.reward, self.done = reward, bool(done)
        self.observation = state.feedback
        self.won = bool(state.won)
        self.admissible = tuple(state.admissible_commands)

    def _failure(self, call: str, error: Exception) -> BackendError:
        message = f"The genuine ALFWorld engine failed in {call} of {self.path}: {type(error).__name__}: {error}"
        if sys.version_info >= _BROKEN_SINCE and isinstance(error, NameError):
            message += (
                ". Known cause: textworld 1.7.0 and older do not work on Python 3.13 and newer "
                "(their grammar changes locals()); try Python 3.12 or older, or the native engine"
            )
        return BackendError(message)


@contextmanager
def _unchanged_data_variable() -> Iterator[None]:
    """Import alfworld without an effect on the environment variable ``ALFWORLD_DATA``.

    If the variable is empty, alfworld tries to create a folder of this name and fails. If it is unset, alfworld sets
    it to its own default; this process and its children would then take the default for the user's choice.
    """
    original = os.environ.get(_DATA)
    if not original:
        os.environ.pop(_DATA, None)
    try:
        yield
    finally:
        if original is None:
            os.environ.pop(_DATA, None)
        else:
            os.environ[_DATA] = original


def _open(path: str) -> Any:
    try:
        with _unchanged_data_variable():
            textworld = importlib.import_module("textworld")
            wrappers = importlib.import_module("alfworld.agents.environment.alfred_tw_env")
            importlib.import_module("fast_downward")  # textworld needs it only when a game is opened
    except ImportError as error:
        raise MissingExtraError("alfworld", "alfworld", "The genuine ALFWorld engine") from error
    infos = textworld.EnvInfos(won=True, admissible_commands=True, extras=["gamefile"])
    return textworld.start(path, infos, wrappers=[wrappers.AlfredDemangler(shuffle=False), wrappers.AlfredInfos])
