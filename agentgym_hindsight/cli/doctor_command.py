"""``agh doctor``: what is installed, which data was found, what is missing and how to install it."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Mapping, Sequence

from agentgym_hindsight import __version__
from agentgym_hindsight.cli import doctor_checks as checks
from agentgym_hindsight.cli.parsing import source
from agentgym_hindsight.cli.tables import Grid
from agentgym_hindsight.cli.terminal import SafeConsole, output, print_json


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=source,
        help="folder of official ALFWorld games or WebShop files to check instead of the default folders",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(options: argparse.Namespace) -> int:
    packages = checks.packages()
    healthy = not any(package.missing for package in packages)
    if options.json:
        _print_json(options, packages, healthy)
        return 0 if healthy else 1
    out = output()
    system = f"Python {platform.python_version()} · {platform.platform()}"
    out.print(f"agentgym-hindsight {__version__} · {system}", soft_wrap=True)
    _table(packages).print(out)
    if note := checks.textworld_note():
        out.print(note, soft_wrap=True)
    out.print(_accelerators(checks.accelerators()), soft_wrap=True)
    for title, findings in _worlds(options).items():
        _print_findings(out, title, findings)
    out.print("Everything that the core needs is installed." if healthy else "Install the packages marked as missing.")
    return 0 if healthy else 1


def _worlds(options: argparse.Namespace) -> Mapping[str, Sequence[checks.Finding]]:
    return {
        "ALFWorld": checks.alfworld(options.data),
        "WebShop": checks.webshop(options.data),
        "AppWorld": checks.appworld(),
        "tau-bench": checks.taubench(None),
        "BFCL": checks.bfcl(None),
    }


def _table(packages: Sequence[checks.PackageFinding]) -> Grid:
    rows = [
        (
            package.name,
            package.version or ("missing" if package.missing else "not installed"),
            package.purpose,
            package.install,
        )
        for package in packages
    ]
    return Grid("Packages", ("package", "version", "for", "how to install"), rows, text_columns=4)


def _accelerators(devices: Sequence[str] | None) -> str:
    if devices is None:
        return "Accelerator: not checked, because torch is not installed; environments need none."
    return f"Accelerator: {', '.join(devices) or 'none; training runs on the CPU'}."


def _print_findings(out: SafeConsole, title: str, findings: Sequence[checks.Finding]) -> None:
    out.print(f"\n{title}")
    for finding in findings:
        out.print(f"  {finding.name}: {finding.text}", soft_wrap=True)
        for line in finding.details:
            out.print(f"    {line}", soft_wrap=True)


def _print_json(options: argparse.Namespace, packages: Sequence[checks.PackageFinding], healthy: bool) -> None:
    devices = checks.accelerators()
    print_json(
        {
            "version": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "healthy": healthy,
            "packages": [package._asdict() for package in packages],
            "accelerators": None if devices is None else list(devices),
            "environments": [
                {"name": title, "findings": [finding.as_dict() for finding in findings]}
                for title, findings in _worlds(options).items()
            ],
        }
    )
