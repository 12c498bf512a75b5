"""Sharded weights: exchanged in place, and gathered during rollouts. In one process; see also test_two_processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from torch import distributed, nn  # noqa: E402
from torch.distributed.fsdp import fully_shard  # noqa: E402
from torch.distributed.tensor import DTensor  # noqa: E402

from agentgym_hindsight.baselines.methods.teachers import TeacherSpec  # noqa: E402
from agentgym_hindsight.baselines.training.sharding import gathered, own_share, release_gathered  # noqa: E402
from agentgym_hindsight.baselines.training.teacher_weights import Teacher  # noqa: E402


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    """A process group of one process."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def sharded_model() -> Any:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    fully_shard(model[0])
    return fully_shard(model)


def test_a_pass_uses_the_teacher_s_shares(one_process: None) -> None:
    model, seen = sharded_model(), torch.ones(1, 2)
    teacher = Teacher(TeacherSpec.parse("frozen"), model)
    with torch.no_grad():
        first = model(seen).clone()
        for parameter in model.parameters():
            own_share(parameter).add_(1.0)
        release_gathered(model)
        changed = model(seen).clone()  # the last layer stays gathered afterwards
        assert not torch.equal(changed, first)
        with teacher.acting():
            assert torch.equal(model(seen), first)
        assert torch.equal(model(seen), changed)


def test_gradients_do_not_change_when_the_teacher_acts_before_the_backward_pass(one_process: None) -> None:
    model, seen = sharded_model(), torch.ones(1, 2)
    teacher = Teacher(TeacherSpec.parse("frozen"), model)
    with torch.no_grad():
        for parameter in model.parameters():
            own_share(parameter).mul_(2.0)
        release_gathered(model)
    gradients = []
    for teacher_acts in (False, True):
        loss = model(seen).sum()
        if teacher_acts:
            with teacher.acting(), torch.no_grad():
                model(seen)
        loss.backward()
        gradients.append([parameter.grad.full_tensor() for parameter in model.parameters()])
        model.zero_grad()
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_weights_stay_gathered_inside_the_block(one_process: None) -> None:
    model, seen = sharded_model(), torch.ones(1, 2)
    expected = model(seen).detach()
    with gathered(model, reshard=True), torch.no_grad():
        for _ in range(2):
            assert torch.equal(model(seen), expected)
            assert not any(isinstance(parameter, DTensor) for parameter in model.parameters())
    assert all(isinstance(parameter, DTensor) for parameter in model.parameters())
    assert torch.equal(model(seen), expected)


def test_a_model_that_is_not_sharded_is_not_changed() -> None:
    model = nn.Linear(2, 1)
    release_gathered(model)
    with gathered(model, reshard=False):
        assert own_share(model.weight).data_ptr() == model.weight.data_ptr()


def test_the_share_of_zero_3_is_an_attribute_of_the_parameter() -> None:
    share = torch.ones(3)
    assert own_share(SimpleNamespace(ds_tensor=share)).data_ptr() == share.data_ptr()


def test_gathered_weights_of_zero_3_are_released() -> None:
    released: list[int] = []
    model = nn.Linear(2, 1)
    for parameter, status in ((model.weight, "AVAILABLE"), (model.bias, "NOT_AVAILABLE")):
        parameter.ds_status = SimpleNamespace(name=status)
        parameter.partition = lambda parameters: released.append(len(parameters))
    release_gathered(model)
    assert released == [1]
