"""The teacher's weights: which weights each kind has, when they change, and their checkpoint."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.baselines.methods.teachers import TeacherSpec  # noqa: E402
from agentgym_hindsight.baselines.training.teacher_weights import Teacher  # noqa: E402
from agentgym_hindsight.errors import DamagedDataError  # noqa: E402


def policy() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))


def shift(model: Any, by: float) -> None:
    with torch.no_grad():
        for p in model.parameters():
            p.add_(by)


def weights(model: Any) -> Any:
    return torch.cat([p.detach().flatten().clone() for p in model.parameters()])


def teacher_weights_in(teacher: Teacher, model: Any) -> Any:
    with teacher.acting():
        return weights(model)


def test_when_each_kind_changes() -> None:
    for text, changes in (
        ("current", [0, 0, 0, 0]),
        ("frozen", [0, 0, 0, 0]),
        ("sync:2", [0, 1, 0, 1]),
        ("ema:0.5", [1, 1, 1, 1]),
    ):
        teacher = Teacher(TeacherSpec.parse(text), policy())
        assert [teacher.after_update(done) for done in (1, 2, 3, 4)] == [bool(change) for change in changes], text


def test_the_weights_of_each_kind() -> None:
    model = policy()
    first = weights(model)
    teachers = {text: Teacher(TeacherSpec.parse(text), model) for text in ("current", "frozen", "sync:2", "ema:0.25")}
    average = first.clone()
    for done in (1, 2, 3):
        shift(model, 1.0)
        for teacher in teachers.values():
            teacher.after_update(done)
        average = 0.75 * average + 0.25 * weights(model)
    now = weights(model)
    torch.testing.assert_close(now, first + 3)
    assert torch.equal(teacher_weights_in(teachers["current"], model), now)
    assert torch.equal(teacher_weights_in(teachers["frozen"], model), first)
    torch.testing.assert_close(teacher_weights_in(teachers["sync:2"], model), first + 2)
    torch.testing.assert_close(teacher_weights_in(teachers["ema:0.25"], model), average)
    assert torch.equal(weights(model), now), "the policy has its own weights again"


def test_an_exception_restores_the_policy() -> None:
    model = policy()
    teacher = Teacher(TeacherSpec("frozen"), model)
    shift(model, 1.0)
    before = weights(model)
    with pytest.raises(RuntimeError, match="lost"), teacher.acting():
        raise RuntimeError("lost")
    assert torch.equal(weights(model), before)


def test_only_trainable_weights_are_copied() -> None:
    model = policy()
    model[0].requires_grad_(False)
    teacher = Teacher(TeacherSpec("frozen"), model)
    assert sorted(teacher.state_dict()["weights"]) == ["1.bias", "1.weight"]
    assert Teacher(TeacherSpec("current"), model).state_dict()["weights"] == {}


def test_a_checkpoint_restores_the_teacher() -> None:
    model = policy()
    teacher = Teacher(TeacherSpec.parse("sync:2"), model)
    shift(model, 1.0)
    state = teacher.state_dict()
    other = Teacher(TeacherSpec.parse("sync:2"), model)
    assert not torch.equal(teacher_weights_in(other, model), teacher_weights_in(teacher, model))
    other.load_state_dict(state)
    assert torch.equal(teacher_weights_in(other, model), teacher_weights_in(teacher, model))
    for changed in (Teacher(TeacherSpec.parse("sync:3"), model), Teacher(TeacherSpec("current"), model)):
        with pytest.raises(DamagedDataError, match="sync:2"):
            changed.load_state_dict(state)
