"""``agh data install bfcl``: download the package of the benchmark into a folder of its own, and check it."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from agentgym_hindsight.cli.confirmation import confirm
from agentgym_hindsight.cli.terminal import console, print_line
from agentgym_hindsight.errors import MissingDataError

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    from agentgym_hindsight.envs.bfcl.official.install import download, installed, requirements, unpack, verify
    from agentgym_hindsight.envs.bfcl.official.package import DEFAULT_VERSION, managed_folder

    version = options.package_version or DEFAULT_VERSION
    folder = managed_folder(version)
    package = installed(version)
    wanted = requirements(version)
    state = "already done" if package else f"downloads {' and '.join(wanted)} with pip (2 MB) and checks the hash"
    print_line(f"Installation of BFCL (Apache-2.0, the authors' package, without its dependencies) into {folder}:")
    print_line(f"1. {state}\n2. plays one task of each category")
    if options.dry_run:
        return 0
    if package is None:
        if not options.yes:
            confirm()
        with tempfile.TemporaryDirectory(prefix="agentgym_hindsight_") as temporary:
            wheels = []
            for requirement in wanted:
                with console.status(f"downloading {requirement}"):
                    wheels.append(download(requirement, Path(temporary), options.python))
            unpack(wheels, folder)
        package = installed(version)
        if package is None:
            raise MissingDataError(f"Expected bfcl-eval {version} in {folder}, got none; try the same command again.")
    with console.status("playing a task of each category"):
        counts = verify(package)
    sizes = ", ".join(f"{count} {category}" for category, count in counts.items())
    print_line(f"Ready: {package.name} ({sizes}). Try: agh play --env bfcl --set backend=official")
    return 0
