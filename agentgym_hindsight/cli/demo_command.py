"""``agh demo``: a tiny policy, trained by imitation and then by SERL, evaluated on unseen tasks; with a report.

``--scripted`` needs no extra: it plays the expert and a random policy on one panel of the embedded houses.
"""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from pathlib import Path

from agentgym_hindsight.baselines.evaluation.results import evaluate
from agentgym_hindsight.baselines.policies.base import Policy
from agentgym_hindsight.baselines.policies.scripted import ExpertPolicy, RandomPolicy
from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.baselines.rollout import assignments, rollout
from agentgym_hindsight.cli.earlier_rollouts import check_rollout_file
from agentgym_hindsight.cli.output_files import check_file, check_folder
from agentgym_hindsight.cli.parsing import path, seed, whole
from agentgym_hindsight.cli.progress import progress_display
from agentgym_hindsight.cli.shared import result_table
from agentgym_hindsight.cli.terminal import console, output
from agentgym_hindsight.hindsight.jsonl import write_jsonl
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.vector import HindsightVectorEnv

_ENV = "ALFWorld-Hindsight-v0"
_SPLIT = "valid_unseen"
_INTRODUCTION = """\
This demo trains a tiny language model on one task type of ALFWorld, looking at objects under a lamp, in houses that \
this library generates. They are not the benchmark's games.
1. The model starts from random weights and imitates an expert that makes needless looks.
2. SERL trains it for some minutes. It is evaluated on {tasks} tasks in unseen houses before, during and after.
At the end a table of the success before and after SERL is printed. The run is written to {folder}, and curves, tables \
and sample rollouts to {page}.
This takes 6 to 8 minutes on two cores. Ctrl-C stops it; the same command continues.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scripted", action="store_true", help="play the expert and a random policy; no training, no extra needed"
    )
    parser.add_argument("--tasks", type=whole(1), help="unseen tasks to evaluate on (default: 200; scripted: 120)")
    parser.add_argument("--updates", type=whole(1), help="number of policy updates (default: 40)")
    parser.add_argument(
        "--seed", type=seed, default=0, help="seed of tasks, training and evaluation (default: %(default)s)"
    )
    parser.add_argument("--out", type=path, default="runs/demo", help="folder of run and report (default: %(default)s)")
    parser.add_argument("--fresh", action="store_true", help="delete the run in --out instead of continuing it")


def run(options: argparse.Namespace) -> int:
    return _run_scripted(options) if options.scripted else _run_training(options)


def _run_training(options: argparse.Namespace) -> int:
    require_train("training the demo's policy")
    from agentgym_hindsight.baselines.report import is_report, write_report
    from agentgym_hindsight.baselines.training.configuration import configure
    from agentgym_hindsight.baselines.training.run import Stopped, train
    from agentgym_hindsight.cli.train_command import TrainingProgress, show, use_few_threads

    values = {"plan.seed": options.seed, "plan.updates": options.updates, "evaluation.tasks": options.tasks}
    training = configure("serl", settings=[f"{name}={value}" for name, value in values.items() if value is not None])
    use_few_threads(training)
    folder = Path(options.out) / f"serl-seed{options.seed}"
    page = Path(options.out) / "report.html"
    check_file(page, "report", is_report, fresh=options.fresh)
    console.print(_INTRODUCTION.format(tasks=training.evaluation.tasks, folder=folder, page=page))
    started = time.perf_counter()
    with TrainingProgress(training) as progress:
        try:
            train(training, folder, command="agh demo", observer=progress, fresh=options.fresh)
        except Stopped as stopped:
            progress.say(f"demo: {stopped}")
            return 130
    write_report([folder], page, "SERL on generated houses")
    show(folder)
    out = output()
    out.print(f"report: {page} (one file, no network needed)", soft_wrap=True)
    out.print(f"took {(time.perf_counter() - started) / 60:.1f} minutes; next: agh train grpo, agh compare rivals")
    return 0


def _run_scripted(options: argparse.Namespace) -> int:
    out = output()
    panel = Stage(_ENV, {"data": "embedded"}).panel(_SPLIT, options.tasks or 120, options.seed)
    folder = check_folder(options.out, "rollouts")
    for name in ("expert", "random"):
        check_rollout_file(folder / f"{name}.jsonl", fresh=options.fresh)
    results, speeds, files = {}, {}, []
    policies: tuple[Policy, ...] = (ExpertPolicy(options.seed), RandomPolicy(options.seed))
    with (
        closing(HindsightVectorEnv(_ENV, min(64, len(panel)), split=_SPLIT, data="embedded", expert=True)) as venv,
        progress_display(console) as bar,
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
            files.append(path)
    title = (
        "Embedded ALFWorld (houses generated by this library, not the benchmark's games): "
        f"{len(panel)} unseen tasks, panel {panel.fingerprint}"
    )
    out.print(title, soft_wrap=True)
    result_table(results).print(out)
    out.print("speed: " + ", ".join(f"{name} {speed:,.0f} turns/s" for name, speed in speeds.items()))
    for path in files:
        out.print(f"saved: {path}", soft_wrap=True)
    out.print("next: `agh play` to play yourself, `agh list` for environments, `agh doctor` for data and extras.")
    return 0
