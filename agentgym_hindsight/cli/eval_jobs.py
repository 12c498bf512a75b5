"""The evaluation of one policy by ``agh eval``: its settings, panel, folder and rollouts."""

from __future__ import annotations

import argparse
import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.evaluation.at_k import at_k
from agentgym_hindsight.baselines.evaluation.results import evaluate
from agentgym_hindsight.baselines.evaluation.trials import after_trials, last_trials
from agentgym_hindsight.baselines.own_modules import stage_hashes
from agentgym_hindsight.baselines.policies.base import Policy
from agentgym_hindsight.baselines.policies.tool_template import with_tools
from agentgym_hindsight.cli.earlier_rollouts import check_rollout_file
from agentgym_hindsight.cli.eval_policies import (
    PolicyFactory,
    is_scripted,
    model_folder,
    open_policy,
    policy_kind,
    split_prompting,
    weights_key,
)
from agentgym_hindsight.cli.eval_prompting import PROMPT_TOKENS, play_in_trials, prompted, react_protocol
from agentgym_hindsight.cli.eval_records import check_record_file, discard_other_records, evaluation_line, write_line
from agentgym_hindsight.cli.eval_rollouts import check_panel, play, save_panel
from agentgym_hindsight.cli.eval_tables import Column, outcomes_by_task
from agentgym_hindsight.cli.model_options import model_terms, read_model_options
from agentgym_hindsight.cli.output_files import check_folder
from agentgym_hindsight.cli.shared import default_protocol, env_arguments, make_env, panel_of, world_of
from agentgym_hindsight.errors import DamagedDataError, HindsightError, UsageError
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.names import import_object, is_import_name
from agentgym_hindsight.redaction import hide_passwords, hide_secret_values
from agentgym_hindsight.registration import ENVS
from agentgym_hindsight.stage import Stage, known_env
from agentgym_hindsight.tasks import TaskPanel
from agentgym_hindsight.wrappers.protocols import is_template_name, protocol_name

__all__ = ["EvalJob", "prepare"]

_TEMPERATURES = (0.0, 0.4)


@dataclass(frozen=True, slots=True)
class EvalJob:
    """One policy on one panel."""

    policy: str
    options: argparse.Namespace
    stage: Stage
    panel: TaskPanel
    backend: str
    folder: Path
    terms: Mapping[str, Any]
    temperatures: tuple[float, ...]
    single: bool  # the only policy of the command

    @property
    def shown(self) -> str:
        """The policy without the password of its URL."""
        return hide_passwords(self.policy)

    @property
    def scripted(self) -> bool:
        return is_scripted(self.policy)

    @property
    def seeds(self) -> int:
        count: int = self.options.seeds
        return count

    @property
    def siblings(self) -> int:
        count: int = self.options.siblings
        return count

    def check_files(self, *, fresh: bool) -> None:
        """Raise if a file cannot be written, or belongs to another program or evaluation."""
        if self.trials and self.siblings > 1:
            raise UsageError(
                f"Expected --siblings 1 with {self.shown}, whose trials are the rollouts of a task, got "
                f"{self.siblings}; try --trials {self.siblings}."
            )
        check_folder(self.folder, "evaluation")
        check_panel(self.panel, self.folder, fresh=fresh)
        check_record_file(self.folder / "eval.jsonl", fresh=fresh)
        for temperature in self.temperatures:
            for seed in range(self.seeds):
                check_rollout_file(self._file(temperature, seed), fresh=fresh)

    def play(self, *, fresh: bool) -> Iterator[Column]:
        """Play what is not stored yet, and yield one column for each temperature."""
        save_panel(self.panel, self.folder)
        if fresh:
            discard_other_records(self.folder / "eval.jsonl")
        with open_policy(self.options) as policy_for:
            for temperature in self.temperatures:
                label = self._label(temperature)
                name = label if self.single or self.scripted else f"{self.shown} {label}"
                column = Column(name, self.shown, label, temperature, str(self.folder), self.siblings)
                for seed in range(self.seeds):
                    played = self._played(
                        partial(self._policy, policy_for, temperature, seed),
                        temperature,
                        seed,
                        f"{name}, seed {seed}",
                        fresh,
                    )
                    trajectories = last_trials(played) if self.trials else played
                    evaluation = evaluate(trajectories)
                    trials = after_trials([played], self.trials)
                    line = evaluation_line(self.shown, label, temperature, self.panel, seed, evaluation, trials)
                    if self.siblings > 1:
                        line["at_k"] = at_k(outcomes_by_task(trajectories), self.siblings).as_dict()
                    write_line(self.folder / "eval.jsonl", line)
                    column.add(evaluation, trajectories)
                    if self.trials:
                        column.add_trials(played, self.trials)
                yield column

    @property
    def trials(self) -> int:
        """The trials of Reflexion; 0 for other policies."""
        count: int = self.options.trials if split_prompting(self.policy)[0] == "reflexion" else 0
        return count

    def _policy(self, policy_for: PolicyFactory, temperature: float, seed: int) -> Policy:
        kind = split_prompting(self.policy)[0]
        policy = policy_for(temperature, seed)
        return prompted(kind, policy, self.stage, self.panel, scripted=self.scripted) if kind else policy

    def _played(
        self, make_policy: Callable[[], Policy], temperature: float, seed: int, name: str, fresh: bool
    ) -> list[Trajectory]:
        file, num_envs = self._file(temperature, seed), self.options.num_envs
        terms = {**self.terms, "seed": seed, **({} if self.scripted else {"temperature": temperature})}
        if self.trials:
            return play_in_trials(
                make_policy, self.stage, self.panel, file, terms, self.trials, name=name, num_envs=num_envs, fresh=fresh
            )
        return play(
            make_policy,
            self.stage,
            self.panel,
            file,
            terms,
            name=name,
            num_envs=num_envs,
            siblings=self.siblings,
            fresh=fresh,
        )

    def _label(self, temperature: float) -> str:
        if self.scripted:
            return self.policy
        return "greedy" if temperature == 0 else f"T={temperature:g}"

    def _file(self, temperature: float, seed: int) -> Path:
        return self.folder / f"rollouts-{_file_name(self._label(temperature))}-seed{seed}.jsonl"


