"""``agh train``: SERL and its rivals, from a tiny policy on two cores to a 7B model on many GPUs."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from rich.progress import Progress, TaskID

from agentgym_hindsight.baselines.evaluation.results import Evaluation
from agentgym_hindsight.baselines.methods import RECIPES
from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.baselines.training.configuration import configure, load_configuration
from agentgym_hindsight.baselines.training.run import RunSettings, Stopped, train
from agentgym_hindsight.cli.shared import console, output, progress_bar, result_table
from agentgym_hindsight.errors import UsageError

_METHOD = {
    "what": "sources the teacher is shown: success+immediate, next|future, … (see docs/hindsight.md)",
    "where": "step or anchor",
    "who": "teacher: current, sync:10, ema:0.05, frozen",
    "tokens": "action, response; with @failed, @won or @invalid in such turns alone",
    "how": "reweight:0.2, reweight:0.2:mean",
    "when": "λ over updates: 0.5->0/50, 0.3",
    "anchor": "which turns share a situation: observation, similar, state",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", nargs="?", help=f"{', '.join(RECIPES)} (or in --config)")
    parser.add_argument("--config", help="a YAML file; options of the command line have the last word")
    parser.add_argument("--env", help="the id (default: ALFWorld-Hindsight-v0)")
    parser.add_argument("--model", help="tiny:S, tiny:M, tiny:L, a folder, or a name transformers can load")
    parser.add_argument("--out", help="folder of the run (default: runs/RECIPE-seedN); a run found there goes on")
    parser.add_argument("--seed", type=int, help="decides tasks, replies and the tiny policy (default: 0)")
    parser.add_argument("--updates", type=int, help="policy updates")
    parser.add_argument("--vllm", choices=("colocate", "server"), help="play with vLLM, through TRL")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any setting by its dotted name: plan.tasks=16, stage.settings.max_steps=50, "
        "method.statistics=trajectories, evaluation.tasks=200, warm.noise=0.2, plan.trl.report_to=tensorboard",
    )
    parser.add_argument("--fresh", action="store_true", help="begin --out anew")
    parser.add_argument("--start-only", action="store_true", help="make the tiny policy's warm start and stop")
    parser.add_argument("--print-config", action="store_true", help="print the whole configuration as YAML and stop")
    methods = parser.add_argument_group("the six values of a method (default: the recipe's)")
    for name, text in _METHOD.items():
        methods.add_argument(f"--{name}", help=text.replace("%", "%%"))


def run(options: argparse.Namespace) -> int:
    given = load_configuration(options.config) if options.config else {}
    settings = [f"method.{name}={value}" for name in _METHOD if (value := getattr(options, name)) is not None]
    for option, path in (("env", "stage.env"), ("model", "model"), ("seed", "plan.seed"), ("updates", "plan.updates"),
                       ("vllm", "plan.vllm")):  # fmt: skip
        if getattr(options, option) is not None:
            settings.append(f"{path}={getattr(options, option)}")
    name = options.recipe or given.get("recipe")
    if options.recipe and given.get("recipe", name) != name:
        given.pop("method", None)  # a rival on the file's terms: the file's method is another one's
    if name is None:
        raise UsageError(f"Expected a recipe, got none; try agh train serl. Known: {', '.join(RECIPES)}.")
    training = configure(name, given, [*settings, *options.set])
    if options.print_config:
        from agentgym_hindsight.baselines.training.configuration import dump_configuration

        print(dump_configuration(name, training), end="")
        return 0
    if options.start_only:
        from agentgym_hindsight.baselines.training.start import open_start

        with TrainingProgress() as news:
            open_start(training.model, training.stage, training.warm, training.plan, news)
        return 0
    use_few_threads(training)
    out = Path(options.out or f"runs/{name}-seed{training.plan.seed}")
    with TrainingProgress() as news:
        try:
            folder = train(
                training, out, command=shlex.join(["agh", *sys.argv[1:]]), observer=news, fresh=options.fresh
            )
        except Stopped as stopped:
            console.print(f"{name}: {stopped}", soft_wrap=True)
            return 130
    if not news.quiet:
        show(folder)
    return 0


def use_few_threads(training: RunSettings) -> None:
    """One thread for the smallest policy: a second gains it nothing, and two that wait for a busy core cost twice."""
    if training.model == "tiny:S" and "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(1)


def show(folder: Path) -> None:
    """Before and after, as a table."""
    lines = RunLog(folder).read("eval")
    last = max((line["update"] for line in lines), default=0)
    results = {}
    for line in lines:
        if line["update"] in (0, last):
            when = "before" if line["update"] == 0 else f"after {last} updates"
            results[f"{when}, {line['label']}"] = Evaluation.from_dict(line["evaluation"])
    out = output()
    if results:
        out.print(result_table(dict(sorted(results.items(), key=lambda item: item[0].partition(", ")[2]))))
    out.print(f"saved: {folder} (policy, metrics, evaluations); next: agh report {folder}", soft_wrap=True)


class TrainingProgress:
    """A bar a stage, with time left; messages above it. Only the first process speaks."""

    def __init__(self) -> None:
        self.quiet = os.environ.get("RANK", "0") != "0"
        self._bar: Progress = progress_bar()
        self._line: TaskID | None = None

    def __enter__(self) -> TrainingProgress:
        if not self.quiet:
            self._bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if not self.quiet:
            self._bar.stop()

    def stage(self, name: str, total: int) -> None:
        if not self.quiet:
            self._line = self._bar.add_task(name, total=total, note="")

    def advance(self, note: str = "", steps: int = 1) -> None:
        if not self.quiet and self._line is not None:
            self._bar.update(self._line, advance=steps, note=note)

    def say(self, text: str) -> None:
        if not self.quiet:
            self._bar.console.print(text, soft_wrap=True)
