"""λ and the teacher's weights by update, penalties, and the copies that fill a batch."""

from __future__ import annotations

import ast
import random
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

import numpy as np  # noqa: E402

from agentgym_hindsight.baselines.methods import recipe  # noqa: E402
from agentgym_hindsight.baselines.methods.credit import penalised, step_returns  # noqa: E402
from agentgym_hindsight.baselines.methods.recorded import rows_of_rollouts  # noqa: E402
from agentgym_hindsight.baselines.methods.schedules import parse_schedule  # noqa: E402
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec  # noqa: E402
from agentgym_hindsight.baselines.training.released_batching import padded  # noqa: E402
from agentgym_hindsight.baselines.training.teacher_weights import Teacher  # noqa: E402
from tests.release.released_code import FOLDER, needs_release, released  # noqa: E402
from tests.release.test_judging import random_group  # noqa: E402

pytestmark = [needs_release, pytest.mark.slow]


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Any:
    def say(what: str, compared: int, different: int) -> None:
        with capsys.disabled():
            print(f"\n{what}: {compared} compared, {different} differ")

    return say


def test_lambda_of_every_update(report: Any) -> None:
    theirs = released("verl/trainer/ppo/core_algos.py")._serl_effective_lambda
    asks = released("recipe/serl/privileged_context.py").should_use_serl_teacher_for_step
    compared = different = 0
    for start in (0.0, 0.1, 0.5, 0.7, 1.0):
        for steps in (0, 1, 7, 50, 150):
            schedule = parse_schedule(f"{start}->0/{steps}" if steps else str(start))
            config = {"mixing_lambda": start, "lambda_decay_steps": steps}
            method = recipe("serl").changed(when=str(schedule))
            for update in range(160):
                same = schedule(update) == pytest.approx(theirs(config, update), abs=1e-12)
                # The release counts its training steps from 1.
                asked = asks(cfg=config, training_global_step=update + 1, critic_warmup=0)
                compared += 1
                different += not (same and method.needs_teacher(update) == asked)
    report("λ of updates, and whether the teacher is asked", compared, different)
    assert not different


def test_the_weights_of_the_teacher(report: Any) -> None:
    """After every update: a copy of the policy every n of them."""
    tree = ast.parse(Path(FOLDER, "verl/workers/actor/dp_actor.py").read_text(encoding="utf-8"))
    names = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "_update_teacher"]
    space: dict[str, Any] = {"torch": torch, "SERL_LOSS_MODES": {"serl_action_mask"}}
    exec(compile(ast.Module(names, []), "dp_actor.py", "exec"), space)
    compared = different = 0
    for interval in (1, 2, 7, 10):
        policy, copied = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
        copied.load_state_dict(policy.state_dict())
        settings = {"policy_loss": {"loss_mode": "serl_action_mask"}, "serl": {"teacher_sync_interval": interval}}
        actor = SimpleNamespace(
            config=Settings(settings), teacher_module=copied, actor_module=policy, _policy_update_step=0
        )
        teacher = Teacher(TeacherSpec.parse(f"sync:{interval}"), policy)
        for update in range(1, 60):
            with torch.no_grad():
                policy.weight += 1.0
            space["_update_teacher"](actor)
            teacher.after_update(update)
            with teacher.acting():
                compared += 1
                different += not torch.equal(policy.weight, copied.weight)
    report("weights of the teacher after updates", compared, different)
    assert not different


class Settings(dict[str, Any]):
    """Settings by attribute and by ``get``."""

    __getattr__ = dict.__getitem__