def prepare(options: argparse.Namespace, policy: str, *, single: bool) -> EvalJob:
    """The job of a policy. Options that are not set get the values of its training run, if it has one."""
    own = copy.copy(options)
    own.policy = policy
    own.env = known_env(own.env)
    _default_to_training_run(own)
    temperatures = _temperatures(own.temperature, is_scripted(policy))
    env = make_env(own)
    try:
        panel = panel_of(env, own, seed=0)
    finally:
        env.close()
    settings = env_arguments(own)
    settings.pop("split", None)  # each task of the panel states its split
    stage = Stage(own.env, settings, own.protocol, own.history, workers=own.workers, parser=own.parser)
    own.template = with_tools(own.template, stage)
    terms = hide_secret_values(_terms(own, stage, panel))
    if own.out:
        folder = Path(own.out) if single else Path(own.out, _file_name(hide_passwords(policy)))
    else:
        folder = Path("runs", f"eval-{_file_name(hide_passwords(policy))}-{panel.fingerprint}")
    return EvalJob(policy, own, stage, panel, terms["backend"], folder, terms, temperatures, single)


def _default_to_training_run(options: argparse.Namespace) -> None:
    """If the policy is in the folder of a training run, options that are not set get the values of that run."""
    prompting, given = split_prompting(options.policy)[0], options.protocol
    run_settings = _training_settings(model_folder(options.policy).parent / "run.json")
    stage, plan = run_settings.get("stage", {}), run_settings.get("plan", {})
    if "env" in stage and options.env == ENVS[0].id:
        options.env = known_env(str(stage["env"]))
    options.set = [f"{name}={json.dumps(value)}" for name, value in stage.get("settings", {}).items()] + options.set
    if stage and not options.protocol and not prompting:
        options.protocol, options.parser = stage.get("protocol"), options.parser or stage.get("parser")
        _check_importable(options, model_folder(options.policy).parent)
    options.protocol, options.parser = options.protocol or default_protocol(options.env), options.parser or ""
    if prompting:
        options.protocol = react_protocol(world_of(options.env), given)
    elif options.history is None:
        options.history = stage.get("history")
    options.generate = options.generate or plan.get("generate", False)
    read_model_options(options, run_settings.get("template", {}))
    usual = PROMPT_TOKENS if prompting else plan.get("prompt_tokens", 2048)
    options.max_prompt_tokens = options.max_prompt_tokens or usual
    options.max_new_tokens = options.max_new_tokens or plan.get("response_tokens", 512)


def _check_importable(options: argparse.Namespace, run: Path) -> None:
    """Raise if protocol or parser of a training run are in a module that cannot be imported here."""
    if is_template_name(options.protocol):
        try:
            protocol_name(options.protocol)
        except HindsightError as error:
            raise UsageError(f"The protocol of the training run in {run} cannot be used: {error}") from error
    for kind, name in (("protocol", options.protocol), ("parser", options.parser)):
        if name and is_import_name(name) and not is_template_name(name):
            try:
                import_object(kind, name)
            except UsageError as error:
                raise UsageError(f"The {kind} of the training run in {run} cannot be used: {error}") from error


def _training_settings(run_file: Path) -> dict[str, Any]:
    """The settings in run.json; none if the policy is not in the folder of a run."""
    if not run_file.is_file():
        return {}
    try:
        settings = json.loads(run_file.read_text(encoding="utf-8"))["settings"]
        if not all(isinstance(part, dict) for part in (settings, settings.get("stage", {}), settings.get("plan", {}))):
            raise TypeError("settings of another shape")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedDataError(
            f"Expected the description of a training run in {run_file}, got {type(error).__name__}: {error}; "
            "try moving the policy to a folder of its own, or removing that file."
        ) from error
    found: dict[str, Any] = settings
    return found


def _temperatures(given: Sequence[float] | None, scripted: bool) -> tuple[float, ...]:
    if scripted:
        if given:
            raise UsageError("Expected --temperature with a model, got it with a scripted policy; try leaving it out.")
        return (0.0,)
    return tuple(dict.fromkeys(given or _TEMPERATURES))


def _terms(options: argparse.Namespace, stage: Stage, panel: TaskPanel) -> dict[str, Any]:
    """The values that determine a rollout, except its task. Stored with each rollout: no file may mix two runs."""
    terms: dict[str, Any] = {
        "policy": options.policy,
        "backend": stage.backend(),
        "panel": panel.fingerprint,
        "settings": stage.settings,
        "protocol": stage.protocol,
        "history": options.history,
        "reward": stage.reward,
    }
    if options.parser:
        terms["parser"] = options.parser
    if code := stage_hashes(stage):
        terms["code"] = code
    if not is_scripted(options.policy):
        terms |= {
            **model_terms(options, policy_kind(options.policy)),
            "generate": options.generate,
            "weights": weights_key(options.policy),
        }
    return terms


def _file_name(text: str) -> str:
    """The text without the characters that are unsafe in a file name."""
    return re.sub(r"[^\w.=-]+", "-", text).strip("-.")[-60:]
