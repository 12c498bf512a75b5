"""The hooks of a method of one's own are called once before the warm start, with questions that get empty answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.replacing import Replacement
from agentgym_hindsight.baselines.methods.scripted_ask import ScriptedAsk
from agentgym_hindsight.baselines.training.configuration import configure
from agentgym_hindsight.baselines.training.own_code import check_own_code
from agentgym_hindsight.baselines.training.own_hooks import try_hooks
from agentgym_hindsight.baselines.training.preflight import prepare
from agentgym_hindsight.baselines.training.timing import PhaseTimer
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.spec import ContextSpec
from tests.baselines.training.hooked import METHOD


@dataclass(frozen=True)
class Mine(Method):
    #: What the hooks do; ``None``: nothing.
    writes: Callable[[Any, Any], Any] | None = None
    plays: Callable[[Any, Any], Any] | None = None

    def contexts(self, groups: Any, ask: Any) -> Any:
        return super().contexts(groups, ask) if self.writes is None else self.writes(groups, ask)

    def resample(self, groups: Any, ask: Any) -> Any:
        return () if self.plays is None else self.plays(groups, ask)


MINE = Mine("mine", GroupRelative(), kl=0.0)


def test_hooks_that_work_pass() -> None:
    try_hooks(METHOD)
    try_hooks(MINE)
    try_hooks(replace(MINE, what=ContextSpec.parse("judge")))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"writes": lambda groups, ask: [ask(["a"])]}, "contexts for 2 groups from contexts of 'mine', got 1"),
    ({"writes": lambda groups, ask: groups.nothing}, "Expected contexts of the method 'mine' to work.*AttributeError"),
    ({"writes": lambda groups, ask: ask("a")}, r"try ask\(\[prompt\]\)"),
    ({"plays": lambda groups, ask: ask(["a"], who="me")}, "me"),
    ({"plays": lambda groups, ask: [ask(["a"])]}, "a list of Replacement from resample of 'mine'"),
    (
        {"plays": lambda groups, ask: ask(["a"], who="endpoint") and []},
        "a server for who='endpoint'.*analyser.base_url",
    ),
    ({"plays": lambda groups, ask: [Replacement(2, 0)]}, "got group 2, member 0"),
    ({"plays": lambda groups, ask: int(ask(["a"])[0])}, "Expected resample of the method 'mine' to work.*ValueError"),
]


@pytest.mark.parametrize(("values", "says"), WRONG, ids=[says for _, says in WRONG])
def test_hooks_that_fail_are_named_before_the_warm_start(values: dict[str, Any], says: str) -> None:
    settings = replace(configure("grpo"), method=replace(MINE, **values))
    with pytest.raises(UsageError, match=says):
        check_own_code(settings)


def test_scripted_answers() -> None:
    ask = ScriptedAsk(MINE, lambda messages: messages[-1]["content"][:2])
    assert ask(["one", [{"role": "system", "content": "two"}]]) == ["on", "tw"]
    assert ask.prompts == [[{"role": "user", "content": "one"}], [{"role": "system", "content": "two"}]]
    with pytest.raises(UsageError, match="a key for each of 1 prompts, got 2"):
        ask(["one"], keys=[1, 2])


def test_the_settings_of_the_analyser(tmp_path: Any) -> None:
    secret = "http://me:pass-word@127.0.0.1:9/v1"
    given = configure("grpo", settings=[f"analyser.base_url={secret}", "analyser.model=writer", "analyser.timeout=3"])
    assert "pass-word" not in repr(given) + str(given.as_dict())
    assert repr(prepare(given, tmp_path).analyser) == "AnalyserClient('writer' at 127.0.0.1)"
    with pytest.raises(UnknownNameError, match="setting of analyser"):
        prepare(configure("grpo", settings=["analyser.base_url=http://a/v1", "analyser.name=w"]), tmp_path)
    assert prepare(configure("grpo"), tmp_path).analyser is None


def test_phases_inside_of_others_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 3.0, 4.0, 6.0, 10.0, 20.0, 21.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    timer = PhaseTimer()
    with timer.phase("teacher"):
        with timer.phase("ask"):
            pass
        with timer.phase("ask"):
            pass
    with timer.phase("update"):
        pass
    assert timer.seconds == {"ask": 4.0, "teacher": 6.0, "update": 1.0}
