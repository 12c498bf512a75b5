"""``agh eval``: policies on a panel, over temperatures and seeds -> success with its intervals."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from rich.table import Table

from agentgym_hindsight.baselines.evaluation.intervals import MeanInterval, t_interval
from agentgym_hindsight.baselines.evaluation.panels import play_panel
from agentgym_hindsight.baselines.evaluation.results import CategoryResult, Evaluation, evaluate, over_seeds
from agentgym_hindsight.baselines.policies.base import Policy
from agentgym_hindsight.baselines.policies.scripted import scripted_policy
from agentgym_hindsight.baselines.training.run_log import RunLog
from agentgym_hindsight.cli.earlier_rollouts import kept_rollouts
from agentgym_hindsight.cli.shared import (
    add_env_arguments,
    console,
    env_arguments,
    make_env,
    output,
    own_protocol,
    panel_of,
    progress_bar,
    result_table,
)
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.storage import write_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.registration import ENVS
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import TaskPanel, content_hash
from agentgym_hindsight.wrappers import PROTOCOLS

_SCRIPTED = ("expert", "seeking-expert", "random", "replay", "webshop-rule")
_MODELS = ("endpoint:URL#MODEL", "vllm:MODEL", "PATH")
_KINDS = ("expert", "expert:NOISE", "seeking-expert", "random", "replay:FILE", "webshop-rule", *_MODELS)
_TEMPERATURES = (0.0, 0.4)

#: (temperature, seed) -> the policy that plays them.
Opened = Callable[[float, int], Policy]


def arguments(parser: argparse.ArgumentParser) -> None:
    add_env_arguments(parser)
    parser.add_argument("--policy", default="expert", help=f"{', '.join(_KINDS)} or a model's name")
    parser.add_argument("--panel", help="a manifest made by `agh data panel`, instead of --split and --tasks")
    parser.add_argument("--tasks", type=int, default=0, help="how many tasks of the split (default: all)")
    parser.add_argument(
        "--protocol", choices=PROTOCOLS, help="the prompt of a turn (default: the run's, else what suits the env)"
    )
    parser.add_argument("--history", type=int, help="turns of history in a prompt (default: the protocol's own)")
    parser.add_argument("--temperature", type=float, nargs="+", help="of models (default: 0 0.4); 0 is greedy")
    parser.add_argument("--seeds", type=int, default=1, help="how often all of it is played (default: %(default)s)")
    parser.add_argument("--num-envs", type=int, default=64, help="rollouts side by side (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="worker processes; 0 plays in this one")
    parser.add_argument("--max-prompt-tokens", type=int, help="a prompt's length (default: the run's, else 2048)")
    parser.add_argument("--max-new-tokens", type=int, help="a reply's length (default: the run's, else 512)")
    parser.add_argument("--generate", action="store_true", help="ask by model.generate, not by our own loop")
    parser.add_argument("--out", help="folder for eval.jsonl, rollouts and panel; what it holds is not played again")
    parser.add_argument("--fresh", action="store_true", help="play anew what --out already holds")


def run(options: argparse.Namespace) -> int:
    _as_trained(options)
    for name, value, least in (
        ("--num-envs", options.num_envs, 1),
        ("--workers", options.workers, 0),
        ("--seeds", options.seeds, 1),
        ("--max-new-tokens", options.max_new_tokens, 1),
    ):
        if value < least:
            raise UsageError(f"Expected {name} ≥ {least}, got {value}.")
    scripted = _is_scripted(options.policy)
    temperatures = _temperatures(options.temperature, scripted)
    settings = env_arguments(options)
    panel = _panel(options)
    settings.pop("split", None)  # every task of the panel says its own
    stage = Stage(options.env, settings, options.protocol, options.history, workers=options.workers)
    folder = Path(options.out or Path("runs", f"eval-{_slug(options.policy)}-{panel.fingerprint}"))
    _keep_panel(panel, folder, fresh=options.fresh)
    # What decides a rollout besides its task: kept with it, so that a file never mixes two runs.
    terms: dict[str, Any] = {
        "policy": options.policy,
        "backend": stage.backend(),
        "panel": panel.fingerprint,
        "settings": settings,
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
            "weights": _weights(_place(options.policy)),
        }
    results: dict[str, list[Evaluation]] = {}
    broken: list[str] = []
    total = 0
    with _opened(options) as policy_for:
        for temperature in temperatures:
            label = options.policy if scripted else _label(temperature)
            for seed in range(options.seeds):
                here = {**terms, "seed": seed, **({} if scripted else {"temperature": temperature})}
                file = folder / f"rollouts-{_slug(label)}-seed{seed}.jsonl"
                opened = partial(policy_for, temperature, seed)
                played = _play(opened, stage, panel, file, here, label, options)
                found = evaluate(played)
                _record(folder / "eval.jsonl", _line(options.policy, label, temperature, panel, seed, found))
                results.setdefault(label, []).append(found)
                broken.extend(trajectory.broken for trajectory in played if trajectory.broken)
                total += len(played)
    out = output()
    out.print(
        f"{options.policy} on {panel.name} ({terms['backend']}, panel {panel.fingerprint}, {options.seeds} seed(s))",
        soft_wrap=True,
    )
    out.print(_table(results))
    out.print(f"saved: {folder}", soft_wrap=True)
    if broken:
        console.print(f"{len(broken)} broken; the first: {broken[0]}", soft_wrap=True)
    return 1 if len(broken) == total else 0


def _as_trained(options: argparse.Namespace) -> None:
    """What was left open is as in the training run that RUN/policy came from: it is to be asked as it was taught."""
    about = _place(options.policy).parent / "run.json"
    trained: dict[str, Any] = {}
    if about.is_file():
        trained = json.loads(about.read_text(encoding="utf-8"))["settings"]
    stage, plan = trained.get("stage", {}), trained.get("plan", {})
    if stage and options.env == ENVS[0].id:
        options.env = stage["env"]
    options.set = [f"{name}={json.dumps(value)}" for name, value in stage.get("settings", {}).items()] + options.set
    options.protocol = options.protocol or stage.get("protocol") or own_protocol(options.env)
    options.history = stage.get("history") if options.history is None else options.history
    options.generate = options.generate or plan.get("generate", False)
    options.template = trained.get("template", {})
    options.max_prompt_tokens = options.max_prompt_tokens or plan.get("prompt_tokens", 2048)
    options.max_new_tokens = options.max_new_tokens or plan.get("response_tokens", 512)


# -- what is played ---------------------------------------------------------------------------------------------------


def _place(policy: str) -> Path:
    """The folder a model comes from, if it is one."""
    return Path(policy.removeprefix("vllm:"))


def _is_scripted(policy: str) -> bool:
    kind = policy.partition(":")[0]
    if kind in _SCRIPTED:
        return True
    if kind not in ("endpoint", "vllm") and not Path(policy).exists() and get_close_matches(kind, _SCRIPTED, 1, 0.75):
        raise UnknownNameError("policy", policy, _KINDS)  # "exprt" is no model's name
    return False


def _temperatures(given: Sequence[float] | None, scripted: bool) -> tuple[float, ...]:
    if scripted:
        if given:
            raise UsageError("Expected --temperature with a model, got it with a scripted policy; try leaving it out.")
        return (0.0,)
    temperatures = tuple(dict.fromkeys(given or _TEMPERATURES))
    if any(not 0 <= temperature < float("inf") for temperature in temperatures):
        raise UsageError(f"Expected temperatures from 0 up, got {temperatures}; try --temperature 0 0.4.")
    return temperatures


def _panel(options: argparse.Namespace) -> TaskPanel:
    env = make_env(options)
    try:
        if not options.panel:
            return panel_of(env, options.split, options.tasks, 0)
        panel = TaskPanel.load(options.panel)
        world: Any = env.unwrapped
        own = world.backend.task(options.split or world.split, 0).backend
        strangers = {task.backend for task in panel} - {own, "file"}
    finally:
        env.close()
    if strangers:
        raise UsageError(
            f"Expected a panel of {own} tasks, got one of {', '.join(sorted(strangers))}; "
            "try --set data=… or backend=…, as the panel was made, or the --env it was made with."
        )
    return panel


def _weights(folder: Path) -> str:
    """Tells the weights in a folder from those a later training puts there; "" of a model that is elsewhere."""
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    stats = [(file.name, file.stat()) for file in files]
    return content_hash(*(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats)) if stats else ""


def _keep_panel(panel: TaskPanel, folder: Path, *, fresh: bool) -> None:
    path = folder / "panel.json"
    if path.exists() and not fresh and (theirs := TaskPanel.load(path).fingerprint) != panel.fingerprint:
        raise UsageError(
            f"Expected panel {panel.fingerprint} in {folder}, got {theirs}; "
            "try another --out, or --fresh to begin anew."
        )
    folder.mkdir(parents=True, exist_ok=True)
    panel.save(path)


@contextmanager
def _opened(options: argparse.Namespace) -> Iterator[Opened]:
    """What gives the policy of a temperature and a seed. A model is loaded once, and only if something is to play."""
    kind, _, argument = options.policy.partition(":")
    if kind in _SCRIPTED:
        yield lambda _, seed: scripted_policy(options.policy, seed=seed)
    elif kind == "endpoint":
        from agentgym_hindsight.baselines.policies.endpoint import EndpointPolicy

        url, _, model = argument.rpartition("#")
        if not url or not model:
            raise UsageError(
                f"Expected endpoint:URL#MODEL, got {options.policy!r}; try endpoint:http://localhost:8000/v1#my-model."
            )
        with EndpointPolicy(url, model, max_tokens=options.max_new_tokens, concurrency=options.num_envs) as policy:
            yield _turned(lambda: policy)
            if policy.failures:
                console.print(f"{policy.failures} turn(s) got no answer and were played as empty replies.")
    elif kind == "vllm":
        from agentgym_hindsight.baselines.policies.vllm import open_vllm

        lengths = {"max_prompt_tokens": options.max_prompt_tokens, "max_tokens": options.max_new_tokens}
        yield _turned(lambda: open_vllm(argument, template=options.template, **lengths))
    else:
        from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy

        yield _turned(
            lambda: TransformersPolicy.load(
                options.policy,
                temperature=0.0,
                seed=0,
                max_new_tokens=options.max_new_tokens,
                max_prompt_tokens=options.max_prompt_tokens,
                template=options.template,
                native=options.generate,
            )
        )


def _turned(load: Callable[[], Any]) -> Opened:
    """One model, turned to another temperature and seed: loading it is what takes time."""
    load_once = lru_cache(maxsize=1)(load)

    def turn(temperature: float, seed: int) -> Policy:
        policy = load_once()
        policy.temperature, policy.seed = temperature, seed
        turned: Policy = policy
        return turned

    return turn


def _play(
    opened: Callable[[], Policy],
    stage: Stage,
    panel: TaskPanel,
    file: Path,
    terms: dict[str, Any],
    label: str,
    options: argparse.Namespace,
) -> list[Trajectory]:
    """The panel's rollouts, in its order; those the file holds already are not played again."""
    kept = kept_rollouts(file, terms, fresh=options.fresh)
    seed, turns = terms["seed"], 0
    if len(kept) == len(panel):  # the same terms, hence the same panel
        return [kept[task.id, 0] for task in panel]
    with progress_bar() as bar:
        line = bar.add_task(f"{label}, seed {seed}", total=len(panel), completed=len(kept), note="")

        def count(new: int) -> None:
            nonlocal turns
            turns += new
            bar.update(line, note=f"{turns} turns")

        for trajectory in play_panel(
            opened(), stage, panel, num_envs=options.num_envs, seed=seed, done=kept.keys(), progress=count
        ):
            record = trajectory.replace(extra={**trajectory.extra, "run": terms})
            write_jsonl(file, [record], append=True)  # one by one: Ctrl-C loses at most what is being played
            kept[record.task_id, record.sibling] = record
            bar.advance(line)
    return [kept[task.id, 0] for task in panel]


