"""``agh eval``: a policy on a panel, over temperatures and seeds; prints success with intervals."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.evaluation.results import Evaluation, evaluate
from agentgym_hindsight.cli.eval_policies import (
    KINDS,
    check_policy,
    is_scripted,
    model_folder,
    open_policy,
    weights_key,
)
from agentgym_hindsight.cli.eval_records import evaluation_line, write_line
from agentgym_hindsight.cli.eval_rollouts import play, save_panel
from agentgym_hindsight.cli.eval_tables import evaluation_table
from agentgym_hindsight.cli.shared import (
    add_env_arguments,
    console,
    default_protocol,
    env_arguments,
    make_env,
    output,
    panel_of,
)
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.redaction import hide_passwords, hide_secret_values
from agentgym_hindsight.registration import ENVS
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import TaskPanel
from agentgym_hindsight.wrappers import PROTOCOLS

_TEMPERATURES = (0.0, 0.4)


def arguments(parser: argparse.ArgumentParser) -> None:
    add_env_arguments(parser)
    parser.add_argument(
        "--policy", default="expert", help=f"{', '.join(KINDS)} or the name of a model on a hub (default: %(default)s)"
    )
    parser.add_argument("--panel", help="a file written by `agh data panel`; replaces --split and --tasks")
    parser.add_argument("--tasks", type=int, default=0, help="number of tasks of the split (default: all)")
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        help="the prompt of a turn (default: that of the training run, else the one that suits the env)",
    )
    parser.add_argument("--history", type=int, help="past turns in a prompt (default: the protocol's)")
    parser.add_argument(
        "--temperature", type=float, nargs="+", help="sampling temperatures of a model (default: 0 0.4); 0 is greedy"
    )
    parser.add_argument("--seeds", type=int, default=1, help="repeat with seeds 0 to N - 1 (default: %(default)s)")
    parser.add_argument("--num-envs", type=int, default=64, help="parallel rollouts (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="worker processes; 0 plays in this process")
    parser.add_argument(
        "--max-prompt-tokens", type=int, help="length limit of a prompt (default: that of the training run, else 2048)"
    )
    parser.add_argument(
        "--max-new-tokens", type=int, help="length limit of a reply (default: that of the training run, else 512)"
    )
    parser.add_argument(
        "--generate", action="store_true", help="sample with model.generate instead of this library's loop"
    )
    parser.add_argument("--out", help="folder for eval.jsonl, rollouts and panel; finished rollouts are not repeated")
    parser.add_argument("--fresh", action="store_true", help="play all rollouts again, also those in --out")


def run(options: argparse.Namespace) -> int:
    check_policy(options.policy)
    _default_to_training_run(options)
    for name, value, minimum in (
        ("--num-envs", options.num_envs, 1),
        ("--workers", options.workers, 0),
        ("--seeds", options.seeds, 1),
        ("--max-new-tokens", options.max_new_tokens, 1),
    ):
        if value < minimum:
            raise UsageError(f"Expected {name} ≥ {minimum}, got {value}.")
    scripted, shown_policy = is_scripted(options.policy), hide_passwords(options.policy)
    temperatures = _temperatures(options.temperature, scripted)
    settings = env_arguments(options)
    panel = _panel(options)
    settings.pop("split", None)  # each task of the panel states its split
    stage = Stage(options.env, settings, options.protocol, options.history, workers=options.workers)
    folder = Path(options.out or Path("runs", f"eval-{_file_name(shown_policy)}-{panel.fingerprint}"))
    save_panel(panel, folder, fresh=options.fresh)
    terms = hide_secret_values(_terms(options, stage, panel, scripted))
    results: dict[str, list[Evaluation]] = {}
    broken: list[str] = []
    total = 0
    with open_policy(options) as policy_for:
        for temperature in temperatures:
            label = options.policy if scripted else _label(temperature)
            for seed in range(options.seeds):
                trajectories = play(
                    partial(policy_for, temperature, seed),
                    stage,
                    panel,
                    folder / f"rollouts-{_file_name(label)}-seed{seed}.jsonl",
                    {**terms, "seed": seed, **({} if scripted else {"temperature": temperature})},
                    name=f"{label}, seed {seed}",
                    num_envs=options.num_envs,
                    fresh=options.fresh,
                )
                evaluation = evaluate(trajectories)
                line = evaluation_line(shown_policy, label, temperature, panel, seed, evaluation)
                write_line(folder / "eval.jsonl", line)
                results.setdefault(label, []).append(evaluation)
                broken.extend(trajectory.broken for trajectory in trajectories if trajectory.broken)
                total += len(trajectories)
    out = output()
    out.print(
        f"{shown_policy} on {panel.name} ({terms['backend']}, panel {panel.fingerprint}, {options.seeds} seed(s))",
        soft_wrap=True,
    )
    out.print(evaluation_table(results))
    out.print(f"saved: {folder}", soft_wrap=True)
    if broken:
        console.print(f"{len(broken)} broken; the first: {broken[0]}", soft_wrap=True)
    return 1 if len(broken) == total else 0


def _default_to_training_run(options: argparse.Namespace) -> None:
    """If the policy is in the folder of a training run, options that are not set get the values of that run."""
    run_file = model_folder(options.policy).parent / "run.json"
    run_settings: dict[str, Any] = {}
    if run_file.is_file():
        run_settings = json.loads(run_file.read_text(encoding="utf-8"))["settings"]
    stage, plan = run_settings.get("stage", {}), run_settings.get("plan", {})
    if stage and options.env == ENVS[0].id:
        options.env = stage["env"]
    options.set = [f"{name}={json.dumps(value)}" for name, value in stage.get("settings", {}).items()] + options.set
    options.protocol = options.protocol or stage.get("protocol") or default_protocol(options.env)
    options.history = stage.get("history") if options.history is None else options.history
    options.generate = options.generate or plan.get("generate", False)
    options.template = run_settings.get("template", {})
    options.max_prompt_tokens = options.max_prompt_tokens or plan.get("prompt_tokens", 2048)
    options.max_new_tokens = options.max_new_tokens or plan.get("response_tokens", 512)


def _temperatures(given: Sequence[float] | None, scripted: bool) -> tuple[float, ...]:
    if scripted:
        if given:
            raise UsageError("Expected --temperature with a model, got it with a scripted policy; try leaving it out.")
        return (0.0,)
    temperatures = tuple(dict.fromkeys(given or _TEMPERATURES))
    if any(not 0 <= temperature < float("inf") for temperature in temperatures):
        raise UsageError(f"Expected temperatures of 0 or more, got {temperatures}; try --temperature 0 0.4.")
    return temperatures


def _panel(options: argparse.Namespace) -> TaskPanel:
    env = make_env(options)
    try:
        return panel_of(env, options, seed=0)
    finally:
        env.close()


def _terms(options: argparse.Namespace, stage: Stage, panel: TaskPanel, scripted: bool) -> dict[str, Any]:
    """The values that determine a rollout, except its task. Stored with each rollout: no file may mix two runs."""
    terms: dict[str, Any] = {
        "policy": options.policy,
        "backend": stage.backend(),
        "panel": panel.fingerprint,
        "settings": stage.settings,
        "protocol": options.protocol,
        "history": options.history,
        "reward": stage.reward,
    }
    if not scripted:
        terms |= {
            "max_prompt_tokens": options.max_prompt_tokens,
            "max_new_tokens": options.max_new_tokens,
            "template": options.template,
            "generate": options.generate,
            "weights": weights_key(options.policy),
        }
    return terms


def _label(temperature: float) -> str:
    return "greedy" if temperature == 0 else f"T={temperature:g}"


def _file_name(text: str) -> str:
    """The text without the characters that are unsafe in a file name."""
    return re.sub(r"[^\w.=-]+", "-", text).strip("-.")[-60:]
