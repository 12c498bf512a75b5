"""Turns as text for the teacher, in exactly SERL's formats.

This differs from :func:`~agentgym_hindsight.hindsight.trajectory.render_steps`, which shows a rollout to people and
numbers steps from 1. The release numbers them from 0, breaks the line after every heading and removes the thinking.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agentgym_hindsight.hindsight.spec import ContextOptions
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory

__all__ = ["candidate_action", "demonstration", "immediate_text", "next_text", "remove_thinking"]

# Opening and closing tags are searched one after the other. One pattern for a whole block, "<think>.*?</think>", would
# run to the end of the text for every opening tag that is not closed: a reply of 200 kB took minutes.
_THINK, _THINK_END = "<think>", re.compile(r"</think>\s*")
_ACTION, _ACTION_END = re.compile("<action>", re.IGNORECASE), re.compile("</action>", re.IGNORECASE)


def remove_thinking(text: str) -> str:
    """The text without its complete ``<think>…</think>`` blocks and the white space after them.

    >>> remove_thinking("<think>Hm.</think> <action>look</action>")
    '<action>look</action>'
    """
    kept, position = [], 0
    while (opened := text.find(_THINK, position)) >= 0:
        closed = _THINK_END.search(text, opened + len(_THINK))
        if closed is None:  # then no later block is closed either
            break
        kept.append(text[position:opened])
        position = closed.end()
    return "".join(kept) + text[position:]


def demonstration(steps: Sequence[Step], options: ContextOptions, limit: int) -> str:
    """Turns as blocks "Step k / Response: …" or "Step k / Observation: … / Action: …"; "" if there are none."""
    shown = steps[:limit] if limit > 0 else steps
    blocks = []
    for step in shown:
        reply = _reply(step, options)
        if options.trajectory_format == "response":
            blocks.append(f"Step {step.index}\nResponse:\n{reply}")
        else:
            state_text = (step.prompt or step.observation).strip()
            blocks.append(f"Step {step.index}\nObservation:\n{state_text}\nAction:\n{reply}")
    if len(shown) < len(steps):
        blocks.append(f"... {len(steps) - len(shown)} more steps omitted.")
    return "\n\n".join(blocks)


def candidate_action(step: Step, options: ContextOptions) -> str:
    """The action of a turn in normal form: the tagged action in lower case, with single spaces.

    Without the tag the release uses the whole reply. If a policy recorded which part of the reply is the action (a tool
    call), this function uses that part, unless ``recorded_actions`` is off.

    >>> turn = Step(0, "", "go east", "", "", response="<think>Hm.</think><action> Go  East </action>")
    >>> candidate_action(turn, ContextOptions())
    'go east'
    """
    reply = _reply(step, options)
    opened = _ACTION.search(reply)
    closed = opened and _ACTION_END.search(reply, opened.end())
    if opened and closed:
        reply = reply[opened.end() : closed.start()]
    elif options.recorded_actions and step.action_span is not None and step.response and "<action" not in reply.lower():
        reply = step.response[slice(*step.action_span)]
    return " ".join(reply.split()).lower() or "(empty action)"


def immediate_text(step: Step, options: ContextOptions) -> str:
    """The environment's raw reply, with the reason for it in brackets if ``options.details`` is set."""
    text = step.feedback.strip()
    detail = step.detail.strip() if options.details else ""
    return f"{text} ({detail})" if text and detail else text or detail


def next_text(trajectory: Trajectory, place: int) -> str:
    """The next state in full: the prompt of the next turn if recorded, else the env's description of that state."""
    following = trajectory.steps[place + 1].prompt if place + 1 < len(trajectory.steps) else ""
    step = trajectory.steps[place]
    return following.strip() or step.next_observation.strip() or step.feedback.strip()


def _reply(step: Step, options: ContextOptions) -> str:
    reply = step.response or step.action
    return (remove_thinking(reply) if options.remove_thinking else reply).strip()
