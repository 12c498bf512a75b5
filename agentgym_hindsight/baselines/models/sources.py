"""What a user calls a model → what a library can load: a folder, or the name of a model on a hub."""

from __future__ import annotations

import os
from pathlib import Path

from agentgym_hindsight.atomic import atomic_folder
from agentgym_hindsight.baselines.models.gguf_files import check_gguf, convert_gguf
from agentgym_hindsight.baselines.models.packaged import MODELS, is_complete, mark_complete, model_folder
from agentgym_hindsight.envs.manifests import cache_folder
from agentgym_hindsight.errors import MissingDataError
from agentgym_hindsight.tasks import content_hash

__all__ = ["model_source"]

_ENDING = ".gguf"


def model_source(model: str | os.PathLike[str]) -> str:
    """The folder of a model of :data:`~.packaged.MODELS`, or of a GGUF file; other names are returned as they are.

    A GGUF file is converted when it is first used, and the folder is cached. A folder in the current folder goes before
    a model of that name.
    """
    name = os.fspath(model)
    if name.strip().casefold() in MODELS and not Path(name).exists():
        folder = model_folder(name)
        if not is_complete(folder):
            raise MissingDataError(
                f"Expected the model {name!r} in {folder}, found none; try: agh models get {name.strip().casefold()}"
            )
        return str(folder)
    if name.lower().endswith(_ENDING) and not Path(name).is_dir():
        return str(_converted(Path(name)))
    return name


def _converted(file: Path) -> Path:
    check_gguf(file)
    stat = file.stat()
    key = content_hash(str(file.resolve()), str(stat.st_size), str(stat.st_mtime_ns))
    folder = cache_folder() / "models" / f"{file.stem[:60]}-{key}"
    if not is_complete(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(folder) as part:
            convert_gguf(file, part)
            mark_complete(part, {"file": str(file.resolve())})
    return folder