def test_step_returns_and_penalties(report: Any) -> None:
    """The release subtracts a penalty from the reward of an episode and from the return of the turn."""
    theirs = released("recipe/gigpo/core_gigpo.py")
    penalise = released("verl/trainer/ppo/ray_trainer.py").apply_invalid_action_penalty
    rng, compared, worst = random.Random(0), 0, 0.0
    for number in range(400):
        groups = [random_group(rng, 2 * number + k) for k in range(2)]
        gamma, penalty = rng.choice((0.95, 1.0, 0.5)), rng.choice((0.0, 0.1, 1.0))
        turns = [
            (g, m, each, step) for g, group in enumerate(groups) for m, each in enumerate(group) for step in each.steps
        ]
        width = 4
        lengths = [rng.randint(1, width) for _ in turns]
        scores = torch.zeros(len(turns), width)
        for row, (_, _, each, _) in enumerate(turns):
            scores[row, lengths[row] - 1] = each.total_reward
        columns = {
            "rewards": np.array([step.reward for *_, step in turns], np.float32),
            "traj_uid": np.array([f"{g} {m}" for g, m, _, _ in turns], object),
            "active_masks": np.ones(len(turns)),
            "is_action_valid": np.array([[step.action_valid] for *_, step in turns]),
        }
        tensors: dict[str, Any] = {"input_ids": scores}
        tensors["step_rewards"] = theirs.compute_step_discounted_returns(
            SimpleNamespace(non_tensor_batch=columns, batch=tensors), gamma
        )
        tensors["token_level_scores"] = scores
        penalise(Rows(tensors, columns, lengths, width), penalty)
        rows = rows_of_rollouts([list(group) for group in groups], "observation", released=True)
        mine = penalised(step_returns(rows, gamma), rows, penalty), penalised(rows.returns, rows, penalty)
        for own, other in zip(mine, (tensors["step_rewards"], scores.sum(-1)), strict=True):
            worst = max(worst, float(np.abs(own - other.numpy()).max()))
            compared += len(own)
    report(f"step returns and returns with penalties, largest difference {worst:.1e}", compared, int(worst > 1e-5))
    assert worst <= 1e-5


class Rows:
    """A batch that gives one row at a time, with one token of a prompt before the tokens of a reply."""

    def __init__(self, tensors: dict[str, Any], columns: dict[str, Any], lengths: list[int], width: int) -> None:
        self.batch, self.non_tensor_batch = tensors, columns
        self._lengths, self._width = lengths, width

    def __len__(self) -> int:
        return len(self._lengths)

    def __getitem__(self, row: int) -> Any:
        present = torch.arange(self._width) < self._lengths[row]
        return SimpleNamespace(
            batch={"prompts": torch.zeros(1), "attention_mask": torch.cat([torch.ones(1), present]).long()},
            non_tensor_batch={"is_action_valid": self.non_tensor_batch["is_action_valid"][row]},
        )


@pytest.mark.parametrize("multiple", [64, 256])
def test_copies_that_fill_a_batch(multiple: int, report: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The draws are not the release's. Given ours, its batch is ours; and each row is copied once at most, as in it."""
    theirs = released("agent_system/multi_turn_rollout/utils.py")
    per_gpu = multiple // 8
    actor = SimpleNamespace(use_kl_loss=False, ppo_micro_batch_size_per_gpu=per_gpu)
    rollout = SimpleNamespace(log_prob_micro_batch_size_per_gpu=per_gpu)
    config = SimpleNamespace(
        trainer=SimpleNamespace(n_gpus_per_node=8, nnodes=1),
        actor_rollout_ref=SimpleNamespace(actor=actor, rollout=rollout),
        algorithm=SimpleNamespace(use_kl_in_reward=False),
    )
    monkeypatch.setattr(theirs, "DataProto", Numbers)
    rng, different = random.Random(0), 0
    for update in range(400):
        count = rng.randint(multiple, 6 * multiple)
        turns = [("task", 0, number) for number in range(count)]
        mine = padded(turns, multiple, 0, update)
        asked: list[tuple[int, int]] = []

        def choose(size: int, missing: int, replace: bool, mine: list[int] = mine, asked: Any = asked) -> list[int]:
            assert not replace
            asked.append((size, missing))
            return mine[size:]

        monkeypatch.setattr(theirs.np.random, "choice", choose)
        batch = theirs.adjust_batch(config, Numbers(range(count)))
        copied = Counter(mine).values()
        same = list(batch) == mine and (not asked or asked == [(count, len(mine) - count)]) and max(copied) <= 2
        different += not same
    report(f"batches filled up to a multiple of {multiple}", 400, different)
    assert not different


class Numbers(list[int]):
    """Row numbers in place of a batch."""

    non_tensor_batch: dict[str, Any] = {}  # noqa: RUF012  # read only

    def select_idxs(self, chosen: list[int]) -> Numbers:
        return Numbers(self[number] for number in chosen)

    @staticmethod
    def concat(parts: list[Numbers]) -> Numbers:
        return Numbers(number for part in parts for number in part)
