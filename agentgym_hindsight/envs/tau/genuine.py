"""Runs the genuine tau-bench from a clone of its repository in a process of its own, to measure its speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from agentgym_hindsight.errors import BackendError, MissingDataError

__all__ = ["GenuineSpeed", "measure_genuine"]

#: Seconds of play of (calls, resets, rewards), and their numbers.
GenuineSpeed = dict[str, float]

# litellm is replaced by an empty module: only users that are models call it, and importing it takes seconds.
_SCRIPT = """
import json, sys, time, types
stub = types.ModuleType("litellm")
stub.completion, stub.provider_list = None, []
sys.modules["litellm"] = stub
folder, domain, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.path.insert(0, folder)
from tau_bench.envs import get_env
from tau_bench.types import Action

class Silent:
    def reset(self, instruction=None): return "Hello."
    def step(self, content): return "###STOP###"
    def get_total_cost(self): return 0

env = get_env(domain, user_strategy="human", user_model="", task_split="test", task_index=0)
env.user = Silent()
calls = rewards = reset = play = end = 0.0
for index in range(count):
    started = time.perf_counter(); env.reset(task_index=index); reset += time.perf_counter() - started
    actions = [each for each in env.task.actions if each.name != "transfer_to_human_agents"]
    outputs = " ".join(env.task.outputs)
    started = time.perf_counter()
    for action in actions: env.step(action)
    play += time.perf_counter() - started
    calls += len(actions)
    started = time.perf_counter()
    rewards += env.step(Action(name="respond", kwargs={"content": outputs})).reward
    end += time.perf_counter() - started
print(json.dumps({"episodes": count, "calls": calls, "rewards": rewards, "reset": reset, "play": play, "end": end}))
"""


def measure_genuine(folder: Path, domain: str, episodes: int) -> GenuineSpeed:
    """Play the references of the first test tasks in the genuine program."""
    if not (folder / "tau_bench" / "envs" / "base.py").is_file():
        raise MissingDataError(
            f"Expected a clone of tau-bench with its program in {folder}, got none; "
            "try git clone https://github.com/sierra-research/tau-bench."
        )
    command = [sys.executable, "-c", _SCRIPT, str(folder), domain, str(episodes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1_800, check=False)
    try:
        measured: GenuineSpeed = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise BackendError(
            f"Expected the genuine program to run, got: {done.stderr.strip()[-300:]}; "
            "try installing its requirements (pydantic), or leave out --genuine."
        ) from error
    return measured
