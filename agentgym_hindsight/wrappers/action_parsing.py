"""A model's response becomes an action."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from rapidfuzz.distance import Levenshtein

from agentgym_hindsight.envs.thought import Thought
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.spaces import UnicodeText
from agentgym_hindsight.wrappers.base import StepResult, TextWrapper, annotate, refuse_below
from agentgym_hindsight.wrappers.parsing import PARSERS, ParsedAction, format_response, parse_response

__all__ = ["ActionParser"]

#: Parsers whose protocol judges the format alone and leaves an illegal action to the env.
_FORMAT_ONLY = ("verl-agent-2025",)
#: Parsers of small policies, which miscopy.
_FORGIVING = ("brief",)
_NOTHING_YET = ParsedAction("")


class ActionParser(TextWrapper):
    """Takes whole responses and passes on the action they hold.

    * ``info["parsed_action"]`` is the :class:`~agentgym_hindsight.wrappers.ParsedAction`; the recorded step carries
      the response, the action's span in it and the validity below.
    * ``info["action_valid"]`` is what the protocol calls valid. ``membership=False``: the response kept to the
      format, whatever the env thought of the action (verl-agent). ``membership=True``: and the env accepted it.
      ``None`` is the protocol's own: ``False`` for ``"verl-agent-2025"``, ``True`` for the others.
    * ``info["env_action_valid"]`` is always the env's own verdict.

    * ``nearest=True``: an action that is not on the list is played as the one that is spelt most like it, and counts as
      invalid all the same (``ParsedAction.reason`` says what was written). A policy that miscopies a number gets on
      that way, where a refusal would only be repeated. ``None`` is the protocol's own: ``True`` for ``"brief"``.

    A response that holds no action is still sent, as the protocol says, so that the turn is played and can be learnt
    from. Reward penalties for invalid actions belong outside of this wrapper.

    Args:
        parser: ``"verl-agent-2025"``, ``"react-2022"``, ``"plain"``; ``None`` takes the parser of the
            :class:`~agentgym_hindsight.wrappers.PromptProtocol` below, failing that ``"verl-agent-2025"``.
        membership: whether an action the env refused is invalid.
        nearest: whether an action that is not listed is played as the nearest one that is.

    >>> import gymnasium as gym, agentgym_hindsight
    >>> env = ActionParser(gym.make("ALFWorld-Hindsight-v0", data="embedded"))
    >>> obs, info = env.reset(seed=0)
    >>> *_, info = env.step("<think>Where am I?</think><action>look</action>")
    >>> info["action_valid"], info["parsed_action"].text, env.unwrapped.trajectory().steps[-1].action_span
    (True, 'look', (34, 38))
    >>> env.step("look")[-1]["parsed_action"].reason
    'no <action> tag'
    """

    def __init__(
        self,
        env: gym.Env[str, str],
        parser: str | None = None,
        membership: bool | None = None,
        nearest: bool | None = None,
    ) -> None:
        if parser is not None and parser not in PARSERS:
            raise UnknownNameError("parser", parser, PARSERS)
        for name, value in (("membership", membership), ("nearest", nearest)):
            if value is not None and not isinstance(value, bool):
                raise UsageError(f"Expected {name} as True, False or None, got {value!r}; try None.")
        super().__init__(env, parser=parser, membership=membership, nearest=nearest)
        refuse_below(env, "ActionParser")
        if env.has_wrapper_attr("penalises_invalid_actions"):
            raise UsageError(
                "Expected InvalidActionPenalty outside of ActionParser, which decides what is invalid, got it inside; "
                "try InvalidActionPenalty(ActionParser(env))."
            )
        if env.has_wrapper_attr("format_response"):
            raise UsageError("Expected one ActionParser in a stack, got two; try removing the inner one.")
        if parser is None:
            below = env.has_wrapper_attr("prompt_protocol")
            parser = env.get_wrapper_attr("prompt_protocol").parser if below else "verl-agent-2025"
        self.parser: str = parser
        self.membership = parser not in _FORMAT_ONLY if membership is None else membership
        self.nearest = parser in _FORGIVING if nearest is None else nearest
        self._listed: tuple[str, ...] = ()
        self.action_space = UnicodeText()
        self._world = str(getattr(env.unwrapped, "prompt_world", "generic"))

    def format_response(self, action: str) -> str:
        """A response this wrapper reads as ``action``: for experts, random policies and conformance tests."""
        return format_response(action, self.parser)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self._listed = info["admissible_actions"]
        return observation, {**info, "parsed_action": _NOTHING_YET, "env_action_valid": info["action_valid"]}

    def step(self, action: str) -> StepResult:
        parsed = parse_response(action, self.parser, world=self._world)
        if self.nearest and self._listed and parsed.span is not None and parsed.text not in self._listed:
            parsed = self._meant(parsed)
        act = Thought(parsed.text) if parsed.thought else parsed.text
        observation, reward, terminated, truncated, info = self.env.step(act)
        accepted = info["action_valid"]
        self._listed = info["admissible_actions"]
        valid = parsed.valid and (accepted or not self.membership)
        annotate(self.env, response=str(action), action_span=parsed.span, action_valid=valid)
        info = {**info, "action_valid": valid, "parsed_action": parsed, "env_action_valid": accepted}
        return observation, float(reward), terminated, truncated, info

    def _meant(self, parsed: ParsedAction) -> ParsedAction:
        # Fewest edits; of equals the first on the list, so that the same response always means the same.
        text = min(self._listed, key=lambda listed: Levenshtein.distance(parsed.text, listed))
        reason = parsed.reason or f"{parsed.text!r} is not on the list"
        return parsed._replace(text=text, valid=False, reason=reason)
