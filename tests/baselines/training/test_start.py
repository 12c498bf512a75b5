"""The initial policy of a run: made once, found again, and its evaluations are cached."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")

from agentgym_hindsight.baselines.evaluation.results import evaluate  # noqa: E402
from agentgym_hindsight.baselines.training import start as starts  # noqa: E402
from agentgym_hindsight.baselines.training.plan import Plan  # noqa: E402
from agentgym_hindsight.baselines.training.start import Start, open_start, start_folder  # noqa: E402
from agentgym_hindsight.baselines.training.warm_start import WarmStart  # noqa: E402
from agentgym_hindsight.errors import MissingDataError, UnknownNameError, UsageError  # noqa: E402
from agentgym_hindsight.hindsight.trajectory import Trajectory  # noqa: E402
from agentgym_hindsight.stage import Stage  # noqa: E402
from tests.baselines.training.test_tiny import small_model, small_tokenizer  # noqa: E402

STAGE = Stage(settings={"data": "embedded", "difficulty": "easy", "max_steps": 4}, protocol="brief")
WARM = WarmStart(tasks=2, epochs=1, batch=8)
PLAN = Plan(prompt_tokens=256)


class RecordingObserver:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def stage(self, name: str, total: int) -> None:
        self.calls.append(f"{name} of {total}")

    def advance(self, note: str = "", steps: int = 1) -> None:
        self.calls.append("+")

    def say(self, text: str) -> None:
        self.calls.append(text)


def test_the_folder_follows_from_the_settings() -> None:
    own = start_folder("tiny:S", STAGE, WARM, PLAN)
    assert own.parts[:2] == ("runs", "starts")
    assert own.name.startswith("tiny-S-")
    assert own.name.endswith("-seed0")
    assert start_folder("tiny:S", STAGE, WARM, replace(PLAN, updates=9, tasks=3, learning_rate=1.0)) == own, (
        "settings of the training after the warm start do not matter"
    )
    others = {
        start_folder("tiny:M", STAGE, WARM, PLAN),
        start_folder("tiny:S", replace(STAGE, history=2), WARM, PLAN),
        start_folder("tiny:S", STAGE, replace(WARM, noise=0.1), PLAN),
        start_folder("tiny:S", STAGE, WARM, replace(PLAN, prompt_tokens=300)),
        start_folder("tiny:S", STAGE, WARM, replace(PLAN, seed=1)),
    }
    assert len(others | {own}) == 6
    assert start_folder("tiny:S", STAGE, WARM, PLAN, Path("elsewhere")).parent == Path("elsewhere")


@pytest.mark.slow  # a warm start of TRL's
def test_a_tiny_policy_is_made_once_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    observer = RecordingObserver()
    model, tokenizer, own = open_start("tiny:S", STAGE, WARM, PLAN, observer)
    assert observer.calls[0] == "expert play of 1"
    (stage,) = [position for position, text in enumerate(observer.calls) if text.startswith("warm start of ")]
    steps = observer.calls[stage + 1 :].count("+")
    assert observer.calls[stage] == f"warm start of {steps}", "the progress display ends at its total"
    assert any(f" examples, {steps} steps" in text for text in observer.calls)
    folder = start_folder("tiny:S", STAGE, WARM, PLAN)
    assert own.folder == folder
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name], "no temporary folder is left"
    assert (folder / "warmstart.json").is_file()

    def never(*_: Any) -> None:
        raise AssertionError("the policy was made twice")

    made = starts._make_tiny
    monkeypatch.setattr(starts, "_make_tiny", never)
    again, _, _ = open_start("tiny:S", STAGE, WARM, PLAN, RecordingObserver())
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert tokenizer.padding_side == "left"
    assert tokenizer.eos_token_id == model.generation_config.eos_token_id

    # Another process makes the same policy at the same time: the first that is complete stays.
    before = (folder / "warmstart.json").stat().st_mtime_ns
    made("S", folder, STAGE, WARM, PLAN, RecordingObserver())
    assert (folder / "warmstart.json").stat().st_mtime_ns == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]

    # Made again from the start, it has the same weights, which depend only on the seed.
    monkeypatch.setattr(starts, "_make_tiny", made)
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "b")
    torch.manual_seed(99)
    remade, words, _ = open_start("tiny:S", STAGE, WARM, PLAN, RecordingObserver())
    assert words.get_vocab() == tokenizer.get_vocab()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), remade.parameters(), strict=True))


def test_after_a_failure_no_folder_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(starts, "fine_tune", lambda *_, **__: float("inf"))
    monkeypatch.setattr(WarmStart, "as_dict", lambda _: 1 / 0)
    folder = tmp_path / "starts" / "mine"
    with pytest.raises(ZeroDivisionError):
        starts._make_tiny("S", folder, STAGE, WARM, PLAN, RecordingObserver())
    assert list(folder.parent.iterdir()) == []


def test_expert_play_without_an_expert_ends_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waves: list[int] = []

    def without_expert(stage: Stage, tasks: list[Any], warm: WarmStart, **_: Any) -> Any:
        for wave in range(len(tasks) // 32):
            waves.append(wave)
            yield []

    monkeypatch.setattr(starts, "expert_play", without_expert)
    with pytest.raises(UsageError, match=r"Expected expert actions in ALFWorld-Hindsight-v0 .*, got none in 32 tasks"):
        starts._make_tiny("S", tmp_path / "starts" / "mine", STAGE, replace(WARM, tasks=200), PLAN, RecordingObserver())
    assert waves == [0]


def test_a_folder_of_starts_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "starts").write_text("mine")
    observer = RecordingObserver()
    with pytest.raises(UsageError, match="Expected a folder, got a file"):
        starts._make_tiny("S", tmp_path / "starts" / "mine", STAGE, WARM, PLAN, observer)
    assert observer.calls == []


def test_a_given_folder_is_loaded(tmp_path: Path) -> None:
    model, tokenizer = small_model(), small_tokenizer()
    model.save_pretrained(tmp_path / "mine")
    tokenizer.save_pretrained(tmp_path / "mine")
    loaded, words, own = open_start(str(tmp_path / "mine"), STAGE, WARM, PLAN, RecordingObserver())
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))
    assert words.get_vocab() == tokenizer.get_vocab()
    assert own.folder == tmp_path / "mine"
    with pytest.raises(MissingDataError, match="tiny:S"):
        open_start(str(tmp_path / "yours"), STAGE, WARM, PLAN, RecordingObserver())


def test_an_unknown_size_is_refused_before_the_expert_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    observer = RecordingObserver()
    with pytest.raises(UnknownNameError, match="XL"):
        open_start("tiny:XL", STAGE, WARM, PLAN, observer)
    assert observer.calls == []


def test_evaluations_are_cached(tmp_path: Path) -> None:
    policy, cache = tmp_path / "policy", tmp_path / "cache"
    policy.mkdir()
    own, other = Start(policy, cache), Start(None, cache)
    result = evaluate([Trajectory("1f", category="easy", won=True, score=1.0)])
    key = {"panel": "f00", "temperature": 0.4, "stage": {"env": "x"}}
    assert own.cached_evaluation(key) is None
    own.cache_evaluation(key, result)
    assert own.cached_evaluation(dict(reversed(key.items()))) == result
    assert own.cached_evaluation({**key, "temperature": 0.0}) is None
    assert len(list(cache.iterdir())) == 1
    assert list(policy.iterdir()) == [], "the given folder is not changed"
    other.cache_evaluation(key, result)
    assert other.cached_evaluation(key) is None


def test_changed_weights_have_no_cached_evaluation(tmp_path: Path) -> None:
    """A folder may be overwritten by training; the evaluation of its old weights does not apply to the new ones."""
    model, tokenizer = small_model(), small_tokenizer()
    for saved in (model, tokenizer):
        saved.save_pretrained(tmp_path)
    key = {"panel": "f00"}
    _, _, own = open_start(str(tmp_path), STAGE, WARM, PLAN, RecordingObserver())
    own.cache_evaluation(key, evaluate([Trajectory("1f", won=True)]))
    small_model(seed=1).save_pretrained(tmp_path)
    _, _, again = open_start(str(tmp_path), STAGE, WARM, PLAN, RecordingObserver())
    assert again.cached_evaluation(key) is None


@pytest.mark.parametrize(
    ("cuda", "adapters", "kind"),
    [(True, False, "float32"), (True, True, "bfloat16"), (False, True, "float32")],
)
def test_trained_weights_are_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuda: bool, adapters: bool, kind: str
) -> None:
    """An Adam step of 1e-6 changes only one in fifty bfloat16 weights."""
    for saved in (small_model(), small_tokenizer()):
        saved.save_pretrained(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    model, _, _ = open_start(str(tmp_path), STAGE, WARM, PLAN, RecordingObserver(), adapters=adapters)
    assert {parameter.dtype for parameter in model.parameters()} == {getattr(torch, kind)}
