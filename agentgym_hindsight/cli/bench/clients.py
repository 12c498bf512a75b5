"""``agh bench clients``: steps per second through each client that is installed, against the bare env.

Every client plays the same tasks with the same actions, those of the expert, one rollout after the other. The rounds of
the clients alternate, and a figure is the median of the rounds. Times are of the wall clock and contain the resets.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

from agentgym_hindsight.baselines.trl_environment import to_trl_environment
from agentgym_hindsight.cli.bench.figures import Row
from agentgym_hindsight.exports.session import Episodes, Session
from agentgym_hindsight.stage import Stage

__all__ = ["measure"]

#: A task's id and the actions of the expert.
Script = tuple[str, tuple[str, ...]]
Play = Callable[[Script], None]
_STAGES = {
    "ALFWorld": Stage("ALFWorld-Hindsight-v0", {"data": "embedded"}, protocol="plain"),
    "AppWorld": Stage("AppWorld-Hindsight-v0", protocol="plain"),
}


def measure(episodes: int, repeats: int, seed: int, note: Callable[[str], object]) -> list[Row]:
    """The figures of both worlds, over ``episodes`` rollouts a round and ``repeats`` rounds."""
    rows: list[Row] = []
    for world, stage in _STAGES.items():
        note(f"{world}: the expert's actions")
        scripts = _scripts(stage, episodes, seed)
        turns = sum(len(actions) for _, actions in scripts)
        with ExitStack() as stack:
            plays: dict[str, Play] = {}
            for name, (package, make) in _CLIENTS.items():
                try:
                    play = stack.enter_context(make(stage))
                except ImportError:
                    other = _version(package)
                    rows.append(Row(f"{world}: {name}", f"not this version:{other}" if other else "not installed"))
                    continue
                plays[f"{name}{_version(package)}"] = play
                play(scripts[0])  # imports, and the start of the env
            times: dict[str, list[float]] = {name: [] for name in plays}
            for number in range(repeats):
                for name, play in plays.items():
                    note(f"{world}, round {number + 1}: {name}")
                    started = time.perf_counter()
                    for script in scripts:
                        play(script)
                    times[name].append(time.perf_counter() - started)
        bare = median(times["bare env"])
        for name, found in times.items():
            ratio = "" if name == "bare env" else f" ({median(found) / bare:.2f} × the time)"
            rows.append(Row(f"{world}: {name}", f"{turns / median(found):,.0f} steps/s{ratio}"))
    return rows


def _scripts(stage: Stage, episodes: int, seed: int) -> list[Script]:
    expert = Stage(stage.env, {**stage.settings, "expert": True}, protocol="plain")
    scripts = []
    with closing(expert.make("train")) as env:
        for task in expert.panel("train", episodes, seed):
            _, info = env.reset(seed=0, options={"task": task})
            actions, over = [], False
            while not over:
                actions.append(str(info["expert_action"]))
                *_, terminated, truncated, info = env.step(actions[-1])
                over = terminated or truncated
            scripts.append((task.id, tuple(actions)))
    return scripts


def _version(package: str) -> str:
    try:
        return f" {version(package)}" if package else ""
    except PackageNotFoundError:
        return ""


@contextmanager
def _bare(stage: Stage) -> Iterator[Play]:
    with closing(stage.make("train")) as env:

        def play(script: Script) -> None:
            env.reset(seed=0, options={"task_id": script[0]})
            for action in script[1]:
                env.step(action)

        yield play


@contextmanager
def _episodes(stage: Stage) -> Iterator[Play]:
    with closing(Episodes(stage)) as episodes:

        def play(script: Script) -> None:
            episodes.reset(script[0])
            for action in script[1]:
                episodes.step(action)

        yield play


@contextmanager
def _session(stage: Stage) -> Iterator[Play]:
    session = Session(stage)
    loop = asyncio.new_event_loop()

    async def run(script: Script) -> None:
        await session.reset(script[0])
        for action in script[1]:
            await session.step(action)

    yield lambda script: loop.run_until_complete(run(script))
    loop.run_until_complete(session.close())
    loop.close()


@contextmanager
def _trl(stage: Stage) -> Iterator[Play]:
    environment = to_trl_environment(stage.env, settings=stage.settings)()

    def play(script: Script) -> None:
        environment.reset(task_id=script[0])
        for action in script[1]:
            environment.act(action)

    yield play


@contextmanager
def _openenv(stage: Stage) -> Iterator[Play]:
    import uvicorn
    from openenv.core.generic_client import GenericEnvClient

    from agentgym_hindsight.exports.openenv_server import create_openenv_app

    loop = asyncio.new_event_loop()
    with _served(create_openenv_app(stage), uvicorn) as address:
        client = GenericEnvClient(base_url=address)

        async def run(script: Script) -> None:
            await client.reset(task_id=script[0])
            for action in script[1]:
                await client.step({"action": action})

        async def close() -> None:
            await client.close()  # only inside a running loop it is asynchronous

        yield lambda script: loop.run_until_complete(run(script))
        loop.run_until_complete(close())
    loop.close()


@contextmanager
def _nemo_gym(stage: Stage) -> Iterator[Play]:
    """The resources server over HTTP. The agent's and the model's processes take no time here."""
    import httpx
    import uvicorn

    from agentgym_hindsight.exports.nemo_server import HindsightServer, HindsightServerConfig

    config = HindsightServerConfig(
        host="127.0.0.1", port=0, entrypoint="app.py", name="hindsight", domain="agent", stage=stage.as_dict()
    )
    resources = HindsightServer.model_construct(config=config, server_client=None, session_state={})
    resources.model_post_init(None)
    with _served(resources.setup_webserver(), uvicorn) as address, httpx.Client(base_url=address, timeout=60) as client:

        def play(script: Script) -> None:
            row: dict[str, Any] = {"responses_create_params": {"input": []}, "task_id": script[0]}
            client.post("/reset", json=row).raise_for_status()
            for number, action in enumerate(script[1]):
                text = {"type": "output_text", "text": action, "annotations": []}
                message = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
                response = {
                    "id": "r", "created_at": 0, "model": "script", "object": "response", "output": [message],
                    "parallel_tool_calls": False, "tool_choice": "auto", "tools": [],
                }  # fmt: skip
                step = {**row, "response": response, "_ng_step_request_id": str(number)}
                client.post("/step", json=step).raise_for_status()
            client.post("/close", json={}).raise_for_status()

        yield play


@contextmanager
def _served(app: Any, uvicorn: Any) -> Iterator[str]:
    """The address of an ASGI app that a thread of this process serves."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


