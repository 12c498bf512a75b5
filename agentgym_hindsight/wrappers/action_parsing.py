"""Parses a model's response into an action."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from rapidfuzz.distance import Levenshtein

from agentgym_hindsight.envs.plain_values import flag, row, text, whole
from agentgym_hindsight.envs.thought import Thought
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.spaces import UnicodeText
from agentgym_hindsight.wrappers.base import StepResult, TextWrapper, annotate, refuse_below
from agentgym_hindsight.wrappers.parsing import ParsedAction, format_response, parse_response, parser_name
from agentgym_hindsight.wrappers.short_names import named_action, short_names
from agentgym_hindsight.wrappers.snapshots import RestoreInner, require_argument
from agentgym_hindsight.wrappers.value_names import long_call

__all__ = ["ActionParser"]

#: Parsers whose protocol checks only the format of a response, and not whether the env accepts the action.
_FORMAT_ONLY = ("verl-agent-2025",)
#: Parsers of small policies, which often copy an action with a mistake.
_NEAREST_BY_DEFAULT = ("brief", "short")
_NO_ACTION = ParsedAction("")
_WHERE = "wrappers.ActionParser"


class ActionParser(TextWrapper):
    """Takes whole responses and passes the action in them to the env.

    * ``info["parsed_action"]`` is the :class:`~agentgym_hindsight.wrappers.ParsedAction`. The recorded step has the
      response, the action's span in it, and the validity below.
    * ``info["action_valid"]`` is the protocol's validity. ``membership=False``: the response follows the format, even
      if the env refused the action (verl-agent). ``membership=True``: the env also accepted the action. ``None`` is the
      protocol's default: ``False`` for ``"verl-agent-2025"``, ``True`` for the others.
    * ``info["env_action_valid"]`` is always the env's own validity.
    * ``nearest=True``: an action that is not on the list is replaced by the listed action with the smallest edit
      distance. It still counts as invalid (``ParsedAction.reason`` gives the original). A policy that copies a number
      incorrectly can then continue; after a refusal it would repeat the same action. ``None`` is the protocol's
      default: ``True`` for ``"brief"`` and ``"short"``. With ``"short"``, names are compared, and a search stays.

    With the parser ``"short"``, a short name stands for the admissible action that it names. Where actions are tool
    calls, ``@2`` in ``[f(a=@2)]`` stands for the value that the prompt marks so.

    Text without an action is also sent to the env, as the protocol specifies: the turn is then played, and the policy
    can be trained on it. Put reward penalties for invalid actions outside of this wrapper.

    Args:
        parser: a name in ``PARSERS``, or ``module:NAME`` for a function of your own; ``None`` takes the parser of an
            inner :class:`~agentgym_hindsight.wrappers.PromptProtocol`, or ``"verl-agent-2025"`` without one.
        membership: whether an action that the env refused is invalid.
        nearest: whether an action that is not listed is replaced by the nearest listed one.

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
        if parser is not None:
            parser = parser_name(parser)
        for name, value in (("membership", membership), ("nearest", nearest)):
            if value is not None and not isinstance(value, bool):
                raise UsageError(f"Expected {name} as True, False or None, got {value!r}; try None.")
        super().__init__(env, parser=parser, membership=membership, nearest=nearest)
        refuse_below(env, "ActionParser")
        if env.has_wrapper_attr("penalises_invalid_actions"):
            raise UsageError(
                "Expected InvalidActionPenalty outside of ActionParser, which decides validity, got it inside; "
                "try InvalidActionPenalty(ActionParser(env))."
            )
        if env.has_wrapper_attr("format_response"):
            raise UsageError("Expected one ActionParser in a stack, got two; try removing the inner one.")
        if parser is None:
            has_protocol = env.has_wrapper_attr("prompt_protocol")
            inner = env.get_wrapper_attr("prompt_protocol").parser if has_protocol else "verl-agent-2025"
            parser = parser_name(inner)
        self.parser: str = parser
        self.membership = parser not in _FORMAT_ONLY if membership is None else membership
        self.nearest = parser in _NEAREST_BY_DEFAULT if nearest is None else nearest
        self._admissible: tuple[str, ...] = ()
        self._prompt = ""  # the last observation, which marks values by short names
        self._last = _NO_ACTION, True, True  # the parsed action, its validity, and whether the env accepted it
        self.action_space = UnicodeText()
        self._world = str(getattr(env.unwrapped, "prompt_world", "generic"))

    def format_response(self, action: str) -> str:
        """A response that this wrapper parses as ``action``: for experts, random policies and conformance tests."""
        return format_response(action, self.parser)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self._admissible, self._prompt = info["admissible_actions"], observation
        self._last = _NO_ACTION, info["action_valid"], info["action_valid"]
        return observation, info | {"parsed_action": _NO_ACTION, "env_action_valid": info["action_valid"]}

    def step(self, action: str) -> StepResult:
        parsed = parse_response(action, self.parser, world=self._world)
        if self.parser == "short" and parsed.span is not None:
            if self._world == "tools":
                parsed = parsed._replace(text=long_call(parsed.text, self._prompt))
            parsed = parsed._replace(text=named_action(parsed.text, self._admissible))
        if self.nearest and self._admissible and parsed.span is not None and parsed.text not in self._admissible:
            parsed = self._nearest_listed(parsed)
        sent = Thought(parsed.text) if parsed.thought else parsed.text
        observation, reward, terminated, truncated, info = self.env.step(sent)
        accepted = info["action_valid"]
        self._admissible, self._prompt = info["admissible_actions"], observation
        valid = parsed.valid and (accepted or not self.membership)
        self._last = parsed, valid, accepted
        annotate(self.env, response=str(action), action_span=parsed.span, action_valid=valid)
        info = info | {"action_valid": valid, "parsed_action": parsed, "env_action_valid": accepted}
        return observation, float(reward), terminated, truncated, info

    def snapshot_state(self) -> Any:
        """What the last info said of the action, for :func:`~agentgym_hindsight.wrappers.snapshot_of`."""
        return (self.parser, self.membership, self.nearest), *self._last

    def restore_state(self, state: Any, restore_inner: RestoreInner) -> tuple[str, dict[str, Any]]:
        """Set what :meth:`snapshot_state` returned, and the env inside."""
        arguments, parsed, valid, accepted = row(state, _WHERE, 4)
        for name, given in zip(("parser", "membership", "nearest"), row(arguments, _WHERE, 3), strict=True):
            require_argument(self, name, getattr(self, name), given)
        action, span, parsed_valid, reason, thought = row(parsed, _WHERE, 5)
        last = (
            ParsedAction(
                text(action, _WHERE),
                None if span is None else _span(span),
                flag(parsed_valid, _WHERE),
                text(reason, _WHERE),
                flag(thought, _WHERE),
            ),
            flag(valid, _WHERE),
            flag(accepted, _WHERE),
        )
        observation, info = restore_inner()
        self._admissible, self._prompt, self._last = info["admissible_actions"], observation, last
        parsed, valid, accepted = last
        return observation, info | {"action_valid": valid, "parsed_action": parsed, "env_action_valid": accepted}

    def _nearest_listed(self, parsed: ParsedAction) -> ParsedAction:
        # The smallest edit distance. Ties: the first on the list, so that equal responses give equal actions.
        if self.parser == "short":
            if parsed.text.startswith("search["):
                return parsed
            names = short_names(self._admissible)
            text = min(self._admissible, key=lambda listed: Levenshtein.distance(parsed.text, names[listed]))
        else:
            text = min(self._admissible, key=lambda listed: Levenshtein.distance(parsed.text, listed))
        reason = parsed.reason or f"{parsed.text!r} is not on the list"
        return parsed._replace(text=text, valid=False, reason=reason)


def _span(value: Any) -> tuple[int, int]:
    start, end = row(value, _WHERE, 2)
    return whole(start, _WHERE, 0, 2**63), whole(end, _WHERE, 0, 2**63)
