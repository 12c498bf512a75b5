"""The observation becomes the prompt: what a model is shown, whole, each turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym

from agentgym_hindsight.envs.thought import Thought
from agentgym_hindsight.hindsight.sources import Feedback, Hindsight
from agentgym_hindsight.wrappers.base import (
    StepResult,
    TextWrapper,
    annotate,
    final_hindsight,
    refuse_below,
    require_record,
)
from agentgym_hindsight.wrappers.parsing import parse_response
from agentgym_hindsight.wrappers.protocols import PromptState, make_protocol

__all__ = ["PromptProtocol"]


class PromptProtocol(TextWrapper):
    """Shows each turn as a protocol's prompt.

    * The observation is the prompt; ``info["prompt"]`` is the same, ``info["raw_observation"]`` what the env said.
    * The prompt of the next turn is ``info["hindsight"].next_observation``, the second feedback source, at every step
      and in the terminal ``.episode``; the recorded step has both (``Step.prompt``, ``Step.next_observation``).
    * With ``"react-2022"`` a turn "think: …" is answered "OK." without moving the world.
    * Which variant of the protocol speaks is told by the env's ``prompt_world``.

    Works inside and outside of :class:`~agentgym_hindsight.wrappers.ActionParser`.

    Args:
        protocol: ``"verl-agent-2025"``, ``"react-2022"`` or ``"plain"``.
        history: earlier turns shown; ``None`` is the protocol's own (2, all, 0).
        demonstrations: whole examples shown first, in order; none are shipped.

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
        history: int | None = None,
        demonstrations: Sequence[str] = (),
    ) -> None:
        made = make_protocol(protocol, history=history, demonstrations=demonstrations)
        super().__init__(env, protocol=protocol, history=history, demonstrations=list(demonstrations))
        refuse_below(env, "PromptProtocol", twice="prompt_protocol")
        require_record(env, "PromptProtocol")
        self.prompt_protocol = made
        self._world = str(getattr(env.unwrapped, "prompt_world", "generic"))
        self._history: list[tuple[str, str]] = []
        self._prompts: list[str] = []  # the first, then one after each step
        self._observation = ""
        self._parsed_below = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self._history, self._prompts = [], []
        self._parsed_below = "parsed_action" in info
        prompt = self._show(observation, info)
        return prompt, {**info, "prompt": prompt, "raw_observation": observation}

    def step(self, action: str) -> StepResult:
        if not self._parsed_below:
            action = self._thought(action)
        observation, reward, terminated, truncated, info = self.env.step(action)
        done = info["parsed_action"].text if self._parsed_below else str(action)
        self._history.append((self._observation, done))
        shown = self._prompts[-1]
        prompt = self._show(observation, info)
        annotate(self.env, prompt=shown, next_observation=prompt)
        hindsight = final_hindsight(self.env, info["hindsight"], terminated or truncated)
        info = {**info, "hindsight": self._reworded(hindsight), "prompt": prompt, "raw_observation": observation}
        return prompt, float(reward), terminated, truncated, info

    def _thought(self, action: str) -> str:
        """The action, marked where the protocol lets the agent think instead and no parser has looked at it."""
        if self.prompt_protocol.parser != "react-2022" or isinstance(action, Thought) or not isinstance(action, str):
            return action
        parsed = parse_response(action, self.prompt_protocol.parser, world=self._world)
        return Thought(parsed.text) if parsed.thought else action

    def _show(self, observation: str, info: dict[str, Any]) -> str:
        extra = info.get("extra", {})
        prompt = self.prompt_protocol.render(
            PromptState(
                info["goal"],
                observation,
                info["admissible_actions"],
                tuple(self._history),
                self._world,
                bool(extra["has_search_bar"]) if "has_search_bar" in extra else False,
            )
        )
        self._observation = observation
        self._prompts.append(prompt)
        return prompt

    def _reworded(self, hindsight: Hindsight) -> Hindsight:
        """The same hindsight with prompts in place of states, in ``episode`` too."""
        reworded = _next(hindsight, self._prompts[-1])
        if not hindsight.is_final:
            return reworded
        after = tuple(self._prompts[1:])
        return reworded.with_episode(
            lambda: tuple(_next(each, prompt) for each, prompt in zip(hindsight.episode, after, strict=True))
        )


def _next(hindsight: Hindsight, prompt: str) -> Hindsight:
    before = hindsight.next_observation
    if before is None:
        return hindsight
    return hindsight.replace(next_observation=Feedback(prompt, before.provenance, before.step, before.detail))
