"""The folder of a run as a whole: whether it can be written, what ``fresh`` deletes, the policy of a prolonged run."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.errors import UsageError

__all__ = ["check_folder", "delete_run", "keep_policy"]


def check_folder(folder: Path) -> None:
    """Create the folder and a file in it, and delete the file: what fails later would fail after the warm start."""
    if (folder / "policy").exists() and not (folder / "run.json").exists():
        raise UsageError(
            f"Expected the folder of a run, got {folder} with a policy but without run.json; try another --out."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0" * 4096)
            file.flush()
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"Expected a folder, got a file in the path {folder}; try another --out.") from error
    except OSError as error:
        raise UsageError(
            f"Expected a folder that can be written, got {folder}: {error.strerror or error}; try another --out."
        ) from error


def delete_run(folder: Path) -> None:
    """Delete the run in a folder, if there is one. A folder of anything else is not deleted."""
    if not (folder / "run.json").exists():
        return
    if not RunLog(folder, active=False).is_run():
        raise UsageError(
            f"Expected a run of this library in {folder}, got a run.json of another kind; nothing was deleted: "
            "try another --out."
        )
    shutil.rmtree(folder)


def keep_policy(folder: Path, updates: int) -> None:
    """Rename the policy of a complete run that is prolonged: a run with a folder ``policy`` counts as complete."""
    kept = folder / f"policy-after-{updates}"
    shutil.rmtree(kept, ignore_errors=True)
    (folder / "policy").rename(kept)
