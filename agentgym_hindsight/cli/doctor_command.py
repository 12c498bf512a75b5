"""``agh doctor``: what is installed, which data was found, what is missing and how to install it."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib import metadata, util
from typing import Any

from rich.console import Console
from rich.table import Table

from agentgym_hindsight import __version__
from agentgym_hindsight.cli.shared import output
from agentgym_hindsight.errors import DataError, HindsightError
from agentgym_hindsight.redaction import hide_passwords

#: Package → (the extra that installs it, "" for the core; its purpose).
_PACKAGES = {
    "gymnasium": ("", "the environment interface"),
    "numpy": ("", "the environment interface"),
    "httpcore": ("", "judges and model endpoints"),
    "rich": ("", "progress and tables"),
    "rapidfuzz": ("", "the reward of WebShop"),
    "flask": ("", "web sites and viewer"),
    "alfworld": ("alfworld", "the genuine ALFWorld engine, for backend='textworld' and parity"),
    "textworld": ("alfworld", "the genuine ALFWorld engine"),
    "torch": ("train", "training"),
    "transformers": ("train", "training"),
    "trl": ("train", "training"),
    "vllm": ("vllm", "fast generation on GPUs"),
    "ray": ("ray", "rollouts on several machines"),
    "spacy": ("spacy", "WebShop's product type test with a tagger, nouns='spacy'"),
    "pytest": ("dev", "the tests"),
}

#: Sandbox mode → its protection.
_SANDBOX = {
    "namespaces+seccomp": "the strongest mode",
    "seccomp": "namespaces are not available, as in many containers; files, network and processes are still blocked",
    "namespaces": "seccomp is not available; network, files and processes are blocked, but more system calls are open",
    "rlimits": "NO PROTECTION: only for models that you trust, on a machine that you can lose",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", help="folder of official ALFWorld games or WebShop files to check instead of the default folders"
    )


def run(options: argparse.Namespace) -> int:
    out = output()
    out.print(f"agentgym-hindsight {__version__} · Python {platform.python_version()} · {platform.platform()}")
    healthy = _packages(out)
    _accelerator(out)
    _alfworld(out, options.data)
    _webshop(out, options.data)
    _appworld(out)
    out.print("Everything that the core needs is installed." if healthy else "Install the packages marked as missing.")
    return 0 if healthy else 1


def _packages(out: Console) -> bool:
    table = Table("package", "version", "for", "how to install", title="Packages", title_justify="left")
    healthy = True
    for name, (extra, purpose) in _PACKAGES.items():
        try:
            version, command = metadata.version(name), ""
        except metadata.PackageNotFoundError:
            version = "missing" if not extra else "not installed"
            target = f"agentgym-hindsight[{extra}]" if extra else "agentgym-hindsight"
            command = f"pip install '{target}'"
            healthy = healthy and bool(extra)
        table.add_row(name, version, purpose, command.replace("[", r"\["))
    out.print(table)
    if sys.version_info >= (3, 13) and util.find_spec("textworld"):
        out.print("textworld ≤ 1.7 fails on Python 3.13 and newer: use backend='native' or Python 3.12.")
    return healthy


def _accelerator(out: Console) -> None:
    if util.find_spec("torch") is None:
        out.print("Accelerator: not checked, because torch is not installed; environments need none.")
        return
    import torch

    devices = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    out.print(f"Accelerator: {', '.join(devices) or 'none; training runs on the CPU'}.")


def _alfworld(out: Console, data: str | None) -> None:
    from agentgym_hindsight.envs.alfworld.gamefile import read_game
    from agentgym_hindsight.envs.alfworld.official import OFFICIAL_COUNTS, game_files, official_root

    out.print("\nALFWorld")
    out.print("  embedded houses: always available")
    try:
        root = official_root(data)
    except DataError as error:
        folder = os.environ.get("ALFWORLD_DATA")
        out.print(
            f"  official games: not installed{f' ($ALFWORLD_DATA is {folder})' if folder else ''}. {error}",
            soft_wrap=True,
        )
        return
    out.print(f"  official games: {root}", soft_wrap=True)
    for split, official in OFFICIAL_COUNTS.items():
        try:
            files = game_files(root, split)
        except DataError:
            out.print(f"    {split:13} none of {official}; try alfworld-download")
            continue
        short = "" if len(files) == official else f" of {official}: a subset, or an interrupted download"
        try:
            dialect = read_game(files[0]).dialect
            text = f"text of release {dialect}" + (" (put X in/on Y)" if dialect == "0.3" else " (move X to Y)")
        except DataError as error:
            text = f"damaged: {error}"
        out.print(f"    {split:13} {len(files)}{short}; {text}", soft_wrap=True)
    out.print("  `agh data check` reads all files.")


def _webshop(out: Console, data: str | None) -> None:
    from agentgym_hindsight.envs.webshop.library import data_folder
    from agentgym_hindsight.envs.webshop.nouns import TAGGERS
    from agentgym_hindsight.envs.webshop.official_files import find_catalogue

    out.print("\nWebShop")
    out.print("  embedded shop: always available")
    folder = os.environ.get("WEBSHOP_DATA")
    try:
        files = find_catalogue(data or data_folder())
    except DataError as error:
        hint = f" ($WEBSHOP_DATA is {folder})" if folder and not data else ""
        out.print(f"  official files: not found{hint}. {error}", soft_wrap=True)
    else:
        out.print(f"  official files: {files.items.parent}, catalogue {files.tag or 'without a tag'}", soft_wrap=True)
        for role, path in (("products", files.items), ("attributes", files.attributes), ("human goals", files.human)):
            if path is None:
                out.print(f"    {role:13} none; try putting items_human_ins*.json there, or goals='synthetic'")
            else:
                out.print(f"    {role:13} {path.name}, {path.stat().st_size / 2**20:,.1f} MiB", soft_wrap=True)
    out.print(f"  noun rule 'spacy': {_tagger(TAGGERS)}; the default, 'tokens-1', needs none", soft_wrap=True)


def _tagger(models: tuple[str, ...]) -> str:
    """The model that the tagger would use, or how to install one. No package is imported."""
    if util.find_spec("spacy") is None:
        return "not installed; try pip install 'agentgym-hindsight\\[spacy]'"
    installed = [model for model in models if util.find_spec(model)]
    return f"model {installed[0]}" if installed else f"no model; try python -m spacy download {models[0]}"


def _appworld(out: Console) -> None:
    out.print("\nAppWorld")
    out.print("  miniature world: always available")
    out.print(f"  sandbox for the agent's programs: {_sandbox()}", soft_wrap=True)
    out.print(f"  official AppWorld: {_official_appworld()}", soft_wrap=True)


def _sandbox() -> str:
    """The sandbox mode of this machine. Starts one worker to find it."""
    from agentgym_hindsight.envs.appworld.sandbox import Sandbox

    try:
        sandbox = Sandbox(lambda app, api, arguments: None)
    except HindsightError as error:
        return f"none. {error}"
    try:
        return f"{sandbox.mode}; {_SANDBOX[sandbox.mode]}"
    except HindsightError as error:
        return f"none. {error}"
    finally:
        sandbox.close()


def _official_appworld() -> str:
    """The package and the data that were found, or how to install the first one that is missing."""
    from agentgym_hindsight.envs.appworld.official.interpreter import find_data, find_interpreter
    from agentgym_hindsight.envs.appworld.official.task_files import SPLITS, OfficialTasks

    servers = os.environ.get("APPWORLD_SERVERS", "").replace(",", " ").split()
    try:
        if servers:
            installation = f"servers {hide_passwords(', '.join(servers))} ($APPWORLD_SERVERS; not contacted)"
        else:
            python, version = find_interpreter()
            installation = f"package {version} in {python}"
    except HindsightError as error:
        return f"not installed. {error}"
    try:
        tasks = OfficialTasks(find_data())
        counts = ", ".join(f"{split} {_count(tasks, split)}" for split in SPLITS)
    except HindsightError as error:
        return f"{installation}; no tasks. {error}"
    return f"{installation}; tasks in {tasks.root / 'data'}: {counts}"


def _count(tasks: Any, split: str) -> int:
    try:
        return int(tasks.count(split))
    except DataError:
        return 0
