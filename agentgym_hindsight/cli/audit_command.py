"""``agh audit``: measure the true advantage of turns, and how well every method agrees with it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.audit.page import forest_charts, is_audit_page, write_page
from agentgym_hindsight.baselines.audit.run_audit import Audit, Critics, Plan, as_json_values, run_audit, write_facts
from agentgym_hindsight.baselines.audit.stored import is_audit
from agentgym_hindsight.baselines.audit.summary import REFERENCE, by_group_size, summarise
from agentgym_hindsight.baselines.audit.targets import target_scores
from agentgym_hindsight.baselines.audit.truth import Precision
from agentgym_hindsight.baselines.evaluation.panels import as_played
from agentgym_hindsight.baselines.policies.scripted import ExpertPolicy
from agentgym_hindsight.cli import audit_page, audit_predict, audit_score
from agentgym_hindsight.cli.audit_files import checked_images, write_images
from agentgym_hindsight.cli.audit_tables import print_summary
from agentgym_hindsight.cli.audit_targets import print_targets, target_says
from agentgym_hindsight.cli.eval_jobs import EvalJob, prepare
from agentgym_hindsight.cli.eval_policies import KINDS, canonical_policy, check_policy, open_policy, policy_kind
from agentgym_hindsight.cli.model_options import check_model_options
from agentgym_hindsight.cli.output_files import check_file, check_folder
from agentgym_hindsight.cli.parsing import name_of, number, path, seed, server_and_model, source, text, whole, whole_or
from agentgym_hindsight.cli.progress import progress_display
from agentgym_hindsight.cli.shared import add_env_arguments
from agentgym_hindsight.cli.terminal import console, output, print_json
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.redaction import hide_passwords
from agentgym_hindsight.wrappers import PROTOCOLS

_GROUPS = ("all", "mixed")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "score",
        nargs="*",
        type=text,
        metavar="score|predict|page FILE",
        help="play nothing, and use the truth in FILE, turns.parquet or turns.jsonl of an audit: score a credit of "
        "your own (--credit); compare it with the gains of trained methods (predict, with --runs); make one page of "
        "several audits (page FILE FILE…)",
    )
    add_env_arguments(parser)
    parser.add_argument("--policy", type=text, default="expert:0.3", help=f"{', '.join(KINDS)} (default: %(default)s)")
    parser.add_argument("--panel", type=source, help="a file written by `agh data panel`; replaces --split and --tasks")
    parser.add_argument("--tasks", type=whole(1, example=20), default=20, help="number of tasks (default: %(default)s)")
    parser.add_argument(
        "--siblings", type=whole(1, 1000), default=8, help="rollouts of each task, a group (default: %(default)s)"
    )
    parser.add_argument("--turns", type=whole(), default=0, help="audited turns of each group (default: all)")
    parser.add_argument(
        "--groups",
        type=name_of("kind of groups", _GROUPS),
        choices=_GROUPS,
        default="all",
        help="all, or mixed: only groups in which some rollouts won and some lost (default: %(default)s)",
    )
    parser.add_argument(
        "--continuations",
        type=whole(2, 100_000, example=20),
        nargs="+",
        default=[20, 80],
        metavar="N",
        help="continuations of each moment, and of those of undecided turns (default: 20 80)",
    )
    parser.add_argument(
        "--width",
        type=number(example=0.1),
        default=0.1,
        help="half-width of the 95 %% interval at which a turn is decided (default: %(default)s)",
    )
    parser.add_argument(
        "--protocol",
        type=text,
        help=f"the prompt of a turn: {', '.join(PROTOCOLS)}, package.module:NAME, or file:PATH "
        "(default: that of the training run, else the one that suits the env)",
    )
    parser.add_argument("--parser", type=text, help="the parser of replies (default: the protocol's)")
    parser.add_argument(
        "--history", type=whole_or("conversation"), help="past turns in a prompt (default: the protocol's)"
    )
    parser.add_argument("--temperature", type=number(example=1.0), help="sampling temperature of a model (default: 1)")
    parser.add_argument("--num-envs", type=whole(1, 100_000, example=128), default=128, help="(default: %(default)s)")
    parser.add_argument("--workers", type=whole(0, 1000), default=0, help="worker processes; 0 plays in this process")
    parser.add_argument("--max-prompt-tokens", type=whole(1, example=2048), help="length limit of a prompt")
    parser.add_argument("--max-new-tokens", type=whole(1, example=512), help="length limit of a reply")
    parser.add_argument("--generate", action="store_true", help="sample with model.generate")
    parser.add_argument("--seed", type=seed, default=0, help="of the policy and the choice of turns")
    parser.add_argument("--no-teachers", action="store_true", help="leave out a model's teacher and critics")
    parser.add_argument("--no-distance", action="store_true", help="do not measure the expert's distance to the goal")
    parser.add_argument("--judge", type=text, metavar="URL#MODEL", help="a server that judges every turn")
    parser.add_argument(
        "--analyser", type=text, metavar="URL#MODEL", help="a server that names the mistakes of failed rollouts"
    )
    parser.add_argument(
        "--reference", type=text, default=REFERENCE, help="the column that differences are to (default: %(default)s)"
    )
    parser.add_argument("--credit", type=text, metavar="MODULE:NAME", help="with score: a function of a group's rows")
    parser.add_argument("--anchor", type=text, default="state", help="with score: the anchors of the rows")
    parser.add_argument("--runs", type=path, help="with predict: the folder of runs that agh compare --out wrote")
    parser.add_argument("--decoding", type=text, help="with predict: which evaluations, such as greedy")
    parser.add_argument("--images", type=path, help="also write the charts to this folder, as SVG files")
    parser.add_argument("--markdown", type=path, help="with predict and page: also write the tables, as Markdown")
    parser.add_argument("--title", type=text, help="with predict and page: the title")
    parser.add_argument("--out", type=path, help="folder for the results; finished turns are not measured again")
    parser.add_argument("--fresh", action="store_true", help="measure everything again, also what is in --out")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(options: argparse.Namespace) -> int:
    if options.score:
        words = {"predict": audit_predict.run, "page": audit_page.run}
        return words.get(options.score[0].casefold(), audit_score.run)(options)
    for option in ("runs", "decoding", "markdown", "title"):
        if getattr(options, option):
            raise UsageError(
                f"Expected --{option} with agh audit predict or page, got neither; try agh audit page FILE."
            )
    if options.credit:
        raise UsageError("Expected --credit with a file, got no file; try agh audit score FILE --credit module:NAME.")
    job = _job(options)
    folder = job.folder
    check_folder(folder, "audit")
    page = check_file(folder / "audit.html", "audit", is_audit_page, fresh=options.fresh)
    if folder.exists() and any(folder.iterdir()) and not is_audit(folder) and (folder / "turns.jsonl").exists():
        raise UsageError(f"Expected an audit in {folder}, got files of another kind; try another --out.")
    images = checked_images(options)
    started = time.perf_counter()
    table, progress = _measure(job, options)
    summary = summarise(table, options.reference)
    sizes, targets = by_group_size(table), target_scores(table)
    total = {name: round(value, 1) for name, value in progress.total.items()}
    facts: dict[str, Any] = {
        "policy": job.shown,
        "panel": job.panel.name,
        "backend": job.backend,
        "new_turns": progress.turns,
        "new_continuations": progress.continuations,
        "run_seconds": round(time.perf_counter() - started, 1),
        "continuations": total,
        **summary.as_dict(),
        "group_sizes": sizes,
        "targets": [each.as_dict() for each in targets],
    }
    facts = as_json_values(facts)
    write_facts(folder, facts)
    write_page(page, table, summary, sizes, _title(job), _about(job, options, facts))
    if images:
        write_images(images, forest_charts(summary), fresh=options.fresh)
    if options.json:
        print_json(facts)
    else:
        out = output()
        out.print(_title(job), soft_wrap=True)
        print_summary(out, summary, sizes)
        print_targets(out, targets)
        out.print(_cost(total))
        out.print(f"saved: {folder} (turns.jsonl, turns.parquet, audit.html)", soft_wrap=True)
    return 0


def _job(options: argparse.Namespace) -> EvalJob:
    options.policy = canonical_policy(options.policy)
    check_policy(options.policy)
    check_model_options(options, {policy_kind(options.policy)})
    if len(options.continuations) > 2:
        raise UsageError("Expected one or two numbers of continuations; try --continuations 20 80.")
    given = options.temperature
    options.temperature = None if given is None else [given]
    options.seeds = 1
    if not options.out:
        options.out = None
    job = prepare(options, options.policy, single=True)
    if options.out is None:
        folder = job.folder.with_name(job.folder.name.replace("eval-", "audit-", 1))
        job = EvalJob(
            job.policy, job.options, job.stage, job.panel, job.backend, folder, job.terms, job.temperatures, True
        )
    return job


def _measure(job: EvalJob, options: argparse.Namespace) -> tuple[Any, Audit]:
    counts = options.continuations
    plan = Plan(
        options.siblings,
        options.turns,
        options.groups == "mixed",
        not options.no_distance,
        Precision(counts[0], counts[-1], options.width),
        options.seed,
    )
    temperature = 1.0 if options.temperature is None else options.temperature[0]
    own = job.options
    own.num_envs = max(options.num_envs, plan.siblings)
    terms = {
        **job.terms,
        "temperature": None if job.scripted else temperature,
        "siblings": plan.siblings,
        "turns": plan.turns,
        "groups": options.groups,
        "continuations": counts,
        "width": plan.precision.half_width,
        "seed": plan.seed,
        "distance": plan.distance,
        "teachers": not options.no_teachers,
        "judge": hide_passwords(options.judge or ""),
        **({"analyser": hide_passwords(options.analyser)} if options.analyser else {}),
    }
    with open_policy(own) as policy_for, progress_display(console) as bar:
        policy = as_played(policy_for(temperature, plan.seed), job.stage)
        needs_expert = plan.distance or bool(getattr(policy, "needs_expert", False))
        expert = as_played(ExpertPolicy(), job.stage) if plan.distance else None
        says, critics = _says(policy, job, options), _critics(policy, options)
        policy = _remembering(policy)
        line = bar.add_task("audit", total=len(job.panel), note="")

        def note(progress: Audit) -> None:
            bar.update(line, note=f"{progress.turns} turns, {progress.continuations} continuations")

        def group(progress: Audit) -> None:
            bar.advance(line)
            note(progress)

        arguments: dict[str, Any] = {"expert": True} if needs_expert else {}
        with closing(job.stage.vector(own.num_envs, **arguments)) as venv:
            return run_audit(
                venv,
                policy,
                list(job.panel),
                Path(job.folder),
                terms,
                plan,
                says=says,
                critics=critics,
                expert=expert,
                on_group=group,
                on_turns=note,
                fresh=options.fresh,
            )


def _says(policy: Any, job: EvalJob, options: argparse.Namespace) -> Sequence[Any]:
    """What models say of turns: the teacher, if the policy is a local model, and the judge, if there is one."""
    found: list[Any] = [target_says(options.analyser)]
    if hasattr(policy, "encoder") and hasattr(policy, "model") and not options.no_teachers:
        from agentgym_hindsight.baselines.audit.teachers import TeacherSays

        found.append(TeacherSays(policy, str(job.stage.parser)))
    if options.judge:
        from agentgym_hindsight.baselines.audit.judge import JudgeSays
        from agentgym_hindsight.baselines.training.analyser_client import AnalyserClient

        found.append(JudgeSays(AnalyserClient(*server_and_model("--judge ", options.judge))))
    return found


def _critics(policy: Any, options: argparse.Namespace) -> Critics | None:
    """Critics on the states of a local model."""
    if options.no_teachers or not (hasattr(policy, "encoder") and hasattr(policy, "model")):
        return None
    from agentgym_hindsight.baselines.audit.fitted_critics import FittedCritics

    return FittedCritics(policy)


def _remembering(policy: Any) -> Any:
    """The same policy; a tiny model computes each distribution once."""
    if not (hasattr(policy, "encoder") and hasattr(policy, "model")):
        return policy
    from agentgym_hindsight.baselines.audit.remembered import RememberingPolicy

    return RememberingPolicy(policy) if RememberingPolicy.suits(policy) else policy


def _title(job: EvalJob) -> str:
    return f"Audit of {job.shown} on {job.panel.name} ({job.backend})"


def _cost(total: dict[str, float]) -> str:
    """What the continuations cost, those of earlier runs included."""
    count, seconds, busy = (total[name] for name in ("continuations", "seconds", "cpu_seconds"))
    rate = f": {count / seconds:.0f} a second" if seconds else ""
    return f"{count:.0f} continuations in {seconds:.0f} s ({busy:.0f} s of this process's CPU time){rate}"


def _about(job: EvalJob, options: argparse.Namespace, facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Facts for the page. The command is that of this process, without passwords."""
    counts = " to ".join(str(each) for each in options.continuations)
    return [
        ("command", hide_passwords(" ".join(["agh", *sys.argv[1:]]))),
        ("policy", job.shown),
        ("panel", f"{job.panel.name}, {job.panel.fingerprint}"),
        ("backend", job.backend),
        ("continuations of a moment", counts),
        ("all continuations", _cost(facts["continuations"])),
    ]
