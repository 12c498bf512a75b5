"""Encoded outcomes are short, and decoded outcomes equal the originals."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from agentgym_hindsight.errors import BackendError
from agentgym_hindsight.hindsight.sources import Feedback, Hindsight, Provenance
from agentgym_hindsight.vector.delta_encoding import OutcomeDecoder, OutcomeEncoder, decode_hindsight, encode_hindsight
from agentgym_hindsight.vector.host import EnvHost, Job
from tests.toy import CorridorEnv


def test_a_message_does_not_grow_with_the_rollout() -> None:
    host = EnvHost(lambda: CorridorEnv(max_steps=200))
    encoder, decoder, sizes = OutcomeEncoder(host), OutcomeDecoder(), []
    decoder.decode(encoder.encode(host.reset(Job(0, 1, 1, 0, None, {}))))
    for _ in range(150):
        encoded = encoder.encode(host.step("fly"))
        sizes.append(len(pickle.dumps(encoded)))
        decoder.decode(encoded)
    assert max(sizes) < 1.2 * sizes[0]
    assert decoder.trajectory() == host.trajectory()


def episode() -> tuple[Any, Hindsight]:
    env = CorridorEnv(max_steps=3)
    env.reset(seed=0)
    for _ in range(3):
        *_, info = env.step("fly")
    return env.trajectory().steps, info["hindsight"]


def test_only_differences_are_packed() -> None:
    steps, hindsight = episode()
    encoded = encode_hindsight(hindsight, steps)
    assert encoded.changes == {}
    assert encoded.episode == ({}, {}, {})
    judged = hindsight.replace(immediate_feedback=None, successful_trajectory=Feedback("so", Provenance.STORE))
    encoded = encode_hindsight(judged, steps)
    assert set(encoded.changes) == {"immediate_feedback", "successful_trajectory"}
    rebuilt = decode_hindsight(encoded, steps)
    assert rebuilt == judged
    assert rebuilt.episode == judged.episode == hindsight.episode


@pytest.mark.parametrize("count", [1, 2, 5])
def test_an_episode_may_have_another_length_than_the_steps(count: int) -> None:
    steps, hindsight = episode()
    other = hindsight.with_episode((hindsight,) * count)
    assert decode_hindsight(encode_hindsight(other, steps), steps).episode == other.episode


def test_a_failing_expert_raises_only_when_the_episode_is_read() -> None:
    steps, hindsight = episode()

    def fail() -> tuple[Hindsight, ...]:
        raise KeyError("no plan")

    rebuilt = decode_hindsight(encode_hindsight(hindsight.with_episode(fail), steps), steps)
    assert rebuilt == hindsight
    with pytest.raises(BackendError, match="no plan"):
        _ = rebuilt.episode
