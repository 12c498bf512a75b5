"""Two processes that share an update give the same losses, successes and weights as one process.

With SERL's teacher; :mod:`.test_method_runs` runs every method in two processes.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from tests.baselines.training.launching import launch
from tests.baselines.training.tiny_runs import save_start

pytestmark = pytest.mark.slow

#: Arguments: OUT, a case as JSON, the number of processes. "uneven" cuts the last task to a single short rollout.
_SCRIPT = """
import json, os, sys, warnings
from dataclasses import replace
from pathlib import Path

import torch

from accelerate import PartialState
from accelerate.utils import DistributedType

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.rollout import Episode
from tests.baselines.training.launching import assume_gpus, leave_processes
from tests.baselines.training.tiny_runs import PLAN, STAGE, HalfWonTrainer, make_trainer, serl

out, case = Path(sys.argv[1]), json.loads(sys.argv[2])


class Uneven(HalfWonTrainer):
    def _play(self, update, policy):
        last = {self.player.tasks_of(update, number)[-1].id for number in range(self.plan.rounds)}
        shortened = []
        for episode in super()._play(update, policy):
            trajectory = episode.trajectory
            if trajectory.task_id not in last:
                shortened.append(episode)
            elif trajectory.sibling == 0:
                shortened.append(Episode(trajectory.replace(steps=trajectory.steps[-1:]), episode.replies[-1:]))
        return shortened


# NCCL does not detect tensors of different shapes in one gather, and gloo accepts them. The test compares the shapes.
shapes, all_gather = [], torch.distributed.all_gather


def recording(gathered, tensor, *args, **kwargs):
    shapes.append(tuple(tensor.shape))
    return all_gather(gathered, tensor, *args, **kwargs)


torch.distributed.all_gather = recording

if case.get("sharding") == "fsdp2":
    assume_gpus()
elif case.get("sharding"):
    PartialState._prepare_backend = lambda *args, **kwargs: ("gloo", DistributedType.MULTI_CPU)
    case["plan"]["trl"] = {"use_cpu": False}

records = []
trainer = make_trainer(
    recipe(case["recipe"]).changed(**case["method"]) if "recipe" in case else serl(**case["method"]),
    out / "run",
    replace(PLAN, **case["plan"]),
    Uneven if case["uneven"] else HalfWonTrainer,
    model=case["start"],
    stage=replace(STAGE, **case.get("stage", {})),
    on_update=lambda record, measured: records.append(record),
)
trainer.train(resume_from_checkpoint=case.get("resume"))
assert trainer.accelerator.num_processes == int(sys.argv[3])
kind = {None: "NO", "fsdp2": "FSDP"}.get(case.get("sharding"), "DEEPSPEED")
if int(sys.argv[3]) > 1 and kind == "NO":
    kind = "MULTI_CPU"
assert trainer.accelerator.distributed_type == kind
whole = trainer.accelerator.get_state_dict(trainer.model_wrapped)
trainer.save_policy(out / "policy")
(out / f"shapes-{trainer.accelerator.process_index}.json").write_text(json.dumps(shapes))
if trainer.accelerator.is_main_process:
    (out / "records.json").write_text(json.dumps(records))
    torch.save(whole, out / "weights.pt")
