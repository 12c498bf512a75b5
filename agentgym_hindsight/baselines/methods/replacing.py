"""The result of :meth:`Method.resample`: which rollouts are played again, and what the policy reads while playing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.messages import Message, as_messages
from agentgym_hindsight.hindsight.trajectory import Group
from agentgym_hindsight.names import known_name

__all__ = ["Replacement", "checked_replacements"]

_TRAINED_ON = ("played", "plain")


@dataclass(frozen=True)
class Replacement:
    """Another rollout in the place of a member of a group.

    * ``group``, ``member``: positions in the ``groups`` of the hook.
    * ``before``, ``after``: messages around the policy's own prompt, at every turn; a text is one message of the user.
    * ``trained_on``: ``played``: the training rows have the prompts that were played, with the messages (PSP);
      ``plain``: they have the policy's own prompts, and the probability ratio corrects for the difference: the old
      log-probabilities are those of the played prompts.

    >>> hint = [{"role": "system", "content": "<skills>Look first.</skills>"}]
    >>> Replacement(0, 3, before=hint).messages("You are in a hall.")[-1]
    {'role': 'user', 'content': 'You are in a hall.'}
    """

    group: int
    member: int
    before: Sequence[Message] | str = ()
    after: Sequence[Message] | str = ()
    trained_on: Literal["played", "plain"] = "played"

    def __post_init__(self) -> None:
        for name in ("before", "after"):
            given = getattr(self, name)
            object.__setattr__(self, name, tuple(as_messages(given)) if given else ())
        object.__setattr__(self, "trained_on", known_name("prompt to train on", self.trained_on, _TRAINED_ON))

    def messages(self, prompt: str) -> tuple[Message, ...]:
        """What the policy reads at a turn."""
        return (*self.before, {"role": "user", "content": prompt}, *self.after)


def checked_replacements(given: object, groups: Sequence[Group], method: str) -> list[Replacement]:
    """The replacements that a hook returned; wrong types, places and repetitions raise."""
    if given is None:
        return []
    if not isinstance(given, Sequence) or not all(isinstance(each, Replacement) for each in given):
        kinds = sorted({type(each).__name__ for each in given}) if isinstance(given, Sequence) else type(given).__name__
        raise UsageError(
            f"Expected a list of Replacement from resample of {method!r}, got {kinds}; "
            "try [Replacement(group, member, before=…)], or [] for none."
        )
    seen: set[tuple[int, int]] = set()
    for each in given:
        place = each.group, each.member
        if not (0 <= each.group < len(groups) and 0 <= each.member < len(groups[each.group])):
            raise UsageError(
                f"Expected members of {len(groups)} groups from resample of {method!r}, got group {each.group}, "
                f"member {each.member}; try the positions in groups."
            )
        if place in seen:
            raise UsageError(
                f"Expected one replacement per rollout from resample of {method!r}, got two of group {each.group}, "
                f"member {each.member}; try one of them."
            )
        seen.add(place)
    return list(given)
