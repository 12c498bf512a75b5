"""``agh train``: train a policy, from a tiny one on two cores to a 7B model on many GPUs."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from rich.progress import TaskID

from agentgym_hindsight.baselines.evaluation.results import Evaluation
from agentgym_hindsight.baselines.methods import RECIPES, RECOMMENDED, recipe_name
from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.baselines.training.configuration import (
    composed_name,
    configure,
    dump_configuration,
    load_configuration,
    shipped_configurations,
)
from agentgym_hindsight.baselines.training.run import RunSettings, Stopped, train
from agentgym_hindsight.cli.output_files import check_folder
from agentgym_hindsight.cli.parsing import path, seed, text, whole
from agentgym_hindsight.cli.progress import progress_display
from agentgym_hindsight.cli.shared import result_table
from agentgym_hindsight.cli.terminal import console, output
from agentgym_hindsight.stage import short_name

_METHOD = {
    "what": "hindsight in the teacher's context: success+immediate, next|future, … (see docs/hindsight.md)",
    "where": "step or anchor; --where anchor is short for @anchor at the end of --what",
    "who": "the teacher: current, sync:10, ema:0.05, frozen",
    "tokens": "the tokens that the teacher weights: action, action:released or response; @failed, @won or @invalid "
    "selects turns",
    "how": "how the teacher changes a token's advantage: reweight:0.2, reweight:0.2:mean",
    "when": "λ, the weight of the teacher, over the updates: 0.5->0/50, 0.3",
    "anchor": "the key by which turns share a state: observation, similar, state",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipe",
        nargs="?",
        help=f"{', '.join(RECIPES)}, or package.module:METHOD for one of your own; METHOD+CREDIT combines two "
        f"(default: the one in --config, else {RECOMMENDED}, which docs/methods/recommended.md gives the reasons for)",
    )
    parser.add_argument(
        "--credit", metavar="NAME", help="use the credit of this method: `serl --credit crbc`, short for serl+crbc"
    )
    parser.add_argument(
        "--plus",
        action="append",
        default=[],
        metavar="NAME[:WEIGHT[:SCHEDULE]]",
        help="add another method's term to the loss, with its contexts; repeatable: --plus hint-sd:0.5, "
        "--plus opsd:0.01:1->0/50",
    )
    parser.add_argument(
        "--config",
        metavar="NAME",
        help="a YAML file, or the name of a shipped configuration: "
        f"{', '.join(shipped_configurations())}; other options override it",
    )
    parser.add_argument(
        "--env", type=text, help="id of the environment, or its short name (default: ALFWorld-Hindsight-v0)"
    )
    parser.add_argument(
        "--model", type=text, help="tiny:S, tiny:M, tiny:L, a folder, or a name that transformers can load"
    )
    parser.add_argument(
        "--out",
        type=path,
        help="folder of the run (default: runs/RECIPE-ENV-seedN; with --quick …-quick); a run in it is continued, or "
        "prolonged by --updates",
    )
    parser.add_argument("--seed", type=seed, help="seed of tasks, replies and the tiny policy (default: 0)")
    parser.add_argument("--updates", type=whole(1), help="number of policy updates (default: 150; tiny models: 40)")
    parser.add_argument("--vllm", choices=("colocate", "server"), help="sample with vLLM, through TRL")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any setting by its dotted name; repeatable: plan.tasks=16, stage.settings.max_steps=50, "
        "method.statistics=trajectories, evaluation.tasks=200, warm.noise=0.2, plan.trl.report_to=tensorboard",
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="delete the run in --out instead of continuing it; other files there are kept",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a tiny run of a few minutes: a shorter warm start, few updates, a small panel; other options override it",
    )
    parser.add_argument("--start-only", action="store_true", help="make the warm start and stop")
    parser.add_argument("--print-config", action="store_true", help="print the whole configuration as YAML and stop")
    methods = parser.add_argument_group("values of the method (default: those of the recipe)")
    for name, meaning in _METHOD.items():
        methods.add_argument(f"--{name}", help=meaning.replace("%", "%%"))


def run(options: argparse.Namespace) -> int:
    configuration = load_configuration(options.config) if options.config else {}
    settings = [f"method.{name}={value}" for name in _METHOD if (value := getattr(options, name)) is not None]
    if options.plus:
        settings.insert(0, f"method.plus={json.dumps(options.plus)}")
    for option, setting in (("env", "stage.env"), ("model", "model"), ("seed", "plan.seed"),
                            ("updates", "plan.updates"), ("vllm", "plan.vllm")):  # fmt: skip
        if getattr(options, option) is not None:
            settings.append(f"{setting}={getattr(options, option)}")
    # --credit names the credit of SERL's weights where no method is named.
    name = options.recipe or configuration.get("recipe") or ("serl" if options.credit else RECOMMENDED)
    if not (options.recipe or options.credit or "recipe" in configuration):
        console.print(f"No method was named: {RECOMMENDED} (docs/methods/recommended.md). agh methods lists all.")
    in_file = composed_name(str(configuration.get("recipe", name)), credit := configuration.pop("credit", None))
    if options.recipe and "+" in options.recipe:
        credit = None  # the command line overrides the file
    name = recipe_name(composed_name(name, options.credit or credit))
    if recipe_name(in_file) != name:
        configuration.pop("method", None)  # the values in the file belong to another method
    training = configure(name, configuration, [*settings, *options.set], quick=options.quick)
    if options.print_config:
        print(dump_configuration(name, training), end="")
        return 0
    if options.start_only:
        from agentgym_hindsight.baselines.policies.tool_template import with_tools
        from agentgym_hindsight.baselines.training.preflight import prepare
        from agentgym_hindsight.baselines.training.start import open_start

        prepare(training, Path(options.out or "runs"))
        with TrainingProgress(training) as progress:
            template = with_tools(training.template, training.stage)
            open_start(training.model, training.stage, training.warm, training.plan, progress, template=template)
        return 0
    use_few_threads(training)
    env = re.sub(r"[^\w.-]+", "-", short_name(training.stage.env))
    out = Path(
        options.out
        or f"runs/{_file_name(training.method.name)}-{env}-seed{training.plan.seed}{'-quick' if options.quick else ''}"
    )
    check_folder(out, "run")
    with TrainingProgress(training) as progress:
        try:
            folder = train(
                training, out, command=shlex.join(["agh", *sys.argv[1:]]), observer=progress, fresh=options.fresh
            )
        except Stopped as stopped:
            progress.say(f"{training.method.name}: {stopped}")
            return 130
    if not progress.quiet:
        show(folder)
    return 0


def _file_name(text: str) -> str:
    """The name of a method as a part of a file name."""
    return re.sub(r"[^\w.=+-]+", "-", text).strip("-.") or "method"


def use_few_threads(training: RunSettings) -> None:
    """Use one thread for the smallest model: two are not faster, and cost twice as much on a busy machine."""
    if training.model == "tiny:S" and "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(1)


def show(folder: Path) -> None:
    """Print the first and the last evaluation of a run as a table."""
    lines = RunLog(folder).read("eval")
    last = max((line["update"] for line in lines), default=0)
    results = {}
    for line in lines:
        if line["update"] in (0, last):
            title = "before" if line["update"] == 0 else f"after {last} update{'s' if last > 1 else ''}"
            results[f"{title}, {line['label']}"] = Evaluation.from_dict(line["evaluation"])
    out = output()
    if results:
        result_table(dict(sorted(results.items(), key=lambda item: item[0].partition(", ")[2]))).print(out)
    out.print(f"saved: {folder} (policy, metrics, evaluations); next: agh report {folder}", soft_wrap=True)


class TrainingProgress:
    """An observer with one progress bar per stage and messages above it; in a log, one line per update.

    Only the first process prints.
    """

    def __init__(self, training: RunSettings) -> None:
        self.quiet = os.environ.get("RANK", "0") != "0"
        self._bar = progress_display(console, every_step=[training.method.name])
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
            self._bar.console.print(text, soft_wrap=True, markup=False)
