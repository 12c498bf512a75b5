"""GGUF files as checkpoint folders: the weights are dequantised to float32 once, in a process of their own.

Run as a program (``python -m agentgym_hindsight.baselines.models.gguf_files FILE FOLDER``) this module does one
conversion. A process of its own keeps the memory of the conversion and the package ``gguf`` out of the caller.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.errors import DamagedDataError, MissingDataError
from agentgym_hindsight.files import open_file
from agentgym_hindsight.printable import printable_line

__all__ = ["check_gguf", "convert_gguf"]

_MAGIC = b"GGUF"
_LAST = 400  # characters of an error of the conversion


def check_gguf(file: str | Path) -> None:
    """Raise if the file is missing or is no GGUF file."""
    with open_file(file, "a GGUF file", "try a file of a llama.cpp model, or a folder with config.json.") as opened:
        found = opened.read(len(_MAGIC))
    if found != _MAGIC:
        raise DamagedDataError(
            f"Expected a GGUF file at {printable_line(str(file), 200)}, got one that begins with {found!r}; "
            "try downloading it again."
        )


def convert_gguf(file: Path, folder: Path, packages: Path | None = None) -> None:
    """Write the model and the tokenizer of a GGUF file into an existing folder. ``packages``: where ``gguf`` is too."""
    require_train("reading a GGUF file")
    check_gguf(file)
    if packages is None and find_spec("gguf") is None:
        raise MissingDataError(
            "Expected the package 'gguf' to read a GGUF file, got none installed; try: pip install gguf"
        )
    here = str(Path(__file__).parents[3])
    path = os.pathsep.join([*([str(packages)] if packages else []), here, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(file.resolve()), str(folder.resolve())],
        env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode or not (folder / "config.json").is_file():
        raise DamagedDataError(
            f"Expected a model that can be read in {file}, got: {printable_line(_last_line(done.stderr), _LAST)}; "
            "try a newer transformers, or the model's own checkpoint."
        )


def _last_line(text: str) -> str:
    lines = [line for line in text[-(1 << 16) :].splitlines() if line.strip()]
    return lines[-1][-_LAST:] if lines else "no message"


def _convert(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    # The weights are dequantised: with these marks transformers refuses to save them.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    _convert(Path(sys.argv[1]), Path(sys.argv[2]))