@contextmanager
def _skyrl(stage: Stage) -> Iterator[Play]:
    import skyrl_gym

    from agentgym_hindsight.exports.skyrl_env import register_skyrl

    name = f"bench-{stage.env}"
    register_skyrl(name, stage)

    def play(script: Script) -> None:
        env = skyrl_gym.make(name, env_config={}, extras={"task_id": script[0]})
        env.init([])
        for action in script[1]:
            env.step(action)
        env.get_metrics()
        env.close()

    yield play
    skyrl_gym.envs.deregister(name)


@contextmanager
def _verifiers(stage: Stage) -> Iterator[Play]:
    """The env's side of a rollout: the model's side takes no time here."""
    from types import SimpleNamespace

    from agentgym_hindsight.exports.verifiers_plugin import HindsightEnv, HindsightTaskset, HindsightTasksetConfig

    taskset = HindsightTaskset(HindsightTasksetConfig(environment=stage.env, settings=dict(stage.settings)))
    by_id = {task.key: task for task in taskset.load()}
    loop = asyncio.new_event_loop()

    class Player:
        def __init__(self, actions: Sequence[str]) -> None:
            self.actions = iter(actions)

        def interaction(self, task: Any) -> Any:
            return self

        async def __aenter__(self) -> Any:
            trace = SimpleNamespace(info={}, record_metrics=len, record_reward=lambda *_: None, stop=len)
            return SimpleNamespace(turn=self.turn, trace=trace)

        async def __aexit__(self, *_: object) -> None:
            return None

        async def turn(self, text: str) -> Any:
            return SimpleNamespace(last_reply=next(self.actions), terminated=False)

    def play(script: Script) -> None:
        agents = SimpleNamespace(player=Player(script[1]))
        loop.run_until_complete(HindsightEnv.run(object.__new__(HindsightEnv), by_id[script[0]], agents))

    yield play
    loop.close()


@contextmanager
def _verl(stage: Stage) -> Iterator[Play]:
    """The agent loop without a model: ids are characters, and the replies are there at once."""
    from types import SimpleNamespace

    from agentgym_hindsight.exports.verl import AGENT_NAME
    from agentgym_hindsight.exports.verl_agent_loop import HindsightAgentLoop

    agent = object.__new__(HindsightAgentLoop)
    agent._stage_arguments, agent._timeout_s = stage.as_dict(), None
    agent.rollout_config = SimpleNamespace(response_length=10_000)
    agent.tokenizer = SimpleNamespace(decode=lambda ids, skip_special_tokens: "".join(map(chr, ids)))
    loop = asyncio.new_event_loop()

    async def prompt(messages: Any) -> list[int]:
        return [0]

    agent.ct_build_initial_tokens = prompt

    def play(script: Script) -> None:
        actions = iter(script[1])

        async def generate(**_: Any) -> Any:
            return SimpleNamespace(token_ids=list(map(ord, next(actions))), log_probs=None, extra_fields={})

        agent.server_manager = SimpleNamespace(generate=generate)
        row: dict[str, Any] = {
            "agent_name": AGENT_NAME,
            "extra_info": {"env_id": stage.env, "task_id": script[0], "split": "train"},
        }
        loop.run_until_complete(agent.run({}, **row))

    yield play
    for sessions in HindsightAgentLoop._idle.values():
        for session in sessions:
            loop.run_until_complete(session.close())
    HindsightAgentLoop._idle.clear()
    loop.close()


#: Client → its package, and what opens it for a stage.
_CLIENTS: dict[str, tuple[str, Callable[[Stage], Any]]] = {
    "bare env": ("", _bare),
    "Episodes": ("", _episodes),
    "Session (asyncio)": ("", _session),
    "TRL's environment": ("", _trl),
    "OpenEnv, over a WebSocket": ("openenv", _openenv),
    "NeMo Gym's server, over HTTP": ("nemo-gym", _nemo_gym),
    "verl's agent loop": ("verl", _verl),
    "SkyRL": ("skyrl-gym", _skyrl),
    "verifiers": ("verifiers", _verifiers),
}
