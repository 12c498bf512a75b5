"""Warm start of a model that is not tiny."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")

from agentgym_hindsight.baselines.policies.chat import PromptEncoder  # noqa: E402
from agentgym_hindsight.baselines.training import start as starts  # noqa: E402
from agentgym_hindsight.baselines.training.configuration import configure, dump_configuration  # noqa: E402
from agentgym_hindsight.baselines.training.fine_tuning import any_model_loss  # noqa: E402
from agentgym_hindsight.baselines.training.plan import Plan  # noqa: E402
from agentgym_hindsight.baselines.training.start import open_start  # noqa: E402
from agentgym_hindsight.baselines.training.warm_start import Example, WarmStart, fine_tune  # noqa: E402
from agentgym_hindsight.errors import UsageError  # noqa: E402
from agentgym_hindsight.stage import Stage  # noqa: E402
from tests.baselines.training.test_start import RecordingObserver  # noqa: E402
from tests.baselines.training.test_tiny import small_model, small_tokenizer  # noqa: E402

EXAMPLES = [
    Example(f"Task: find it. Now: You see a desk {n}. Can: look; go to: desk {n}", f"<action>go to desk {n}</action>")
    for n in range(1, 9)
]


def fit(**values: Any) -> tuple[Any, list[float]]:
    model, losses = small_model(spread=0.1), list[float]()
    warm = WarmStart(
        **{"always": True, "epochs": 1, "batch": 8, "warmup": 0, "learning_rate": 1e-2, "bf16": False, **values}
    )
    fine_tune(model, PromptEncoder(small_tokenizer(), 256), EXAMPLES, warm, on_step=losses.append)
    return model, losses


def by_hand(model: Any) -> float:
    """The mean loss of the replies' tokens, one example at a time."""
    encoder, total, count = PromptEncoder(small_tokenizer(), 256), 0.0, 0
    with torch.no_grad():
        for example in EXAMPLES:
            prompt, (reply,) = encoder.encode(example.prompt), encoder.responses([example.response])
            logits = model(torch.tensor([[*prompt, *reply]])).logits[0, len(prompt) - 1 : -1]
            total -= float(torch.log_softmax(logits, -1).gather(-1, torch.tensor(reply)[:, None]).sum())
            count += len(reply)
    return total / count


def test_the_loss_is_the_mean_of_the_replies_tokens_in_one_pass_and_in_several() -> None:
    expected = by_hand(small_model(spread=0.1))
    whole, (loss,) = fit()
    parts, (in_parts,) = fit(micro=2)
    assert loss == pytest.approx(expected, rel=1e-3)
    assert in_parts == pytest.approx(expected, rel=1e-3)
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=2e-3, rtol=1e-3)  # Adam's first step has the size of the rate


@pytest.mark.slow  # twelve steps of TRL's trainer
def test_bf16_is_in_every_forward_pass_and_nowhere_else() -> None:
    """With one autocast around the training, the first bfloat16 copy of the weights would be used in all steps."""
    model, losses = fit(bf16=True, epochs=12)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not torch.is_autocast_enabled("cpu")
    assert by_hand(model) < 0.5 * losses[0]
    assert by_hand(model) == pytest.approx(losses[-1], abs=0.3)  # the policy itself has the last loss
    batch = {
        "input_ids": torch.ones(1, 4, dtype=torch.long),
        "attention_mask": torch.ones(1, 4, dtype=torch.long),
        "labels": torch.tensor([[-100, -100, 1, 1]]),
    }
    seen: list[bool] = []
    hook = model.register_forward_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    for bf16 in (True, False):
        any_model_loss(model, batch, WarmStart(always=True, bf16=bf16))
    hook.remove()
    assert seen == [True, False]


