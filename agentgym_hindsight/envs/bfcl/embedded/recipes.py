"""The kinds of tasks: which APIs each needs, and what the user wants in each turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agentgym_hindsight.envs.bfcl.embedded.errands.board import BOARD_ERRANDS
from agentgym_hindsight.envs.bfcl.embedded.errands.connected_office import CONNECTED_OFFICE
from agentgym_hindsight.envs.bfcl.embedded.errands.connected_outside import CONNECTED_OUTSIDE
from agentgym_hindsight.envs.bfcl.embedded.errands.diary import DIARY_ERRANDS
from agentgym_hindsight.envs.bfcl.embedded.errands.drive import DRIVE_ERRANDS
from agentgym_hindsight.envs.bfcl.embedded.errands.house import HOUSE_ERRANDS
from agentgym_hindsight.envs.bfcl.embedded.errands.journeys import JOURNEYS_ERRANDS
from agentgym_hindsight.envs.bfcl.embedded.errands.postbox import POSTBOX_ERRANDS
from agentgym_hindsight.envs.bfcl.embedded.errands.stock import STOCK_ERRANDS
from agentgym_hindsight.envs.bfcl.embedded.errands.sums import SUMS_ERRANDS
from agentgym_hindsight.envs.bfcl.embedded.names import WorldDraws
from agentgym_hindsight.envs.bfcl.embedded.story import Errand, Story

__all__ = ["DIFFICULTIES", "ERRANDS", "RECIPES", "Recipe"]

Maker = Callable[[Story], Errand]

#: ``easy``: one turn, one to three calls; ``medium``: two or three turns at one API; ``hard``: up to five turns, in
#: which several APIs are needed or what earlier turns found.
DIFFICULTIES = ("easy", "medium", "hard")
ERRANDS: Mapping[str, Mapping[str, Maker]] = {
    "Board": BOARD_ERRANDS,
    "Diary": DIARY_ERRANDS,
    "Drive": DRIVE_ERRANDS,
    "House": HOUSE_ERRANDS,
    "Journeys": JOURNEYS_ERRANDS,
    "Postbox": POSTBOX_ERRANDS,
    "Stock": STOCK_ERRANDS,
    "Sums": SUMS_ERRANDS,
}


@dataclass(frozen=True)
class Recipe:
    """A kind of tasks. ``apis`` and ``turns`` draw; a turn is one errand or several."""

    name: str
    difficulty: str
    apis: Callable[[WorldDraws], tuple[str, ...]]
    turns: Callable[[Story, tuple[str, ...]], Sequence[Sequence[Maker]]]


def _single(name: str, api: str, maker: Maker) -> Recipe:
    return Recipe(name, "easy", lambda draws: (api,), lambda story, apis: [[maker]])


def _session(api: str) -> Recipe:
    return Recipe(f"{api.lower()}_session", "medium", lambda draws: (api,), _of_one_api)


def _of_one_api(story: Story, apis: tuple[str, ...]) -> Sequence[Sequence[Maker]]:
    """Two or three turns. One of them may be about two things."""
    makers = story.draws.sample(list(ERRANDS[apis[0]].values()), 2 + story.draws.below(2))
    turns = [[maker] for maker in makers]
    if story.draws.chance(0.35):
        turns[story.draws.below(len(turns))].append(story.pick(list(ERRANDS[apis[0]].values())))
    return turns


def _of_three_apis(story: Story, apis: tuple[str, ...]) -> Sequence[Sequence[Maker]]:
    """Four or five turns at three APIs, without order. Up to two of them are about two things."""
    chosen = [story.pick(list(ERRANDS[api].values())) for api in (*apis[:3], *story.draws.sample(apis[:3], 2))]
    turns = [[maker] for maker in story.draws.sample(chosen, 4 + story.draws.below(2))]
    for _ in range(story.draws.below(3)):
        turns[story.draws.below(len(turns))].append(story.pick(list(ERRANDS[story.pick(apis[:3])].values())))
    return turns


def _connected(name: str, needed: tuple[str, ...], makers: Callable[[Story], Sequence[Maker]]) -> Recipe:
    def with_another(draws: WorldDraws) -> tuple[str, ...]:
        others = [api for api in ERRANDS if api not in needed]
        return (*needed, draws.pick(others)) if draws.chance(0.5) else needed

    return Recipe(name, "hard", with_another, lambda story, apis: [[maker] for maker in makers(story)])


def _all_recipes() -> list[Recipe]:
    singles = [_single(name, api, maker) for api, errands in ERRANDS.items() for name, maker in errands.items()]
    sessions = [_session(api) for api in ERRANDS]
    conversations = {**CONNECTED_OFFICE, **CONNECTED_OUTSIDE}
    connected = [_connected(name, apis, makers) for name, (apis, makers) in conversations.items()]
    mixed = Recipe("mixed_session", "hard", lambda draws: tuple(draws.sample(list(ERRANDS), 3)), _of_three_apis)
    return [*singles, *sessions, *connected, mixed]


RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in _all_recipes()}