# -- what is told -----------------------------------------------------------------------------------------------------


def _line(
    policy: str, label: str, temperature: float, panel: TaskPanel, seed: int, found: Evaluation
) -> dict[str, Any]:
    """One line of eval.jsonl, as a run's own evaluations write it."""
    update, turns = _progress_of(policy)
    return {
        "update": update,
        "turns": turns,
        "label": label,
        "temperature": temperature,
        "panel": panel.fingerprint,
        "split": "+".join(panel.counts("split")),
        "seed": seed,
        "policy": policy,
        "evaluation": found.as_dict(),
    }


def _progress_of(policy: str) -> tuple[int, int]:
    """Updates and env turns behind a policy or checkpoint in its run's folder; 0 and 0 of any other model."""
    place = _place(policy)
    try:
        lines = RunLog(place.parent, active=False).read("metrics")
        if place.name.startswith("checkpoint-"):
            settings = json.loads((place.parent / "run.json").read_text(encoding="utf-8"))["settings"]
            last = int(place.name.removeprefix("checkpoint-")) // int(settings["plan"]["mini_batches"]) - 1
            lines = [line for line in lines if line["update"] == last]
        elif place.name != "policy":
            return 0, 0
        return int(lines[-1]["update"]) + 1, int(lines[-1]["turns"])
    except (OSError, ValueError, LookupError, TypeError):
        return 0, 0


