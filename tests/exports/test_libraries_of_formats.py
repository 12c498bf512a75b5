"""The files of an export are what the formats' own libraries read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.exports import atif
from agentgym_hindsight.exports.formats import export_rollouts
from tests.exports.rollouts import ALL, with_all

ONLY_WHOLE = [each for each in ALL if each.steps]


@pytest.mark.parametrize("number", range(len(ALL)))
def test_harbor_accepts_atif(number: int, tmp_path: Path) -> None:
    models: Any = pytest.importorskip("harbor.models.trajectories", reason="needs harbor (ATIF's own library)")
    out = tmp_path / "one.json"
    export_rollouts([ALL[number]], "atif", out)
    parsed = models.Trajectory.model_validate_json(out.read_text())
    assert [step.source for step in parsed.steps] == ["user", *["agent"] * len(ALL[number])]
    # What harbor writes again is what we read.
    assert atif.from_atif(parsed.to_json_dict()) == ALL[number]


def test_harbor_finds_the_tokens() -> None:
    models: Any = pytest.importorskip("harbor.models.trajectories", reason="needs harbor (ATIF's own library)")
    metrics = models.Trajectory.model_validate(atif.to_atif(with_all())).steps[1].metrics
    assert (metrics.prompt_token_ids, metrics.completion_token_ids) == ([1, 2, 3], [4, 5])
    assert metrics.logprobs == [-0.5, -0.25]
    assert metrics.extra["weights"] == [1.2, 0.8]


def loaded(kind: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    datasets: Any = pytest.importorskip("datasets", reason="needs the extra [train]")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()
    return datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))


@pytest.mark.filterwarnings("ignore")
def test_datasets_and_trl_read_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "m.jsonl"
    export_rollouts(ONLY_WHOLE, "messages", out)
    table = loaded("json", out, tmp_path, monkeypatch)
    assert table.num_rows == len(ONLY_WHOLE)
    assert table[0]["gaps"] == [[0.25, -0.25], []]
    trl_data: Any = pytest.importorskip("trl.data_utils", reason="needs the extra [train]")
    assert trl_data.is_conversational(table[0])
    export_rollouts(ONLY_WHOLE, "messages", tmp_path / "t.jsonl", rows="turn")
    turns = loaded("json", tmp_path / "t.jsonl", tmp_path, monkeypatch)
    assert turns.num_rows == sum(map(len, ONLY_WHOLE))
    assert trl_data.is_conversational(turns[0])
    assert turns[0]["completion"] == [{"role": "assistant", "content": with_all().steps[0].response}]


@pytest.mark.filterwarnings("ignore")
def test_datasets_reads_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra [train]")
    export_rollouts(ALL, "parquet", tmp_path / "p.parquet")
    table = loaded("parquet", tmp_path / "p.parquet", tmp_path, monkeypatch)
    assert table.num_rows == sum(max(1, len(each)) for each in ALL)
    assert table[0]["weights"] == [1.2, 0.8]
    assert table[1]["weights"] is None
    export_rollouts(ALL, "verl", tmp_path / "v.parquet")
    rows = loaded("parquet", tmp_path / "v.parquet", tmp_path, monkeypatch)
    assert rows.num_rows == len({each.task_id for each in ALL})
    assert rows[0]["extra_info"]["rollouts"] == sum(each.task_id == "lamp" for each in ALL)


def test_verl_reads_its_prompts(tmp_path: Path) -> None:
    """verl's own dataset class, with the tokenizer that it needs for the length of the prompts."""
    rl_dataset: Any = pytest.importorskip("verl.utils.dataset.rl_dataset", reason="needs verl 0.9")
    omegaconf: Any = pytest.importorskip("omegaconf", reason="needs verl 0.9")
    from agentgym_hindsight.baselines.training.tiny import make_tokenizer

    export_rollouts(ONLY_WHOLE, "verl", tmp_path / "v.parquet")
    config = omegaconf.OmegaConf.create(
        {
            "prompt_key": "prompt",
            "max_prompt_length": 4096,
            "filter_overlong_prompts": False,
            "cache_dir": str(tmp_path),
            "return_raw_chat": True,
        }
    )
    tokenizer = make_tokenizer(["go east", "look"] * 9, vocabulary=300)
    table = rl_dataset.RLHFDataset(str(tmp_path / "v.parquet"), tokenizer, config)
    row = table[0]
    assert row["agent_name"] == "agentgym_hindsight"
    assert row["extra_info"]["task_id"] == "lamp"
    assert row["data_source"].startswith("agentgym_hindsight/")