leave_processes(trainer.accelerator)
"""


#: DeepSpeed is in no extra, because its installation compiles code; its tests run where it is installed.
_SHARDINGS = [
    "fsdp2",
    *(
        pytest.param(name, marks=pytest.mark.skipif(not find_spec("deepspeed"), reason="DeepSpeed is not installed"))
        for name in ("zero2", "zero3")
    ),
]


def play(out: Path, processes: int, case: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    out.mkdir()
    script = out / "script.py"
    script.write_text(_SCRIPT, encoding="utf-8")
    launch([str(script), str(out), json.dumps(case), str(processes)], processes, case.get("sharding"))
    shapes = [path.read_text() for path in sorted(out.glob("shapes-*.json"))]
    assert len(shapes) == processes
    assert len(set(shapes)) == 1, "the processes gathered tensors of different shapes"
    import torch

    return json.loads((out / "records.json").read_text()), torch.load(out / "weights.pt", weights_only=True)


_EVEN: dict[str, Any] = {"method": {}, "plan": {}, "uneven": False}
_UNEVEN: dict[str, Any] = {
    "method": {"aux_kl": 0.5, "entropy": 0.05, "kl": 0.02, "who": "sync:2"}, "plan": {"token_budget": 900},
    "uneven": True,
}  # fmt: skip
#: Earlier turns are shared by the teacher's prompts, in an unequal number of passes of the two processes.
_CHAT: dict[str, Any] = {
    "method": {}, "plan": {"prompt_tokens": 480, "token_budget": 900}, "uneven": True,
    "stage": {"history": "conversation"},
}  # fmt: skip
#: The teacher's logits are read in an unequal number of passes too.
_CHAT_LOGITS: dict[str, Any] = {**_CHAT, "method": {"aux_kl": 0.5, "who": "sync:2"}}

#: Dynamic sampling: only groups of the first process vary, so that the second one has no rows.
_ROUNDS: dict[str, Any] = {"method": {}, "plan": {"rounds": 2, "updates": 2}, "uneven": True}

#: Copies of rows, and an order of the rows of both processes, from which contexts and mini-batches are made.
_COPIES: dict[str, Any] = {
    "method": {"what": "success|immediate"}, "uneven": True,
    "plan": {"released_batching": {"multiple": 24, "gpus": 4}, "mini_batches": 2, "contexts": {"released": True}},
}  # fmt: skip


@pytest.mark.parametrize("sharding", [pytest.param(None, id="replicas"), *_SHARDINGS])
@pytest.mark.parametrize(
    "case",
    [_EVEN, _UNEVEN, _CHAT, _CHAT_LOGITS, _ROUNDS, _COPIES],
    ids=["even", "uneven-with-auxiliary-kl", "chat", "chat-with-auxiliary-kl", "dynamic-sampling", "copies"],
)
def test_two_processes_give_the_results_of_one(tmp_path: Path, case: dict[str, Any], sharding: str | None) -> None:
    import torch

    start = save_start(tmp_path / "start")
    case = {**case, "start": start, "plan": {"learning_rate": 1e-3, "updates": 3, **case["plan"]}}
    one, alone = play(tmp_path / "one", 1, case)
    two, together = play(tmp_path / "two", 2, {**case, "sharding": sharding})
    assert len(one) == len(two) == case["plan"]["updates"]
    for left, right in zip(one, two, strict=True):
        assert left.keys() == right.keys()
        for key in ("success", "rows", "episodes", "turns", "response_tokens", "lambda", "teacher_tokens"):
            assert left[key] == right[key], key
        for key in ("loss", "grad_norm", "gap", "advantage_abs", "surprise", "weight_mean", "entropy"):
            assert left[key] == pytest.approx(right[key], abs=1e-4), key
        assert left["success"] > 0
        assert left["grad_norm"] > 0.01
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, atol=1e-4, rtol=1e-3)


_HOOKED = "tests.baselines.training.hooked:METHOD"
#: Who writes, and how the weights are sharded. The methods of the library are tested in test_all_methods.py.
_METHODS: list[Any] = [
    (_HOOKED, {}, None),
    (_HOOKED, {"writer": "teacher", "who": "sync:2"}, None),
    (_HOOKED, {"writer": "teacher", "who": "sync:2"}, "fsdp2"),
]


@pytest.mark.parametrize(("name", "values", "sharding"), _METHODS)
def test_methods_give_the_same_in_two_processes(
    tmp_path: Path, name: str, values: dict[str, Any], sharding: str | None
) -> None:
    import torch

    case = {
        "start": save_start(tmp_path / "start"), "recipe": name, "method": {"kl": 0.0, **values}, "uneven": False,
        "plan": {"learning_rate": 1e-3, "updates": 2},
    }  # fmt: skip
    one, alone = play(tmp_path / "one", 1, case)
    two, together = play(tmp_path / "two", 2, {**case, "sharding": sharding})
    for left, right in zip(one, two, strict=True):
        assert left.keys() == right.keys()
        for key in ("loss", "grad_norm", "advantage_abs", "value_loss", "value_grad_norm", "ask_tokens", "resampled"):
            if key in left:
                assert left[key] == pytest.approx(right[key], abs=1e-4, rel=1e-4), key
        assert left["grad_norm"] > 1e-3
    for weight_name, weight in alone.items():
        torch.testing.assert_close(together[weight_name], weight, atol=2e-4, rtol=2e-3)


def test_hooks_resume_in_two_processes_with_the_memory_of_each(tmp_path: Path) -> None:
    import torch

    case = {
        "start": save_start(tmp_path / "start"), "recipe": _HOOKED, "method": {"kl": 0.0}, "uneven": False,
        "plan": {"learning_rate": 1e-3, "updates": 4, "save_every": 1, "keep": 9},
    }  # fmt: skip
    whole, weights = play(tmp_path / "whole", 2, case)
    rest, resumed = play(tmp_path / "rest", 2, {**case, "resume": str(tmp_path / "whole" / "run" / "checkpoint-3")})
    # The fourth update plays the tasks of the first one again, which each process remembers.
    assert [record["resampled"] for record in whole] == [8, 8, 8, 0]
    assert (rest[0]["resampled"], rest[0]["loss"]) == (0, whole[3]["loss"])
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)


def test_resd_has_one_memory_in_two_processes_and_resumes_with_it(tmp_path: Path) -> None:
    import torch

    case = {
        "start": save_start(tmp_path / "start"), "recipe": "resd", "method": {"analyser": "scripted"}, "uneven": False,
        "plan": {"learning_rate": 1e-3, "updates": 3, "save_every": 1, "keep": 9},
    }  # fmt: skip
    whole, weights = play(tmp_path / "whole", 2, case)
    saved = tmp_path / "whole" / "run" / "checkpoint-2"
    state = torch.load(saved / "hindsight.pt", map_location="cpu", weights_only=True)
    first, second = state["memories"]
    assert first == second == state["memory"]
    assert first["playbook"]
    assert len(first["solutions"]) >= 1
    assert "news" not in first
    rest, resumed = play(tmp_path / "rest", 2, {**case, "resume": str(saved)})
    assert rest[0]["loss"] == whole[2]["loss"]
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)
    ends = [
        torch.load(tmp_path / name / "run" / "checkpoint-3" / "hindsight.pt", weights_only=True)["memories"]
        for name in ("whole", "rest")
    ]
    assert ends[0] == ends[1]


def test_a_process_may_have_empty_mini_batches(tmp_path: Path) -> None:
    # The second process has one row, so two of its three mini-batches are empty.
    start = save_start(tmp_path / "start")
    case = {"start": start, "method": {"kl": 0.0}, "plan": {"mini_batches": 3, "updates": 2}, "uneven": True}
    records, _ = play(tmp_path / "two", 2, case)
    assert [record["update"] for record in records] == [0, 1]
    assert [record["rows"] for record in records] == [17, 17]
    assert all(abs(record["loss"]) > 0 for record in records)


@pytest.mark.parametrize("sharding", _SHARDINGS)
def test_sharded_training_continues_from_a_checkpoint_to_the_same_weights(tmp_path: Path, sharding: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    start = save_start(tmp_path / "start")
    case = {
        "start": start, "method": {"who": "sync:3"}, "uneven": False, "sharding": sharding,
        "plan": {"learning_rate": 1e-3, "updates": 5, "save_every": 2, "keep": 9},
    }  # fmt: skip
    whole, weights = play(tmp_path / "whole", 2, case)
    checkpoint = (
        tmp_path / "whole" / "run" / "checkpoint-4"
    )  # the teacher's weights are the policy's after three updates
    rest, resumed = play(tmp_path / "rest", 2, {**case, "resume": str(checkpoint)})
    assert [record["update"] for record in rest] == [4]
    assert rest[0]["loss"] == whole[4]["loss"]
    assert rest[0]["gap"] == whole[4]["gap"]
    assert weights.keys() == resumed.keys()
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)
    policy = AutoModelForCausalLM.from_pretrained(tmp_path / "whole" / "policy")
    assert all(torch.equal(weights[name], weight) for name, weight in policy.named_parameters())