def test_the_loss_of_prompts() -> None:
    model = small_model(spread=0.1)
    ids = torch.arange(1, 7)[None]
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids.clone()}
    batch["labels"][:, :4] = -100
    logps = torch.log_softmax(model(ids).logits[0, :-1].float(), -1).gather(-1, ids[0, 1:, None])[:, 0]
    replies, prompt = -logps[3:].mean().detach(), -logps[:3].mean().detach()
    loss = any_model_loss(model, batch, WarmStart(always=True, bf16=False, prompt_loss=0.5)).detach()
    assert float(loss) == pytest.approx(float(replies + 0.5 * prompt), rel=1e-5)
    half = any_model_loss(model, batch, WarmStart(always=True, bf16=False), items=torch.tensor(4)).detach()
    assert float(half) == pytest.approx(float(replies) / 2, rel=1e-5)


@pytest.mark.slow
def test_adapters_are_trained_and_merged() -> None:
    pytest.importorskip("peft", reason="needs the extra [peft]")
    before = {name: parameter.clone() for name, parameter in small_model(spread=0.1).named_parameters()}
    model, losses = fit(peft={"r": 4, "target_modules": ["q_proj", "v_proj"]}, epochs=6)
    assert losses[-1] < losses[0]
    after = dict(model.named_parameters())
    assert set(after) == set(before)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all("q_proj" in name or "v_proj" in name for name in moved)
    assert all(parameter.requires_grad for parameter in model.parameters())
    with pytest.raises(UsageError, match=r"warm\.peft"):
        fit(peft={"rank": 4})


def test_setting_a_value_turns_the_warm_start_on() -> None:
    run = configure("serl", {"model": "a-folder"}, ["warm.tasks=7"])
    assert (run.warm.always, run.warm.tasks, run.warm.learning_rate, run.warm.peft) == (True, 7, 2e-5, None)
    adapters = configure("serl", {"model": "a-folder", "peft": {"r": 4}}, ["warm.tasks=7"]).warm
    assert (adapters.learning_rate, adapters.peft) == (2e-4, {"r": 4})
    assert (
        configure("serl", {"model": "a-folder", "peft": {"r": 4}}, ["warm.tasks=7", "warm.peft=null"]).warm.peft is None
    )
    assert not configure("serl", {"model": "a-folder"}).warm.always
    assert not configure("serl", {"model": "a-folder"}, ["warm.tasks=7", "warm.always=false"]).warm.always
    assert not configure("serl", {"model": "tiny:S"}, ["warm.tasks=7"]).warm.always
    for given in ([], ["warm.tasks=7"]):
        import yaml

        printed = yaml.safe_load(dump_configuration("serl", configure("serl", {"model": "a-folder"}, given)))
        printed.pop("recipe")
        assert configure("serl", printed).warm == configure("serl", {"model": "a-folder"}, given).warm
    assert "always" not in WarmStart().as_dict()


def test_a_given_model_is_warmed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = tmp_path / "given"
    small_model(spread=0.1).save_pretrained(given)
    small_tokenizer().save_pretrained(given)
    before = {path.name: path.read_bytes() for path in given.iterdir()}
    stage = Stage(settings={"data": "embedded", "difficulty": "easy", "max_steps": 4}, protocol="brief")
    warm = WarmStart(tasks=2, siblings=1, epochs=1, batch=4, always=True, learning_rate=1e-3, bf16=False)
    plan = Plan(prompt_tokens=256)
    fits: list[int] = []
    fine = starts.fine_tune

    def counted(*arguments: Any, **options: Any) -> float:
        fits.append(1)
        return fine(*arguments, **options)

    monkeypatch.setattr(starts, "fine_tune", counted)
    model, _, start = open_start(str(given), stage, warm, plan, RecordingObserver())
    assert start.folder is not None
    assert start.folder.parent == Path("runs/starts")
    assert start.folder.name.startswith("given-")
    assert any(
        not torch.equal(a, b) for a, b in zip(model.parameters(), small_model(spread=0.1).parameters(), strict=True)
    )
    assert {path.name: path.read_bytes() for path in given.iterdir()} == before
    again, _, second = open_start(str(given), stage, warm, plan, RecordingObserver())
    assert second.folder == start.folder
    assert len(fits) == 1
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    open_start(str(given), stage, WarmStart(), plan, RecordingObserver())
    assert len(fits) == 1  # without `always` a given model is loaded as it is
    other = open_start(str(given), stage, warm, plan, RecordingObserver(), template={"system": "Be brief."})[2]
    assert other.folder != start.folder
