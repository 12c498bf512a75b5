"""ReAct (arXiv 2210.03629): a model that reads demonstrations of the task's kind, and may think instead of acting.

The prompt protocols ``react-2022``, ``code-react`` and ``tools-react`` show the transcript and read the thoughts. This
policy adds the demonstrations, which differ from task to task. They are data: see :mod:`~.demonstrations` of
``baselines.evaluation``, which makes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from agentgym_hindsight.baselines.analysers.answers import without_thinking
from agentgym_hindsight.baselines.policies.base import Policy, Reply, TurnView

__all__ = ["REACT_PROTOCOLS", "ReActPolicy", "with_preface"]

#: The protocol of a world; every other world has ``react-2022``.
REACT_PROTOCOLS: Mapping[str, str] = {"appworld": "code-react", "tools": "tools-react"}
_TASK = "Here is the task.\n"
_NUMBERS = {1: "is one example", 2: "are two examples"}


class ReActPolicy:
    """Any policy, with demonstrations before its prompts, by the id of the task.

    In a conversation they stand in the first message. What a model thinks between ``<think>`` and ``</think>`` is no
    part of its reply.

    >>> from agentgym_hindsight.baselines.policies import RandomPolicy
    >>> policy = ReActPolicy(RandomPolicy(), {"1f": ["Your task is to: look.\\n> look\\nYou see a hall."]})
    >>> policy.act([TurnView("1f", 0, 0, "Here is the task.\\nA hall.\\n>", {"admissible_actions": ("look",)})])
    [Reply(text='look', prompt_ids=(), response_ids=(), logprobs=(), finished=True, past_tokens=0, message='', \
other_prompt=False)]
    """

    kind = "react"

    def __init__(self, policy: Policy, demonstrations: Mapping[str, Sequence[str]]) -> None:
        self.policy, self.demonstrations = policy, demonstrations

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.policy.name}"

    @property
    def needs_expert(self) -> bool:
        """Whether the policy inside reads ``info["expert_action"]``."""
        return bool(getattr(self.policy, "needs_expert", False))

    def act(self, turns: Sequence[TurnView]) -> list[Reply]:
        answers = self.policy.act([self._with_preface(turn) for turn in turns])
        return [_spoken(Reply(answer) if isinstance(answer, str) else answer) for answer in answers]

    def memory(self, turn: TurnView) -> str:
        """What is shown between the demonstrations and the task; nothing here."""
        return ""

    def _with_preface(self, turn: TurnView) -> TurnView:
        shown, memory = self.demonstrations.get(turn.task_id, ()), self.memory(turn)
        if turn.past:  # the demonstrations are in the first message of the chat
            (first, reply), *later = turn.past
            return replace(turn, past=((with_preface(first, shown, memory), reply), *later))
        return replace(turn, observation=with_preface(turn.observation, shown, memory))


def with_preface(prompt: str, demonstrations: Sequence[str], memory: str = "") -> str:
    """The prompt with demonstrations and a memory before its task.

    >>> prompt = "Solve a task.\\nHere is the task.\\nA hall.\\n>"
    >>> print(with_preface(prompt, ["> look\\nA door."], "Trial 1: Open it."))
    Solve a task. Here is one example.
    > look
    A door.
    <BLANKLINE>
    Trial 1: Open it.
    <BLANKLINE>
    Here is the task.
    A hall.
    >
    """
    head, found, task = prompt.partition(_TASK)
    if not found or "\n" in head.rstrip("\n"):  # not the prompt of react-2022
        head, task = "", prompt
    count = len(demonstrations)
    head = head.strip()
    if count:
        head = f"{head} Here {_NUMBERS.get(count, f'are {count} examples')}.".strip()
    blocks = [*(text.strip() for text in demonstrations), memory.strip()]
    parts = ["\n".join(filter(None, (head, blocks[0]))), *blocks[1:], f"{_TASK}{task}"]
    # Without anything to add, the head stands directly before the task, as the protocol writes it.
    return "\n\n".join(filter(None, parts)) if any(blocks) else prompt


def _spoken(reply: Reply) -> Reply:
    if "</think>" not in reply.text and not reply.text.lstrip().startswith("<think>"):
        return reply
    return replace(reply, text=without_thinking(reply.text))
