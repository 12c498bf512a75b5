"""The checks of ``agh doctor``: what is installed, which data was found, and how to get what is missing."""

from __future__ import annotations

import os
import sys
from importlib import metadata, util
from typing import Any, NamedTuple

from agentgym_hindsight.errors import DataError, HindsightError
from agentgym_hindsight.installation import pip_command
from agentgym_hindsight.redaction import hide_passwords

__all__ = [
    "Finding",
    "PackageFinding",
    "accelerators",
    "alfworld",
    "appworld",
    "bfcl",
    "packages",
    "taubench",
    "webshop",
]

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


class Finding(NamedTuple):
    """The result of a check: its name, whether it is usable, one line of text, and further lines."""

    name: str
    found: bool
    text: str
    details: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"name": self.name, "found": self.found, "text": self.text, "details": list(self.details)}


class PackageFinding(NamedTuple):
    """A package: its version ("" if it is not installed), purpose, extra, and how to install it."""

    name: str
    version: str
    purpose: str
    extra: str
    install: str

    @property
    def missing(self) -> bool:
        """Whether the core needs the package and it is not installed."""
        return not self.version and not self.extra


def packages() -> list[PackageFinding]:
    """The packages of the core and of the extras."""
    found = []
    for name, (extra, purpose) in _PACKAGES.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            version = ""
        found.append(PackageFinding(name, version, purpose, extra, "" if version else pip_command(extra)))
    return found


def textworld_note() -> str:
    """A known problem of the installed textworld, or ""."""
    if sys.version_info >= (3, 13) and util.find_spec("textworld"):
        return "textworld ≤ 1.7 fails on Python 3.13 and newer: use backend='native' or Python 3.12."
    return ""


def accelerators() -> tuple[str, ...] | None:
    """The names of the accelerators; None if torch, which finds them, is not installed."""
    if util.find_spec("torch") is None:
        return None
    import torch

    return tuple(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))


def alfworld(data: str | None) -> list[Finding]:
    """ALFWorld's data: the folder ``data``, else the default folders."""
    from agentgym_hindsight.envs.alfworld.official import OFFICIAL_COUNTS, official_root

    embedded = Finding("embedded houses", True, "always available")
    try:
        root = official_root(data)
    except DataError as error:
        folder = os.environ.get("ALFWORLD_DATA")
        hint = f" ($ALFWORLD_DATA is {folder})" if folder else ""
        return [embedded, Finding("official games", False, f"not installed{hint}. {error}")]
    splits = tuple(_alfworld_split(root, split, official) for split, official in OFFICIAL_COUNTS.items())
    return [embedded, Finding("official games", True, str(root), (*splits, "`agh data check` reads all files."))]


def _alfworld_split(root: Any, split: str, official: int) -> str:
    from agentgym_hindsight.envs.alfworld.gamefile import read_game
    from agentgym_hindsight.envs.alfworld.official import game_files

    try:
        files = game_files(root, split)
    except DataError:
        return f"{split:13} none of {official}; try alfworld-download"
    short = "" if len(files) == official else f" of {official}: a subset, or an interrupted download"
    try:
        dialect = read_game(files[0]).dialect
        text = f"text of release {dialect}" + (" (put X in/on Y)" if dialect == "0.3" else " (move X to Y)")
    except DataError as error:
        text = f"damaged: {error}"
    return f"{split:13} {len(files)}{short}; {text}"


def webshop(data: str | None) -> list[Finding]:
    """WebShop's data: the folder ``data``, else the default folders; and the tagger."""
    from agentgym_hindsight.envs.webshop.library import data_folder
    from agentgym_hindsight.envs.webshop.nouns import TAGGERS
    from agentgym_hindsight.envs.webshop.official_files import find_catalogue

    findings = [Finding("embedded shop", True, "always available")]
    folder = os.environ.get("WEBSHOP_DATA")
    try:
        files = find_catalogue(data or data_folder())
    except DataError as error:
        hint = f" ($WEBSHOP_DATA is {folder})" if folder and not data else ""
        findings.append(Finding("official files", False, f"not found{hint}. {error}"))
    else:
        details = []
        for role, path in (("products", files.items), ("attributes", files.attributes), ("human goals", files.human)):
            if path is None:
                details.append(f"{role:13} none; try putting items_human_ins*.json there, or goals='synthetic'")
            else:
                details.append(f"{role:13} {path.name}, {path.stat().st_size / 2**20:,.1f} MiB")
        text = f"{files.items.parent}, catalogue {files.tag or 'without a tag'}"
        findings.append(Finding("official files", True, text, tuple(details)))
    tagger = _tagger(TAGGERS)
    text = f"{tagger}; the default, 'tokens-1', needs none"
    return [*findings, Finding("noun rule 'spacy'", tagger.startswith("model "), text)]


