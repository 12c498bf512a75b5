"""Compare our shop with recordings of the original: replay every action under official rules and compare every turn.

The comparison covers, at the start and after every action, ``text``, ``text_rich``, the ordered available actions,
reward and done; and at a purchase every part of the reward. The parts ``title_score`` and ``r_type`` depend on the noun
tagger. Their differences are reported separately, because the recording may have used another tagger.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from agentgym_hindsight.envs.webshop.goals import recorded_goals
from agentgym_hindsight.envs.webshop.index_store import index_for
from agentgym_hindsight.envs.webshop.json_stream import is_gzip
from agentgym_hindsight.envs.webshop.nouns import DEFAULT_NOUNS
from agentgym_hindsight.envs.webshop.observe import observe
from agentgym_hindsight.envs.webshop.official_files import read_catalogue
from agentgym_hindsight.envs.webshop.session import Outcome, Session
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.errors import DamagedDataError, MissingDataError

__all__ = ["Difference", "ParityReport", "compare_episode", "find_recording", "read_episodes", "run_parity"]

_TAGGER_FIELDS = ("title_score", "r_type")
_EXCERPT_LENGTH = 160


class Difference(NamedTuple):
    """One field that differs in one turn. Turn 0 is the start of the episode."""

    episode: int
    turn: int
    action: str
    field: str
    ours: str
    recorded: str

    def __str__(self) -> str:
        where = f"episode {self.episode} turn {self.turn} {self.action[:_EXCERPT_LENGTH]!r}: {self.field}"
        return f"{where}\n  ours:     {self.ours}\n  recorded: {self.recorded}"


class ParityReport(NamedTuple):
    """The result over all episodes. ``tagged`` are differences in the parts that depend on the tagger."""

    episodes: int
    turns: int
    purchases: int
    differences: tuple[Difference, ...]
    tagged: tuple[Difference, ...]
    nouns: str

    @property
    def agrees(self) -> bool:
        """Whether at least one turn was compared and there are no differences except ``tagged`` ones."""
        return self.turns > 0 and not self.differences

    def summary(self) -> str:
        """The differences in full, then the counts; the last line is ``differences: D of T turns``."""
        turns = {(difference.episode, difference.turn) for difference in self.differences}
        purchases = {(difference.episode, difference.turn) for difference in self.tagged}
        return "\n".join(
            [
                *map(str, self.differences),
                *(f"tagger: {difference}" for difference in self.tagged),
                f"episodes: {self.episodes} compared, their starts too; {self.purchases} purchases",
                f"title_score and r_type (noun rule {self.nouns}): {len(purchases)} of {self.purchases} differ",
                f"differences: {len(turns)} of {self.turns} turns",
            ]
        )


def run_parity(
    data: str | PathLike[str],
    goals: str | PathLike[str],
    transcripts: str | PathLike[str],
    *,
    tag: str | None = None,
    nouns: str = DEFAULT_NOUNS,
) -> ParityReport:
    """Replay a recording. ``data`` is the folder of official files; the other two paths may be relative to it."""
    recording = recorded_goals(find_recording(data, goals))
    path = find_recording(data, transcripts)
    products = read_catalogue(data, tag=tag, prices=recording.prices).products
    shop = Shop(products, index_for(products), recording.goals, name="recorded")
    turns = purchases = episodes = 0
    differences: list[Difference] = []
    tagged: list[Difference] = []
    for number, episode in enumerate(read_episodes(path)):
        try:
            episode_differences = list(compare_episode(shop, episode, number, nouns))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise DamagedDataError(
                f"Expected an episode with goal_index, start and steps in record {number} of {path}, got "
                f"{error!r:.120}; try the transcripts.jsonl.gz that belongs to these goals."
            ) from error
        episodes += 1
        turns += len(episode["steps"])
        purchases += sum(1 for step in episode["steps"] if "reward_parts" in step)
        differences += (difference for difference in episode_differences if difference.field not in _TAGGER_FIELDS)
        tagged += (difference for difference in episode_differences if difference.field in _TAGGER_FIELDS)
    return ParityReport(episodes, turns, purchases, tuple(differences), tuple(tagged), nouns)


def find_recording(data: str | PathLike[str], name: str | PathLike[str]) -> Path:
    """The path of a recording: ``name`` itself, or ``name`` in the folder ``data``."""
    for path in (Path(name), Path(data) / name):
        if path.is_file():
            return path
    raise MissingDataError(
        f"Expected a recording at {name}, here or in {data}, found none; try the whole path, "
        "such as --goals DIR/goals_prices.json.gz."
    )


def read_episodes(path: str | PathLike[str]) -> Iterator[dict[str, Any]]:
    """The episodes of a JSONL file, plain or gzip, one per line."""
    path = Path(path)
    read = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") if is_gzip(path) else path.open(encoding="utf-8") as lines:
            for line in lines:
                if line.strip():
                    yield json.loads(line)
                read += 1
    except (ValueError, EOFError, OSError) as error:
        raise DamagedDataError(
            f"Expected one episode per line in {path}, got {error!r:.120} after line {read}; "
            "try copying the file again."
        ) from error


def compare_episode(
    shop: Shop, episode: dict[str, Any], number: int = 0, nouns: str = DEFAULT_NOUNS
) -> Iterator[Difference]:
    """Replay one episode and yield all differences. A difference can cause further ones in later turns."""
    index = episode["goal_index"]
    if not 0 <= index < len(shop.goals):
        raise ValueError(f"goal_index {index} of {len(shop.goals)} goals")
    session = Session(shop, shop.goals[index], "official", nouns=nouns)
    yield from _compare(session, None, episode["start"], number, 0)
    for turn, step in enumerate(episode["steps"], 1):
        outcome = session.act(step["action"])
        if outcome.done and "reward_parts" in step:
            recorded = step["reward_parts"]
            yield from _compare_parts(session, recorded, number, turn, step["action"])
            outcome = _with_recorded_type(session, outcome, recorded)
        yield from _compare(session, outcome, step, number, turn)


def _with_recorded_type(session: Session, outcome: Outcome, recorded: dict[str, Any]) -> Outcome:
    """Replace our type factor by the recorded one, so that another tagger does not hide differences of other parts."""
    parts = session.parts
    r_type = recorded.get("r_type")
    if parts is None or r_type is None or r_type == parts.r_type:
        return outcome
    met = sum(match.matched for match in parts.attributes) + sum(match.matched for match in parts.options)
    total = (met + parts.r_price) / (len(parts.attributes) + len(parts.options) + 1) * r_type
    session.state = session.state._replace(parts=parts._replace(r_type=r_type, total=total))
    return outcome._replace(reward=total)


def _compare_parts(
    session: Session, recorded: dict[str, Any], number: int, turn: int, action: str
) -> Iterator[Difference]:
    ours: dict[str, Any] = {} if session.parts is None else session.parts.official()
    for name in sorted({*ours, *recorded}):
        our_value, recorded_value = ours.get(name), recorded.get(name)
        if our_value != recorded_value:
            yield Difference(number, turn, action, name, repr(our_value), repr(recorded_value))


def _compare(
    session: Session, outcome: Outcome | None, recorded: dict[str, Any], number: int, turn: int
) -> Iterator[Difference]:
    available = {"has_search_bar": session.has_search_bar, "clickables": list(session.clickables)}
    pairs: list[tuple[str, Any]] = [
        ("text", observe(session, "text")),
        ("text_rich", observe(session, "text_rich")),
        ("actions", available),
    ]
    if outcome is not None:
        pairs += [("reward", outcome.reward), ("done", outcome.done)]
    action = recorded.get("action", "")
    for field, our_value in pairs:
        recorded_value = recorded[field]
        if our_value != recorded_value:
            yield Difference(number, turn, action, field, *_excerpts(our_value, recorded_value))


def _excerpts(our_value: Any, recorded_value: Any) -> tuple[str, str]:
    """Excerpts of both sides from shortly before the first difference."""
    our_text, recorded_text = (
        value if isinstance(value, str) else repr(value) for value in (our_value, recorded_value)
    )
    difference = next(
        (n for n, (a, b) in enumerate(zip(our_text, recorded_text, strict=False)) if a != b),
        min(len(our_text), len(recorded_text)),
    )
    start = max(0, difference - 30)
    excerpts: Iterable[str] = (repr(text[start : start + _EXCERPT_LENGTH]) for text in (our_text, recorded_text))
    return tuple(excerpts)  # type: ignore[return-value]
