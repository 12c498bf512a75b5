"""``agh demo``: the main job, small: a policy from nothing, a warm start, SERL, an unseen panel, a report.

``--scripted`` needs no torch: the expert and a random agent on one panel of the embedded world.
"""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from pathlib import Path

import gymnasium as gym

from agentgym_hindsight.baselines.evaluation.results import evaluate
from agentgym_hindsight.baselines.policies.base import Policy
from agentgym_hindsight.baselines.policies.scripted import ExpertPolicy, RandomPolicy
from agentgym_hindsight.baselines.rollout import assignments, rollout
from agentgym_hindsight.cli.shared import console, output, panel_of, progress_bar, result_table
from agentgym_hindsight.hindsight.jsonl import write_jsonl
from agentgym_hindsight.vector import HindsightVectorEnv

_ENV = "ALFWorld-Hindsight-v0"
_SPLIT = "valid_unseen"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scripted", action="store_true", help="play the expert and a random agent; no training")
    parser.add_argument("--tasks", type=int, help="tasks of the unseen panel (default: 200; scripted: 120)")
    parser.add_argument("--updates", type=int, help="policy updates (default: those of the tiny preset)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs/demo", help="folder of the run (default: %(default)s)")
    parser.add_argument("--fresh", action="store_true", help="begin anew instead of going on with what --out holds")


def run(options: argparse.Namespace) -> int:
    return _scripted(options) if options.scripted else _trained(options)


def _trained(options: argparse.Namespace) -> int:
    from agentgym_hindsight.baselines.report import write_report
    from agentgym_hindsight.baselines.training.configuration import configure
    from agentgym_hindsight.baselines.training.run import Stopped, train
    from agentgym_hindsight.cli.train_command import TrainingProgress, show, use_few_threads

    given = {"plan.seed": options.seed, "plan.updates": options.updates, "evaluation.tasks": options.tasks}
    training = configure("serl", settings=[f"{name}={value}" for name, value in given.items() if value is not None])
    use_few_threads(training)
    folder = Path(options.out) / f"serl-seed{options.seed}"
    console.print(
        "A tiny policy is made from nothing and shown how to look at things under lamps, by a player who dawdles, in "
        "generated houses (not the benchmark's games). SERL then trains it, and it is tried on houses it has never "
        "seen. It takes minutes on two cores; Ctrl-C stops, the same command goes on.",
        soft_wrap=True,
    )
    started = time.perf_counter()
    with TrainingProgress() as news:
        try:
            train(training, folder, command="agh demo", observer=news, fresh=options.fresh)
        except Stopped as stopped:
            console.print(f"demo: {stopped}", soft_wrap=True)
            return 130
    page = Path(options.out) / "report.html"
    write_report([folder], page, "SERL on generated houses")
    show(folder)
    out = output()
    out.print(f"report: {page} (one file, works offline)", soft_wrap=True)
    out.print(f"took {(time.perf_counter() - started) / 60:.1f} minutes; next: agh train grpo, agh compare rivals")
    return 0


def _scripted(options: argparse.Namespace) -> int:
    out = output()
    single = gym.make(_ENV, split=_SPLIT, data="embedded")
    panel = panel_of(single, _SPLIT, options.tasks or 120, options.seed)
    single.close()
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    results, speeds, saved = {}, {}, []
    policies: tuple[Policy, ...] = (ExpertPolicy(options.seed), RandomPolicy(options.seed))
    with (
        closing(HindsightVectorEnv(_ENV, min(64, len(panel)), split=_SPLIT, data="embedded", expert=True)) as venv,
        progress_bar() as bar,
    ):
        for policy in policies:
            line = bar.add_task(policy.name, total=len(panel), note="")
            turns = 0

            def count(new: int) -> None:
                nonlocal turns
                turns += new

            started = time.perf_counter()
            trajectories = []
            for trajectory in rollout(venv, policy, assignments(panel), seed=options.seed, on_turns=count):
                trajectories.append(trajectory)
                bar.advance(line)
            speeds[policy.name] = turns / (time.perf_counter() - started)
            results[policy.name] = evaluate(trajectories)
            path = folder / f"{policy.name}.jsonl"
            write_jsonl(path, trajectories)
            saved.append(path)
    title = (
        "Embedded ALFWorld (generated houses, not the benchmark's games): "
        f"{len(panel)} unseen tasks, panel {panel.fingerprint}"
    )
    out.print(title, soft_wrap=True)
    out.print(result_table(results))
    out.print("speed: " + ", ".join(f"{name} {speed:,.0f} turns/s" for name, speed in speeds.items()))
    for path in saved:
        out.print(f"saved: {path}", soft_wrap=True)
    out.print("next: `agh play` to play yourself, `agh list` for the environments, `agh doctor` for data and extras.")
    return 0
