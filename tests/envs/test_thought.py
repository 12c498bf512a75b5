from __future__ import annotations

import copy
import pickle

from agentgym_hindsight.envs.thought import Thought
from tests.toy import CorridorEnv


def test_a_thought_is_a_string_and_keeps_its_type_in_copies() -> None:
    thought = Thought("think: hm", reply="Noted.")
    assert thought == "think: hm"
    for again in (pickle.loads(pickle.dumps(thought)), copy.deepcopy(thought)):
        assert type(again) is Thought
        assert (again, again.reply) == ("think: hm", "Noted.")


def test_a_thought_does_not_change_the_world() -> None:
    env = CorridorEnv(max_steps=2)
    env.reset(seed=0)
    _, _, _, _, before = env.step("east")
    observation, reward, terminated, truncated, info = env.step(Thought("think: hm"))
    assert (observation, reward, terminated, truncated) == ("OK.", 0.0, False, True)
    for key in ("anchor", "admissible_actions", "score", "won", "extra"):
        assert info[key] == before[key]
    assert (info["action_valid"], info["step"]) == (True, 2)
    assert len(info["hindsight"].episode) == 2
    step = env.trajectory().steps[-1]
    assert (step.action, type(step.action), step.feedback, step.anchor) == ("think: hm", str, "OK.", step.next_anchor)


def test_a_thought_keeps_the_observation_anchor() -> None:
    env = CorridorEnv(anchor="observation")
    _, before = env.reset(seed=0)
    assert env.step(Thought("think: hm"))[-1]["anchor"] == before["anchor"]
