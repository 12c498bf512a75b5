"""verl's real classes with our envs: the agent loop against a stub token server, the trainer's advantages in verl's own
TransferQueue, with a stub in place of the workers that compute log-probabilities."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import gymnasium as gym
import pytest

from tests.toy import CorridorBackend, CorridorEnv

pytest.importorskip("verl.experimental.agent_loop.agent_loop", reason="needs verl 0.9")
omegaconf: Any = pytest.importorskip("omegaconf", reason="needs verl 0.9")

import torch  # noqa: E402
from verl.experimental.agent_loop.agent_loop import DictConfigWrap  # noqa: E402

from agentgym_hindsight.baselines.training.tiny import make_tokenizer  # noqa: E402
from agentgym_hindsight.errors import UsageError  # noqa: E402
from agentgym_hindsight.exports.exact import from_exact_text  # noqa: E402
from agentgym_hindsight.exports.verl import task_row  # noqa: E402
from agentgym_hindsight.exports.verl_agent_loop import ROLLOUT, TURN, HindsightAgentLoop  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
CORRIDOR = "Corridor-verl-v0"
TASK = CorridorBackend().task("train", 0)
CONFIG = {
    "actor_rollout_ref": {
        "rollout": {"prompt_length": 2048, "response_length": 32, "temperature": 1.0, "n": 2},
    },
    "data": {},
    "algorithm": {
        "adv_estimator": "grpo",
        "use_kl_in_reward": False,
        "gamma": 1.0,
        "lam": 1.0,
        "norm_adv_by_std_in_grpo": True,
    },
}


@pytest.fixture(autouse=True)
def _corridor() -> Iterator[None]:
    gym.register(CORRIDOR, entry_point=CorridorEnv, order_enforce=False)
    yield
    del gym.registry[CORRIDOR]
    HindsightAgentLoop._idle.clear()


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return make_tokenizer(["go east", "Your task is to reach the room", "<action>east</action>"] * 9, vocabulary=400)


class Server:
    """Replies with the tokens of one text; the log-probability of each is -0.5."""

    def __init__(self, tokenizer: Any, text: str) -> None:
        self.ids = tokenizer(text, add_special_tokens=False)["input_ids"]

    async def generate(self, *, prompt_ids: Any, **_: Any) -> Any:
        assert prompt_ids
        return SimpleNamespace(token_ids=self.ids, log_probs=[-0.5] * len(self.ids), extra_fields={}, num_preempted=0)


def play(tokenizer: Any, text: str, session_id: int = 0, **more: Any) -> list[Any]:
    async def run() -> list[Any]:
        config = omegaconf.OmegaConf.create(CONFIG)
        loop = HindsightAgentLoop(
            trainer_config=DictConfigWrap(config),
            server_manager=Server(tokenizer, text),
            tokenizer=tokenizer,
            processor=None,
            dataset_cls=None,
            data_config=DictConfigWrap(config.data),
            stage={"protocol": "verl-agent-2025"},
        )
        row = {**task_row(CORRIDOR, TASK), "session_id": session_id, **more}
        return await loop.run({"temperature": 1.0}, **row)

    return asyncio.run(run())


EAST, DANCE, CRASH = (f"<think>so</think><action>{word}</action>" for word in ("east", "dance", "crash"))


def test_a_row_for_each_turn(tokenizer: Any) -> None:
    rows = play(tokenizer, EAST, session_id=1)
    assert len(rows) == 4
    assert [row.extra_fields[TURN] for row in rows] == [0, 1, 2, 3]
    assert [bool(row.extra_fields[ROLLOUT]) for row in rows] == [False, False, False, True]
    assert [row.reward_score for row in rows] == [None, None, None, 10.0]
    rollout = from_exact_text(rows[-1].extra_fields[ROLLOUT])
    assert (rollout.won, rollout.sibling, rollout.actions) == (True, 1, ("east",) * 4)
    for row, step in zip(rows, rollout.steps, strict=True):
        tokens = step.extra["tokens"]
        assert (tokens["prompt_ids"], tokens["response_ids"]) == (row.prompt_ids, row.response_ids)
        assert tokens["logprobs"] == row.response_logprobs
        assert step.response == tokenizer.decode(row.response_ids, skip_special_tokens=True)
        assert step.observation in step.prompt
    assert rows[-1].extra_fields["reward_extra_info"]["won"] == 1.0
    assert rows[0].as_dict()["response_mask"].sum() == len(rows[0].response_ids)


def test_a_broken_rollout_gives_no_rows(tokenizer: Any) -> None:
    assert play(tokenizer, CRASH) == []
    assert len(play(tokenizer, EAST)) == 4, "the session goes on with a new env"


def test_a_row_without_a_task(tokenizer: Any) -> None:
    with pytest.raises(UsageError, match="Expected extra_info"):
        play(tokenizer, EAST, extra_info={})


class MemoryQueue:
    """The functions of TransferQueue that a trainer calls, on a dict in this process."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}

    def kv_batch_put(self, *, keys: Any, partition_id: str, fields: Any, tags: Any = None) -> Any:
        from transfer_queue import KVBatchMeta

        for number, key in enumerate(keys):
            row = self.rows.setdefault((partition_id, key), {})
            row.update({name: self.row_of(fields[name], number) for name in fields.keys()})  # noqa: SIM118
        return KVBatchMeta(keys=list(keys), tags=list(tags or [{} for _ in keys]), partition_id=partition_id)

    @staticmethod
    def row_of(column: Any, number: int) -> Any:
        return column.unbind()[number] if getattr(column, "is_nested", False) else column[number]

    def kv_batch_get(self, *, keys: Any, partition_id: str, select_fields: Any) -> Any:
        from verl.utils.tensordict_utils import list_of_dict_to_tensordict

        found = [self.rows[partition_id, key] for key in keys]
        names = [name for name in select_fields if name in found[0]]
        table = list_of_dict_to_tensordict([{name: row[name] for name in names} for row in found])
        for name in names:  # TransferQueue returns all columns of tensors nested
            if isinstance(found[0][name], torch.Tensor):
                table[name] = torch.nested.as_nested_tensor([row[name] for row in found], layout=torch.jagged)
        return table

    def kv_clear(self, *, keys: Any, partition_id: str) -> None:
        for key in keys:
            del self.rows[partition_id, key]

    def kv_list(self, *, partition_id: str) -> Any:
        return {partition_id: {key: {} for partition, key in self.rows if partition == partition_id}}


