"""``agh models``: list the models that need no hub, and get one."""

from __future__ import annotations

import argparse
import time

from rich.text import Text

from agentgym_hindsight.baselines.models import MODELS, get_model
from agentgym_hindsight.baselines.models.packaged import is_complete, model_folder
from agentgym_hindsight.cli.parsing import name_of
from agentgym_hindsight.cli.terminal import console, print_line
from agentgym_hindsight.printable import printable_line


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True)
    verbs.add_parser("list", help="print the models, their licences and where they are")
    get = verbs.add_parser("get", help="fetch a model by pip, check it by hash, and convert it to a checkpoint folder")
    get.add_argument("model", type=name_of("model", MODELS), choices=list(MODELS), help="the model")
    get.add_argument("--dry-run", action="store_true", help="print what would be fetched and stop")


def run(options: argparse.Namespace) -> int:
    if options.verb == "list":
        for name in MODELS:
            _describe(name)
        print_line("Folders, GGUF files and names on a hub can be given to --model and --policy too.")
        return 0
    model = MODELS[options.model]
    _describe(options.model)
    if options.dry_run:
        return 0
    started = time.monotonic()
    with console.status(model.name) as status:

        def notify(text: str) -> None:
            status.update(Text(printable_line(f"{model.name}: {text}", 100)))
            if not console.is_terminal:
                console.print(f"{text} …", soft_wrap=True)

        folder = get_model(options.model, notify)
    console.print(f"done in {time.monotonic() - started:.0f} s")
    print_line(f"{folder}\nTry: agh eval --policy {model.name}, or agh train serl --model {model.name}")
    return 0


def _describe(name: str) -> None:
    model, folder = MODELS[name], model_folder(name)
    state = f"in {folder}" if is_complete(folder) else f"not here; it would take {model.megabytes} MB in {folder}"
    print_line(f"{name}: {model.about}")
    print_line(f"  licence {model.licence}; from the package {model.package} {model.version} (PyPI)")
    print_line(f"  {state}")
