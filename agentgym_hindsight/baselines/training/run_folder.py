"""The folder of a run: whether it can be written, which of its files belong to the run, and its earlier policy."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from agentgym_hindsight.errors import UsageError

__all__ = ["check_run_folder", "check_writable", "delete_run", "keep_policy"]

#: What a run writes. Everything else in the folder is somebody else's.
_NAMES = ("run.json", "metrics.jsonl", "eval.jsonl", "samples.jsonl", "policy", "policy.part")
_PATTERNS = ("checkpoint-*", "policy-after-*")


def check_writable(folder: Path) -> None:
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


def check_run_folder(folder: Path, *, fresh: bool = False) -> None:
    """Raise if the folder contains files of another program that a run would overwrite. Other files do not matter.

    With ``fresh`` those files are deleted by :func:`delete_run`, as the user has asked for it; folders are not.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"Expected a folder for the run, got the file {folder}; try another --out.")
    if _is_description(folder / "run.json"):
        return
    if not (folder / "run.json").exists() and _has_updates(folder / "metrics.jsonl"):
        return  # the description was deleted
    if fresh:
        # Without a run, these folders may contain anything: they are not deleted as a whole.
        names = [path.name for path in _own_files(folder) if path.is_dir() and not path.is_symlink()]
        if names:
            raise UsageError(
                f"Expected a run in {folder}, got none and the folders {', '.join(names[:5])}, which a run would "
                "overwrite; try another --out, or delete them yourself."
            )
        return
    names = [path.name for path in _own_files(folder)]
    if names:
        raise UsageError(
            f"Expected an empty folder or a run in {folder}, got files that are not of a run ({', '.join(names[:5])}); "
            "try another --out, or --fresh to delete them."
        )


def delete_run(folder: Path) -> None:
    """Delete the files of the run. Other files in the folder are kept, and the folder too if there are any."""
    for path in _own_files(folder):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def keep_policy(folder: Path, updates: int) -> None:
    """Rename the policy of a complete run that is prolonged: a run with a folder ``policy`` counts as complete."""
    kept = folder / f"policy-after-{updates}"
    shutil.rmtree(kept, ignore_errors=True)
    (folder / "policy").rename(kept)


def _own_files(folder: Path) -> Iterator[Path]:
    for name in _NAMES:
        path = folder / name
        if path.exists() or path.is_symlink():
            yield path
    for pattern in _PATTERNS:
        yield from sorted(folder.glob(pattern))


def _has_updates(metrics: Path) -> bool:
    """Whether the first line of the file is that of an update."""
    try:
        with metrics.open("rb") as file:
            first = json.loads(file.readline(1_000_000))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(first, dict) and {"update", "turns"} <= first.keys()


def _is_description(description: Path) -> bool:
    """Whether the file describes a run, also if it is of another version or cut."""
    try:
        text = description.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return '"agentgym-hindsight/run"' in text[:200]
    return isinstance(document, dict) and document.get("schema") == "agentgym-hindsight/run"
