"""``agh rollout``: play a panel with a scripted policy and write the trajectories as JSONL."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.evaluation.results import evaluate
from agentgym_hindsight.baselines.policies.base import Policy, check_world
from agentgym_hindsight.baselines.policies.scripted import scripted_policy
from agentgym_hindsight.baselines.rollout import Assignment, assignments, rollout
from agentgym_hindsight.cli.earlier_rollouts import stored_rollouts
from agentgym_hindsight.cli.parsing import path, seed, source, text, whole
from agentgym_hindsight.cli.progress import progress_display
from agentgym_hindsight.cli.shared import (
    add_env_arguments,
    env_arguments,
    make_env,
    panel_of,
    result_table,
)
from agentgym_hindsight.cli.terminal import console, output
from agentgym_hindsight.hindsight.jsonl import write_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.redaction import hide_secret_values
from agentgym_hindsight.vector import HindsightVectorEnv

_POLICIES = ("expert", "expert:NOISE", "seeking-expert", "random", "replay:FILE", "webshop-rule")


def arguments(parser: argparse.ArgumentParser) -> None:
    add_env_arguments(parser)
    parser.add_argument("--policy", type=text, default="expert", help=f"{', '.join(_POLICIES)} (default: %(default)s)")
    parser.add_argument("--panel", type=source, help="a file written by `agh data panel`; replaces --split and --tasks")
    parser.add_argument("--tasks", type=whole(), default=0, help="number of tasks of the split (default: all)")
    parser.add_argument(
        "--siblings", type=whole(1, 10_000), default=1, help="rollouts of each task (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=seed, default=0, help="seed of the tasks and of the policy (default: %(default)s)"
    )
    parser.add_argument(
        "--num-envs", type=whole(1, 100_000, example=64), default=64, help="parallel rollouts (default: %(default)s)"
    )
    parser.add_argument("--workers", type=whole(0, 1000), default=0, help="worker processes; 0 plays in this process")
    parser.add_argument(
        "--out", type=path, help="the JSONL file; rollouts that it already contains are not played again"
    )
    parser.add_argument("--fresh", action="store_true", help="delete the file in --out instead of continuing")


def run(options: argparse.Namespace) -> int:
    policy = scripted_policy(options.policy, seed=options.seed)
    env = make_env(options)
    settings = env_arguments(options)
    if getattr(policy, "needs_expert", False):
        settings["expert"] = True
    panel = panel_of(env, options, options.seed)
    world: Any = env.unwrapped
    backend = str(world.backend.name)
    env.close()
    check_world(policy, world.prompt_world)
    # The values that determine a rollout, except its task. Stored with each rollout, so that no file mixes two runs.
    terms = {"policy": policy.name, "backend": backend, "seed": options.seed}
    terms["settings"] = hide_secret_values(settings)
    name = f"{policy.name.replace(':', '-').replace('/', '-')}-{panel.fingerprint}-seed{options.seed}.jsonl"
    out = Path(options.out) if options.out else Path("runs") / name
    requested = assignments(panel, options.siblings)
    stored = stored_rollouts(out, terms, fresh=options.fresh)
    remaining = assignments(panel, options.siblings, done=stored.keys())
    played = [stored[task.id, number] for task, number in requested if (task.id, number) in stored]
    if played:
        console.print(f"{len(played)} of {len(requested)} rollouts are already in {out}.", soft_wrap=True)
    turns, seconds = 0, 0.0
    if remaining:
        started = time.perf_counter()
        for trajectory in _play(options, policy, remaining, settings):
            record = trajectory.replace(extra={**trajectory.extra, "run": terms})
            write_jsonl(out, [record], append=True)  # one by one, so that Ctrl-C loses only unfinished rollouts
            played.append(record)
            turns += len(record)
        seconds = time.perf_counter() - started
    results = output()
    results.print(f"{policy.name} on {panel.name} ({backend}, panel {panel.fingerprint})", soft_wrap=True)
    result_table({policy.name: evaluate(played)}).print(results)
    if turns:
        results.print(f"{turns} turns in {seconds:.1f} s: {turns / seconds:,.0f} turns/s, writing included")
    results.print(f"saved: {out} ({len(played)} rollouts)", soft_wrap=True)
    broken = [trajectory for trajectory in played if trajectory.broken]
    if broken:
        console.print(f"{len(broken)} broken; the first: {broken[0].broken}", soft_wrap=True)
    return 1 if len(broken) == len(played) else 0


def _play(
    options: argparse.Namespace, policy: Policy, remaining: list[Assignment], settings: dict[str, Any]
) -> Iterator[Trajectory]:
    width = min(options.num_envs, len(remaining))
    turns = 0
    with (
        closing(HindsightVectorEnv(options.env, width, workers=options.workers, **settings)) as venv,
        progress_display(console) as bar,
    ):
        line = bar.add_task(policy.name, total=len(remaining), note="")

        def count(new: int) -> None:
            nonlocal turns
            turns += new
            bar.update(line, note=f"{turns} turns")

        for trajectory in rollout(venv, policy, remaining, seed=options.seed, on_turns=count):
            yield trajectory
            bar.advance(line)
