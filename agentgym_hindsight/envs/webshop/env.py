"""``WebShop-Hindsight-v0``: shopping by instruction, in text."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from agentgym_hindsight.envs.base import HindsightEnv, Turn
from agentgym_hindsight.envs.webshop.backend import NativeBackend
from agentgym_hindsight.envs.webshop.library import open_library
from agentgym_hindsight.envs.webshop.nouns import DEFAULT_NOUNS
from agentgym_hindsight.envs.webshop.shop_facts import WebshopExtra
from agentgym_hindsight.envs.webshop.shop_types import SPLITS
from agentgym_hindsight.hindsight.sources import Hindsight
from agentgym_hindsight.tasks import TaskPanel

__all__ = ["WebShopEnv"]


class WebShopEnv(HindsightEnv):
    """Shopping by instruction: find the described product, choose its options, buy it.

    ## Description
    A shop with a search engine. The instruction names attributes, options such as color and size, and a maximal price.
    Pages: the start page with a search bar, pages of results, a product, its sub pages (Description, Features,
    Reviews), and the last page after the purchase.

    ## Observation
    The page with the instruction. ``observation_mode``: ``text`` (strings joined by ``[SEP]``), ``text_rich`` (one
    string per line, buttons marked), ``html`` or ``url``.

    ## Actions
    ``search[words]`` and ``click[name]``. ``info["admissible_actions"]`` lists the clicks. Any words can be searched,
    so the list is empty on the start page (``info["extra"].has_search_bar``). Every other action changes nothing; the
    reason is in ``info["extra"].reason`` and in ``info["hindsight"].immediate_feedback.detail``.

    ## Rewards
    0 until ``click[buy now]``, then between 0 and 1: type · (attributes + options + price) / their number. The parts
    are in ``info["extra"].reward_parts``. ``info["won"]`` is true if the reward is 1.

    ## Termination and truncation
    Terminated by the purchase; truncated after ``max_steps`` turns (15, the usual limit in RL work).

    ## Arguments
    * ``split``: ``train``, ``eval``, ``test``.
    * ``data``: ``auto`` (the official files in ``$WEBSHOP_DATA``, else the embedded shop), ``embedded``, ``official``,
      or a folder of official files.
    * ``rules``: ``strict`` (exact options, reachable goals, chosen options visible in every mode) or ``official``
      (the original with all its quirks).
    * ``observation_mode``: see above.
    * ``goals``: ``synthetic``, ``human``, ``auto`` (human for the full official catalogue, else synthetic), or the
      path of a recording's goals and prices.
    * ``products``: size of the embedded shop (1000). ``tag``: one of several catalogues in a folder.
    * ``shop_seed``: seed of the embedded products, of prices and of price caps.
    * ``num_prev_obs``, ``num_prev_actions``: number of earlier observations and actions before each page (0), oldest
      first, joined by ``[SEP]``, as in the original.
    * ``nouns``: the noun rule of the type test, ``tokens-1`` or ``spacy``.
    * and those of every env: ``max_steps``, ``anchor``, ``expert``, ``render_mode``.

    All rollouts of a group have the same instruction, so ``anchor="observation"`` groups pages as it would without
    the instruction.

    ## Registered ids
    ``WebShop-Hindsight-v0``
    """

    splits: ClassVar[tuple[str, ...]] = SPLITS
    prompt_world = "webshop"
    backend: NativeBackend

    def __init__(
        self,
        split: str = "train",
        *,
        data: str | os.PathLike[str] = "auto",
        rules: str = "strict",
        observation_mode: str = "text",
        goals: str | os.PathLike[str] = "auto",
        products: int = 1000,
        tag: str | None = None,
        shop_seed: int = 0,
        nouns: str = DEFAULT_NOUNS,
        num_prev_obs: int = 0,
        num_prev_actions: int = 0,
        max_steps: int = 15,
        **shared: Any,
    ) -> None:
        library = open_library(data, rules=rules, goals=goals, products=products, seed=shop_seed, tag=tag)
        backend = NativeBackend(
            library,
            mode=observation_mode,
            nouns=nouns,
            num_prev_obs=num_prev_obs,
            num_prev_actions=num_prev_actions,
        )
        super().__init__(backend, split=split, max_steps=max_steps, **shared)
        library.count(split)  # raises for a split without goals now, not at the first reset

    def panel(self, split: str | None = None) -> TaskPanel:
        """The tasks of a split, as an ordered panel with a fingerprint."""
        name = self.split if split is None else split
        count = self.backend.count(name)
        return TaskPanel((self.backend.task(name, index) for index in range(count)), name=f"{self.backend.name}/{name}")

    def _info(self, turn: Turn, hindsight: Hindsight) -> dict[str, Any]:
        if self._over and not turn.terminated and isinstance(turn.extra, WebshopExtra):
            turn = turn._replace(extra=turn.extra.ended())  # truncated: the hidden goal may be revealed now
        return super()._info(turn, hindsight)
