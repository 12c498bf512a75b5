"""An agent loop for verl's v1 trainer: a rollout gives one row a turn. For verl>=0.9,<0.10 (run with 0.9.1).

The rows of :mod:`~agentgym_hindsight.exports.verl` name the agent ``agentgym_hindsight`` and the task. A YAML file for
``actor_rollout_ref.rollout.agent.agent_loop_config_path`` names the class and the stage:

    - name: agentgym_hindsight
      _target_: agentgym_hindsight.exports.verl_agent_loop.HindsightAgentLoop
      stage: {settings: {data: embedded, max_steps: 30}, protocol: verl-agent-2025}

* A row's prompt is that of its turn, so it does not grow with the rollout, and its response is what was sampled.
* The reward stands on the last row, and verl copies it to the others. A broken rollout gives no rows: verl leaves it
  out of its group.
* ``extra_fields`` of the rows have the number of the turn, and on the last row the whole rollout with its tokens as
  JSON; :mod:`~agentgym_hindsight.exports.verl_trainer` computes hindsight from it.
* Control tokens in the world's text are broken by a space.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import uuid4

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.exports.clients import missing_client
from agentgym_hindsight.exports.exact import exact_text, visible
from agentgym_hindsight.exports.session import Session, Turn
from agentgym_hindsight.exports.turn_tokens import TurnTokens
from agentgym_hindsight.exports.verl import AGENT_NAME
from agentgym_hindsight.hindsight.control_text import break_control_text
from agentgym_hindsight.stage import Stage

try:
    from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopMetrics, AgentLoopOutput, register
except ImportError as error:
    raise missing_client("verl", "verl[verl-core]>=0.9,<0.10", error) from error

__all__ = ["ROLLOUT", "TURN", "HindsightAgentLoop"]

#: The keys in ``extra_fields``.
ROLLOUT, TURN = "agentgym_hindsight_rollout", "agentgym_hindsight_turn"
_MOST_IDLE = 256  # sessions kept for the next rollouts


@register(AGENT_NAME)
class HindsightAgentLoop(AgentLoopBase):  # type: ignore[misc]
    """Plays a rollout of the row's task. ``stage`` are arguments of :class:`~agentgym_hindsight.stage.Stage`.

    Without ``stage``, the env is that of the row, with its default settings. ``timeout_s`` limits each turn of the env.
    """

    _idle: ClassVar[dict[tuple[str, str, float | None], list[Session]]] = {}

    def __init__(
        self, *args: Any, stage: Mapping[str, Any] | None = None, timeout_s: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._stage_arguments = {str(key): value for key, value in (stage or {}).items()}
        self._timeout_s = timeout_s

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **row: Any) -> list[Any]:
        """The rows of a rollout."""
        facts = row.get("extra_info")
        if not isinstance(facts, Mapping) or not facts.get("task_id"):
            raise UsageError(
                "Expected extra_info with env_id and task_id in the row, got none; "
                "try a file of `agh export --to verl`, or exports.verl.task_row."
            )
        stage = Stage(**{"env": facts.get("env_id"), **self._stage_arguments})
        split = str(facts.get("split") or "train")
        key = (repr(stage), split, self._timeout_s)
        idle = self._idle.setdefault(key, [])
        session = idle.pop() if idle else Session(stage, split, timeout_s=self._timeout_s)
        try:
            return await self._play(session, str(facts["task_id"]), sampling_params, int(priority), row)
        finally:
            if len(idle) < _MOST_IDLE:
                idle.append(session)  # its next reset takes the next task
            else:
                await session.close()

    async def _play(
        self, session: Session, task_id: str, sampling_params: dict[str, Any], priority: int, row: Mapping[str, Any]
    ) -> list[Any]:
        turn = await session.reset(task_id, sibling=int(row.get("session_id") or 0), policy="verl")
        rows: list[Any] = []
        past: list[dict[str, str]] = []
        while not turn.over:
            message = {"role": "user", "content": break_control_text(visible(turn.text))}
            prompt_ids = await self.ct_build_initial_tokens([*past, message])
            output = await self.server_manager.generate(
                request_id=uuid4().hex, prompt_ids=prompt_ids, sampling_params=sampling_params, priority=priority
            )
            length = self.rollout_config.response_length
            ids = [int(token) for token in output.token_ids][:length]
            logprobs = [float(value) for value in output.log_probs or ()][:length]
            text = self.tokenizer.decode(ids, skip_special_tokens=True)
            if turn.info.get("conversation"):
                past += [message, {"role": "assistant", "content": text}]
            rows.append(
                AgentLoopOutput(
                    prompt_ids=prompt_ids,
                    response_ids=ids,
                    response_mask=[1] * len(ids),
                    response_logprobs=logprobs or None,
                    num_turns=2,
                    metrics=AgentLoopMetrics(),
                    extra_fields={**(output.extra_fields or {}), TURN: len(rows), ROLLOUT: ""},
                )
            )
            turn = await session.step(text, TurnTokens(tuple(prompt_ids), tuple(ids), (), tuple(logprobs)))
        return self._scored(session, turn, rows)

    @staticmethod
    def _scored(session: Session, turn: Turn, rows: list[Any]) -> list[Any]:
        rollout = session.trajectory
        if turn.broken or not rows:
            return []
        rows[-1].reward_score = rollout.total_reward
        rows[-1].extra_fields[ROLLOUT] = exact_text(rollout)
        result = {"won": float(rollout.won), "score": rollout.score, "turns": float(len(rollout))}
        for row in rows:
            row.extra_fields["reward_extra_info"] = result
        return rows