def _record(path: Path, line: dict[str, Any]) -> None:
    """Put the line into the file, in place of an earlier one of the same evaluation."""
    same = ("update", "label", "temperature", "panel", "seed", "policy")
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            known = json.loads(text)
            if not all(known.get(key) == line[key] for key in same):
                lines.append(text)
        except (ValueError, AttributeError):
            console.print(f"{path}: a line that cannot be read is left out.", soft_wrap=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text("\n".join([*lines, json.dumps(line, ensure_ascii=False)]) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def _table(results: dict[str, list[Evaluation]]) -> Table:
    """One column a temperature: of one seed with Wilson's intervals, of several as mean ± Student's."""
    if all(len(found) == 1 for found in results.values()):
        table = result_table({label: found[0] for label, found in results.items()})
        table.add_row("score", *(f"{found[0].micro.score:.3f}" for found in results.values()))
        return table
    table = Table()
    table.add_column("category")
    for label, found in results.items():
        table.add_column(f"{label} ({len(found)} seeds)", justify="right")
    for name in sorted({row.name for found in results.values() for one in found for row in one.categories}):
        table.add_row(name, *(_share(t_interval(row.success for row in _rows(f, name))) for f in results.values()))
    table.add_section()
    summaries = [over_seeds(found) for found in results.values()]
    table.add_row("all (micro)", *(_share(summary.micro) for summary in summaries))
    table.add_row("mean of categories (macro)", *(_share(summary.macro) for summary in summaries))
    table.add_row("turns", *(f"{summary.turns.mean:.1f} ± {summary.turns.half:.1f}" for summary in summaries))
    table.add_row("invalid actions", *(_share(summary.invalid) for summary in summaries))
    table.add_row("broken rollouts", *(str(sum(one.micro.broken for one in found)) for found in results.values()))
    table.add_row("score", *(f"{summary.score.mean:.3f} ± {summary.score.half:.3f}" for summary in summaries))
    return table


def _rows(found: Sequence[Evaluation], name: str) -> list[CategoryResult]:
    return [row for one in found for row in one.categories if row.name == name]


def _share(interval: MeanInterval) -> str:
    return f"{interval.mean:.1%} ± {interval.half:.1%}"


def _label(temperature: float) -> str:
    return "greedy" if temperature == 0 else f"T={temperature:g}"


def _slug(name: str) -> str:
    return re.sub(r"[^\w.=-]+", "-", name).strip("-.")[-60:]
