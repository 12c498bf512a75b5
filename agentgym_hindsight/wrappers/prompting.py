"""Renders each turn as a complete prompt for a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym

from agentgym_hindsight.envs.plain_values import flag, reject, row, text, texts
from agentgym_hindsight.envs.thought import Thought
from agentgym_hindsight.hindsight.sources import Feedback, Hindsight
from agentgym_hindsight.tasks import content_hash
from agentgym_hindsight.wrappers.base import (
    StepResult,
    TextWrapper,
    annotate,
    final_hindsight,
    refuse_below,
    require_record,
)
from agentgym_hindsight.wrappers.parsing import THINKING, parse_response
from agentgym_hindsight.wrappers.protocols import History, PromptState, make_protocol
from agentgym_hindsight.wrappers.snapshots import RestoreInner, require_argument

__all__ = ["PromptProtocol"]

_WHERE = "wrappers.PromptProtocol"


class PromptProtocol(TextWrapper):
    """Shows each turn as a protocol's prompt.

    * The observation is the prompt, also in ``info["prompt"]``. ``info["raw_observation"]`` is the env's observation.
    * The prompt of the next turn is ``info["hindsight"].next_observation`` at every step and in the terminal
      ``.episode``. The recorded step has both (``Step.prompt``, ``Step.next_observation``).
    * With ``"react-2022"``, ``"code-react"`` and ``"tools-react"`` a turn "think: …" gets the reply "OK." and the world
      does not change.
    * The env's ``prompt_world`` selects the variant of the protocol.

    With ``history="conversation"`` the observation is the next message of a chat: the first has the task and how to
    act, the others what the last action led to. ``info["conversation"]`` is then True, and the recorded steps have it
    in ``extra``; the whole chat of a turn is :func:`~agentgym_hindsight.hindsight.messages.prompt_messages`.

    Works inside and outside of :class:`~agentgym_hindsight.wrappers.ActionParser`.

    Args:
        protocol: a name in ``PROTOCOLS``, or ``module:NAME`` for a protocol of your own.
        history: the number of earlier turns shown; ``None`` is the protocol's default, ``"conversation"`` a chat.
        demonstrations: complete examples shown first, in order. The library includes none.

    >>> import gymnasium as gym, agentgym_hindsight
    >>> env = PromptProtocol(gym.make("ALFWorld-Hindsight-v0", data="embedded"))
    >>> prompt, info = env.reset(seed=0)
    >>> prompt.splitlines()[0]
    'You are an expert agent operating in the ALFRED Embodied Environment.'
    >>> next_prompt, *_, info = env.step("look")
    >>> info["hindsight"].next_observation.text == next_prompt
    True
    """

    def __init__(
        self,
        env: gym.Env[str, str],
        protocol: str = "verl-agent-2025",
        history: History = None,
        demonstrations: Sequence[str] = (),
    ) -> None:
        prompt_protocol = make_protocol(protocol, history=history, demonstrations=demonstrations)
        super().__init__(env, protocol=protocol, history=history, demonstrations=list(demonstrations))
        refuse_below(env, "PromptProtocol", marker="prompt_protocol")
        require_record(env, "PromptProtocol")
        self.prompt_protocol = prompt_protocol
        self._world = str(getattr(env.unwrapped, "prompt_world", "generic"))
        #: Whether the functions depend on the task: a world with one list for all tasks has it as an attribute.
        self._tools_vary = self._world == "tools" and not getattr(env.unwrapped, "tools", ())
        self._history: list[tuple[str, str]] = []
        self._prompts: list[str] = []  # the first prompt, then one after each step
        self._observation = ""
        self._parsed_below = False
        digest = content_hash(*prompt_protocol.demonstrations)
        self._arguments = f"{protocol}, history={prompt_protocol.history}, demonstrations={digest}"

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self._history, self._prompts = [], []
        self._parsed_below = "parsed_action" in info
        prompt = self._render(observation, info)
        return prompt, info | self._own_keys(prompt, observation)

    def step(self, action: str) -> StepResult:
        if not self._parsed_below:
            action = self._mark_thought(action)
        observation, reward, terminated, truncated, info = self.env.step(action)
        taken = info["parsed_action"].text if self._parsed_below else str(action)
        self._history.append((self._observation, taken))
        shown_prompt = self._prompts[-1]
        prompt = self._render(observation, info)
        is_message = {"extra": {"conversation": True}} if self.prompt_protocol.conversation else {}
        annotate(self.env, prompt=shown_prompt, next_observation=prompt, **is_message)
        hindsight = final_hindsight(self.env, info["hindsight"], terminated or truncated)
        info = info | {"hindsight": self._with_prompts(hindsight)} | self._own_keys(prompt, observation)
        return prompt, float(reward), terminated, truncated, info

    def _own_keys(self, prompt: str, observation: str) -> dict[str, Any]:
        keys: dict[str, Any] = {"prompt": prompt, "raw_observation": observation}
        return keys | ({"conversation": True} if self.prompt_protocol.conversation else {})

    def snapshot_state(self) -> Any:
        """The prompts and turns so far, for :func:`~agentgym_hindsight.wrappers.snapshot_of`."""
        prompts, turns = tuple(self._prompts), tuple(self._history)
        return self._arguments, prompts, turns, self._observation, self._parsed_below

    def restore_state(self, state: Any, restore_inner: RestoreInner) -> tuple[str, dict[str, Any]]:
        """Set what :meth:`snapshot_state` returned, and the env inside."""
        arguments, prompts, turns, observation, parsed_below = row(state, _WHERE, 5)
        require_argument(self, "protocol and history", self._arguments, text(arguments, _WHERE))
        kept = texts(prompts, _WHERE)
        pairs = [row(turn, _WHERE, 2) for turn in row(turns, _WHERE)]
        history = [(text(shown, _WHERE), text(taken, _WHERE)) for shown, taken in pairs]
        if len(kept) != len(history) + 1:
            reject("a prompt before and after each turn", len(kept), _WHERE)
        shown, below = text(observation, _WHERE), flag(parsed_below, _WHERE)
        raw, info = restore_inner()
        self._history, self._prompts, self._observation, self._parsed_below = history, list(kept), shown, below
        hindsight = self._with_prompts(info["hindsight"])
        return kept[-1], info | {"hindsight": hindsight} | self._own_keys(kept[-1], raw)

    def _mark_thought(self, action: str) -> str:
        """Mark the action as a thought, if the protocol allows thoughts and no parser below has done it."""
        if self.prompt_protocol.parser not in THINKING or isinstance(action, Thought) or not isinstance(action, str):
            return action
        parsed = parse_response(action, self.prompt_protocol.parser, world=self._world)
        return Thought(parsed.text) if parsed.thought else action

    def _render(self, observation: str, info: dict[str, Any]) -> str:
        extra = info.get("extra", {})
        state = PromptState(
            info["goal"],
            observation,
            info["admissible_actions"],
            tuple(self._history),
            self._world,
            bool(extra["has_search_bar"]) if "has_search_bar" in extra else False,
            tuple(extra["tools"]) if "tools" in extra else (),
            str(extra["tools_text"]) if "tools_text" in extra else "",
            self._tools_vary,
        )
        protocol = self.prompt_protocol
        prompt = protocol.follow_up(state) if protocol.conversation and self._history else protocol.render(state)
        self._observation = observation
        self._prompts.append(prompt)
        return prompt

    def _with_prompts(self, hindsight: Hindsight) -> Hindsight:
        """The hindsight with prompts instead of states, in ``episode`` too."""
        with_prompt = _with_next_observation(hindsight, self._prompts[-1])
        if not hindsight.is_final:
            return with_prompt
        prompts_after = tuple(self._prompts[1:])
        return with_prompt.with_episode(
            lambda: tuple(
                _with_next_observation(each, prompt)
                for each, prompt in zip(hindsight.episode, prompts_after, strict=True)
            )
        )


def _with_next_observation(hindsight: Hindsight, prompt: str) -> Hindsight:
    state = hindsight.next_observation
    if state is None:
        return hindsight
    return hindsight.replace(next_observation=Feedback(prompt, state.provenance, state.step, state.detail))
