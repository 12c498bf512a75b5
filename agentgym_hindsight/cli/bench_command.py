"""``agh bench``: speed and memory; all figures of a table come from one run."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Callable, Sequence

from rich.text import Text

from agentgym_hindsight.atomic import write_text
from agentgym_hindsight.cli.bench.figures import machine
from agentgym_hindsight.cli.bench.gpu import command as bench_gpu
from agentgym_hindsight.cli.output_files import check_file, is_page_of
from agentgym_hindsight.cli.parsing import name_of, number, path, seed, server_and_model, source, text, whole
from agentgym_hindsight.cli.tables import Grid
from agentgym_hindsight.cli.terminal import console, output, print_json
from agentgym_hindsight.printable import printable_line

#: Benchmark → title of its table.
TITLES = {
    "alfworld": "ALFWorld: speed",
    "webshop": "WebShop: speed",
    "webshop-search": "WebShop: search",
    "appworld": "AppWorld's miniature: speed",
    "forks": "Forks: speed and size of snapshots",
    "tau": "tau-bench: speed",
    "bfcl": "BFCL: speed",
    "clients": "Clients: speed of each that is installed, against the bare env",
    "training-speed": "Training: speed",
    "conversations": "Training: conversations",
    "hint-sd": "HINT-SD: selected turns and every turn",
    "analysers": "Analysers: what a served model writes",
    "gpu": "GPU: models of true shapes",
}
_TURNS = {"alfworld": 40, "conversations": 30, "hint-sd": 16}
_EPISODES = {"clients": 20, "analysers": 20}
_PRODUCTS = {"webshop": 1000, "webshop-search": 100_000}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "env",
        type=name_of("benchmark", TITLES),
        nargs="?",
        default="alfworld",
        choices=list(TITLES),
        help="the benchmark (default: %(default)s)",
    )
    parser.add_argument("--seed", type=seed, default=0, help="seed of games, tasks and actions (default: %(default)s)")
    parser.add_argument("--out", type=path, help="also write the figures to this file, as Markdown (gpu: JSON lines)")
    parser.add_argument("--fresh", action="store_true", help="replace the file in --out also if it is no such page")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    house = parser.add_argument_group("alfworld")
    house.add_argument(
        "--games", type=whole(1, 100_000), default=6, help="games that both engines play (default: %(default)s)"
    )
    house.add_argument(
        "--turns",
        type=whole(1, 100_000),
        help="turns of a game, of a conversation, or of a rollout (default: 40; conversations: 30; hint-sd: 16)",
    )
    shop = parser.add_argument_group("webshop, webshop-search")
    shop.add_argument(
        "--products", type=whole(1, 10_000_000), help="products in the embedded shop (default: 1000; search: 100000)"
    )
    shop.add_argument(
        "--episodes",
        type=whole(1, 10_000_000),
        help="webshop: episodes played (default: 2000); clients: rollouts a round (default: 20); analysers: rollouts "
        "(default: 20)",
    )
    shop.add_argument(
        "--workers",
        type=whole(1, 1000),
        default=4,
        help="webshop-search: processes that share an index (default: %(default)s)",
    )
    apps = parser.add_argument_group("appworld")
    apps.add_argument(
        "--worlds", type=whole(1, 10_000), default=64, help="worlds played in parallel (default: %(default)s)"
    )
    apps.add_argument(
        "--minutes",
        type=number(0.0, 100_000.0, example=1.0),
        default=0.0,
        help="minutes of this run (default: %(default)s: no run)",
    )
    apps.add_argument(
        "--fuzz",
        type=whole(0, 100_000_000),
        default=0,
        metavar="N",
        help="random programs to run; tau, bfcl: random calls (default: %(default)s)",
    )
    desks = parser.add_argument_group("tau, bfcl")
    desks.add_argument(
        "--data",
        type=source,
        help="tau: the folder of the official data, to measure it too; bfcl: the folder of the package (default: the "
        "package that is found)",
    )
    desks.add_argument(
        "--genuine", type=source, help="tau: a clone of its repository: measure its own program in the same run"
    )
    forks = parser.add_argument_group("forks")
    forks.add_argument(
        "--moments",
        type=whole(2, 1_000_000),
        default=400,
        help="random moments of each world (default: %(default)s)",
    )
    forks.add_argument(
        "--continuations",
        type=whole(1, 1_000_000),
        default=2000,
        help="rollouts played from snapshots (default: %(default)s)",
    )
    training = parser.add_argument_group("training-speed, conversations, hint-sd (need the extra [train]), analysers")
    training.add_argument(
        "--model", type=text, default="tiny:S", help="the model, as in agh train (default: %(default)s)"
    )
    training.add_argument(
        "--warm-tasks",
        type=whole(1, 1_000_000),
        default=300,
        help="expert rollouts of the warm start (default: %(default)s)",
    )
    training.add_argument(
        "--updates", type=whole(1, 10_000), default=2, help="updates to measure (default: %(default)s)"
    )
    training.add_argument(
        "--repeats", type=whole(1, 10_000), default=3, help="measurements of each time (default: %(default)s)"
    )
    training.add_argument("--large", action="store_true", help="also measure sampling and memory of tiny:L")
    training.add_argument(
        "--updates-only", action="store_true", help="measure only updates and credit, not sampling and memory"
    )
    training.add_argument(
        "--endpoint",
        default="",
        metavar="URL#MODEL",
        help="also measure sampling from this server; analysers: the server that is measured",
    )
    training.add_argument(
        "--answer-tokens",
        type=whole(1, 100_000),
        default=512,
        help="analysers: tokens of an answer at most (default: %(default)s)",
    )
    training.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting, as in agh train; repeatable"
    )
    bench_gpu.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    if options.products is None:
        options.products = _PRODUCTS.get(options.env, 0)
    if options.episodes is None:
        options.episodes = _EPISODES.get(options.env, 2000)
    if options.turns is None:
        options.turns = _TURNS.get(options.env, 0)
    title = TITLES[options.env]
    if options.env == "gpu":
        with console.status("measuring") as status:
            return bench_gpu.run(options, title, lambda what: status.update(Text(printable_line(f"measuring: {what}"))))
    if options.out:
        check_file(options.out, "figures", is_page_of("bench"), fresh=options.fresh)
    with console.status("measuring") as status:
        rows, reproduce = _measure(options, lambda what: status.update(Text(printable_line(f"measuring: {what}"))))
    command = f"agh bench {options.env} {reproduce} --seed {options.seed}"
    if options.json:
        figures = [{"name": what, "value": value} for what, value in rows]
        print_json({"name": options.env, "title": title, "command": command, "machine": machine(), "figures": figures})
    else:
        out = output()
        Grid(title, ("what", "figure"), [tuple(row) for row in rows], text_columns=1, whole_columns=0).print(out)
        out.print(machine(), soft_wrap=True)
    if options.out:
        lines = [f"# {title}", "", f"`{command}` — {machine()}.", "", "| what | figure |", "| --- | ---: |"]
        lines += [f"| {what} | {value} |" for what, value in rows]
        write_text(options.out, "\n".join(lines) + "\n")
    return 0


def _measure(options: argparse.Namespace, note: Callable[[str], object]) -> tuple[Sequence[tuple[str, str]], str]:
    """The figures, and the options of the command that reproduces them."""
    if options.env == "alfworld":
        from agentgym_hindsight.cli.bench import alfworld as bench_alfworld

        rows = bench_alfworld.measure(options.games, options.turns, options.seed, note)
        return rows, f"--games {options.games} --turns {options.turns}"
    if options.env == "webshop":
        from agentgym_hindsight.cli.bench import webshop as bench_webshop

        rows = bench_webshop.measure(options.products, options.episodes, options.seed, note)
        return rows, f"--products {options.products} --episodes {options.episodes}"
    if options.env == "appworld":
        from agentgym_hindsight.cli.bench import appworld as bench_appworld

        rows = bench_appworld.measure(options.worlds, options.minutes, options.fuzz, options.seed, note)
        return rows, f"--worlds {options.worlds} --minutes {options.minutes:g} --fuzz {options.fuzz}"
    if options.env == "forks":
        from agentgym_hindsight.cli.bench import forks as bench_forks

        rows = bench_forks.measure(options.moments, options.continuations, options.seed, note)
        return rows, f"--moments {options.moments} --continuations {options.continuations}"
    if options.env == "tau":
        from agentgym_hindsight.cli.bench import tau as bench_tau

        rows = bench_tau.measure(options.data, options.genuine, options.fuzz, options.seed, note)
        folders = [word for name in ("data", "genuine") if getattr(options, name) for word in (f"--{name}", "DIR")]
        return rows, " ".join([f"--fuzz {options.fuzz}", *folders])
    if options.env == "clients":
        from agentgym_hindsight.cli.bench import clients as bench_clients

        rows = bench_clients.measure(options.episodes, options.repeats, options.seed, note)
        return rows, f"--episodes {options.episodes} --repeats {options.repeats}"
    if options.env == "bfcl":
        from agentgym_hindsight.cli.bench import bfcl as bench_bfcl

        rows = bench_bfcl.measure(options.data, options.fuzz, options.seed, note)
        return rows, f"--fuzz {options.fuzz}{' --data DIR' if options.data else ''}"
    if options.env == "analysers":
        return _measure_analysers(options, note)
    if options.env == "training-speed":
        return _measure_training(options, note)
    if options.env == "conversations":
        return _measure_conversations(options, note)
    if options.env == "hint-sd":
        return _measure_hint_sd(options, note)
    from agentgym_hindsight.cli.bench import webshop_search as bench_webshop_search

    rows = bench_webshop_search.measure(options.products, options.seed, workers=options.workers, note=note)
    return rows, f"--products {options.products} --workers {options.workers}"


def _measure_analysers(
    options: argparse.Namespace, note: Callable[[str], object]
) -> tuple[Sequence[tuple[str, str]], str]:
    from agentgym_hindsight.baselines.training.analyser_client import AnalyserClient
    from agentgym_hindsight.cli.bench import analysers as bench_analysers

    address = server_and_model("--endpoint ", options.endpoint)
    client = AnalyserClient(*address, timeout=3600.0, concurrency=8)  # small servers are slow
    rows = bench_analysers.measure(client, options.episodes, options.answer_tokens, options.seed, note)
    return rows, f"--endpoint URL#MODEL --episodes {options.episodes} --answer-tokens {options.answer_tokens}"


def _measure_conversations(
    options: argparse.Namespace, note: Callable[[str], object]
) -> tuple[Sequence[tuple[str, str]], str]:
    from agentgym_hindsight.baselines.requirements import require_train

    require_train("measuring training")
    from agentgym_hindsight.baselines.training.configuration import configure
    from agentgym_hindsight.cli.bench.training import conversation_times

    # Times do not depend on the weights, so the warm start is as short as possible.
    values = {"model": options.model, "warm.tasks": 2, "plan.seed": options.seed}
    settings = [*(f"{name}={value}" for name, value in values.items()), *options.set]
    rows = conversation_times.measure(
        configure("grpo", settings=settings), turns=options.turns, repeats=options.repeats, note=note
    )
    words = ["--model", options.model, "--turns", options.turns, "--repeats", options.repeats]
    return rows, shlex.join(map(str, [*words, *(word for setting in options.set for word in ("--set", setting))]))


def _measure_hint_sd(
    options: argparse.Namespace, note: Callable[[str], object]
) -> tuple[Sequence[tuple[str, str]], str]:
    from agentgym_hindsight.baselines.requirements import require_train

    require_train("measuring training")
    from agentgym_hindsight.baselines.training.configuration import configure
    from agentgym_hindsight.cli.bench.training import hint_sd_times

    world = {"max_steps": options.turns, "expert": True}
    values = {
        "model": options.model,
        "warm.tasks": options.warm_tasks,
        "plan.seed": options.seed,
        "stage.env": "AppWorld-Hindsight-v0",
        "stage.settings": json.dumps(world),
    }
    settings = [*(f"{name}={value}" for name, value in values.items()), *options.set]
    rows = hint_sd_times.measure(
        configure("hint-sd", settings=settings), updates=options.updates, repeats=options.repeats, note=note
    )
    words = ["--model", options.model, "--warm-tasks", options.warm_tasks, "--turns", options.turns]
    words += ["--updates", options.updates, "--repeats", options.repeats]
    return rows, shlex.join(map(str, [*words, *(word for setting in options.set for word in ("--set", setting))]))


def _measure_training(
    options: argparse.Namespace, note: Callable[[str], object]
) -> tuple[Sequence[tuple[str, str]], str]:
    from agentgym_hindsight.baselines.requirements import require_train

    require_train("measuring training")
    from agentgym_hindsight.baselines.training.configuration import configure
    from agentgym_hindsight.cli.bench.training import speed

    values = {"model": options.model, "warm.tasks": options.warm_tasks, "plan.seed": options.seed}
    settings = [*(f"{name}={value}" for name, value in values.items()), *options.set]
    # The tiny sizes are skipped for another model: with its tokenizer their figures would mean little.
    sizes = ("S", "M") if options.model.startswith("tiny:") else ()
    rows = speed.measure(
        configure("grpo", settings=settings),
        updates=options.updates,
        repeats=options.repeats,
        sizes=(*sizes, "L") if options.large else sizes,
        endpoint=options.endpoint,
        updates_only=options.updates_only,
        note=note,
    )
    words = ["--model", options.model, "--warm-tasks", options.warm_tasks, "--updates", options.updates, "--repeats"]
    extra_words = ["--large"] * options.large + ["--updates-only"] * options.updates_only
    extra_words += [word for setting in options.set for word in ("--set", setting)]
    return rows, shlex.join(map(str, [*words, options.repeats, *extra_words]))
