"""Other rollouts in the place of some, as a method asked: played with messages, and in the rows of the same group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.replacing import Replacement
from agentgym_hindsight.baselines.policies.base import Policy, Reply, TurnView
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.wrappers.protocols import CONVERSATION

__all__ = ["PromptedPolicy", "Replaced", "check_resampling", "replaced_episodes"]

#: A task's id, and the number of the sibling.
Place = tuple[str, int]


@dataclass(slots=True)
class Replaced:
    """The rollouts of one process that were replaced in an update."""

    rollouts: int = 0
    #: Wins of the rollouts that were replaced, and of those that replace them.
    won_before: int = 0
    won: int = 0
    #: Turns and tokens of rollouts that are not trained on.
    turns: int = 0
    tokens: int = 0


def check_resampling(method: Method, stage: Stage) -> None:
    """Raise if the method replaces rollouts and prompts are conversations, to which no messages can be added."""
    if method.replaces_rollouts and stage.history == CONVERSATION:
        raise UsageError(
            f"Expected bounded prompts for {method.name}, which plays rollouts again with messages of its own, got "
            f"history={CONVERSATION!r}; try history=2."
        )


class PromptedPolicy:
    """A policy that reads the messages of replacements around its own prompts."""

    def __init__(self, policy: Policy, replacements: Mapping[Place, Replacement]) -> None:
        self.policy, self.replacements = policy, replacements

    @property
    def name(self) -> str:
        return self.policy.name

    def act(self, turns: Sequence[TurnView]) -> Sequence[str | Reply]:
        messages = [self.replacements[turn.task_id, turn.sibling].messages(turn.observation) for turn in turns]
        return self.policy.act([replace(turn, messages=each) for turn, each in zip(turns, messages, strict=True)])


def replaced_episodes(
    episodes: Sequence[Episode],
    played: Sequence[Episode],
    replacements: Mapping[Place, Replacement],
    encoder: PromptEncoder,
    replaced: Replaced,
) -> list[Episode]:
    """The episodes with the played ones in the place of those that they replace. Counts what is discarded.

    A rollout that broke when it was played again is discarded itself.
    """
    again = {(episode.trajectory.task_id, episode.trajectory.sibling): episode for episode in played}
    result = []
    for episode in episodes:
        place = episode.trajectory.task_id, episode.trajectory.sibling
        new = again.get(place)
        if new is None:
            result.append(episode)
            continue
        works = not new.trajectory.broken and len(new.trajectory) > 0
        kept, dropped = (new, episode) if works else (episode, new)
        replaced.rollouts += works
        replaced.won_before += works and episode.trajectory.won
        replaced.won += works and new.trajectory.won
        replaced.turns += len(dropped.trajectory)
        replaced.tokens += sum(len(reply.prompt_ids) + len(reply.response_ids) for reply in dropped.replies)
        result.append(_trained_on(kept, replacements[place], encoder) if works else kept)
    return result


def _trained_on(episode: Episode, replacement: Replacement, encoder: PromptEncoder) -> Episode:
    """The episode with a note of the messages, and with the prompts that it is trained on."""
    trajectory, replies = episode
    note: dict[str, Any] = {
        name: [dict(message) for message in messages]
        for name, messages in (("before", replacement.before), ("after", replacement.after))
        if not isinstance(messages, str) and messages
    }
    note["trained_on"] = replacement.trained_on
    noted = trajectory.replace(extra={**trajectory.extra, "resampled": note})
    if replacement.trained_on == "plain" and note.keys() & {"before", "after"}:
        prompts = encoder.encode_all([step.prompt for step in trajectory.steps])
        replies = tuple(
            replace(reply, prompt_ids=prompt, other_prompt=True) for reply, prompt in zip(replies, prompts, strict=True)
        )
    return Episode(noted, replies)