def _tagger(models: tuple[str, ...]) -> str:
    """The model that the tagger would use, or how to install one. No package is imported."""
    if util.find_spec("spacy") is None:
        return f"not installed; try {pip_command('spacy')}"
    installed = [model for model in models if util.find_spec(model)]
    return f"model {installed[0]}" if installed else f"no model; try python -m spacy download {models[0]}"


def appworld() -> list[Finding]:
    """The sandbox and the official AppWorld."""
    sandbox, official = _sandbox(), _official_appworld()
    return [
        Finding("miniature world", True, "always available"),
        Finding("sandbox for the agent's programs", not sandbox.startswith("none."), sandbox),
        Finding("official AppWorld", "; tasks in " in official, official),
    ]


def taubench(data: str | None) -> list[Finding]:
    """tau-bench's data: the folder ``data``, else ``$TAU_BENCH_DATA``; and the package tau2."""
    from agentgym_hindsight.envs.tau.data_folder import DATA_VARIABLE, TABLES, has_domain, load_desk

    findings = [Finding("embedded desks", True, "always available")]
    folder = data or os.environ.get(DATA_VARIABLE)
    for domain in TABLES:
        if not folder or not has_domain(folder, domain):
            where = f"not in {folder}" if folder else f"not found: ${DATA_VARIABLE} is not set"
            cure = f"try git clone https://github.com/sierra-research/tau-bench and {DATA_VARIABLE}=…/tau-bench"
            findings.append(Finding(f"official {domain}", False, f"{where}; {cure}"))
            continue
        try:
            desk = load_desk(folder, domain)
        except DataError as error:
            findings.append(Finding(f"official {domain}", False, f"damaged: {error}"))
            continue
        counts = ", ".join(f"{split} {len(tasks)}" for split, tasks in desk.tasks.items())
        findings.append(Finding(f"official {domain}", True, f"{folder}: {counts}"))
    return [*findings, _tau2()]


def bfcl(data: str | None) -> list[Finding]:
    """BFCL's package: in the folder ``data``, else where it is found, and in both versions."""
    from agentgym_hindsight.envs.bfcl.official import find_package
    from agentgym_hindsight.envs.bfcl.official.package import VERSIONS

    findings = [Finding("embedded APIs", True, "always available")]
    for version, files in VERSIONS.items():
        name = f"official APIs, bfcl-eval {version} ({files} files)"
        try:
            package = find_package(data, version)
            package.modules()
            findings.append(Finding(name, True, str(package.folder)))
        except HindsightError as error:
            findings.append(Finding(name, False, f"not usable. {error}"))
    return findings


def _tau2() -> Finding:
    """Whether the package tau2 of tau²'s repository is there."""
    from agentgym_hindsight.envs.tau.tau2_desk import TAU2_CURE, is_installed

    found = is_installed()
    if not found:
        what = "not installed" if found is False else "another project of this name is installed"
        return Finding("tau2", False, f"{what}; {TAU2_CURE}")
    return Finding("tau2", True, "installed: backend='tau2' plays its retail tasks that need no judge")


def _sandbox() -> str:
    """The sandbox mode of this machine. Starts one worker to find it."""
    from agentgym_hindsight.envs.appworld.sandbox import Sandbox

    try:
        sandbox = Sandbox(lambda app, api, arguments: None)
    except HindsightError as error:
        return f"none. {error}"
    try:
        return f"{sandbox.mode}; {_SANDBOX.get(sandbox.mode, 'see docs/sandbox.md')}"
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
