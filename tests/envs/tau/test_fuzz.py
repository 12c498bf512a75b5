"""Random calls and actions: no crash, no hang, no unbounded answer, and no change of what is shared."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

import pytest

from agentgym_hindsight.envs.tau.desk import DOMAINS, Outcome
from agentgym_hindsight.envs.tau.embedded import embedded_desk
from agentgym_hindsight.envs.tau.env import TauBenchEnv
from agentgym_hindsight.envs.tau.fuzz import LONGEST_ANSWER, fuzz_calls, random_action


def fuzz(count: int) -> None:
    for domain in DOMAINS:
        embedded_desk.cache_clear()
        desk = embedded_desk(domain, 0)
        untouched = desk.initial.hash
        refused = longest = 0
        slowest, last = 0.0, time.perf_counter()

        def check(name: str, arguments: Mapping[str, Any], outcome: Outcome) -> None:
            nonlocal refused, longest, slowest, last
            assert isinstance(outcome.text, str), name
            refused, longest = refused + outcome.failed, max(longest, len(outcome.text))
            now = time.perf_counter()
            slowest, last = max(slowest, now - last), now

        fuzz_calls(desk, count // 2, 0, check)
        assert 0.2 < refused / (count // 2) < 0.8
        assert longest < LONGEST_ANSWER
        assert slowest < 10.0
        embedded_desk.cache_clear()
        again = embedded_desk(domain, 0)
        assert again.initial.hash == untouched
        desk.initial._texts.clear()
        desk.initial._rows.clear()
        desk.initial._joined.clear()
        desk.initial._hash = ""
        assert desk.initial.hash == untouched  # the calls have not changed the shared records


def test_fuzzed_calls() -> None:
    fuzz(8_000)


@pytest.mark.slow
def test_a_million_fuzzed_calls() -> None:
    fuzz(1_000_000)


@pytest.mark.parametrize("domain", DOMAINS)
def test_fuzzed_actions(domain: str) -> None:
    draw = random.Random(1)
    env = TauBenchEnv(domain=domain, backend="embedded", max_steps=12, rules="strict")
    over = True
    for number in range(800):
        if over:
            env.reset(seed=number)
        observation, _, terminated, truncated, info = env.step(random_action(draw, env.backend.library.desk))
        over = terminated or truncated
        assert len(observation) < 200_000
        assert isinstance(info["anchor"], str)
        _ = info["extra"].changes, info["hindsight"].immediate_feedback.detail
        observation.encode("utf-8")  # no half characters reach a tokenizer
