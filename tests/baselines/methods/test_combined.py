"""Methods plus terms of others: their loss, their hooks, their values, and a run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from agentgym_hindsight.baselines.methods import recipe  # noqa: E402
from agentgym_hindsight.baselines.methods.combined import Term, combine  # noqa: E402
from agentgym_hindsight.baselines.methods.scripted_ask import ScriptedAsk  # noqa: E402
from agentgym_hindsight.errors import HindsightError, UsageError  # noqa: E402
from tests.baselines.methods.imitations import failed_and_won  # noqa: E402
from tests.baselines.methods.scored import batch_of, drawn, scores_of  # noqa: E402


def test_the_loss_is_the_sum_of_the_weighted_terms() -> None:
    student, teacher, ids = drawn()
    scores, chosen = (scores_of(student, ids), scores_of(teacher, ids)), ids > 1
    combined = combine(recipe("grpo"), "hint-sd:0.5:1->0/50")
    alone = recipe("hint-sd").extra_loss(batch_of(chosen), *scores).item()
    for update, factor in ((0, 0.5), (25, 0.25)):
        assert combined.extra_loss(batch_of(chosen, update=update), *scores).item() == pytest.approx(factor * alone)
    assert combined.extra_loss(batch_of(chosen, update=50), *scores) is None
    assert [combined.needs_teacher(update) for update in (0, 49, 50)] == [True, True, False]
    given = batch_of(chosen)
    assert combined.token_advantages(given, *scores) is given.advantages, (
        "the teacher does not weight GRPO's advantages"
    )
    assert combined.policy_weight == 1
    assert combined.uses_logits
    assert combined.scores_zero_advantages


def test_a_method_with_a_teacher_keeps_its_weights_beside_rollouts_played_again() -> None:
    combined = combine(recipe("serl"), "psp")
    student, teacher, ids = drawn()
    scores, given = (scores_of(student, ids), scores_of(teacher, ids)), batch_of(ids > 1, lam=0.5)
    assert torch.equal(combined.token_advantages(given, *scores), recipe("serl").token_advantages(given, *scores))
    assert combined.replaces_rollouts
    assert str(combined.what) == "immediate"
    assert combined.weight_bounds == (0.8, 1.2)
    assert not combined.writes_contexts


def test_hooks_of_different_terms_work_together() -> None:
    combined = combine(recipe("gigpo"), "psp", "hint-sd:0.1").changed(analyser="scripted")
    assert [term.method.analyser for term in combined.terms] == ["scripted", "scripted"]
    failed, _ = combined.contexts([failed_and_won()], ScriptedAsk(combined))[0]
    assert [context is not None for context in failed] == [False, True, True]
    assert combined.credit == recipe("gigpo").credit


def test_values() -> None:
    combined = combine(recipe("grpo"), "psp", "hint-sd:0.1")
    changed = combined.changed(
        penalty=0.3, tokens="action@failed", kl=0.2, **{"hint-sd.targets": "single", "gate": 0.3}
    )
    psp, hint_sd = (term.method for term in changed.terms)
    assert (changed.credit.penalty, changed.kl, str(changed.tokens)) == (0.3, 0.2, "action@failed")
    assert (hint_sd.targets, str(hint_sd.tokens), psp.gate) == ("single", "action@failed", 0.3)
    assert changed.changed(**changed.as_dict()) == changed
    assert changed.changed(**{"hint-sd": {"targets": "dense"}}).terms[1].method.targets == "dense"
    assert all(isinstance(value, (str, int, float, bool, type(None))) for value in changed.as_dict().values())
    assert changed.as_dict()["plus"] == "psp hint-sd:0.1"
    other = changed.with_credit(recipe("rloo"))
    assert other.name == "grpo+rloo plus psp plus hint-sd"
    assert other.changed(penalty=0.9).credit == recipe("rloo").changed(penalty=0.9).credit
    for wrong in ({"gatee": 1}, {"hint-sd.gate": 0.1}, {"who": "somebody"}):
        with pytest.raises(HindsightError):
            combined.changed(**wrong)


@dataclass(frozen=True)
class Falling:
    """A schedule of one's own."""

    def __call__(self, update: int) -> float:
        return 0.5**update


falling = Falling()
OWN = replace(recipe("sdar"), name="own")


def test_terms() -> None:
    assert Term.parse("sdpo").factor(3) == 1
    assert Term.parse(f"sdpo:2:{__name__}:falling").factor(2) == 0.5
    own = Term.parse(f"{__name__}:OWN:0.3")
    assert (own.method.name, own.weight) == ("own", 0.3)
    assert combine(recipe("grpo"), f"{__name__}:OWN:0.3").imported_from == f"{__name__}:OWN"
    assert combine(recipe("grpo")) is recipe("grpo")


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (["sdpo", "hint-sd"], "at most one method with a teacher"),
        (["psp", "psp"], "at most one"),
        (["gigpo", "gigpo"], "different"),
        (["sdpo:-1"], "weight"),
        (["sdpo:many"], "weight"),
        (["sdpo:inf"], "weight"),
        (["sdpp"], "sdpo"),
    ],
)
def test_what_does_not_fit_is_named(terms: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        combine(recipe("grpo"), *terms)
    with pytest.raises(UsageError, match="at most one method with a teacher"):
        combine(recipe("serl"), "hint-sd")


def test_configurations_and_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("trl")
    from agentgym_hindsight.baselines.training.configuration import configure, dump_configuration, load_configuration
    from agentgym_hindsight.cli import main

    run = configure("grpo", {"method": {"plus": ["hint-sd:0.5"], "hint-sd": {"targets": "single"}}})
    (term,) = run.method.terms
    assert (term.weight, term.method.targets, term.method.analyser) == (0.5, "single", "scripted")
    path = tmp_path / "run.yaml"
    path.write_text(dump_configuration("grpo", run), encoding="utf-8")
    again = load_configuration(path)
    assert configure(again.pop("recipe"), again) == run
    words = ["train", "grpo", "--plus", "hint-sd:0.5:1->0/50", "--plus", "psp", "--print-config", "--tokens", "action"]
    assert main([*words, "--set", "method.hint-sd.targets=single"]) == 0
    shown = capsys.readouterr().out
    assert "plus: hint-sd:0.5:1->0/50 psp" in shown
    assert "hint-sd.targets: single" in shown
    assert "tokens: action" in shown
    assert main(["train", "serl", "--plus", "sdpo", "--print-config"]) == 2
    assert "at most one method with a teacher" in capsys.readouterr().err


def test_the_gradient_is_the_sum_of_both(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    from tests.baselines.training.tiny_runs import make_trainer
    from tests.baselines.training.trainer_probes import gradients, step

    def gradient(method: Any, name: str) -> dict[str, torch.Tensor]:
        trainer = make_trainer(method.changed(entropy=0.0, kl=0.0), tmp_path / name)
        step(trainer)
        return gradients(trainer)

    hint_sd = recipe("hint-sd").changed(analyser="scripted")
    combined = combine(recipe("grpo"), "hint-sd:0.5").changed(analyser="scripted")
    plain, told, both = (gradient(m, n) for m, n in ((recipe("grpo"), "a"), (hint_sd, "b"), (combined, "c")))
    for name, value in both.items():
        assert torch.allclose(value, plain[name] + 0.5 * told[name], atol=1e-5), name
        assert not torch.allclose(value, plain[name], atol=1e-5)
