"""Anchor states: which turns of a group started from the same situation.

* ``state``: the canonical key of the true state. This is the default, because many states can have the same text
  ("Nothing happens.").
* ``observation``: equal raw observation text, as GiGPO and SERL define anchors.
* ``augmented``: equal observation, situation and admissible actions, as CRBC and GraphGPO define anchors. The situation
  is a sentence about the agent, such as what it holds, that some envs record (``Step.extra["situation"]``). It is part
  of the key only: no policy sees it.
* ``similar``: text similar to the first member of a cluster (first fit, ratio ≥ 0.95). This compares the turns of one
  group and gives no key of a single turn: the env records the key of the text, and :func:`cluster` compares the texts.

The prefix of a key names its kind: ``s:`` for a true state, ``o:`` for a text, ``a:`` for an augmented one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate
from typing import NamedTuple

from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.tasks import content_hash

__all__ = ["ANCHOR_KINDS", "AnchorGroup", "Row", "anchor_key", "anchor_keys", "cluster", "rows_of", "state_key"]

ANCHOR_KINDS: tuple[str, ...] = ("state", "observation", "augmented", "similar")
_ACTIONS = "\nAdmissible actions: "  # how an env ends the text of a whole state
_LAST = 2**62  # the index of states after the last turn: they never become the first member of a cluster of turns


def anchor_key(kind: str, observation: str, state: str) -> str:
    """The anchor of one situation. Falls back to the text (``o:``) if the backend gives no true state."""
    if kind == "state" and state:
        return f"s:{state}"
    return f"o:{content_hash(observation)}"


def state_key(step: Step) -> str:
    """The true state before a step, ``s:…``, or "" if the env recorded none."""
    return step.anchor if step.anchor.startswith("s:") else ""


class Row(NamedTuple):
    """One turn of a group. ``batch`` counts turns member by member and breaks ties between equal step indices."""

    batch: int
    member: int
    place: int  # in the member's steps
    step: Step


@dataclass(frozen=True, slots=True)
class AnchorGroup:
    """Turns from one situation, in the order (step index, batch index). A single turn is a group of one."""

    key: str
    rows: tuple[Row, ...]

    def __len__(self) -> int:
        return len(self.rows)


def rows_of(trajectories: Iterable[Trajectory]) -> tuple[Row, ...]:
    """Every turn of every member, member by member.

    >>> step = Step(0, "a room", "look", "a room", "a room")
    >>> [(row.batch, row.member) for row in rows_of([Trajectory("1f", steps=(step,)), Trajectory("1f", steps=(step,))])]
    [(0, 0), (1, 1)]
    """
    turns = [
        (m, place, step) for m, trajectory in enumerate(trajectories) for place, step in enumerate(trajectory.steps)
    ]
    return tuple(Row(batch, *turn) for batch, turn in enumerate(turns))


def cluster(
    group: Iterable[Trajectory] | Iterable[Row],
    kind: str = "state",
    ratio: float = 0.95,
    *,
    autojunk: bool = True,
    prompts: bool = True,
    batch_order: bool = False,
) -> tuple[AnchorGroup, ...]:
    """Group the turns of one group (or rows of it) by anchor. Groups come in the order of their first turns.

    * ``state``: by ``Step.anchor`` if it is a true state, else by text.
    * ``observation``: by equal raw text (the prompt if no observation was recorded).
    * ``augmented``: by equal observation, situation and admissible actions.
    * ``similar``: a turn joins the first cluster whose *first* member has a :class:`difflib.SequenceMatcher` ratio of
      at least ``ratio`` to it.

    ``autojunk`` is difflib's default and SERL's setting. In texts of 200 characters and more it ignores frequent
    characters, so ratios are too low. False gives exact ratios and is slower.

    ``prompts=False`` groups all turns with an empty observation, as the release does; by default their prompts are
    compared. ``batch_order=True`` compares ``similar`` texts as the release's GiGPO does: the turns come member by
    member, with outer white space, and with ``prompts=False`` empty observations are similar. By default, as in the
    release's contexts, the first turns of all members come first and an empty text is similar to no other.

    Two long texts for which difflib would take minutes are similar if their longest common subsequence has the ratio.
    Texts of more than about 40,000 characters are only similar to equal ones.

    >>> steps = [Step(i, text, "look", "", "") for i, text in enumerate(["a hall", "a room", "a hall"])]
    >>> [[row.step.index for row in anchor.rows] for anchor in cluster([Trajectory("1f", steps=tuple(steps))])]
    [[0, 2], [1]]
    """
    if kind not in ANCHOR_KINDS:
        raise UnknownNameError("anchor", kind, ANCHOR_KINDS)
    if kind == "similar" and not 0.0 < ratio < 1.0:
        raise UsageError(f"Expected 0 < ratio < 1 for similar anchors, got {ratio}; try 0.95, or anchor='observation'.")
    rows = _as_rows(group)
    ordered = sorted(rows, key=lambda row: row.batch if batch_order else (row.step.index, row.batch))
    if kind == "similar":
        return _cluster_similar(ordered, ratio, autojunk, prompts, batch_order)
    groups: dict[str, list[Row]] = {}
    for row in ordered:
        is_empty = kind == "observation" and not prompts and not row.step.observation
        groups.setdefault(anchor_key(kind, "", "") if is_empty else _KEYS[kind](row.step), []).append(row)
    return tuple(AnchorGroup(key, tuple(rows)) for key, rows in groups.items())


def anchor_keys(
    group: Iterable[Trajectory],
    kind: str = "state",
    ratio: float = 0.95,
    *,
    prompts: bool = True,
    batch_order: bool = False,
    first_positions: Sequence[int] | None = None,
) -> list[list[tuple[str, str]]]:
    """For each turn of each member, the key of the state before it and the key of the state after it.

    ``first_positions`` are the numbers of the turns in a reordered batch, member by member; they matter to ``similar``
    anchors only. The other arguments are those of :func:`cluster`. The state after a turn is the one before the next
    turn. After the last turn it is the final observation.

    >>> step = Step(0, "a hall", "look", "a room", "a room")
    >>> keys = anchor_keys([Trajectory("1f", steps=(step,)), Trajectory("1f", steps=(step,))], "observation")
    >>> keys[0] == keys[1], keys[0][0][0] == keys[0][0][1]
    (True, False)
    """
    members = tuple(group)
    turns = rows_of(members)
    if first_positions is not None:
        turns = tuple(row._replace(batch=number) for row, number in zip(turns, first_positions, strict=True))
    after = max((row.batch for row in turns), default=-1) + 1
    ends = [
        Row(after + number, number, len(member), _end(member)) for number, member in enumerate(members) if member.steps
    ]
    found = cluster([*turns, *ends], kind, ratio, prompts=prompts, batch_order=batch_order)
    keys = {(row.member, row.place): anchor.key for anchor in found for row in anchor.rows}
    return [
        [(keys[number, place], keys[number, place + 1]) for place in range(len(member))]
        for number, member in enumerate(members)
    ]


def _end(trajectory: Trajectory) -> Step:
    """The state after the last turn, as a turn that was not taken."""
    last = trajectory.steps[-1]
    observation = trajectory.final_observation or last.feedback or last.next_observation
    actions = last.next_observation.removeprefix(observation)
    admissible = tuple(actions.removeprefix(_ACTIONS).split(", ")) if actions.startswith(_ACTIONS) else ()
    extra = {"situation": trajectory.extra.get("situation", "")}
    return Step(_LAST, observation, "", "", "", admissible, last.next_anchor, extra=extra)


def _state_or_text(step: Step) -> str:
    return state_key(step) or _text_key(step)


def _augmented(step: Step) -> str:
    # An action may contain a comma, and the end of a rollout has only the joined text: split both the same way.
    actions = sorted(", ".join(step.admissible_actions).split(", "))
    return f"a:{content_hash(_text(step), str(step.extra.get('situation', '')), *actions)}"


def _as_rows(group: Iterable[Trajectory] | Iterable[Row]) -> tuple[Row, ...]:
    rows: list[Row] = []
    trajectories: list[Trajectory] = []
    for item in group:
        if isinstance(item, Row):
            rows.append(item)
        else:
            trajectories.append(item)
    return tuple(rows) if rows else rows_of(trajectories)


def _text(step: Step) -> str:
    return step.observation or step.prompt


def _text_key(step: Step) -> str:
    return anchor_key("observation", _text(step), "")


_KEYS: Mapping[str, Callable[[Step], str]] = {
    "state": _state_or_text,
    "observation": _text_key,
    "augmented": _augmented,
}
#: Limits of the comparison of two texts, which is cubic in their length: some seconds. Texts of worlds stay far below.
_MOST_STEPS, _LARGEST_PRODUCT = 20_000_000, 40_000**2


class _Cluster:
    """The text of the first member, and the rows of the cluster."""

    def __init__(self, text: str, row: Row, autojunk: bool) -> None:
        # difflib caches its second sequence and is not symmetric, so the first member has to be the second sequence.
        self.matcher = SequenceMatcher(None, "", text, autojunk)
        self.key = _text_key(row.step)
        self.rows = [row]
        self.length = len(text)
        self.position_bits: dict[str, int] = {}  # for each character, bit i is set if it is at position i
        for position, character in enumerate(text):
            self.position_bits[character] = self.position_bits.get(character, 0) | 1 << position

    def matches(self, text: str, ratio: float) -> bool:
        matcher = self.matcher
        matcher.set_seq1(text)
        # The first three are upper bounds of difflib's ratio, the cheapest first. They only avoid slow comparisons.
        return (
            matcher.real_quick_ratio() >= ratio
            and matcher.quick_ratio() >= ratio
            and self.length * len(text) <= _LARGEST_PRODUCT
            and self._subsequence_ratio(text) >= ratio
            and self._block_ratio(text) >= ratio
        )

    def _block_ratio(self, text: str) -> float:
        """``matcher.ratio()``; 1 if it would take more than ``_MOST_STEPS`` steps.

        difflib looks for the longest common block, then for the longest one on each side of it, and so on. For each
        character it visits all its places in the first member's text.
        """
        places = self.matcher.b2j  # type: ignore[attr-defined]  # documented, but not in the stubs
        find = self.matcher.find_longest_match
        steps_before = list(accumulate((1 + len(places.get(character, ())) for character in text), initial=0))
        matching = steps = 0
        ranges = [(0, len(text), 0, self.length)]
        while ranges:
            low, high, first_low, first_high = ranges.pop()
            steps += steps_before[high] - steps_before[low]
            if steps > _MOST_STEPS:
                return 1.0
            start, first_start, size = find(low, high, first_low, first_high)
            matching += size
            if size and low < start and first_low < first_start:
                ranges.append((low, start, first_low, first_start))
            if size and start + size < high and first_start + size < first_high:
                ranges.append((start + size, high, first_start + size, first_high))
        return 2.0 * matching / (self.length + len(text))

    def _subsequence_ratio(self, text: str) -> float:
        """An upper bound of ``ratio()``: difflib's blocks form a common subsequence, and this uses the longest one.

        Bit i of ``row`` is cleared where a longest common subsequence grows at position i of the first member's text
        (Hyyrö's bit-parallel recurrence). It costs a few integer operations per character.
        """
        row = full = (1 << self.length) - 1
        for character in text:
            matched = row & self.position_bits.get(character, 0)
            row = (row + matched | row - matched) & full
        return 2.0 * (self.length - row.bit_count()) / (self.length + len(text))


def _cluster_similar(
    ordered: list[Row], ratio: float, autojunk: bool, prompts: bool, batch_order: bool
) -> tuple[AnchorGroup, ...]:
    clusters: list[_Cluster] = []
    joined: dict[str, _Cluster] = {}  # an equal text joins the same cluster: first fit is deterministic
    for row in ordered:
        text = _text(row.step) if prompts else row.step.observation
        text = text if batch_order else text.strip()
        target = joined.get(text)
        if target is None and text:  # a turn without text is similar to no other turn
            target = next((known for known in clusters if known.matches(text, ratio)), None)
            if target is not None:
                joined[text] = target
        if target is None:
            clusters.append(_Cluster(text, row, autojunk))
            if not text and not prompts and batch_order:
                joined[text] = clusters[-1]
        else:
            target.rows.append(row)
    return tuple(AnchorGroup(known.key, tuple(known.rows)) for known in clusters)
