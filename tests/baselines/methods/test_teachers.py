"""The teacher's weights: whose they are, when they change, what a checkpoint has to hold."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.baselines.methods.teachers import Teacher, TeacherSpec  # noqa: E402
from agentgym_hindsight.errors import DamagedDataError, HindsightError, UnknownNameError, UsageError  # noqa: E402


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("current", TeacherSpec()),
        ("frozen", TeacherSpec("frozen")),
        ("sync:1", TeacherSpec("sync", 1)),
        ("sync:10", TeacherSpec("sync", 10)),
        ("ema:0.05", TeacherSpec("ema", 0.05)),
        ("ema:1", TeacherSpec("ema", 1.0)),
        ("sync:1234567", TeacherSpec("sync", 1234567)),
        ("ema:0.123456789", TeacherSpec("ema", 0.123456789)),
    ],
)
def test_from_text_and_back(text: str, spec: TeacherSpec) -> None:
    assert TeacherSpec.parse(text) == spec
    assert str(spec) == text
    assert TeacherSpec.parse(str(spec)) == spec


def test_what_is_left_out_is_the_releases() -> None:
    assert TeacherSpec.parse("sync") == TeacherSpec("sync", 10)
    assert TeacherSpec.parse("ema") == TeacherSpec("ema", 0.05)


@pytest.mark.parametrize("text", ["sync:0", "sync:-3", "sync:1.5", "sync:nan", "ema:0", "ema:1.1", "ema:nan", "ema:x"])
def test_numbers_that_make_no_sense(text: str) -> None:
    with pytest.raises(UsageError, match="try"):
        TeacherSpec.parse(text)
    with pytest.raises(UnknownNameError, match="sync"):
        TeacherSpec.parse("synch:10")


@pytest.mark.parametrize("text", ["frozen:3", "current:0.5", "sync:inf"])
def test_numbers_where_none_belongs(text: str) -> None:
    with pytest.raises(HindsightError, match="Expected"):
        TeacherSpec.parse(text)


def policy() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))


def shift(model: Any, by: float) -> None:
    with torch.no_grad():
        for p in model.parameters():
            p.add_(by)


def weights(model: Any) -> Any:
    return torch.cat([p.detach().flatten().clone() for p in model.parameters()])


def taught(teacher: Teacher, model: Any) -> Any:
    with teacher.acting():
        return weights(model)


def test_schedules_of_the_kinds() -> None:
    for text, changes in (
        ("current", [0, 0, 0, 0]),
        ("frozen", [0, 0, 0, 0]),
        ("sync:2", [0, 1, 0, 1]),
        ("ema:0.5", [1, 1, 1, 1]),
    ):
        teacher = Teacher(TeacherSpec.parse(text), policy())
        assert [teacher.after_update(done) for done in (1, 2, 3, 4)] == [bool(change) for change in changes], text


def test_the_weights_of_the_kinds() -> None:
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
    assert torch.equal(taught(teachers["current"], model), now)
    assert torch.equal(taught(teachers["frozen"], model), first)
    torch.testing.assert_close(taught(teachers["sync:2"], model), first + 2)
    torch.testing.assert_close(taught(teachers["ema:0.25"], model), average)
    assert torch.equal(weights(model), now), "the policy has its own weights back"


def test_the_policy_comes_back_whatever_happens() -> None:
    model = policy()
    teacher = Teacher(TeacherSpec("frozen"), model)
    shift(model, 1.0)
    before = weights(model)
    with pytest.raises(RuntimeError, match="lost"), teacher.acting():
        raise RuntimeError("lost")
    assert torch.equal(weights(model), before)


def test_only_what_is_trained_is_kept() -> None:
    model = policy()
    model[0].requires_grad_(False)
    teacher = Teacher(TeacherSpec("frozen"), model)
    assert sorted(teacher.state_dict()["weights"]) == ["1.bias", "1.weight"]
    assert Teacher(TeacherSpec("current"), model).state_dict()["weights"] == {}


def test_a_checkpoint_holds_the_teacher() -> None:
    model = policy()
    teacher = Teacher(TeacherSpec.parse("sync:2"), model)
    shift(model, 1.0)
    state = teacher.state_dict()
    other = Teacher(TeacherSpec.parse("sync:2"), model)
    assert not torch.equal(taught(other, model), taught(teacher, model))
    other.load_state_dict(state)
    assert torch.equal(taught(other, model), taught(teacher, model))
    for changed in (Teacher(TeacherSpec.parse("sync:3"), model), Teacher(TeacherSpec("current"), model)):
        with pytest.raises(DamagedDataError, match="sync:2"):
            changed.load_state_dict(state)