@pytest.fixture(params=["memory", pytest.param("ray", marks=pytest.mark.slow)])
def queue(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    tq: Any = pytest.importorskip("transfer_queue", reason="needs TransferQueue")
    if request.param == "memory":
        from verl.trainer.ppo.v1 import trainer_base

        from agentgym_hindsight.exports import verl_trainer

        memory = MemoryQueue()
        monkeypatch.setattr(trainer_base, "tq", memory)
        monkeypatch.setattr(verl_trainer, "tq", memory)
        yield memory
        return
    ray: Any = pytest.importorskip("ray", reason="needs Ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, ignore_reinit_error=True)
    tq.init()
    yield tq
    tq.close()
    ray.shutdown()


def test_advantages_are_weighed_in_verls_own_trainer(tokenizer: Any, queue: Any) -> None:
    from verl.trainer.ppo.v1.trainer_base import get_trainer_cls
    from verl.utils.tensordict_utils import list_of_dict_to_tensordict

    from agentgym_hindsight.exports import verl_trainer

    kind = get_trainer_cls("agentgym_hindsight")
    assert kind is verl_trainer.HindsightPPOTrainer
    keys, fields, tags = [], [], []
    for session, text in enumerate((EAST, DANCE, EAST)):
        rows = play(tokenizer, text, session_id=session)
        for row in rows:
            row.reward_score = rows[-1].reward_score  # as verl's own loop does
        for number, row in enumerate(rows):
            field = row.as_dict()
            field["uid"] = "prompt"
            field["old_log_probs"] = torch.full((len(row.response_ids),), -0.5)
            field["input_ids"] = torch.cat([field["prompts"], field["responses"]])
            keys.append(f"prompt_{session}_{number}")
            fields.append(field)
            tags.append({"status": "success", "seq_len": len(field["input_ids"])})
    batch = queue.kv_batch_put(keys=keys, partition_id="train", fields=list_of_dict_to_tensordict(fields), tags=tags)

    class Workers:
        """In place of the actor's workers: every token has the log-probability -0.4, and -0.5 is the student's."""

        _dispatch_info: ClassVar[dict[str, list[int]]] = {"actor": [0, 1, 2]}
        seen: ClassVar[list[str]] = []

        def compute_log_prob(self, meta: Any) -> Any:
            assert len(meta.keys) % 3 == 0
            data = queue.kv_batch_get(
                keys=meta.keys, partition_id=meta.partition_id, select_fields=["input_ids", "prompts"]
            )
            self.seen += [tokenizer.decode(row) for row in data["prompts"].unbind()]
            given = [torch.full((len(row),), -0.4) for row in data["input_ids"].unbind()]
            nested = torch.nested.as_nested_tensor(given, layout=torch.jagged)
            from tensordict import TensorDict

            queue.kv_batch_put(
                keys=meta.keys,
                partition_id=meta.partition_id,
                fields=TensorDict({"log_probs": nested}, batch_size=len(meta.keys)),
            )
            return meta

    def advantages(lam: float) -> tuple[list[torch.Tensor], dict[str, Any]]:
        trainer = object.__new__(kind)
        trainer.config = omegaconf.OmegaConf.create(
            {**CONFIG, "hindsight": {"what": "success+immediate", "lam": lam, "updates": 0}}
        )
        trainer.tokenizer, trainer.global_steps = tokenizer, 1
        trainer.actor_rollout_wg = Workers()
        metrics: dict[str, Any] = {}
        trainer._compute_advantage(batch, metrics)
        data = queue.kv_batch_get(keys=keys, partition_id="train", select_fields=["advantages"])
        return [row.clone() for row in data["advantages"].unbind()], metrics

    own, _ = advantages(0.0)  # verl's GRPO
    weighed, metrics = advantages(0.5)
    assert own[0][0] > 0 > own[4][0]
    assert metrics["hindsight/gap"] == pytest.approx(0.1, abs=1e-6)
    weighed_texts: list[str] = []
    for number, (before, after) in enumerate(zip(own, weighed, strict=True)):
        ids = fields[number]["responses"].tolist()
        sign = 1 if before[0] > 0 else -1
        factor = 1 + 0.5 * (min(1.2, max(0.8, float(torch.tensor(sign * 0.1).exp()))) - 1)
        for token, was, now in zip(ids, before.tolist(), after.tolist(), strict=True):
            changed = now != pytest.approx(was, rel=1e-6)
            assert now == pytest.approx(was * factor if changed else was, rel=1e-5), tokenizer.decode([token])
        text = tokenizer.decode([token for token, a, b in zip(ids, before, after, strict=True) if abs(a - b) > 1e-6])
        weighed_texts.append(text.strip())
    winners, loser = weighed_texts[:4] + weighed_texts[-4:], weighed_texts[4:-4]
    assert all("east" in text for text in winners), winners  # a token may also hold the tag beside the action
    assert all("dance" in text for text in loser), loser
    # The loser's teacher reads the winner; nothing is left in the queue.
    assert any("Successful trajectory" in prompt for prompt in Workers.seen)
    assert not queue.kv_list(partition_id="agentgym_hindsight_teacher").get("agentgym_hindsight_teacher")
