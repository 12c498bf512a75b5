"""``agh data install appworld``: print the installation steps, ask once for confirmation, and run them."""

from __future__ import annotations

import argparse
import subprocess

from rich.text import Text

from agentgym_hindsight.cli.confirmation import confirm
from agentgym_hindsight.cli.terminal import console, print_line
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.printable import printable_line

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    from agentgym_hindsight.envs.appworld.official.install import carry_out, installation, verify
    from agentgym_hindsight.envs.appworld.official.interpreter import managed_folder

    steps = installation(python=options.python)
    print_line(f"Installation of AppWorld (Apache-2.0, the authors' package and data) into {managed_folder()}:")
    for number, step in enumerate(steps, 1):
        state = "already done" if step.done() else f"writes {step.writes}"
        print_line(f"{number}. {step.name}: {state}\n   {' '.join(step.command)}")
    print_line("The task data is encrypted to keep it out of training corpora: do not publish the unpacked files.")
    if options.dry_run:
        return 0
    if any(not step.done() for step in steps):
        _check_python(options.python)
        if not options.yes:
            confirm()
    for number, step in enumerate(steps, 1):
        if step.done():
            continue
        with console.status(f"{number}/{len(steps)} {step.name}") as status:
            for line in carry_out(step):
                status.update(Text(printable_line(f"{number}/{len(steps)} {step.name}  {line}", 100)))
        console.print(f"{number}/{len(steps)} {step.name}: done")
    with console.status("opening a task"):
        counts = verify()
    sizes = ", ".join(f"{count} {split}" for split, count in counts.items())
    print_line(f"Ready ({sizes}). Try: agh play --env AppWorld-Hindsight-v0 --set backend=official")
    return 0


def _check_python(python: str) -> None:
    code = "import sys; print('.'.join(map(str, sys.version_info[:2])))"
    try:
        printed = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60).stdout.strip()
        version = tuple(map(int, printed.split(".")))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise UsageError(
            f"Expected a Python interpreter as --python, got {python} ({error}); try --python python3.11."
        ) from error
    if version < (3, 11):
        raise UsageError(f"Expected Python 3.11 or newer for AppWorld, got {printed}; try --python python3.11.")
