"""``agh eval``: policies on a panel, over temperatures and seeds; prints success and differences with intervals."""

from __future__ import annotations

import argparse
from pathlib import Path

from agentgym_hindsight.cli.eval_jobs import EvalJob, prepare
from agentgym_hindsight.cli.eval_policies import (
    KINDS,
    PROMPTED,
    canonical_policy,
    check_policy,
    policy_kind,
    split_prompting,
)
from agentgym_hindsight.cli.eval_tables import Column, difference_table, differences, evaluation_table, trials_table
from agentgym_hindsight.cli.model_options import add_model_arguments, check_model_options
from agentgym_hindsight.cli.parsing import number, path, source, text, whole, whole_or
from agentgym_hindsight.cli.shared import add_env_arguments
from agentgym_hindsight.cli.terminal import console, output, print_json
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.redaction import hide_passwords
from agentgym_hindsight.wrappers import PROTOCOLS


def arguments(parser: argparse.ArgumentParser) -> None:
    add_env_arguments(parser)
    parser.add_argument(
        "--policy",
        type=text,
        nargs="+",
        default=["expert"],
        help=f"{', '.join((*KINDS, *PROMPTED))} or the name of a model on a hub; several are compared task by task "
        "(default: expert)",
    )
    parser.add_argument("--panel", type=source, help="a file written by `agh data panel`; replaces --split and --tasks")
    parser.add_argument("--tasks", type=whole(), default=0, help="number of tasks of the split (default: all)")
    parser.add_argument(
        "--protocol",
        type=text,
        help=f"the prompt of a turn: {', '.join(PROTOCOLS)}, package.module:NAME, or file:PATH "
        "(default: that of the training run, else the one that suits the env)",
    )
    parser.add_argument(
        "--parser", type=text, help="the parser of replies, also package.module:NAME (default: the protocol's)"
    )
    parser.add_argument(
        "--history",
        type=whole_or("conversation"),
        help="past turns in a prompt, or conversation: as chat messages (default: the protocol's)",
    )
    parser.add_argument(
        "--temperature",
        type=number(example=0.4),
        nargs="+",
        help="sampling temperatures of a model (default: 0 0.4); 0 is greedy",
    )
    parser.add_argument(
        "--seeds", type=whole(1, 10_000), default=1, help="repeat with seeds 0 to N - 1 (default: %(default)s)"
    )
    parser.add_argument(
        "--siblings",
        type=whole(1, 10_000),
        default=1,
        metavar="K",
        help="rollouts of each task; with 2 or more also Avg@K, Best@K and All@K (default: %(default)s)",
    )
    parser.add_argument(
        "--trials",
        type=whole(1, 100, example=3),
        help="with reflexion:POLICY, the trials of a task (default: 3)",
    )
    parser.add_argument(
        "--num-envs",
        type=whole(1, 100_000, example=64),
        default=64,
        help="parallel rollouts (default: %(default)s)",
    )
    parser.add_argument("--workers", type=whole(0, 1000), default=0, help="worker processes; 0 plays in this process")
    parser.add_argument(
        "--max-prompt-tokens",
        type=whole(1, example=2048),
        help="length limit of a local model's prompt (default: that of the training run, else 2048; 8192 with react "
        "and reflexion)",
    )
    parser.add_argument(
        "--max-new-tokens",
        type=whole(1, example=512),
        help="length limit of a reply (default: that of the training run, else 512)",
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--generate", action="store_true", help="sample with model.generate instead of this library's loop"
    )
    parser.add_argument(
        "--out",
        type=path,
        help="folder for eval.jsonl, rollouts and panel; finished rollouts are not repeated. "
        "Several policies get a folder each in it",
    )
    parser.add_argument("--fresh", action="store_true", help="play all rollouts again, also those in --out")
    parser.add_argument("--json", action="store_true", help="print results and differences as JSON")


def run(options: argparse.Namespace) -> int:
    policies = list(dict.fromkeys(map(canonical_policy, options.policy)))
    for policy in policies:
        check_policy(policy, prompting=True)
    _check_trials(options, policies)
    check_model_options(options, {policy_kind(policy) for policy in policies})
    jobs = [prepare(options, policy, single=len(policies) == 1) for policy in policies]
    _check_jobs(jobs)
    for job in jobs:  # all of them before any is played
        job.check_files(fresh=options.fresh)
    columns = [column for job in jobs for column in job.play(fresh=options.fresh)]
    broken = [reason for column in columns for reason in column.broken]
    (_json if options.json else _tables)(jobs, columns)
    if broken:
        console.print(f"{len(broken)} broken; the first: {broken[0]}", soft_wrap=True)
    return 1 if len(broken) == sum(column.rollouts for column in columns) else 0


def _check_trials(options: argparse.Namespace, policies: list[str]) -> None:
    if options.trials and not any(split_prompting(policy)[0] == "reflexion" for policy in policies):
        raise UsageError(
            f"Expected --trials with reflexion:POLICY, got it with {hide_passwords(', '.join(policies))}; "
            "try leaving it out, or --seeds to repeat."
        )
    options.trials = options.trials or 3


def _check_jobs(jobs: list[EvalJob]) -> None:
    first = jobs[0]
    for job in jobs[1:]:
        if (job.panel, job.backend) != (first.panel, first.backend):
            raise UsageError(
                f"Expected all policies on one panel, got {job.panel.name} ({job.backend}) for {job.policy} and "
                f"{first.panel.name} ({first.backend}) for {first.policy}; try --env, --split and --set, or --panel."
            )
    folders: dict[Path, str] = {}
    for job in jobs:
        if job.folder in folders:
            raise UsageError(
                f"Expected policies with different names, got {folders[job.folder]} and {job.policy}, which are both "
                f"stored in {job.folder}; try one at a time, each with an --out."
            )
        folders[job.folder] = job.policy


def _tables(jobs: list[EvalJob], columns: list[Column]) -> None:
    out, panel = output(), jobs[0].panel
    names = ", ".join(hide_passwords(job.policy) for job in jobs)
    about = f"{jobs[0].backend}, panel {panel.fingerprint}, {jobs[0].seeds} seed(s)"
    about += f", {jobs[0].siblings} siblings" if jobs[0].siblings > 1 else ""
    out.print(f"{names} on {panel.name} ({about})", soft_wrap=True)
    evaluation_table(columns).print(out)
    if any(column.trials for column in columns):
        trials_table(columns).print(out)
    if len(jobs) > 1:
        difference_table(differences(columns)).print(out)
    for job in jobs:
        out.print(f"saved: {job.folder}", soft_wrap=True)


def _json(jobs: list[EvalJob], columns: list[Column]) -> None:
    panel = jobs[0].panel
    print_json(
        {
            "panel": {"name": panel.name, "fingerprint": panel.fingerprint, "tasks": len(panel)},
            "backend": jobs[0].backend,
            "siblings": jobs[0].siblings,
            "policies": [column.as_dict() for column in columns],
            "differences": [each.as_dict() for each in differences(columns)] if len(jobs) > 1 else [],
        }
    )
