"""Analyses without a model, from what the environment knows: the expert's action, the reason for a refusal, the reply.

The expert's action is recorded by environments made with ``expert=True`` (``stage.settings.expert=true``).
"""

from __future__ import annotations

from agentgym_hindsight.baselines.analysers.rollout_text import clipped
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory

__all__ = ["cause_of", "changed_nothing", "correction_of", "feedback_on", "last_words"]

_MOST = 400  # characters of a quoted text


def cause_of(step: Step) -> str:
    """Why an action was refused, or that it changed nothing; "" if neither is known.

    >>> cause_of(Step(0, "A hall.", "eat", "Nothing happens.", "A hall.", action_valid=False, detail="No food here."))
    'The action "eat" was refused: No food here.'
    """
    action = clipped(" ".join(step.action.split()), _MOST)
    if not step.action_valid:
        return f'The action "{action}" was refused: {_quoted(step) or "no reason was given"}'
    if changed_nothing(step):
        return f'The action "{action}" changed nothing: {_quoted(step) or "there was no reply"}'
    return ""


def correction_of(step: Step) -> str:
    """The expert's action, if it is known and is not the one that was taken."""
    expert = step.extra.get("expert_action")
    if not isinstance(expert, str) or not expert.strip() or _same(expert, step.action):
        return ""
    return clipped(expert.strip(), _MOST)


def changed_nothing(step: Step) -> bool:
    """Whether the state after the action is the one before."""
    return bool(step.anchor) and step.anchor == step.next_anchor


def feedback_on(step: Step) -> str:
    """Cause and correction of a turn as sentences; "" if there is nothing to say."""
    cause, correction = cause_of(step), correction_of(step)
    return " ".join(filter(None, (cause, f"A better action here is: {correction}" if correction else "")))


def last_words(rollout: Trajectory) -> str:
    """What can be said about the last turn of any failed rollout."""
    reply = _quoted(rollout.steps[-1])
    return " ".join(filter(None, ("The attempt ended here without success.", reply and f"The reply was: {reply}")))


def _quoted(step: Step) -> str:
    return clipped(step.detail.strip() or step.feedback.strip(), _MOST)


def _same(one: str, other: str) -> bool:
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()
